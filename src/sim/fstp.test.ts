/** The spanning tree among many switches. Each failure names the seed that shows it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Rng } from "../base/index.ts";
import { HELLO_MS, INFO_MS, PROBE_MS, SEEK_MS, STEP_MS } from "../vde/index.ts";
import { Square, type SquareOptions } from "./square.ts";
import type { SwitchNode } from "./switch-node.ts";
import { type Edge, meshOf, randomOf, ringOf } from "./topology.ts";

/** A hello lost, and the one after it. */
const LOSSY_MS = 3 * HELLO_MS;
/** Until the last port of a cable that fell silent took its last step. */
const SILENT_MS = INFO_MS + 2 * STEP_MS + HELLO_MS;

/** A frame that was on its way when its path moved may come by the old way and the new. */
const MOVED_COPIES_MAX = 2;
/** One delay of a cable (link.ts), and what adding times in floating point costs. */
const LOOP_MS_MAX = 0.1001;

/** A square with every cable plugged, after its first ports opened. */
function grown(options: SquareOptions): Square {
  const square = new Square(options);
  square.plugAll();
  square.simulation.runFor(4 * PROBE_MS);
  return square;
}

/** Nothing is wrong, one root, and a broadcast of each station is heard once by each other. */
function assertSound(square: Square, what: string): void {
  assert.deepEqual(square.faults(), [], what);
  const first = square.broadcastAll();
  square.simulation.runFor(100);
  const { extra, most } = square.copies(first);
  assert.deepEqual({ extra, most }, { extra: 0, most: 1 }, what);
}

/** From now on no cable may close a loop: asked at every change of a port, not only afterwards. */
function neverLoops(square: Square, what: string): void {
  for (const node of square.switches) {
    const before = node.onEvent;
    node.onEvent = (event) => {
      before(event);
      if (event.kind !== "status") return;
      const loops = square.faults().filter((fault) => fault.endsWith("loop"));
      assert.deepEqual(loops, [], `${what} at ${square.simulation.nowMs()} ms`);
    };
  }
}

const SHAPES: readonly [string, number, (rng: Rng) => readonly Edge[]][] = [
  ["two cables side by side", 2, () => ringOf(2)],
  ["a ring of 3", 3, () => ringOf(3)],
  ["a ring of 8", 8, () => ringOf(8)],
  ["a ring of 50", 50, () => ringOf(50)],
  ["a mesh of 8", 8, () => meshOf(8)],
  ["a random graph of 50", 50, (rng) => randomOf(50, 40, rng)],
];

test("rings, meshes and random graphs of 2 to 50 switches become one tree", (t) => {
  for (const [name, switches, edges] of SHAPES) {
    for (const seed of [1, 2, 3]) {
      const square = grown({ seed, switches, edges: edges(new Rng(seed)) });
      assertSound(square, `${name}, seed ${seed}`);
      assert.equal(square.roots().size, 1);
      assert.equal(square.copies().missed, 0, `${name}, seed ${seed}`);
      t.diagnostic(`${name}: last change after ${square.changedMs.toFixed(1)} ms`);
    }
  }
});

test("without the spanning tree the same ring storms, so that the other tests can fail", () => {
  const square = grown({ seed: 1, switches: 3, edges: ringOf(3), isFstpOff: true });
  assert.deepEqual(square.faults(), ["s2 - s0 closes a loop"]);
  const first = square.broadcastAll();
  square.simulation.runFor(100);
  assert.ok(square.copies(first).most > 100);
});

test("a pulled cable is replaced, and a new one closes no loop, even while things change", (t) => {
  let worstMs = 0;
  for (let seed = 1; seed <= 12; seed++) {
    const rng = new Rng(seed);
    const switches = 3 + rng.below(20);
    const edges = randomOf(switches, 1 + rng.below(switches), rng);
    const square = grown({ seed, switches, edges });
    neverLoops(square, `seed ${seed}`);
    for (let round = 0; round < 10; round++) {
      const link = square.links[rng.below(square.links.length)]!;
      const startMs = square.simulation.nowMs();
      const first = square.broadcasts;
      if (link.isUp) link.pull();
      else link.plug();
      for (let ms = 0; ms < 20; ms++) square.simulation.after(ms / 10, () => square.broadcastAll());
      square.simulation.runFor(4 * PROBE_MS);
      assertSound(square, `seed ${seed}, round ${round}`);
      assert.ok(square.copies(first).most <= MOVED_COPIES_MAX, `seed ${seed}, round ${round}`);
      worstMs = Math.max(worstMs, square.changedMs - startMs);
    }
  }
  t.diagnostic(`last change after at most ${worstMs.toFixed(1)} ms`);
});

/**
 * From now on a loop must be cut before anything can go round it: an agreement may be under way
 * while its sender already follows another way, so it may stand for as long as one cable takes.
 */
function loopsEndAtOnce(square: Square, what: string): void {
  let sinceMs: number | undefined;
  for (const node of square.switches) {
    const before = node.onEvent;
    node.onEvent = (event) => {
      before(event);
      if (event.kind !== "status") return;
      const nowMs = square.simulation.nowMs();
      const loops = square.faults().filter((fault) => fault.endsWith("loop"));
      if (loops.length === 0) sinceMs = undefined;
      else if (sinceMs === undefined) sinceMs = nowMs;
      else assert.ok(nowMs - sinceMs <= LOOP_MS_MAX, `${what} at ${nowMs} ms: ${loops.join()}`);
    };
  }
}

/** Seeds and shapes; in the last two loops stood for 15 ms, and carried 150 copies of a frame. */
const CUTS: readonly [switches: number, extra: number, seeds: readonly number[], rounds: number][] =
  [
    [50, 50, [1, 2, 3, 4, 13], 1],
    [3, 3, [7, 8, 9, 163], 20],
    [6, 6, [149, 150], 20],
  ];

test("no loop carries data, however cables are cut and joined among up to 50 switches", (t) => {
  let worstMs = 0;
  for (const [switches, extra, seeds, rounds] of CUTS) {
    for (const seed of seeds) {
      const what = `${switches} switches, seed ${seed}`;
      const rng = new Rng(seed);
      const square = grown({ seed, switches, edges: randomOf(switches, extra, rng) });
      loopsEndAtOnce(square, what);
      const first = square.broadcasts;
      let startMs = 0;
      for (let cut = 0; cut < 30; cut++) {
        const link = square.links[rng.below(square.links.length)]!;
        if (link.isUp) link.pull();
        else link.plug();
        startMs = square.simulation.nowMs();
        for (let round = 0; round < rounds; round++) {
          square.simulation.after(round / 10, () => square.broadcastAll());
        }
        // Mostly before the tree is whole again, sometimes in the same moment.
        square.simulation.runFor(rng.below(3) === 0 ? 0 : rng.below(2 * PROBE_MS));
      }
      square.simulation.runFor(4 * PROBE_MS);
      worstMs = Math.max(worstMs, square.changedMs - startMs);
      assert.ok(square.copies(first).most <= MOVED_COPIES_MAX, what);
      assertSound(square, what);
    }
  }
  t.diagnostic(`last change after at most ${worstMs.toFixed(1)} ms`);
});

test("a cable that falls silent is replaced after three hellos; its return ends quickly", (t) => {
  let worstMs = 0;
  for (let seed = 1; seed <= 4; seed++) {
    const square = grown({ seed, switches: 6, edges: ringOf(6) });
    const link = square.links[seed]!;
    square.simulation.runFor(2 * HELLO_MS);
    link.silence();
    square.simulation.runFor(INFO_MS + 100);
    const first = square.broadcastAll();
    square.simulation.runFor(100);
    assert.equal(square.copies(first).missed, 0, `seed ${seed}: everybody is reached again`);
    square.simulation.runFor(SILENT_MS);
    link.plug();
    const startMs = square.simulation.nowMs();
    square.simulation.runFor(SEEK_MS + 100);
    assertSound(square, `seed ${seed}`);
    worstMs = Math.max(worstMs, square.changedMs - startMs);
  }
  assert.ok(worstMs <= SEEK_MS + 10, `the loop was cut within a call: ${worstMs} ms`);
  t.diagnostic(`a silent cable that came back made a loop for at most ${worstMs.toFixed(1)} ms`);
});

test("frozen switches are gone round, and nothing loops for long when they wake up", () => {
  for (let seed = 1; seed <= 4; seed++) {
    const square = grown({ seed, switches: 6, edges: meshOf(6) });
    const frozen = square.switches[0]!;
    frozen.freeze();
    square.simulation.runFor(SILENT_MS);
    const first = square.broadcastAll();
    square.simulation.runFor(100);
    // The frozen switch's own station: it is not heard by five, and hears nothing of five.
    assert.equal(square.copies(first).missed, 10, `seed ${seed}`);
    frozen.thaw();
    square.simulation.runFor(2 * SEEK_MS);
    assertSound(square, `seed ${seed}`);
  }
});

test("loss, duplicates and disorder of BPDUs only cost time", () => {
  for (let seed = 1; seed <= 8; seed++) {
    const rng = new Rng(seed);
    const faults = { loss: 0.05, duplicates: 0.05, jitterMs: 1 };
    const square = grown({ seed, switches: 8, edges: randomOf(8, 8, rng), faults });
    for (let round = 0; round < 6; round++) {
      const link = square.links[rng.below(square.links.length)]!;
      if (link.isUp) link.pull();
      else link.plug();
      square.simulation.runFor(LOSSY_MS);
      assert.deepEqual(square.faults(), [], `seed ${seed}, round ${round}`);
    }
  }
});

test("the switch with the lowest priority becomes root, and the next one when it goes", () => {
  const priority = (index: number) => [40_000, 30_000, 20_000, 50_000][index]!;
  const square = grown({ seed: 1, switches: 4, edges: meshOf(4), priority });
  assert.deepEqual([...square.roots()], ["4e20025300000002"]);
  for (const link of square.links) {
    if (link.ends.some(({ node }) => node === square.switches[2])) link.pull();
  }
  square.simulation.runFor(PROBE_MS);
  assert.deepEqual([...square.roots()].sort(), ["4e20025300000002", "7530025300000001"]);
  assertSound(square, "in two parts");
});

test("each VLAN has a tree of its own on the same cables", () => {
  const square = grown({ seed: 1, switches: 3, edges: ringOf(3) });
  const vlan = 5;
  for (const { core, links } of square.switches) {
    const nowMs = square.simulation.nowMs();
    core.apply({ kind: "vlan", change: { kind: "create", vlan } }, nowMs);
    for (const port of links.keys()) {
      core.apply({ kind: "vlan", change: { kind: "member", vlan, port, isMember: true } }, nowMs);
    }
  }
  // The direct way of s1 to the root becomes the dearer one, in this VLAN only.
  square.switches[1]!.core.fstp!.setBonus(vlan, 2, -100_000_000, square.simulation.nowMs());
  square.simulation.runFor(2 * HELLO_MS);
  const open = (of: number) =>
    square.links.filter(({ ends }) =>
      ends.every(({ node, port }) => (node as SwitchNode).isOpen(port, of)),
    );
  assert.deepEqual([open(0).length, open(vlan).length], [2, 2]);
  assert.notDeepEqual(open(0), open(vlan));
  assertSound(square, "VLAN 0");
});

test("one seed gives one history", () => {
  const histories = [7, 7, 8].map((seed) => {
    const faults = { loss: 0.1, jitterMs: 1 };
    const square = grown({ seed, switches: 6, edges: meshOf(6), faults });
    return `${square.simulation.happened} ${square.changedMs}`;
  });
  assert.equal(histories[0], histories[1]);
  assert.notEqual(histories[0], histories[2]);
});
