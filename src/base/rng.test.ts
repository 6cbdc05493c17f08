import assert from "node:assert/strict";
import { test } from "node:test";
import { Rng } from "./rng.ts";

test("one seed gives one sequence, another seed another", () => {
  const draw = (seed: number) => {
    const rng = new Rng(seed);
    return Array.from({ length: 8 }, () => rng.u32());
  };
  assert.deepEqual(draw(7), draw(7));
  assert.notDeepEqual(draw(7), draw(8));
  assert.notDeepEqual(draw(7), draw(7 + 2 ** 32));
});

test("results below a limit stay below it and reach every value about equally often", () => {
  const rng = new Rng(1);
  const seen = new Uint32Array(10);
  for (let draw = 0; draw < 10_000; draw++) {
    const value = rng.below(10);
    assert.ok(value >= 0 && value < 10);
    seen[value]!++;
  }
  // Mean 1000, standard deviation 30: six of them on either side; the seed is fixed, so this is
  // stable.
  for (const count of seen) assert.ok(count > 820 && count < 1180, `${count}`);
});
