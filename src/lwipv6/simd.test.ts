import assert from "node:assert/strict";
import { test } from "node:test";
import { Rng } from "../base/index.ts";
import { foldSum, sumOctets } from "../wire/index.ts";
import { Arena } from "./arena.ts";
import { vectorMemory } from "./simd.ts";

test("vectors sum and copy what JavaScript sums, at every length and place", () => {
  const { sums, buffer } = vectorMemory(1 << 18);
  assert.ok(sums !== undefined, "this Node has vectors");
  const octets = new Uint8Array(buffer);
  const rng = new Rng(4);
  for (let i = 0; i < 1 << 17; i++) octets[i] = rng.below(256);
  for (let i = 0; i < 3000; i++) {
    const length = i < 200 ? i : rng.below(66_000);
    const from = rng.below(40_000);
    const to = 131_072 + rng.below(60_000);
    const expected = foldSum(sumOctets(octets, from, from + length));
    const swap = (value: number): number => ((value & 0xff) << 8) | (value >>> 8);
    assert.equal(swap(sums.sum(from, length)) % 0xffff, expected % 0xffff, `${length} at ${from}`);
    assert.equal(swap(sums.copySum(to, from, length)) % 0xffff, expected % 0xffff);
    const [a, b] = [octets.subarray(from, from + length), octets.subarray(to, to + length)];
    assert.equal(Buffer.compare(a, b), 0, `copy of ${length}`);
  }
});

test("an arena's sums are those of wire, pieces of even length added", () => {
  const arena = new Arena({ frames: 2, blocks: 2 });
  const rng = new Rng(5);
  for (let i = 0; i < 20_000; i++) arena.octets[i] = rng.below(256);
  for (let i = 0; i < 500; i++) {
    const from = rng.below(4000);
    const length = rng.below(9000);
    const initial = rng.below(1 << 20);
    const expected = foldSum(sumOctets(arena.octets, from, from + length, initial));
    assert.equal(foldSum(arena.sum(from, from + length, initial)) % 0xffff, expected % 0xffff);
    const copied = arena.copySum(from, 15_000, length, initial);
    assert.equal(foldSum(copied) % 0xffff, expected % 0xffff);
  }
});
