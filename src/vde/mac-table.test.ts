import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MacTable } from "./mac-table.ts";

const HIGH = 0x0200;

test("a station is found at the port where it was learned", () => {
  const table = new MacTable();
  table.learn(HIGH, -5, 0, 7, 0);
  assert.equal(table.lookUp(HIGH, -5, 0, 10), 7);
  assert.equal(table.lookUp(HIGH, -6, 0, 10), -1);
  assert.equal(table.lookUp(HIGH, -5, 1, 10), -1, "another VLAN is another station");
});

test("a silent station expires after 100 seconds", () => {
  const table = new MacTable();
  table.learn(HIGH, 1, 0, 7, 0);
  assert.equal(table.lookUp(HIGH, 1, 0, 100_000), 7);
  assert.equal(table.lookUp(HIGH, 1, 0, 100_001), -1);
  table.age(100_001);
  assert.equal(table.count, 0);
});

test("a station moves to another port only after 3 seconds of silence at the old one", () => {
  const table = new MacTable();
  table.learn(HIGH, 1, 0, 7, 0);
  table.learn(HIGH, 1, 0, 8, 3000);
  assert.equal(table.lookUp(HIGH, 1, 0, 3000), 7);
  table.learn(HIGH, 1, 0, 8, 3001);
  assert.equal(table.lookUp(HIGH, 1, 0, 3001), 8);
  assert.equal(table.moved, 1);
});

test("a full table refuses new stations, counts them and keeps the old ones", () => {
  const table = new MacTable({ entriesMax: 4 });
  for (let low = 0; low < 6; low++) table.learn(HIGH, low, 0, 1, 0);
  assert.equal(table.count, 4);
  assert.equal(table.refused, 2);
  assert.equal(table.lookUp(HIGH, 3, 0, 0), 1);
});

test("an entry tells address, VLAN, port and age", () => {
  const table = new MacTable();
  table.learn(0x00ff, 0x81020304 | 0, 5, 2, 100);
  assert.deepEqual(table.entries(350), [
    { address: 0x00ff_8102_0304, vlan: 5, port: 2, ageMs: 250 },
  ]);
});

/** The same behaviour, written with a Map. */
class Model {
  readonly #all = new Map<string, { port: number; seen: number }>();
  learn(low: number, vlan: number, port: number, now: number): void {
    const old = this.#all.get(`${vlan}/${low}`);
    if (old !== undefined && old.port !== port && now - old.seen <= 3000) return;
    this.#all.set(`${vlan}/${low}`, { port, seen: now });
  }
  lookUp(low: number, vlan: number, now: number): number {
    const found = this.#all.get(`${vlan}/${low}`);
    return found === undefined || now - found.seen > 100_000 ? -1 : found.port;
  }
  age(now: number): void {
    for (const [key, { seen }] of this.#all) if (now - seen > 100_000) this.#all.delete(key);
  }
  forgetPort(port: number): void {
    for (const [key, entry] of this.#all) if (entry.port === port) this.#all.delete(key);
  }
}

test("any sequence of operations gives what a plain map gives", () => {
  const step = fc.record({
    kind: fc.constantFrom("learn", "learn", "learn", "age", "forgetPort"),
    low: fc.integer({ min: 0, max: 40 }),
    vlan: fc.integer({ min: 0, max: 1 }),
    port: fc.integer({ min: 1, max: 4 }),
    pauseMs: fc.constantFrom(0, 1, 2000, 60_000),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const table = new MacTable({ entriesMax: 100 });
      const model = new Model();
      let now = 0;
      for (const { kind, low, vlan, port, pauseMs } of steps) {
        now += pauseMs;
        if (kind === "learn") {
          table.learn(HIGH, low, vlan, port, now);
          model.learn(low, vlan, port, now);
        } else if (kind === "age") {
          table.age(now);
          model.age(now);
        } else {
          table.forgetPort(port);
          model.forgetPort(port);
        }
        for (let l = 0; l <= 40; l++) {
          for (const v of [0, 1]) {
            assert.equal(table.lookUp(HIGH, l, v, now), model.lookUp(l, v, now));
          }
        }
      }
    }),
    { seed: 1, numRuns: 60 },
  );
});
