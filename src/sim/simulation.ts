/**
 * Virtual time for protocols that get the time as an argument: events happen in the order of their
 * times, and of their making when they fall together. One seed, one history, on every machine.
 */
import { type Clock, Rng, V2Error } from "../base/index.ts";

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly happen: () => void;
}

/** Events a simulation may hold; more is a storm that nothing bounds. */
const EVENTS_MAX = 1_000_000;

/** A clock, a seeded generator, and what is to happen. */
export class Simulation implements Clock {
  readonly rng: Rng;
  /** Events that happened so far. */
  happened = 0;
  /** Binary heap: an event is not before its parent. */
  readonly #heap: Event[] = [];
  #nowMs = 0;
  #order = 0;

  /** @param seed any integer; print it when a check fails. */
  constructor(seed: number) {
    this.rng = new Rng(seed);
  }

  nowMs(): number {
    return this.#nowMs;
  }

  /** Virtual wall time starts at the epoch. */
  wallNs(): bigint {
    return BigInt(Math.round(this.#nowMs * 1e6));
  }

  /**
   * Lets something happen `delayMs` from now (at once when negative). Throws V2Error EVENT_STORM
   * when there are more events than any sound script makes.
   */
  after(delayMs: number, happen: () => void): void {
    this.at(this.#nowMs + Math.max(0, delayMs), happen);
  }

  /** The same at a time; one that has passed is now. */
  at(atMs: number, happen: () => void): void {
    if (this.#heap.length >= EVENTS_MAX) {
      throw new V2Error("EVENT_STORM", `more than ${EVENTS_MAX} events wait`, {
        remedy: "Bound the queues of the links, or end the loop that multiplies frames.",
      });
    }
    this.#push({ atMs: Math.max(atMs, this.#nowMs), order: this.#order++, happen });
  }

  /** Lets everything happen up to and including `untilMs`; the clock stands there afterwards. */
  run(untilMs: number): void {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#pop();
      this.#nowMs = next.atMs;
      this.happened++;
      next.happen();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  /** `run` for so long from now. */
  runFor(ms: number): void {
    this.run(this.#nowMs + ms);
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs === b.atMs ? a.order < b.order : a.atMs < b.atMs;
}
