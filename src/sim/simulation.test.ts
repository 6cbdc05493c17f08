import assert from "node:assert/strict";
import { test } from "node:test";
import { V2Error } from "../base/index.ts";
import { SimLink, type SimNode } from "./link.ts";
import { Simulation } from "./simulation.ts";

/** A node that keeps what it hears, and when. */
class Ear implements SimNode {
  readonly heard: string[] = [];
  readonly #simulation: Simulation;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  receive(port: number, frame: Uint8Array): void {
    this.heard.push(`${frame[0]} at ${port} after ${this.#simulation.nowMs()}`);
  }
  plugged(port: number): void {
    this.heard.push(`plugged ${port}`);
  }
  pulled(port: number): void {
    this.heard.push(`pulled ${port}`);
  }
}

function pair(faults = {}) {
  const simulation = new Simulation(1);
  const [a, b] = [new Ear(simulation), new Ear(simulation)];
  const link = new SimLink(simulation, { node: a, port: 1 }, { node: b, port: 2 }, faults);
  link.plug();
  a.heard.length = b.heard.length = 0;
  return { simulation, a, b, link };
}

test("events happen in the order of their times, and of their making at one time", () => {
  const simulation = new Simulation(1);
  const seen: string[] = [];
  for (const [name, ms] of [
    ["c", 2],
    ["a", 1],
    ["d", 2],
    ["b", 1.5],
    ["never", 99],
  ] as const) {
    simulation.after(ms, () => seen.push(`${name}${simulation.nowMs()}`));
  }
  simulation.after(1, () => simulation.after(0, () => seen.push("now")));
  simulation.run(10);
  assert.deepEqual(seen, ["a1", "now", "b1.5", "c2", "d2"]);
  assert.equal(simulation.nowMs(), 10);
  assert.equal(simulation.wallNs(), 10_000_000n);
});

test("a heap of many events stays in order", () => {
  const simulation = new Simulation(5);
  const seen: number[] = [];
  for (let i = 0; i < 2000; i++) {
    simulation.after(simulation.rng.below(500), () => seen.push(simulation.nowMs()));
  }
  simulation.run(500);
  assert.equal(seen.length, 2000);
  assert.deepEqual(
    seen,
    seen.toSorted((x, y) => x - y),
  );
});

test("a link delivers a copy after its delay, both ways", () => {
  const { simulation, a, b, link } = pair({ delayMs: 3 });
  const frame = Uint8Array.of(7);
  link.send(a, frame);
  frame[0] = 8;
  link.send(b, frame);
  simulation.run(3);
  assert.deepEqual(b.heard, ["7 at 2 after 3"]);
  assert.deepEqual(a.heard, ["8 at 1 after 3"]);
});

test("a pulled link tells its ends and loses what was under way, a silent one tells nobody", () => {
  const { simulation, a, b, link } = pair({ delayMs: 3 });
  link.send(a, Uint8Array.of(1));
  link.pull();
  link.plug();
  simulation.run(5);
  assert.deepEqual(b.heard, ["pulled 2", "plugged 2"], "an old frame does not come after");
  link.silence();
  link.send(a, Uint8Array.of(2));
  simulation.run(10);
  link.plug();
  link.send(a, Uint8Array.of(3));
  simulation.run(20);
  assert.deepEqual(b.heard.slice(2), ["3 at 2 after 13"]);
  assert.deepEqual(link.counters, { delivered: 1, lost: 2, duplicated: 0, overflowed: 0 });
});

test("a link loses, doubles and refuses as it was told, and counts it", () => {
  const { simulation, a, b, link } = pair({ loss: 0.25, duplicates: 0.5, framesMax: 4 });
  for (let i = 0; i < 1000; i++) {
    simulation.after(i, () => link.send(a, Uint8Array.of(1)));
  }
  simulation.run(2000);
  const { lost, duplicated, delivered } = link.counters;
  assert.ok(lost > 200 && lost < 300, `${lost} lost`);
  assert.ok(duplicated > 325 && duplicated < 425, `${duplicated} doubled`);
  assert.equal(delivered, 1000 - lost + duplicated);
  assert.equal(b.heard.length, delivered);
  link.faults = { ...link.faults, loss: 0, duplicates: 0 };
  for (let i = 0; i < 10; i++) link.send(a, Uint8Array.of(1));
  assert.equal(link.counters.overflowed, 6);
});

test("impossible faults are refused", () => {
  assert.throws(() => pair({ loss: 1.5 }), V2Error);
  assert.throws(() => pair({ delayMs: -1 }), V2Error);
});
