/** What strangers try, each a test: what must not happen, and what must go on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FramePool } from "../base/index.ts";
import {
  ANY_IPV4,
  defaultTcpOptions,
  IpAddress,
  type Limits,
  type Link,
  Stack,
  type TcpConnection,
  TcpListener,
} from "../lwipv6/index.ts";
import {
  emitIcmp,
  emitIpv4Packet,
  emitTcp,
  type Ipv4,
  IP_PROTOCOL,
  Ipv4View,
  parseIpv4Packet,
  parseTcp,
  type Tcp,
  TCP_FLAG,
  TcpView,
} from "../wire/index.ts";

const HOST = Uint8Array.of(10, 0, 0, 1);
const PEER = Uint8Array.of(10, 0, 0, 2);
const { syn, ack, rst, fin, psh } = TCP_FLAG;

/** A stack on a bare IP link, and somebody who can send it anything. */
class Target {
  readonly stack: Stack;
  readonly sent: Ipv4[] = [];
  nowMs = 1000;
  readonly #slots = new Int32Array(1);

  constructor(limits: Partial<Limits> = {}, secret = 1) {
    const link: Link = {
      kind: "ip",
      mtuOctets: 1500,
      offload: false,
      send: (pool, slots, from, count) => this.#take(pool, slots, from, count),
    };
    this.stack = new Stack({
      secret: new Uint8Array(16).fill(secret),
      nowMs: this.nowMs,
      arena: { frames: 128, blocks: 512 },
      limits,
    });
    const owner = this.stack.addInterface(link, "tn0");
    this.stack.setUp(owner);
    this.stack.addAddress(owner, IpAddress.parse("10.0.0.1"), 8);
  }

  #take(pool: FramePool, slots: Int32Array, from: number, count: number): number {
    for (let i = from; i < from + count; i++) {
      const packet = parseIpv4Packet(Ipv4View.over(pool.frame(slots[i]!).slice())!);
      if (packet !== undefined) this.sent.push(packet);
    }
    return count;
  }

  ip(fields: Partial<Ipv4> & { readonly payload: Uint8Array; readonly protocol: number }): void {
    const { pool } = this.stack.core;
    const slot = pool.take();
    pool.length[slot] = emitIpv4Packet(
      {
        trafficClass: 0,
        identification: 7,
        mayNotFragment: false,
        hasMoreFragments: false,
        fragmentOffsetOctets: 0,
        timeToLive: 64,
        source: PEER,
        target: HOST,
        options: new Uint8Array(),
        ...fields,
      },
      pool.octets.subarray(pool.start[slot]),
    );
    this.#slots[0] = slot;
    this.stack.input(this.stack.interface("tn0")!, this.#slots, 1, this.nowMs);
  }

  tcp(fields: Partial<Tcp>, source = PEER): void {
    const octets = new Uint8Array(2000);
    const segment: Tcp = {
      sourcePort: 5000,
      targetPort: 80,
      sequence: 0,
      acknowledgment: 0,
      flags: ack,
      window: 65_535,
      urgentPointer: 0,
      options: [],
      payload: new Uint8Array(),
      ...fields,
    };
    const length = emitTcp(segment, octets, { source, target: HOST });
    this.ip({ payload: octets.subarray(0, length), protocol: IP_PROTOCOL.tcp, source });
  }

  /** Segments sent since the last look. */
  answers(): Tcp[] {
    return this.sent
      .splice(0)
      .filter(({ protocol }) => protocol === IP_PROTOCOL.tcp)
      .map(({ payload, source, target }) => parseTcp(TcpView.over(payload)!, { source, target })!);
  }

  run(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const nextMs = this.stack.poll(this.nowMs);
      if (nextMs > untilMs) break;
      this.nowMs = Math.max(nextMs, this.nowMs);
    }
    this.nowMs = untilMs;
    this.stack.poll(this.nowMs);
  }

  listen(backlog = 16): TcpListener {
    const ends = {
      local: ANY_IPV4,
      localPort: 80,
      interfaceIndex: 0,
      isIpv6Only: false,
      isShared: false,
    };
    const listener = this.stack.tcp.listen(ends, defaultTcpOptions(), backlog);
    assert.ok(listener instanceof TcpListener);
    return listener;
  }

  /** A connection of the peer: `sequence` is the next number it sends, `next` the next it gets. */
  connect(sourcePort = 5000): { connection: TcpConnection; sequence: number; next: number } {
    const listener = this.stack.tcp.listeners[0] ?? this.listen();
    this.answers();
    this.tcp({ sourcePort, sequence: 1000, flags: syn, options: [MSS, SACK] });
    const [answer] = this.answers();
    assert.equal(answer!.flags, syn | ack);
    const next = (answer!.sequence + 1) >>> 0;
    this.tcp({ sourcePort, sequence: 1001, acknowledgment: next });
    const connection = listener.accept()!;
    assert.equal(connection.stateName, "ESTABLISHED");
    return { connection, sequence: 1001, next };
  }
}

const MSS = { kind: "maximum-segment", octets: 1460 } as const;
const SACK = { kind: "sack-permitted" } as const;

test("initial sequence numbers tell nothing about each other (RFC 6528, NUMBER:JACK)", () => {
  const COUNT = 4096;
  const numbers = (secret: number): number[] => {
    const target = new Target({ handshakes: 10 * COUNT }, secret);
    target.listen(10 * COUNT);
    const seen: number[] = [];
    for (let i = 0; i < COUNT; i++) {
      target.tcp({ sourcePort: 1024 + i, flags: syn, sequence: 1 });
      for (const answer of target.answers()) seen.push(answer.sequence);
    }
    return seen;
  };
  const [a, b] = [numbers(1), numbers(2)];
  assert.equal(a.length, COUNT);
  assert.equal(new Set([...a, ...b]).size, 2 * COUNT);
  // Chi-square of the highest and the lowest octet: 255 degrees of freedom, 1 in a million above
  // 371.
  for (const shift of [24, 0]) {
    const bins = Array.from({ length: 256 }, () => 0);
    for (const value of a) bins[(value >>> shift) & 255]!++;
    const expected = COUNT / 256;
    const chi = bins.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    assert.ok(chi < 371, `chi-square ${chi} of the octet at bit ${shift}`);
  }
});

test("a reset counts only with the very next number; elsewhere in the window it is asked about (RFC 5961)", () => {
  const target = new Target();
  const { connection, sequence, next } = target.connect();
  target.tcp({ flags: rst, sequence: sequence + 100 });
  assert.equal(connection.stateName, "ESTABLISHED");
  const [challenge] = target.answers();
  assert.deepEqual(
    [challenge!.flags, challenge!.sequence, challenge!.acknowledgment],
    [ack, next, sequence],
  );
  target.tcp({ flags: rst, sequence: sequence - 1 });
  assert.equal(target.answers().length, 0);
  target.tcp({ flags: rst, sequence });
  assert.equal(connection.stateName, "CLOSED");
});

test("a SYN in a connection is asked about and changes nothing, and questions have a limit (RFC 5961)", () => {
  const target = new Target();
  const { connection, sequence } = target.connect();
  for (let i = 0; i < 1000; i++) target.tcp({ flags: syn, sequence: sequence + i });
  assert.equal(connection.stateName, "ESTABLISHED");
  const count = target.answers().length;
  assert.ok(count >= 1 && count <= 10, `${count} challenges`);
  // Of another connection the limit is its own (CVE-2016-5696).
  const other = target.connect(5001);
  target.tcp({ sourcePort: 5001, flags: syn, sequence: other.sequence });
  assert.equal(target.answers().length, 1);
});

test("data with an acknowledgment of what was never sent is not taken (RFC 5961)", () => {
  const target = new Target();
  const { connection, sequence, next } = target.connect();
  const payload = new Uint8Array(10);
  for (const acknowledgment of [next + 1, next + 100_000, next - 0x4000_0000]) {
    target.tcp({ flags: ack | psh, sequence, acknowledgment: acknowledgment >>> 0, payload });
  }
  assert.equal(connection.queue.readable, 0);
  target.tcp({ flags: ack | psh, sequence, acknowledgment: next, payload });
  assert.equal(connection.queue.readable, 10);
});

test("a flood of SYNs is answered by cookies, and whoever means it gets in (RFC 4987)", () => {
  const target = new Target({ handshakes: 64 });
  const listener = target.listen(64);
  for (let i = 0; i < 100_000; i++) {
    const source = Uint8Array.of(10, 1 + (i >>> 16), i >>> 8, i);
    target.tcp(
      { sourcePort: 1024 + (i % 60_000), flags: syn, sequence: i, options: [MSS] },
      source,
    );
    target.sent.length = 0;
    if (i % 100 === 0) target.nowMs += 1;
  }
  assert.ok(target.stack.tcp.connections.length <= 65);
  target.tcp({ sourcePort: 4000, flags: syn, sequence: 77, options: [MSS] });
  const [answer] = target.answers();
  const acknowledgment = (answer!.sequence + 1) >>> 0;
  // Nobody guesses a cookie.
  for (let i = 1; i < 100; i++) {
    target.tcp({ sourcePort: 4000, sequence: 78, acknowledgment: (acknowledgment + i) >>> 0 });
  }
  assert.equal(listener.accept(), undefined);
  target.tcp({ sourcePort: 4000, sequence: 78, acknowledgment, payload: Uint8Array.of(1, 2, 3) });
  const connection = listener.accept()!;
  assert.equal(connection.stateName, "ESTABLISHED");
  assert.equal(connection.queue.readable, 3);
  assert.equal(target.stack.core.counters.get("tcp.cookie-accepted"), 1);
});

test("single octets with holes between them cost little and end at a limit (SegmentSmack)", () => {
  const target = new Target();
  const { connection, sequence, next } = target.connect();
  for (let i = 1; i < 20_000; i++) {
    const at = (sequence + 2 * i) >>> 0;
    target.tcp({ sequence: at, acknowledgment: next, payload: Uint8Array.of(i) });
    target.sent.length = 0;
  }
  assert.ok(connection.queue.rangeCount <= 64);
  assert.equal(connection.queue.readable, 0);
});

test("tiny segments asked for do not make headers without end (CVE-2019-11479)", () => {
  const target = new Target();
  const listener = target.listen();
  target.tcp({ flags: syn, sequence: 1000, options: [{ kind: "maximum-segment", octets: 1 }] });
  const [answer] = target.answers();
  const acknowledgment = (answer!.sequence + 1) >>> 0;
  target.tcp({ sequence: 1001, acknowledgment });
  const connection = listener.accept()!;
  assert.ok(connection.segment >= 48);
});

test("an urgent pointer behind everything moves nothing (URGENT/11)", () => {
  const target = new Target();
  const { connection, sequence, next } = target.connect();
  const into = new Uint8Array(100);
  for (const urgentPointer of [1, 3, 4, 0xffff]) {
    const at = connection.receiveNext >>> 0;
    const flags = ack | TCP_FLAG.urg;
    const payload = Uint8Array.of(1, 2, 3);
    target.tcp({ flags, sequence: at, acknowledgment: next, urgentPointer, payload });
  }
  let total = 0;
  for (let count = 1; count > 0; ) {
    count = connection.read(into, 0, into.length);
    if (count > 0) total += count;
  }
  assert.ok(total <= 12 && total >= 9);
  assert.equal(connection.receiveNext >>> 0, sequence + 12);
});

test("connections that close one after the other leave a bounded number in TIME-WAIT", () => {
  const target = new Target({ timeWaits: 50 });
  for (let i = 0; i < 300; i++) {
    const { connection, sequence, next } = target.connect(6000 + i);
    connection.close();
    target.tcp({ sourcePort: 6000 + i, sequence, acknowledgment: next + 1 });
    target.tcp({ sourcePort: 6000 + i, flags: fin | ack, sequence, acknowledgment: next + 1 });
  }
  assert.ok(target.stack.tcp.connections.length <= 50);
});

test("a window that never opens does not keep a connection for ever when nobody answers (sockstress)", () => {
  const target = new Target();
  const { connection, sequence, next } = target.connect();
  target.tcp({ sequence, acknowledgment: next, window: 0 });
  connection.write(new Uint8Array(5000), 0, 5000);
  target.run(3_600_000);
  assert.equal(connection.stateName, "CLOSED");
  assert.equal(connection.takeError(), -110);
});

test("a forged packet-too-big outside of what is under way changes nothing (RFC 5927)", () => {
  const target = new Target();
  const { connection, next } = target.connect();
  connection.write(new Uint8Array(1000), 0, 1000);
  const forge = (sequence: number): void => {
    const tcp = new Uint8Array(8);
    new DataView(tcp.buffer).setUint16(0, 80);
    new DataView(tcp.buffer).setUint16(2, 5000);
    new DataView(tcp.buffer).setUint32(4, sequence);
    const about = new Uint8Array(28);
    emitIpv4Packet(
      {
        trafficClass: 0,
        identification: 0,
        mayNotFragment: true,
        hasMoreFragments: false,
        fragmentOffsetOctets: 0,
        timeToLive: 64,
        protocol: IP_PROTOCOL.tcp,
        source: HOST,
        target: PEER,
        options: new Uint8Array(),
        payload: tcp,
      },
      about,
    );
    const message = new Uint8Array(64);
    const icmp = { kind: "unreachable", code: 4, nextMtuOctets: 576, about } as const;
    const length = emitIcmp(icmp, message);
    const source = Uint8Array.of(10, 9, 9, 9);
    target.ip({ payload: message.subarray(0, length), protocol: IP_PROTOCOL.icmp, source });
  };
  const before = connection.segment;
  forge((next + 5000) >>> 0);
  forge((next - 1) >>> 0);
  assert.equal(connection.segment, before);
  forge(next);
  assert.ok(connection.segment < before);
});

test("fragments that overlap, hide headers or claim too much are dropped; memory stays bounded", () => {
  const target = new Target({ reassemblies: 16 });
  const { counters } = target.stack.core;
  const protocol = IP_PROTOCOL.udp;
  const part = (identification: number, at: number, length: number, more: boolean): void =>
    target.ip({
      protocol,
      identification,
      fragmentOffsetOctets: at,
      hasMoreFragments: more,
      payload: new Uint8Array(length).fill(identification),
    });
  part(1, 0, 16, true);
  target.ip({
    protocol,
    identification: 1,
    fragmentOffsetOctets: 8,
    hasMoreFragments: false,
    payload: new Uint8Array(16).fill(99),
  });
  assert.equal(counters.get("fragment.overlap"), 1);
  part(2, 65_528, 100, false);
  assert.equal(counters.get("fragment.too-long"), 1);
  target.ip({
    protocol: IP_PROTOCOL.tcp,
    hasMoreFragments: true,
    payload: new Uint8Array(8),
  });
  assert.equal(counters.get("fragment.tiny"), 1);
  for (let i = 0; i < 10_000; i++) part(1000 + i, 8, 8, true);
  assert.ok(target.stack.ip.reassembler.count <= 16);
  target.run(200_000);
  assert.equal(target.stack.ip.reassembler.count, 0);
  assert.equal(target.stack.core.pool.freeCount, target.stack.core.pool.capacity);
});

test("every length field of an IPv4 header, wrong by one or by everything, is survived (Ripple20)", () => {
  const target = new Target();
  const { pool } = target.stack.core;
  const slots = new Int32Array(1);
  for (const [at, size] of [
    [0, 1],
    [2, 2],
    [6, 2],
    [20, 1],
    [21, 1],
    [32, 1],
  ] as const) {
    for (const value of [0, 1, 5, 0x45, 0x46, 0x4f, 19, 20, 21, 39, 40, 41, 0x7fff, 0xffff]) {
      for (const length of [1, 19, 20, 21, 40, 60]) {
        const octets = new Uint8Array(60);
        octets.set([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, ...PEER, ...HOST]);
        octets[32] = 0x50;
        if (size === 2) octets.set([value >>> 8, value & 255], at);
        else octets[at] = value;
        slots[0] = pool.take();
        pool.octets.set(octets, pool.start[slots[0]]);
        pool.length[slots[0]] = length;
        target.stack.input(target.stack.interface("tn0")!, slots, 1, target.nowMs);
      }
    }
  }
  assert.equal(pool.freeCount, pool.capacity);
});

test("ICMP errors to one peer say nothing about those to another", () => {
  const target = new Target({ icmpErrorsPerSecond: 10, icmpErrorBurst: 20 });
  const probe = (source: Uint8Array): number => {
    target.sent.length = 0;
    const payload = Uint8Array.of(1, 2, 3, 4, 0, 8, 0, 0);
    for (let i = 0; i < 100; i++) target.ip({ protocol: IP_PROTOCOL.udp, payload, source });
    return target.sent.length;
  };
  const first = probe(PEER);
  assert.ok(first >= 10 && first <= 20, `${first} errors`);
  assert.ok(probe(Uint8Array.of(10, 0, 0, 77)) >= 10);
  assert.equal(probe(PEER), 0);
});
