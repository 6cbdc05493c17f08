/**
 * Filter rules that go with trapped path calls: what processes may not do because their paths would
 * no longer be theirs, and what the supervisor must hear of because it changes who they are.
 */
import { ERRNO } from "../base/index.ts";
import type { ArgumentTest, FilterAction, FilterRule } from "./filter.ts";
import { SyscallTable } from "./syscalls.ts";
import { ARCHITECTURES } from "./traps.ts";

const CLONE_FS = 0x200n;
const CLONE_THREAD = 0x10000n;
/** CLONE_NEWNS and CLONE_NEWUSER. */
const NEW_MOUNTS_OR_USERS = 0x10020000n;

const flags = (mask: bigint, value: bigint, differs = false): ArgumentTest => ({
  argument: 0,
  bits: 64,
  mask,
  value,
  differs,
});
const NEW_NAMESPACES = flags(NEW_MOUNTS_OR_USERS, 0n, true);

type Rule = (name: string, action: FilterAction, tests?: readonly ArgumentTest[]) => FilterRule[];

function onEach(rules: (rule: Rule) => readonly FilterRule[]): FilterRule[] {
  return ARCHITECTURES.flatMap((arch) => {
    const table = new SyscallTable(arch);
    return rules((name, action, tests = []) => {
      const call = table.named(name);
      return call === undefined ? [] : [{ arch, number: call.number, tests, action }];
    });
  });
}

/**
 * Rules for a view whose paths are decided about: no process gets mounts of its own, which would
 * show files under paths that nobody has decided about.
 */
export function namespaceRules(): FilterRule[] {
  const refuse = { kind: "errno", errno: ERRNO.EPERM } as const;
  return onEach((rule) => [
    ...rule("unshare", refuse, [NEW_NAMESPACES]),
    ...rule("clone", refuse, [NEW_NAMESPACES]),
    ...rule("setns", refuse),
  ]);
}

const USER = ["uid", "gid", "reuid", "regid", "resuid", "resgid", "fsuid", "fsgid", "groups"];
const PLACE = ["chdir", "fchdir", "umask", "chroot", "pivot_root", "unshare", "setns", "clone"];
const CHANGING = ["capset", ...USER.flatMap((name) => [`set${name}`, `set${name}32`]), ...PLACE];

/** Calls of an architecture after which a process is another one for its files, by number. */
export function callerChanges(arch: number): ReadonlyMap<number, string> {
  const table = new SyscallTable(arch);
  return new Map(
    CHANGING.flatMap((name) => {
      const call = table.named(name);
      return call === undefined ? [] : [[call.number, name] as const];
    }),
  );
}

/**
 * Rules for a view whose path calls are answered: `callerChanges` are told to the supervisor, and
 * of clone those that share a working directory with another process or make namespaces. clone3,
 * whose flags are in memory, is absent: the C library then uses clone. So is Landlock, which would
 * not hold for what the supervisor does in a process's name.
 */
export function callerRules(): FilterRule[] {
  const tell = { kind: "notify" } as const;
  const others = CHANGING.filter((name) => name !== "clone");
  return onEach((rule) => [
    ...others.flatMap((name) => rule(name, tell)),
    ...rule("clone", tell, [NEW_NAMESPACES]),
    ...rule("clone", tell, [flags(CLONE_FS | CLONE_THREAD, CLONE_FS)]),
    ...rule("clone3", { kind: "errno", errno: ERRNO.ENOSYS }),
    ...rule("landlock_create_ruleset", { kind: "errno", errno: ERRNO.EOPNOTSUPP }),
  ]);
}
