/**
 * Cables that take no more for the moment, and the cables that are not read until they do. A wait
 * has a deadline: a cable that makes no progress until then is stuck and drops what is for it until
 * it is writable again.
 */
import type { FramePool } from "../base/index.ts";
import type { Epoll } from "../sys/index.ts";
import { watchInput, watchRoom } from "./endpoint-watch.ts";
import type { SwitchEndpoint } from "./switch-endpoint.ts";

/**
 * How long a full cable may make its sources wait without progress: a reader in good standing may
 * be kept off the processor of a busy machine for some time slices; one that was stuck a moment ago
 * is not waited for like that again.
 */
export const PATIENCE_MS = 100;
export const STUCK_MS = 20;
const STANDING_LOST_MS = 2000;
/** Progress enough to start the wait anew: this many frames, or octets. */
const PROGRESS_FRAMES = 32;
const PROGRESS_OCTETS = 256 * 1024;

/** The congested cables of one data plane. */
export class Congestion {
  readonly #epoll: Epoll;
  readonly #pool: FramePool;
  readonly #congested: SwitchEndpoint[] = [];

  constructor(epoll: Epoll, pool: FramePool) {
    this.#epoll = epoll;
    this.#pool = pool;
  }

  get count(): number {
    return this.#congested.length;
  }

  /** A cable took less than it was given. */
  begin(target: SwitchEndpoint, nowMs: number): void {
    target.isCongested = true;
    this.#congested.push(target);
    target.startDeadline(nowMs);
    watchRoom(this.#epoll, target, true);
  }

  /** The source is read no more until what it gave to `target` has left. */
  pause(source: SwitchEndpoint, target: SwitchEndpoint): void {
    if (target.waiters.includes(source)) return;
    target.waiters.push(source);
    source.timesPaused++;
    if (source.blockedBy++ === 0) watchInput(this.#epoll, source, false);
  }

  /** A cable is no longer full, or no longer waited for: its sources go on. */
  relieve(target: SwitchEndpoint): void {
    target.isCongested = false;
    this.#congested.splice(this.#congested.indexOf(target), 1);
    if (!target.isClosed && !target.isStuck) watchRoom(this.#epoll, target, false);
    for (let i = 0; i < target.waiters.length; i++) {
      const source = target.waiters[i]!;
      if (--source.blockedBy === 0) watchInput(this.#epoll, source, true);
    }
    target.waiters.length = 0;
  }

  /** @param flush writes a queue as far as it goes, and ends the congestion if all has left. */
  checkDeadlines(nowMs: number, flush: (target: SwitchEndpoint) => void): void {
    for (let i = this.#congested.length - 1; i >= 0; i--) {
      const target = this.#congested[i]!;
      const isDoubtful = nowMs - target.stuckAtMs < STANDING_LOST_MS;
      if (nowMs - target.progressMs < STUCK_MS) continue;
      // A socket says "writable" only when most of its buffer is free; some room may be there
      // before.
      flush(target);
      if (!target.isCongested) continue;
      if (target.progressFrames >= PROGRESS_FRAMES || target.progressOctets >= PROGRESS_OCTETS) {
        target.startDeadline(nowMs);
      } else if (isDoubtful || nowMs - target.progressMs >= PATIENCE_MS) {
        this.#giveUp(target, nowMs);
      }
    }
  }

  /**
   * The deadline passed: what waits is dropped, and so is what follows, until the cable is
   * writable.
   */
  #giveUp(target: SwitchEndpoint, nowMs: number): void {
    target.isStuck = true;
    target.stuckAtMs = nowMs;
    target.timesStuck++;
    target.droppedStuck += target.queued;
    target.dropQueue(this.#pool);
    this.relieve(target);
  }
}
