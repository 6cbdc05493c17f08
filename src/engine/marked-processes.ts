/**
 * The processes of a view that has no namespace to know them by. They carry a mark that children
 * and executed programs inherit and that has no effect: the soft limit of file locks, which Linux
 * has not enforced since 2.4 (getrlimit(2), RLIMIT_LOCKS).
 */
import { randomInt } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";

/** RLIMIT_LOCKS of sys/resource.h. */
export const RLIMIT_LOCKS = 10;
const MARK_MIN = 2 ** 40;
const MARK_MAX = 2 ** 47;

/** A mark that no other view has. */
export function newMark(): number {
  return randomInt(MARK_MIN, MARK_MAX);
}

function limitsOf(pid: number | "self"): RegExpExecArray | null {
  try {
    const text = readFileSync(`/proc/${pid}/limits`, "utf8");
    return /^Max file locks\s+(\d+|unlimited)\s+(\d+|unlimited)/m.exec(text);
  } catch {
    return null;
  }
}

const UNLIMITED = 0xffff_ffff_ffff_ffffn;

/** The hard limit of file locks that we have ourselves. */
export function hardLimitOfLocks(): bigint {
  const hard = limitsOf("self")?.[2];
  return hard === undefined || hard === "unlimited" ? UNLIMITED : BigInt(hard);
}

/** Has the process that mark? */
export function hasMark(pid: number, mark: number): boolean {
  return limitsOf(pid)?.[1] === String(mark);
}

/** All processes with a mark. */
export function markedProcesses(mark: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => hasMark(pid, mark));
}

/** Kills every process with a mark, again until none is left (one may fork while we look). */
export function killMarkedProcesses(mark: number): void {
  const ROUNDS_MAX = 100;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const killed = markedProcesses(mark).filter((pid) => {
      try {
        // A zombie keeps its limits, and a signal to it is no error.
        process.kill(pid, "SIGKILL");
        return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
      } catch {
        return false;
      }
    });
    if (killed.length === 0) return;
  }
}
