/**
 * node build/fuzz/main.js TARGET|all [--count N] [--seconds S] [--seed N] [--replay FILE]
 * Ends with 1 when an input fails; the input is then saved under fuzz/corpus/TARGET.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { fuzz } from "./fuzz.ts";
import { FUSE_TARGETS } from "./fuse.ts";
import type { FuzzTarget } from "./target.ts";
import { VDE_TARGETS } from "./vde.ts";
import { VIEWOS_TARGETS } from "./viewos.ts";
import { WIRE_TARGETS } from "./wire.ts";

const TARGETS: readonly FuzzTarget[] = [
  ...WIRE_TARGETS,
  ...VDE_TARGETS,
  ...FUSE_TARGETS,
  ...VIEWOS_TARGETS,
];
const COUNT_DEFAULT = 100_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: "string" },
    seconds: { type: "string" },
    seed: { type: "string", default: "1" },
    replay: { type: "string" },
  },
});
const chosen = TARGETS.filter(({ name }) => positionals[0] === "all" || positionals[0] === name);
if (chosen.length === 0) {
  process.stderr.write(`Targets: all ${TARGETS.map(({ name }) => name).join(" ")}\n`);
  process.exitCode = 2;
}
for (const target of chosen) {
  if (values.replay === undefined) fire(target);
  else target.run(new Uint8Array(readFileSync(values.replay)));
}

function fire(target: FuzzTarget): void {
  const seed = Number(values.seed);
  const unboundedByCount = values.count === undefined && values.seconds !== undefined;
  const count = unboundedByCount ? Number.MAX_SAFE_INTEGER : Number(values.count ?? COUNT_DEFAULT);
  const startMs = performance.now();
  const endMs = startMs + Number(values.seconds ?? Number.POSITIVE_INFINITY) * 1000;
  const isOver = () => performance.now() >= endMs;
  const result = fuzz(target, { seed, count, isOver });
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  if (result.failure === undefined) {
    process.stdout.write(`${target.name}: ${result.count} inputs in ${seconds} s, seed ${seed}\n`);
    return;
  }
  const folder = `fuzz/corpus/${target.name}`;
  const file = `${folder}/seed-${seed}-input-${result.count}`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, result.failure.octets);
  const { error } = result.failure;
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stdout.write(`${target.name}: input ${result.count} failed, saved as ${file}\n${text}\n`);
  process.exitCode = 1;
}
