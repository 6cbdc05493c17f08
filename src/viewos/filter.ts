/**
 * The seccomp filter of a view, compiled to classic BPF. Level 0: only the rare calls that a view
 * must answer itself reach the supervisor; everything else runs in the kernel at full speed, most
 * of it decided by the kernel's own cache of always-allowed calls.
 *
 * Sources: seccomp(2), linux/filter.h, linux/bpf_common.h, linux/seccomp.h.
 */
import { ERRNO } from "../base/index.ts";
import {
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
  SYS_I386,
  SYS_X86_64,
  X32_SYSCALL_BIT,
} from "./syscall-numbers.ts";

/** What happens to a call that is named in the rules; all others are allowed. */
export type FilterAction =
  | { readonly kind: "notify" }
  | { readonly kind: "errno"; readonly errno: number };

export interface FilterRule {
  readonly arch: number;
  readonly number: number;
  readonly action: FilterAction;
}

const SECCOMP_RET_ALLOW = 0x7fff0000;
const SECCOMP_RET_USER_NOTIF = 0x7fc00000;
const SECCOMP_RET_ERRNO = 0x00050000;

/** Offsets in struct seccomp_data. */
const DATA = { number: 0, arch: 4 } as const;

const LOAD_WORD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP_EQUAL = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_GREATER_EQUAL = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const JUMP_ALWAYS = 0x05; // BPF_JMP | BPF_JA
const RETURN = 0x06; // BPF_RET | BPF_K

interface Instruction {
  readonly code: number;
  readonly ifTrue: number;
  readonly ifFalse: number;
  readonly k: number;
}

function returnValue(action: FilterAction): number {
  return action.kind === "notify" ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ERRNO | action.errno;
}

/** Binary search over the sorted rules of one architecture: log2(n) comparisons for any call. */
function search(rules: readonly FilterRule[]): Instruction[] {
  if (rules.length <= 2) {
    return [
      ...rules.flatMap((rule) => [
        { code: JUMP_EQUAL, ifTrue: 0, ifFalse: 1, k: rule.number },
        { code: RETURN, ifTrue: 0, ifFalse: 0, k: returnValue(rule.action) },
      ]),
      { code: RETURN, ifTrue: 0, ifFalse: 0, k: SECCOMP_RET_ALLOW },
    ];
  }
  const middle = rules.length >> 1;
  const low = search(rules.slice(0, middle));
  const high = search(rules.slice(middle));
  const pivot = rules[middle]!.number;
  // Conditional jumps reach 255 instructions: a long lower half is jumped over by an unconditional
  // one.
  if (low.length <= 255) {
    return [
      { code: JUMP_GREATER_EQUAL, ifTrue: low.length, ifFalse: 0, k: pivot },
      ...low,
      ...high,
    ];
  }
  return [
    { code: JUMP_GREATER_EQUAL, ifTrue: 0, ifFalse: 1, k: pivot },
    { code: JUMP_ALWAYS, ifTrue: 0, ifFalse: 0, k: low.length },
    ...low,
    ...high,
  ];
}

/**
 * Compiles rules to an array of struct sock_filter (8 octets each, native order).
 * Unknown architectures and x32 calls are answered with ENOSYS: no number is read with the wrong
 * table.
 */
export function compileFilter(rules: readonly FilterRule[]): Uint8Array {
  const program: Instruction[] = [{ code: LOAD_WORD, ifTrue: 0, ifFalse: 0, k: DATA.arch }];
  const block = (arch: number, extra: Instruction[]): void => {
    const sorted = rules.filter((r) => r.arch === arch).sort((a, b) => a.number - b.number);
    const body = [
      { code: LOAD_WORD, ifTrue: 0, ifFalse: 0, k: DATA.number },
      ...extra,
      ...search(sorted),
    ];
    program.push(
      { code: JUMP_EQUAL, ifTrue: 1, ifFalse: 0, k: arch },
      { code: JUMP_ALWAYS, ifTrue: 0, ifFalse: 0, k: body.length },
      ...body,
    );
  };
  const refuse = { code: RETURN, ifTrue: 0, ifFalse: 0, k: SECCOMP_RET_ERRNO | ERRNO.ENOSYS };
  block(AUDIT_ARCH_X86_64, [
    { code: JUMP_GREATER_EQUAL, ifTrue: 0, ifFalse: 1, k: X32_SYSCALL_BIT },
    refuse,
  ]);
  block(AUDIT_ARCH_I386, []);
  program.push(refuse);
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

/** Level 0 of the trap levels: the mount family and the names of the machine. */
export function levelZeroRules(): FilterRule[] {
  const notify = { kind: "notify" } as const;
  const refuse = { kind: "errno", errno: ERRNO.ENOSYS } as const;
  const rules: FilterRule[] = [];
  for (const name of NOTIFIED) {
    rules.push({ arch: AUDIT_ARCH_X86_64, number: SYS_X86_64[name], action: notify });
    rules.push({ arch: AUDIT_ARCH_I386, number: SYS_I386[name], action: notify });
  }
  rules.push({ arch: AUDIT_ARCH_I386, number: SYS_I386.umount, action: notify });
  for (const name of REFUSED) {
    rules.push({ arch: AUDIT_ARCH_X86_64, number: SYS_X86_64[name], action: refuse });
    rules.push({ arch: AUDIT_ARCH_I386, number: SYS_I386[name], action: refuse });
  }
  return rules;
}
