/**
 * What a view costs a build: `make` of a C project (c-project.ts) bare, in a view of ours, and in
 * bubblewrap with the whole file system bound, in turns. The time is that of the whole command
 * line, start of the view included. Cases: `idle`, nothing is trapped but what a view always traps;
 * `cold`, rare classes are traced; `paths`, every call that names a file is performed by the
 * supervisor; `paths-let-through`, each is traced and left to the kernel; `paths-arguments`, the
 * supervisor performs those that change files, and the opens that may; `paths-limit`, a supervisor
 * in C (fixtures/path-supervisor.c) reads each path and lets the call through: what the kernel
 * leaves to any supervisor, beside the build bare and beside ours; `rung-c`, the view has no
 * namespaces and one mount, so that every path of the build goes through the supervisor.
 *
 * Needs make, cc and bwrap.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeCProject } from "./c-project.ts";
import { costFigure, type Figure } from "./figure.ts";
import { compileFixture, outputOf, V2 } from "./programs.ts";

/** Classes that a build hardly calls: what modules trap for networks, names and identities. */
const COLD = "socket-create,names,namespaces,mount,chown,mknod,setuid,setgid,setgroups";
const toNothing = ["--trace-to", "/dev/null", "--"];

/**
 * The competitors: what stands in front of `make`.
 * @param folder takes the programs: ours as it is installed (`v2 links`), and the supervisor in C
 */
function prefixes(folder: string): { readonly [name: string]: readonly string[] } {
  outputOf([process.execPath, V2, "links", folder]);
  const view = [join(folder, "v2"), "view"];
  const supervisor = join(folder, "supervisor");
  compileFixture("path-supervisor", supervisor);
  return {
    bare: [],
    ours: [...view, "--"],
    cold: [...view, `--trace=${COLD}`, ...toNothing],
    paths: [...view, "--trap=path", "--"],
    pathsLetThrough: [...view, "--trace=path", ...toNothing],
    pathsArguments: [...view, "--trap=writing", "--"],
    pathsLimit: [supervisor, "in-turns", "let-through"],
    rungC: [...view, "--engine=C", "--mount", "tmpfs::/media", "--"],
    bwrap: ["bwrap", "--dev-bind", "/", "/", "--"],
  };
}

/** Runs a command line to its end; throws with its output when it fails. */
function mustRun(words: readonly string[], folder: string): void {
  const [program, ...rest] = words;
  const result = spawnSync(program!, rest, { cwd: folder, encoding: "utf8", timeout: 300_000 });
  if (result.status === 0) return;
  const why = result.error?.message ?? `exit ${result.status}\n${result.stdout}${result.stderr}`;
  throw new Error(`${words.join(" ")}: ${why}`);
}

/** Ticks of /proc (USER_HZ): 100 a second on every Linux. */
const TICKS_PER_SECOND = 100;

/** Processor time of all children that have ended, in seconds (proc(5): cutime, cstime). */
function childrenSeconds(): number {
  const stat = readFileSync("/proc/self/stat", "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
}

interface Cost {
  readonly elapsed: number;
  /** User and system time of the build; far steadier than `elapsed` on a machine in use. */
  readonly processor: number;
}

/** Seconds of one build from clean. */
function build(prefix: readonly string[], folder: string): Cost {
  mustRun(["make", "-s", "clean"], folder);
  const before = childrenSeconds();
  const start = process.hrtime.bigint();
  mustRun([...prefix, "make", "-s", "-j2"], folder);
  const elapsed = Number(process.hrtime.bigint() - start) / 1e9;
  return { elapsed, processor: childrenSeconds() - before };
}

/** Builds in turns; the first round, which warms the page cache, is not counted. */
export async function run(options: { readonly runs: number }): Promise<readonly Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), "v2-bench-"));
  const costs: { [name: string]: Cost[] } = {};
  try {
    const [project, programs] = ["project", "programs"].map((name) => join(folder, name));
    for (const path of [project!, programs!]) mkdirSync(path);
    const all = prefixes(programs!);
    const names = Object.keys(all);
    for (const name of names) costs[name] = [];
    const { sources } = writeCProject(project!);
    process.stderr.write(`${sources} sources, ${options.runs} rounds of ${names.join(", ")}\n`);
    for (let round = -1; round < options.runs; round++) {
      // Another one begins each round, so that none always follows the same one.
      const first = (round + names.length) % names.length;
      for (const name of [...names.slice(first), ...names.slice(0, first)]) {
        const cost = build(all[name]!, project!);
        if (round >= 0) costs[name]!.push(cost);
      }
      const last = names.map(
        (name) => `${name} ${costs[name]!.at(-1)?.elapsed.toFixed(2) ?? "-"} s`,
      );
      process.stderr.write(`round ${round + 1}: ${last.join(", ")}\n`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const of = (key: keyof Cost, who: string) => costs[who]!.map((cost) => cost[key]);
  const least = (key: keyof Cost, who: string) => [Math.min(...of(key, who))];
  const against = (who: string, caseName: string, peer: string, suffix = ""): Figure[] => {
    const name = { bench: "view-build", case: caseName, peerName: peer };
    return [
      costFigure({ ...name, metric: `elapsed${suffix}` }, of("elapsed", who), of("elapsed", peer)),
      costFigure(
        { ...name, metric: `least-elapsed${suffix}` },
        least("elapsed", who),
        least("elapsed", peer),
      ),
      costFigure(
        { ...name, metric: `processor-time${suffix}` },
        of("processor", who),
        of("processor", peer),
      ),
    ];
  };
  return [
    ...against("ours", "idle", "bare"),
    ...against("ours", "idle", "bwrap", "-bwrap"),
    ...against("cold", "cold", "bare"),
    ...against("paths", "paths", "bare"),
    ...against("pathsLetThrough", "paths-let-through", "bare"),
    ...against("pathsArguments", "paths-arguments", "bare"),
    ...against("pathsLimit", "paths-limit", "bare"),
    ...against("pathsLetThrough", "paths-limit", "pathsLimit", "-ours"),
    ...against("rungC", "rung-c", "bare"),
  ];
}
