/** A call that its caller is about to make and is stopped at (rung D). */
import { ERRNO } from "../../base/index.ts";
import {
  type CallAtStop,
  callAtStop,
  type CallRequest,
  REGISTER,
  writeGuestMemory,
} from "../../sys/index.ts";
import { AUDIT_ARCH_I386, AUDIT_ARCH_X86_64 } from "../../viewos/index.ts";
import { callEntry } from "./led-thread.ts";
import { layOut, type PlacedArgument, placedOctets } from "./placed-arguments.ts";

/** Code segment of 32-bit programs (arch/x86/include/asm/segment.h). */
const USER32_CS = 0x23n;
/** Octets below the stack pointer that a function may use without telling (System V ABI). */
const RED_ZONE = 128n;
const STACK_ALIGNMENT = 16n;
const MASK_32 = 0xffff_ffffn;

/** What the tracer does with a thread that is stopped at a call. */
export interface StoppedThreads {
  /** Where answers from other threads are taken. */
  readonly answers: number;
  /** The call is made. */
  proceed(call: StoppedCall): void;
  /** The call is not made, and returns that. */
  settle(call: StoppedCall, value: bigint): void;
  /** The call is not made, and returns a copy of that descriptor, or why it cannot have one. */
  give(call: StoppedCall, descriptor: number, closeOnExec: boolean): void;
  /** It is answered later. */
  keep(call: StoppedCall): void;
}

/** A call as the registers of its thread tell it. */
export class StoppedCall implements CallRequest {
  readonly isTraced = true;
  readonly id: bigint;
  readonly pid: number;
  readonly number: number;
  readonly arch: number;
  /** The thread's registers. */
  readonly words: BigUint64Array;
  /** The thread is gone, or its call has been answered. */
  isOver = false;
  readonly #registers: readonly number[];
  readonly #threads: StoppedThreads;
  /** The kernel says which call a thread is stopped at. */
  readonly #isTold: boolean;

  constructor(id: bigint, tid: number, words: BigUint64Array, threads: StoppedThreads) {
    this.id = id;
    this.pid = tid;
    this.words = words;
    this.#threads = threads;
    const told = callAtStop(tid);
    this.#isTold = told !== undefined;
    const { arch, number } = told ?? fromRegisters(words);
    this.arch = arch;
    this.number = number;
    this.#registers = callEntry(arch).registers;
  }

  get descriptor(): number {
    return this.#threads.answers;
  }

  argument(index: number): bigint {
    const word = this.words[this.#registers[index]!]!;
    return this.arch === AUDIT_ARCH_I386 ? word & MASK_32 : word;
  }

  low(index: number): number {
    return Number(this.argument(index) & MASK_32);
  }

  high(index: number): number {
    return Number(this.argument(index) >> 32n);
  }

  /**
   * A stopped thread goes nowhere, but it may be killed, and its number be taken by another thread
   * of its process that executes a program.
   */
  isValid(): boolean {
    if (this.isOver) return false;
    return !this.#isTold || callAtStop(this.pid)?.number === this.number;
  }

  held(): this {
    return this;
  }

  leave(): void {
    this.#threads.keep(this);
  }

  continue(): void {
    if (this.isValid()) this.#threads.proceed(this);
  }

  succeed(value = 0n): void {
    if (this.isValid()) this.#threads.settle(this, BigInt.asUintN(64, value));
  }

  fail(errno: number): void {
    this.succeed(BigInt(-errno));
  }

  inject(descriptor: number, closeOnExec: boolean): number {
    if (this.isValid()) this.#threads.give(this, descriptor, closeOnExec);
    return 0;
  }

  /** Only devices of FUSE are replaced, and there are none where nothing can be mounted. */
  replace(): number {
    return ERRNO.ENOSYS;
  }

  copyId(into: Uint8Array, at: number): void {
    new DataView(into.buffer, into.byteOffset).setBigUint64(at, this.id, true);
  }

  /** Changes an argument in `words`. */
  set(index: number, value: bigint): void {
    this.words[this.#registers[index]!] = value;
  }

  /**
   * Puts arguments into the thread's memory, below its stack, and their addresses into `words`;
   * false when there is no room.
   */
  place(placed: readonly PlacedArgument[]): boolean {
    const { word } = callEntry(this.arch);
    const size = placedOctets(placed, word);
    const base = belowStack(this.words[REGISTER.rsp]!, size);
    const memory = layOut(placed, base, word, (index, address) => this.set(index, address));
    return writeGuestMemory(this.pid, base, memory);
  }
}

/** An address with room for so many octets below a stack. */
export function belowStack(stack: bigint, octets: number): bigint {
  const free = stack - RED_ZONE - BigInt(octets);
  return free - (free % STACK_ALIGNMENT);
}

/** Before Linux 5.3: an `int 0x80` of 64-bit code is taken for a call of x86_64. */
function fromRegisters(words: BigUint64Array): CallAtStop {
  const is32 = words[REGISTER.cs] === USER32_CS;
  return {
    arch: is32 ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64,
    number: Number(BigInt.asIntN(32, words[REGISTER.originalRax]!)),
  };
}
