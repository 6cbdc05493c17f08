import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { realBpdus } from "../../test/real-bpdus.ts";
import { toHex, V2Error } from "../base/index.ts";
import { type Bpdu, BPDU_FLAG, BpduView, bridgeId, emitBpdu, parseBpdu } from "../wire/index.ts";
import { HELLO_MS, INFO_MS, PEER_MS, PROBE_MS, SENT_AT_ONCE_MAX, STEP_MS } from "./fstp-port.ts";
import { portIdOf } from "./fstp-vector.ts";
import { Fstp, type FstpOptions } from "./fstp.ts";
import { PORT_STATE } from "./vlans.ts";

/** The switch of the recorded dialogue. */
const ADDRESS = Uint8Array.of(0, 0xff, 0x11, 0x22, 0x33, 0x44);
const US = bridgeId(0x8000, ADDRESS);
const BETTER = "1000020000000001";
const WORSE = "8000ffff00000001";
/** Flags as vde_switch sends them. */
const FLAGS = {
  designated: 0x3c,
  hello: 0x7c,
  proposal: 0x0a,
  alternate: 0x4a,
  root: 0x74,
  rootChange: 0x35,
  designatedChange: 0x3d,
} as const;

/** States as the two bits of a BPDU's flags. */
const BITS = {
  [PORT_STATE.discarding]: 0,
  [PORT_STATE.learning]: 1,
  [PORT_STATE.forwarding]: 3,
} as const;

/** A bridge whose neighbours are scripted. */
class Bench {
  nowMs = 0;
  readonly fstp: Fstp;
  /** BPDUs sent since the last look: port and octets. */
  sent: { port: number; frame: Uint8Array }[] = [];
  readonly states = new Map<string, number>();
  readonly events: string[] = [];
  flushes = 0;

  constructor(options: Partial<FstpOptions> = {}) {
    this.fstp = new Fstp(
      { address: ADDRESS, ...options },
      {
        send: (port, frame) => this.sent.push({ port, frame: frame.slice() }),
        setState: (vlan, port, state) => this.states.set(`${vlan}/${port}`, BITS[state]),
        flush: () => this.flushes++,
        event: (event) => this.events.push(`${event.kind} ${event.vlan}/${event.port}`),
      },
    );
    this.fstp.setOn(true, 0);
  }

  /** Moves the clock, stopping wherever the protocol wants to be called. */
  pass(ms: number): this {
    const end = this.nowMs + ms;
    while (this.fstp.nextMs <= end) {
      this.nowMs = Math.max(this.nowMs, this.fstp.nextMs);
      this.fstp.poll(this.nowMs);
    }
    this.nowMs = end;
    return this;
  }

  add(port: number, vlan = 0, isTagged = false): this {
    this.fstp.addPort(vlan, port, isTagged, this.nowMs);
    return this;
  }

  /** A neighbour speaks. */
  hear(port: number, bpdu: Partial<Bpdu>, vlan = 0): this {
    const root = bpdu.root ?? BETTER;
    const whole: Bpdu = {
      source: Uint8Array.of(2, 0, 0, 0, 0, 1),
      vlan: undefined,
      flags: FLAGS.designated,
      root,
      rootCost: 0,
      bridge: root,
      port: 0x8003,
      ageS: 0,
      maxAgeS: 40,
      helloS: 4,
      forwardDelayS: 0,
      ...bpdu,
    };
    const frame = new Uint8Array(57);
    this.fstp.receive(port, vlan, frame.subarray(0, emitBpdu(whole, frame)), this.nowMs);
    return this;
  }

  /** What was sent since the last look, "port:flags". */
  take(): string[] {
    const said = this.sent.map(({ port, frame }) => {
      return `${port}:${BpduView.over(frame)!.flags.toString(16).padStart(2, "0")}`;
    });
    this.sent = [];
    return said;
  }

  state(port: number, vlan = 0): number {
    return this.states.get(`${vlan}/${port}`)!;
  }

  roles(vlan = 0): string {
    const tree = this.fstp.status(this.nowMs).trees.find((one) => one.vlan === vlan)!;
    return tree.ports.map(({ port, role, state }) => `${port}:${role}:${BITS[state]}`).join(" ");
  }
}

/** Ports 1 and 20 forward, the first to a better root, the second to a bridge that follows us. */
function grown(): Bench {
  const bench = new Bench().add(1).add(20).pass(PROBE_MS);
  bench.hear(20, { root: WORSE }).hear(1, { flags: FLAGS.proposal });
  bench.hear(20, { flags: FLAGS.root, rootCost: 40_000_000, bridge: WORSE });
  assert.equal(bench.roles(), "1:root:3 20:designated:3");
  bench.pass(1000).take();
  return bench;
}

test("the dialogue recorded from Debian's switch is answered octet by octet", () => {
  const frames = realBpdus().map(toHex);
  const bench = new Bench().add(1).add(20).add(1, 5, true);
  const said = (): string[] => bench.sent.map(({ frame }) => toHex(frame));
  bench.pass(HELLO_MS);
  assert.deepEqual(said().slice(-3), frames.slice(3, 6), "three hellos, one of them tagged");
  bench.hear(20, { root: WORSE });
  bench.sent = [];
  bench.hear(1, { flags: FLAGS.proposal });
  // Alike but for the order: vde_switch agrees first and then says so to the others.
  assert.deepEqual(new Set(said()), new Set(frames.slice(6, 8)), "agreement, and our proposal");
  bench.sent = [];
  bench.pass(1000);
  bench.hear(20, { flags: FLAGS.root, rootCost: 40_000_000, bridge: WORSE });
  assert.equal(bench.roles(), "1:root:3 20:designated:3");
  bench.pass(3000 - 1);
  bench.sent = [];
  bench.hear(1, {});
  bench.pass(1);
  assert.deepEqual(said().slice(0, 1), [frames[6]], "hello at the root port");
  assert.equal(said()[1]!.slice(42, 44), "7c");
});

test("a new port asks first, and forwards when nobody answers", () => {
  const bench = new Bench().add(1);
  assert.deepEqual(bench.take(), ["1:0a"]);
  bench.pass(PROBE_MS - 1);
  assert.equal(bench.state(1), 0);
  bench.pass(1);
  assert.equal(bench.state(1), 3);
  assert.equal(bench.flushes, 0, "a station is no change of topology");
});

test("a better root is agreed to at once, after the other ports with bridges were stopped", () => {
  const bench = new Bench().add(1).add(20).add(30).pass(PROBE_MS);
  bench.hear(20, { root: WORSE }).take();
  bench.hear(1, { flags: FLAGS.proposal });
  assert.deepEqual(bench.roles(), "1:root:3 20:designated:0 30:designated:3");
  assert.deepEqual(bench.take().sort(), ["1:74", "20:0a", "30:3c"]);
});

test("an inferior bridge is answered, and blocked as long as it claims to lead and forwards", () => {
  const bench = new Bench().add(1).pass(PROBE_MS);
  bench.take();
  bench.hear(1, { root: WORSE });
  assert.equal(bench.state(1), 0);
  assert.deepEqual(bench.take(), ["1:0a"]);
  bench.hear(1, { root: US, flags: FLAGS.root, rootCost: 20_000_000, bridge: WORSE });
  assert.equal(bench.state(1), 3);
  assert.equal(bench.flushes, 1);
});

test("a port that hears a better way is alternate, and the way at once when the root port goes", () => {
  const bench = grown();
  bench.hear(20, { rootCost: 10_000_000, bridge: "8000000000000001" });
  assert.equal(bench.roles(), "1:root:3 20:alternate:0");
  bench.take();
  bench.fstp.removePort(0, 1, bench.nowMs);
  assert.equal(bench.roles(), "20:root:3");
  assert.ok(bench.take().includes("20:74"));
  assert.equal(bench.fstp.status(bench.nowMs).trees[0]!.rootCost, 30_000_000);
});

test("a cable between two ports of one bridge makes the second a backup", () => {
  const bench = new Bench().add(1).add(2).pass(PROBE_MS);
  bench.hear(2, { root: US, bridge: US, port: portIdOf(1) });
  bench.hear(1, { root: US, bridge: US, port: portIdOf(2), flags: FLAGS.alternate });
  assert.equal(bench.roles(), "1:designated:3 2:backup:0");
  bench.hear(1, { root: US, bridge: US, port: portIdOf(1) });
  assert.equal(bench.fstp.counters.unused, 1, "its own echo is no neighbour");
});

test("the root is given up after three hellos, and silent ports forward again by and by", () => {
  const bench = grown();
  bench.pass(INFO_MS - 1000 - 1);
  assert.equal(bench.roles().slice(0, 6), "1:root");
  bench.pass(1);
  assert.equal(bench.fstp.status(bench.nowMs).trees[0]!.isRoot, true);
  assert.equal(bench.state(1), 0);
  bench.pass(STEP_MS);
  assert.equal(bench.state(1), 1, "learning");
  bench.pass(STEP_MS);
  assert.equal(bench.state(1), 3);
  bench.pass(PEER_MS);
  assert.ok(bench.events.filter((event) => event.startsWith("peer 0/1")).length === 2);
});

test("hellos of the root keep it", () => {
  const bench = grown();
  for (let i = 0; i < 10; i++) bench.pass(HELLO_MS).hear(1, { flags: FLAGS.hello });
  assert.equal(bench.roles().slice(0, 8), "1:root:3");
  assert.equal(bench.fstp.status(bench.nowMs).trees[0]!.ageS, 0);
});

test("news of a worse way to the root stops designated ports until they are agreed with", () => {
  const bench = grown();
  bench.hear(1, { rootCost: 60_000_000 });
  assert.equal(bench.roles(), "1:root:3 20:designated:0");
  const agreement = { flags: FLAGS.root, bridge: WORSE };
  bench.hear(20, { ...agreement, rootCost: 40_000_000 });
  assert.equal(bench.state(20), 0, "an agreement to the old, better way does not count");
  bench.hear(20, { ...agreement, rootCost: 100_000_000 });
  assert.equal(bench.state(20), 3);
});

test("what follows us is never a way to the root", () => {
  const bench = grown();
  bench.hear(20, { flags: FLAGS.root, rootCost: 0, bridge: WORSE });
  bench.fstp.removePort(0, 1, bench.nowMs);
  assert.equal(bench.fstp.status(bench.nowMs).trees[0]!.root, US);
});

test("news that cost more than any way are no way", () => {
  const bench = new Bench().add(1).pass(PROBE_MS);
  bench.hear(1, { rootCost: 0xffff_ffff });
  assert.equal(bench.fstp.status(bench.nowMs).trees[0]!.root, US);
});

test("a change of topology flushes, goes on to bridges in the tree, and is not sent in swarms", () => {
  const bench = grown();
  const { flushes } = bench;
  const change = { flags: FLAGS.designated | BPDU_FLAG.topologyChange };
  bench.hear(1, change);
  assert.deepEqual(bench.take(), ["20:3d"]);
  for (let i = 0; i < 100; i++) bench.hear(1, change);
  assert.equal(bench.flushes, flushes + 101);
  assert.deepEqual(bench.take(), []);
  bench.pass(100);
  assert.deepEqual(bench.take(), ["20:3d"]);
});

test("a change is not told to a port that discards, which vde_switch would pass on and around", () => {
  const bench = grown();
  bench.hear(20, { flags: FLAGS.alternate, rootCost: 30_000_000, bridge: WORSE }).take();
  bench.hear(1, { flags: FLAGS.designated | BPDU_FLAG.topologyChange });
  assert.deepEqual(bench.take(), []);
});

test("an edge port speaks to nobody and forwards whatever it hears", () => {
  const bench = grown();
  bench.fstp.setEdge(0, 1, true, bench.nowMs);
  bench.take();
  bench.hear(1, {}).pass(HELLO_MS);
  assert.ok(bench.roles().startsWith("1:edge:3"));
  assert.ok(!bench.take().some((one) => one.startsWith("1:")));
  bench.fstp.setEdge(0, 1, false, bench.nowMs);
  assert.ok(bench.hear(1, {}).roles().startsWith("1:root:3"));
  bench.fstp.setEdge(0, 30, true, bench.nowMs);
  assert.ok(bench.add(30).roles().endsWith("30:edge:3"), "known before it is plugged in");
});

test("a bonus makes a dearer way the better one", () => {
  const bench = new Bench().add(1).add(2).pass(PROBE_MS);
  bench.hear(1, { bridge: "2000020000000002", rootCost: 20_000_000 });
  bench.hear(2, { bridge: "3000020000000003", rootCost: 25_000_000 });
  assert.ok(bench.roles().startsWith("1:root:3"));
  assert.equal(bench.fstp.setBonus(0, 2, 10_000_000, bench.nowMs), true);
  assert.equal(bench.roles(), "1:alternate:0 2:root:3");
  bench.fstp.setBonus(0, 2, 2 ** 31, bench.nowMs);
  assert.equal(bench.fstp.status(0).trees[0]!.rootCost, 25_200_000, "something of it stays");
});

test("VLANs have trees of their own", () => {
  const bench = new Bench().add(1).add(2).add(1, 5, true).add(2, 5, true).pass(PROBE_MS);
  bench.hear(1, {}).hear(2, { vlan: 5 }, 5);
  assert.equal(bench.roles(0), "1:root:3 2:designated:3");
  assert.equal(bench.roles(5), "1:designated:3 2:root:3");
  const tagged = bench.sent.map(({ frame }) => parseBpdu(BpduView.over(frame)!)!);
  assert.ok(tagged.some(({ vlan, root }) => vlan === 5 && root === BETTER));
  bench.fstp.removeVlan(5);
  assert.equal(bench.fstp.status(0).trees.length, 1);
  assert.throws(() => bench.add(1, 4095), V2Error);
});

test("switched off, every port forwards and nothing is said; switched on, it starts anew", () => {
  const bench = grown();
  bench.hear(20, { rootCost: 0, bridge: "1000000000000001", root: "1000000000000001" });
  bench.fstp.setOn(false, bench.nowMs);
  assert.equal(bench.roles(), "1:designated:3 20:designated:3");
  assert.equal(bench.fstp.nextMs, Number.POSITIVE_INFINITY);
  bench.take();
  bench.hear(1, {});
  assert.deepEqual(bench.take(), []);
  bench.fstp.setOn(true, bench.nowMs);
  assert.deepEqual(bench.take(), ["1:3c", "20:3c"]);
  assert.ok(bench.hear(1, {}).roles().startsWith("1:root:3"));
});

test("on a segment with several bridges one agreement is not enough", () => {
  const bench = new Bench().add(1).pass(PROBE_MS);
  const follower = { root: US, flags: FLAGS.root, rootCost: 20_000_000 };
  bench.hear(1, { root: WORSE }).hear(1, { root: "8000ffff00000002" });
  bench.hear(1, { ...follower, bridge: WORSE });
  assert.equal(bench.state(1), 0);
  bench.pass(STEP_MS);
  assert.equal(bench.state(1), 1);
  bench.pass(STEP_MS);
  assert.equal(bench.state(1), 3);
});

test("a neighbour that never stops gets a bounded number of answers", () => {
  const bench = new Bench().add(1).pass(PROBE_MS);
  bench.take();
  for (let i = 0; i < 10_000; i++) bench.hear(1, { root: WORSE });
  assert.ok(bench.take().length <= SENT_AT_ONCE_MAX);
  assert.ok(bench.fstp.status(0).trees[0]!.held > 9000);
  bench.pass(1000);
  assert.ok(bench.take().length > 0, "what is true by then is said later");
});

test("whatever is heard, at most one port is root and only it and designated ports forward", () => {
  const id = fc.constantFrom(BETTER, WORSE, US, "0000000000000000", "ffffffffffffffff");
  const step = fc.record({
    port: fc.integer({ min: 1, max: 4 }),
    flags: fc.nat(255),
    root: id,
    bridge: id,
    cost: fc.constantFrom(0, 20_000_000, 40_000_000, 0xffff_ffff),
    ms: fc.constantFrom(0, 1, 500, HELLO_MS, PEER_MS),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const bench = new Bench().add(1).add(2).add(3).add(4);
      for (const { port, flags, root, bridge, cost, ms } of steps) {
        bench.hear(port, { flags, root, bridge, rootCost: cost }).pass(ms);
        const tree = bench.fstp.status(bench.nowMs).trees[0]!;
        assert.ok(tree.root <= US);
        assert.equal(tree.ports.filter(({ role }) => role === "root").length, tree.isRoot ? 0 : 1);
        for (const one of tree.ports) {
          const isInTree = one.role === "root" || one.role === "designated";
          assert.ok(isInTree || one.state === PORT_STATE.discarding, bench.roles());
          assert.equal(bench.state(one.port), BITS[one.state]);
        }
      }
    }),
    { seed: 3 },
  );
});

test("no octets for the bridge group address make it throw; what is no BPDU is counted", () => {
  const bench = new Bench().add(1);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(9), (octets, port) => {
      bench.fstp.receive(port, 0, octets, 0);
      bench.fstp.receive(port, 0, Uint8Array.from([1, 0x80, 0xc2, 0, 0, 0, ...octets]), 0);
    }),
    { seed: 4 },
  );
  assert.equal(bench.fstp.counters.received, bench.fstp.counters.bad);
});
