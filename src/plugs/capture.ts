/** An end whose frames are seen by a capture: the same two functions, and a copy into a ring. */
import { type FramePool, OFFLOAD } from "../base/index.ts";
import type { CaptureRing } from "./capture-ring.ts";
import type { CableEnd } from "./end.ts";
import { WrappedEnd } from "./wrapped-end.ts";

export interface CaptureTap {
  readonly ring: CaptureRing;
  /** Shown as the interface of the capture. */
  readonly port: number;
  /** Frames sent through the end too, not only those it received. */
  readonly isBothWays: boolean;
}

/** A full ring drops copies, never frames. */
export class CaptureEnd extends WrappedEnd {
  readonly #tap: CaptureTap;

  constructor(inner: CableEnd, tap: CaptureTap) {
    super(inner);
    this.#tap = tap;
  }

  override receive(pool: FramePool, slots: Int32Array, count: number): number {
    const received = this.inner.receive(pool, slots, count);
    if (received > 0) this.#see(pool, slots, 0, received, false);
    return received;
  }

  override send(pool: FramePool, slots: Int32Array, from: number, count: number): number {
    const sent = this.inner.send(pool, slots, from, count);
    if (sent > 0 && this.#tap.isBothWays) this.#see(pool, slots, from, sent, true);
    return sent;
  }

  #see(pool: FramePool, slots: Int32Array, from: number, count: number, isOut: boolean): void {
    const { ring, port } = this.#tap;
    const timeMs = wallMs();
    for (let i = from; i < from + count; i++) {
      captureFrame(ring, pool, slots[i]!, port, isOut, timeMs);
    }
  }
}

/** Milliseconds since 1970-01-01 UTC, with fractions. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now();
}

/** Copies the frame in a slot into a ring; a full ring drops the copy and counts it. */
export function captureFrame(
  ring: CaptureRing,
  pool: FramePool,
  slot: number,
  port: number,
  isOut: boolean,
  timeMs: number,
): void {
  const start = pool.start[slot]!;
  const isFinished = pool.offload[slot] === OFFLOAD.none;
  const sumFrom = isFinished ? 0 : pool.checksumFrom[slot]! - start;
  const sumOffset = pool.checksumOffset[slot]!;
  ring.put(pool.octets, start, pool.length[slot]!, port, isOut, timeMs, sumFrom, sumOffset);
}
