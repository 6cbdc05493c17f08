/**
 * Reassembly: RFC 791 §3.2, RFC 815, RFC 8200 §4.5, RFC 5722, RFC 6946, RFC 8021, RFC 7112,
 * RFC 1858, RFC 3128, RFC 3168 §5.3.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  echoRequest,
  packet4,
  packet6,
  readPacket,
  type SentFrame,
  StackProbe,
} from "../../sim/stack-probe.ts";
import { IP_PROTOCOL, type Ipv6Extension } from "../../wire/index.ts";

const ENDS = { 4: ["10.0.0.2", "10.0.0.1"], 6: ["fd00::2", "fd00::1"] } as const;
type Family = keyof typeof ENDS;
const FAMILIES: readonly Family[] = [4, 6];

interface Piece {
  readonly from: number;
  readonly octets: Uint8Array;
  readonly hasMore: boolean;
  readonly identification?: number;
  readonly trafficClass?: number;
  readonly protocol?: number;
}

function host(limits = {}): StackProbe {
  const probe = new StackProbe({ limits });
  probe.address("10.0.0.1/24");
  probe.address("fd00::1/64");
  return probe;
}

function fragmentHeader(from: number, hasMore: boolean, identification: number): Ipv6Extension {
  const field = from | (hasMore ? 1 : 0);
  const octets = Uint8Array.of(
    0,
    0,
    field >>> 8,
    field,
    0,
    0,
    identification >>> 8,
    identification,
  );
  return { protocol: IP_PROTOCOL.fragment, octets };
}

/** One fragment on the wire. */
function fragment(family: Family, piece: Piece): Uint8Array {
  const [source, target] = ENDS[family];
  const { from, octets, hasMore, identification = 7, trafficClass = 0 } = piece;
  const protocol = piece.protocol ?? (family === 4 ? IP_PROTOCOL.icmp : IP_PROTOCOL.icmp6);
  const common = { payload: octets, protocol, trafficClass };
  if (family === 4) {
    const rest = { hasMoreFragments: hasMore, fragmentOffsetOctets: from, identification };
    return packet4(source, target, { ...common, ...rest });
  }
  return packet6(source, target, {
    ...common,
    extensions: [fragmentHeader(from, hasMore, identification)],
  });
}

/** The ICMP message of an echo request. */
function message(family: Family, octets: number): Uint8Array {
  const [source, target] = ENDS[family];
  const packet = echoRequest(source, target, octets);
  return packet.subarray(family === 4 ? 20 : 40);
}

function pieces(whole: Uint8Array, cuts: readonly number[]): Piece[] {
  const edges = [0, ...cuts, whole.length];
  return edges.slice(0, -1).map((from, i) => ({
    from,
    octets: whole.subarray(from, edges[i + 1]),
    hasMore: i < edges.length - 2,
  }));
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item, i) =>
    permutations(items.filter((_, j) => j !== i)).map((rest) => [item, ...rest]),
  );
}

function isReply(sent: readonly SentFrame[], octets: number): boolean {
  if (sent.length !== 1) return false;
  const { icmp } = readPacket(sent[0]!);
  if (icmp?.kind !== "echo-reply") return false;
  return icmp.payload.length === octets && icmp.payload.every((value, i) => value === (i & 0xff));
}

function nothingLeft(probe: StackProbe): void {
  const { core, ip } = probe.stack;
  assert.equal(ip.reassembler.count, 0);
  assert.equal(core.pool.freeCount, core.pool.capacity);
}

test("fragments make the datagram whole in whatever order they come (RFC 815, RFC 8200 §4.5)", () => {
  for (const family of FAMILIES) {
    const whole = message(family, 100);
    for (const order of permutations(pieces(whole, [16, 40, 104]))) {
      const probe = host();
      const sent = order.flatMap((piece) => probe.input(fragment(family, piece)));
      assert.ok(isReply(sent, 100));
      nothingLeft(probe);
    }
  }
});

test("an exact duplicate is left aside (RFC 8200 §4.5)", () => {
  for (const family of FAMILIES) {
    const probe = host();
    const [first, second, third] = pieces(message(family, 100), [40, 80]);
    const order = [first, first, third, third, first, second] as Piece[];
    assert.ok(
      isReply(
        order.flatMap((piece) => probe.input(fragment(family, piece))),
        100,
      ),
    );
    nothingLeft(probe);
  }
});

test("any overlap ends the whole datagram (RFC 5722, RFC 3128)", () => {
  for (const family of FAMILIES) {
    const whole = message(family, 200);
    const [first, second, third] = pieces(whole, [64, 128]) as [Piece, Piece, Piece];
    const other = { ...second, octets: second.octets.map((octet) => octet ^ 1) };
    const overlaps: Piece[] = [
      other,
      { from: 56, octets: whole.subarray(56, 128), hasMore: true },
      { from: 64, octets: whole.subarray(64, 136), hasMore: true },
      { from: 0, octets: whole.subarray(0, 128), hasMore: true },
      { from: 72, octets: whole.subarray(72, 80).map((octet) => octet ^ 1), hasMore: true },
    ];
    for (const overlap of overlaps) {
      const probe = host();
      const order = [first, second, overlap];
      for (const piece of order) assert.deepEqual(probe.input(fragment(family, piece)), []);
      assert.equal(probe.counted("fragment.overlap"), 1);
      nothingLeft(probe);
      assert.deepEqual(probe.input(fragment(family, third)), []);
      probe.stack.ip.reassembler.clear();
      nothingLeft(probe);
    }
  }
});

test("the end of a datagram does not move, and nothing lies behind it", () => {
  for (const family of FAMILIES) {
    const whole = message(family, 200);
    const [first, , third] = pieces(whole, [64, 128]) as [Piece, Piece, Piece];
    const wrong: Piece[][] = [
      [third, { from: 208, octets: new Uint8Array(8), hasMore: true }],
      [third, { from: 208, octets: new Uint8Array(8), hasMore: false }],
      [third, { from: 64, octets: new Uint8Array(8), hasMore: false }],
      [first, third, { from: 240, octets: new Uint8Array(8), hasMore: true }],
      [
        { from: 240, octets: new Uint8Array(8), hasMore: true },
        { from: 64, octets: new Uint8Array(8), hasMore: false },
      ],
    ];
    for (const order of wrong) {
      const probe = host();
      for (const piece of order) probe.input(fragment(family, piece));
      assert.equal(probe.counted("fragment.size"), 1);
      nothingLeft(probe);
    }
  }
});

test("more than 65535 octets are refused at once: the ping of death", () => {
  for (const family of FAMILIES) {
    const probe = host();
    const piece = { from: 65_528, octets: new Uint8Array(64), hasMore: false };
    const sent = probe.input(fragment(family, piece));
    assert.equal(probe.counted("fragment.too-long"), 1);
    const kinds = sent.map((frame) => readPacket(frame).icmp?.kind);
    assert.deepEqual(kinds, family === 4 ? [] : ["parameter-problem"]);
    nothingLeft(probe);
  }
  // The data fit, but not with a header in front of them.
  const probe = host();
  const whole = new Uint8Array(65_530);
  for (let from = 0; from < whole.length; from += 1400) {
    const octets = whole.subarray(from, Math.min(from + 1400, whole.length));
    const hasMore = from + 1400 < whole.length;
    assert.deepEqual(probe.input(fragment(4, { from, octets, hasMore })), []);
  }
  assert.equal(probe.counted("fragment.size"), 1);
  nothingLeft(probe);
});

test("a fragment with a tail of odd length, or without data, is refused (RFC 8200 §4.5)", () => {
  for (const family of FAMILIES) {
    for (const octets of [new Uint8Array(13), new Uint8Array()]) {
      const probe = host();
      const hasMore = octets.length > 0;
      const sent = probe.input(fragment(family, { from: 64, octets, hasMore }));
      assert.equal(probe.counted("fragment.length"), 1);
      assert.equal(sent.length, family === 6 && octets.length > 0 ? 1 : 0);
      nothingLeft(probe);
    }
  }
});

test("tiny first fragments that hide a TCP header are dropped (RFC 1858, RFC 3128)", () => {
  const protocol = IP_PROTOCOL.tcp;
  const probe = host();
  probe.input(fragment(4, { from: 0, octets: new Uint8Array(8), hasMore: true, protocol }));
  probe.input(fragment(4, { from: 8, octets: new Uint8Array(24), hasMore: true, protocol }));
  assert.equal(probe.counted("fragment.tiny"), 2);
  nothingLeft(probe);
});

test("the first fragment holds all headers or is answered by an error (RFC 7112)", () => {
  const [source, target] = ENDS[6];
  const cases: [number, number][] = [
    [IP_PROTOCOL.tcp, 16],
    [IP_PROTOCOL.udp, 0],
    [IP_PROTOCOL.icmp6, 0],
    [IP_PROTOCOL.targetOptions, 8],
  ];
  for (const [protocol, octets] of cases) {
    const probe = host();
    const payload = new Uint8Array(octets);
    if (octets > 1) payload[1] = 1;
    const packet = packet6(source, target, {
      protocol,
      payload,
      extensions: [fragmentHeader(0, true, 7)],
    });
    const [error] = probe.input(packet);
    assert.equal(probe.counted("fragment.header-chain"), 1);
    // It could be an error, about which none is sent (RFC 4443 §2.4(e)).
    if (protocol === IP_PROTOCOL.icmp6) assert.equal(error, undefined);
    else {
      const found = readPacket(error!).icmp;
      assert.ok(found?.kind === "parameter-problem" && found.code === 3, `protocol ${protocol}`);
    }
    nothingLeft(probe);
  }
});

test("an atomic fragment is whole and touches no other datagram (RFC 6946)", () => {
  const probe = host();
  const whole = message(6, 100);
  const [first, second] = pieces(whole, [56]) as [Piece, Piece];
  assert.deepEqual(probe.input(fragment(6, first)), []);
  const atomic = { from: 0, octets: message(6, 20), hasMore: false };
  assert.ok(isReply(probe.input(fragment(6, atomic)), 20));
  assert.equal(probe.stack.ip.reassembler.count, 1);
  assert.ok(isReply(probe.input(fragment(6, second)), 100));
  nothingLeft(probe);
});

test("fragments of fragments are dropped", () => {
  const probe = host();
  const [source, target] = ENDS[6];
  const inner = Uint8Array.of(58, 0, 0, 1, 0, 0, 0, 9, ...new Uint8Array(24));
  const protocol = IP_PROTOCOL.fragment;
  for (const [from, to] of [
    [0, 16],
    [16, 32],
  ] as const) {
    const extensions = [fragmentHeader(from, from === 0, 7)];
    const payload = inner.subarray(from, to);
    assert.deepEqual(probe.input(packet6(source, target, { protocol, payload, extensions })), []);
  }
  assert.equal(probe.counted("fragment.reassembled"), 1);
  assert.equal(probe.counted("fragment.nested"), 1);
  nothingLeft(probe);
});

test("identifications, protocols (IPv4) and senders keep datagrams apart", () => {
  for (const family of FAMILIES) {
    const probe = host();
    const [first, second] = pieces(message(family, 100), [56]) as [Piece, Piece];
    probe.input(fragment(family, first));
    assert.deepEqual(probe.input(fragment(family, { ...second, identification: 8 })), []);
    if (family === 4) {
      const udp = { ...second, protocol: IP_PROTOCOL.udp };
      assert.deepEqual(probe.input(fragment(4, udp)), []);
    }
    assert.ok(isReply(probe.input(fragment(family, second)), 100));
  }
});

test("what does not come whole in a minute is given up, and its sender told (RFC 792, RFC 4443 §3.3)", () => {
  for (const family of FAMILIES) {
    const probe = host();
    const [first, second, third] = pieces(message(family, 100), [56, 80]) as [Piece, Piece, Piece];
    probe.input(fragment(family, first));
    probe.input(fragment(family, third));
    assert.deepEqual(probe.pass(59_000), []);
    const [error, ...more] = probe.pass(2000);
    const { icmp, target } = readPacket(error!);
    assert.equal(target, ENDS[family][0]);
    assert.ok(icmp?.kind === "time-exceeded" && icmp.code === 1);
    assert.equal(more.length, 0);
    nothingLeft(probe);
    // Without the first fragment nobody is told.
    probe.input(fragment(family, { ...second, identification: 9 }));
    assert.deepEqual(probe.pass(61_000), []);
    nothingLeft(probe);
  }
});

test("congestion of one fragment is that of the datagram, unless it cannot be (RFC 3168 §5.3)", () => {
  const results: [readonly number[], number | undefined][] = [
    [[0, 0], 0],
    [[2, 2], 2],
    [[1, 3], 3],
    [[3, 2], 3],
    [[3, 3], 3],
    [[0, 3], undefined],
    [[3, 0], undefined],
  ];
  for (const family of FAMILIES) {
    for (const [classes, expected] of results) {
      const probe = host();
      let sent: SentFrame[] = [];
      for (const [i, piece] of pieces(message(family, 100), [56]).entries()) {
        const trafficClass = 0x28 | classes[i]!;
        sent = probe.input(fragment(family, { ...piece, trafficClass }));
      }
      if (expected === undefined) {
        assert.deepEqual(sent, []);
        assert.equal(probe.counted("fragment.ecn"), 1);
      } else {
        assert.equal(readPacket(sent[0]!).trafficClass, 0x28 | expected, classes.join("+"));
      }
      nothingLeft(probe);
    }
  }
});

test("ten thousand datagrams that never become whole take no more than their share", () => {
  for (const family of FAMILIES) {
    const probe = host({ reassemblies: 16 });
    const octets = new Uint8Array(1400);
    for (let i = 0; i < 10_000; i++) {
      probe.input(
        fragment(family, { from: 8 * (i % 100), octets, hasMore: true, identification: i }),
      );
      assert.ok(probe.stack.ip.reassembler.count <= 16);
    }
    assert.equal(probe.counted("fragment.evicted"), 10_000 - 16);
    // One that is sound still gets through.
    const [first, second] = pieces(message(family, 100), [56]) as [Piece, Piece];
    probe.input(fragment(family, { ...first, identification: 20_000 }));
    assert.ok(isReply(probe.input(fragment(family, { ...second, identification: 20_000 })), 100));
    probe.pass(61_000);
    nothingLeft(probe);
  }
});

test("the octets in reassembly are limited, too", () => {
  const probe = host({ reassemblyOctets: 20_000 });
  for (let identification = 0; identification < 40; identification++) {
    const piece = { from: 0, octets: new Uint8Array(1400), hasMore: true, identification };
    probe.input(fragment(4, piece));
  }
  assert.ok(probe.stack.ip.reassembler.count <= 16);
  assert.ok(probe.counted("fragment.evicted") >= 24);
});

test("pieces at random places never give a datagram that was not sent, and nothing stays", () => {
  const place = fc.record({
    from: fc.integer({ min: 0, max: 40 }).map((unit) => unit * 8),
    length: fc.integer({ min: 1, max: 12 }).map((unit) => unit * 8),
    hasMore: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.constantFrom(...FAMILIES),
      fc.array(place, { maxLength: 12 }),
      (family, cuts) => {
        const probe = host();
        const whole = message(family, 320);
        for (const { from, length, hasMore } of cuts) {
          const octets = whole.subarray(from, Math.min(from + length, whole.length));
          if (octets.length === 0) continue;
          const isLast = from + octets.length === whole.length;
          const sent = probe.input(fragment(family, { from, octets, hasMore: hasMore || !isLast }));
          for (const frame of sent) {
            const { icmp } = readPacket(frame);
            assert.ok(icmp?.kind !== "echo-reply" || isReply([frame], 320));
          }
        }
        probe.pass(61_000);
        nothingLeft(probe);
      },
    ),
    { seed: 5, numRuns: 300 },
  );
});
