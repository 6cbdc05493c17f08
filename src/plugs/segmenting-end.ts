/**
 * An end that carries plain frames only, given any: on the way out checksums are filled in and
 * super-frames are cut into segments (wire/segment.ts). Every end that does not say `offload` gets
 * one around it wherever unfinished frames may come, so a legacy peer never sees one.
 */
import { type FramePool, OFFLOAD } from "../base/index.ts";
import { completeChecksum, SegmentPlan } from "../wire/index.ts";
import { BATCH_FRAMES, type CableEnd, END_CLOSED } from "./end.ts";
import { WrappedEnd } from "./wrapped-end.ts";

/** What the ends of one pool share to cut frames; used by one thread. */
export class Segmenter {
  readonly pool: FramePool;
  readonly plan = new SegmentPlan();
  /** Segments on their way to an end; empty between calls. */
  readonly scratch = new Int32Array(BATCH_FRAMES);
  /** Super-frames cut. */
  cut = 0;
  /** Super-frames whose headers were not what they were said to be. */
  malformed = 0;
  /** Super-frames of which a part was lost, because no slot was free to keep it in. */
  unkept = 0;
  readonly #reserve: number;

  /**
   * Takes BATCH_FRAMES slots of the pool for good.
   * @param reserve slots to be left free for others.
   */
  constructor(pool: FramePool, reserve: number) {
    this.pool = pool;
    this.#reserve = reserve;
    for (let i = 0; i < this.scratch.length; i++) this.scratch[i] = pool.take();
  }

  /** A slot to keep the rest of a frame in; -1: none to spare. */
  keep(slot: number): number {
    const kept = this.pool.freeCount > this.#reserve ? this.pool.take() : -1;
    if (kept >= 0) this.pool.copy(slot, kept);
    else this.unkept++;
    return kept;
  }
}

/** Cuts and finishes what goes out. */
export class SegmentingEnd extends WrappedEnd {
  readonly #segmenter: Segmenter;
  /** The super-frame of which some segments have left, in a slot of its own; -1: none. */
  #kept = -1;
  /** Its next segment. */
  #next = 0;

  constructor(inner: CableEnd, segmenter: Segmenter) {
    super(inner, true);
    this.#segmenter = segmenter;
  }

  override get hasBacklog(): boolean {
    return this.#kept >= 0 || this.inner.hasBacklog === true;
  }

  override send(pool: FramePool, slots: Int32Array, from: number, count: number): number {
    if (this.#kept >= 0) {
      const isSent = this.#sendRest();
      if (isSent !== 1) return isSent;
    }
    if (count === 0) return this.inner.send(pool, slots, from, 0);
    let taken = 0;
    while (taken < count) {
      const run = this.#finish(pool, slots, from + taken, count - taken);
      if (run > 0) {
        const sent = this.inner.send(pool, slots, from + taken, run);
        if (sent === END_CLOSED) return taken > 0 ? taken : END_CLOSED;
        taken += sent;
        if (sent < run) return taken;
      } else {
        const isTaken = this.#sendSuper(slots[from + taken]!);
        if (isTaken === END_CLOSED) return taken > 0 ? taken : END_CLOSED;
        taken += isTaken;
        if (isTaken === 0 || this.#kept >= 0) return taken;
      }
    }
    return taken;
  }

  override close(): void {
    this.#drop();
    this.inner.close();
  }

  /** Frames from `at` on that are plain, after their checksums were filled in. */
  #finish(pool: FramePool, slots: Int32Array, at: number, count: number): number {
    const { offload } = pool;
    for (let run = 0; run < count; run++) {
      const slot = slots[at + run]!;
      const kind = offload[slot]!;
      if (kind === OFFLOAD.none) continue;
      if (kind !== OFFLOAD.checksum) return run;
      completeChecksum(pool, slot);
    }
    return count;
  }

  /** @returns 1: taken, a part of it perhaps kept; 0: no room for any of it; END_CLOSED. */
  #sendSuper(slot: number): number {
    const segmenter = this.#segmenter;
    if (!segmenter.plan.load(segmenter.pool, slot)) {
      segmenter.malformed++;
      return 1;
    }
    const next = this.#sendSegments(0);
    if (next <= 0) return next;
    segmenter.cut++;
    if (next < segmenter.plan.count) {
      this.#kept = segmenter.keep(slot);
      this.#next = next;
    }
    return 1;
  }

  /** @returns 1: all is sent; 0: some is left; END_CLOSED. */
  #sendRest(): number {
    const { plan, pool } = this.#segmenter;
    plan.load(pool, this.#kept);
    const next = this.#sendSegments(this.#next);
    if (next === END_CLOSED) return END_CLOSED;
    this.#next = next;
    if (next < plan.count) return 0;
    this.#drop();
    return 1;
  }

  /** Sends segments of the loaded plan. @returns the first that the end did not take. */
  #sendSegments(first: number): number {
    const { plan, pool, scratch } = this.#segmenter;
    let next = first;
    while (next < plan.count) {
      const made = Math.min(scratch.length, plan.count - next);
      for (let i = 0; i < made; i++) plan.emit(pool, next + i, scratch[i]!);
      for (let at = 0; at < made; ) {
        const sent = this.inner.send(pool, scratch, at, made - at);
        if (sent === END_CLOSED) return END_CLOSED;
        if (sent === 0) return next;
        at += sent;
        next += sent;
      }
    }
    return next;
  }

  #drop(): void {
    if (this.#kept >= 0) this.#segmenter.pool.release(this.#kept);
    this.#kept = -1;
  }
}
