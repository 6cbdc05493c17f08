/**
 * The part of bench/fuse-server.ts that runs in a mount namespace: FOLDER LOAD PEER ROUNDS. Mounts
 * what is compared, measures in turns, and prints one line of JSON with the nanoseconds of each
 * case and competitor.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { mountVirtualFiles, OWN_FILE_SYSTEMS } from "../src/engine/index.ts";

const [folder, load, peer, roundsText] = process.argv.slice(2) as [string, string, string, string];
const ROUNDS = Number(roundsText);
const FILE_OCTETS = 16 << 20;
const MOUNT_WAIT_MS = 5000;
const ATTEMPTS = 7;

/** Competitors: name, and where their copy of the file is. */
const files: { [name: string]: string } = {};

function directory(name: string): string {
  const path = join(folder, name);
  mkdirSync(path);
  return path;
}

async function ours(
  name: string,
  kind: keyof typeof OWN_FILE_SYSTEMS,
  options: { readonly [name: string]: string },
): Promise<void> {
  const target = directory(name);
  const source = join(folder, "back");
  await mountVirtualFiles({ module: OWN_FILE_SYSTEMS[kind], source, target, options });
  const file = join(target, "file");
  // By another process: whoever serves must not have files open.
  if (kind === "ram") spawnSync("cp", [join(source, "file"), file]);
  files[name] = file;
}

async function libfuse(name: string, ttl: number, isDirect: boolean, words: readonly string[]) {
  const target = directory(name);
  const argv = [join(folder, "back"), String(ttl), isDirect ? "1" : "0", target, "-f", ...words];
  const child = spawn(peer, argv, { stdio: "inherit" });
  const device = statSync(folder).dev;
  for (let waited = 0; statSync(target).dev === device; waited += 10) {
    if (waited > MOUNT_WAIT_MS) throw new Error(`${peer} does not mount`);
    await sleep(10);
  }
  files[name] = join(target, "file");
  return child;
}

/** Kind of work, how many, and who competes: ours first. */
const CASES: { readonly [name: string]: readonly [string, number, readonly string[]] } = {
  "stat-uncached": ["stat", 1000, ["ours-uncached", "peer", "peer-single", "real"]],
  "open-uncached": ["open", 600, ["ours-uncached", "peer", "peer-single", "real"]],
  "read-direct": ["read", 1000, ["ours-direct", "peer-direct", "peer-direct-single"]],
  "stat-cached": ["stat", 20_000, ["ours-cached", "bare", "peer-cached"]],
};

/**
 * The best of some short runs: a figure of microseconds, where a scheduler on a machine in use adds
 * tens of them.
 */
function measure(work: string, count: number, competitor: string): number {
  let best = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const words = [work, files[competitor]!, String(count)];
    const result = spawnSync(load, words, { encoding: "utf8" });
    if (result.status !== 0) throw new Error(`${work} ${competitor}: ${result.stderr}`);
    best = Math.min(best, Number(result.stdout));
  }
  return best;
}

const back = directory("back");
writeFileSync(join(back, "file"), Buffer.alloc(FILE_OCTETS, 7));
files["bare"] = join(back, "file");
await ours("ours-uncached", "ram", { ttl: "0" });
await ours("ours-direct", "ram", { direct: "" });
await ours("ours-cached", "ram", {});
await ours("real", "real", {});
const peers = [
  await libfuse("peer", 0, false, []),
  await libfuse("peer-single", 0, false, ["-s"]),
  await libfuse("peer-direct", 0, true, []),
  await libfuse("peer-direct-single", 0, true, ["-s"]),
  await libfuse("peer-cached", 3600, false, []),
];

const found: { [caseName: string]: { [competitor: string]: number[] } } = {};
for (const [name, [, , competitors]] of Object.entries(CASES)) {
  found[name] = Object.fromEntries(competitors.map((who) => [who, []]));
}
for (let round = -1; round < ROUNDS; round++) {
  for (const [name, [work, count, competitors]] of Object.entries(CASES)) {
    const first = (round + 1) % competitors.length;
    for (const who of [...competitors.slice(first), ...competitors.slice(0, first)]) {
      const nanoseconds = measure(work, count, who);
      if (round >= 0) found[name]![who]!.push(nanoseconds);
    }
  }
}
process.stdout.write(`${JSON.stringify(found)}\n`);
for (const child of peers) {
  child.kill();
  await once(child, "exit");
}
process.exit(0);
