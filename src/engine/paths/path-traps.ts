/** Which calls that name files the supervisor answers itself, and which files it denies. */
import { callerRules, type FilterRule, namespaceRules } from "../../viewos/index.ts";

/** As JSON to a supervisor. */
export interface PathTraps {
  /** Classes, groups or calls; see `trapsOf`. */
  readonly calls: readonly string[];
  /** Absolute paths that fail with EACCES, with all below them. */
  readonly deny: readonly string[];
}

/** What a process of the view is refused besides, so that no decision is got round. */
export function rulesOf(traps: PathTraps): readonly FilterRule[] {
  return [...(traps.deny.length === 0 ? [] : namespaceRules()), ...callerRules()];
}
