/**
 * A system call made by a guest's own thread in place of the one that it is trapped in: with that
 * thread's rights, mask, terminal and directories, so that it comes to what the guest's own call
 * would. The thread is traced for the length of this one event and let go again.
 *
 * Used where the supervisor cannot act for the guest: only a process itself can change its working
 * directory or execute a program.
 */
import { ERRNO } from "../../base/index.ts";
import {
  detach,
  interrupt,
  type NotifyListener,
  REGISTER,
  registers,
  resume,
  resumeToSyscall,
  seize,
  setRegisters,
  setSignalMask,
  signalMask,
  type Stop,
  TRACE_EVENT,
  TRACE_OPTION,
  waitForStop,
  writeGuestMemory,
} from "../../sys/index.ts";
import { AUDIT_ARCH_X86_64 } from "../../viewos/index.ts";
import { layOut, type PlacedArgument, placedOctets } from "./placed-arguments.ts";

/** The instructions that make a system call are two octets long: syscall, int 0x80. */
const CALL_OCTETS = 2n;
const PROT_READ_WRITE = 3n;
const MAP_PRIVATE_ANONYMOUS = 0x22n;
/** `-1` in a register. */
const NONE = 0xffff_ffff_ffff_ffffn;
const ERRNO_MAX = 4095n;
const PAGE = 4096;
/** Memory for the arguments of one call at most. */
const SCRATCH_OCTETS_MAX = 256 * PAGE;

interface CallNumbers {
  /** Registers of arguments 0 to 5. */
  readonly registers: readonly number[];
  readonly mmap: number;
  readonly munmap: number;
  /** Octets of an address. */
  readonly word: number;
}

const X86_64: CallNumbers = {
  registers: [REGISTER.rdi, REGISTER.rsi, REGISTER.rdx, REGISTER.r10, REGISTER.r8, REGISTER.r9],
  mmap: 9,
  munmap: 11,
  word: 8,
};
/** mmap2 */
const I386: CallNumbers = {
  registers: [REGISTER.rbx, REGISTER.rcx, REGISTER.rdx, REGISTER.rsi, REGISTER.rdi, REGISTER.rbp],
  mmap: 192,
  munmap: 91,
  word: 4,
};

/** What the thread is to call; arguments that are not placed are those of the trapped call. */
export interface RemoteCall {
  /** Undefined: the trapped call's own number. */
  readonly number?: number;
  readonly placed: readonly PlacedArgument[];
  readonly values?: readonly { readonly index: number; readonly value: bigint }[];
  /** A value for argument 5, which lets the call pass the filter. */
  readonly pass: bigint;
}

/** The thread has ended while it was traced, or is about to. */
class Gone extends Error {}

/** Its end has been taken note of. */
class Reaped extends Gone {}

/** Takes note of the end of a traced thread: until then its parent cannot. */
function reap(tid: number): void {
  for (let stop = waitForStop(tid); stop !== undefined; stop = waitForStop(tid)) {
    if (stop.kind === "ended") return;
    resume(tid);
  }
}

/** One trapped thread under trace. */
class Session {
  readonly numbers: CallNumbers;
  readonly #saved: BigUint64Array;
  readonly #mask: Uint8Array;
  readonly tid: number;
  /** A stop signal came meanwhile; it is for later. */
  stopSignal = 0;

  constructor(tid: number, arch: number) {
    this.tid = tid;
    this.numbers = arch === AUDIT_ARCH_X86_64 ? X86_64 : I386;
    this.#await((stop) => stop.kind === "event" && stop.event === TRACE_EVENT.STOP);
    const found = registers(tid);
    if (found === undefined) throw new Gone();
    this.#saved = found;
    this.#mask = signalMask(tid);
    setSignalMask(tid, new Uint8Array(8).fill(0xff));
  }

  /** Makes one call and returns what it returned; "executed" when another program runs now. */
  call(number: number, args: readonly bigint[]): bigint | "executed" {
    this.#prepare(number, args);
    this.#resume();
    this.#await((stop) => stop.kind === "syscall");
    this.#resume();
    const stop = this.#await(
      ({ kind, ...rest }) =>
        kind === "syscall" ||
        (kind === "event" && (rest as { event: number }).event === TRACE_EVENT.EXEC),
    );
    if (stop.kind === "event") {
      setSignalMask(stop.tid, this.#mask);
      if (!detach(stop.tid, this.stopSignal)) reap(stop.tid);
      return "executed";
    }
    const after = registers(this.tid);
    if (after === undefined) throw new Gone();
    return after[REGISTER.rax]!;
  }

  /** When the thread goes on it makes that call. */
  #prepare(number: number, args: readonly bigint[]): void {
    const words = this.#saved.slice();
    words[REGISTER.rax] = BigInt(number);
    words[REGISTER.originalRax] = NONE;
    words[REGISTER.rip]! -= CALL_OCTETS;
    args.forEach((value, index) => {
      words[this.numbers.registers[index]!] = value;
    });
    if (!setRegisters(this.tid, words)) throw new Gone();
  }

  /** Memory of the guest for `octets`; undefined when it has none to give. */
  allocate(octets: number): bigint | undefined {
    const args = [0n, BigInt(octets), PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, NONE, 0n];
    const address = this.call(this.numbers.mmap, args);
    return address === "executed" || failure(address) !== 0 ? undefined : address;
  }

  free(address: bigint, octets: number): void {
    this.call(this.numbers.munmap, [address, BigInt(octets)]);
  }

  /** The thread goes on behind its trapped call, which returns `result`. */
  end(result: bigint): void {
    this.#saved[REGISTER.rax] = result;
    setRegisters(this.tid, this.#saved);
    setSignalMask(this.tid, this.#mask);
    if (!detach(this.tid, this.stopSignal)) throw new Gone();
  }

  #resume(): void {
    if (!resumeToSyscall(this.tid)) throw new Gone();
  }

  #await(wanted: (stop: Stop) => boolean): Stop {
    for (;;) {
      const stop = waitForStop(-1);
      if (stop === undefined) throw new Reaped();
      if (stop.kind === "ended") {
        // One that we left a moment before it was killed may be told of late.
        if (stop.tid !== this.tid) continue;
        throw new Reaped();
      }
      if (wanted(stop)) return stop;
      if (stop.kind === "signal") this.stopSignal = stop.signal;
      resumeToSyscall(stop.tid);
    }
  }
}

/** The errno in a result; 0 when it is none. */
function failure(result: bigint): number {
  const negated = BigInt.asUintN(64, -result);
  return negated > 0n && negated <= ERRNO_MAX ? Number(negated) : 0;
}

/** What a remote call came to. */
export type RemoteResult =
  | { readonly kind: "returned"; readonly value: bigint; readonly errno: number }
  | { readonly kind: "executed" }
  /** Nobody is there any more. */
  | { readonly kind: "gone" }
  /** The thread cannot be traced (EPERM: another tracer has it); it still waits for its answer. */
  | { readonly kind: "refused"; readonly errno: number };

/**
 * Lets the caller of a trapped call make another one instead. Unless refused, the request is
 * answered by that.
 */
export function callRemotely(request: NotifyListener, call: RemoteCall): RemoteResult {
  const { pid: tid, arch } = request;
  const args = [0, 1, 2, 3, 4].map((index) => request.argument(index));
  const number = call.number ?? request.number;
  const refused = seize(tid, TRACE_OPTION.SYSGOOD | TRACE_OPTION.EXEC);
  if (refused !== 0) return { kind: "refused", errno: refused };
  interrupt(tid);
  // The answer is never seen: the thread stops before it returns to its program.
  request.fail(ERRNO.EINTR);
  try {
    const session = new Session(tid, arch);
    const { word } = session.numbers;
    const size = Math.ceil(placedOctets(call.placed, word) / PAGE) * PAGE;
    const fits = size <= SCRATCH_OCTETS_MAX;
    const scratch = size === 0 ? 0n : fits ? session.allocate(size) : undefined;
    if (scratch === undefined) {
      return returned(session, BigInt.asUintN(64, BigInt(-ERRNO.ENOMEM)));
    }
    const memory = layOut(call.placed, scratch, word, (index, address) => {
      args[index] = address;
    });
    for (const { index, value } of call.values ?? []) args[index] = value;
    if (size > 0) writeGuestMemory(tid, scratch, memory);
    const result = session.call(number, [...args, call.pass]);
    if (result === "executed") return { kind: "executed" };
    if (size > 0) session.free(scratch, size);
    return returned(session, result);
  } catch (error) {
    if (!(error instanceof Gone)) throw error;
    if (!(error instanceof Reaped)) reap(tid);
    return { kind: "gone" };
  }
}

function returned(session: Session, value: bigint): RemoteResult {
  session.end(value);
  return { kind: "returned", value, errno: failure(value) };
}
