/** The processes of a view, found by their user namespace. */
import { closeSync, openSync, readdirSync } from "node:fs";
import { fstatSync } from "node:fs";
import { namespaceId, namespacePath, parentUserNamespace } from "../sys/index.ts";

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
export function viewProcesses(userNamespace: bigint): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && belongsTo(pid, userNamespace));
}

/**
 * Kills every process of a view but ourselves, again until none is left (a process may fork while
 * we look). Undefined: nothing to do.
 */
export function killViewProcesses(userNamespace: bigint | undefined): void {
  if (userNamespace === undefined) return;
  const ROUNDS_MAX = 100;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const living = viewProcesses(userNamespace).filter((pid) => {
      try {
        process.kill(pid, "SIGKILL");
        return true;
      } catch {
        return false;
      }
    });
    if (living.length === 0) return;
  }
}
