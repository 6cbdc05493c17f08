import assert from "node:assert/strict";
import { test } from "node:test";
import { DhcpClient, IpAddress } from "../lwipv6/index.ts";
import { type Dhcp, DHCP_OPTION, DHCP_TYPE, emitDhcp, parseDhcp } from "../wire/index.ts";
import { SimLink } from "./link.ts";
import { Simulation } from "./simulation.ts";
import { StackNode } from "./stack-node.ts";

const LEASE_SECONDS = 3600;

/** A server on bob that gives 10.0.0.100 and the next ones; `heard` are the types it got. */
class Server {
  readonly heard: number[] = [];
  isSilent = false;
  next = 100;

  constructor(node: StackNode) {
    const socket = node.stack.udp.socket(true);
    assert.ok(typeof socket !== "number");
    socket.options.broadcast = true;
    socket.bind(IpAddress.ipv4(0), 67, node.eth0.index);
    const into = new Uint8Array(1500);
    socket.onReady = () => {
      for (;;) {
        const info = socket.receive(into, 0, into.length);
        if (typeof info === "number") return;
        const question = parseDhcp(into.subarray(0, info.length));
        assert.ok(question !== undefined);
        const answer = this.#answer(question);
        if (answer === undefined) continue;
        const octets = new Uint8Array(600);
        const length = emitDhcp(answer, octets);
        const to = question.wantsBroadcast ? "255.255.255.255" : info.source.toString();
        assert.ok(socket.send(octets, 0, length, IpAddress.parse(to), 68) > 0);
      }
    };
  }

  #answer(question: Dhcp): Dhcp | undefined {
    const type = question.options.get(DHCP_OPTION.type)![0]!;
    this.heard.push(type);
    if (type === DHCP_TYPE.decline) this.next++;
    if (this.isSilent || type > DHCP_TYPE.request) return undefined;
    const reply = type === DHCP_TYPE.discover ? DHCP_TYPE.offer : DHCP_TYPE.acknowledge;
    const lease = new Uint8Array(4);
    new DataView(lease.buffer).setUint32(0, LEASE_SECONDS);
    return {
      ...question,
      isRequest: false,
      yourAddress: Uint8Array.of(10, 0, 0, this.next),
      options: new Map([
        [DHCP_OPTION.type, Uint8Array.of(reply)],
        [DHCP_OPTION.serverIdentifier, Uint8Array.of(10, 0, 0, 1)],
        [DHCP_OPTION.lease, lease],
        [DHCP_OPTION.netmask, Uint8Array.of(255, 255, 255, 0)],
        [DHCP_OPTION.routers, Uint8Array.of(10, 0, 0, 1)],
        [DHCP_OPTION.servers, Uint8Array.of(10, 0, 0, 53)],
        [DHCP_OPTION.domain, new TextEncoder().encode("lan.example")],
      ]),
    };
  }
}

function network(): { simulation: Simulation; alice: StackNode; bob: StackNode; server: Server } {
  const simulation = new Simulation(8);
  const alice = new StackNode(simulation, { name: "alice", clock: simulation });
  const bob = new StackNode(simulation, { name: "bob", clock: simulation });
  new SimLink(simulation, { node: alice, port: 0 }, { node: bob, port: 0 }).plug();
  bob.act((stack) => stack.addAddress(bob.eth0, IpAddress.parse("10.0.0.1"), 24));
  return { simulation, alice, bob, server: new Server(bob) };
}

test("an address, a router and names are got, kept by renewal, and given back (RFC 2131)", () => {
  const { simulation, alice, server } = network();
  const client = alice.act((stack) => new DhcpClient(stack, alice.eth0));
  simulation.runFor(10_000);
  assert.equal(client.state, "bound");
  assert.equal(client.lease?.address.toString(), "10.0.0.100");
  assert.deepEqual(client.lease.nameServers.map(String), ["10.0.0.53"]);
  assert.equal(client.lease.domain, "lan.example");
  const { stack } = alice;
  assert.equal(stack.addresses.find(client.lease.address, alice.eth0)?.state, "preferred");
  const way = stack.ip.wayTo(IpAddress.parse("8.8.8.8"), undefined, 0);
  assert.ok(typeof way !== "number" && way.source.toString() === "10.0.0.100");
  assert.deepEqual(server.heard, [DHCP_TYPE.discover, DHCP_TYPE.request]);
  simulation.runFor((LEASE_SECONDS * 1000) / 2);
  assert.deepEqual(server.heard.slice(2), [DHCP_TYPE.request]);
  simulation.runFor(20 * LEASE_SECONDS * 1000);
  assert.equal(client.state, "bound");
  alice.act(() => client.release());
  simulation.runFor(100);
  assert.equal(server.heard.at(-1), DHCP_TYPE.release);
  assert.equal(stack.addresses.of(alice.eth0).length, 0);
  assert.equal(stack.routes.all.filter((route) => route.origin === "dhcp").length, 0);
});

test("a server that falls silent is asked again, then everybody, then the address goes (RFC 2131)", () => {
  const { simulation, alice, server } = network();
  const client = alice.act((stack) => new DhcpClient(stack, alice.eth0));
  simulation.runFor(10_000);
  server.isSilent = true;
  simulation.runFor(LEASE_SECONDS * 1000 + 10_000);
  assert.equal(client.lease, undefined);
  assert.equal(alice.stack.addresses.of(alice.eth0).length, 0);
  server.isSilent = false;
  simulation.runFor(200_000);
  assert.equal(client.state, "bound");
});

test("an address that somebody has already is declined, and another one asked for (RFC 2131, RFC 5227)", () => {
  const { simulation, alice, bob, server } = network();
  bob.act((stack) => stack.addAddress(bob.eth0, IpAddress.parse("10.0.0.100"), 24));
  const client = alice.act((stack) => new DhcpClient(stack, alice.eth0));
  simulation.runFor(60_000);
  assert.ok(server.heard.includes(DHCP_TYPE.decline));
  assert.equal(client.lease?.address.toString(), "10.0.0.101");
});
