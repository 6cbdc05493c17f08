/** The main thread's part of relief.ts: it sees who is blocked, and calls others to duty. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import {
  allowInterrupts,
  forbidInspection,
  interruptThread,
  NotifyListener,
} from "../../sys/index.ts";
import type { NotifyWorkerEvent } from "./worker-messages.ts";
import type { ReliefWorkerData } from "./relief-worker.ts";
import {
  BLOCKED,
  hasSignal,
  type Relief,
  RETIRED,
  SEAT,
  SEAT_WORDS,
  SEATS,
  SEATS_MAX,
} from "./relief.ts";

const BUSY_TICK_MS = 5;
const IDLE_TICK_MS = 50;
/** Quiet ticks after which the watch slows down. */
const QUIET_TICKS = 40;

/** Watches the threads of a view and calls others to duty. */
export class ReliefWatch {
  readonly #words: Int32Array;
  readonly #seen = new Int32Array(SEATS_MAX);
  readonly #addSeat: (seat: number) => void;
  readonly #mayGoOn: (thread: number) => boolean;
  #seats = 1;
  #quiet = 0;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param addSeat starts a thread with that seat
   * @param mayGoOn does the caller with that thread number still wait undisturbed?
   */
  constructor(
    relief: Relief,
    addSeat: (seat: number) => void,
    mayGoOn: (thread: number) => boolean,
  ) {
    this.#words = new Int32Array(relief.memory);
    this.#addSeat = addSeat;
    this.#mayGoOn = mayGoOn;
  }

  /** Looks from now on, for as long as the process lives. */
  start(): void {
    const delay = this.#quiet > QUIET_TICKS ? IDLE_TICK_MS : BUSY_TICK_MS;
    this.#timer = setTimeout(() => {
      this.#look();
      this.start();
    }, delay);
    this.#timer.unref();
  }

  #look(): void {
    this.#quiet++;
    let serving = 0;
    for (let seat = 0; seat < this.#seats; seat++) {
      const at = SEATS + seat * SEAT_WORDS;
      const state = Atomics.load(this.#words, at + SEAT.state);
      if (state === BLOCKED) this.#tend(at);
      else if (state !== this.#seen[seat]) this.#quiet = 0;
      else if ((state & 1) === 1) {
        Atomics.compareExchange(this.#words, at + SEAT.state, state, BLOCKED);
        this.#quiet = 0;
      }
      this.#seen[seat] = state;
      const onDuty = seat === 0 || Atomics.load(this.#words, at + SEAT.duty) === 1;
      if (onDuty && Atomics.load(this.#words, at + SEAT.state) !== BLOCKED) serving++;
    }
    if (serving === 0) this.#callSomebody();
  }

  /** The caller may be gone, or have a signal to handle: its thread of ours must not wait on. */
  #tend(at: number): void {
    this.#quiet = 0;
    const listener = new NotifyListener(this.#words[at + SEAT.listener]!);
    const id = new BigUint64Array(this.#words.buffer, (at + SEAT.id) * 4, 1)[0]!;
    const waits = listener.requestBy(id).isValid();
    if (waits && this.#mayGoOn(this.#words[at + SEAT.caller]!)) return;
    interruptThread(this.#words[at + SEAT.thread]!);
  }

  #callSomebody(): void {
    if (Atomics.load(this.#words, RETIRED) === 1) return;
    for (let seat = 1; seat < SEATS_MAX; seat++) {
      const at = SEATS + seat * SEAT_WORDS;
      if (Atomics.load(this.#words, at + SEAT.state) === BLOCKED) continue;
      Atomics.store(this.#words, at + SEAT.duty, 1);
      if (seat < this.#seats) Atomics.notify(this.#words, at + SEAT.duty);
      else {
        this.#seats = seat + 1;
        this.#addSeat(seat);
      }
      return;
    }
  }
}

/** Before the process ends: a thread that is blocked would keep it for ever. */
export function interruptBlocked(relief: Relief): void {
  const words = new Int32Array(relief.memory);
  for (let at = SEATS; at < words.length; at += SEAT_WORDS) {
    const state = Atomics.load(words, at + SEAT.state);
    if (state === BLOCKED || (state & 1) === 1) interruptThread(words[at + SEAT.thread]!);
  }
}

/**
 * Watches the threads of this supervisor's views from now on.
 * @param shared what further threads need of the first
 * @param onEvent takes what further threads have for the main thread
 */
export function watchPaths(
  relief: Relief,
  shared: Omit<ReliefWorkerData, "memory" | "seat">,
  onEvent: (event: NotifyWorkerEvent) => void,
): void {
  allowInterrupts();
  // Guests reach files of /proc through us: what is our own there must not be theirs.
  forbidInspection();
  const { memory } = relief;
  const addSeat = (seat: number): void => {
    const workerData: ReliefWorkerData = { ...shared, memory, seat };
    const file = fileURLToPath(new URL("./relief-worker.js", import.meta.url));
    const worker = new Worker(file, { workerData });
    worker.on("message", onEvent);
    worker.unref();
  };
  new ReliefWatch(relief, addSeat, (thread) => !hasSignal(statusOf(thread))).start();
}

function statusOf(thread: number): string {
  try {
    return readFileSync(`/proc/${thread}/status`, "latin1");
  } catch {
    return "";
  }
}
