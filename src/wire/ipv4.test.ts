import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { always, anyOctets, ipv4, payload, record, u16, u8 } from "../../test/properties.ts";
import { V2Error } from "../base/index.ts";
import { parseIpv4 } from "../base/index.ts";
import { checksumOf, sumOctets } from "./checksum.ts";
import { emitIpv4Packet, type Ipv4, Ipv4View, parseIpv4Packet, printIpv4Packet } from "./ipv4.ts";

const packet: Ipv4 = {
  trafficClass: 0,
  identification: 7,
  mayNotFragment: true,
  hasMoreFragments: false,
  fragmentOffsetOctets: 0,
  timeToLive: 64,
  protocol: 17,
  source: parseIpv4("10.0.0.1")!,
  target: parseIpv4("10.0.0.2")!,
  options: new Uint8Array(0),
  payload: Uint8Array.of(1, 2, 3),
};

function octetsOf(ip: Ipv4): Uint8Array {
  const octets = new Uint8Array(2000);
  return octets.subarray(0, emitIpv4Packet(ip, octets));
}

test("a packet with options survives emit and parse", () => {
  const packets: fc.Arbitrary<Ipv4> = record({
    trafficClass: u8,
    identification: u16,
    mayNotFragment: fc.boolean(),
    hasMoreFragments: fc.boolean(),
    fragmentOffsetOctets: fc.nat(0x1fff).map((units) => units * 8),
    timeToLive: u8,
    protocol: u8,
    source: ipv4,
    target: ipv4,
    options: fc.nat(10).map((words) => new Uint8Array(words * 4).fill(1)),
    payload,
  });
  always(packets, (ip) => assert.deepEqual(parseIpv4Packet(Ipv4View.over(octetsOf(ip))!), ip));
});

test("the checksum of a known header comes out", () => {
  const header = Uint8Array.of(
    69,
    0,
    0,
    60,
    28,
    70,
    64,
    0,
    64,
    6,
    0,
    0,
    172,
    16,
    10,
    99,
    172,
    16,
    10,
    12,
  );
  assert.equal(checksumOf(sumOctets(header, 0, 20)), 0xb1e6);
});

test("Ethernet padding after the total length is not payload", () => {
  const padded = new Uint8Array(46);
  padded.set(octetsOf(packet));
  assert.deepEqual(parseIpv4Packet(Ipv4View.over(padded)!)?.payload, packet.payload);
});

test("each way to be broken has its name", () => {
  const breakAt = (at: number, value: number) => {
    const octets = octetsOf(packet).slice();
    octets[at] = value;
    const view = Ipv4View.over(octets)!;
    assert.equal(parseIpv4Packet(view), undefined);
    return view.problem;
  };
  assert.equal(breakAt(0, 0x65), "version");
  assert.equal(breakAt(0, 0x44), "header-length");
  assert.equal(breakAt(0, 0x4f), "header-length");
  assert.equal(breakAt(3, 19), "total-length");
  assert.equal(breakAt(2, 1), "total-length");
  assert.equal(breakAt(8, 63), "checksum");
  assert.equal(Ipv4View.over(new Uint8Array(19)), undefined);
});

test("any octets can be asked for every field", () => {
  always(anyOctets, (octets) => {
    const view = Ipv4View.over(octets);
    if (view === undefined) return;
    parseIpv4Packet(view);
    printIpv4Packet(view);
    assert.ok(view.options.length <= 40);
    assert.ok(view.payload.length <= octets.length);
  });
});

test("what the header can not say is refused", () => {
  const into = new Uint8Array(70_000);
  const refused = (change: Partial<Ipv4>) =>
    assert.throws(() => emitIpv4Packet({ ...packet, ...change }, into), V2Error);
  refused({ options: new Uint8Array(44) });
  refused({ options: new Uint8Array(3) });
  refused({ fragmentOffsetOctets: 4 });
  refused({ payload: new Uint8Array(65_516) });
});

test("a payload that is already in its place is not disturbed", () => {
  const into = new Uint8Array(64);
  into.set([9, 8, 7], 20);
  emitIpv4Packet({ ...packet, payload: into.subarray(20, 23) }, into);
  assert.deepEqual(into.slice(20, 23), Uint8Array.of(9, 8, 7));
});
