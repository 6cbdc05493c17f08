/**
 * `npm run bench -- NAME [--runs N]`: runs bench/NAME.ts and prints a table for people, then one
 * JSON line per figure. Without a name it lists the benchmarks.
 */
import { readdirSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { Figure, RunBenchmark } from "./figure.ts";

const RUNS_DEFAULT = 7;
/** Where the compiled benchmarks lie: beside this file. */
const HERE = new URL("./", import.meta.url);

/** Files that export `run`. */
function benchmarkNames(): readonly string[] {
  return readdirSync(HERE)
    .filter((file) => /^[a-z0-9-]+\.js$/.test(file))
    .filter((file) =>
      /^export (?:async )?(?:function|const) run\b/m.test(
        readFileSync(new URL(file, HERE), "utf8"),
      ),
    )
    .map((file) => file.replace(/\.js$/, ""))
    .sort();
}

/** Four significant digits: what a benchmark on a shared machine can mean. */
const round = (value: number): number => Number(value.toPrecision(4));

function table(figures: readonly Figure[]): string {
  const head = ["case", "metric", "ours", "peer", "", "ratio", "runs"];
  const rows = figures.map((f) => [
    f.case,
    f.metric,
    String(round(f.ours)),
    String(round(f.peer)),
    f.peerName,
    f.ratio.toFixed(3),
    String(f.runs),
  ]);
  const all = [head, ...rows];
  const widths = head.map((_, i) => Math.max(...all.map((row) => row[i]!.length)));
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (i < 2 || i === 4 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)));
  return all.map((row) => `${line(row).join("  ").trimEnd()}\n`).join("");
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { runs: { type: "string", default: String(RUNS_DEFAULT) } },
    allowPositionals: true,
  });
  const runs = Number(values.runs);
  const names = benchmarkNames();
  const [name] = positionals;
  if (name === undefined || !names.includes(name) || !Number.isInteger(runs) || runs < 1) {
    process.stderr.write(
      `usage: npm run bench -- NAME [--runs N]\nbenchmarks: ${names.join(" ")}\n`,
    );
    return 2;
  }
  const { run } = (await import(new URL(`${name}.js`, HERE).href)) as { run: RunBenchmark };
  const figures = await run({ runs });
  process.stdout.write(table(figures));
  for (const one of figures) {
    const { bench, case: caseName, metric, ours, peer, peerName, ratio } = one;
    const numbers = { ours: round(ours), peer: round(peer), peerName, ratio: round(ratio) };
    const text = JSON.stringify({ bench, case: caseName, metric, ...numbers, runs: one.runs });
    process.stdout.write(`${text}\n`);
  }
  return 0;
}

process.exitCode = await main();
