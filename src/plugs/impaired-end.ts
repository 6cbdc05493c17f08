/**
 * A cable with an impairment in it (vde/impairment.ts): an end whose frames, in both directions,
 * pass a stage and arrive later, twice or not at all. It wraps the end of a cable while the cable
 * is plugged in and gives it back. Frames under way are kept outside the pool, so a long delay
 * takes no slots from others. A super-frame is one frame to the stage.
 */
import type { FramePool } from "../base/index.ts";
import { DelayLine, type ImpairmentSettings, stageOf } from "../vde/index.ts";
import { type CableEnd, END_CLOSED } from "./end.ts";
import { WrappedEnd } from "./wrapped-end.ts";

/** What is left to do to a frame (FramePool.offload); offsets are from its start. */
interface Unfinished {
  readonly offload: number;
  readonly checksumFrom: number;
  readonly checksumOffset: number;
  readonly segmentOctets: number;
}

export interface ImpairedEndOptions {
  readonly inner: CableEnd;
  readonly pool: FramePool;
  readonly settings: ImpairmentSettings;
  /** Tells the cables of one port apart, so that they do not lose the same frames. */
  readonly cable: number;
  /** Monotonic milliseconds. */
  readonly clockMs: () => number;
}

export class ImpairedEnd extends WrappedEnd {
  /** From the cable into the switch, and out of it. */
  readonly lineIn: DelayLine<Unfinished>;
  readonly lineOut: DelayLine<Unfinished>;
  readonly #pool: FramePool;
  readonly #cable: number;
  readonly #clockMs: () => number;
  /** A frame on its way into the inner end; no slot when the pool had none. */
  readonly #scratch = Int32Array.of(-1);
  /** The inner end took no more. */
  #isBlocked = false;

  constructor({ inner, pool, settings, cable, clockMs }: ImpairedEndOptions) {
    super(inner);
    this.#pool = pool;
    this.#cable = cable;
    this.#clockMs = clockMs;
    this.lineIn = new DelayLine(stageOf(settings, 2 * cable));
    this.lineOut = new DelayLine(stageOf(settings, 2 * cable + 1));
  }

  /** Impairs frames otherwise from now on; those under way arrive as they would have. */
  change(settings: ImpairmentSettings): void {
    this.lineIn.stage = stageOf(settings, 2 * this.#cable);
    this.lineOut.stage = stageOf(settings, 2 * this.#cable + 1);
  }

  override get hasBacklog(): boolean {
    return this.#isBlocked || super.hasBacklog;
  }

  /** When `send` with nothing has something to push out. */
  get nextOutMs(): number {
    return this.#isBlocked ? Number.POSITIVE_INFINITY : this.lineOut.nextMs;
  }

  override receive(pool: FramePool, slots: Int32Array, count: number): number {
    const received = this.inner.receive(pool, slots, count);
    if (received === END_CLOSED) return END_CLOSED;
    const nowMs = this.#clockMs();
    for (let i = 0; i < received; i++) {
      this.lineIn.push(pool.frame(slots[i]!).slice(), unfinished(pool, slots[i]!), nowMs);
    }
    let arrived = 0;
    for (; arrived < count; arrived++) {
      const next = this.lineIn.peek(nowMs);
      if (next === undefined) break;
      place(pool, slots[arrived]!, next.frame, next.rider);
      this.lineIn.shift();
    }
    return arrived;
  }

  override send(pool: FramePool, slots: Int32Array, from: number, count: number): number {
    const nowMs = this.#clockMs();
    for (let i = from; i < from + count; i++) {
      this.lineOut.push(pool.frame(slots[i]!).slice(), unfinished(pool, slots[i]!), nowMs);
    }
    return this.#pushOut(nowMs) ? count : END_CLOSED;
  }

  override close(): void {
    this.release();
    super.close();
  }

  /** Gives the inner end back; frames under way are lost. */
  release(): void {
    const slot = this.#scratch[0]!;
    if (slot >= 0) this.#pool.release(slot);
    this.#scratch[0] = -1;
  }

  /** Sends what has arrived. @returns false: the inner end closed. */
  #pushOut(nowMs: number): boolean {
    const { inner } = this;
    this.#isBlocked = false;
    if (inner.hasBacklog === true) {
      if (inner.send(this.#pool, this.#scratch, 0, 0) === END_CLOSED) return false;
      if (inner.hasBacklog) return true;
    }
    for (;;) {
      const next = this.lineOut.peek(nowMs);
      if (next === undefined) return true;
      if (this.#scratch[0] === -1) this.#scratch[0] = this.#pool.take();
      const slot = this.#scratch[0]!;
      // Without a free slot it is tried again in a moment, as everything that waits.
      if (slot < 0) return true;
      place(this.#pool, slot, next.frame, next.rider);
      const sent = inner.send(this.#pool, this.#scratch, 0, 1);
      if (sent === END_CLOSED) return false;
      if (sent === 0) {
        this.#isBlocked = true;
        return true;
      }
      this.lineOut.shift();
    }
  }
}

function unfinished(pool: FramePool, slot: number): Unfinished {
  return {
    offload: pool.offload[slot]!,
    checksumFrom: pool.checksumFrom[slot]! - pool.start[slot]!,
    checksumOffset: pool.checksumOffset[slot]!,
    segmentOctets: pool.segmentOctets[slot]!,
  };
}

function place(pool: FramePool, slot: number, frame: Uint8Array, rider: Unfinished): void {
  pool.rewind(slot);
  const start = pool.start[slot]!;
  pool.octets.set(frame, start);
  pool.length[slot] = frame.length;
  pool.offload[slot] = rider.offload;
  pool.checksumFrom[slot] = rider.checksumFrom + start;
  pool.checksumOffset[slot] = rider.checksumOffset;
  pool.segmentOctets[slot] = rider.segmentOctets;
}
