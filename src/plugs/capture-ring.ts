/**
 * Captured frames on their way from the thread that carries them to the one that writes them: a
 * ring in shared memory with one producer and one consumer. The producer never waits; what does not
 * fit is dropped and counted.
 */
import { fillChecksum } from "../wire/index.ts";

/** Room for a quarter of a second of full-size frames at 10^5 frames per second. */
const RING_OCTETS = 1 << 25;
const HEAD_OCTETS = 64;
/** Words of the head. Positions count octets and wrap at 2^32. */
const PRODUCED = 0;
const CONSUMED = 1;
const DROPPED = 2;
/**
 * Each record: octets with this head, port with direction, length, what is left to be summed, time
 * in two words.
 */
const RECORD_HEAD_OCTETS = 24;
/** In place of a port: the rest of the ring is empty, go on at its start. */
const SKIP = -1;

/** One frame that came by, in memory of its own. */
export interface CaptureRecord {
  readonly port: number;
  readonly direction: "inbound" | "outbound";
  /** Milliseconds since 1970-01-01 UTC, with fractions. */
  readonly timeMs: number;
  readonly octets: Uint8Array;
}

/** Both sides make one over the same memory. */
export class CaptureRing {
  readonly memory: SharedArrayBuffer;
  readonly #head: Int32Array;
  readonly #words: Int32Array;
  readonly #octets: Uint8Array;
  readonly #times: Float64Array;
  readonly #capacity: number;

  /** @param memory of another ring; or the capacity of a new one, a power of two. */
  constructor(memory: SharedArrayBuffer | number = RING_OCTETS) {
    this.memory = typeof memory === "number" ? new SharedArrayBuffer(HEAD_OCTETS + memory) : memory;
    this.#capacity = this.memory.byteLength - HEAD_OCTETS;
    this.#head = new Int32Array(this.memory, 0, HEAD_OCTETS / 4);
    this.#words = new Int32Array(this.memory, HEAD_OCTETS);
    this.#octets = new Uint8Array(this.memory, HEAD_OCTETS);
    this.#times = new Float64Array(this.memory, HEAD_OCTETS);
  }

  /** Frames that did not fit. */
  get dropped(): number {
    return Atomics.load(this.#head, DROPPED) >>> 0;
  }

  /**
   * Copies the frame `octets[start … start + length)` in.
   * @param sumFrom where in the frame the octets start whose checksum is not filled in yet, and
   *   `sumOffset` octets after that is its place; 0: it is. Whoever takes the frame out gets it
   *   with its checksum; a super-frame comes out as one frame.
   * @returns false: dropped.
   */
  put(
    octets: Uint8Array,
    start: number,
    length: number,
    port: number,
    isOutbound: boolean,
    timeMs: number,
    sumFrom = 0,
    sumOffset = 0,
  ): boolean {
    const wanted = (RECORD_HEAD_OCTETS + length + 7) & ~7;
    const produced = Atomics.load(this.#head, PRODUCED) >>> 0;
    const used = (produced - Atomics.load(this.#head, CONSUMED)) >>> 0;
    let at = produced & (this.#capacity - 1);
    const tail = this.#capacity - at;
    const skipped = tail < wanted ? tail : 0;
    if (used + skipped + wanted > this.#capacity) {
      Atomics.add(this.#head, DROPPED, 1);
      return false;
    }
    if (skipped > 0) {
      this.#words[at >> 2] = skipped;
      this.#words[(at >> 2) + 1] = SKIP;
      at = 0;
    }
    this.#words[at >> 2] = wanted;
    this.#words[(at >> 2) + 1] = (port << 1) | (isOutbound ? 1 : 0);
    this.#words[(at >> 2) + 2] = length;
    this.#words[(at >> 2) + 3] = (sumFrom << 16) | sumOffset;
    this.#times[(at >> 3) + 2] = timeMs;
    this.#octets.set(octets.subarray(start, start + length), at + RECORD_HEAD_OCTETS);
    Atomics.store(this.#head, PRODUCED, produced + skipped + wanted);
    return true;
  }

  /** The oldest frame, which is then gone. */
  take(): CaptureRecord | undefined {
    for (;;) {
      const consumed = Atomics.load(this.#head, CONSUMED) >>> 0;
      if (consumed === Atomics.load(this.#head, PRODUCED) >>> 0) return undefined;
      const at = consumed & (this.#capacity - 1);
      const record = this.#words[at >> 2]!;
      const port = this.#words[(at >> 2) + 1]!;
      if (port === SKIP) {
        Atomics.store(this.#head, CONSUMED, consumed + record);
        continue;
      }
      const length = this.#words[(at >> 2) + 2]!;
      const unsummed = this.#words[(at >> 2) + 3]! >>> 0;
      const from = at + RECORD_HEAD_OCTETS;
      const taken = {
        port: port >> 1,
        direction: (port & 1) === 1 ? "outbound" : "inbound",
        timeMs: this.#times[(at >> 3) + 2]!,
        octets: this.#octets.slice(from, from + length),
      } as const;
      Atomics.store(this.#head, CONSUMED, consumed + record);
      if (unsummed !== 0) {
        fillChecksum(taken.octets, unsummed >>> 16, taken.octets.length, unsummed & 0xffff);
      }
      return taken;
    }
  }
}
