import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { TimeHeap } from "./time-heap.ts";

test("entries come out by their time, equals in the order they came, whatever came between", () => {
  const step = fc.option(fc.integer({ min: 0, max: 9 }), { nil: undefined });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const heap = new TimeHeap<{ readonly atMs: number; readonly number: number }>();
      const model: { readonly atMs: number; readonly number: number }[] = [];
      for (const [number, atMs] of steps.entries()) {
        if (atMs === undefined) assert.equal(heap.shift(), model.shift());
        else {
          const entry = { atMs, number };
          heap.push(entry);
          const later = model.findIndex((other) => other.atMs > atMs);
          model.splice(later === -1 ? model.length : later, 0, entry);
        }
        assert.equal(heap.first, model[0]);
        assert.equal(heap.size, model.length);
      }
    }),
    { seed: 4 },
  );
});
