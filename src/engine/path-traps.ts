/** Which calls that name files the supervisor answers itself, and which files it denies. */
import { ERRNO } from "../base/index.ts";
import { DenyRules, type PathPolicy } from "../viewos/index.ts";

/** As JSON to a supervisor. */
export interface PathTraps {
  /** Classes, groups or calls; see `trapsOf`. */
  readonly calls: readonly string[];
  /** Absolute paths that fail with EACCES, with all below them. */
  readonly deny: readonly string[];
}

/** The policy of a view; undefined: all is as the kernel has it. */
export function policyOf(traps: PathTraps): PathPolicy | undefined {
  if (traps.deny.length === 0) return undefined;
  return new DenyRules(traps.deny.map((path) => ({ path, errno: ERRNO.EACCES })));
}
