/**
 * Deputies: threads that perform single calls in the place of their callers. They take what may
 * wait for another process (the open of a FIFO, a connection) where the thread that asks the
 * modules must not be kept, and what needs the caller's rights beside that thread's other work. All
 * has been decided and copied before; nothing is read from the caller again.
 *
 * The main thread of the supervisor has these threads. It looks at them every few milliseconds:
 * when a caller is gone, or has a signal to handle, the deputy that waits for it is interrupted.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { ERRNO } from "../../base/index.ts";
import {
  allowInterrupts,
  type AnswerableCall,
  closeDescriptor,
  interruptThread,
  NotifyListener,
} from "../../sys/index.ts";
import type { Caller } from "../paths/caller.ts";
import { DistantCall } from "./distant-call.ts";
import { hasSignal } from "./relief.ts";

/** Calls of a supervisor that deputies perform at once; further ones fail with EAGAIN. */
export const DEPUTIES_MAX = 64;
/** Threads that are kept while nobody needs them. */
const FREE_MAX = 4;
const LOOK_MS = 5;
/** How often, and how long each time, the end of what acts is awaited. */
const CLOSE_TRIES = 100;
const CLOSE_LOOK_MS = 2;

/** What is to be done with a descriptor, which belongs to the deputy. */
export type DeputyAct =
  /** open(2) of a file that has been found (O_PATH). */
  | { readonly kind: "open"; readonly flags: number; readonly closeOnExec: boolean }
  /** With a copy of the caller's socket; a local path is resolved as the caller would. */
  | { readonly kind: "connect" | "bind"; readonly address: Uint8Array }
  /** fchown(2) of a copy of the caller's descriptor; `noId`: errno of ids that the view has not. */
  | {
      readonly kind: "chown";
      readonly uid: number;
      readonly gid: number;
      readonly noId: number;
    }
  /** A call that sets a clock: see ClockCall. There is no descriptor. */
  | { readonly kind: "clock"; readonly call: ClockCall };

/**
 * clock_settime, settimeofday, clock_adjtime or adjtimex of x86_64, with copies of what it reads.
 */
export interface ClockCall {
  readonly name: string;
  /** Of clock_settime and clock_adjtime. */
  readonly clock: number;
  /** struct timespec, timeval or timex; null: none. */
  readonly time: Uint8Array | null;
  /** struct timezone. */
  readonly zone: Uint8Array | null;
  /** Where a struct timex goes back to in the caller's memory. */
  readonly back: bigint | undefined;
}

/** A call that has been decided about. */
export interface DeputyCall {
  /** The caller's request: where it is answered, and its id. */
  readonly listener: number;
  readonly id: bigint;
  /** The caller is stopped by a tracer. */
  readonly isTraced: boolean;
  /** In whose name. */
  readonly caller: Caller;
  /** -1: the call has none. */
  readonly descriptor: number;
  readonly act: DeputyAct;
}

/** Words that a thread shares with us: its number, and whether it is in a call. */
export const DEPUTY = { thread: 0, acting: 1, words: 2 } as const;

/** A thread, and what it does; undefined: it is free. */
interface Deputy {
  readonly worker: Worker;
  readonly words: Int32Array;
  call: DeputyCall | undefined;
}

/** The threads. */
export class Deputies {
  #deputies: Deputy[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** Has a call performed; its caller is answered when that is done. */
  take(call: DeputyCall): void {
    const deputy = this.#deputies.find((one) => one.call === undefined) ?? this.#another();
    if (deputy === undefined) {
      if (call.descriptor >= 0) closeDescriptor(call.descriptor);
      requestOf(call).fail(ERRNO.EAGAIN);
      return;
    }
    deputy.call = call;
    deputy.worker.postMessage(call);
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** Interrupts all: a thread that waits would keep the process. */
  close(): void {
    clearInterval(this.#timer);
    // One that was about to wait has missed the first signal.
    for (let tries = 0; tries < CLOSE_TRIES; tries++) {
      const acting = this.#deputies.filter(isActing);
      if (acting.length === 0) break;
      for (const deputy of acting) interrupt(deputy);
      Atomics.wait(acting[0]!.words, DEPUTY.acting, 1, CLOSE_LOOK_MS);
    }
    for (const { worker } of this.#deputies) void worker.terminate();
  }

  #another(): Deputy | undefined {
    if (this.#deputies.length >= DEPUTIES_MAX) return undefined;
    allowInterrupts();
    const octets = DEPUTY.words * Int32Array.BYTES_PER_ELEMENT;
    const words = new Int32Array(new SharedArrayBuffer(octets));
    const file = fileURLToPath(new URL("./deputy-worker.js", import.meta.url));
    const worker = new Worker(file, { workerData: words, trackUnmanagedFds: false });
    worker.unref();
    const deputy: Deputy = { worker, words, call: undefined };
    worker.on("message", () => this.#done(deputy));
    this.#deputies.push(deputy);
    return deputy;
  }

  #done(deputy: Deputy): void {
    deputy.call = undefined;
    const free = this.#deputies.filter(({ call }) => call === undefined);
    if (free.length > FREE_MAX) {
      this.#deputies = this.#deputies.filter((other) => other !== deputy);
      void deputy.worker.terminate();
    }
    if (free.length < this.#deputies.length) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    for (const deputy of this.#deputies) {
      if (deputy.call === undefined) continue;
      const waits = requestOf(deputy.call).isValid();
      if (!waits || hasSignal(statusOf(deputy.call.caller.tid))) interrupt(deputy);
    }
  }
}

/** The request of a call. */
export function requestOf({ listener, id, isTraced, caller }: DeputyCall): AnswerableCall {
  if (isTraced) return new DistantCall(listener, id, caller.tid);
  return new NotifyListener(listener).requestBy(id);
}

/** What /proc says of a thread; empty when it is gone. */
export function statusOf(thread: number): string {
  try {
    return readFileSync(`/proc/${thread}/status`, "latin1");
  } catch {
    return "";
  }
}

const isActing = ({ words }: Deputy): boolean => Atomics.load(words, DEPUTY.acting) === 1;

function interrupt(deputy: Deputy): void {
  if (isActing(deputy)) interruptThread(deputy.words[DEPUTY.thread]!);
}
