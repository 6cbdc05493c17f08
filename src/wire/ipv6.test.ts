import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { always, anyOctets, ipv6, payload, record, u8 } from "../../test/properties.ts";
import { V2Error } from "../base/index.ts";
import { parseIpv6 } from "../base/index.ts";
import { IP_PROTOCOL } from "./ip-protocol.ts";
import {
  emitIpv6Packet,
  type Ipv6,
  IPV6_EXTENSION_HEADERS_MAX,
  type Ipv6Extension,
  Ipv6View,
  Ipv6Walk,
  isExtensionHeader,
  parseIpv6Packet,
  printIpv6Packet,
} from "./ipv6.ts";

/** A padded extension header of `units` times 8 octets. */
function extension(protocol: number, units = 1): Ipv6Extension {
  const octets = new Uint8Array(8 * units);
  octets[1] = protocol === IP_PROTOCOL.authentication ? 2 * units - 2 : units - 1;
  return { protocol, octets };
}

const packet: Ipv6 = {
  trafficClass: 0,
  flowLabel: 0,
  hopLimit: 64,
  source: parseIpv6("fd00::1")!,
  target: parseIpv6("fd00::2")!,
  extensions: [],
  protocol: IP_PROTOCOL.udp,
  payload: Uint8Array.of(1, 2, 3, 4),
};

function octetsOf(ip: Ipv6): Uint8Array {
  const octets = new Uint8Array(4000);
  return octets.subarray(0, emitIpv6Packet(ip, octets));
}

/** The first octet of an extension header is what `emit` chains: leave it out of the comparison. */
function withoutLinks(ip: Ipv6): Ipv6 {
  const extensions = ip.extensions.map(({ protocol, octets }) => {
    const copy = octets.slice();
    copy[0] = 0;
    return { protocol, octets: copy };
  });
  return { ...ip, extensions };
}

test("a packet with extension headers survives emit and parse", () => {
  const kinds = fc.constantFrom(
    IP_PROTOCOL.hopByHop,
    IP_PROTOCOL.routing,
    IP_PROTOCOL.targetOptions,
    IP_PROTOCOL.authentication,
    IP_PROTOCOL.mobility,
  );
  const packets: fc.Arbitrary<Ipv6> = record({
    trafficClass: u8,
    flowLabel: fc.nat(0xf_ffff),
    hopLimit: u8,
    source: ipv6,
    target: ipv6,
    extensions: fc.array(
      fc
        .tuple(kinds, fc.integer({ min: 1, max: 4 }))
        .map(([kind, units]) => extension(kind, units)),
      { maxLength: 5 },
    ),
    protocol: u8.filter((protocol) => !isExtensionHeader(protocol)),
    payload,
  });
  always(packets, (ip) => {
    const parsed = parseIpv6Packet(Ipv6View.over(octetsOf(ip))!);
    assert.deepEqual(withoutLinks(parsed!), ip);
  });
});

test("the walk stops at the upper layer and remembers the fragment", () => {
  const fragment: Ipv6Extension = {
    protocol: IP_PROTOCOL.fragment,
    octets: Uint8Array.of(0, 0, 0x05, 0xa9, 1, 2, 3, 4),
  };
  const ip = { ...packet, extensions: [extension(IP_PROTOCOL.hopByHop, 2), fragment] };
  const { walk } = Ipv6View.over(octetsOf(ip))!;
  assert.equal(walk.protocol, IP_PROTOCOL.udp);
  assert.equal(walk.at, 40 + 16 + 8);
  assert.ok(walk.isWhole && walk.isFragment && walk.hasMoreFragments);
  assert.equal(walk.fragmentOffsetOctets, 0x5a8);
  assert.equal(walk.fragmentIdentification, 0x01020304);
});

test("the data of a later fragment is not taken for a header", () => {
  const later: Ipv6Extension = {
    protocol: IP_PROTOCOL.fragment,
    octets: Uint8Array.of(0, 0, 0x05, 0xa8, 0, 0, 0, 1),
  };
  // The fragmented part begins with destination options; in this piece there are only data octets.
  const ip = { ...packet, extensions: [later], protocol: IP_PROTOCOL.targetOptions };
  const view = Ipv6View.over(octetsOf(ip))!;
  assert.equal(view.walk.headerCount, 1);
  assert.equal(view.problem, undefined);
  assert.deepEqual(parseIpv6Packet(view)?.payload, packet.payload);
});

test("a walk that is used again remembers nothing of the packet before", () => {
  const walk = new Ipv6Walk();
  const octets = Uint8Array.of(17, 0, 0, 9, 0, 0, 0, 1, 5, 5);
  walk.walk(octets, IP_PROTOCOL.fragment, 0, octets.length);
  assert.ok(walk.isFragment);
  walk.walk(octets, IP_PROTOCOL.tcp, 8, octets.length);
  assert.deepEqual([walk.isFragment, walk.headerCount, walk.hasMoreFragments], [false, 0, false]);
});

test("each way to be broken has its name", () => {
  const octets = octetsOf(packet).slice();
  const problem = (change: (copy: Uint8Array) => void) => {
    const copy = octets.slice();
    change(copy);
    const view = Ipv6View.over(copy)!;
    assert.equal(parseIpv6Packet(view), undefined);
    return view.problem;
  };
  assert.equal(
    problem((copy) => copy.fill(0x45, 0, 1)),
    "version",
  );
  assert.equal(
    problem((copy) => copy.fill(5, 5, 6)),
    "total-length",
  );
  assert.equal(
    problem((copy) => copy.fill(IP_PROTOCOL.routing, 6, 7)),
    "extension-header",
  );
});

test("a chain of extension headers has a limit", () => {
  const chain = (count: number) =>
    Array.from({ length: count }, () => extension(IP_PROTOCOL.targetOptions));
  const atLimit = { ...packet, extensions: chain(IPV6_EXTENSION_HEADERS_MAX) };
  assert.equal(Ipv6View.over(octetsOf(atLimit))!.problem, undefined);
  const above = { ...packet, extensions: chain(IPV6_EXTENSION_HEADERS_MAX + 1) };
  assert.equal(Ipv6View.over(octetsOf(above))!.problem, "extension-header");
});

test("an extension header whose length disagrees with itself is not emitted", () => {
  const wrong = { protocol: IP_PROTOCOL.routing, octets: Uint8Array.of(0, 3, 0, 0, 0, 0, 0, 0) };
  const isRefused = (error: unknown) =>
    error instanceof V2Error && error.code === "EXTENSION_LENGTH";
  assert.throws(() => octetsOf({ ...packet, extensions: [wrong] }), isRefused);
  const unknown = { protocol: IP_PROTOCOL.udp, octets: new Uint8Array(8) };
  assert.throws(() => octetsOf({ ...packet, extensions: [unknown] }), isRefused);
});

test("any octets can be asked for every field", () => {
  always(anyOctets, (octets) => {
    const view = Ipv6View.over(octets);
    if (view === undefined) return;
    parseIpv6Packet(view);
    printIpv6Packet(view);
    assert.ok(view.walk.at <= Math.max(view.end, 40));
  });
});
