/**
 * What has arrived and was not read yet: octets in order, and behind them ranges that arrived out
 * of order (RFC 9293 §3.10.7.4), kept where they belong, so that filling a hole copies nothing.
 */
import type { Arena } from "../arena.ts";
import { BlockQueue } from "../blocks.ts";
import { after, before, notAfter } from "./sequence.ts";

/**
 * Ranges at most: a peer that sends single octets with holes between them cannot make us walk long
 * lists ("SegmentSmack", CVE-2018-5390). More are dropped and come again.
 */
export const RANGES_MAX = 64;
/** The last ranges that arrived, for selective acknowledgments (RFC 2018 §4). */
const RECENT = 4;

export class ReceiveQueue {
  /** Sequence number of the next octet in order. */
  next = 0;
  /** Octets in order that can be read. */
  readable = 0;
  /** Octets that are held out of order. */
  outOfOrder = 0;
  /** Ranges out of order, sorted and apart from each other. */
  rangeCount = 0;
  left: Int32Array = EMPTY;
  right: Int32Array = EMPTY;
  /** Left edges of the ranges that changed last, the latest first. */
  readonly #recent = new Int32Array(RECENT);
  #recentCount = 0;
  /** Of the last `insert`: what had been there before (RFC 2883). */
  duplicateLeft = 0;
  duplicateRight = 0;
  readonly #blocks: BlockQueue;

  constructor(arena: Arena) {
    this.#blocks = new BlockQueue(arena);
  }

  /** Blocks of the arena that are held. */
  get blockCount(): number {
    return this.#blocks.blockCount;
  }

  /**
   * Takes octets `arena[at … at + length)` with their sequence number; they lie in the window.
   * @returns octets by which `next` has moved; -1: refused (no memory, too many ranges).
   */
  insert(sequence: number, at: number, length: number): number {
    this.duplicateLeft = 0;
    this.duplicateRight = 0;
    let from = at;
    let start = sequence;
    const end = (sequence + length) | 0;
    if (before(start, this.next)) {
      const known = (this.next - start) | 0;
      this.duplicateLeft = start;
      this.duplicateRight = known < length ? this.next : end;
      if (known >= length) return 0;
      from += known;
      start = this.next;
    }
    const offset = this.readable + ((start - this.next) | 0);
    const isInOrder = start === this.next;
    if (!isInOrder && !this.#note(start, end)) return -1;
    const count = at + length - from;
    const put = this.#blocks.putArena(offset, from, from + count);
    if (put < count) {
      if (!isInOrder) this.#forget();
      return this.#advance(isInOrder ? put : 0) || -1;
    }
    return isInOrder ? this.#advance(count) : 0;
  }

  /** Copies up to `room` octets out. @returns how many. */
  read(into: Uint8Array, from: number, room: number, isPeek: boolean, offset = 0): number {
    const count = Math.max(0, Math.min(room, this.readable - offset));
    if (count === 0) return 0;
    this.#blocks.get(offset, count, into, from);
    if (!isPeek) this.skip(count);
    return count;
  }

  /** Takes octets out without looking at them. */
  skip(count: number): void {
    this.readable -= count;
    if (this.readable === 0 && this.rangeCount === 0) this.#blocks.clear();
    else this.#blocks.drop(count);
  }

  /** Forgets everything. */
  clear(): void {
    this.readable = 0;
    this.#forget();
    this.#blocks.clear();
  }

  /**
   * Ranges for selective acknowledgments, the one that changed last first.
   * @returns how many were written to `left` and `right`, `most` at most.
   */
  selective(left: Int32Array, right: Int32Array, from: number, most: number): number {
    let count = 0;
    for (let i = 0; i < this.#recentCount && from + count < most; i++) {
      const at = this.#rangeOf(this.#recent[i]!);
      if (at < 0 || isListed(left, from, count, this.left[at]!)) continue;
      left[from + count] = this.left[at]!;
      right[from + count] = this.right[at]!;
      count++;
    }
    return count;
  }

  /** Moves `next`, also over ranges that are in order now. @returns octets it moved. */
  #advance(count: number): number {
    let moved = count;
    let next = (this.next + count) | 0;
    let gone = 0;
    while (gone < this.rangeCount && notAfter(this.left[gone]!, next)) {
      const beyond = (this.right[gone]! - next) | 0;
      this.outOfOrder -= (this.right[gone]! - this.left[gone]!) | 0;
      if (beyond > 0) {
        next = (next + beyond) | 0;
        moved += beyond;
      }
      gone++;
    }
    if (gone > 0) {
      this.left.copyWithin(0, gone, this.rangeCount);
      this.right.copyWithin(0, gone, this.rangeCount);
      this.rangeCount -= gone;
    }
    if (this.rangeCount === 0) this.#recentCount = 0;
    this.next = next;
    this.readable += moved;
    return moved;
  }

  /** Joins a range with those that it touches. @returns false: there are too many. */
  #note(start: number, end: number): boolean {
    if (this.left.length === 0) {
      this.left = new Int32Array(RANGES_MAX);
      this.right = new Int32Array(RANGES_MAX);
    }
    let from = 0;
    while (from < this.rangeCount && before(this.right[from]!, start)) from++;
    let to = from;
    let newLeft = start;
    let newRight = end;
    while (to < this.rangeCount && notAfter(this.left[to]!, end)) {
      this.#noteDuplicate(start, end, to);
      if (before(this.left[to]!, newLeft)) newLeft = this.left[to]!;
      if (after(this.right[to]!, newRight)) newRight = this.right[to]!;
      this.outOfOrder -= (this.right[to]! - this.left[to]!) | 0;
      to++;
    }
    if (to === from) {
      if (this.rangeCount === RANGES_MAX) return false;
      this.left.copyWithin(from + 1, from, this.rangeCount);
      this.right.copyWithin(from + 1, from, this.rangeCount);
      this.rangeCount++;
    } else if (to > from + 1) {
      this.left.copyWithin(from + 1, to, this.rangeCount);
      this.right.copyWithin(from + 1, to, this.rangeCount);
      this.rangeCount -= to - from - 1;
    }
    this.left[from] = newLeft;
    this.right[from] = newRight;
    this.outOfOrder += (newRight - newLeft) | 0;
    this.#noteRecent(newLeft);
    return true;
  }

  #noteDuplicate(start: number, end: number, at: number): void {
    const left = after(this.left[at]!, start) ? this.left[at]! : start;
    const right = before(this.right[at]!, end) ? this.right[at]! : end;
    if (!before(left, right) || this.duplicateLeft !== this.duplicateRight) return;
    this.duplicateLeft = left;
    this.duplicateRight = right;
  }

  #noteRecent(left: number): void {
    this.#recent.copyWithin(1, 0, RECENT - 1);
    this.#recent[0] = left;
    this.#recentCount = Math.min(RECENT, this.#recentCount + 1);
  }

  /** The range in which an edge lies; -1: none. */
  #rangeOf(edge: number): number {
    for (let i = 0; i < this.rangeCount; i++) {
      if (notAfter(this.left[i]!, edge) && before(edge, this.right[i]!)) return i;
    }
    return -1;
  }

  #forget(): void {
    this.rangeCount = 0;
    this.outOfOrder = 0;
    this.#recentCount = 0;
  }
}

const EMPTY = new Int32Array(0);

function isListed(left: Int32Array, from: number, count: number, value: number): boolean {
  for (let i = from; i < from + count; i++) if (left[i] === value) return true;
  return false;
}
