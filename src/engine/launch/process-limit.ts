/**
 * The limit of processes (RLIMIT_NPROC, `ulimit -u`), looked at before a view is started: a
 * supervisor that gets no thread any more would leave its view half alive.
 */
import { readdirSync, readFileSync } from "node:fs";
import { EXIT, V2Error } from "../../base/index.ts";

/** Threads of a supervisor and of what starts it, with some to spare for the command. */
export const SUPERVISOR_THREADS = 16;
/** Below that the processes are counted: it takes time. Nobody has so many near a higher limit. */
const COUNTED_BELOW = 4096;

/** A view cannot be started for want of processes. */
export function tooFewProcesses(message: string): V2Error {
  return new V2Error("PROCESS_LIMIT", message, {
    remedy: `a view needs about ${SUPERVISOR_THREADS} processes and threads besides your command: end some, or raise the limit (ulimit -u)`,
    exitCode: EXIT.unavailable,
  });
}

/** How many more processes and threads this user may start; Infinity: as many as matter. */
export function roomForProcesses(): number {
  if (process.geteuid!() === 0) return Infinity;
  const limits = readFileSync("/proc/self/limits", "utf8");
  const limit = Number(/^Max processes\s+(\d+)/m.exec(limits)?.[1] ?? Infinity);
  return limit < COUNTED_BELOW ? limit - threadsOf(process.geteuid!()) : Infinity;
}

/** Threads of all processes of a user. */
function threadsOf(uid: number): number {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => threadsIn(pid, uid))
    .reduce((sum, count) => sum + count, 0);
}

function threadsIn(pid: string, uid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const isTheirs = Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]) === uid;
    return isTheirs ? Number(/^Threads:\s+(\d+)/m.exec(status)?.[1] ?? 0) : 0;
  } catch {
    return 0; // it has ended
  }
}
