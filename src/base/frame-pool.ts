/**
 * Frames in pooled slots. Every frame in flight lives in one slot of one ArrayBuffer, from the read
 * of one cable end to the write of the last; it is handed on by slot number and never copied in
 * between. A slot is free when its reference count is zero. `take` and `release` do not allocate.
 *
 * A frame may be unfinished: its checksum is still to be filled in, or it is a super-frame, a TCP
 * segment of up to 64 KiB that stands for many. `offload` says so, slot by slot; who cannot carry
 * such frames gets them finished (wire/segment.ts).
 */

/** Longest frame carried: 64 KiB of payload, Ethernet header, two VLAN tags. */
export const FRAME_OCTETS_MAX = 65_536 + 14 + 8;

/**
 * Distance of two slots. Not a multiple of 4096, so that the heads of all slots do not fall into
 * the same cache sets; a short frame touches only the first page of its slot.
 */
const SLOT_STRIDE = 65_536 + 2048 + 192;

/** Room in front of each frame: a VLAN tag can be inserted without moving the payload. */
export const FRAME_HEADROOM_OCTETS = 64;

/** What is left to do to a frame; values of `FramePool.offload`. */
export const OFFLOAD = {
  /** Nothing: a frame as it is on a wire. */
  none: 0,
  /** The checksum holds the sum of the pseudo header; the rest is to be added. */
  checksum: 1,
  /** The same, and it is to be cut into TCP segments over IPv4. */
  tcp4: 2,
  /** The same over IPv6. */
  tcp6: 3,
} as const;

/** Octets of memory that a pool of `capacity` slots takes. */
export function framePoolOctets(capacity: number): number {
  return capacity * SLOT_STRIDE;
}

/** Slots for frames, counted by their holders; see the head of this file. */
export class FramePool {
  readonly capacity: number;
  /** All slots: frame `slot` starts at `start[slot]` and is `length[slot]` octets long. */
  readonly octets: Uint8Array;
  /** The same memory in words of the host's order, for sums. */
  readonly words: Uint32Array;
  readonly start: Uint32Array;
  readonly length: Uint32Array;
  /**
   * One of OFFLOAD for each slot. Unless it is `none`: the octets to be summed start at
   * `octets[checksumFrom]`, the checksum stands `checksumOffset` after that, and each segment gets
   * `segmentOctets` of payload. `checksumFrom` counts from the start of the pool, so that it stays
   * where it is when a tag is put in front of the frame or taken off.
   */
  readonly offload: Uint8Array;
  readonly checksumFrom: Uint32Array;
  readonly checksumOffset: Uint16Array;
  readonly segmentOctets: Uint16Array;
  readonly #references: Uint16Array;
  readonly #free: Int32Array;
  #freeCount: number;

  /**
   * @param capacity number of slots, 1 to 16384; each costs address space, memory only as used.
   * @param memory where the slots lie, from its first octet on; without it the pool makes its own.
   */
  constructor(capacity: number, memory = new ArrayBuffer(framePoolOctets(capacity))) {
    this.capacity = capacity;
    this.octets = new Uint8Array(memory, 0, framePoolOctets(capacity));
    this.words = new Uint32Array(memory, 0, memory.byteLength >>> 2);
    this.start = new Uint32Array(capacity);
    this.length = new Uint32Array(capacity);
    this.offload = new Uint8Array(capacity);
    this.checksumFrom = new Uint32Array(capacity);
    this.checksumOffset = new Uint16Array(capacity);
    this.segmentOctets = new Uint16Array(capacity);
    this.#references = new Uint16Array(capacity);
    this.#free = new Int32Array(capacity);
    this.#freeCount = capacity;
    for (let slot = 0; slot < capacity; slot++) {
      this.start[slot] = slot * SLOT_STRIDE + FRAME_HEADROOM_OCTETS;
      this.#free[slot] = capacity - 1 - slot;
    }
  }

  /** Slots that `take` can still give. */
  get freeCount(): number {
    return this.#freeCount;
  }

  /** Takes a free slot with one reference; -1 when all are in use. */
  take(): number {
    if (this.#freeCount === 0) return -1;
    const slot = this.#free[--this.#freeCount]!;
    this.#references[slot] = 1;
    this.offload[slot] = OFFLOAD.none;
    this.rewind(slot);
    return slot;
  }

  /** A slot that is used again without going back to the pool starts where a fresh one does. */
  rewind(slot: number): void {
    this.start[slot] = slot * SLOT_STRIDE + FRAME_HEADROOM_OCTETS;
  }

  /** Copies a frame with what is left to do to it into another slot, whose start is kept. */
  copy(from: number, to: number): void {
    const start = this.start[from]!;
    const length = this.length[from]!;
    this.octets.copyWithin(this.start[to]!, start, start + length);
    this.length[to] = length;
    this.offload[to] = this.offload[from]!;
    this.checksumFrom[to] = this.checksumFrom[from]! - start + this.start[to]!;
    this.checksumOffset[to] = this.checksumOffset[from]!;
    this.segmentOctets[to] = this.segmentOctets[from]!;
  }

  /** One more holder of a slot (a flooded frame is held by each port it waits for). */
  retain(slot: number): void {
    this.#references[slot]!++;
  }

  /** One holder less; the slot is free again after the last. */
  release(slot: number): void {
    if (--this.#references[slot]! === 0) this.#free[this.#freeCount++] = slot;
  }

  /** The frame's octets; a new view, for tests, captures and other paths that are not hot. */
  frame(slot: number): Uint8Array {
    const start = this.start[slot]!;
    return this.octets.subarray(start, start + this.length[slot]!);
  }
}
