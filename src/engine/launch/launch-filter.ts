/** The filter of a view's processes, and the steps that install it. */
import { type Argument, O, type Step } from "../../sys/index.ts";
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
import { type Launcher, LISTENER_MESSAGE_FLAGS, MESSAGE } from "./launch-steps.ts";

const SECCOMP_SET_MODE_FILTER = 1;
const FILTER_NEW_LISTENER = 8;
const FILTER_WAIT_KILLABLE = 32;

/**
 * The launcher's own message under the filter passes, whatever is trapped.
 * @param session the result of a step: its number is not known before
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
 * What a view's processes are trapped by. A trap goes before a refusal of level 0: the supervisor
 * refuses in its place. Rare calls come last: what traps say of them has been said.
 */
export function viewRules(traps: readonly Trap[]): FilterRule[] {
  return [...trapRules(traps), ...levelZeroRules(), ...coldRules(coldTraps())];
}

/**
 * The compiled filter of a guest.
 * @param session descriptor over which the launcher sends the listener
 * @param first rules that go before those of the traps
 */
export function viewFilter(
  session: Argument,
  traps: readonly Trap[],
  first: readonly FilterRule[] = [],
): Uint8Array {
  const message = traps.length === 0 ? [] : [listenerMessageRule(session)];
  return compileFilter([...message, ...first, ...viewRules(traps)]);
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
    const opened = launcher.step(kind, SYS.open, [path, O.CLOEXEC, 0]);
    onOpened(opened);
    return opened;
  });
}

/** What is special about the filter of a process, or about the message with its listener. */
export interface FilterOptions {
  /** Of a view that begins here. */
  readonly facts?: string;
  /** SECCOMP_FILTER_FLAG_* besides those of every filter. */
  readonly flags?: number;
  /** Is told of the step that comes to the listener before the next one is made. */
  readonly onInstalled?: (step: Step) => void;
}

/**
 * Installs a filter and sends its listener, with the namespaces, to the supervisor.
 * @returns the steps of which one comes to the listener
 */
export function installFilter(
  launcher: Launcher,
  filter: Uint8Array,
  namespaces: readonly Step[],
  { facts = "", flags = 0, onInstalled }: FilterOptions = {},
): readonly [Step, Step] {
  const { program } = launcher;
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
  const descriptors = [install, ...namespaces];
  launcher.send(MESSAGE.listener, self, descriptors, LISTENER_MESSAGE_FLAGS, facts);
  before519.next = install.next;
  before519.stores.push(...install.stores);
  return [install, before519];
}
