import assert from "node:assert/strict";
import { test } from "node:test";
import { IpAddress, IpPrefix, type Packet, USUAL_OPTIONS } from "../lwipv6/index.ts";
import { emitIcmp, emitIcmp6, IP_PROTOCOL } from "../wire/index.ts";
import { SimLink } from "./link.ts";
import { Simulation } from "./simulation.ts";
import { StackNode } from "./stack-node.ts";

/** Sends an echo request; answers are counted where `answers` looks. */
function ping(node: StackNode, to: string, octets: number): void {
  node.act((stack) => {
    const target = IpAddress.parse(to);
    const way = stack.ip.wayTo(target, undefined, target.isLinkLocal ? node.eth0.index : 0);
    assert.ok(typeof way !== "number", `no way to ${to}: ${way as number}`);
    const { pool } = stack.core;
    const slot = stack.ip.takeSlot();
    const payload = new Uint8Array(octets).fill(7);
    const message = { kind: "echo-request", identifier: 1, sequence: 1, payload } as const;
    const into = pool.octets.subarray(pool.start[slot]);
    const addresses = { source: way.source.toOctets(), target: target.toOctets() };
    pool.length[slot] = target.isIpv4
      ? emitIcmp(message, into)
      : emitIcmp6(message, into, addresses);
    const protocol = target.isIpv4 ? IP_PROTOCOL.icmp : IP_PROTOCOL.icmp6;
    assert.equal(stack.ip.send(slot, way, protocol, USUAL_OPTIONS), 0);
  });
}

/** Counts echo replies that reach a node. */
function answers(node: StackNode): { count: number } {
  const seen = { count: 0 };
  const { ip } = node.stack;
  const next = ip.onDeliver;
  ip.onDeliver = (packet: Packet) => {
    next?.(packet);
    const type = node.stack.core.pool.octets[packet.transportAt];
    if (type === (packet.isIpv4 ? 0 : 129)) seen.count++;
  };
  return seen;
}

function address(node: StackNode, text: string, bits: number): void {
  node.act((stack) => assert.equal(stack.addAddress(node.eth0, IpAddress.parse(text), bits), 0));
}

function twoHosts(faults = {}): { simulation: Simulation; alice: StackNode; bob: StackNode } {
  const simulation = new Simulation(5);
  const alice = new StackNode(simulation, { name: "alice" });
  const bob = new StackNode(simulation, { name: "bob" });
  new SimLink(simulation, { node: alice, port: 0 }, { node: bob, port: 0 }, faults).plug();
  address(alice, "10.0.0.1", 24);
  address(bob, "10.0.0.2", 24);
  address(alice, "fd00::1", 64);
  address(bob, "fd00::2", 64);
  return { simulation, alice, bob };
}

test("two stacks ping each other over a cable, in both families, small and in fragments", () => {
  const { simulation, alice, bob } = twoHosts();
  const seen = answers(alice);
  const free = alice.stack.core.pool.freeCount;
  for (const octets of [0, 56, 1472, 1473, 8000, 60_000]) {
    for (const to of ["10.0.0.2", "fd00::2"]) {
      const before = seen.count;
      ping(alice, to, octets);
      simulation.runFor(100);
      assert.equal(seen.count, before + 1, `${octets} octets to ${to}`);
    }
  }
  simulation.runFor(200_000);
  assert.equal(alice.stack.core.pool.freeCount, free);
  assert.equal(bob.stack.core.pool.freeCount, bob.stack.core.pool.capacity);
});

test("a stack pings itself", () => {
  const { alice } = twoHosts();
  const seen = answers(alice);
  for (const to of ["127.0.0.1", "::1", "10.0.0.1", "fd00::1"]) ping(alice, to, 100);
  assert.equal(seen.count, 4);
});

test("a router between two networks forwards, and says when a packet lived too long", () => {
  const simulation = new Simulation(6);
  const [alice, router, bob] = ["alice", "router", "bob"].map(
    (name) => new StackNode(simulation, { name }),
  ) as [StackNode, StackNode, StackNode];
  const second = router.addPort();
  new SimLink(simulation, { node: alice, port: 0 }, { node: router, port: 0 }).plug();
  new SimLink(simulation, { node: router, port: 1 }, { node: bob, port: 0 }).plug();
  address(alice, "10.0.1.2", 24);
  address(router, "10.0.1.1", 24);
  address(bob, "10.0.2.2", 24);
  address(alice, "fd00:1::2", 64);
  address(router, "fd00:1::1", 64);
  address(bob, "fd00:2::2", 64);
  router.act((stack) => {
    stack.addAddress(second, IpAddress.parse("10.0.2.1"), 24);
    stack.addAddress(second, IpAddress.parse("fd00:2::1"), 64);
    stack.setForwarding(true);
  });
  for (const [node, number] of [
    [alice, 1],
    [bob, 2],
  ] as const) {
    node.act((stack) => {
      for (const [any, gateway] of [
        ["0.0.0.0", `10.0.${number}.1`],
        ["::", `fd00:${number}::1`],
      ] as const) {
        const prefix = IpPrefix.of(IpAddress.parse(any), 0);
        const route = { prefix, gateway: IpAddress.parse(gateway), metric: 0 } as const;
        assert.equal(stack.addRoute({ ...route, origin: "static" }), 0);
      }
    });
  }
  const seen = answers(alice);
  ping(alice, "10.0.2.2", 3000);
  ping(alice, "fd00:2::2", 3000);
  simulation.runFor(500);
  assert.equal(seen.count, 2);
  assert.ok(router.stack.core.counters.get("forward.forwarded") >= 8);
});

test("a neighbour that does not answer ends in an error, and nothing is left", () => {
  const { simulation, alice } = twoHosts();
  ping(alice, "10.0.0.9", 10);
  ping(alice, "fd00::9", 10);
  simulation.runFor(10_000);
  assert.equal(alice.stack.core.counters.get("neighbour.no-answer"), 2);
  assert.equal(alice.stack.core.pool.freeCount, alice.stack.core.pool.capacity);
});

test("addresses that are in use already are not taken", () => {
  const { simulation, alice, bob } = twoHosts();
  for (const text of ["fd00::1", "10.0.0.1"]) {
    bob.act((stack) => {
      const taken = IpAddress.parse(text);
      const bits = taken.isIpv4 ? 24 : 64;
      assert.equal(stack.addAddress(bob.eth0, taken, bits, { state: "tentative" }), 0);
    });
  }
  alice.act(() => undefined);
  simulation.runFor(10_000);
  for (const text of ["fd00::1", "10.0.0.1"]) {
    const entry = bob.stack.addresses.find(IpAddress.parse(text), bob.eth0);
    assert.equal(entry?.state, "duplicated", text);
  }
});
