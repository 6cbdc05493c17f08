/** `v2 lab first-square`: what `npm start` runs. */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { EXIT } from "../base/index.ts";
import {
  type CheckResult,
  firstSquareChecks,
  Lab,
  loadTopology,
  statusRows,
  statusTable,
} from "../lab/index.ts";
import type { Invocation } from "./command.ts";
import { endSignal, say } from "./lab-support.ts";

/** From build/src/cli to the package's directory. */
const FILE = fileURLToPath(new URL("../../../examples/first-square.yaml", import.meta.url));
/** A shell that is told to end needs no longer, unless it ignores that. */
const SHELL_END_MS = 1000;
const MARKS = { passed: "ok", failed: "FAILED", "not applicable": "n/a" } as const;

export async function run(invocation: Invocation): Promise<number> {
  const { options } = invocation;
  const stop = endSignal();
  await using lab = await Lab.up(loadTopology(FILE), { say });
  if (options["once"] === true) return await check(lab, stop, options["json"] === true);
  process.stdout.write(statusTable(statusRows(lab.topology)));
  if (process.stdin.isTTY && process.stdout.isTTY) await shell(lab);
  else {
    say(`lab ${lab.topology.name} runs; end it with SIGINT or SIGTERM`);
    await Promise.race([stop, lab.ended]);
  }
  return EXIT.ok;
}

/** @returns 0 when no check has failed. */
async function check(lab: Lab, stop: Promise<string>, isJson: boolean): Promise<number> {
  const started = performance.now();
  const results: CheckResult[] = [];
  const stopped = stop.then(() => undefined);
  const checks = firstSquareChecks(lab);
  for (;;) {
    const next = await Promise.race([checks.next(), stopped]);
    if (next === undefined) return EXIT.failed;
    if (next.done === true) break;
    results.push(next.value);
    if (!isJson) process.stdout.write(checkLine(next.value));
  }
  const failed = results.filter((result) => result.outcome === "failed").length;
  const isOk = failed === 0;
  if (isJson) {
    const { name } = lab.topology;
    process.stdout.write(`${JSON.stringify({ lab: name, ok: isOk, checks: results })}\n`);
  } else {
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const skipped = results.filter((result) => result.outcome === "not applicable").length;
    const passed = results.length - failed - skipped;
    process.stdout.write(
      `${passed} passed, ${failed} failed, ${skipped} not applicable, ${seconds} s\n`,
    );
  }
  return isOk ? EXIT.ok : EXIT.failed;
}

function checkLine({ number, name, outcome, detail, milliseconds }: CheckResult): string {
  return `${MARKS[outcome].padEnd(6)}  ${number} ${name} (${milliseconds} ms): ${detail}\n`;
}

/** A shell in alice at this terminal; the lab ends with it. */
async function shell(lab: Lab): Promise<void> {
  say("you are in alice; try 'ping bob' or 'ip addr'; ctrl-D ends the lab");
  const program = process.env["SHELL"] ?? "/bin/sh";
  const child = lab
    .view("alice")
    .spawn([program], { stdio: "inherit", env: lab.environment("alice") });
  const exit = once(child, "exit");
  // The shell has the terminal: its ctrl-C is not for us, but a hang-up or SIGTERM ends both.
  const told = Promise.race([once(process, "SIGTERM"), once(process, "SIGHUP")]);
  const isTold = await Promise.race([told.then(() => true), exit, lab.ended]);
  if (isTold !== true) return;
  // Asked, not killed with the lab: a shell then gives the terminal back as it was.
  child.kill("SIGHUP");
  await Promise.race([exit, sleep(SHELL_END_MS, undefined, { ref: false })]);
}
