import assert from "node:assert/strict";
import { test } from "node:test";
import { Rng } from "../base/index.ts";
import { Timer, TimerWheel } from "./timer-wheel.ts";

const DAY_MS = 86_400_000;

test("fires timers of all distances in order, none early, none twice", () => {
  const rng = new Rng(7);
  const wheel = new TimerWheel(1000.25);
  let nowMs = 1000.25;
  const fired: number[] = [];
  const wanted: number[] = [];
  for (let i = 0; i < 2000; i++) {
    const atMs = nowMs + rng.unit() * 10 ** rng.below(9);
    wanted.push(atMs);
    const timer: Timer = new Timer(() => {
      assert.ok(atMs <= nowMs, `due at ${atMs}, fired at ${nowMs}`);
      assert.equal(timer.isSet, false);
      fired.push(atMs);
    });
    wheel.set(timer, atMs);
  }
  wanted.sort((a, b) => a - b);
  while (wheel.count > 0) {
    const nextMs = wheel.nextMs();
    assert.equal(nextMs, wanted[fired.length]);
    nowMs = rng.below(2) === 0 ? nextMs : nextMs + rng.unit() * 5000;
    wheel.advance(nowMs);
  }
  assert.deepEqual(fired, wanted);
});

test("a cancelled or moved timer does not fire at its old time", () => {
  const wheel = new TimerWheel(0);
  const seen: string[] = [];
  const second = new Timer(() => seen.push("second"));
  const moved = new Timer(() => seen.push("moved"));
  const first = new Timer(() => {
    seen.push("first");
    // Due at the same time, but not any more.
    wheel.cancel(second);
    wheel.set(moved, 3 * DAY_MS);
  });
  wheel.set(first, 5);
  wheel.set(second, 5);
  wheel.set(moved, 5);
  wheel.advance(5);
  assert.deepEqual(seen, ["first"]);
  assert.equal(wheel.nextMs(), 3 * DAY_MS);
  wheel.advance(3 * DAY_MS - 1);
  assert.deepEqual(seen, ["first"]);
  wheel.advance(3 * DAY_MS);
  assert.deepEqual(seen, ["first", "moved"]);
  assert.equal(wheel.nextMs(), Number.POSITIVE_INFINITY);
});

test("a timer that sets itself for now fires in the same round, later ones in theirs", () => {
  const wheel = new TimerWheel(0);
  let rounds = 0;
  const again: Timer = new Timer(() => {
    rounds++;
    if (rounds < 3) wheel.set(again, 10);
    else if (rounds < 5) wheel.set(again, 10 + rounds / 10);
  });
  wheel.set(again, 10);
  wheel.advance(10);
  assert.equal(rounds, 3);
  wheel.advance(10.35);
  assert.equal(rounds, 4);
  wheel.advance(11);
  assert.equal(rounds, 5);
});
