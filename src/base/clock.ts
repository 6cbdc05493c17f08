/** Time as a value: pure code is handed a clock, so that a test moves it instead of waiting. */

export interface Clock {
  /** Milliseconds from an arbitrary start, with fractions; never goes back (CLOCK_MONOTONIC). */
  nowMs(): number;
  /** Nanoseconds since 1970-01-01 UTC, for people and captures; may jump (CLOCK_REALTIME). */
  wallNs(): bigint;
}

/** A clock that stands until `advance` moves it. */
export class ManualClock implements Clock {
  readonly #wallStartNs: bigint;
  #nowMs = 0;

  /** @param wallStartNs wall time while `nowMs()` is 0. */
  constructor(wallStartNs = 0n) {
    this.#wallStartNs = wallStartNs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  wallNs(): bigint {
    return this.#wallStartNs + BigInt(Math.round(this.#nowMs * 1e6));
  }

  /** Moves time forward; a negative amount is ignored, because a monotonic clock has no past. */
  advance(ms: number): void {
    if (ms > 0) this.#nowMs += ms;
  }
}
