/**
 * The blocking half of a supervisor that traces its guests (rung D): a worker thread that waits for
 * stops of theirs and decides about their calls. It is the tracer: ptrace(2) knows threads.
 */
import { parentPort, workerData } from "node:worker_threads";
import { ERRNO } from "../../base/index.ts";
import {
  closeDescriptor,
  eventMessage,
  interrupt,
  listen,
  namespaceId,
  receiveMessage,
  registers,
  REGISTER,
  resume,
  resumeToSyscall,
  seize,
  sendMessage,
  setRegisters,
  type Stop,
  TRACE_EVENT,
  TRACE_OPTION,
  waitForStop,
  waitReadable,
  writeGuestMemory,
} from "../../sys/index.ts";
import { AUDIT_ARCH_I386, AUDIT_ARCH_X86_64 } from "../../viewos/index.ts";
import type { TrappedCall } from "./guest-paths.ts";
import { explainFailure } from "../launch/launcher-answers.ts";
import { MESSAGE, valueOf } from "../launch/launch-steps.ts";
import type { NotifyWorkerData, NotifyWorkerEvent } from "../calls/notify-worker.ts";
import { type Instead, OutsideCalls } from "./outside-calls.ts";
import { layOut, placedOctets } from "./placed-arguments.ts";

const OPTIONS =
  TRACE_OPTION.SYSGOOD |
  TRACE_OPTION.FORK |
  TRACE_OPTION.VFORK |
  TRACE_OPTION.CLONE |
  TRACE_OPTION.EXEC |
  TRACE_OPTION.SECCOMP;

const SIGTRAP = 5;
/** Code segment of 32-bit programs (arch/x86/include/asm/segment.h). */
const USER32_CS = 0x23n;
/** Octets below the stack pointer that a function may use without telling (System V ABI). */
const RED_ZONE = 128n;
const STACK_ALIGNMENT = 16n;
/** No system call: the kernel performs none and leaves the result as it is. */
const NO_CALL = 0xffff_ffff_ffff_ffffn;
const ERRNO_MAX = 4095n;

const ARGUMENTS_64 = [
  REGISTER.rdi,
  REGISTER.rsi,
  REGISTER.rdx,
  REGISTER.r10,
  REGISTER.r8,
  REGISTER.r9,
] as const;
const ARGUMENTS_32 = [
  REGISTER.rbx,
  REGISTER.rcx,
  REGISTER.rdx,
  REGISTER.rsi,
  REGISTER.rdi,
  REGISTER.rbp,
] as const;

/** A call as its registers tell it. */
class StoppedCall implements TrappedCall {
  readonly pid: number;
  readonly words: BigUint64Array;
  readonly #registers: readonly number[];
  readonly arch: number;

  constructor(tid: number, words: BigUint64Array) {
    this.pid = tid;
    this.words = words;
    const is32 = words[REGISTER.cs] === USER32_CS;
    this.arch = is32 ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64;
    this.#registers = is32 ? ARGUMENTS_32 : ARGUMENTS_64;
  }

  get number(): number {
    return Number(BigInt.asIntN(32, this.words[REGISTER.originalRax]!));
  }

  argument(index: number): bigint {
    return this.words[this.#registers[index]!]!;
  }

  low(index: number): number {
    return Number(BigInt.asUintN(32, this.argument(index)));
  }

  high(index: number): number {
    return Number(this.argument(index) >> 32n);
  }

  /** A traced thread goes nowhere. */
  isValid(): boolean {
    return true;
  }

  set(index: number, value: bigint): void {
    this.words[this.#registers[index]!] = value;
  }
}

/** What is to be put right when a call that was changed ends. */
interface Changed {
  /** The registers before. */
  readonly before: BigUint64Array;
  /** What it returns, when that is not for the kernel to say. */
  readonly result?: bigint;
  readonly after: (errno: number) => void;
}

class TraceLoop {
  readonly #session: number;
  readonly #calls: OutsideCalls;
  /** Threads in a call that we have changed. */
  readonly #changed = new Map<number, Changed>();
  /** Threads between the two stops of a call, when there is no filter. */
  readonly #inCall = new Set<number>();
  /** The kernel stops guests only at the calls that matter. */
  #filtered = false;
  /** The launcher, until it has become the command. */
  #launcher: number | undefined;

  constructor(data: NotifyWorkerData) {
    this.#session = data.session!;
    this.#calls = new OutsideCalls(data.outside!);
  }

  /** Runs until no process of the view is left. */
  run(): void {
    if (this.#begin()) {
      for (let stop = waitForStop(-1); stop !== undefined; stop = waitForStop(-1)) this.#on(stop);
    }
    this.#post({ kind: "empty" });
  }

  #post(event: NotifyWorkerEvent): void {
    parentPort!.postMessage(event);
  }

  /** Attaches to the launcher; false when it ended instead. */
  #begin(): boolean {
    let pid = 0;
    for (;;) {
      const message = receiveMessage(this.#session);
      if (message === undefined) return false;
      const value = valueOf(message);
      if (message.octets[0] === MESSAGE.traced) pid = value;
      else if (message.octets[0] === MESSAGE.filtered) {
        this.#filtered = value === 0;
        const refused = seize(pid, OPTIONS);
        // An empty answer is a failure to the launcher.
        if (refused !== 0) sendMessage(this.#session, new Uint8Array(0));
        else {
          interrupt(pid);
          this.#launcher = pid;
          sendMessage(this.#session, Uint8Array.of(1));
          this.#post({
            kind: "entered",
            pid,
            session: this.#session,
            ground: namespaceId(pid, "mnt") ?? 0n,
            userNamespace: namespaceId("self", "user")!,
            facts: {},
          });
          return true;
        }
      } else explainFailure(this.#session, message, value);
    }
  }

  #on(stop: Stop): void {
    const { tid } = stop;
    if (tid === this.#launcher) this.#hearLauncher();
    switch (stop.kind) {
      case "ended":
        this.#forget(tid);
        return;
      case "signal":
        this.#resume(tid, stop.signal);
        return;
      case "syscall":
        this.#onSyscall(tid);
        return;
      case "event":
        this.#onEvent(stop);
    }
  }

  #onEvent({ tid, event, signal }: Extract<Stop, { kind: "event" }>): void {
    if (event === TRACE_EVENT.SECCOMP) this.#onCall(tid);
    else if (event === TRACE_EVENT.STOP && signal !== SIGTRAP) listen(tid);
    else {
      if (event === TRACE_EVENT.EXEC) this.#onExec(tid);
      this.#resume(tid);
    }
  }

  /** All other threads of the process are gone; its arguments too. */
  #onExec(tid: number): void {
    const former = eventMessage(tid);
    this.#changed.get(former)?.after(0);
    this.#forget(former);
    if (former !== tid) this.#forget(tid);
    // Without a filter the end of execve is still to come.
    if (!this.#filtered || tid === this.#launcher) this.#inCall.add(tid);
    if (tid === this.#launcher) {
      this.#launcher = undefined;
      closeDescriptor(this.#session);
    }
  }

  #forget(tid: number): void {
    this.#changed.delete(tid);
    this.#inCall.delete(tid);
  }

  /** Does the launcher say why it cannot go on? It stands at one of its calls. */
  #hearLauncher(): void {
    const POLLIN = 1;
    if (((waitReadable([this.#session], 0)[0] ?? 0) & POLLIN) === 0) return;
    const message = receiveMessage(this.#session);
    if (message === undefined) return;
    explainFailure(this.#session, message, valueOf(message));
  }

  /** A stop before or after a call. */
  #onSyscall(tid: number): void {
    if (this.#changed.has(tid)) return this.#onChangedEnd(tid);
    const isEnd = this.#inCall.delete(tid);
    if (!isEnd) {
      this.#inCall.add(tid);
      if (!this.#filtered) return this.#onCall(tid);
    }
    this.#resume(tid);
    return undefined;
  }

  /** A guest is about to make a call. */
  #onCall(tid: number): void {
    const words = registers(tid);
    if (words === undefined) return;
    const request = new StoppedCall(tid, words);
    const decision = this.#calls.decide(request);
    if (decision.kind === "instead") this.#change(request, decision);
    else if (decision.kind === "done") this.#answer(request, BigInt(-decision.errno));
    else if (decision.kind === "value") this.#answer(request, decision.value);
    this.#resume(tid);
  }

  /** The call is not made, and returns that. */
  #answer({ pid, words }: StoppedCall, value: bigint): void {
    const before = words.slice();
    const result = BigInt.asUintN(64, value);
    words[REGISTER.originalRax] = NO_CALL;
    words[REGISTER.rax] = result;
    setRegisters(pid, words);
    // Somebody else's filter may yet have its say about a call without a number.
    if (!this.#filtered) this.#changed.set(pid, { before, result, after: () => {} });
  }

  /** The call is made with arguments that lie below the guest's stack. */
  #change(request: StoppedCall, { placed, values, after }: Instead): void {
    const { pid, words } = request;
    const before = words.slice();
    const word = request.arch === AUDIT_ARCH_I386 ? 4 : 8;
    const size = BigInt(placedOctets(placed, word));
    const free = words[REGISTER.rsp]! - RED_ZONE - size;
    const base = free - (free % STACK_ALIGNMENT);
    const memory = layOut(placed, base, word, (index, address) => request.set(index, address));
    for (const { index, value } of values ?? []) request.set(index, value);
    if (!writeGuestMemory(pid, base, memory)) {
      after(ERRNO.ENOMEM);
      this.#answer(new StoppedCall(pid, before), BigInt(-ERRNO.ENOMEM));
      return;
    }
    setRegisters(pid, words);
    this.#changed.set(pid, { before, after });
  }

  /** The registers of arguments are as they were; a call that starts again begins anew. */
  #onChangedEnd(tid: number): void {
    const { before, after, result: given } = this.#changed.get(tid)!;
    this.#forget(tid);
    const words = registers(tid);
    if (words === undefined) return;
    const result = given ?? words[REGISTER.rax]!;
    words[REGISTER.rax] = result;
    for (const register of [...ARGUMENTS_64, REGISTER.rbx, REGISTER.rcx, REGISTER.rbp]) {
      const isClobbered = register === REGISTER.rcx && words[REGISTER.cs] !== USER32_CS;
      if (!isClobbered) words[register] = before[register]!;
    }
    setRegisters(tid, words);
    const negated = BigInt.asUintN(64, -result);
    after(negated > 0n && negated <= ERRNO_MAX ? Number(negated) : 0);
    this.#resume(tid);
  }

  #resume(tid: number, signal = 0): void {
    const all = !this.#filtered || tid === this.#launcher;
    if (all || this.#changed.has(tid)) resumeToSyscall(tid, signal);
    else resume(tid, signal);
  }
}

new TraceLoop(workerData as NotifyWorkerData).run();
