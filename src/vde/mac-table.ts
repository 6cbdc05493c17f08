/**
 * Which port a station was last seen at: open addressing in typed arrays, no allocation per frame.
 * Key: 48-bit address and 12-bit VLAN. An entry expires when its station is silent; it moves to
 * another port only after it was silent at the old one for a while, so that a loop cannot make it
 * flap (behaviour of vde_switch's hash, "min persistence").
 */

import type { StationChange } from "./events.ts";

/** Times and size of a table; defaults in parentheses. */
export interface MacTableOptions {
  /** Entries held at most (4096); more are refused and counted. */
  readonly entriesMax?: number;
  /** Silence after which an entry is forgotten, ms (100 000). */
  readonly expireMs?: number;
  /** Silence after which a station may appear at another port, ms (3000). */
  readonly minPersistenceMs?: number;
}

const EMPTY = -1;
/** Slots per entry allowed: keeps probe runs short. */
const SLOTS_PER_ENTRY = 2;

/** One known station, for listings. */
export interface MacEntry {
  /** Six octets as a number below 2^48. */
  readonly address: number;
  readonly vlan: number;
  readonly port: number;
  readonly ageMs: number;
}

/** Stations and their ports. Times are milliseconds of any clock that only goes forward. */
export class MacTable {
  /** Told of every station learned or forgotten, when somebody wants to know. */
  onChange: ((change: StationChange) => void) | undefined;
  /** Stations not learned because the table was full. */
  refused = 0;
  /** Times a station moved to another port. */
  moved = 0;
  expireMs: number;
  minPersistenceMs: number;
  readonly #entriesMax: number;
  readonly #mask: number;
  /** VLAN and the first two octets of the address; -1: free. */
  readonly #high: Int32Array;
  /** The last four octets. */
  readonly #low: Int32Array;
  readonly #port: Int32Array;
  readonly #seenMs: Float64Array;
  #count = 0;

  constructor(options: MacTableOptions = {}) {
    this.#entriesMax = options.entriesMax ?? 4096;
    this.expireMs = options.expireMs ?? 100_000;
    this.minPersistenceMs = options.minPersistenceMs ?? 3000;
    let slots = 16;
    while (slots < this.#entriesMax * SLOTS_PER_ENTRY) slots *= 2;
    this.#mask = slots - 1;
    this.#high = new Int32Array(slots).fill(EMPTY);
    this.#low = new Int32Array(slots);
    this.#port = new Int32Array(slots);
    this.#seenMs = new Float64Array(slots);
  }

  /** Entries held, those that expired since the last `age` included. */
  get count(): number {
    return this.#count;
  }

  /**
   * Notes that a station sent a frame at `port`.
   * @param high first two octets of its address, `low` the last four (signed 32 bits).
   */
  learn(high: number, low: number, vlan: number, port: number, nowMs: number): void {
    const key = (vlan << 16) | high;
    const slot = this.#find(key, low);
    if (this.#high[slot] === EMPTY) {
      if (this.#count >= this.#entriesMax) {
        this.refused++;
        return;
      }
      this.#high[slot] = key;
      this.#low[slot] = low;
      this.#port[slot] = port;
      this.#seenMs[slot] = nowMs;
      this.#count++;
      if (this.onChange !== undefined) this.onChange(this.#change(slot, true));
      return;
    }
    if (this.#port[slot] !== port) {
      if (nowMs - this.#seenMs[slot]! <= this.minPersistenceMs) return;
      this.#port[slot] = port;
      this.moved++;
    }
    this.#seenMs[slot] = nowMs;
  }

  /** The port of a station, -1 when it is unknown or was silent for too long. */
  lookUp(high: number, low: number, vlan: number, nowMs: number): number {
    const slot = this.#find((vlan << 16) | high, low);
    if (this.#high[slot] === EMPTY || nowMs - this.#seenMs[slot]! > this.expireMs) return -1;
    return this.#port[slot]!;
  }

  /** Forgets what expired; called now and then, not per frame. */
  age(nowMs: number): void {
    this.#forget((slot) => nowMs - this.#seenMs[slot]! > this.expireMs);
  }

  /** Forgets all stations of a port (its last cable was pulled). */
  forgetPort(port: number): void {
    this.#forget((slot) => this.#port[slot] === port);
  }

  /** Forgets all stations of a VLAN. */
  forgetVlan(vlan: number): void {
    this.#forget((slot) => this.#high[slot]! >>> 16 === vlan);
  }

  clear(): void {
    this.#forget(() => true);
  }

  /** The stations that have not expired, in no particular order. */
  entries(nowMs: number): MacEntry[] {
    const all: MacEntry[] = [];
    for (let slot = 0; slot <= this.#mask; slot++) {
      const ageMs = nowMs - this.#seenMs[slot]!;
      if (this.#high[slot] === EMPTY || ageMs > this.expireMs) continue;
      const { address, vlan, port } = this.#change(slot, false);
      all.push({ address, vlan, port, ageMs });
    }
    return all;
  }

  /**
   * The slot of a key, or the free slot where it belongs. The table is never full, so this ends.
   */
  #find(key: number, low: number): number {
    const mask = this.#mask;
    const mixed = Math.imul(low ^ Math.imul(key, 0x9e3779b1), 0x85ebca6b);
    let slot = (mixed ^ (mixed >>> 15)) & mask;
    while (this.#high[slot] !== EMPTY && (this.#high[slot] !== key || this.#low[slot] !== low)) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  /**
   * Removes matching entries; the rest of each probe run moves up so that no search ends too early.
   */
  #forget(matches: (slot: number) => boolean): void {
    for (let slot = 0; slot <= this.#mask; slot++) {
      while (this.#high[slot] !== EMPTY && matches(slot)) this.#removeAt(slot);
    }
  }

  #change(slot: number, isNew: boolean): StationChange {
    const key = this.#high[slot]!;
    const address = (key & 0xffff) * 2 ** 32 + (this.#low[slot]! >>> 0);
    return { isNew, address, vlan: key >>> 16, port: this.#port[slot]! };
  }

  #removeAt(removed: number): void {
    const mask = this.#mask;
    if (this.onChange !== undefined) this.onChange(this.#change(removed, false));
    this.#high[removed] = EMPTY;
    this.#count--;
    for (let at = (removed + 1) & mask; this.#high[at] !== EMPTY; at = (at + 1) & mask) {
      const key = this.#high[at]!;
      const low = this.#low[at]!;
      this.#high[at] = EMPTY;
      const home = this.#find(key, low);
      this.#high[home] = key;
      this.#low[home] = low;
      this.#port[home] = this.#port[at]!;
      this.#seenMs[home] = this.#seenMs[at]!;
    }
  }
}
