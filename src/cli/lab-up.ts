/** `v2 lab up FILE`: a runner in the background, or this process with --foreground. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { EXIT } from "../base/index.ts";
import {
  forgetLog,
  Lab,
  loadTopology,
  makeLogPath,
  statusRows,
  statusTable,
} from "../lab/index.ts";
import type { Invocation } from "./command.ts";
import { allWords, endSignal, say, wordAt } from "./lab-support.ts";

const MAIN = fileURLToPath(new URL("./main.js", import.meta.url));
const READY_FD = 3;

export async function run(invocation: Invocation): Promise<number> {
  const { options } = invocation;
  const file = wordAt(allWords(invocation), 0, "the topology file");
  const topology = loadTopology(file);
  if (options["foreground"] !== true) {
    const code = await startRunner(file, topology.name);
    if (code === EXIT.ok) process.stdout.write(statusTable(statusRows(topology)));
    return code;
  }
  const stop = endSignal();
  await using lab = await Lab.up(topology, { say });
  announce(options["ready-fd"] as string | undefined);
  await Promise.race([stop, lab.ended]);
  return EXIT.ok;
}

/**
 * Starts the runner in a session of its own; @returns 0 when the lab runs, else the runner's code.
 * It speaks to a log, not to our standard error: whoever reads that would wait for the lab's end.
 */
async function startRunner(file: string, name: string): Promise<number> {
  const log = makeLogPath(name);
  const argv = ["lab", "up", "--foreground", "--ready-fd", String(READY_FD), file];
  const out = openSync(log, "w", 0o600);
  const child = spawn(process.execPath, [MAIN, ...argv], {
    detached: true,
    stdio: ["ignore", "ignore", out, "pipe"],
  });
  closeSync(out);
  const ready = child.stdio[READY_FD] as Readable;
  const code = await Promise.race([
    once(ready, "data").then(() => EXIT.ok),
    once(child, "exit").then(([exitCode]) => (exitCode as number | null) ?? EXIT.failed),
  ]);
  ready.destroy();
  child.unref();
  process.stderr.write(readFileSync(log));
  // Its last words have been shown: of a lab that does not run nothing stays.
  if (code !== EXIT.ok) forgetLog(name);
  return code;
}

function announce(fd: string | undefined): void {
  if (fd === undefined) return;
  writeSync(Number(fd), "\n");
  closeSync(Number(fd));
}
