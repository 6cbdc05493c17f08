import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FramePool } from "../base/index.ts";
import { BPDU_FRAME_OCTETS, emitBpdu } from "../wire/index.ts";
import { copyTagged, DROP, FLOOD, Switch, tagFrame } from "./switch.ts";
import { LEAVES, PORT_STATE, VLAN_NONE } from "./vlans.ts";

const A = [2, 0, 0, 0, 0, 1];
const B = [2, 0, 0, 0, 0, 2];
const ALL = [255, 255, 255, 255, 255, 255];

function frame(target: number[], source: number[], length = 60): Uint8Array {
  const octets = new Uint8Array(length);
  octets.set([...target, ...source, 8, 0].slice(0, length));
  return octets;
}

/** What the switch decides for one frame. */
function decide(sw: Switch, octets: Uint8Array, port: number, nowMs = 0): number {
  return sw.decide(octets, 0, port, nowMs);
}

test("a frame to an unknown station floods, an answer goes to the port of the asker", () => {
  const sw = new Switch();
  assert.equal(decide(sw, frame(B, A), 1), FLOOD);
  assert.equal(decide(sw, frame(A, B), 2), 1);
  assert.equal(decide(sw, frame(B, A), 1), 2);
});

test("a broadcast floods even when somebody claimed its address", () => {
  const sw = new Switch();
  decide(sw, frame(A, ALL), 3);
  assert.equal(sw.table.count, 0, "a source with the group bit is not learned");
  assert.equal(decide(sw, frame(ALL, A), 1), FLOOD);
});

test("a frame to a station on its own port is dropped and counted", () => {
  const sw = new Switch();
  decide(sw, frame(ALL, A), 1);
  assert.equal(decide(sw, frame(A, B), 1), DROP);
  assert.equal(sw.drops.ownPort, 1);
});

test("a hub floods everything and learns nothing", () => {
  const sw = new Switch({ isHub: true });
  decide(sw, frame(ALL, A), 1);
  assert.equal(decide(sw, frame(A, B), 2), FLOOD);
  assert.equal(sw.table.count, 0);
});

test("a batch counts what is too short and pads what is shorter than a wire's shortest", () => {
  const pool = new FramePool(3);
  const slots = Int32Array.from([pool.take(), pool.take(), pool.take()]);
  const frames = [frame(ALL, A, 13), frame(ALL, A, 14), frame(ALL, A, 61)];
  frames.forEach((octets, i) => {
    pool.octets.fill(0xee, pool.start[slots[i]!], pool.start[slots[i]!]! + 100);
    pool.octets.set(octets, pool.start[slots[i]!]);
    pool.length[slots[i]!] = octets.length;
  });
  const targets = new Int32Array(3);
  const sw = new Switch();
  sw.decideBatch(pool, slots, 3, 1, 0, targets, new Int32Array(3));
  assert.deepEqual([...targets], [DROP, FLOOD, FLOOD]);
  assert.equal(sw.drops.short, 1);
  assert.equal(pool.length[slots[1]!], 60);
  assert.deepEqual(
    [...pool.frame(slots[1]!).subarray(14)],
    Array.from({ length: 46 }, () => 0),
  );
  assert.equal(pool.length[slots[2]!], 61);
});

/** One frame through a batch. @returns the decision, the tag's 16 bits, and the frame after it. */
function enter(
  sw: Switch,
  octets: Uint8Array,
  port: number,
): { target: number; control: number; frame: Uint8Array } {
  const pool = new FramePool(1);
  const slot = pool.take();
  pool.octets.set(octets, pool.start[slot]);
  pool.length[slot] = octets.length;
  const targets = new Int32Array(1);
  const controls = new Int32Array(1);
  sw.decideBatch(pool, Int32Array.of(slot), 1, port, 0, targets, controls);
  return { target: targets[0]!, control: controls[0]!, frame: pool.frame(slot).slice() };
}

function tagged(target: number[], source: number[], control: number): Uint8Array {
  const octets = new Uint8Array(64);
  octets.set([...target, ...source, 0x81, 0x00, control >>> 8, control & 0xff, 8, 0]);
  return octets;
}

test("a plain switch takes no VLAN's tag, takes off the tag of a mere priority; a hub minds neither", () => {
  const sw = new Switch();
  assert.equal(enter(sw, tagged(ALL, A, 5), 1).target, DROP);
  assert.equal(sw.drops.vlan, 1);
  const urgent = enter(sw, tagged(ALL, A, 0xe000), 1);
  assert.equal(urgent.target, FLOOD);
  assert.deepEqual(urgent.frame, frame(ALL, A, 60));
  const hub = new Switch({ isHub: true });
  assert.deepEqual(enter(hub, tagged(ALL, A, 5), 1).frame, tagged(ALL, A, 5));
});

/** Ports 1 and 2 in VLAN 10 without tags, port 3 with tags in 10 and 20. */
function trunked(): Switch {
  const sw = new Switch();
  for (const vlan of [10, 20]) sw.apply({ kind: "vlan", change: { kind: "create", vlan } }, 0);
  for (const [port, vlan] of [
    [1, 10],
    [2, 10],
    [3, VLAN_NONE],
  ] as const) {
    sw.apply({ kind: "vlan", change: { kind: "untagged", port, vlan } }, 0);
  }
  for (const vlan of [10, 20]) {
    sw.apply({ kind: "vlan", change: { kind: "member", vlan, port: 3, isMember: true } }, 0);
  }
  return sw;
}

test("a station is known in its VLAN only, whether its frames come with a tag or without", () => {
  const sw = trunked();
  assert.equal(enter(sw, frame(ALL, A), 1).control, 10);
  assert.equal(enter(sw, tagged(A, B, 10), 3).target, 1);
  assert.equal(enter(sw, tagged(A, B, 20), 3).target, FLOOD);
  assert.deepEqual(enter(sw, tagged(A, B, 0x600a), 3), {
    target: 1,
    control: 0x600a,
    frame: frame(A, B, 60),
  });
  assert.equal(enter(sw, frame(ALL, A), 3).target, DROP, "no untagged frames at the trunk");
  assert.equal(enter(sw, tagged(ALL, A, 20), 1).target, DROP);
  assert.equal(sw.drops.vlan, 2);
});

test("a VLAN leaves by its ports as they carry it", () => {
  const { vlans } = trunked();
  assert.deepEqual(
    [1, 2, 3, 4].map((port) => vlans.leaves(10, port)),
    [LEAVES.untagged, LEAVES.untagged, LEAVES.tagged, LEAVES.not],
  );
  assert.equal(vlans.leaves(30, 3), LEAVES.not);
  assert.ok(vlans.hasTagged(20) && !vlans.hasTagged(0));
});

test("a port that learns takes no frame but its station; one that discards not even that", () => {
  const sw = trunked();
  const set = (state: 1 | 2 | 3): void =>
    sw.apply({ kind: "vlan", change: { kind: "state", vlan: 10, port: 1, state } }, 0);
  set(PORT_STATE.discarding);
  assert.equal(enter(sw, frame(ALL, A), 1).target, DROP);
  assert.equal(sw.table.count, 0);
  set(PORT_STATE.learning);
  assert.equal(enter(sw, frame(ALL, A), 1).target, DROP);
  assert.equal(sw.table.count, 1);
  assert.equal(sw.vlans.leaves(10, 1), LEAVES.not);
  set(PORT_STATE.forwarding);
  assert.equal(enter(sw, frame(ALL, A), 1).target, FLOOD);
});

test("a suspended port takes and gets nothing until it goes on", () => {
  const sw = new Switch();
  const suspend = (isSuspended: boolean): void =>
    sw.apply({ kind: "vlan", change: { kind: "suspend", port: 1, isSuspended } }, 0);
  suspend(true);
  assert.equal(enter(sw, frame(ALL, A), 1).target, DROP);
  assert.equal(sw.drops.suspended, 1);
  assert.equal(sw.vlans.leaves(0, 1), LEAVES.not);
  suspend(false);
  assert.equal(sw.usesVlans, false);
  assert.equal(enter(sw, frame(ALL, A), 1).target, FLOOD);
});

test("a tag is put on in place, and a copy has its own", () => {
  const pool = new FramePool(2);
  const slot = pool.take();
  const plain = frame(ALL, A, 60);
  pool.octets.set(plain, pool.start[slot]);
  pool.length[slot] = plain.length;
  const copy = copyTagged(pool, slot, 10);
  assert.deepEqual(pool.frame(copy), tagged(ALL, A, 10));
  assert.deepEqual(pool.frame(slot), plain);
  assert.equal(copyTagged(pool, slot, 10), -1, "no slot left");
  tagFrame(pool, slot, 20);
  assert.deepEqual(pool.frame(slot), tagged(ALL, A, 20));
});

test("a bus repeats datagrams of any length and content as they are", () => {
  const pool = new FramePool(2);
  const slots = Int32Array.from([pool.take(), pool.take()]);
  [frame(B, A, 1), frame(B, A, 20)].forEach((octets, i) => {
    pool.octets.set(octets, pool.start[slots[i]!]);
    pool.length[slots[i]!] = octets.length;
  });
  const targets = new Int32Array(2);
  const sw = new Switch({ isBus: true });
  sw.decideBatch(pool, slots, 2, 1, 0, targets, new Int32Array(2));
  assert.deepEqual([...targets], [FLOOD, FLOOD]);
  assert.deepEqual([pool.length[slots[0]!], pool.length[slots[1]!]], [1, 20]);
  assert.equal(sw.table.count, 0);
});

test("no frame is ever sent to the port it came from, whatever is in it", () => {
  const station = fc.constantFrom(A, B, ALL, [1, 0, 94, 0, 0, 1], [2, 9, 9, 9, 9, 9]);
  const step = fc.tuple(station, station, fc.integer({ min: 1, max: 4 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const sw = new Switch({ minPersistenceMs: 0 });
      steps.forEach(([target, source, port], now) => {
        const decided = decide(sw, frame(target, source), port, now);
        assert.notEqual(decided, port);
        assert.ok(decided === FLOOD || decided === DROP || (decided >= 1 && decided <= 4));
      });
    }),
    { seed: 2 },
  );
});

const IDENTITY = { address: Uint8Array.of(2, 0, 0, 0, 0, 9) };
const BPDU = [1, 0x80, 0xc2, 0, 0, 0];

/** What the switch decides for one frame as it came, tag and all. */
function decideWhole(sw: Switch, octets: Uint8Array, port: number, nowMs = 0): number {
  const pool = new FramePool(1);
  const slot = pool.take();
  pool.octets.set(octets, pool.start[slot]);
  pool.length[slot] = octets.length;
  const targets = new Int32Array(1);
  sw.decideBatch(pool, Int32Array.of(slot), 1, port, nowMs, targets, new Int32Array(1));
  return targets[0]!;
}

/** A switch whose spanning tree is on, with cables in ports 1 and 2. */
function treeSwitch(): Switch {
  const sw = new Switch({ fstp: IDENTITY });
  sw.setFstp(true, 0);
  for (const port of [1, 2]) sw.portUp(port, 0);
  return sw;
}

test("with the spanning tree off a BPDU is a frame like others, with it on it ends here", () => {
  const off = new Switch({ fstp: IDENTITY });
  off.portUp(1, 0);
  assert.equal(decideWhole(off, frame(BPDU, A), 1), FLOOD);
  const on = treeSwitch();
  assert.equal(decideWhole(on, frame(BPDU, A), 1), DROP);
  assert.equal(on.fstp!.counters.bad, 1);
  assert.equal(on.table.count, 0, "and its sender is not learned");
});

test("a hub has no spanning tree, and becoming one ends it", () => {
  const hub = new Switch({ isHub: true, fstp: IDENTITY });
  assert.equal(hub.setFstp(true, 0), false);
  assert.equal(decideWhole(hub, frame(BPDU, A), 1), FLOOD);
  const sw = treeSwitch();
  sw.apply({ kind: "hub", isHub: true }, 0);
  assert.equal(sw.fstp!.isOn, false);
  assert.equal(decideWhole(sw, frame(BPDU, A), 1), FLOOD);
});

test("a port that discards learns and forwards nothing, one that learns forwards nothing", () => {
  const sw = treeSwitch();
  assert.equal(decideWhole(sw, frame(ALL, A), 1), DROP);
  assert.equal(sw.table.count, 0);
  sw.fstp!.poll(1000);
  assert.equal(sw.usesVlans, false, "nothing is left to ask for each frame");
  assert.equal(decideWhole(sw, frame(ALL, A), 1), FLOOD);
  sw.vlans.apply({ kind: "state", vlan: 0, port: 1, state: PORT_STATE.learning });
  assert.equal(sw.vlans.leaves(0, 1), LEAVES.not);
  assert.equal(decideWhole(sw, frame(B, A), 1), DROP);
});

test("ports are in the trees of their VLANs while they have a cable and are not suspended", () => {
  const sw = treeSwitch();
  const ports = (vlan: number) =>
    sw
      .fstp!.status(0)
      .trees.find((tree) => tree.vlan === vlan)
      ?.ports.map(({ port, isTagged }) => `${port}${isTagged ? "t" : "u"}`);
  const vlan = (change: Parameters<Switch["vlans"]["apply"]>[0]) =>
    sw.apply({ kind: "vlan", change }, 0);
  vlan({ kind: "create", vlan: 5 });
  assert.deepEqual(ports(5), []);
  vlan({ kind: "member", vlan: 5, port: 2, isMember: true });
  vlan({ kind: "member", vlan: 5, port: 3, isMember: true });
  assert.deepEqual([ports(0), ports(5)], [["1u", "2u"], ["2t"]]);
  sw.portUp(3, 0);
  vlan({ kind: "untagged", port: 1, vlan: 5 });
  assert.deepEqual(
    [ports(0), ports(5)],
    [
      ["2u", "3u"],
      ["1u", "2t", "3t"],
    ],
  );
  vlan({ kind: "suspend", port: 2, isSuspended: true });
  sw.portDown(3, 0);
  assert.deepEqual([ports(0), ports(5)], [[], ["1u"]]);
  vlan({ kind: "remove", vlan: 5 });
  assert.equal(ports(5), undefined);
});

test("a BPDU in the middle of a batch holds for the frames behind it", () => {
  const sw = treeSwitch();
  sw.fstp!.poll(1000);
  const claim = new Uint8Array(BPDU_FRAME_OCTETS);
  emitBpdu(
    {
      source: Uint8Array.from(B),
      vlan: undefined,
      flags: 0x3c,
      root: "ffff020000000002",
      rootCost: 0,
      bridge: "ffff020000000002",
      port: 0x8001,
      ageS: 0,
      maxAgeS: 40,
      helloS: 4,
      forwardDelayS: 0,
    },
    claim,
  );
  const pool = new FramePool(3);
  const frames = [frame(ALL, A), claim, frame(ALL, B)];
  const slots = Int32Array.from(frames, (octets) => {
    const slot = pool.take();
    pool.octets.set(octets, pool.start[slot]);
    pool.length[slot] = octets.length;
    return slot;
  });
  const [targets, controls] = [new Int32Array(3), new Int32Array(3).fill(7)];
  assert.equal(sw.usesVlans, false);
  sw.decideBatch(pool, slots, 3, 1, 1000, targets, controls);
  assert.deepEqual([...targets], [FLOOD, DROP, DROP]);
  assert.equal(sw.usesVlans, true, "the port discards until its bridge agrees");
  assert.equal(controls[0], 0, "so the frame before it has a VLAN to go by");
});
