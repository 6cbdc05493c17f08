/**
 * Runs a StackRunner in Node's event loop. A thread of its own waits for the runner's descriptors
 * and rings; the loop then moves frames until nothing comes any more, and only then lets the thread
 * wait again: one waking for many frames when there is much to do.
 */
import { Worker } from "node:worker_threads";
import { Bell } from "../sys/index.ts";
import type { StackRunner } from "./stack-runner.ts";

/** Rounds without anything to do before the thread waits again. */
const IDLE_ROUNDS = 2;
/** Longest timer that Node takes. */
const TIMER_MAX_MS = 0x7fff_ffff;

/** What the waiting thread is given. */
export interface DoorbellData {
  readonly fd: number;
  readonly bellFd: number;
  /** One Int32: 1 while the thread is to wait, 0 while the loop works, 2: the end. */
  readonly state: SharedArrayBuffer;
}

/** States of `DoorbellData.state`. */
export const DOORBELL = { working: 0, waiting: 1, over: 2 } as const;

/** A runner in the event loop; `close` ends it and closes the runner's cables. */
export class StackLoop implements AsyncDisposable {
  readonly runner: StackRunner;
  readonly #bell = new Bell();
  readonly #state = new Int32Array(new SharedArrayBuffer(4));
  readonly #worker: Worker;
  #timer: NodeJS.Timeout | undefined;
  #idle = 0;
  #isScheduled = false;
  #isClosed = false;

  constructor(runner: StackRunner) {
    this.runner = runner;
    const state = this.#state.buffer;
    const workerData: DoorbellData = { fd: runner.fd, bellFd: this.#bell.fd, state };
    this.#worker = new Worker(new URL("./stack-doorbell.js", import.meta.url), { workerData });
    this.#worker.on("message", () => this.#turn());
    this.#wait();
  }

  /**
   * After calls of sockets: what they have caused is seen to. Cheap; calls within the stack's own
   * callbacks need none.
   */
  refresh(): void {
    this.runner.refresh();
    if (!this.#isScheduled) this.#setTimer();
  }

  /** Keeps the process alive while the loop runs (the default), or not. */
  ref(isKept: boolean): void {
    if (isKept) this.#worker.ref();
    else this.#worker.unref();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    Atomics.store(this.#state, 0, DOORBELL.over);
    Atomics.notify(this.#state, 0);
    this.#bell.ring();
    await this.#worker.terminate();
    this.#bell.close();
    this.runner.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #turn(): void {
    if (this.#isClosed) return;
    this.#isScheduled = true;
    const events = this.runner.step(0);
    this.#isScheduled = false;
    this.#idle = events > 0 || this.runner.waitMs === 0 ? 0 : this.#idle + 1;
    if (this.#idle < IDLE_ROUNDS) {
      this.#isScheduled = true;
      setImmediate(() => this.#turn());
    } else {
      this.#idle = 0;
      this.#wait();
    }
  }

  #wait(): void {
    Atomics.store(this.#state, 0, DOORBELL.waiting);
    Atomics.notify(this.#state, 0);
    this.#setTimer();
  }

  #setTimer(): void {
    clearTimeout(this.#timer);
    const waitMs = this.runner.waitMs;
    if (waitMs === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(() => this.#turn(), Math.min(TIMER_MAX_MS, Math.ceil(waitMs)));
    this.#timer.unref();
  }
}
