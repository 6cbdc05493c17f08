/**
 * Traps by name: classes, groups of them, or single calls become rules of a filter on each
 * architecture that a process on this machine can call by, so that none is a way round the other.
 */
import { ERRNO } from "../base/index.ts";
import type { ArgumentTest, FilterAction, FilterRule } from "./filter.ts";
import { AUDIT_ARCH_I386, AUDIT_ARCH_X86_64 } from "./syscall-numbers.ts";
import {
  callNumbers,
  CLASS_GROUPS,
  SYSCALL_CLASSES,
  type Syscall,
  type SyscallClass,
  SyscallTable,
} from "./syscalls.ts";

/** A condition on the flags that open a file, wherever in the call they are. */
export interface OpenFlagsTest {
  readonly mask: number;
  readonly value: number;
  readonly differs?: boolean;
}

/** Calls to trap. */
export interface Trap {
  /** Classes (`path-write`), groups (`path`, `all`) or names of calls (`openat`). */
  readonly calls: readonly string[];
  /** Names of calls and nothing else: `socket` is the call, not the group. */
  readonly names?: readonly string[];
  /**
   * Only with these open flags. Calls without such flags are trapped in any case; so is openat2,
   * whose flags are in memory, where a filter cannot look.
   */
  readonly openFlags?: OpenFlagsTest;
  /** Only when these hold of the words in the registers. */
  readonly tests?: readonly ArgumentTest[];
}

/** Architectures whose calls reach an x86_64 kernel; x32 is refused by every filter of a view. */
export const ARCHITECTURES = [AUDIT_ARCH_X86_64, AUDIT_ARCH_I386] as const;

/** Classes that io_uring would perform without any system call that a filter sees. */
const PAST_BY_IO_URING: ReadonlySet<SyscallClass> = new Set([
  ...CLASS_GROUPS["path"]!,
  ...CLASS_GROUPS["socket"]!,
]);

/** i386 performs socket calls by one number; these sub-calls create (linux/net.h). */
const SOCKETCALL_CREATES = [1n, 8n] as const;

/** Is that word a class, a group, or a call of one of the architectures? */
export function isTrapName(word: string): boolean {
  if (Object.hasOwn(CLASS_GROUPS, word) || (SYSCALL_CLASSES as string[]).includes(word))
    return true;
  return ARCHITECTURES.some((arch) => new SyscallTable(arch).named(word) !== undefined);
}

/** A trap on one architecture. */
interface Selected {
  readonly call: Syscall;
  readonly tests: readonly ArgumentTest[];
}

function selected(table: SyscallTable, trap: Trap): Selected[] {
  const words = new Set<string>();
  for (const word of trap.calls) {
    const members = Object.hasOwn(CLASS_GROUPS, word) ? CLASS_GROUPS[word]! : [word];
    for (const member of members) words.add(member);
  }
  const names = new Set(trap.names);
  const found: Selected[] = [];
  for (const call of table.calls()) {
    if (words.has(call.class) || words.has(call.name) || names.has(call.name)) {
      found.push({ call, tests: [...openTests(call, trap.openFlags), ...(trap.tests ?? [])] });
    } else if (call.name === "socketcall" && words.has("socket-create")) {
      for (const value of SOCKETCALL_CREATES) {
        found.push({ call, tests: [{ argument: 0, bits: 32, mask: 0xffffffffn, value }] });
      }
    }
  }
  return found;
}

function openTests(call: Syscall, test: OpenFlagsTest | undefined): readonly ArgumentTest[] {
  const argument = call.arguments === "words" ? -1 : call.arguments.indexOf("open-flags");
  if (test === undefined || argument === -1 || call.class !== "path-read") return [];
  return [
    {
      argument,
      bits: 32,
      mask: BigInt(test.mask >>> 0),
      value: BigInt(test.value >>> 0),
      ...(test.differs === undefined ? {} : { differs: test.differs }),
    },
  ];
}

/** Opens that may change a file: any access mode but read-only, or O_CREAT, or O_TRUNC. */
export const WRITING_OPEN: OpenFlagsTest = { mask: 0o1103, value: 0, differs: true };

/**
 * Traps of path calls that are answered, by words: classes, groups, calls, and `writing`: all calls
 * that change the tree of files, among them the opens that do.
 */
export function trapsOf(words: readonly string[]): readonly Trap[] {
  const traps: Trap[] = [];
  const groups = words.flatMap((word) => (word === "path" ? ["path-read", "path-write"] : [word]));
  const calls = groups.filter((word) => word !== "writing");
  if (calls.length > 0) traps.push({ calls });
  if (calls.length < groups.length) {
    traps.push({ calls: ["path-write"] });
    traps.push({ calls: ["open", "openat", "openat2"], openFlags: WRITING_OPEN });
  }
  return traps;
}

/** The calls of one architecture that traps name, whatever their tests. */
export function trappedCalls(traps: readonly Trap[], arch: number): readonly Syscall[] {
  const table = new SyscallTable(arch);
  return traps.flatMap((trap) => selected(table, trap)).map(({ call }) => call);
}

/**
 * The rules of traps, for all architectures. When a call of the path or socket classes is among
 * them, io_uring_setup fails with ENOSYS: programs then use the calls that are seen.
 */
export function trapRules(
  traps: readonly Trap[],
  action: FilterAction = { kind: "notify" },
): FilterRule[] {
  const rules: FilterRule[] = [];
  if (traps.length === 0) return rules;
  for (const arch of ARCHITECTURES) {
    const table = new SyscallTable(arch);
    const calls = traps.flatMap((trap) => selected(table, trap));
    const uring = table.named("io_uring_setup")!;
    if (calls.some(({ call }) => PAST_BY_IO_URING.has(call.class))) {
      const refuse = { kind: "errno", errno: ERRNO.ENOSYS } as const;
      rules.push({ arch, number: uring.number, action: refuse });
    }
    for (const { call, tests } of calls) rules.push({ arch, number: call.number, tests, action });
  }
  return rules;
}

/**
 * The rules of calls that every view traps because they are rare: traps by name alone, and
 * io_uring_setup, because what a ring may do depends on the modules of that moment.
 */
export function coldRules(traps: readonly Pick<Trap, "names" | "tests">[]): FilterRule[] {
  const action = { kind: "notify" } as const;
  const all = [...traps, { names: ["io_uring_setup"] }];
  return ARCHITECTURES.flatMap((arch) => {
    const numbers = callNumbers(arch);
    return all.flatMap(({ names = [], tests = [] }) =>
      names.flatMap((name) => {
        const number = numbers.get(name);
        return number === undefined ? [] : [{ arch, number, tests, action }];
      }),
    );
  });
}

const sameTest = (a: ArgumentTest, b: ArgumentTest): boolean =>
  a.argument === b.argument &&
  a.bits === b.bits &&
  a.mask === b.mask &&
  a.value === b.value &&
  (a.differs ?? false) === (b.differs ?? false);

/** Does a rule trap whatever another one traps? Without knowing how tests imply each other. */
function covers(rule: FilterRule, wanted: FilterRule): boolean {
  if (rule.arch !== wanted.arch || rule.number !== wanted.number) return false;
  if (rule.action.kind !== "notify") return false;
  return (rule.tests ?? []).every((test) =>
    (wanted.tests ?? []).some((other) => sameTest(test, other)),
  );
}

/**
 * Calls that traps want and a filter of those rules does not notify; each name once. A filter
 * cannot be widened while its processes run.
 */
export function missingCalls(traps: readonly Trap[], rules: readonly FilterRule[]): Syscall[] {
  const missing = new Map<string, Syscall>();
  for (const arch of ARCHITECTURES) {
    const table = new SyscallTable(arch);
    for (const { call, tests } of traps.flatMap((trap) => selected(table, trap))) {
      const wanted = { arch, number: call.number, tests, action: { kind: "notify" } as const };
      if (!rules.some((rule) => covers(rule, wanted))) missing.set(call.name, call);
    }
  }
  return [...missing.values()];
}

/** Traps as text, for files and other processes. */
export function encodeTraps(traps: readonly Trap[]): string {
  return JSON.stringify(traps, (_key, value: unknown) =>
    typeof value === "bigint" ? `${value}n` : value,
  );
}

/** What `encodeTraps` has written. */
export function decodeTraps(text: string): readonly Trap[] {
  return JSON.parse(text, (_key, value: unknown) =>
    typeof value === "string" && /^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value,
  ) as readonly Trap[];
}
