import assert from "node:assert/strict";
import { test } from "node:test";
import { emitStat, emitStatx } from "./stat-emit.ts";

/** Seconds and nanoseconds of the last change in struct stat and in struct statx. */
function times(mtimeMs: number): readonly (readonly [bigint, number])[] {
  const places = [
    [emitStat("/f", { mtimeMs }), 88],
    [emitStatx("/f", { mtimeMs }), 112],
  ] as const;
  return places.map(([octets, at]) => {
    const view = new DataView(octets.buffer);
    return [view.getBigInt64(at, true), view.getUint32(at + 8, true)];
  });
}

test("times have nanoseconds from 0 to a second, before 1970 too", () => {
  const both = (seconds: bigint, nanoseconds: number) => [
    [seconds, nanoseconds],
    [seconds, nanoseconds],
  ];
  assert.deepEqual(times(86_400_500), both(86_400n, 500_000_000));
  assert.deepEqual(times(-1), both(-1n, 999_000_000));
  assert.deepEqual(times(-2000), both(-2n, 0));
  assert.deepEqual(times(-1500.25), both(-2n, 499_750_000));
  // So near before the second that its nanoseconds would be 1 000 000 000.
  assert.deepEqual(times(-1e-10), both(-1n, 999_999_999));
});
