/**
 * The seccomp filter of a view, compiled to classic BPF: architecture first, then a binary search
 * for the number, then tests of arguments. Calls that no rule names are allowed, most of them by
 * the kernel's own cache of always-allowed calls.
 *
 * Sources: seccomp(2), linux/filter.h, linux/bpf_common.h, linux/seccomp.h.
 */
import { ERRNO } from "../base/index.ts";
import {
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
  SYS_I386,
  SYS_X86_64,
  VUCTL,
  VUSESSION,
  X32_SYSCALL_BIT,
} from "./syscall-numbers.ts";

/** What happens to a call that a rule matches; all others are allowed. */
export type FilterAction =
  | { readonly kind: "notify" }
  /** Told to a tracer; ENOSYS without one. */
  | { readonly kind: "trace" }
  | { readonly kind: "allow" }
  | { readonly kind: "errno"; readonly errno: number };

/**
 * A condition on a word in a register: `(argument & mask) === value`, or not. Only immediate
 * arguments can be tested: memory may change after the test.
 */
export interface ArgumentTest {
  /** 0 to 5. */
  readonly argument: number;
  /** 32 for int and unsigned int: the kernel ignores the upper half, so a test must do the same. */
  readonly bits: 32 | 64;
  readonly mask: bigint;
  readonly value: bigint;
  /** True: the condition is that they differ. */
  readonly differs?: boolean;
}

/** The first rule of a call whose tests all hold decides it. */
export interface FilterRule {
  readonly arch: number;
  readonly number: number;
  readonly tests?: readonly ArgumentTest[];
  readonly action: FilterAction;
}

/** What the tests of rules look at. */
export interface FilteredCall {
  readonly arch: number;
  readonly number: number;
  argument(index: number): bigint;
}

const ALLOWED: FilterAction = { kind: "allow" };
const ABSENT: FilterAction = { kind: "errno", errno: ERRNO.ENOSYS };

/** Rules where the kernel has no filters: decides as `compileFilter` lets the kernel decide. */
export class SoftFilter {
  readonly #rules = new Map<number, Map<number, FilterRule[]>>([
    [AUDIT_ARCH_X86_64, new Map()],
    [AUDIT_ARCH_I386, new Map()],
  ]);

  constructor(rules: readonly FilterRule[]) {
    for (const rule of rules) {
      const own = this.#rules.get(rule.arch)!;
      const known = own.get(rule.number);
      if (known === undefined) own.set(rule.number, [rule]);
      else known.push(rule);
    }
  }

  /** What is to happen to a call. */
  decide(call: FilteredCall): FilterAction {
    const own = this.#rules.get(call.arch);
    const isX32 = call.arch === AUDIT_ARCH_X86_64 && (call.number & X32_SYSCALL_BIT) !== 0;
    if (own === undefined || isX32) return ABSENT;
    const rule = own.get(call.number)?.find(({ tests = [] }) => tests.every((t) => holds(t, call)));
    return rule?.action ?? ALLOWED;
  }
}

function holds(
  { argument, bits, mask, value, differs }: ArgumentTest,
  call: FilteredCall,
): boolean {
  const word = BigInt.asUintN(bits, call.argument(argument));
  return ((word & mask) === value) !== (differs ?? false);
}

const SECCOMP_RET_ALLOW = 0x7fff0000;
const SECCOMP_RET_USER_NOTIF = 0x7fc00000;
const SECCOMP_RET_TRACE = 0x7ff00000;
const SECCOMP_RET_ERRNO = 0x00050000;

/** Offsets in struct seccomp_data; arguments are 64 bits wide, low half first. */
const DATA = { number: 0, arch: 4, args: 16 } as const;

const LOAD_WORD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP_EQUAL = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_GREATER_EQUAL = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const JUMP_ALWAYS = 0x05; // BPF_JMP | BPF_JA
const RETURN = 0x06; // BPF_RET | BPF_K

/** BPF_MAXINSNS of linux/bpf_common.h. */
const INSTRUCTIONS_MAX = 4096;
/** How far a conditional jump reaches. */
const JUMP_MAX = 255;

interface Instruction {
  readonly code: number;
  readonly ifTrue: number;
  readonly ifFalse: number;
  readonly k: number;
}

const statement = (code: number, k: number): Instruction => ({ code, ifTrue: 0, ifFalse: 0, k });

function decide(action: FilterAction): Instruction {
  if (action.kind === "notify") return statement(RETURN, SECCOMP_RET_USER_NOTIF);
  if (action.kind === "trace") return statement(RETURN, SECCOMP_RET_TRACE);
  if (action.kind === "allow") return statement(RETURN, SECCOMP_RET_ALLOW);
  return statement(RETURN, SECCOMP_RET_ERRNO | action.errno);
}

/** Falls through when the test holds, else jumps to the place `beyond` instructions after it. */
function testInstructions(test: ArgumentTest, beyond: number): Instruction[] {
  const low = DATA.args + 8 * test.argument;
  const half = (offset: number, shift: bigint): Instruction[] => [
    statement(LOAD_WORD, offset),
    statement(AND, Number((test.mask >> shift) & 0xffffffffn)),
  ];
  const compare = (shift: bigint, ifTrue: number, ifFalse: number): Instruction => ({
    code: JUMP_EQUAL,
    ifTrue,
    ifFalse,
    k: Number((test.value >> shift) & 0xffffffffn),
  });
  if (test.bits === 32) {
    const jump = test.differs === true ? compare(0n, beyond, 0) : compare(0n, 0, beyond);
    return [...half(low, 0n), jump];
  }
  // Three instructions of the upper half lie between the first comparison and the end.
  const first = test.differs === true ? compare(0n, 0, 3) : compare(0n, 0, beyond + 3);
  const second = test.differs === true ? compare(32n, beyond, 0) : compare(32n, 0, beyond);
  return [...half(low, 0n), first, ...half(low + 4, 32n), second];
}

/** What happens to the calls of one number: their rules in order, then allowed. */
function decisions(rules: readonly FilterRule[]): Instruction[] {
  const program: Instruction[] = [];
  for (const { tests = [], action } of rules) {
    let rule = [decide(action)];
    for (const test of tests.toReversed()) {
      rule = [...testInstructions(test, rule.length), ...rule];
    }
    program.push(...rule);
    if (tests.length === 0) return program;
  }
  return [...program, decide({ kind: "allow" })];
}

/** All numbers from `from` up to the next segment are decided by the same instructions. */
interface Segment {
  readonly from: number;
  readonly body: readonly Instruction[];
}

const sameBody = (a: readonly Instruction[], b: readonly Instruction[]): boolean =>
  a.length === 1 && b.length === 1 && a[0]!.k === b[0]!.k;

/** The rules of one architecture as neighbouring segments that cover all numbers. */
function segments(rules: readonly FilterRule[], refuseFrom: number | undefined): Segment[] {
  const byNumber = new Map<number, FilterRule[]>();
  for (const rule of rules) {
    const known = byNumber.get(rule.number);
    if (known === undefined) byNumber.set(rule.number, [rule]);
    else known.push(rule);
  }
  const found: Segment[] = [{ from: 0, body: decisions([]) }];
  const add = (from: number, body: readonly Instruction[]): void => {
    if (found.at(-1)!.from === from) found.pop();
    const last = found.at(-1);
    if (last === undefined || !sameBody(last.body, body)) found.push({ from, body });
  };
  for (const [number, same] of [...byNumber].sort((a, b) => a[0] - b[0])) {
    add(number, decisions(same));
    add(number + 1, decisions([]));
  }
  if (refuseFrom !== undefined) add(refuseFrom, [REFUSE]);
  return found;
}

/** Binary search over segments: log2(n) comparisons for any call. */
function search(found: readonly Segment[]): readonly Instruction[] {
  if (found.length === 1) return found[0]!.body;
  const middle = found.length >> 1;
  const low = search(found.slice(0, middle));
  const high = search(found.slice(middle));
  const pivot = found[middle]!.from;
  // A long lower half is jumped over by an unconditional jump.
  if (low.length <= JUMP_MAX) {
    const jump = { code: JUMP_GREATER_EQUAL, ifTrue: low.length, ifFalse: 0, k: pivot };
    return [jump, ...low, ...high];
  }
  const jump = { code: JUMP_GREATER_EQUAL, ifTrue: 0, ifFalse: 1, k: pivot };
  return [jump, statement(JUMP_ALWAYS, low.length), ...low, ...high];
}

const REFUSE = statement(RETURN, SECCOMP_RET_ERRNO | ERRNO.ENOSYS);

/**
 * Compiles rules to an array of struct sock_filter (8 octets each, native order).
 * Unknown architectures and x32 calls are answered with ENOSYS: no number is read with the wrong
 * table. Throws a RangeError when the kernel would refuse the length.
 */
export function compileFilter(rules: readonly FilterRule[]): Uint8Array {
  const program: Instruction[] = [statement(LOAD_WORD, DATA.arch)];
  for (const [arch, refuseFrom] of [
    [AUDIT_ARCH_X86_64, X32_SYSCALL_BIT],
    [AUDIT_ARCH_I386, undefined],
  ] as const) {
    const own = rules.filter((rule) => rule.arch === arch);
    const body = search(segments(own, refuseFrom));
    program.push(
      { code: JUMP_EQUAL, ifTrue: 1, ifFalse: 0, k: arch },
      statement(JUMP_ALWAYS, body.length + 1),
      statement(LOAD_WORD, DATA.number),
      ...body,
    );
  }
  program.push(REFUSE);
  if (program.length > INSTRUCTIONS_MAX) {
    throw new RangeError(
      `a filter of ${program.length} instructions (${INSTRUCTIONS_MAX} at most)`,
    );
  }
  const octets = new Uint8Array(program.length * 8);
  const view = new DataView(octets.buffer);
  program.forEach(({ code, ifTrue, ifFalse, k }, i) => {
    view.setUint16(8 * i, code, true);
    view.setUint8(8 * i + 2, ifTrue);
    view.setUint8(8 * i + 3, ifFalse);
    view.setUint32(8 * i + 4, k >>> 0, true);
  });
  return octets;
}

const NOTIFIED = ["mount", "umount2", "sethostname", "setdomainname"] as const;

/**
 * The calls of the new mount interface keep their state in descriptors that only the caller could
 * own: with ENOSYS the C library, mount(8) and libfuse fall back to mount(2), which the view
 * answers.
 */
const REFUSED = [
  "open_tree",
  "move_mount",
  "fsopen",
  "fsconfig",
  "fsmount",
  "fspick",
  "mount_setattr",
] as const;

/** Is that a call of the new mount interface, which a view answers with ENOSYS? */
export function isRefusedInViews(arch: number, number: number): boolean {
  const table = arch === AUDIT_ARCH_X86_64 ? SYS_X86_64 : SYS_I386;
  return REFUSED.some((name) => table[name] === number);
}

/** Level 0 of the trap levels: the mount family, the names of the machine, the private call. */
export function levelZeroRules(): FilterRule[] {
  const notify = { kind: "notify" } as const;
  const refuse = { kind: "errno", errno: ERRNO.ENOSYS } as const;
  const rules: FilterRule[] = [];
  for (const name of NOTIFIED) {
    rules.push({ arch: AUDIT_ARCH_X86_64, number: SYS_X86_64[name], action: notify });
    rules.push({ arch: AUDIT_ARCH_I386, number: SYS_I386[name], action: notify });
  }
  rules.push({ arch: AUDIT_ARCH_I386, number: SYS_I386.umount, action: notify });
  for (const arch of [AUDIT_ARCH_X86_64, AUDIT_ARCH_I386]) {
    rules.push({ arch, number: VUCTL, action: notify });
    rules.push({ arch, number: VUSESSION, action: notify });
  }
  for (const name of REFUSED) {
    rules.push({ arch: AUDIT_ARCH_X86_64, number: SYS_X86_64[name], action: refuse });
    rules.push({ arch: AUDIT_ARCH_I386, number: SYS_I386[name], action: refuse });
  }
  return rules;
}
