import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { always } from "../../test/properties.ts";
import { Draft } from "./draft.ts";
import { RamContent } from "./ram-content.ts";

const MIB = 1 << 20;
/** Places around the borders of pieces, where mistakes are. */
const place = fc.oneof(
  fc.nat(9000),
  fc.integer({ min: MIB - 5000, max: MIB + 5000 }),
  fc.integer({ min: 2 * MIB - 10, max: 2 * MIB + 10 }),
);
const step = fc.oneof(
  fc.record({ kind: fc.constant("write" as const), at: place, size: fc.nat(6000) }),
  fc.record({ kind: fc.constant("resize" as const), at: place, size: fc.constant(0) }),
  fc.record({ kind: fc.constant("clear" as const), at: place, size: fc.nat(2 * MIB) }),
);

/** The same on a plain array. */
function model(steps: readonly { kind: string; at: number; size: number }[]): Uint8Array {
  let octets = new Uint8Array(0);
  steps.forEach(({ kind, at, size }, i) => {
    if (kind === "clear") octets.fill(0, at, Math.min(at + size, octets.length));
    else {
      const length = kind === "resize" ? at : Math.max(octets.length, at + size);
      const next = new Uint8Array(length);
      next.set(octets.subarray(0, length));
      if (kind === "write") next.fill(i + 1, at, at + size);
      octets = next;
    }
  });
  return octets;
}

test("content in pieces is what a plain array would be, holes included", () => {
  always(fc.tuple(fc.array(step, { maxLength: 5 }), place, fc.nat(9000)), ([steps, at, count]) => {
    const content = new RamContent();
    steps.forEach(({ kind, at: from, size }, i) => {
      if (kind === "write") content.write(from, new Uint8Array(size).fill(i + 1));
      else if (kind === "resize") content.resize(from);
      else content.clear(from, Math.min(from + size, content.size));
    });
    const expected = model(
      steps.map((one) =>
        one.kind === "write" && one.size === 0 ? { ...one, kind: "clear" } : one,
      ),
    );
    assert.equal(content.size, expected.length);
    const found = content.read(at, count);
    const wanted = expected.subarray(Math.min(at, expected.length), at + count);
    assert.ok(Buffer.from(found).equals(wanted), `${found.length} of ${wanted.length}`);
  });
});

test("a hole of a terabyte takes no memory and no time", () => {
  const content = new RamContent();
  content.write(2 ** 40 + 5 * MIB, Uint8Array.of(1));
  content.resize(2 ** 40);
  assert.equal(content.octets, 0);
  content.write(2 ** 40, Uint8Array.of(1));
  assert.equal(content.size, 2 ** 40 + 1);
  assert.ok(content.octets <= MIB);
  assert.equal(content.seek(5, true), 2 ** 40);
  assert.equal(content.seek(0, false), 0);
  assert.deepEqual([...content.read(2 ** 39, 3)], [0, 0, 0]);
  content.resize(3);
  assert.equal(content.seek(2, true), -1);
});

test("a draft is what a plain array would be, and leaves what it was given alone", () => {
  const steps = fc.array(
    fc.record({
      kind: fc.constantFrom("write" as const, "resize" as const),
      at: fc.nat(300),
      size: fc.nat(200),
    }),
    { maxLength: 8 },
  );
  always(steps, (list) => {
    const given = new Uint8Array(50).fill(9);
    const draft = new Draft(given);
    let expected = given.slice();
    list.forEach(({ kind, at, size }, i) => {
      const length = kind === "resize" ? at : Math.max(expected.length, at + size);
      const next = new Uint8Array(length);
      next.set(expected.subarray(0, length));
      if (kind === "write") next.fill(i + 1, at, at + size);
      expected = next;
      if (kind === "resize") draft.resize(at);
      else draft.write(at, new Uint8Array(size).fill(i + 1));
    });
    assert.deepEqual(draft.content, expected);
    assert.deepEqual(given, new Uint8Array(50).fill(9));
    assert.equal(draft.isDirty, list.length > 0);
  });
});
