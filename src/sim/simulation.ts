/**
 * Virtual time for protocols that get the time as an argument: events happen in the order of their
 * times, and of their making when they fall together. One seed, one history, on every machine.
 */
import { type Clock, type Due, Rng, TimeHeap, V2Error } from "../base/index.ts";

interface Event extends Due {
  readonly happen: () => void;
}

/** Events a simulation may hold; more is a storm that nothing bounds. */
const EVENTS_MAX = 1_000_000;

/** A clock, a seeded generator, and what is to happen. */
export class Simulation implements Clock {
  readonly rng: Rng;
  /** Events that happened so far. */
  happened = 0;
  readonly #events = new TimeHeap<Event>();
  #nowMs = 0;

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
    if (this.#events.size >= EVENTS_MAX) {
      throw new V2Error("EVENT_STORM", `more than ${EVENTS_MAX} events wait`, {
        remedy: "Bound the queues of the links, or end the loop that multiplies frames.",
      });
    }
    this.#events.push({ atMs: Math.max(atMs, this.#nowMs), happen });
  }

  /** Lets everything happen up to and including `untilMs`; the clock stands there afterwards. */
  run(untilMs: number): void {
    for (;;) {
      const next = this.#events.first;
      if (next === undefined || next.atMs > untilMs) break;
      this.#events.shift();
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
}
