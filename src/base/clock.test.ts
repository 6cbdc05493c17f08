import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "./clock.ts";

test("a manual clock moves only when told, and wall time moves with it", () => {
  const clock = new ManualClock(1_000_000_000n);
  assert.equal(clock.nowMs(), 0);
  assert.equal(clock.wallNs(), 1_000_000_000n);
  clock.advance(2.5);
  assert.equal(clock.nowMs(), 2.5);
  assert.equal(clock.wallNs(), 1_002_500_000n);
});

test("a manual clock never goes back", () => {
  const clock = new ManualClock();
  clock.advance(10);
  clock.advance(-3);
  assert.equal(clock.nowMs(), 10);
});
