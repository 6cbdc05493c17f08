/**
 * SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012) over whole 32-bit
 * words, and a generator made of it. Everything a stranger must not guess comes from here: initial
 * sequence numbers, ports, identifications, places in hash tables, opaque interface identifiers.
 * 64-bit words are pairs of 32-bit halves; nothing is allocated.
 */
import { V2Error } from "../base/index.ts";

/** Octets of a key. */
export const SIPHASH_KEY_OCTETS = 16;

/** A keyed hash; `hash` leaves 64 bits in `low` and `high`. */
export class SipHash {
  /** Of the last hash: unsigned 32-bit halves. */
  low = 0;
  high = 0;
  readonly #key = new Int32Array(4);
  /** v0 low, v0 high, v1 low … v3 high. */
  readonly #v = new Int32Array(8);

  /** @param key four 32-bit words, of which nobody else knows. */
  constructor(key: Int32Array) {
    this.#key.set(key.subarray(0, 4));
  }

  /** Hashes `words[0 … count)`, each as four octets in little-endian order. @returns `low`. */
  hash(words: Int32Array, count: number): number {
    const v = this.#v;
    const key = this.#key;
    v[0] = key[0]! ^ 0x70736575;
    v[1] = key[1]! ^ 0x736f6d65;
    v[2] = key[2]! ^ 0x6e646f6d;
    v[3] = key[3]! ^ 0x646f7261;
    v[4] = key[0]! ^ 0x6e657261;
    v[5] = key[1]! ^ 0x6c796765;
    v[6] = key[2]! ^ 0x79746573;
    v[7] = key[3]! ^ 0x74656462;
    let at = 0;
    for (; at + 1 < count; at += 2) this.#compress(words[at]!, words[at + 1]!);
    // The last block holds the length in its highest octet.
    this.#compress(at < count ? words[at]! : 0, (4 * count) << 24);
    v[4] ^= 0xff;
    for (let round = 0; round < 4; round++) sipRound(v);
    this.low = (v[0] ^ v[2] ^ v[4] ^ v[6]) >>> 0;
    this.high = (v[1] ^ v[3] ^ v[5] ^ v[7]) >>> 0;
    return this.low;
  }

  #compress(low: number, high: number): void {
    const v = this.#v;
    v[6]! ^= low;
    v[7]! ^= high;
    sipRound(v);
    sipRound(v);
    v[0]! ^= low;
    v[1]! ^= high;
  }
}

/** `v[a] += v[b]` on 64-bit pairs. */
function add(v: Int32Array, a: number, b: number): void {
  const low = (v[a]! >>> 0) + (v[b]! >>> 0);
  v[a] = low;
  v[a + 1] = v[a + 1]! + v[b + 1]! + (low > 0xffff_ffff ? 1 : 0);
}

/** Turns `v[a]` left by `bits` (below 32), then `v[a] ^= v[b]`. */
function turnXor(v: Int32Array, a: number, b: number, bits: number): void {
  const low = v[a]!;
  const high = v[a + 1]!;
  v[a] = ((low << bits) | (high >>> (32 - bits))) ^ v[b]!;
  v[a + 1] = ((high << bits) | (low >>> (32 - bits))) ^ v[b + 1]!;
}

/** Turns `v[a]` left by 32. */
function turnHalf(v: Int32Array, a: number): void {
  const low = v[a]!;
  v[a] = v[a + 1]!;
  v[a + 1] = low;
}

function sipRound(v: Int32Array): void {
  add(v, 0, 2);
  turnXor(v, 2, 0, 13);
  turnHalf(v, 0);
  add(v, 4, 6);
  turnXor(v, 6, 4, 16);
  add(v, 0, 6);
  turnXor(v, 6, 0, 21);
  add(v, 4, 2);
  turnXor(v, 2, 4, 17);
  turnHalf(v, 4);
}

/**
 * Numbers that do not tell the next ones: SipHash of a counter under a secret key. The same secret
 * gives the same sequence.
 */
export class SecretRandom {
  readonly #hash: SipHash;
  readonly #words = new Int32Array(2);
  #counter = 0;

  /** @param secret at least 16 octets; more are not used. Throws V2Error SECRET for fewer. */
  constructor(secret: Uint8Array) {
    this.#hash = new SipHash(keyOf(secret));
  }

  /** 0 … 2³²−1. */
  u32(): number {
    this.#words[0] = this.#counter;
    this.#words[1] = this.#counter / 0x1_0000_0000;
    this.#counter++;
    return this.#hash.hash(this.#words, 2);
  }

  /** An integer 0 ≤ result < `limit` (`limit` ≤ 2³²). */
  below(limit: number): number {
    return Math.floor((this.u32() / 0x1_0000_0000) * limit);
  }

  /** 0 ≤ result < 1, in steps of 2⁻³². */
  unit(): number {
    return this.u32() / 0x1_0000_0000;
  }

  /** A keyed hash whose key comes from here. */
  keyedHash(): SipHash {
    return new SipHash(Int32Array.of(this.u32(), this.u32(), this.u32(), this.u32()));
  }
}

function keyOf(secret: Uint8Array): Int32Array {
  if (secret.length < SIPHASH_KEY_OCTETS) {
    throw new V2Error("SECRET", `a secret of ${secret.length} octets`, {
      remedy: `Give at least ${SIPHASH_KEY_OCTETS} random octets.`,
    });
  }
  const view = new DataView(secret.buffer, secret.byteOffset, SIPHASH_KEY_OCTETS);
  return Int32Array.of(...[0, 4, 8, 12].map((at) => view.getInt32(at, true)));
}
