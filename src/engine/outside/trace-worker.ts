/**
 * The blocking half of a supervisor that traces its guests (rung D): a worker thread that waits for
 * stops of theirs and answers their calls. It is the tracer: ptrace(2) knows threads.
 */
import { openSync, readFileSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { ERRNO } from "../../base/index.ts";
import {
  type CallRequest,
  eventMessage,
  listen,
  REGISTER,
  registers,
  resume,
  resumeToSyscall,
  setRegisters,
  Standpoint,
  type Stop,
  TRACE_EVENT,
  TracedBell,
  waitForStop,
} from "../../sys/index.ts";
import { AUDIT_ARCH_X86_64, SoftFilter } from "../../viewos/index.ts";
import { type Answer, LATER, reply } from "../calls/answer.ts";
import { CallServices } from "../calls/call-services.ts";
import { Grounds } from "../calls/grounds.ts";
import type { NotifyWorkerData, NotifyWorkerEvent } from "../calls/worker-messages.ts";
import { ERESTARTSYS } from "../calls/relief.ts";
import { filterTraps } from "../calls/view-traps.ts";
import { OUTSIDE_TRAPS, tracedRules } from "../launch/launch-outside.ts";
import { handDescriptor } from "./handed-descriptor.ts";
import { callEntry, failureOf, Gone, LedThread, Reaped, Replaced } from "./led-thread.ts";
import type { Instead } from "./outside-calls.ts";
import { StoppedCall, type StoppedThreads } from "./stopped-call.ts";
import { TraceDoor } from "./trace-door.ts";

const SIGTRAP = 5;
/** No system call: the kernel performs none and leaves the result as it is. */
const NO_CALL = 0xffff_ffff_ffff_ffffn;
/** While modules decide calls, how often it is looked whether one is late. */
const LOOK_MS = 250;

/** What is to be put right when a call that was changed ends. */
interface Changed {
  readonly call: StoppedCall;
  /** The registers before. */
  readonly before: BigUint64Array;
  /** What it returns, when that is not for the kernel to say. */
  readonly result?: bigint;
  readonly after: (errno: number) => void;
}

class TraceLoop implements StoppedThreads {
  readonly #services: CallServices;
  readonly #rules: SoftFilter;
  readonly #door: TraceDoor;
  /** Threads of the view that have stopped once; a new one does so at its birth. */
  readonly #guests = new Set<number>();
  /** Calls that have not been answered, by thread. */
  readonly #open = new Map<number, StoppedCall>();
  /** Threads in a call that we have changed. */
  readonly #changed = new Map<number, Changed>();
  /** Threads between the two stops of a call, when there is no filter. */
  readonly #inCall = new Set<number>();
  #lastId = 0n;

  constructor(data: NotifyWorkerData) {
    const standpoint = new Standpoint();
    const grounds = new Grounds();
    // Guests stand where we stand.
    grounds.add(openSync("/proc/self/ns/mnt", "r"), openSync("/proc/self/ns/uts", "r"));
    this.#services = new CallServices(data, {
      standpoint,
      grounds,
      post: (event) => this.#post(event),
      groundOf: (pid) => grounds.of(pid, standpoint)?.mnt,
      lead: (request, instead) => this.#lead(request as StoppedCall, instead),
    });
    const traps = [{ calls: OUTSIDE_TRAPS }, ...filterTraps(data.traps)];
    this.#rules = new SoftFilter(tracedRules(traps, data.outside!.denies));
    this.#door = new TraceDoor(data, {
      post: (event) => this.#post(event),
      control: this.#services.door,
      hearModules: () => this.#services.hearModules(),
      callBy: (id) => [...this.#open.values()].find((call) => call.id === id),
    });
  }

  get answers(): number {
    return this.#door.answers;
  }

  /** Runs until no process of the view is left, or until told to stop. */
  run(): void {
    do {
      const bell = new TracedBell(this.#door.descriptor);
      const isAnybody = (): boolean => this.#guests.size > 0 || this.#door.isExpected;
      while (isAnybody()) {
        const stop = waitForStop(-1);
        if (stop?.tid !== bell.pid && stop !== undefined) this.#on(stop);
        else if (stop === undefined || stop.kind === "ended") {
          throw new Error("the bell of the tracer has been killed");
        } else if (!this.#serve(bell)) return;
      }
      bell.end();
    } while (this.#isAnybodyLeft());
    this.#post({ kind: "empty" });
  }

  /** A thread may have been born that has not come to its first stop, and its maker have ended. */
  #isAnybodyLeft(): boolean {
    for (let stop = waitForStop(-1); stop !== undefined; stop = waitForStop(-1)) {
      if (stop.kind === "ended") continue;
      this.#on(stop);
      return true;
    }
    return false;
  }

  /** What others want of us; false: end. */
  #serve(bell: TracedBell): boolean {
    const { paths, modules } = this.#services;
    paths?.rest();
    for (const pid of this.#door.serve()) this.#guests.add(pid);
    if (this.#door.isClosed) return false;
    if (!modules.isEmpty) modules.expire();
    bell.patienceMs = modules.isEmpty ? -1 : LOOK_MS;
    bell.resume();
    return true;
  }

  #post(event: NotifyWorkerEvent): void {
    parentPort!.postMessage(event);
  }

  #on(stop: Stop): void {
    const { tid } = stop;
    if (stop.kind === "ended") {
      this.#guests.delete(tid);
      this.#forget(tid);
      return;
    }
    this.#guests.add(tid);
    if (stop.kind === "signal") this.#resume(tid, stop.signal);
    else if (stop.kind === "syscall") this.#onSyscall(tid);
    else this.#onEvent(stop);
  }

  #onEvent({ tid, event, signal }: Extract<Stop, { kind: "event" }>): void {
    switch (event) {
      case TRACE_EVENT.SECCOMP:
        return this.#onCall(tid);
      case TRACE_EVENT.STOP:
        if (signal !== SIGTRAP) return void listen(tid);
        break;
      case TRACE_EVENT.EXEC:
        this.#onExec(tid);
        break;
    }
    return this.#resume(tid);
  }

  /** All other threads of the process are gone; its arguments too. */
  #onExec(tid: number): void {
    const former = eventMessage(tid);
    this.#changed.get(former)?.after(0);
    this.#forget(former);
    if (former !== tid) {
      this.#forget(tid);
      this.#guests.delete(former);
    }
    // Without a filter the end of execve is still to come.
    if (!this.#door.isFiltered) this.#inCall.add(tid);
  }

  #forget(tid: number): void {
    const call = this.#open.get(tid);
    if (call !== undefined) call.isOver = true;
    this.#open.delete(tid);
    this.#changed.delete(tid);
    this.#inCall.delete(tid);
  }

  /** A stop before or after a call. */
  #onSyscall(tid: number): void {
    if (this.#changed.has(tid)) return this.#onChangedEnd(tid);
    const isEnd = this.#inCall.delete(tid);
    if (!isEnd && !this.#door.isFiltered) {
      this.#inCall.add(tid);
      return this.#onCall(tid);
    }
    return this.#resume(tid);
  }

  /** A guest is about to make a call. */
  #onCall(tid: number): void {
    const words = registers(tid);
    if (words === undefined) return;
    const call = new StoppedCall(++this.#lastId, tid, words, this);
    this.#open.set(tid, call);
    const rule = this.#door.isFiltered ? undefined : this.#rules.decide(call);
    if (rule?.kind === "allow") this.proceed(call);
    else if (rule?.kind === "errno") call.fail(rule.errno);
    else reply(call, this.#services.answer(call, this.#perform));
  }

  readonly #perform = (request: CallRequest): Answer => {
    const answer = this.#services.perform(request);
    this.#services.paths?.rest();
    return answer;
  };

  keep(call: StoppedCall): void {
    // It has been changed, and is to be made now.
    if (this.#changed.has(call.pid)) this.#resume(call.pid);
  }

  proceed(call: StoppedCall): void {
    this.#close(call);
    this.#resume(call.pid);
  }

  settle(call: StoppedCall, value: bigint): void {
    const { pid, words } = call;
    const before = words.slice();
    words[REGISTER.originalRax] = NO_CALL;
    words[REGISTER.rax] = value;
    this.#close(call);
    setRegisters(pid, words);
    // Somebody else's filter may yet have its say about a call without a number; and only one with
    // a number can be restarted.
    if (!this.#door.isFiltered || failureOf(value) === ERESTARTSYS) {
      this.#changed.set(pid, { call, before, result: value, after: () => {} });
    }
    this.#resume(pid);
  }

  give(call: StoppedCall, descriptor: number, closeOnExec: boolean): void {
    const { pid } = call;
    this.#services.paths?.rest();
    this.#close(call);
    try {
      const thread = LedThread.atCall(pid, call.arch);
      this.#inCall.delete(pid);
      const result = handDescriptor(thread, processOf(pid), descriptor, closeOnExec);
      thread.end(BigInt.asUintN(64, BigInt(result)));
      this.#resume(pid, thread.stopSignal);
    } catch (error) {
      if (!(error instanceof Gone)) throw error;
      if (error instanceof Replaced) this.#onEvent(error.stop);
      else if (error instanceof Reaped) this.#on({ kind: "ended", tid: pid, status: 0 });
    }
  }

  #close(call: StoppedCall): void {
    call.isOver = true;
    this.#open.delete(call.pid);
  }

  /** The call is made with arguments that lie below the guest's stack. */
  #lead(call: StoppedCall, { placed, values, after }: Instead): Answer {
    const before = call.words.slice();
    if (!call.isValid()) return { kind: "done", errno: ERRNO.ESRCH };
    const hasRoom = call.place(placed);
    for (const { index, value } of values ?? []) call.set(index, value);
    if (!hasRoom) {
      call.words.set(before);
      after(ERRNO.ENOMEM);
      return { kind: "done", errno: ERRNO.ENOMEM };
    }
    setRegisters(call.pid, call.words);
    this.#close(call);
    this.#changed.set(call.pid, { call, before, after });
    return LATER;
  }

  /** The registers of arguments are as they were; a call that starts again begins anew. */
  #onChangedEnd(tid: number): void {
    const { call, before, after, result: given } = this.#changed.get(tid)!;
    this.#changed.delete(tid);
    this.#inCall.delete(tid);
    const words = registers(tid);
    if (words === undefined) return;
    const result = given ?? words[REGISTER.rax]!;
    words[REGISTER.rax] = result;
    words[REGISTER.originalRax] = before[REGISTER.originalRax]!;
    const { registers: used } = callEntry(call.arch);
    // The call itself leaves the return address in rcx.
    const isClobbered = (register: number): boolean =>
      register === REGISTER.rcx && call.arch === AUDIT_ARCH_X86_64;
    for (const register of used) if (!isClobbered(register)) words[register] = before[register]!;
    setRegisters(tid, words);
    after(failureOf(result));
    this.#resume(tid);
  }

  #resume(tid: number, signal = 0): void {
    if (!this.#door.isFiltered || this.#changed.has(tid)) resumeToSyscall(tid, signal);
    else resume(tid, signal);
  }
}

/** The process of a thread. */
function processOf(tid: number): number {
  try {
    return Number(/^Tgid:\s+(\d+)/m.exec(readFileSync(`/proc/${tid}/status`, "latin1"))?.[1]);
  } catch {
    return tid;
  }
}

new TraceLoop(workerData as NotifyWorkerData).run();
