import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { always, anyOctets, ipv4, payload, record, u16, u32, u8 } from "../../test/properties.ts";
import { V2Error } from "../base/index.ts";
import { parseIpv4 } from "../base/index.ts";
import { emitIcmp, type Icmp, IcmpView, parseIcmp, printIcmp, UNREACHABLE_CODE } from "./icmp.ts";
import { emitIpv4Packet } from "./ipv4.ts";

function viewOf(icmp: Icmp): IcmpView {
  const octets = new Uint8Array(1000);
  return IcmpView.over(octets.subarray(0, emitIcmp(icmp, octets)))!;
}

/** The start of a UDP packet from 10.0.0.1 to port 53 of 10.0.0.2, as an error quotes it. */
function quoted(protocol: number): Uint8Array {
  const octets = new Uint8Array(28);
  emitIpv4Packet(
    {
      trafficClass: 0,
      identification: 1,
      mayNotFragment: false,
      hasMoreFragments: false,
      fragmentOffsetOctets: 0,
      timeToLive: 1,
      protocol,
      source: parseIpv4("10.0.0.1")!,
      target: parseIpv4("10.0.0.2")!,
      options: new Uint8Array(0),
      payload: Uint8Array.of(4, 210, 0, 53, 0, 8, 0, 0),
    },
    octets,
  );
  return octets;
}

const messages: fc.Arbitrary<Icmp> = fc.oneof(
  record<Icmp>({
    kind: fc.constantFrom("echo-request" as const, "echo-reply" as const),
    identifier: u16,
    sequence: u16,
    payload,
  }),
  record<Icmp>({
    kind: fc.constant("unreachable" as const),
    code: fc.constant(UNREACHABLE_CODE.fragmentationNeeded),
    nextMtuOctets: u16,
    about: payload,
  }),
  record<Icmp>({
    kind: fc.constant("unreachable" as const),
    code: u8.filter((code) => code !== UNREACHABLE_CODE.fragmentationNeeded),
    nextMtuOctets: fc.constant(0),
    about: payload,
  }),
  record<Icmp>({ kind: fc.constant("time-exceeded" as const), code: u8, about: payload }),
  record<Icmp>({ kind: fc.constant("redirect" as const), code: u8, gateway: ipv4, about: payload }),
  record<Icmp>({
    kind: fc.constant("parameter-problem" as const),
    code: u8,
    pointer: u8,
    about: payload,
  }),
  record<Icmp>({
    kind: fc.constant("other" as const),
    type: fc.integer({ min: 13, max: 255 }),
    code: u8,
    rest: u32,
    payload,
  }),
);

test("every message survives emit and parse", () => {
  always(messages, (icmp) => assert.deepEqual(parseIcmp(viewOf(icmp)), icmp));
});

test("a damaged message is refused", () => {
  const { octets } = viewOf({
    kind: "echo-request",
    identifier: 1,
    sequence: 2,
    payload: quoted(17),
  });
  octets[10]! ^= 4;
  assert.equal(parseIcmp(IcmpView.over(octets)!), undefined);
});

test("any octets print or are too short", () => {
  always(anyOctets, (octets) => {
    const view = IcmpView.over(octets);
    if (view === undefined) return;
    parseIcmp(view);
    assert.match(printIcmp(view), /^ICMP .*, length \d+$/);
  });
});

test("a field that does not fit is not emitted", () => {
  const echo: Icmp = { kind: "echo-request", identifier: 65_536, sequence: 0, payload: quoted(17) };
  assert.throws(() => viewOf(echo), V2Error);
});

test("messages print as tcpdump does", () => {
  const udp = quoted(17);
  const cases: readonly (readonly [Icmp, string])[] = [
    [
      { kind: "echo-request", identifier: 7, sequence: 1, payload: new Uint8Array(56) },
      "ICMP echo request, id 7, seq 1, length 64",
    ],
    [
      { kind: "unreachable", code: 3, nextMtuOctets: 0, about: udp },
      "ICMP 10.0.0.2 udp port 53 unreachable, length 36",
    ],
    [
      { kind: "unreachable", code: 1, nextMtuOctets: 0, about: udp },
      "ICMP host 10.0.0.2 unreachable, length 36",
    ],
    [
      { kind: "unreachable", code: 4, nextMtuOctets: 1400, about: udp },
      "ICMP 10.0.0.2 unreachable - need to frag (mtu 1400), length 36",
    ],
    [
      { kind: "unreachable", code: 2, nextMtuOctets: 0, about: quoted(47) },
      "ICMP 10.0.0.2 protocol 47 unreachable, length 36",
    ],
    [{ kind: "time-exceeded", code: 0, about: udp }, "ICMP time exceeded in-transit, length 36"],
    [
      { kind: "redirect", code: 1, gateway: parseIpv4("10.0.0.254")!, about: udp },
      "ICMP redirect 10.0.0.2 to host 10.0.0.254, length 36",
    ],
  ];
  for (const [icmp, line] of cases) assert.equal(printIcmp(viewOf(icmp)), line);
});
