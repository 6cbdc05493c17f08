// time limit: 240 s
/** The spanning tree between real processes: ours and Debian's vde_switch -F in one network. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { toHex } from "../../src/base/index.ts";
import { bridgeId, emitBpdu } from "../../src/wire/index.ts";
import { flagsOf, type Make, Ring } from "./fstp-ring.ts";
import { has, until } from "./vde-peers.ts";

const NEEDS = "needs vde_plug and vde_switch: apt install vde2 vdeplug";
/** Priority 4096 and the address of switch 0. */
const ROOT = "1000020000000000";

type Plan = {
  readonly makes: readonly Make[];
  readonly edges: readonly (readonly [number, number])[];
};

const ring = (makes: readonly Make[]): Plan => ({
  makes,
  edges: makes.map((_, i) => [i, (i + 1) % makes.length] as const),
});
const mesh = (makes: readonly Make[]): Plan => ({
  makes,
  edges: makes.flatMap((_, a) => makes.slice(a + 1).map((__, i) => [a, a + 1 + i] as const)),
});

const EIGHT: readonly Make[] = ["v2", "debian", "v2", "debian", "v2", "debian", "v2", "debian"];

const PLANS: readonly [string, Plan][] = [
  ["a ring of three of ours", ring(["v2", "v2", "v2"])],
  ["a ring of two of ours and Debian's", ring(["v2", "debian", "v2"])],
  ["a ring of ours and two of Debian's, theirs the root", ring(["debian", "v2", "debian"])],
  ["a mesh of two of ours and two of Debian's", mesh(["v2", "debian", "v2", "debian"])],
  ["a mesh of five, Debian's the root", mesh(["debian", "v2", "debian", "v2", "v2"])],
  ["a ring of eight in turn", ring(EIGHT)],
  ["a mesh of eight in turn", mesh(EIGHT)],
];

async function tryPlan(t: TestContext, { makes, edges }: Plan): Promise<void> {
  if (!has("vde_plug") || !has("vde_switch")) return t.skip(NEEDS);
  const net = new Ring();
  try {
    await net.start(makes);
    for (const i of makes.keys()) net.station(i);
    const cables = edges.map(([a, b], i) => net.cable(a, b, i % 2 === 0 ? "debian" : "v2"));
    const grownMs = await net.connected();
    t.diagnostic(`connected after ${grownMs.toFixed(0)} ms, the start of the cables included`);
    await settled(net, edges);
    assert.equal(await net.copies(), 1, "each frame arrives once");

    // The cable at the root carries frames in every plan.
    cables[0]!.child.kill();
    await cables[0]!.ended;
    const cutMs = await net.connected();
    t.diagnostic(`a cut cable was replaced after ${cutMs.toFixed(0)} ms`);
    await settled(net, edges.slice(1));
    assert.equal(await net.copies(), 1, "each frame arrives once after the cut");

    net.cable(edges[0]![0], edges[0]![1], "v2");
    await settled(net, edges);
    assert.equal(await net.copies(), 1, "each frame arrives once after the heal");
    t.diagnostic(`most copies of one frame at any time: ${net.mostCopies()}`);
  } finally {
    await net.close();
  }
}

/** Until every cable is plugged in and every switch believes in the root; Debian's say so too. */
async function settled(net: Ring, edges: Plan["edges"]): Promise<void> {
  for (const i of net.switches.keys()) {
    const ports = 1 + edges.flat().filter((end) => end === i).length;
    for (;;) {
      const tree = await net.treeOf(i);
      if (tree.root === ROOT && tree.ports === ports) break;
      await pause();
    }
  }
}

async function pause(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 50));
}

for (const [name, plan] of PLANS) {
  test(`${name} carry each frame once, also after a cut and its heal`, async (t) => {
    await tryPlan(t, plan);
  });
}

/** What a switch with one station says: its hello, and its answer to a better root. */
async function dialogue(make: Make): Promise<string[]> {
  const net = new Ring();
  try {
    await net.start([make]);
    const station = net.station(0);
    await until(() => station.bpdus.some((frame) => flagsOf(frame) === 0x7c));
    const hello = station.bpdus.find((frame) => flagsOf(frame) === 0x7c)!;
    const address = Uint8Array.of(2, 0, 0, 0, 0, 0xee);
    const better = new Uint8Array(53);
    const bridge = bridgeId(1, address);
    emitBpdu(
      {
        source: address,
        vlan: undefined,
        flags: 0x3c,
        root: bridge,
        rootCost: 0,
        bridge,
        port: 0x8003,
        ageS: 0,
        maxAgeS: 40,
        helloS: 4,
        forwardDelayS: 0,
      },
      better,
    );
    station.send(better);
    await until(() => station.bpdus.some((frame) => flagsOf(frame) === 0x74));
    const agreement = station.bpdus.find((frame) => flagsOf(frame) === 0x74)!;
    return [toHex(hello), toHex(agreement)];
  } finally {
    await net.close();
  }
}

test("hello and agreement are Debian's, octet by octet", async (t) => {
  if (!has("vde_plug") || !has("vde_switch")) return t.skip(NEEDS);
  const [ours, theirs] = await Promise.all([dialogue("v2"), dialogue("debian")]);
  assert.deepEqual(ours, theirs);
});

test("the consoles of both show the same tree from the same place", async (t) => {
  if (!has("vde_plug") || !has("vde_switch")) return t.skip(NEEDS);
  const shown: string[] = [];
  for (const makes of [
    ["debian", "v2"],
    ["v2", "debian"],
  ] as const) {
    const net = new Ring();
    try {
      await net.start(makes);
      net.station(0);
      net.station(1);
      await net.connectedPorts(1, 1);
      net.cable(0, 1, "debian");
      await settled(net, [[0, 1]]);
      // Ours probes the ports of stations first; when these hear each other all is in place.
      await net.connected();
      const lines: string[] = [];
      for (const command of ["fstp/print 0", "fstp/print", "fstp/showinfo", "vlan/print 0"]) {
        const text = await net.console(1, command);
        lines.push(text.slice(text.indexOf("vde$ ")).replaceAll(/age \d+/g, "age N"));
      }
      shown.push(lines.join("\n"));
    } finally {
      await net.close();
    }
  }
  assert.match(shown[0]!, /role=Root/);
  assert.equal(shown[0], shown[1]);
});

test("with the spanning tree off BPDUs pass as ordinary frames, padded like all", async () => {
  const net = new Ring();
  const shop = net.shop;
  try {
    const { directory } = await shop.ourSwitch();
    net.switches.push({ make: "v2", directory, running: shop.v2("version") });
    const [a, b] = [net.station(0), net.station(0)];
    const bpdu = new Uint8Array(53);
    bpdu.set([1, 0x80, 0xc2, 0, 0, 0, 2, 0, 0, 0, 0, 0xee, 0, 0x27, 0x42, 0x42, 3]);
    const timer = setInterval(() => a.send(bpdu), 50);
    await until(() => b.bpdus.length > 0);
    clearInterval(timer);
    assert.equal(b.bpdus[0]!.length, 60);
    assert.deepEqual(b.bpdus[0]!.subarray(0, 53), bpdu);
  } finally {
    await net.close();
  }
});
