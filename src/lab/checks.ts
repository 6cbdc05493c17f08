/**
 * The checks of the first square (`v2 lab first-square --once`): each uses the real thing, none is
 * simulated.
 */
import { debianPlugCheck, httpCheck, pingCheck, stackCheck } from "./check-network.ts";
import { type Check, NotApplicable } from "./check-support.ts";
import { identityCheck, imageCheck, mountCheck } from "./check-system.ts";
import type { Lab } from "./lab.ts";

export type CheckOutcome = "passed" | "failed" | "not applicable";

export interface CheckResult {
  readonly number: number;
  readonly name: string;
  readonly outcome: CheckOutcome;
  /** What was seen; what to install when it is not applicable. */
  readonly detail: string;
  readonly milliseconds: number;
}

const CHECKS: readonly Check[] = [
  pingCheck,
  httpCheck,
  mountCheck,
  imageCheck,
  debianPlugCheck,
  identityCheck,
  stackCheck,
];

/** Runs the checks one after the other. */
export async function* firstSquareChecks(lab: Lab): AsyncGenerator<CheckResult> {
  for (const [index, check] of CHECKS.entries()) {
    const started = performance.now();
    const { outcome, detail } = await outcomeOf(check, lab);
    const milliseconds = Math.round(performance.now() - started);
    yield { number: index + 1, name: check.name, outcome, detail, milliseconds };
  }
}

async function outcomeOf(
  check: Check,
  lab: Lab,
): Promise<{ readonly outcome: CheckOutcome; readonly detail: string }> {
  try {
    return { outcome: "passed", detail: await check.run(lab) };
  } catch (error) {
    const detail = (error as Error).message;
    return { outcome: error instanceof NotApplicable ? "not applicable" : "failed", detail };
  }
}
