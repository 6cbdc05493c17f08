/** The filter of a view's processes, and the steps that install it. */
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
import { type Launcher, LISTENER_MESSAGE_FLAGS, MESSAGE } from "./launch-steps.ts";

const SECCOMP_SET_MODE_FILTER = 1;
const FILTER_NEW_LISTENER = 8;
const FILTER_WAIT_KILLABLE = 32;
const O_CLOEXEC = 0o2000000;

/** The launcher's own message under the filter passes, whatever is trapped. */
function listenerMessageRule(session: number): FilterRule {
  const test = (argument: number, value: number): ArgumentTest => {
    return { argument, bits: 32, mask: 0xffffffffn, value: BigInt(value) };
  };
  return {
    arch: AUDIT_ARCH_X86_64,
    number: SYS.sendmsg,
    tests: [test(0, session), test(2, LISTENER_MESSAGE_FLAGS)],
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
  session: number,
  traps: readonly Trap[],
  first: readonly FilterRule[] = [],
): Uint8Array {
  const message = traps.length === 0 ? [] : [listenerMessageRule(session)];
  return compileFilter([...message, ...first, ...viewRules(traps)]);
}

/**
 * Installs a filter and sends its listener, with the namespaces, to the supervisor.
 * @param facts of a view that begins here; empty for others
 */
export function installFilter(launcher: Launcher, filter: Uint8Array, facts: string): void {
  const { program } = launcher;
  // struct sock_fprog: length u16, padding, pointer.
  const descriptor = program.words([filter.length / 8, program.bytes(filter)]);
  const opened = (kind: string): Step =>
    launcher.step(kind, SYS.open, [program.string(`/proc/self/ns/${kind}`), O_CLOEXEC, 0]);
  const mounts = opened("mnt");
  const names = opened("uts");
  const users = opened("user");
  const self = launcher.step("pid", SYS.getpid, []);
  const seccomp = (flags: number): Argument[] => [SECCOMP_SET_MODE_FILTER, flags, descriptor];
  // A caller may be killed but not interrupted while it waits: a mount is not made twice.
  const install = launcher.step(
    "the filter",
    SYS.seccomp,
    seccomp(FILTER_NEW_LISTENER | FILTER_WAIT_KILLABLE),
  );
  const before519 = program.detached(SYS.seccomp, seccomp(FILTER_NEW_LISTENER));
  before519.onFailure = install.onFailure;
  install.onFailure = before519;
  const descriptors = [install, mounts, names, users];
  launcher.send(MESSAGE.listener, self, descriptors, LISTENER_MESSAGE_FLAGS, facts);
  before519.next = install.next;
  before519.stores.push(...install.stores);
}
