/**
 * Launching a guest of a view without namespaces (rung C): it keeps the host's, sees it through a
 * filter, and its supervisor stands beside it with the same user's rights and no more.
 */
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AUDIT_ARCH_X86_64,
  type ArgumentTest,
  type FilterRule,
  type MountSpec,
  SYS_X86_64 as SYS,
  type Trap,
  trapRules,
} from "../viewos/index.ts";
import type { Launcher } from "./launch-steps.ts";
import { hardLimitOfLocks, newMark, RLIMIT_LOCKS } from "./marked-processes.ts";

const PR_SET_NO_NEW_PRIVS = 38;
/** "Yama" in ASCII. */
const PR_SET_PTRACER = 0x59616d61;

/** Calls that such a view must see, besides those of level 0. */
export const OUTSIDE_TRAPS: readonly string[] = ["path", "exec", "uname", "olduname"];

/** How the guests of a view without namespaces are known and let pass. */
export interface OutsideIdentity {
  /** See marked-processes.ts. */
  readonly mark: number;
  /** Value of argument 5 that makes a call pass the filter, in hexadecimal. */
  readonly pass: string;
}

/** What the supervisor of such a view is told. */
export interface OutsideConfig extends OutsideIdentity {
  /** Directory for the trees of its mounts. */
  readonly folder: string;
}

/** How a guest enters such a view. */
export interface OutsideView extends OutsideIdentity {
  readonly supervisorPid: number;
  /** Undefined: as it is. */
  readonly hostName: string | undefined;
  /** Made before the command starts. */
  readonly mounts: readonly MountSpec[];
}

/** A new view's identity, and a directory for its trees. */
export function newOutsideConfig(): OutsideConfig {
  const mark = newMark();
  const folder = join(tmpdir(), `v2-view-${mark}`);
  mkdirSync(folder, { mode: 0o700 });
  // The host's root may let guests become others; they reach the trees, but cannot list them.
  if (process.geteuid!() === 0) chmodSync(folder, 0o711);
  return { mark, pass: randomBytes(8).toString("hex"), folder };
}

/** Steps before the filter. */
export function enterOutside(launcher: Launcher, view: OutsideView): void {
  // Programs that give their user rights must not be led to files of its choice.
  launcher.step("no new privileges", SYS.prctl, [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0]);
  launcher.attempt(SYS.prctl, [PR_SET_PTRACER, view.supervisorPid, 0, 0, 0]);
  const limits = launcher.program.words([view.mark, hardLimitOfLocks()]);
  launcher.step("the mark of the view", SYS.setrlimit, [RLIMIT_LOCKS, limits]);
}

/** Calls of guests that the supervisor makes in their place pass: they carry a word of its own. */
export function passRules(traps: readonly Trap[], pass: string): FilterRule[] {
  const value = BigInt(`0x${pass}`);
  const test = (arch: number): ArgumentTest => {
    const bits = arch === AUDIT_ARCH_X86_64 ? 64 : 32;
    const mask = bits === 64 ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn;
    return { argument: 5, bits, mask, value: value & mask };
  };
  return trapRules(traps).flatMap((rule) =>
    rule.action.kind === "notify"
      ? [{ ...rule, tests: [test(rule.arch)], action: { kind: "allow" } as const }]
      : [],
  );
}
