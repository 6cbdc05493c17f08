/**
 * Storm control: while others have frames for one station to carry, a cable that floods is read no
 * faster than a bounded rate. Nothing is dropped: the sender of the storm waits, and the rate of
 * the others stays theirs. Alone on the switch a flood may have all of it; a hub has no such rule.
 */
import type { Epoll } from "../sys/index.ts";
import { watchInput } from "./endpoint-watch.ts";
import type { SwitchEndpoint } from "./switch-endpoint.ts";

/** Floods of one cable that are never slowed. */
export const FLOODS_PER_MS = 20;
/** Floods that may come at once. */
export const FLOOD_BURST = 1024;
/** So long after its last frame for one station another cable still counts as busy. */
const CONTENTION_MS = 100;

/** Used by the packet thread only. */
export class StormControl {
  readonly #epoll: Epoll;
  readonly #resting: SwitchEndpoint[] = [];
  /** The cable that last gave a frame for one station, when, and when another one did. */
  #busy: SwitchEndpoint | undefined;
  #busyMs = Number.NEGATIVE_INFINITY;
  #otherBusyMs = Number.NEGATIVE_INFINITY;

  constructor(epoll: Epoll) {
    this.#epoll = epoll;
  }

  /** Whether a cable rests: the next round must not wait longer than a millisecond. */
  get isActive(): boolean {
    return this.#resting.length > 0;
  }

  /** `source` gave a batch: so many floods, so many frames for one station. */
  account(source: SwitchEndpoint, floods: number, others: number, nowMs: number): void {
    if (others > 0) {
      if (this.#busy !== source) {
        this.#otherBusyMs = this.#busyMs;
        this.#busy = source;
      }
      this.#busyMs = nowMs;
    }
    if (floods === 0) return;
    const earned = (nowMs - source.floodMs) * FLOODS_PER_MS;
    source.floodMs = nowMs;
    source.floodCredit = Math.min(FLOOD_BURST, source.floodCredit + earned) - floods;
    if (source.floodCredit >= 0) return;
    const rivalMs = this.#busy === source ? this.#otherBusyMs : this.#busyMs;
    if (nowMs - rivalMs > CONTENTION_MS) source.floodCredit = 0;
    else this.#rest(source, nowMs - source.floodCredit / FLOODS_PER_MS);
  }

  /** Cables whose rest is over are read again. */
  wake(nowMs: number): void {
    for (let i = this.#resting.length - 1; i >= 0; i--) {
      const source = this.#resting[i]!;
      if (nowMs < source.restUntilMs && !source.isClosed) continue;
      this.#resting.splice(i, 1);
      source.restUntilMs = 0;
      if (--source.blockedBy === 0) watchInput(this.#epoll, source, true);
    }
  }

  #rest(source: SwitchEndpoint, untilMs: number): void {
    if (source.restUntilMs === 0) {
      this.#resting.push(source);
      source.timesRested++;
      if (source.blockedBy++ === 0) watchInput(this.#epoll, source, false);
    }
    source.restUntilMs = untilMs;
  }
}
