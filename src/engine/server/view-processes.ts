/** The processes of a view, found by their user namespace. */
import { closeSync, openSync, readdirSync } from "node:fs";
import { fstatSync } from "node:fs";
import { namespaceId, namespacePath, parentUserNamespace } from "../../sys/index.ts";

/** User namespaces nest 32 deep at most (user_namespaces(7)). */
const NESTING_MAX = 33;

/** Is the process in the user namespace with that identity, or in one made inside it? */
function belongsTo(pid: number, userNamespace: bigint): boolean {
  // A dead process that nobody has waited for is still in its user namespace, but in no other.
  if (namespaceId(pid, "mnt") === undefined) return false;
  let fd: number;
  try {
    fd = openSync(namespacePath(pid, "user"), "r");
  } catch {
    return false;
  }
  for (let depth = 0; depth < NESTING_MAX; depth++) {
    const found = fstatSync(fd, { bigint: true }).ino === userNamespace;
    const parent = found ? -1 : parentUserNamespace(fd);
    closeSync(fd);
    if (found) return true;
    if (parent === -1) return false;
    fd = parent;
  }
  closeSync(fd);
  return false;
}

/** All processes of a view but ourselves. */
function viewProcesses(userNamespace: bigint): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && belongsTo(pid, userNamespace));
}

/** The processes of a view, however they are known. */
export interface ViewProcesses {
  /** Their numbers, ours not among them. */
  list(): number[];
  /** Kills them, again until none is left (one may fork while we look). */
  kill(): void;
}

/** The processes inside a user namespace; undefined: there are none. */
export function processesInside(userNamespace: bigint | undefined): ViewProcesses {
  const list = (): number[] => (userNamespace === undefined ? [] : viewProcesses(userNamespace));
  return { list, kill: () => killAll(list) };
}

const ROUNDS_MAX = 100;

/** Kills what is listed until nothing is. */
export function killAll(list: () => number[]): void {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const living = list().filter((pid) => {
      try {
        return process.kill(pid, "SIGKILL");
      } catch {
        return false;
      }
    });
    if (living.length === 0) return;
  }
}
