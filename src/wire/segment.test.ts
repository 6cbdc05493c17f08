import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { always, ipv4, ipv6, record, u16, u32, u8 } from "../../test/properties.ts";
import { FramePool, OFFLOAD, writeU16 } from "../base/index.ts";
import { foldSum, pseudoHeaderSum } from "./checksum.ts";
import { IP_PROTOCOL } from "./ip-protocol.ts";
import { emitIpv4Packet, Ipv4View } from "./ipv4.ts";
import { emitIpv6Packet, Ipv6View } from "./ipv6.ts";
import { completeChecksum, SegmentPlan } from "./segment.ts";
import { emitTcp, TCP_AT, TCP_FLAG, type Tcp, TcpView } from "./tcp.ts";
import { emitUdp, UDP_AT, UdpView } from "./udp.ts";
import { insertVlanTag } from "./vlan.ts";

interface Case {
  readonly isIpv4: boolean;
  readonly addresses4: readonly [Uint8Array, Uint8Array];
  readonly addresses6: readonly [Uint8Array, Uint8Array];
  readonly identification: number;
  readonly sequence: number;
  readonly flags: number;
  readonly hasTimestamps: boolean;
  readonly hasIpOptions: boolean;
  readonly tags: readonly number[];
  readonly payload: Uint8Array;
  readonly segmentOctets: number;
}

const cases = record<Case>({
  isIpv4: fc.boolean(),
  addresses4: fc.tuple(ipv4, ipv4),
  addresses6: fc.tuple(ipv6, ipv6),
  identification: u16,
  sequence: u32,
  flags: u8,
  hasTimestamps: fc.boolean(),
  hasIpOptions: fc.boolean(),
  tags: fc.array(u16, { maxLength: 2 }),
  payload: fc.uint8Array({ minLength: 1, maxLength: 5000 }),
  segmentOctets: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 6000 })),
});

function addressesOf({ isIpv4, addresses4, addresses6 }: Case) {
  const [source, target] = isIpv4 ? addresses4 : addresses6;
  return { source, target };
}

function tcpOf({ sequence, flags, hasTimestamps, payload }: Case): Tcp {
  return {
    sourcePort: 40_000,
    targetPort: 80,
    sequence,
    acknowledgment: 77,
    flags,
    window: 501,
    urgentPointer: 0,
    options: hasTimestamps
      ? [{ kind: "nop" }, { kind: "nop" }, { kind: "timestamps", value: 5, echo: 6 }]
      : [],
    payload,
  };
}

/** An IP packet around a segment or datagram. */
function packetOf(of: Case, protocol: number, payload: Uint8Array): Uint8Array {
  const into = new Uint8Array(100 + payload.length);
  const { source, target } = addressesOf(of);
  const octets = of.isIpv4
    ? emitIpv4Packet(
        {
          trafficClass: 2,
          identification: of.identification,
          mayNotFragment: true,
          hasMoreFragments: false,
          fragmentOffsetOctets: 0,
          timeToLive: 64,
          protocol,
          source,
          target,
          payload,
          options: of.hasIpOptions ? Uint8Array.of(1, 1, 1, 0) : new Uint8Array(0),
        },
        into,
      )
    : emitIpv6Packet(
        {
          trafficClass: 2,
          flowLabel: 99,
          hopLimit: 64,
          protocol,
          source,
          target,
          payload,
          extensions: of.hasIpOptions
            ? [
                {
                  protocol: IP_PROTOCOL.targetOptions,
                  octets: Uint8Array.of(0, 0, 1, 4, 0, 0, 0, 0),
                },
              ]
            : [],
        },
        into,
      );
  return into.subarray(0, octets);
}

/** Puts a frame with tags into a slot, unfinished; @returns where its transport header starts. */
function load(pool: FramePool, slot: number, of: Case, packet: Uint8Array, transport: number) {
  const start = pool.start[slot]!;
  pool.octets.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1], start);
  writeU16(pool.octets, start + 12, of.isIpv4 ? 0x0800 : 0x86dd);
  pool.octets.set(packet, start + 14);
  pool.length[slot] = 14 + packet.length;
  for (const tag of of.tags) {
    pool.start[slot] = insertVlanTag(pool.octets, pool.start[slot]!, tag);
    pool.length[slot] += 4;
  }
  pool.checksumFrom[slot] = pool.start[slot]! + pool.length[slot] - transport;
}

/** What a kernel leaves in the checksum field. */
function seed(of: Case, protocol: number, transport: Uint8Array, at: number): void {
  writeU16(transport, at, foldSum(pseudoHeaderSum(addressesOf(of), protocol, transport.length)));
}

function loadSuper(pool: FramePool, slot: number, of: Case): void {
  const tcp = new Uint8Array(60 + of.payload.length);
  const segment = tcp.subarray(0, emitTcp(tcpOf(of), tcp, addressesOf(of)));
  seed(of, IP_PROTOCOL.tcp, segment, TCP_AT.checksum);
  load(pool, slot, of, packetOf(of, IP_PROTOCOL.tcp, segment), segment.length);
  pool.offload[slot] = of.isIpv4 ? OFFLOAD.tcp4 : OFFLOAD.tcp6;
  pool.checksumOffset[slot] = TCP_AT.checksum;
  pool.segmentOctets[slot] = of.segmentOctets;
}

/** The network packet in a frame, after its tags. */
function networkOf(of: Case, frame: Uint8Array): Uint8Array {
  return frame.subarray(14 + 4 * of.tags.length);
}

test("the segments of a super-frame are whole packets that carry its stream", () => {
  const pool = new FramePool(2);
  const [whole, part] = [pool.take(), pool.take()];
  const plan = new SegmentPlan();
  always(cases, (of) => {
    pool.rewind(whole);
    loadSuper(pool, whole, of);
    const before = pool.frame(whole).slice();
    assert.equal(plan.load(pool, whole), true);
    assert.equal(plan.count, Math.ceil(of.payload.length / of.segmentOctets));
    let at = 0;
    for (let index = 0; index < plan.count; index++) {
      plan.emit(pool, index, part);
      assert.equal(pool.offload[part], OFFLOAD.none);
      const frame = pool.frame(part);
      const headers = 14 + 4 * of.tags.length;
      assert.deepEqual(frame.subarray(0, headers), before.subarray(0, headers));
      const network = networkOf(of, frame);
      const transport = of.isIpv4 ? checkIpv4(of, network, index) : checkIpv6(network);
      const tcp = TcpView.over(transport)!;
      assert.equal(tcp.problem(addressesOf(of)), undefined);
      assert.equal(tcp.sequence, (of.sequence + at) % 2 ** 32);
      assert.equal(tcp.flags, flagsOf(of, index, plan.count));
      assert.deepEqual(tcp.optionOctets.length, of.hasTimestamps ? 12 : 0);
      assert.deepEqual(tcp.payload, of.payload.subarray(at, at + of.segmentOctets));
      at += tcp.payload.length;
    }
    assert.equal(at, of.payload.length);
    assert.deepEqual(pool.frame(whole), before, "the super-frame itself stays as it is");
  });
});

function checkIpv4(of: Case, packet: Uint8Array, index: number): Uint8Array {
  const view = Ipv4View.over(packet)!;
  assert.equal(view.problem, undefined);
  assert.equal(view.totalLengthOctets, packet.length);
  assert.equal(view.identification, (of.identification + index) & 0xffff);
  assert.equal(view.mayNotFragment, true);
  return view.payload;
}

function checkIpv6(packet: Uint8Array): Uint8Array {
  const view = Ipv6View.over(packet)!;
  assert.equal(view.problem, undefined);
  assert.equal(view.payloadLengthOctets, packet.length - 40);
  return packet.subarray(view.walk.at);
}

function flagsOf({ flags }: Case, index: number, count: number): number {
  const last = index < count - 1 ? TCP_FLAG.fin | TCP_FLAG.psh : 0;
  const first = index > 0 ? TCP_FLAG.cwr : 0;
  return flags & ~(last | first);
}

test("a checksum is filled in so that it verifies, and never as zero", () => {
  const pool = new FramePool(1);
  const slot = pool.take();
  always(cases, (of) => {
    pool.rewind(slot);
    const addresses = addressesOf(of);
    const into = new Uint8Array(8 + of.payload.length);
    emitUdp({ sourcePort: 1, targetPort: 2, payload: of.payload }, into, addresses);
    seed(of, IP_PROTOCOL.udp, into, UDP_AT.checksum);
    load(pool, slot, of, packetOf(of, IP_PROTOCOL.udp, into), into.length);
    pool.offload[slot] = OFFLOAD.checksum;
    pool.checksumOffset[slot] = UDP_AT.checksum;
    completeChecksum(pool, slot);
    assert.equal(pool.offload[slot], OFFLOAD.none);
    const frame = pool.frame(slot);
    const udp = UdpView.over(frame.subarray(frame.length - into.length))!;
    assert.equal(udp.problem(addresses), undefined);
    assert.notEqual(udp.checksum, 0);
  });
});

test("a padded frame gets the checksum of the frame before it was padded", () => {
  const pool = new FramePool(2);
  const [plain, padded] = [pool.take(), pool.take()];
  const octets = Uint8Array.from({ length: 54 }, (_, i) => i);
  for (const slot of [plain, padded]) {
    pool.frame(slot);
    pool.octets.set(octets, pool.start[slot]);
    pool.length[slot] = slot === padded ? 60 : 54;
    pool.offload[slot] = OFFLOAD.checksum;
    pool.checksumFrom[slot] = pool.start[slot]! + 34;
    pool.checksumOffset[slot] = 16;
    completeChecksum(pool, slot);
  }
  assert.deepEqual(pool.frame(padded).subarray(0, 54), pool.frame(plain));
});

test("a frame that is not what it was said to be is refused, whatever it is", () => {
  const pool = new FramePool(3);
  const [slot, part, other] = [pool.take(), pool.take(), pool.take()];
  const plan = new SegmentPlan();
  pool.octets.fill(0xee, pool.start[other], pool.start[other]! + 6000);
  pool.length[other] = 6000;
  const untouched = pool.frame(other).slice();
  const damages = fc.tuple(
    cases,
    fc.array(fc.tuple(fc.nat(110), u8), { maxLength: 6 }),
    fc.tuple(fc.nat(200), fc.nat(40), fc.nat(5200)),
    fc.boolean(),
  );
  always(damages, ([of, changes, [from, offset, length], isHeaderDamaged]) => {
    pool.rewind(slot);
    loadSuper(pool, slot, of);
    for (const [at, octet] of changes) pool.octets[pool.start[slot]! + at] = octet;
    if (isHeaderDamaged) {
      pool.checksumFrom[slot] = pool.start[slot]! + from;
      pool.checksumOffset[slot] = offset;
      pool.length[slot] = length;
    }
    if (!plan.load(pool, slot)) return;
    for (let index = 0; index < plan.count; index++) {
      plan.emit(pool, index, part);
      assert.ok(pool.length[part]! <= pool.length[slot]!);
    }
    assert.deepEqual(pool.frame(other), untouched);
  });
});

test("a super-frame over the other IP version, or of another protocol, is refused", () => {
  const pool = new FramePool(1);
  const slot = pool.take();
  const plan = new SegmentPlan();
  const of: Case = {
    isIpv4: true,
    addresses4: [Uint8Array.of(10, 0, 0, 1), Uint8Array.of(10, 0, 0, 2)],
    addresses6: [new Uint8Array(16), new Uint8Array(16)],
    identification: 1,
    sequence: 1,
    flags: TCP_FLAG.ack,
    hasTimestamps: true,
    hasIpOptions: false,
    tags: [],
    payload: new Uint8Array(3000),
    segmentOctets: 1000,
  };
  const wrong: readonly ((start: number) => void)[] = [
    () => (pool.offload[slot] = OFFLOAD.tcp6),
    (start) => (pool.octets[start + 14 + 9] = IP_PROTOCOL.udp),
    (start) => (pool.octets[start + 14 + 3]! ^= 1),
    (start) => (pool.octets[start + 14] = 0x46),
    (start) => (pool.octets[start + 34 + 12] = 0x40),
    () => (pool.segmentOctets[slot] = 0),
    () => (pool.checksumOffset[slot] = UDP_AT.checksum),
    () => (pool.length[slot] = 66),
  ];
  for (const damage of [undefined, ...wrong]) {
    pool.rewind(slot);
    loadSuper(pool, slot, of);
    damage?.(pool.start[slot]!);
    assert.equal(plan.load(pool, slot), damage === undefined, String(damage));
  }
});
