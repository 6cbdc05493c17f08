/**
 * Our FUSE server (a memory file system in TypeScript) against libfuse in C (a passthrough of a
 * directory on tmpfs, its low-level interface, with threads and without: the better one counts).
 * `stat-uncached` and `open-uncached`: the kernel remembers nothing, one path again and again.
 * `read-direct`: 4 KiB at random places past the page cache. `stat-cached`: for ever, against the
 * bare directory.
 *
 * Needs cc, pkg-config and libfuse3-dev.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { costFigure, type Figure } from "./figure.ts";

const INSIDE = fileURLToPath(new URL("./fuse-inside.js", import.meta.url));
const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../bench/fixtures/${name}`, import.meta.url));

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

function figuresOf(measured: Measured): readonly Figure[] {
  const figures: Figure[] = [];
  for (const [caseName, competitors] of Object.entries(measured)) {
    const [ours, ...others] = Object.entries(competitors);
    const isCached = caseName === "stat-cached";
    // Of libfuse's two ways the one that was faster; cached, what the kernel does on tmpfs.
    const peer = isCached ? others[0]! : [...others].sort((a, b) => least(a[1]) - least(b[1]))[0]!;
    const peerName = isCached ? "tmpfs" : `libfuse (${peer[0].endsWith("single") ? "-s" : "mt"})`;
    const seconds = (values: readonly number[]) => values.map((value) => value / 1e9);
    const name = { bench: "fuse-server", case: caseName, peerName };
    figures.push(
      costFigure({ ...name, metric: "time" }, seconds(ours![1]), seconds(peer[1])),
      costFigure(
        { ...name, metric: "least-time" },
        [least(ours![1]) / 1e9],
        [least(peer[1]) / 1e9],
      ),
    );
  }
  return figures;
}

/** Runs in turns; the first round is not counted. */
export async function run(options: { readonly runs: number }): Promise<readonly Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), "v2-bench-"));
  try {
    const [load, peer] = [join(folder, "load"), join(folder, "peer")];
    const flags = outputOf(["pkg-config", "--cflags", "--libs", "fuse3"]).trim().split(/\s+/);
    outputOf(["cc", "-O2", "-o", load, fixture("fuse-load.c")]);
    outputOf(["cc", "-O2", "-o", peer, fixture("fuse-passthrough.c"), ...flags]);
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
