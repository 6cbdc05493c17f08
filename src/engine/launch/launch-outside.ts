/**
 * Launching a guest of a view without namespaces (rung C): it keeps the host's, sees it through a
 * filter, and its supervisor stands beside it with the same user's rights and no more.
 */
import { randomBytes } from "node:crypto";
import { ERRNO } from "../../base/index.ts";
import {
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
  type ArgumentTest,
  callerRules,
  compileFilter,
  type FilterRule,
  type MountSpec,
  namespaceRules,
  SYS_X86_64 as SYS,
  SyscallTable,
  type Trap,
  trapRules,
} from "../../viewos/index.ts";
import { viewRules } from "./launch-filter.ts";
import { type Launcher, MESSAGE } from "./launch-steps.ts";
import { hardLimitOfLocks, newMark, RLIMIT_LOCKS } from "./marked-processes.ts";
import { makeTrees, sweepTrees } from "../outside/outside-trees.ts";

const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_SET_MODE_FILTER = 1;
/** "Yama" in ASCII. */
const PR_SET_PTRACER = 0x59616d61;

/** Calls that such a view must see, besides those of level 0. */
export const OUTSIDE_TRAPS: readonly string[] = [
  "path",
  "exec",
  "uname",
  "olduname",
  // Sockets of the Unix domain have paths.
  "bind",
  "connect",
  // Who has namespaces of its own is left alone; the flags of clone3 are in memory.
  "unshare",
  "setns",
  "clone3",
];

/** How the guests of a view without namespaces are known and let pass. */
export interface OutsideIdentity {
  /** Its guests are traced (rung D), not watched through a listener. */
  readonly traced: boolean;
  /** See marked-processes.ts. */
  readonly mark: number;
  /** Value of argument 5 that makes a call pass the filter, in hexadecimal. */
  readonly pass: string;
  /** Files are denied (--deny). */
  readonly denies: boolean;
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
export function newOutsideConfig(traced: boolean, denies: boolean): OutsideConfig {
  sweepTrees();
  const mark = newMark();
  const pass = randomBytes(8).toString("hex");
  return { traced, mark, pass, denies, folder: makeTrees(mark) };
}

/** Steps before the filter. */
export function enterOutside(launcher: Launcher, view: OutsideView): void {
  // Programs that give their user rights must not be led to files of its choice.
  launcher.step("no new privileges", SYS.prctl, [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0]);
  launcher.attempt(SYS.prctl, [PR_SET_PTRACER, view.supervisorPid, 0, 0, 0]);
  const limits = launcher.program.words([view.mark, hardLimitOfLocks()]);
  launcher.step("the mark of the view", SYS.setrlimit, [RLIMIT_LOCKS, limits]);
}

/** Steps that hand the process to its tracer, with a filter where the kernel has filters. */
export function beTraced(launcher: Launcher, rules: readonly FilterRule[]): void {
  const { program } = launcher;
  const filter = compileFilter(rules);
  const descriptor = program.words([filter.length / 8, program.bytes(filter)]);
  launcher.send(MESSAGE.traced, launcher.step("pid", SYS.getpid, []));
  const install = launcher.attempt(SYS.seccomp, [SECCOMP_SET_MODE_FILTER, 0, descriptor]);
  launcher.send(MESSAGE.filtered, install);
  launcher.awaitAnswer("the tracer");
}

/**
 * What traced guests are stopped at and refused, by the kernel or, where that has no filters, by
 * their tracer.
 */
export function tracedRules(traps: readonly Trap[], denies: boolean): readonly FilterRule[] {
  const trace = { kind: "trace" } as const;
  const rules = [...(denies ? denyRules() : []), ...callerRules(), ...viewRules(traps)];
  return rules.map((rule) => (rule.action.kind === "notify" ? { ...rule, action: trace } : rule));
}

/**
 * Calls that a guest makes itself where the supervisor leads it to other files; an open only of a
 * mere name. No other call passes, whatever it carries: the supervisor makes it.
 */
const LED_CALLS: ReadonlySet<string> = new Set(["chdir", "execve", "execveat", "bind", "connect"]);
const O_PATH = 0o10000000n;

/**
 * What a guest under whose eyes files are denied may not do to processes that are not denied any.
 */
const OTHERS_HANDS: readonly string[] = ["ptrace", "process_vm_writev", "pidfd_getfd"];

/** Rules of a view where files are denied; they go before all others. */
function denyRules(): FilterRule[] {
  const action = { kind: "errno", errno: ERRNO.EPERM } as const;
  const others = [AUDIT_ARCH_X86_64, AUDIT_ARCH_I386].flatMap((arch) => {
    const table = new SyscallTable(arch);
    return OTHERS_HANDS.flatMap((name) => {
      const call = table.named(name);
      return call === undefined ? [] : [{ arch, number: call.number, tests: [], action }];
    });
  });
  return [...others, ...namespaceRules()];
}

/**
 * What goes before the rules of the traps. Calls of guests that the supervisor makes in their place
 * pass: they carry a word of its own.
 */
export function outsideRules(
  traps: readonly Trap[],
  { pass, denies }: OutsideIdentity,
): FilterRule[] {
  const value = BigInt(`0x${pass}`);
  const test = (arch: number): ArgumentTest => {
    const bits = arch === AUDIT_ARCH_X86_64 ? 64 : 32;
    const mask = bits === 64 ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn;
    return { argument: 5, bits, mask, value: value & mask };
  };
  const passed = trapRules(traps).flatMap((rule): FilterRule[] => {
    if (rule.action.kind !== "notify") return [];
    const limits = ledOnly(rule);
    const action = { kind: "allow" } as const;
    return limits === undefined ? [] : [{ ...rule, tests: [test(rule.arch), ...limits], action }];
  });
  return [...(denies ? denyRules() : []), ...passed, ...callerRules()];
}

/** Further conditions for a call to pass; undefined: it never does. */
function ledOnly({ arch, number }: FilterRule): readonly ArgumentTest[] | undefined {
  const call = new SyscallTable(arch).numbered(number);
  if (call === undefined || call.arguments === "words") return undefined;
  if (LED_CALLS.has(call.name)) return [];
  const argument = call.arguments.indexOf("open-flags");
  if (argument === -1) return undefined;
  return [{ argument, bits: 32, mask: O_PATH, value: O_PATH }];
}
