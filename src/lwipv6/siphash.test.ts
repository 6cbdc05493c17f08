import assert from "node:assert/strict";
import { test } from "node:test";
import { SecretRandom, SipHash } from "./siphash.ts";

/** Key 00 01 … 0f and input 00 01 … of the vectors in the reference implementation. */
const KEY = Int32Array.of(0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c);

test("hashes what the authors' vectors hash", () => {
  const hash = new SipHash(KEY);
  const words = Int32Array.of(0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c);
  const expected: readonly (readonly [count: number, high: number, low: number])[] = [
    [0, 0x726fdb47, 0xdd0e0e31],
    [1, 0xcf2794e0, 0x277187b7],
    [2, 0x93f5f579, 0x9a932462],
  ];
  for (const [count, high, low] of expected) {
    hash.hash(words, count);
    assert.deepEqual([hash.high, hash.low], [high, low]);
  }
});

test("gives the same numbers for the same secret and others for another", () => {
  const numbers = (fill: number) => {
    const random = new SecretRandom(new Uint8Array(16).fill(fill));
    return Array.from({ length: 8 }, () => random.u32());
  };
  assert.deepEqual(numbers(1), numbers(1));
  assert.notDeepEqual(numbers(1), numbers(2));
  assert.throws(() => new SecretRandom(new Uint8Array(15)), { code: "SECRET" });
});
