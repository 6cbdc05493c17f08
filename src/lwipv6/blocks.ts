/**
 * Octets that a socket holds, in blocks of the arena. A run of octets that grows at
 * its end and is taken from its front; blocks are taken when octets come and given back when they
 * go, so an idle connection holds none. Octets may be put beyond the end, with holes in between.
 */
import { type Arena, BLOCK_OCTETS } from "./arena.ts";

const NONE = -1;
const OFFSET = BLOCK_OCTETS - 1;
const SHIFT = Math.log2(BLOCK_OCTETS);
const FEW = 4;

/** Offsets count from the front. */
export class BlockQueue {
  readonly #arena: Arena;
  /** Block numbers, a ring; NONE: not taken yet. */
  #blocks = new Int32Array(FEW);
  #at = 0;
  #count = 0;
  /** Offset of the front in the first block. */
  #front = 0;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** Blocks held. */
  get blockCount(): number {
    let held = 0;
    for (let i = 0; i < this.#count; i++) if (this.#block(i) !== NONE) held++;
    return held;
  }

  /** Copies `source[from … to)` to `offset`. @returns octets copied: fewer when memory is short. */
  put(offset: number, source: Uint8Array, from: number, to: number): number {
    const { octets } = this.#arena;
    let done = from;
    let where = this.#front + offset;
    while (done < to) {
      const block = this.#obtain(where >>> SHIFT);
      if (block === NONE) break;
      const length = Math.min(to - done, BLOCK_OCTETS - (where & OFFSET));
      const at = this.#arena.blockAt(block) + (where & OFFSET);
      // A view costs more than copying few octets.
      if (length < 64) for (let i = 0; i < length; i++) octets[at + i] = source[done + i]!;
      else octets.set(source.subarray(done, done + length), at);
      done += length;
      where += length;
    }
    return done - from;
  }

  /** The same from within the arena: nothing is allocated. */
  putArena(offset: number, from: number, to: number): number {
    const { octets } = this.#arena;
    let done = from;
    let where = this.#front + offset;
    while (done < to) {
      const block = this.#obtain(where >>> SHIFT);
      if (block === NONE) break;
      const length = Math.min(to - done, BLOCK_OCTETS - (where & OFFSET));
      octets.copyWithin(this.#arena.blockAt(block) + (where & OFFSET), done, done + length);
      done += length;
      where += length;
    }
    return done - from;
  }

  /** Copies `length` octets at `offset` to `into[to …)`, all of which were put. */
  get(offset: number, length: number, into: Uint8Array, to: number): void {
    const { octets } = this.#arena;
    let done = 0;
    let where = this.#front + offset;
    while (done < length) {
      const part = Math.min(length - done, BLOCK_OCTETS - (where & OFFSET));
      const at = this.#arena.blockAt(this.#block(where >>> SHIFT)) + (where & OFFSET);
      if (part < 64) for (let i = 0; i < part; i++) into[to + done + i] = octets[at + i]!;
      else into.set(octets.subarray(at, at + part), to + done);
      done += part;
      where += part;
    }
  }

  /** The same to another place of the arena: nothing is allocated. */
  getArena(offset: number, length: number, to: number): void {
    const { octets } = this.#arena;
    let done = 0;
    let where = this.#front + offset;
    while (done < length) {
      const part = Math.min(length - done, BLOCK_OCTETS - (where & OFFSET));
      const at = this.#arena.blockAt(this.#block(where >>> SHIFT)) + (where & OFFSET);
      octets.copyWithin(to + done, at, at + part);
      done += part;
      where += part;
    }
  }

  /** The same, and the sum of what was copied (`sumOctets`). */
  getArenaSum(offset: number, length: number, to: number, initial: number): number {
    let sum = initial;
    let done = 0;
    let where = this.#front + offset;
    while (done < length) {
      const part = Math.min(length - done, BLOCK_OCTETS - (where & OFFSET));
      const at = this.#arena.blockAt(this.#block(where >>> SHIFT)) + (where & OFFSET);
      if ((done & 1) === 0) sum = this.#arena.copySum(at, to + done, part, sum);
      else {
        // RFC 1071 §2(B): a piece that starts at an odd place counts with its octets swapped.
        const odd = this.#arena.copySum(at, to + done, part, 0) % 0xffff;
        sum += ((odd & 0xff) << 8) | (odd >>> 8);
      }
      done += part;
      where += part;
    }
    return sum;
  }

  /** Takes `length` octets from the front. */
  drop(length: number): void {
    this.#front += length;
    while (this.#front >= BLOCK_OCTETS && this.#count > 0) {
      this.#release(0);
      this.#at = (this.#at + 1) % this.#blocks.length;
      this.#count--;
      this.#front -= BLOCK_OCTETS;
    }
  }

  /** Gives all blocks back; the queue is empty. */
  clear(): void {
    for (let i = 0; i < this.#count; i++) this.#release(i);
    this.#count = 0;
    this.#at = 0;
    this.#front = 0;
    if (this.#blocks.length > FEW) this.#blocks = new Int32Array(FEW);
  }

  #block(index: number): number {
    return this.#blocks[(this.#at + index) % this.#blocks.length]!;
  }

  #release(index: number): void {
    const block = this.#block(index);
    if (block !== NONE) this.#arena.releaseBlock(block);
  }

  #obtain(index: number): number {
    if (index >= this.#blocks.length) this.#grow(index + 1);
    while (this.#count <= index) {
      this.#blocks[(this.#at + this.#count) % this.#blocks.length] = NONE;
      this.#count++;
    }
    const known = this.#block(index);
    if (known !== NONE) return known;
    const block = this.#arena.takeBlock();
    if (block >= 0) this.#blocks[(this.#at + index) % this.#blocks.length] = block;
    return block;
  }

  #grow(needed: number): void {
    const larger = new Int32Array(Math.max(needed, 2 * this.#blocks.length));
    for (let i = 0; i < this.#count; i++) larger[i] = this.#block(i);
    this.#blocks = larger;
    this.#at = 0;
  }
}
