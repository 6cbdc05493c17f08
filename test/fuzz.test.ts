import assert from "node:assert/strict";
import { test } from "node:test";
import { toHex } from "../src/base/index.ts";
import { fuzz } from "../fuzz/fuzz.ts";
import { FUSE_TARGETS } from "../fuzz/fuse.ts";
import { VDE_TARGETS } from "../fuzz/vde.ts";
import { VIEWOS_TARGETS } from "../fuzz/viewos.ts";
import { WIRE_TARGETS } from "../fuzz/wire.ts";

test("every parser of foreign octets withstands a thousand mutations", () => {
  for (const target of [...WIRE_TARGETS, ...VDE_TARGETS, ...FUSE_TARGETS, ...VIEWOS_TARGETS]) {
    assert.ok(target.seeds().length > 0, `${target.name} has seeds`);
    const { failure } = fuzz(target, { seed: 1, count: 1000 });
    const input = failure === undefined ? "" : toHex(failure.octets);
    assert.equal(failure, undefined, `${target.name} fails on ${input}`);
  }
});

test("the fuzzer finds a planted bug and gives the input that shows it, the same for the same seed", () => {
  const planted = {
    name: "planted",
    seeds: () => [Uint8Array.of(1, 2, 3, 4)],
    run(octets: Uint8Array) {
      const [first, , third] = octets;
      octets.fill(0);
      if (first === 1 && third === 0xff) throw new Error("planted");
    },
  };
  const { failure, count } = fuzz(planted, { seed: 3, count: 100_000 });
  assert.ok(failure !== undefined && count < 100_000);
  assert.deepEqual([failure.octets[0], failure.octets[2]], [1, 0xff]);
  assert.deepEqual(fuzz(planted, { seed: 3, count: 100_000 }).failure?.octets, failure.octets);
});
