import assert from "node:assert/strict";
import { test } from "node:test";
import { Rng, writeU16 } from "../base/index.ts";
import { ANY_IPV6, defaultTcpOptions, IpAddress, Stack, TcpListener } from "../lwipv6/index.ts";
import { checksumOf, IP_PROTOCOL, sumOctets } from "../wire/index.ts";
import { SimLink, type SimNode } from "./link.ts";
import { Simulation } from "./simulation.ts";
import { StackNode } from "./stack-node.ts";

/** Mutated frames per run of this test; all of them in CI are a million. */
const FRAMES = Number(process.env["V2_STACK_FRAMES"] ?? (process.env["CI"] ? 1_000_000 : 60_000));

/** A node in the middle of a cable that keeps what goes through. */
class Tap implements SimNode {
  readonly frames: Uint8Array[] = [];
  readonly #links: (SimLink | undefined)[] = [];

  receive(port: number, frame: Uint8Array): void {
    if (this.frames.length < 400) this.frames.push(frame.slice());
    this.#links[1 - port]?.send(this, frame);
  }
  plugged(port: number, link: SimLink): void {
    this.#links[port] = link;
  }
  pulled(): void {}
}

/** Frames of a real conversation: ARP, ND, ping, UDP, TCP with data, in both families. */
function conversation(): Uint8Array[] {
  const simulation = new Simulation(3);
  const alice = new StackNode(simulation, { name: "alice", clock: simulation });
  const bob = new StackNode(simulation, { name: "bob", clock: simulation });
  const tap = new Tap();
  new SimLink(simulation, { node: alice, port: 0 }, { node: tap, port: 0 }).plug();
  new SimLink(simulation, { node: tap, port: 1 }, { node: bob, port: 0 }).plug();
  configure(alice, 1);
  configure(bob, 2);
  serve(bob.stack);
  for (const text of ["10.0.0.2", "fd00::2"]) {
    const remote = IpAddress.parse(text);
    alice.act((stack) => {
      const udp = stack.udp.socket(remote.isIpv4);
      assert.ok(typeof udp !== "number");
      udp.send(new Uint8Array(3000), 0, 3000, remote, 9);
      const connection = stack.tcp.connect({ remote, remotePort: 80 });
      assert.ok(typeof connection !== "number");
      connection.onReady = () => {
        connection.onReady = undefined;
        connection.write(new Uint8Array(5000), 0, 5000);
        connection.shutdownWrite();
      };
    });
    simulation.runFor(300);
  }
  assert.ok(tap.frames.length > 20);
  return tap.frames;
}

function configure(node: StackNode, number: number): void {
  node.act((stack) => {
    stack.addAddress(node.eth0, IpAddress.parse(`10.0.0.${number}`), 24);
    stack.addAddress(node.eth0, IpAddress.parse(`fd00::${number}`), 64);
    stack.discovery.autoconfiguration.configure(node.eth0, { isOn: true, temporary: true });
  });
}

function serve(stack: Stack): void {
  const ends = {
    local: ANY_IPV6,
    localPort: 80,
    interfaceIndex: 0,
    isIpv6Only: false,
    isShared: false,
  };
  const listener = stack.tcp.listen(ends, defaultTcpOptions(), 16);
  assert.ok(listener instanceof TcpListener);
  listener.onReady = () => {
    const into = new Uint8Array(4096);
    for (;;) {
      const connection = listener.accept();
      if (connection === undefined) return;
      connection.onReady = () => {
        while (connection.read(into, 0, into.length) > 0);
        if (connection.hasFin) connection.close();
      };
    }
  };
}

/** One to four changes of a frame, or a part of another in it. */
function mutate(rng: Rng, frames: readonly Uint8Array[]): Uint8Array {
  const frame = frames[rng.below(frames.length)]!.slice();
  for (let i = rng.below(4); i >= 0; i--) {
    const at = rng.below(frame.length);
    switch (rng.below(5)) {
      case 0:
        frame[at] = rng.below(256);
        break;
      case 1:
        frame[at]! ^= 1 << rng.below(8);
        break;
      case 2:
        writeU16(frame, at, [0, 1, 0xffff, 0x7fff, frame.length, 20, 65_535][rng.below(7)]!);
        break;
      case 3: {
        const other = frames[rng.below(frames.length)]!;
        const from = rng.below(other.length);
        frame.set(other.subarray(from, Math.min(from + 16, from + frame.length - at)), at);
        break;
      }
      default:
        return frame.subarray(0, rng.below(frame.length) + 1);
    }
  }
  return frame;
}

/** Repairs checksums, so that changes get through to what is behind them. */
function repair(frame: Uint8Array): void {
  const isIpv4 = frame[12] === 8 && frame[13] === 0;
  const header = isIpv4 ? (frame[14]! & 15) * 4 : 40;
  const at = 14 + header;
  if (at + 20 > frame.length) return;
  if (isIpv4) {
    writeU16(frame, 24, 0);
    writeU16(frame, 24, checksumOf(sumOctets(frame, 14, at)));
  }
  const protocol = isIpv4 ? frame[23]! : frame[20]!;
  const end = Math.min(frame.length, isIpv4 ? 14 + ((frame[16]! << 8) | frame[17]!) : frame.length);
  const offset = { [IP_PROTOCOL.tcp]: 16, [IP_PROTOCOL.udp]: 6, [IP_PROTOCOL.icmp6]: 2 }[protocol];
  if (offset === undefined || end <= at + offset) return;
  const [from, to] = isIpv4 ? [26, 34] : [22, 54];
  writeU16(frame, at + offset, 0);
  const pseudo = sumOctets(frame, from, to) + protocol + (end - at);
  writeU16(frame, at + offset, checksumOf(sumOctets(frame, at, end, pseudo)));
}

test(`${FRAMES} mutated frames: nothing is thrown, nothing is left, tables stay within limits`, () => {
  const frames = conversation();
  const rng = new Rng(20_261_201);
  let nowMs = 0;
  const silent = {
    kind: "ethernet",
    mac: Uint8Array.of(2, 0, 0, 0, 0, 2),
    mtuOctets: 1500,
    offload: false,
    send: (_pool: unknown, _slots: unknown, _from: number, count: number) => count,
  } as const;
  const stack = new Stack({
    secret: new Uint8Array(16).fill(9),
    arena: { frames: 256, blocks: 2048 },
    limits: { neighbours: 64, handshakes: 32, timeWaits: 64, sockets: 256 },
    forwarding: true,
  });
  const eth0 = stack.addInterface(silent, "eth0");
  stack.setUp(eth0);
  stack.addAddress(eth0, IpAddress.parse("10.0.0.2"), 24);
  stack.addAddress(eth0, IpAddress.parse("fd00::2"), 64);
  serve(stack);
  const udp = stack.udp.socket(false);
  assert.ok(typeof udp !== "number");
  udp.bind(ANY_IPV6, 9);
  const slots = new Int32Array(1);
  for (const frame of frames) frame.set(silent.mac, 0);
  for (let i = 0; i < FRAMES; i++) {
    const frame = mutate(rng, frames);
    if (rng.below(4) > 0) repair(frame);
    if (rng.below(8) > 0) frame.set(silent.mac.subarray(0, frame.length), 0);
    const { pool } = stack.core;
    slots[0] = pool.take();
    assert.ok(slots[0] >= 0, `frame ${i}: no slot is left`);
    pool.octets.set(frame, pool.start[slots[0]]);
    pool.length[slots[0]] = frame.length;
    nowMs += rng.below(100) === 0 ? 2000 : 0.1;
    stack.input(eth0, slots, 1, nowMs);
    if (i % 16 === 0) stack.poll(nowMs);
    if (i % 1000 === 0) udp.queue.clear();
  }
  const { limits } = stack.core;
  assert.ok(stack.neighbours.all.length <= limits.neighbours);
  assert.ok(stack.tcp.connections.length <= limits.sockets);
  assert.ok(stack.ip.reassembler.count <= limits.reassemblies);
  assert.ok(stack.routes.all.length <= limits.routes);
  // After an hour everything that strangers began is over.
  for (let i = 0; i < 4000; i++) stack.poll((nowMs += 1000));
  for (const connection of stack.tcp.connections) connection.abort();
  udp.close();
  stack.poll((nowMs += 400_000));
  for (const neighbour of stack.neighbours.all) stack.neighbours.remove(neighbour);
  stack.ip.reassembler.clear();
  assert.equal(stack.core.pool.freeCount, stack.core.pool.capacity);
  assert.equal(stack.core.arena.freeBlocks, stack.core.arena.blockCount);
});
