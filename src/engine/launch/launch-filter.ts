/** The filter of a guest, and how its supervisor gets what it needs to answer for it. */
import type { Argument, Step } from "../../sys/index.ts";
import {
  AUDIT_ARCH_X86_64,
  type ArgumentTest,
  coldRules,
  coldTraps,
  compileFilter,
  type FilterRule,
  levelZeroRules,
  SYS_X86_64 as SYS,
  type Trap,
  trapRules,
} from "../../viewos/index.ts";
import { outsideRules } from "./launch-outside.ts";
import { type Launcher, LISTENER_MESSAGE_FLAGS, MESSAGE, type ViewFacts } from "./launch-steps.ts";

const O_CLOEXEC = 0o2000000;
const SECCOMP_SET_MODE_FILTER = 1;
const FILTER_NEW_LISTENER = 8;
const FILTER_WAIT_KILLABLE = 32;

/** What a filter traps, and what goes along with its listener. */
export interface FilterPlan {
  /** Calls that reach the supervisor besides those of level 0. */
  readonly traps: readonly Trap[];
  /** Rules that go before those of the traps. */
  readonly rules: readonly FilterRule[];
  /** A view without namespaces: see `OutsideIdentity`. */
  readonly pass?: string;
  /** Of a view that the supervisor does not know of. */
  readonly facts?: ViewFacts;
  /** SECCOMP_FILTER_FLAG_* besides those of every filter. */
  readonly flags?: number;
  /** Is told of the step that comes to the listener before the next one is made. */
  readonly onInstalled?: (step: Step) => void;
}

/**
 * What a view's processes are trapped by. A trap goes before a refusal of level 0: the supervisor
 * refuses in its place. Rare calls come last: what traps say of them has been said.
 */
export function viewRules(traps: readonly Trap[]): FilterRule[] {
  return [...trapRules(traps), ...levelZeroRules(), ...coldRules(coldTraps())];
}

/**
 * The message with the listener passes, whatever is trapped: nobody answers yet.
 * @param session undefined: its number is not known before
 */
function listenerMessageRule(session: Argument): FilterRule {
  const test = (argument: number, value: number): ArgumentTest => {
    return { argument, bits: 32, mask: 0xffffffffn, value: BigInt(value) };
  };
  const flags = test(2, LISTENER_MESSAGE_FLAGS);
  return {
    arch: AUDIT_ARCH_X86_64,
    number: SYS.sendmsg,
    tests: typeof session === "number" ? [test(0, session), flags] : [flags],
    action: { kind: "allow" },
  };
}

/**
 * Opens the mount, host-name and user namespaces of a process: what a listener's message carries.
 * @param onOpened is told of each before the next step is made
 */
export function openNamespaces(
  launcher: Launcher,
  of: "self" | number,
  onOpened: (step: Step) => void = () => {},
): Step[] {
  return ["mnt", "uts", "user"].map((kind) => {
    const path = launcher.program.string(`/proc/${of}/ns/${kind}`);
    const opened = launcher.step(kind, SYS.open, [path, O_CLOEXEC, 0]);
    onOpened(opened);
    return opened;
  });
}

/**
 * Steps that install the filter and send its listener with the namespaces.
 * @returns the steps of which one comes to the listener
 */
export function installFilter(
  launcher: Launcher,
  namespaces: readonly Step[],
  { traps, rules, pass, facts, flags = 0, onInstalled }: FilterPlan,
): readonly [Step, Step] {
  const { program, session } = launcher;
  const message = traps.length === 0 ? [] : [listenerMessageRule(session)];
  const passed = pass === undefined ? [] : outsideRules(traps, pass);
  const filter = compileFilter([...message, ...passed, ...rules, ...viewRules(traps)]);
  // struct sock_fprog: length u16, padding, pointer.
  const descriptor = program.words([filter.length / 8, program.bytes(filter)]);
  const self = launcher.step("pid", SYS.getpid, []);
  const seccomp = (more: number): Argument[] => {
    return [SECCOMP_SET_MODE_FILTER, FILTER_NEW_LISTENER | flags | more, descriptor];
  };
  // A caller may be killed but not interrupted while it waits: a mount is not made twice.
  const install = launcher.step("the filter", SYS.seccomp, seccomp(FILTER_WAIT_KILLABLE));
  const before519 = program.detached(SYS.seccomp, seccomp(0));
  before519.onFailure = install.onFailure;
  install.onFailure = before519;
  onInstalled?.(install);
  const text = facts === undefined ? "" : JSON.stringify(facts);
  const descriptors = [install, ...namespaces];
  launcher.send(MESSAGE.listener, self, descriptors, LISTENER_MESSAGE_FLAGS, text);
  before519.next = install.next;
  before519.stores.push(...install.stores);
  return [install, before519];
}
