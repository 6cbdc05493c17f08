/**
 * The processes of a view that has no namespace to know them by. They carry a mark that children
 * and executed programs inherit and that has no effect: the soft limit of file locks, which Linux
 * has not enforced since 2.4 (getrlimit(2), RLIMIT_LOCKS).
 */
import { randomInt } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { killAll, type ViewProcesses } from "../server/view-processes.ts";

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

/** The mark of the view without namespaces that a process is in; undefined: it is in none. */
export function markOf(pid: number): number | undefined {
  const soft = Number(limitsOf(pid)?.[1]);
  return soft >= MARK_MIN && soft < MARK_MAX ? soft : undefined;
}

/** The soft limit of file locks that a process has. */
export function softLimitOfLocks(pid: number): bigint {
  const soft = limitsOf(pid)?.[1];
  return soft === undefined || soft === "unlimited" ? UNLIMITED : BigInt(soft);
}

/** All processes with a mark. */
export function markedProcesses(mark: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => hasMark(pid, mark));
}

/** The living processes with a mark: a zombie keeps its limits. */
export function processesWithMark(mark: number): ViewProcesses {
  const list = (): number[] => markedProcesses(mark).filter(isAlive);
  return { list, kill: () => killAll(list) };
}

function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
