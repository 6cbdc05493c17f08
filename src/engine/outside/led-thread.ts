/**
 * A traced thread that makes system calls for us, with its own rights, mask, terminal and
 * directories, in place of the one that it is stopped at.
 *
 * What it runs is the instruction by which it made its own call. Another thread may have written
 * something else there: so the thread is let into no call but the one that we have prepared.
 */
import {
  REGISTER,
  registers,
  resume,
  resumeToSyscall,
  setRegisters,
  setSignalMask,
  signalMask,
  type Stop,
  TRACE_EVENT,
  waitForStop,
  waitForStopWithin,
} from "../../sys/index.ts";
import { AUDIT_ARCH_X86_64 } from "../../viewos/index.ts";

/** The instructions that make a system call are two octets long: syscall, int 0x80. */
const CALL_OCTETS = 2n;
/** `-1` in a register; as a number: no system call. */
const NONE = 0xffff_ffff_ffff_ffffn;
const ERRNO_MAX = 4095n;
/** How long a thread may take to make a call that it is about to make. */
const ASTRAY_MS = 5000;
const ALL_SIGNALS = new Uint8Array(8).fill(0xff);

/** How calls are made by an entry of the kernel. */
export interface CallEntry {
  /** Registers of arguments 0 to 5. */
  readonly registers: readonly number[];
  /** Octets of an address. */
  readonly word: 4 | 8;
  readonly mmap: number;
  readonly munmap: number;
  readonly socketpair: number;
  readonly recvmsg: number;
  readonly dup3: number;
  readonly close: number;
}

const X86_64: CallEntry = {
  registers: [REGISTER.rdi, REGISTER.rsi, REGISTER.rdx, REGISTER.r10, REGISTER.r8, REGISTER.r9],
  word: 8,
  mmap: 9,
  munmap: 11,
  socketpair: 53,
  recvmsg: 47,
  dup3: 292,
  close: 3,
};
/** mmap is mmap2. */
const I386: CallEntry = {
  registers: [REGISTER.rbx, REGISTER.rcx, REGISTER.rdx, REGISTER.rsi, REGISTER.rdi, REGISTER.rbp],
  word: 4,
  mmap: 192,
  munmap: 91,
  socketpair: 360,
  recvmsg: 372,
  dup3: 330,
  close: 6,
};

/** The entry of that architecture. */
export function callEntry(arch: number): CallEntry {
  return arch === AUDIT_ARCH_X86_64 ? X86_64 : I386;
}

/** The errno in a result; 0 when it is none. */
export function failureOf(result: bigint): number {
  const negated = BigInt.asUintN(64, -result);
  return negated > 0n && negated <= ERRNO_MAX ? Number(negated) : 0;
}

/** The thread has ended while it was led, or is about to. */
export class Gone extends Error {}

/** Its end has been taken note of. */
export class Reaped extends Gone {}

/** Another thread has executed a program, which is stopped under this one's number. */
export class Replaced extends Gone {
  readonly stop: Extract<Stop, { kind: "event" }>;

  constructor(stop: Extract<Stop, { kind: "event" }>) {
    super();
    this.stop = stop;
  }
}

/** One thread under our lead. */
export class LedThread {
  readonly tid: number;
  readonly entry: CallEntry;
  /** A stop signal came meanwhile; it is for later. */
  stopSignal = 0;
  readonly #only: boolean;
  #saved!: BigUint64Array;
  #mask!: Uint8Array;

  /**
   * @param only we trace no other thread: the one that executes a program may get another number
   */
  private constructor(tid: number, arch: number, only: boolean) {
    this.tid = tid;
    this.entry = callEntry(arch);
    this.#only = only;
  }

  /** Leads the only thread that we trace, which has been interrupted in a call. */
  static interrupted(tid: number, arch: number): LedThread {
    const led = new LedThread(tid, arch, true);
    led.#await((stop) => stop.kind === "event" && stop.event === TRACE_EVENT.STOP);
    led.#begin();
    return led;
  }

  /** Leads a thread that is stopped at the begin of a call, which it does not make. */
  static atCall(tid: number, arch: number): LedThread {
    const led = new LedThread(tid, arch, false);
    const words = registers(tid);
    if (words === undefined) throw new Gone();
    words[REGISTER.originalRax] = NONE;
    if (!setRegisters(tid, words)) throw new Gone();
    led.#resume();
    led.#await((stop) => stop.kind === "syscall");
    led.#begin();
    return led;
  }

  #begin(): void {
    const found = registers(this.tid);
    if (found === undefined) throw new Gone();
    this.#saved = found;
    this.#mask = signalMask(this.tid);
    setSignalMask(this.tid, ALL_SIGNALS);
  }

  /** Makes one call and returns what it returned; "executed" when another program runs now. */
  call(number: number, args: readonly bigint[]): bigint | { readonly executed: number } {
    const words = this.#prepare(number, args);
    this.#resume();
    this.#await((stop) => stop.kind === "syscall", true);
    this.#check(words);
    this.#resume();
    const stop = this.#await(
      (one) => one.kind === "syscall" || (one.kind === "event" && one.event === TRACE_EVENT.EXEC),
    );
    if (stop.kind === "event") {
      setSignalMask(stop.tid, this.#mask);
      return { executed: stop.tid };
    }
    const after = registers(this.tid);
    if (after === undefined) throw new Gone();
    return after[REGISTER.rax]!;
  }

  /** Makes a call that executes no program. */
  plain(number: number, args: readonly bigint[]): bigint {
    const result = this.call(number, args);
    if (typeof result !== "bigint") throw new Gone();
    return result;
  }

  /** The thread's stack pointer. */
  get stack(): bigint {
    return this.#saved[REGISTER.rsp]!;
  }

  /** When the thread goes on it makes that call. */
  #prepare(number: number, args: readonly bigint[]): BigUint64Array {
    const words = this.#saved.slice();
    words[REGISTER.rax] = BigInt(number);
    words[REGISTER.originalRax] = NONE;
    words[REGISTER.rip]! -= CALL_OCTETS;
    args.forEach((value, index) => {
      words[this.entry.registers[index]!] = value;
    });
    if (!setRegisters(this.tid, words)) throw new Gone();
    return words;
  }

  /** Is it the call that we have prepared? Else the program has led the thread elsewhere. */
  #check(prepared: BigUint64Array): void {
    const now = registers(this.tid);
    if (now === undefined) throw new Gone();
    const bits = 8 * this.entry.word;
    const isKept = (register: number): boolean =>
      BigInt.asUintN(bits, now[register]! ^ prepared[register]!) === 0n;
    const same =
      BigInt.asUintN(32, now[REGISTER.originalRax]!) === prepared[REGISTER.rax] &&
      this.entry.registers.every(isKept);
    if (!same) this.#kill();
  }

  #kill(): never {
    process.kill(this.tid, "SIGKILL");
    throw new Gone();
  }

  /** The thread is to go on behind its own call, which returns `result`. */
  end(result: bigint): void {
    this.#saved[REGISTER.rax] = result;
    setSignalMask(this.tid, this.#mask);
    if (!setRegisters(this.tid, this.#saved)) throw new Gone();
  }

  #resume(): void {
    if (!resumeToSyscall(this.tid)) throw new Gone();
  }

  /** @param isAtOnce the thread has one instruction to run, and is killed when it runs others */
  #await(wanted: (stop: Stop) => boolean, isAtOnce = false): Stop {
    const whom = this.#only ? -1 : this.tid;
    for (;;) {
      const stop = isAtOnce ? waitForStopWithin(whom, ASTRAY_MS) : waitForStop(whom);
      if (stop === undefined && isAtOnce) this.#kill();
      if (stop === undefined) throw new Reaped();
      if (stop.kind === "ended") {
        // One that we left a moment before it was killed may be told of late.
        if (stop.tid !== this.tid) continue;
        throw new Reaped();
      }
      if (wanted(stop)) return stop;
      if (!this.#only && stop.kind === "event" && stop.event === TRACE_EVENT.EXEC) {
        throw new Replaced(stop);
      }
      if (stop.kind === "signal") this.stopSignal = stop.signal;
      resumeToSyscall(stop.tid);
    }
  }
}

/** Takes note of the end of a traced thread: until then its parent cannot. */
export function reap(tid: number): void {
  for (let stop = waitForStop(tid); stop !== undefined; stop = waitForStop(tid)) {
    if (stop.kind === "ended") return;
    resume(tid);
  }
}
