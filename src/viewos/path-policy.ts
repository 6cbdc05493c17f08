/**
 * Decisions about paths. A policy is asked once for each file that a call names, with the path that
 * the file really has in the view: no symbolic link, no `..`, no other spelling is left in it, and
 * the call is then performed on that very file.
 */
import { MS } from "./mount-options.ts";
import type { PathOperation } from "./path-shapes.ts";

/** What is about to happen to a file. */
export interface PathAct {
  readonly operation: PathOperation;
  /** The file is there; else it is about to be made. */
  readonly exists: boolean;
  /** Its content, name or attributes may change. */
  readonly writes: boolean;
}

export interface PathPolicy {
  /**
   * @param path absolute, as the view has it (latin1: one character per octet)
   * @returns 0 to let it happen, or the errno that the call fails with
   */
  decide(act: PathAct, path: string): number;
}

/** File systems that show no file of another one under a new name. */
const MAKES_ITS_OWN_FILES = /^(?:tmpfs|ramfs|proc|sysfs|devpts|mqueue|cgroup2?|fuse(?:\..*)?)$/;

/**
 * May a process mount this where paths are decided about? Bind, move and overlay would give a
 * denied file another path.
 */
export function isMountAllowed(type: string, flags: number): boolean {
  if ((flags & MS.REMOUNT) !== 0) return true;
  return (flags & (MS.BIND | MS.MOVE)) === 0 && MAKES_ITS_OWN_FILES.test(type);
}

/** A path that is denied, with all below it. */
export interface DenyRule {
  readonly path: string;
  /** Only what writes is denied. */
  readonly writesOnly?: boolean;
  readonly errno: number;
}

/** Is `path` that of a directory, or below it? */
export function isBelow(path: string, directory: string): boolean {
  if (directory === "/") return true;
  return path === directory || path.startsWith(`${directory}/`);
}

/**
 * A fixed list of denied trees. A directory above one of them can be neither renamed nor replaced:
 * what is in it would be there under another path.
 */
export class DenyRules implements PathPolicy {
  readonly #rules: readonly DenyRule[];

  constructor(rules: readonly DenyRule[]) {
    this.#rules = rules;
  }

  decide(act: PathAct, path: string): number {
    for (const rule of this.#rules) {
      const denied = rule.writesOnly !== true || act.writes;
      if (denied && isBelow(path, rule.path)) return rule.errno;
      if (act.operation === "rename" && isBelow(rule.path, path)) return rule.errno;
    }
    return 0;
  }
}
