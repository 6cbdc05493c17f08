/** What several checks need: failing, and running a program of a view to success. */
import { spawnSync } from "node:child_process";
import type { RunOptions } from "../engine/index.ts";
import type { Lab } from "./lab.ts";

const RUN_LIMIT_MS = 60_000;
const OUTPUT_SHOWN = 300;

/** Thrown by a check that this machine cannot run: a program is not installed. */
export class NotApplicable extends Error {}

export interface Check {
  readonly name: string;
  /** @returns what was seen. @throws Error: the check has failed, and why; NotApplicable. */
  run(lab: Lab): Promise<string>;
}

/** Fails the check unless the condition holds. */
export function expect(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new Error(otherwise);
}

/** The check cannot run without this program. */
export function needs(program: string, debianPackage: string): void {
  const found = spawnSync("/bin/sh", ["-c", `command -v "$1"`, "sh", program]);
  if (found.status !== 0) throw new NotApplicable(`needs ${program}: apt install ${debianPackage}`);
}

/** Runs a program in a view; @returns its standard output. Fails unless it ends with 0. */
export async function succeed(
  lab: Lab,
  node: string,
  argv: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const result = await lab.view(node).run(argv, { timeoutMs: RUN_LIMIT_MS, ...options });
  const output = `${result.stderr}${result.stdout}`.trim().slice(0, OUTPUT_SHOWN);
  const how = result.signal ?? `exit ${result.code}`;
  expect(result.code === 0, `${node}: ${argv.slice(0, 3).join(" ")}: ${how}: ${output}`);
  return result.stdout;
}
