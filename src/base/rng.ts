/**
 * A seeded generator of pseudo-random numbers: same seed, same sequence, on every machine. For
 * simulation, impairments and fuzzing; never for keys. The state is 128 bits (sfc32, by Chris
 * Doty-Humphrey, PractRand), so that sequences of different seeds do not overlap in practice.
 */
export class Rng {
  readonly seed: number;
  #a: number;
  #b: number;
  #c = 0x9e3779b9;
  #counter = 1;

  /** @param seed any integer; its low 53 bits count. */
  constructor(seed: number) {
    this.seed = seed;
    this.#a = seed >>> 0;
    this.#b = Math.floor(seed / 0x1_0000_0000) >>> 0;
    // The first results still show the seed; PractRand discards 12 rounds as well.
    for (let round = 0; round < 12; round++) this.u32();
  }

  /** 0 … 2³²−1. */
  u32(): number {
    const result = (this.#a + this.#b + this.#counter) >>> 0;
    this.#counter = (this.#counter + 1) >>> 0;
    this.#a = (this.#b ^ (this.#b >>> 9)) >>> 0;
    this.#b = (this.#c + (this.#c << 3)) >>> 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) >>> 0;
    return result;
  }

  /** 0 ≤ result < 1, in steps of 2⁻³². */
  unit(): number {
    return this.u32() / 0x1_0000_0000;
  }

  /** An integer 0 ≤ result < `limit` (`limit` ≤ 2³²). */
  below(limit: number): number {
    return Math.floor(this.unit() * limit);
  }
}
