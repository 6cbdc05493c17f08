import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import {
  always,
  anyOctets,
  ipv6,
  mac,
  pair6,
  payload,
  record,
  u16,
  u32,
  u8,
} from "../../test/properties.ts";
import { V2Error } from "../base/index.ts";
import { parseIpv6, parseMac } from "../base/index.ts";
import { emitIcmp6, type Icmp6, Icmp6View, parseIcmp6, printIcmp6 } from "./icmp6.ts";
import { emitNdOptions, type NdOption, parseNdOptions } from "./nd-options.ts";

const addresses = { source: parseIpv6("fe80::1")!, target: parseIpv6("fe80::2")! };

function viewOf(icmp: Icmp6, pair = addresses): Icmp6View {
  const octets = new Uint8Array(2000).fill(0xaa);
  return Icmp6View.over(octets.subarray(0, emitIcmp6(icmp, octets, pair)))!;
}

const ndOption: fc.Arbitrary<NdOption> = fc.oneof(
  record<NdOption>({ kind: fc.constantFrom("source-mac" as const, "target-mac" as const), mac }),
  record<NdOption>({
    kind: fc.constant("prefix" as const),
    prefix: ipv6,
    lengthBits: fc.nat(128),
    isOnLink: fc.boolean(),
    isAutonomous: fc.boolean(),
    validSeconds: u32,
    preferredSeconds: u32,
  }),
  record<NdOption>({ kind: fc.constant("mtu" as const), octets: u32 }),
  record<NdOption>({
    kind: fc.constant("dns-servers" as const),
    lifetimeSeconds: u32,
    servers: fc.array(ipv6, { minLength: 1, maxLength: 3 }),
  }),
  fc.integer({ min: 1, max: 3 }).map((units): NdOption => {
    const octets = new Uint8Array(8 * units).fill(9);
    octets.set([200, units]);
    return { kind: "other", octets };
  }),
);
const options = fc.array(ndOption, { maxLength: 4 });

const messages: fc.Arbitrary<Icmp6> = fc.oneof(
  record<Icmp6>({
    kind: fc.constantFrom("echo-request" as const, "echo-reply" as const),
    identifier: u16,
    sequence: u16,
    payload,
  }),
  record<Icmp6>({
    kind: fc.constantFrom("unreachable" as const, "time-exceeded" as const),
    code: u8,
    about: payload,
  }),
  record<Icmp6>({ kind: fc.constant("packet-too-big" as const), mtuOctets: u32, about: payload }),
  record<Icmp6>({
    kind: fc.constant("parameter-problem" as const),
    code: u8,
    pointer: u32,
    about: payload,
  }),
  record<Icmp6>({ kind: fc.constant("router-solicitation" as const), options }),
  record<Icmp6>({
    kind: fc.constant("router-advertisement" as const),
    hopLimit: u8,
    isManaged: fc.boolean(),
    hasOtherConfiguration: fc.boolean(),
    lifetimeSeconds: u16,
    reachableMs: u32,
    retransmitMs: u32,
    options,
  }),
  record<Icmp6>({ kind: fc.constant("neighbor-solicitation" as const), target: ipv6, options }),
  record<Icmp6>({
    kind: fc.constant("neighbor-advertisement" as const),
    target: ipv6,
    isRouter: fc.boolean(),
    isSolicited: fc.boolean(),
    isOverride: fc.boolean(),
    options,
  }),
  record<Icmp6>({
    kind: fc.constant("other" as const),
    type: fc.integer({ min: 137, max: 255 }),
    code: u8,
    rest: u32,
    payload,
  }),
);

test("every message survives emit and parse", () => {
  always(fc.tuple(messages, pair6), ([icmp, pair]) => {
    assert.deepEqual(parseIcmp6(viewOf(icmp, pair), pair), icmp);
  });
});

test("a message to another address or with damage is refused", () => {
  const echo: Icmp6 = {
    kind: "echo-request",
    identifier: 1,
    sequence: 1,
    payload: new Uint8Array(9),
  };
  const elsewhere = { source: addresses.source, target: parseIpv6("fe80::3")! };
  assert.equal(parseIcmp6(viewOf(echo), elsewhere), undefined);
});

test("neighbour messages with a code, too short, or with an option of length 0 are discarded", () => {
  const target = parseIpv6("fe80::9")!;
  const sound: Icmp6 = { kind: "neighbor-solicitation", target, options: [] };
  const octets = viewOf(sound).octets.slice();
  const resum = (length: number, change: (copy: Uint8Array) => void) => {
    const copy = new Uint8Array(length);
    copy.set(octets.subarray(0, length));
    change(copy);
    // `other` writes what it is given, with a right checksum over the damage.
    const damaged: Icmp6 = {
      kind: "other",
      type: copy[0]!,
      code: copy[1]!,
      rest: 0,
      payload: copy.slice(8),
    };
    return parseIcmp6(viewOf(damaged), addresses);
  };
  assert.deepEqual(
    resum(24, () => undefined),
    sound,
  );
  assert.equal(
    resum(24, (copy) => copy.fill(1, 1, 2)),
    undefined,
  );
  assert.equal(
    resum(23, () => undefined),
    undefined,
  );
  assert.equal(
    resum(32, (copy) => copy.fill(1, 24, 25)),
    undefined,
  );
});

test("options of length 0 or over the end refuse the list, odd shapes are kept as they are", () => {
  assert.equal(parseNdOptions(new Uint8Array(8)), undefined);
  assert.equal(parseNdOptions(Uint8Array.of(1, 2, 0, 0, 0, 0, 0, 0)), undefined);
  const long = new Uint8Array(16);
  long.set([1, 2]);
  assert.deepEqual(parseNdOptions(long), [{ kind: "other", octets: long }]);
  assert.throws(() => emitNdOptions([{ kind: "other", octets: new Uint8Array(8) }], long), V2Error);
});

test("any octets print, parse or are too short", () => {
  always(anyOctets, (octets) => {
    parseNdOptions(octets);
    const view = Icmp6View.over(octets);
    if (view === undefined) return;
    parseIcmp6(view, addresses);
    assert.match(printIcmp6(view), /^ICMP6, .*, length \d+$/);
  });
});

test("messages print as tcpdump does", () => {
  const target = parseIpv6("fd00::2")!;
  const own: NdOption = { kind: "source-mac", mac: parseMac("02:00:00:00:00:01")! };
  const lineOf = (icmp: Icmp6) => printIcmp6(viewOf(icmp));
  assert.equal(
    lineOf({ kind: "neighbor-solicitation", target, options: [own] }),
    "ICMP6, neighbor solicitation, who has fd00::2, length 32",
  );
  assert.equal(
    lineOf({ kind: "packet-too-big", mtuOctets: 1280, about: new Uint8Array(40) }),
    "ICMP6, packet too big, mtu 1280, length 48",
  );
  assert.equal(
    lineOf({ kind: "router-solicitation", options: [] }),
    "ICMP6, router solicitation, length 8",
  );
});
