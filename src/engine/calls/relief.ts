/**
 * Path calls may block: on a FIFO without a writer, on a file system that is served by a process of
 * the same view. The thread that performs such a call waits with its caller; another takes the
 * requests of all others meanwhile. What each thread does stands in shared memory, and the main
 * thread of the supervisor looks at it every few milliseconds.
 *
 * When a caller that waits is killed, or has a signal to handle, the thread that waits for it is
 * interrupted.
 */
import { ERRNO } from "../../base/index.ts";
import type { CallRequest } from "../../sys/index.ts";

/** Threads for one view; more calls than that, blocked at once, make the others wait. */
export const SEATS_MAX = 32;
const LISTENERS_MAX = 256;
export const SEAT_WORDS = 8;
const COUNT = 0;
/** 1: only the thread with seat 0 may serve. */
export const RETIRED = 1;
const EPOCH = 1;
const LISTENERS = 2;
/** First word of the first seat. */
export const SEATS = LISTENERS + LISTENERS_MAX;
const WORDS = SEATS + SEATS_MAX * SEAT_WORDS;

/** Words of a seat; the id of the request takes two. */
export const SEAT = { state: 0, thread: 1, duty: 2, listener: 3, caller: 4, id: 6 } as const;
/** Seat states: even and odd numbers count calls, odd within one; this one: blocked, and seen. */
export const BLOCKED = -1;

/** The shared memory of the threads that serve a view. */
export class Relief {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #octets: Uint8Array;
  readonly #at: number;
  #calls = 0;

  /**
   * @param memory that of the others; undefined: the first
   * @param seat our own place; 0 is the thread that also takes in new processes
   */
  constructor(memory?: SharedArrayBuffer, seat = 0) {
    this.memory = memory ?? new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT);
    this.#words = new Int32Array(this.memory);
    this.#octets = new Uint8Array(this.memory);
    this.#at = SEATS + seat * SEAT_WORDS;
  }

  /** Our seat is taken by that thread. */
  sit(thread: number): void {
    this.#words[this.#at + SEAT.thread] = thread;
  }

  /** Nobody but the thread with seat 0 answers from now on. */
  retire(): void {
    Atomics.store(this.#words, RETIRED, 1);
  }

  /** The listeners of the view, for whoever has to serve them. */
  publish(listeners: Iterable<number>): void {
    let count = 0;
    for (const listener of listeners) {
      if (count < LISTENERS_MAX) this.#words[LISTENERS + count++] = listener;
    }
    Atomics.store(this.#words, COUNT, count);
  }

  /** What was published last. */
  listeners(): number[] {
    const count = Atomics.load(this.#words, COUNT);
    return [...this.#words.subarray(LISTENERS, LISTENERS + count)];
  }

  /** Something that others may remember of callers has changed. */
  change(): void {
    Atomics.add(this.#words, EPOCH, 1);
  }

  /** Counts the changes. */
  get epoch(): number {
    return Atomics.load(this.#words, EPOCH);
  }

  /** We begin a call that may block. */
  begin(request: CallRequest): void {
    const at = this.#at;
    this.#words[at + SEAT.listener] = request.descriptor;
    this.#words[at + SEAT.caller] = request.pid;
    request.copyId(this.#octets, (at + SEAT.id) * Int32Array.BYTES_PER_ELEMENT);
    this.#calls = (this.#calls + 2) & 0x3ffffffe;
    Atomics.store(this.#words, at + SEAT.state, this.#calls + 1);
  }

  /** It is over. */
  end(): void {
    Atomics.store(this.#words, this.#at + SEAT.state, this.#calls);
  }

  /** Waits until we are called to duty. */
  awaitDuty(): void {
    Atomics.wait(this.#words, this.#at + SEAT.duty, 0);
  }

  /** False once a thread with a lower seat serves again. */
  isOnDuty(): boolean {
    if (Atomics.load(this.#words, RETIRED) === 1) {
      Atomics.store(this.#words, this.#at + SEAT.duty, 0);
      return false;
    }
    for (let at = SEATS; at < this.#at; at += SEAT_WORDS) {
      if (Atomics.load(this.#words, at + SEAT.state) !== BLOCKED) {
        Atomics.store(this.#words, this.#at + SEAT.duty, 0);
        return false;
      }
    }
    return true;
  }
}

/** A call that was interrupted: the kernel restarts it, or lets it fail, as the signal wants. */
export const ERESTARTSYS = 512;

/** Is a signal waiting that a thread will handle as soon as its call returns? */
export function hasSignal(status: string): boolean {
  const mask = (label: string): bigint => {
    const found = new RegExp(`^${label}:\\t([0-9a-f]+)`, "m").exec(status);
    return BigInt(`0x${found?.[1] ?? "0"}`);
  };
  const pending = mask("SigPnd") | mask("ShdPnd");
  return (pending & ~mask("SigBlk") & ~mask("SigIgn")) !== 0n;
}

/** errno for a caller whose call was interrupted. */
export function interruptedErrno(status: string): number {
  const alone = /^Threads:\t1$/m.test(status);
  // Another thread may take a signal of the process: then nobody would restart the call.
  return alone && hasSignal(status) ? ERESTARTSYS : ERRNO.EINTR;
}
