/**
 * What was sent and is not acknowledged: when it was sent, what the peer has of it by selective
 * acknowledgments, and what is taken for lost. RFC 2018, RFC 2883, RFC 6675, RACK-TLP (RFC 8985).
 *
 * One entry stands for octets sent together, a segment or a super-segment of up to 64 KiB, and is
 * split when only a part of it is acknowledged. Entries lie in typed arrays, in order.
 */
import { after, before, notAfter, notBefore } from "./sequence.ts";

/** Bits of an entry. */
const SACKED = 1;
const LOST = 2;
/** Sent again since it was taken for lost. */
const RETRANSMITTED = 4;
/** Sent more than once: no round trip can be read from it (Karn). */
const AGAIN = 8;

const FEW = 16;
/** Entries at most; a peer that splits them with selective acknowledgments gets no further. */
const ENTRIES_MAX = 16_384;
/** RFC 8985 §6.2.3: shares of the smallest round trip, a quarter each. */
const REORDER_DIVISOR = 4;
/** RFC 6675 §2, RFC 8985 §6.2.4. */
const DUPLICATE_THRESHOLD = 3;

export class Scoreboard {
  /** Octets that are under way as far as is known (RFC 6675 "pipe"). */
  get pipe(): number {
    return this.#octets - this.#sacked - this.#lost + this.#retransmitted;
  }
  /** Octets taken for lost and not sent again. */
  get lostWaiting(): number {
    return this.#lost - this.#retransmitted;
  }
  get sackedOctets(): number {
    return this.#sacked;
  }
  get lostOctets(): number {
    return this.#lost;
  }
  /** Octets that were sent again and not acknowledged since. */
  get retransmittedOctets(): number {
    return this.#retransmitted;
  }
  /** Entries with at least one selective acknowledgment arrived out of order (RFC 8985 §6.2.3). */
  hasReordering = false;
  /** Of the last acknowledgment: what is new. */
  newlyAcknowledged = 0;
  newlySacked = 0;
  /** Of the last acknowledgment: a round trip in milliseconds, -1: none can be told. */
  rttMs = -1;
  /** Of the last acknowledgment: it told of octets that had arrived already (D-SACK). */
  hasDuplicate = false;
  /** The highest octet that was acknowledged selectively, plus one. */
  highestSacked = 0;

  #start = new Int32Array(FEW);
  #end = new Int32Array(FEW);
  #sentMs = new Float64Array(FEW);
  #bits = new Uint8Array(FEW);
  #at = 0;
  #count = 0;
  #octets = 0;
  #sacked = 0;
  #lost = 0;
  #retransmitted = 0;
  #rackMs = Number.NEGATIVE_INFINITY;
  #rackEnd = 0;
  #rackRttMs = 0;
  #reorderShares = 1;
  /** Where looking for what is lost goes on. */
  #firstOpen = 0;

  /** Entries in use. */
  get count(): number {
    return this.#count;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** When the oldest unacknowledged octet was sent last. */
  get oldestSentMs(): number {
    return this.#count === 0 ? Number.POSITIVE_INFINITY : this.#sentMs[this.#at]!;
  }

  /** Octets `start` to `end` were sent for the first time. */
  sent(start: number, end: number, nowMs: number): void {
    const last = this.#at + this.#count - 1;
    // What leaves in the same moment is one entry.
    if (
      this.#count > 0 &&
      this.#bits[last] === 0 &&
      this.#sentMs[last] === nowMs &&
      ((end - this.#start[last]!) | 0) <= 65_536
    ) {
      this.#end[last] = end;
    } else this.#push(start, end, nowMs);
    this.#octets += (end - start) | 0;
  }

  /**
   * Everything before `una` arrived, and the `count` ranges between `left` and `right` (RFC 2018).
   * @param next the sequence number that would be sent next: what lies beyond is nonsense.
   */
  acknowledge(
    una: number,
    next: number,
    left: Int32Array,
    right: Int32Array,
    count: number,
    nowMs: number,
  ): void {
    this.newlyAcknowledged = 0;
    this.newlySacked = 0;
    this.rttMs = -1;
    this.hasDuplicate = false;
    const oldUna = this.#count === 0 ? una : this.#start[this.#at]!;
    for (let i = 0; i < count; i++) {
      const from = left[i]!;
      const to = right[i]!;
      if (!before(from, to)) continue;
      // RFC 2883 §4: the first block lies below, or inside the second: it arrived twice.
      const isBelow = notAfter(to, una);
      const isInside = i === 0 && count > 1 && notBefore(from, left[1]!) && notAfter(to, right[1]!);
      if (isBelow || isInside) {
        this.hasDuplicate = true;
        continue;
      }
      if (after(to, next) || before(from, oldUna)) continue;
      this.#sack(from, to, nowMs);
    }
    this.#advance(una, nowMs);
  }

  /**
   * Looks for what is lost (RFC 8985 §6.2). @returns when to look again, Infinity: no need to.
   * @param minRttMs smallest round trip of late; `rttMs` smoothed.
   * @param isRecovering in fast recovery or after a timeout.
   */
  detectLoss(minRttMs: number, rttMs: number, isRecovering: boolean, nowMs: number): number {
    if (this.#rackMs === Number.NEGATIVE_INFINITY) return Number.POSITIVE_INFINITY;
    const windowMs = this.#reorderWindow(minRttMs, rttMs, isRecovering);
    let againMs = Number.POSITIVE_INFINITY;
    const end = this.#at + this.#count;
    for (let i = this.#at + this.#firstOpen; i < end; i++) {
      const bits = this.#bits[i]!;
      if ((bits & SACKED) !== 0) continue;
      if ((bits & LOST) !== 0 && (bits & RETRANSMITTED) === 0) continue;
      const sentMs = this.#sentMs[i]!;
      // Only what was sent before the latest that arrived can be told.
      if (!isSentAfter(this.#rackMs, this.#rackEnd, sentMs, this.#end[i]!)) {
        // Entries that were sent once are in order of their times.
        if ((bits & AGAIN) === 0) break;
        continue;
      }
      const dueMs = sentMs + this.#rackRttMs + windowMs;
      if (dueMs <= nowMs) this.#markLost(i);
      else againMs = Math.min(againMs, dueMs);
    }
    return againMs;
  }

  /** The first entry is lost, whatever it says: three duplicates without SACK (RFC 6582 §3.2). */
  markFirstLost(segmentOctets: number): void {
    if (this.#count === 0) return;
    const i = this.#at;
    if ((this.#bits[i]! & SACKED) !== 0) return;
    const start = this.#start[i]!;
    if (((this.#end[i]! - start) | 0) > segmentOctets) this.#split(i, (start + segmentOctets) | 0);
    this.#markLost(this.#at);
  }

  /** The timer ran out: nothing of it is believed to be under way (RFC 8985 §6.3, RFC 6298). */
  markAllLost(): void {
    for (let i = this.#at; i < this.#at + this.#count; i++) {
      if ((this.#bits[i]! & SACKED) === 0) this.#markLost(i);
    }
    this.#firstOpen = 0;
  }

  /** The peer has thrown away what it had acknowledged selectively (RFC 2018 §8). */
  forgetSacks(): void {
    for (let i = this.#at; i < this.#at + this.#count; i++) this.#bits[i]! &= ~SACKED;
    this.#sacked = 0;
  }

  /** Where the next lost octets start that were not sent again; `found` tells whether there are. */
  found = false;
  nextLost(): number {
    const end = this.#at + this.#count;
    if (this.#lost > this.#retransmitted) {
      for (let i = this.#at + this.#firstOpen; i < end; i++) {
        const bits = this.#bits[i]!;
        if ((bits & LOST) !== 0 && (bits & (RETRANSMITTED | SACKED)) === 0) {
          this.found = true;
          this.lostEnd = this.#end[i]!;
          return this.#start[i]!;
        }
      }
    }
    this.found = false;
    return 0;
  }
  /** The end of what `nextLost` found. */
  lostEnd = 0;

  /** Octets `start` to `end`, which are at the front of a lost entry, were sent again. */
  sentAgain(start: number, end: number, nowMs: number): void {
    for (let index = 0; index < this.#count; index++) {
      const i = this.#at + index;
      if (this.#start[i] !== start) continue;
      if (before(end, this.#end[i]!)) this.#split(i, end);
      this.#again(this.#at + index, nowMs);
      return;
    }
  }

  /** The last octets, for a loss probe (RFC 8985 §7.3). @returns where the probe starts. */
  probeStart(segmentOctets: number): number {
    const i = this.#at + this.#count - 1;
    const start = this.#start[i]!;
    const end = this.#end[i]!;
    if (((end - start) | 0) <= segmentOctets) return start;
    const at = (end - segmentOctets) | 0;
    this.#split(i, at);
    return at;
  }

  /** The last entry was sent again as a probe. */
  probed(nowMs: number): void {
    const i = this.#at + this.#count - 1;
    this.#sentMs[i] = nowMs;
    this.#bits[i]! |= AGAIN;
  }

  /** Everything is acknowledged or given up. */
  clear(): void {
    this.#at = 0;
    this.#count = 0;
    this.#octets = 0;
    this.#sacked = 0;
    this.#lost = 0;
    this.#retransmitted = 0;
    this.#firstOpen = 0;
    if (this.#start.length > FEW) this.#resize(FEW);
  }

  /** A duplicate was told: what was taken for lost was only late (RFC 8985 §6.2.3). */
  widenReordering(): void {
    this.#reorderShares = Math.min(REORDER_DIVISOR * 4, this.#reorderShares + 1);
    this.hasReordering = true;
  }

  #reorderWindow(minRttMs: number, rttMs: number, isRecovering: boolean): number {
    if (!this.hasReordering) {
      if (isRecovering) return 0;
      if (this.#sackedEntries() >= DUPLICATE_THRESHOLD) return 0;
    }
    if (minRttMs === Number.POSITIVE_INFINITY) return rttMs / REORDER_DIVISOR;
    return Math.min(rttMs, (this.#reorderShares * minRttMs) / REORDER_DIVISOR);
  }

  /** Of the peer's segments, as far as octets can tell. */
  #sackedEntries(): number {
    return this.segmentOctets === 0 ? 0 : this.#sacked / this.segmentOctets;
  }
  /** Payload of one segment: what duplicates are counted in. */
  segmentOctets = 0;

  #sack(from: number, to: number, nowMs: number): void {
    if (after(to, this.highestSacked) || this.#sacked === 0) this.highestSacked = to;
    // Counted from the first: a split may move all entries to the front of their arrays.
    for (let index = this.#find(from); index < this.#count; index++) {
      const i = this.#at + index;
      if (notBefore(this.#start[i]!, to)) return;
      if ((this.#bits[i]! & SACKED) !== 0) continue;
      if (before(this.#start[i]!, from)) {
        if (!this.#split(i, from)) return;
        continue;
      }
      if (after(this.#end[i]!, to) && !this.#split(i, to)) return;
      this.#markSacked(this.#at + index, nowMs);
    }
  }

  #markSacked(i: number, nowMs: number): void {
    const octets = (this.#end[i]! - this.#start[i]!) | 0;
    const bits = this.#bits[i]!;
    if ((bits & LOST) !== 0) this.#lost -= octets;
    if ((bits & RETRANSMITTED) !== 0) this.#retransmitted -= octets;
    this.#bits[i] = (bits & AGAIN) | SACKED;
    this.#sacked += octets;
    this.newlySacked += octets;
    if ((bits & AGAIN) === 0 && before(this.#end[i]!, this.#rackEnd) && this.#rackMs > 0) {
      // It was sent before, and once, what has arrived already: the network changes the order.
      if (isSentAfter(this.#rackMs, this.#rackEnd, this.#sentMs[i]!, this.#end[i]!)) {
        this.hasReordering = true;
      }
    }
    this.#noteArrival(i, bits, nowMs);
  }

  /** RFC 8985 §6.2 step 2: the latest sent of all that arrived. */
  #noteArrival(i: number, bits: number, nowMs: number): void {
    const sentMs = this.#sentMs[i]!;
    const rtt = nowMs - sentMs;
    if ((bits & AGAIN) !== 0) {
      // Too soon to be an answer to what was sent last: it was the first one that arrived.
      if (rtt < this.minRttMs) return;
    } else this.rttMs = this.rttMs < 0 ? rtt : Math.min(this.rttMs, rtt);
    if (isSentAfter(sentMs, this.#end[i]!, this.#rackMs, this.#rackEnd)) {
      this.#rackMs = sentMs;
      this.#rackEnd = this.#end[i]!;
      this.#rackRttMs = rtt;
    }
  }
  /** Set by the connection: no answer comes sooner. */
  minRttMs = 0;

  #advance(una: number, nowMs: number): void {
    while (this.#count > 0) {
      const i = this.#at;
      const start = this.#start[i]!;
      if (notBefore(start, una)) break;
      const isPart = after(this.#end[i]!, una);
      const to = isPart ? una : this.#end[i]!;
      const octets = (to - start) | 0;
      const bits = this.#bits[i]!;
      if ((bits & SACKED) === 0) {
        if (!isPart) this.#noteArrival(i, bits, nowMs);
        else if ((bits & AGAIN) === 0) {
          const rtt = nowMs - this.#sentMs[i]!;
          this.rttMs = this.rttMs < 0 ? rtt : Math.min(this.rttMs, rtt);
        }
        this.newlyAcknowledged += octets;
      } else {
        this.#sacked -= octets;
      }
      if ((bits & LOST) !== 0) this.#lost -= octets;
      if ((bits & RETRANSMITTED) !== 0) this.#retransmitted -= octets;
      this.#octets -= octets;
      if (isPart) {
        this.#start[i] = una;
        break;
      }
      this.#at++;
      this.#count--;
      if (this.#firstOpen > 0) this.#firstOpen--;
    }
    if (this.#count === 0) this.#at = 0;
  }

  #markLost(i: number): void {
    const octets = (this.#end[i]! - this.#start[i]!) | 0;
    const bits = this.#bits[i]!;
    if ((bits & LOST) === 0) this.#lost += octets;
    if ((bits & RETRANSMITTED) !== 0) this.#retransmitted -= octets;
    this.#bits[i] = (bits | LOST) & ~RETRANSMITTED;
  }

  #again(i: number, nowMs: number): void {
    const octets = (this.#end[i]! - this.#start[i]!) | 0;
    if ((this.#bits[i]! & LOST) !== 0 && (this.#bits[i]! & RETRANSMITTED) === 0) {
      this.#retransmitted += octets;
      this.#bits[i]! |= RETRANSMITTED;
    }
    this.#bits[i]! |= AGAIN;
    this.#sentMs[i] = nowMs;
  }

  /** The entry in which a sequence number lies, counted from the first. */
  #find(sequence: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (notAfter(this.#end[this.#at + middle]!, sequence)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * Makes two entries of one; `#at` may be another one afterwards.
   * @returns false: there are too many already.
   */
  #split(i: number, at: number): boolean {
    if (this.#count >= ENTRIES_MAX) return false;
    const index = i - this.#at;
    this.#push(0, 0, 0);
    const from = this.#at + index;
    const end = this.#at + this.#count - 1;
    for (const array of [this.#start, this.#end, this.#bits]) array.copyWithin(from + 1, from, end);
    this.#sentMs.copyWithin(from + 1, from, end);
    this.#end[from] = at;
    this.#start[from + 1] = at;
    return true;
  }

  #push(start: number, end: number, nowMs: number): void {
    if (this.#at + this.#count === this.#start.length) {
      if (this.#at >= this.#start.length >>> 1) this.#resize(this.#start.length);
      else this.#resize(2 * this.#start.length);
    }
    const i = this.#at + this.#count;
    this.#start[i] = start;
    this.#end[i] = end;
    this.#sentMs[i] = nowMs;
    this.#bits[i] = 0;
    this.#count++;
  }

  /** Moves the entries to the front of arrays of `capacity`. */
  #resize(capacity: number): void {
    const [from, to] = [this.#at, this.#at + this.#count];
    if (capacity === this.#start.length) {
      for (const array of [this.#start, this.#end, this.#bits]) array.copyWithin(0, from, to);
      this.#sentMs.copyWithin(0, from, to);
    } else {
      const start = new Int32Array(capacity);
      const end = new Int32Array(capacity);
      const sentMs = new Float64Array(capacity);
      const bits = new Uint8Array(capacity);
      start.set(this.#start.subarray(from, to));
      end.set(this.#end.subarray(from, to));
      sentMs.set(this.#sentMs.subarray(from, to));
      bits.set(this.#bits.subarray(from, to));
      this.#start = start;
      this.#end = end;
      this.#sentMs = sentMs;
      this.#bits = bits;
    }
    this.#at = 0;
  }
}

/** RFC 8985 §6.2 step 2: sent later, or in the same moment and behind. */
function isSentAfter(aMs: number, aEnd: number, bMs: number, bEnd: number): boolean {
  return aMs > bMs || (aMs === bMs && after(aEnd, bEnd));
}
