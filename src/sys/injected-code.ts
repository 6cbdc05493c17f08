/**
 * Machine code that makes system calls inside a running process and then lets it go on as if
 * nothing had happened. It needs nobody: whoever has put it there may be killed at any time, and
 * the process still finds its way back.
 *
 * It is position-independent, only executed and read, and lies where a program has room at the end
 * of an executable mapping. Its stack is the process's own, below the red zone; so a signal handler
 * may run at any of its instructions.
 *
 *     enter  one system call (mmap); then leave
 *     steps  the loop of a launch program; at its end munmap of the program's memory; then leave
 *     leave  the signal mask, all registers, and on where the process was
 *
 * Sources: Intel SDM volume 2; System V ABI AMD64 supplement (red zone); sys/user.h.
 */
import { LOOP_X86_64 } from "./launch-program.ts";
import { REGISTER } from "./ptrace.ts";

const SYS_MUNMAP = 11;
const SYS_RT_SIGPROCMASK = 14;
const SYS_RESTART = 219;
const SIG_SETMASK = 2;
const SIGSET_OCTETS = 8;
/** Octets below the stack pointer that a function may use without telling. */
const RED_ZONE = 128n;

/** General registers but rsp, as instructions number them, and where they stand among the words. */
const GENERAL = [
  REGISTER.rax,
  REGISTER.rcx,
  REGISTER.rdx,
  REGISTER.rbx,
  undefined,
  REGISTER.rbp,
  REGISTER.rsi,
  REGISTER.rdi,
  REGISTER.r8,
  REGISTER.r9,
  REGISTER.r10,
  REGISTER.r11,
  REGISTER.r12,
  REGISTER.r13,
  REGISTER.r14,
  REGISTER.r15,
] as const;

/** Words behind the code; those of the registers come first, by their number. */
const WORD = { flags: 16, stack: 17, resume: 18, mask: 19, memory: 20, octets: 21 } as const;
const WORDS = 22;

/** Results of calls that the kernel begins again when no handler runs (linux/errno.h). */
const RESTARTED = new Set([-512n, -513n, -514n]);
/** The same by restart_syscall(2), which knows how much of a time is left. */
const RESTARTED_BY_BLOCK = -516n;
/** Octets of the instruction `syscall`. */
const CALL_OCTETS = 2n;

/** An instruction; with a word it ends in that word's distance. */
type Part = readonly [octets: readonly number[], word?: number];

const imm32 = (value: number): number[] => [...new Uint8Array(new Int32Array([value]).buffer)];
const SYSCALL: Part = [[0x0f, 0x05]];

/** mov register, [rip + distance] */
function load(register: number, word: number): Part {
  const rex = register < 8 ? 0x48 : 0x4c;
  return [[rex, 0x8b, ((register & 7) << 3) | 5], word];
}

const ENTER: readonly Part[] = [
  SYSCALL,
  [[0xe9]], // jmp leave; its distance is known when all is
];

/** The loop, which ends where no step follows. */
const STEPS: readonly Part[] = [
  [LOOP_X86_64.slice(0, -2)],
  [[0x48, 0x85, 0xdb]], // test rbx, rbx
  [[0x75, 0x100 - (LOOP_X86_64.length + 3)]], // jnz loop
  [[0xb8, ...imm32(SYS_MUNMAP)]], // mov eax
  load(7, WORD.memory),
  load(6, WORD.octets),
  SYSCALL,
];

const LEAVE: readonly Part[] = [
  [[0xb8, ...imm32(SYS_RT_SIGPROCMASK)]], // mov eax
  [[0xbf, ...imm32(SIG_SETMASK)]], // mov edi
  [[0x48, 0x8d, 0x35], WORD.mask], // lea rsi
  [[0x31, 0xd2]], // xor edx, edx
  [[0x41, 0xba, ...imm32(SIGSET_OCTETS)]], // mov r10d
  SYSCALL,
  [[0xff, 0x35], WORD.flags], // push
  [[0x9d]], // popfq
  ...GENERAL.flatMap((at, register) => (at === undefined ? [] : [load(register, register)])),
  load(4, WORD.stack),
  [[0xff, 0x25], WORD.resume], // jmp
];

const octetsOf = (parts: readonly Part[]): number =>
  parts.reduce((sum, [octets, word]) => sum + octets.length + (word === undefined ? 0 : 4), 0);

/** The distance of the jump behind `enter`. */
const JUMP_OCTETS = 4;
const STEPS_AT = octetsOf(ENTER) + JUMP_OCTETS;
const LEAVE_AT = STEPS_AT + octetsOf(STEPS);
const WORDS_AT = (LEAVE_AT + octetsOf(LEAVE) + 7) & ~7;

/** Where things are in the code, in octets from its begin. */
export const INJECTED = {
  enter: 0,
  steps: STEPS_AT,
  /** Behind munmap: all steps are done, and their memory is gone. */
  leave: LEAVE_AT,
  /** Address and length of the memory that munmap is to give back: two words. */
  memory: WORDS_AT + 8 * WORD.memory,
  octets: WORDS_AT + 8 * WORDS,
} as const;

/** The stack pointer for the code in a process with these registers. */
export function injectedStack(registers: BigUint64Array): bigint {
  return registers[REGISTER.rsp]! - RED_ZONE;
}

/**
 * The code for a process that was stopped with these registers and this signal mask. When the code
 * leaves by itself, a system call that the stop has interrupted begins again, as the kernel would
 * have it: by its number, or as restart_syscall(2).
 */
export function injectedCode(registers: BigUint64Array, mask: Uint8Array): Uint8Array {
  const code = new Uint8Array(INJECTED.octets);
  const view = new DataView(code.buffer);
  let at = 0;
  const put = (parts: readonly Part[]): void => {
    for (const [octets, word] of parts) {
      code.set(octets, at);
      at += octets.length;
      if (word === undefined) continue;
      at += 4;
      view.setInt32(at - 4, WORDS_AT + 8 * word - at, true);
    }
  };
  put(ENTER);
  view.setInt32(at, LEAVE_AT - STEPS_AT, true);
  at = STEPS_AT;
  put(STEPS);
  put(LEAVE);
  const words = resumed(registers);
  const word = (index: number, value: bigint): void =>
    view.setBigUint64(WORDS_AT + 8 * index, value, true);
  GENERAL.forEach((where, register) => {
    if (where !== undefined) word(register, words[where]!);
  });
  word(WORD.flags, words[REGISTER.flags]!);
  word(WORD.stack, words[REGISTER.rsp]!);
  word(WORD.resume, words[REGISTER.rip]!);
  code.set(mask, WORDS_AT + 8 * WORD.mask);
  return code;
}

/** The registers with which a process goes on that the kernel would have restart its call. */
function resumed(registers: BigUint64Array): BigUint64Array {
  const words = registers.slice();
  const call = BigInt.asIntN(64, words[REGISTER.originalRax]!);
  const result = BigInt.asIntN(64, words[REGISTER.rax]!);
  const byBlock = result === RESTARTED_BY_BLOCK;
  if (call < 0n || !(byBlock || RESTARTED.has(result))) return words;
  words[REGISTER.rip] = words[REGISTER.rip]! - CALL_OCTETS;
  words[REGISTER.rax] = byBlock ? BigInt(SYS_RESTART) : words[REGISTER.originalRax]!;
  return words;
}
