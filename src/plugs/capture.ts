/** An end whose frames are seen by a capture: the same two functions, and a copy into a ring. */
import { type FramePool, OFFLOAD } from "../base/index.ts";
import type { CaptureRing } from "./capture-ring.ts";
import type { CableEnd } from "./end.ts";

export interface CaptureTap {
  readonly ring: CaptureRing;
  /** Shown as the interface of the capture. */
  readonly port: number;
  /** Frames sent through the end too, not only those it received. */
  readonly isBothWays: boolean;
}

/** Wraps `inner`; it closes with the wrapper. A full ring drops copies, never frames. */
export class CaptureEnd implements CableEnd {
  readonly scheme: string;
  readonly description: string;
  readonly receiveFd: number;
  readonly sendFd: number;
  readonly hangUpFd?: number;
  readonly offload?: boolean;
  readonly #inner: CableEnd;
  readonly #tap: CaptureTap;

  constructor(inner: CableEnd, tap: CaptureTap) {
    this.#inner = inner;
    this.#tap = tap;
    this.scheme = inner.scheme;
    this.description = inner.description;
    this.receiveFd = inner.receiveFd;
    this.sendFd = inner.sendFd;
    if (inner.offload !== undefined) this.offload = inner.offload;
    if (inner.hangUpFd !== undefined) this.hangUpFd = inner.hangUpFd;
  }

  get hasBacklog(): boolean {
    return this.#inner.hasBacklog === true;
  }

  receive(pool: FramePool, slots: Int32Array, count: number): number {
    const received = this.#inner.receive(pool, slots, count);
    if (received > 0) this.#see(pool, slots, 0, received, false);
    return received;
  }

  send(pool: FramePool, slots: Int32Array, from: number, count: number): number {
    const sent = this.#inner.send(pool, slots, from, count);
    if (sent > 0 && this.#tap.isBothWays) this.#see(pool, slots, from, sent, true);
    return sent;
  }

  close(): void {
    this.#inner.close();
  }

  #see(pool: FramePool, slots: Int32Array, from: number, count: number, isOut: boolean): void {
    const { ring, port } = this.#tap;
    captureSlots(ring, pool, slots, from, count, port, isOut);
  }
}

/** Copies the frames in `slots[from … from + count)`, which are at a port now, into a ring. */
export function captureSlots(
  ring: CaptureRing,
  pool: FramePool,
  slots: Int32Array,
  from: number,
  count: number,
  port: number,
  isOut: boolean,
): void {
  const timeMs = performance.timeOrigin + performance.now();
  for (let i = from; i < from + count; i++) {
    const slot = slots[i]!;
    const start = pool.start[slot]!;
    const isFinished = pool.offload[slot] === OFFLOAD.none;
    const sumFrom = isFinished ? 0 : pool.checksumFrom[slot]! - start;
    const sumOffset = pool.checksumOffset[slot]!;
    ring.put(pool.octets, start, pool.length[slot]!, port, isOut, timeMs, sumFrom, sumOffset);
  }
}
