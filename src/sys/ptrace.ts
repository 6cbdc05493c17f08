/**
 * ptrace(2) of one thread. All calls on a tracee must come from the thread that attached to it; a
 * worker that does nothing else is the right place.
 *
 * Sources: ptrace(2), wait(2), sys/ptrace.h, sys/user.h (struct user_regs_struct of x86_64).
 */
import { ERRNO } from "../base/index.ts";
import { addressOf, declare, errno } from "./libc.ts";

const ptraceCall = declare<
  (request: bigint, pid: number, address: bigint, data: bigint) => bigint | number
>("long ptrace(long request, int pid, uint64_t address, uint64_t data)");
const waitCall = declare<(pid: number, status: Uint8Array, options: number) => number>(
  "int waitpid(int pid, void *status, int options)",
);

const REQUEST = {
  CONT: 7n,
  GETREGS: 12n,
  SETREGS: 13n,
  DETACH: 17n,
  SYSCALL: 24n,
  SETOPTIONS: 0x4200n,
  GETEVENTMSG: 0x4201n,
  SEIZE: 0x4206n,
  INTERRUPT: 0x4207n,
  LISTEN: 0x4208n,
  GETSIGMASK: 0x420an,
  SETSIGMASK: 0x420bn,
  GET_SYSCALL_INFO: 0x420en,
} as const;

/** PTRACE_O_*. */
export const TRACE_OPTION = {
  SYSGOOD: 0x01,
  FORK: 0x02,
  VFORK: 0x04,
  CLONE: 0x08,
  EXEC: 0x10,
  SECCOMP: 0x80,
  /** Tracees are killed when their tracer ends. */
  EXITKILL: 0x100000,
} as const;

/** PTRACE_EVENT_*. */
export const TRACE_EVENT = { FORK: 1, VFORK: 2, CLONE: 3, EXEC: 4, SECCOMP: 7, STOP: 128 } as const;

const WALL = 0x40000000;
const WNOTHREAD = 0x20000000;
const WNOHANG = 1;
/** Octets of the kernel's signal set. */
const SIGSET_OCTETS = 8;

/** Words of struct user_regs_struct, x86_64. */
export const REGISTER = {
  r15: 0,
  r14: 1,
  r13: 2,
  r12: 3,
  rbp: 4,
  rbx: 5,
  r11: 6,
  r10: 7,
  r9: 8,
  r8: 9,
  rax: 10,
  rcx: 11,
  rdx: 12,
  rsi: 13,
  rdi: 14,
  originalRax: 15,
  rip: 16,
  cs: 17,
  flags: 18,
  rsp: 19,
} as const;
const REGISTER_WORDS = 27;

/** Why a thread is not running. */
export type Stop =
  | { readonly kind: "ended"; readonly tid: number; readonly status: number }
  /** At the begin or the end of a system call. */
  | { readonly kind: "syscall"; readonly tid: number }
  | {
      readonly kind: "event";
      readonly tid: number;
      readonly event: number;
      readonly signal: number;
    }
  /** About to get a signal. */
  | { readonly kind: "signal"; readonly tid: number; readonly signal: number };

function request(what: bigint, tid: number, address: bigint, data: bigint): boolean {
  return Number(ptraceCall(what, tid, address, data)) !== -1;
}

/** Attaches without stopping. @returns 0, or the errno. */
export function seize(tid: number, options: number): number {
  return request(REQUEST.SEIZE, tid, 0n, BigInt(options)) ? 0 : errno();
}

/** Stops a seized thread as soon as it would return to its program. */
export function interrupt(tid: number): boolean {
  return request(REQUEST.INTERRUPT, tid, 0n, 0n);
}

/** Lets a stopped thread go for good; false: it has been killed, and is still ours. */
export function detach(tid: number, signal = 0): boolean {
  return request(REQUEST.DETACH, tid, 0n, BigInt(signal));
}

/** Lets a stopped thread run. */
export function resume(tid: number, signal = 0): boolean {
  return request(REQUEST.CONT, tid, 0n, BigInt(signal));
}

/** Lets a stopped thread run to the begin or the end of its next system call. */
export function resumeToSyscall(tid: number, signal = 0): boolean {
  return request(REQUEST.SYSCALL, tid, 0n, BigInt(signal));
}

/** Leaves a thread in the stop that job control has put it in, and waits for its end. */
export function listen(tid: number): boolean {
  return request(REQUEST.LISTEN, tid, 0n, 0n);
}

/** What an event tells besides: the new thread's number. */
export function eventMessage(tid: number): number {
  const message = new BigUint64Array(1);
  request(REQUEST.GETEVENTMSG, tid, 0n, addressOf(new Uint8Array(message.buffer)));
  return Number(message[0]);
}

/**
 * struct ptrace_syscall_info: op u8, padding, arch u32, ip u64, sp u64, number u64, args u64[6].
 */
const CALL_INFO = { op: 0, arch: 4, number: 24, octets: 88 } as const;
/** PTRACE_SYSCALL_INFO_ENTRY, PTRACE_SYSCALL_INFO_SECCOMP. */
const AT_BEGIN: ReadonlySet<number> = new Set([1, 3]);

/** The call that a stopped thread is about to make. */
export interface CallAtStop {
  /** AUDIT_ARCH_*: by which entry of the kernel it came, whatever its code segment. */
  readonly arch: number;
  readonly number: number;
}

const callInfo = new Uint8Array(CALL_INFO.octets);
const callInfoView = new DataView(callInfo.buffer);

/**
 * The call that a stopped thread is about to make; undefined when it is about to make none, is
 * gone, or the kernel cannot tell (before Linux 5.3).
 */
export function callAtStop(tid: number): CallAtStop | undefined {
  const size = BigInt(CALL_INFO.octets);
  if (!request(REQUEST.GET_SYSCALL_INFO, tid, size, addressOf(callInfo))) return undefined;
  if (!AT_BEGIN.has(callInfo[CALL_INFO.op]!)) return undefined;
  const arch = callInfoView.getUint32(CALL_INFO.arch, true);
  return { arch, number: callInfoView.getInt32(CALL_INFO.number, true) };
}

/** The registers of a stopped thread; undefined when it is gone. */
export function registers(tid: number): BigUint64Array | undefined {
  const words = new BigUint64Array(REGISTER_WORDS);
  const ok = request(REQUEST.GETREGS, tid, 0n, addressOf(new Uint8Array(words.buffer)));
  return ok ? words : undefined;
}

/** Sets the registers of a stopped thread. */
export function setRegisters(tid: number, words: BigUint64Array): boolean {
  return request(REQUEST.SETREGS, tid, 0n, addressOf(new Uint8Array(words.buffer)));
}

/** The signals that a stopped thread has blocked. */
export function signalMask(tid: number): Uint8Array {
  const mask = new Uint8Array(SIGSET_OCTETS);
  request(REQUEST.GETSIGMASK, tid, BigInt(SIGSET_OCTETS), addressOf(mask));
  return mask;
}

/** Blocks other signals than the thread itself does. */
export function setSignalMask(tid: number, mask: Uint8Array): void {
  request(REQUEST.SETSIGMASK, tid, BigInt(SIGSET_OCTETS), addressOf(mask));
}

/**
 * Waits for a tracee of the calling thread.
 * @param tid -1: any of them
 * @returns undefined when there is none, or, with `atOnce`, when none has anything to tell.
 */
export function waitForStop(tid: number, atOnce = false): Stop | undefined {
  const status = new Int32Array(1);
  const octets = new Uint8Array(status.buffer);
  for (;;) {
    const who = waitCall(tid, octets, WALL | WNOTHREAD | (atOnce ? WNOHANG : 0));
    if (who > 0) return stopOf(who, status[0]!);
    if (who === 0 || errno() !== ERRNO.EINTR) return undefined;
  }
}

const yieldCall = declare<() => number>("int sched_yield()");

/** How often a tracee is asked at once that will stop soon, and how often one that may not. */
const YIELDS = 100;
const ASK_MS = 1;

/**
 * Waits for a stop that comes at once, or perhaps never; undefined when it does not come in time.
 * @param tid -1: of any tracee
 */
export function waitForStopWithin(tid: number, ms: number): Stop | undefined {
  for (let asked = 0; asked < YIELDS; asked++) {
    const stop = waitForStop(tid, true);
    if (stop !== undefined) return stop;
    yieldCall();
  }
  const pause = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const end = performance.now() + ms;
  for (;;) {
    const stop = waitForStop(tid, true);
    if (stop !== undefined || performance.now() > end) return stop;
    Atomics.wait(pause, 0, 0, ASK_MS);
  }
}

const SIGTRAP = 5;
const SYSGOOD_BIT = 0x80;

function stopOf(tid: number, status: number): Stop {
  if ((status & 0xff) !== 0x7f) return { kind: "ended", tid, status };
  const signal = (status >> 8) & 0xff;
  const event = status >> 16;
  if (event !== 0) return { kind: "event", tid, event, signal };
  if (signal === (SIGTRAP | SYSGOOD_BIT)) return { kind: "syscall", tid };
  return { kind: "signal", tid, signal };
}
