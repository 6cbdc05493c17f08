import assert from "node:assert/strict";
import { test } from "node:test";
import { AF, ANY_IPV6, IpAddress, POLL, SO, SOCK, Sockets, SOL, TCP } from "../lwipv6/index.ts";
import { SimLink } from "./link.ts";
import { Simulation } from "./simulation.ts";
import { StackNode } from "./stack-node.ts";

const ERRNO = {
  again: -11,
  refused: -111,
  inProgress: -115,
  isConnected: -106,
  inUse: -98,
} as const;

interface Hosts {
  readonly simulation: Simulation;
  readonly link: SimLink;
  readonly alice: StackNode;
  readonly bob: StackNode;
  readonly a: Sockets;
  readonly b: Sockets;
}

function hosts(): Hosts {
  const simulation = new Simulation(4);
  const [alice, bob] = ["alice", "bob"].map((name, i) => {
    const node = new StackNode(simulation, { name, clock: simulation });
    node.act((stack) => stack.addAddress(node.eth0, IpAddress.parse(`10.0.0.${i + 1}`), 24));
    return node;
  }) as [StackNode, StackNode];
  const link = new SimLink(simulation, { node: alice, port: 0 }, { node: bob, port: 0 });
  link.plug();
  return { simulation, link, alice, bob, a: new Sockets(alice.stack), b: new Sockets(bob.stack) };
}

const BOB = { address: IpAddress.parse("10.0.0.2"), port: 7 };

/** A connection from alice to bob. */
function connected({ simulation, alice, bob, a, b }: Hosts): { client: number; server: number } {
  const listener = b.socket(AF.inet6, SOCK.stream);
  assert.equal(b.bind(listener, { address: ANY_IPV6, port: 7 }), 0);
  assert.equal(b.listen(listener, 5), 0);
  assert.equal(b.accept(listener), ERRNO.again);
  const client = a.socket(AF.inet, SOCK.stream);
  assert.equal(a.connect(client, BOB), ERRNO.inProgress);
  for (const node of [alice, bob]) node.schedule();
  simulation.runFor(50);
  assert.equal(a.connect(client, BOB), 0);
  assert.equal(a.connect(client, BOB), ERRNO.isConnected);
  return { client, server: b.accept(listener) };
}

test("a connection by the calls of socket(2): names, readiness, half close, the end", () => {
  const all = hosts();
  const { simulation, alice, bob, a, b } = all;
  const { client, server } = connected(all);
  const peer = b.remoteAddress(server);
  assert.ok(typeof peer !== "number");
  assert.equal(peer.address.toString(), "10.0.0.1");
  let told = 0;
  const subscription = b.subscribe(server, POLL.in, (bits) => (told = bits));
  assert.equal(subscription.now, 0);
  assert.equal(a.send(client, Buffer.from("hello")), 5);
  alice.schedule();
  simulation.runFor(20);
  assert.equal(told & POLL.in, POLL.in);
  const into = new Uint8Array(10);
  assert.equal(b.receive(server, into, 2), 5);
  assert.equal(b.receive(server, into), 5);
  assert.equal(b.receive(server, into), ERRNO.again);
  assert.equal(a.shutdown(client, 1), 0);
  alice.schedule();
  simulation.runFor(20);
  assert.equal(b.receive(server, into), 0);
  assert.equal(b.send(server, Buffer.from("late")), 4);
  b.close(server);
  bob.schedule();
  simulation.runFor(20);
  assert.equal(a.receive(client, into), 4);
  assert.equal(a.receive(client, into), 0);
  assert.equal(a.send(client, into), -32);
  a.close(client);
  assert.equal(a.receive(client, into), -9);
});

test("ports that are taken, families and protocols that are not there, refusals", () => {
  const { simulation, alice, a, b } = hosts();
  const [one, two] = [b.socket(AF.inet6, SOCK.stream), b.socket(AF.inet6, SOCK.stream)];
  b.bind(one, { address: ANY_IPV6, port: 9 });
  b.listen(one, 1);
  assert.equal(b.bind(two, { address: ANY_IPV6, port: 9 }), ERRNO.inUse);
  assert.equal(b.socket(99, SOCK.stream), -97);
  assert.equal(b.socket(AF.inet, 77 & 0xf), -94);
  assert.equal(b.socket(AF.inet, SOCK.stream, 17), -93);
  const client = a.socket(AF.inet, SOCK.stream);
  a.connect(client, { ...BOB, port: 10 });
  alice.schedule();
  simulation.runFor(50);
  assert.equal(a.connect(client, { ...BOB, port: 10 }), ERRNO.refused);
});

test("only those who may bind ports below 1024 or open raw sockets do", () => {
  const { alice } = hosts();
  const asked: string[] = [];
  const sockets = new Sockets(alice.stack, (capability) => {
    asked.push(capability);
    return false;
  });
  const fd = sockets.socket(AF.inet, SOCK.stream);
  assert.equal(sockets.bind(fd, { address: IpAddress.ipv4(0), port: 80 }), -13);
  assert.equal(sockets.bind(fd, { address: IpAddress.ipv4(0), port: 8080 }), 0);
  assert.equal(sockets.socket(AF.inet, SOCK.raw, 1), -1);
  assert.deepEqual(asked, ["net-bind-service", "net-raw"]);
});

test("keep-alive finds out that the peer has gone (RFC 9293 §3.8.4)", () => {
  const all = hosts();
  const { simulation, link, alice, a } = all;
  const { client } = connected(all);
  a.setOption(client, SOL.tcp, TCP.keepIdle, 10);
  a.setOption(client, SOL.tcp, TCP.keepInterval, 5);
  a.setOption(client, SOL.tcp, TCP.keepCount, 3);
  a.setOption(client, SOL.socket, SO.keepAlive, 1);
  alice.schedule();
  simulation.runFor(60_000);
  assert.equal(a.readiness(client) & POLL.hangUp, 0, "the peer answers");
  link.silence();
  simulation.runFor(40_000);
  assert.equal(a.receive(client, new Uint8Array(1)), -110);
});

test("data that is held back goes when the cork is drawn, or after 200 ms (tcp(7))", () => {
  const all = hosts();
  const { simulation, alice, a, b } = all;
  const { client, server } = connected(all);
  const into = new Uint8Array(100);
  a.setOption(client, SOL.tcp, TCP.cork, 1);
  a.send(client, new Uint8Array(10));
  alice.schedule();
  simulation.runFor(150);
  assert.equal(b.receive(server, into), ERRNO.again);
  a.setOption(client, SOL.tcp, TCP.cork, 0);
  alice.schedule();
  simulation.runFor(20);
  assert.equal(b.receive(server, into), 10);
  a.setOption(client, SOL.tcp, TCP.cork, 1);
  a.send(client, new Uint8Array(20));
  alice.schedule();
  simulation.runFor(300);
  assert.equal(b.receive(server, into), 20);
});

test("datagrams: peers, lengths, errors of ICMP, groups", () => {
  const { simulation, alice, bob, a, b } = hosts();
  const server = b.socket(AF.inet6, SOCK.datagram);
  b.bind(server, { address: ANY_IPV6, port: 7 });
  const client = a.socket(AF.inet, SOCK.datagram);
  assert.equal(a.send(client, new Uint8Array(3000), 0, BOB), 3000);
  alice.schedule();
  simulation.runFor(20);
  const into = new Uint8Array(100);
  const got = b.receiveFrom(server, into);
  assert.ok(typeof got !== "number" && got.from !== undefined);
  assert.deepEqual([got.count, got.flags], [100, 0x20]);
  b.send(server, Buffer.from("pong"), 0, got.from);
  bob.schedule();
  simulation.runFor(20);
  assert.equal(a.receive(client, into), 4);
  a.connect(client, { ...BOB, port: 8 });
  a.send(client, new Uint8Array(1));
  alice.schedule();
  simulation.runFor(20);
  assert.equal(a.receive(client, into), ERRNO.refused);
  const group = IpAddress.parse("224.1.2.3");
  const member = bob.stack.udp.socket(true);
  assert.ok(typeof member !== "number");
  member.bind(IpAddress.ipv4(0), 5000);
  assert.equal(member.join(group, bob.eth0.index), 0);
  a.connect(client, { address: group, port: 5000 });
  assert.equal(a.send(client, Buffer.from("all")), 3);
  alice.schedule();
  simulation.runFor(20);
  assert.equal(member.queue.count, 1);
});
