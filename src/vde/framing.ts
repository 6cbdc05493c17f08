/**
 * Frames on an octet stream, as vde_plug speaks on its standard input and output: the length as 16
 * bits, most significant octet first, then the frame. A length of zero is skipped. Lengths and
 * frames may be split anywhere between two reads.
 */
import type { FramePool } from "../base/index.ts";

/** Octets of the length in front of each frame. */
export const FRAMING_OCTETS = 2;
/** Longest frame that the 16-bit length can say. */
export const STREAM_FRAME_OCTETS_MAX = 0xffff;

/** Takes frames out of a stream. Holds at most one unfinished frame and what was read behind it. */
export class FrameReader {
  /** Frames that were cut off by the end of the stream (`end`). */
  truncated = 0;
  /** Read from the stream into here, from `fill` on, then call `filled`. */
  readonly buffer: Uint8Array;
  #from = 0;
  #to = 0;

  /** @param octets room: at least one frame of the longest kind; more makes larger batches. */
  constructor(octets = 4 * (STREAM_FRAME_OCTETS_MAX + FRAMING_OCTETS)) {
    this.buffer = new Uint8Array(Math.max(octets, STREAM_FRAME_OCTETS_MAX + FRAMING_OCTETS));
  }

  /**
   * Where the next octets of the stream belong: `buffer.subarray(fillAt)`; makes room by moving.
   */
  get fillAt(): number {
    if (this.#from === this.#to) {
      this.#from = 0;
      this.#to = 0;
    } else if (this.#from > 0) {
      this.buffer.copyWithin(0, this.#from, this.#to);
      this.#to -= this.#from;
      this.#from = 0;
    }
    return this.#to;
  }

  /** `count` octets of the stream were put at `fillAt`. */
  filled(count: number): void {
    this.#to += count;
  }

  /** Whether a whole frame can be taken without reading more. */
  get hasFrame(): boolean {
    return this.#skipEmpty() && this.#to - this.#from >= FRAMING_OCTETS + this.#frameLength();
  }

  /** Moves the next whole frame into `slot`. @returns false when there is none. */
  take(pool: FramePool, slot: number): boolean {
    if (!this.hasFrame) return false;
    const length = this.#frameLength();
    const at = this.#from + FRAMING_OCTETS;
    pool.octets.set(this.buffer.subarray(at, at + length), pool.start[slot]);
    pool.length[slot] = length;
    this.#from = at + length;
    return true;
  }

  /** The stream ended: what is left is the beginning of a frame that never came. */
  end(): void {
    if (this.#skipEmpty() || this.#to > this.#from) this.truncated++;
    this.#from = this.#to;
  }

  #frameLength(): number {
    return (this.buffer[this.#from]! << 8) | this.buffer[this.#from + 1]!;
  }

  /** @returns whether a length other than zero stands in front. */
  #skipEmpty(): boolean {
    while (this.#to - this.#from >= FRAMING_OCTETS) {
      if (this.#frameLength() !== 0) return true;
      this.#from += FRAMING_OCTETS;
    }
    return false;
  }
}

/**
 * Writes length and frame at `into[at …]`; the frame is at most STREAM_FRAME_OCTETS_MAX long.
 * @returns the position behind it, or -1 when it does not fit.
 */
export function emitFramed(pool: FramePool, slot: number, into: Uint8Array, at: number): number {
  const length = pool.length[slot]!;
  const end = at + FRAMING_OCTETS + length;
  if (length > STREAM_FRAME_OCTETS_MAX || end > into.length) return -1;
  into[at] = length >>> 8;
  into[at + 1] = length & 0xff;
  const start = pool.start[slot]!;
  into.set(pool.octets.subarray(start, start + length), at + FRAMING_OCTETS);
  return end;
}
