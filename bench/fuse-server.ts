/**
 * Our FUSE server against libfuse in C: a memory file system in TypeScript, and a passthrough of a
 * directory on tmpfs by libfuse's low-level interface, as it runs by default (threads) and with -s
 * (`…-single`). `stat-uncached`, `open-uncached`: the kernel is told to remember nothing, one path
 * again and again; ours answers a stat by one request and opens files without any, which are ways
 * of ours to be faster. `…-real`: our own passthrough of the same directory. `read-direct`: 4 KiB
 * at random places past the page cache. `stat-cached`: remembered for ever, against the bare
 * directory.
 *
 * Needs cc, pkg-config and libfuse3-dev.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { costFigure, type Figure } from "./figure.ts";
import { compileFixture } from "./programs.ts";

const INSIDE = fileURLToPath(new URL("./fuse-inside.js", import.meta.url));

function outputOf(words: readonly string[]): string {
  const [program, ...rest] = words;
  const stdio = ["ignore", "pipe", "inherit"] as const;
  const result = spawnSync(program!, rest, { encoding: "utf8", stdio: [...stdio] });
  if (result.status === 0) return result.stdout;
  throw new Error(`${words.join(" ")}: ${result.error?.message ?? `exit code ${result.status}`}`);
}

/** Nanoseconds by case and competitor. */
interface Measured {
  readonly [caseName: string]: { readonly [competitor: string]: readonly number[] };
}

const least = (values: readonly number[]): number => Math.min(...values);
const seconds = (values: readonly number[]): number[] => values.map((value) => value / 1e9);

/** Name of the case and of the peer, and who competes. */
function duel(caseName: string, measured: Measured[string], suffix: string) {
  const find = (end: string): readonly number[] | undefined =>
    Object.entries(measured).find(([name]) => name.endsWith(end))?.[1];
  const ours = suffix === "-real" ? find("real") : Object.values(measured)[0];
  const peer = Object.values(measured)[suffix === "-single" ? 2 : 1]!;
  const peerName = caseName === "stat-cached" ? "tmpfs" : "libfuse";
  return ours === undefined ? undefined : { caseName: caseName + suffix, peerName, ours, peer };
}

function figuresOf(measured: Measured): readonly Figure[] {
  const duels = Object.entries(measured).flatMap(([caseName, competitors]) =>
    (caseName === "stat-cached" ? [""] : ["", "-single", "-real"]).flatMap(
      (suffix) => duel(caseName, competitors, suffix) ?? [],
    ),
  );
  return duels.flatMap(({ caseName, peerName, ours, peer }) => {
    const name = { bench: "fuse-server", case: caseName, peerName };
    return [
      costFigure({ ...name, metric: "time" }, seconds(ours), seconds(peer)),
      costFigure({ ...name, metric: "least-time" }, [least(ours) / 1e9], [least(peer) / 1e9]),
    ];
  });
}

/** Runs in turns; the first round is not counted. */
export async function run(options: { readonly runs: number }): Promise<readonly Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), "v2-bench-"));
  try {
    const [load, peer] = [join(folder, "load"), join(folder, "peer")];
    const flags = outputOf(["pkg-config", "--cflags", "--libs", "fuse3"]).trim().split(/\s+/);
    compileFixture("fuse-load", load);
    compileFixture("fuse-passthrough", peer, ...flags);
    const namespaces = process.getuid!() === 0 ? ["-m"] : ["-Urm"];
    const mounted = 'mount -t tmpfs tmpfs "$1/mnt" && shift && exec "$@"';
    outputOf(["mkdir", join(folder, "mnt")]);
    const inside = [process.execPath, INSIDE, join(folder, "mnt"), load, peer];
    const words = ["sh", "-c", mounted, "sh", folder, ...inside, String(options.runs)];
    return figuresOf(JSON.parse(outputOf(["unshare", ...namespaces, ...words])) as Measured);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
