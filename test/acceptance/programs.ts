/**
 * What a view must not change: programs of daily use run bare and in views, and must say and do the
 * same. They are the scripts in test/fixtures/programs, which print nothing that differs from run
 * to run (process numbers, addresses, times); each runs in an empty directory. Comments at the head
 * of a script are its entry:
 *
 *   # git: a history with branches …   its name, and what it does
 *   # needs: gcc (gcc)                 a program, and the Debian package that has it
 *   # run by: sh                       its interpreter; by the end of its name unless told
 *   # source: hostname                 the source of a Debian package, in $SOURCES
 *   # traces                           it traces processes, which another tracer forbids
 *   # outside: …                       it gets the words before a command that is to be tried
 *   # alone: …                         it is not run together with others; the reason
 *   # not in a mount: …                ways, by words of their names, on which it differs; the
 *   reason
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { missingProgram, type Outcome, runProgram, temporaryDirectory, V2 } from "./v2.ts";

const SCRIPTS = fileURLToPath(new URL("../../../test/fixtures/programs/", import.meta.url));

/** Sources of Debian packages, which scripts/source-packages.mjs fetches. */
export const SOURCES = "/var/cache/virtualsquare/sources";

/** The distribution's own: a developer's other one may lie where an ordinary user cannot read. */
export const PYTHON = "/usr/bin/python3";

/** Longest that one program may take. */
const PROGRAM_LIMIT_S = 60;
const TOGETHER_LIMIT_MS = 400_000;

/** A program to be tried. */
export interface Program {
  readonly name: string;
  /** Path of its script. */
  readonly script: string;
  readonly interpreter: string;
  readonly traces: boolean;
  readonly isOutside: boolean;
  readonly isAlone: boolean;
  /** Words of ways on which it is not the same. */
  readonly except: readonly string[];
  /** Why it cannot be run here. */
  readonly lacks: string | undefined;
}

/** A way to run programs. */
export interface Way {
  /** "at level 0", for the name of a test. */
  readonly name: string;
  /** Options of `v2 view`. */
  readonly options: readonly string[];
  /** A trace is written, and must not be empty. */
  readonly isTraced?: boolean;
  /** The supervisor traces guests, always or to lead them into a mount. */
  readonly isLed?: boolean;
}

/** Stands for a mount where the programs run, in the options of a way. */
export const MOUNT_HERE = "here";

function interpreterOf(file: string): string {
  if (file.endsWith(".sh")) return "bash";
  return file.endsWith(".py") ? PYTHON : process.execPath;
}

function missingSource(name: string): string | undefined {
  return existsSync(join(SOURCES, name))
    ? undefined
    : `needs the source of Debian's ${name}: node scripts/setup.mjs --packages, as root`;
}

function programOf(file: string): Program {
  const script = join(SCRIPTS, file);
  const head = readFileSync(script, "utf8").match(/^(?:(?:#|\/\/) .*\n)*/)![0];
  const words = (pattern: RegExp): string[] => [...head.matchAll(pattern)].map(([, word]) => word!);
  const reasons = [
    ...[...head.matchAll(/ needs: (\S+) \((\S+)\)$/gm)].map(([, program, debianPackage]) =>
      missingProgram(program!, debianPackage!),
    ),
    ...words(/ source: (\S+)$/gm).map(missingSource),
  ];
  return {
    name: /^\S+ (.+?):/.exec(head)![1]!,
    script,
    interpreter: / run by: (.+)$/m.exec(head)?.[1] ?? interpreterOf(file),
    traces: / traces$/m.test(head),
    isOutside: / outside: /.test(head),
    isAlone: / (?:alone|outside): /.test(head),
    except: words(/ not (.+?): /g),
    lacks: reasons.find((reason) => reason !== undefined),
  };
}

/** All of them, by the names of their scripts. */
export function allPrograms(): readonly Program[] {
  return readdirSync(SCRIPTS).sort().map(programOf);
}

function isTried(program: Program, way: Way): boolean {
  // Who is traced by the supervisor is traced by nobody else.
  if (program.traces && way.isLed === true) return false;
  return !program.except.some((words) => way.name.includes(words));
}

/** Words before a command that run it in a way. */
function prefixFor(way: Way, here: string, trace: string): string[] {
  const options = way.options.map((word) => (word === MOUNT_HERE ? `tmpfs::${here}` : word));
  const traced = way.isTraced === true ? ["--trace-to", trace] : [];
  return [process.execPath, V2, "view", ...options, ...traced, "--"];
}

const environment = (home: string): NodeJS.ProcessEnv => ({
  ...process.env,
  LC_ALL: "C",
  TZ: "UTC",
  HOME: home,
  SOURCES,
});

function assertTraced(trace: string): void {
  assert.match(readFileSync(trace, "utf8"), /^\d+ \S+\(.*\n/);
}

/** Runs one program in an empty directory, which is the same each time. */
async function run(
  program: Program,
  directory: string,
  prefix: readonly string[],
): Promise<Outcome> {
  const command = [program.interpreter, program.script];
  mkdirSync(directory);
  try {
    return await runProgram(program.isOutside ? [...command, ...prefix] : [...prefix, ...command], {
      cwd: directory,
      timeoutMs: PROGRAM_LIMIT_S * 1000,
      env: environment(directory),
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * A signal whose handler does not restart calls can interrupt a trapped one before the supervisor
 * has taken it (docs/view.md). A program that says so has met it, and is run again.
 */
async function settled<T extends { readonly stderr: string }>(run: () => Promise<T>): Promise<T> {
  const TRIES = 4;
  for (let left = TRIES; ; left--) {
    const outcome = await run();
    if (left === 1 || !outcome.stderr.includes("Interrupted system call")) return outcome;
  }
}

/**
 * Declares a test of a program in a process tree of its own: its exit code, output and errors are
 * octet for octet those of the bare run.
 */
export function testAlone(program: Program, ways: readonly Way[]): void {
  test(`${program.name} is the same bare and in a view`, async (t) => {
    if (program.lacks !== undefined) return t.skip(program.lacks);
    using place = temporaryDirectory();
    const directory = join(place.path, "w");
    const bare = await run(program, directory, []);
    assert.notEqual(bare.stdout, "", `bare it says nothing: ${bare.stderr}`);
    for (const way of ways.filter((one) => isTried(program, one))) {
      await t.test(way.name, async () => {
        const trace = join(place.path, "trace");
        const prefix = prefixFor(way, directory, trace);
        const outcome = await settled(() => run(program, directory, prefix));
        assert.deepEqual(outcome, bare);
        if (way.isTraced === true) assertTraced(trace);
      });
    }
    return undefined;
  });
}

interface Verdict {
  readonly code: string;
  readonly stdout: string;
  /** Shown, not compared. */
  readonly stderr: string;
}

/** Runs programs one after the other in one process tree, each in a directory of its own. */
async function verdicts(programs: readonly Program[], way?: Way): Promise<readonly Verdict[]> {
  using place = temporaryDirectory();
  const work = join(place.path, "work");
  mkdirSync(work);
  const lines = programs.map(({ interpreter, script }, i) => {
    const [out, err, code] = ["out", "err", "code"].map((kind) => `../../${i}.${kind}`);
    const limited = `timeout -k 5 ${PROGRAM_LIMIT_S} ${interpreter} ${script}`;
    return `(mkdir ${i} && cd ${i} && ${limited} > ${out} 2> ${err} < /dev/null; echo $? > ${code})`;
  });
  const trace = join(place.path, "trace");
  const prefix = way === undefined ? [] : prefixFor(way, work, trace);
  const outcome = await runProgram([...prefix, "sh", "-c", ["cd work", ...lines].join("\n")], {
    cwd: place.path,
    env: environment(place.path),
    timeoutMs: TOGETHER_LIMIT_MS,
  });
  assert.equal(outcome.code, 0, outcome.stderr);
  if (way?.isTraced === true) assertTraced(trace);
  return programs.map((_, i) => {
    const text = (kind: string): string => readFileSync(join(place.path, `${i}.${kind}`), "utf8");
    return { code: text("code").trim(), stdout: text("out"), stderr: text("err") };
  });
}

/**
 * Declares a test of each way in which programs run one after the other in one view: their exit
 * codes and outputs are those of the same bare.
 */
export function testTogether(programs: readonly Program[], ways: readonly Way[]): void {
  const runnable = programs.filter(({ lacks, isAlone }) => lacks === undefined && !isAlone);
  const bare = verdicts(runnable);
  for (const way of ways) {
    test(`programs one after the other ${way.name} are the same as bare`, async (t: TestContext) => {
      const tried = runnable.filter((program) => isTried(program, way));
      const [first, expected] = [await verdicts(tried, way), await bare];
      for (const [i, program] of tried.entries()) {
        const { code, stdout } = expected[runnable.indexOf(program)]!;
        assert.notEqual(code, "124", `bare, ${program.name} takes too long`);
        await t.test(program.name, async () => {
          const results = [first[i]!];
          const again = async (): Promise<Verdict> => (await verdicts([program], way))[0]!;
          const found = await settled(async () => results.pop() ?? (await again()));
          assert.deepEqual(found, { ...found, code, stdout });
        });
      }
    });
  }
}
