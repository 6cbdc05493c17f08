import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { always, ipv4, ipv6, mac } from "../../test/properties.ts";
import { V2Error } from "./errors.ts";
import {
  broadcastOf,
  isBroadcastMac,
  isGroupMac,
  isLinkLocal,
  isMulticast,
  isUnspecified,
  linkLocalOf,
  multicastMac,
  netmaskOf,
  networkOf,
  parseAddress,
  parseIpv4,
  parseIpv6,
  parseMac,
  parsePrefix,
  prefixContains,
  printAddress,
  printIpv4,
  printIpv6,
  printMac,
  printPrefix,
  solicitedNodeGroup,
  macFromName,
} from "./address.ts";

const ip = (text: string) => parseAddress(text)!;

test("every address survives print and parse", () => {
  always(mac, (address) => assert.deepEqual(parseMac(printMac(address)), address));
  always(ipv4, (address) => assert.deepEqual(parseIpv4(printIpv4(address)), address));
  always(ipv6, (address) => assert.deepEqual(parseIpv6(printIpv6(address)), address));
  const sparse = fc.array(fc.constantFrom(0, 0, 0, 1, 0xff), { minLength: 16, maxLength: 16 });
  always(sparse, (octets) => {
    const address = Uint8Array.from(octets);
    assert.deepEqual(parseIpv6(printIpv6(address)), address);
  });
});

test("IPv6 text is the one of RFC 5952", () => {
  const cases = [
    ["2001:0db8::0001", "2001:db8::1"],
    ["2001:db8:0:0:0:0:2:1", "2001:db8::2:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:DB8::AAAA", "2001:db8::aaaa"],
    ["::ffff:192.0.2.1", "::ffff:192.0.2.1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["1::", "1::"],
    ["::1", "::1"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
  ] as const;
  for (const [given, canonical] of cases) assert.equal(printIpv6(parseIpv6(given)!), canonical);
});

test("text that is not exactly one address is refused", () => {
  for (const text of ["", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.0.0.1", " 1.2.3.4", "1.2.3.x"]) {
    assert.equal(parseIpv4(text), undefined, text);
  }
  const wrong = [
    "",
    ":",
    ":::",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1::2::3",
    "12345::",
    "1:2:3:4:5:6:7::8",
    "fe80::1%eth0",
    "::1.2.3",
    "1.2.3.4::",
    "g::",
    ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:",
  ];
  for (const text of wrong) assert.equal(parseIpv6(text), undefined, text);
  for (const text of ["02:00:00:00:00", "02:00:00:00:00:0g", "020000000001", "02-00:00:00:00:01"]) {
    assert.equal(parseMac(text), undefined, text);
  }
});

test("any text is either refused or prints to something that reads the same", () => {
  always(
    fc.string({ unit: fc.constantFrom(...Array.from("0123456789abcf:.:/")), maxLength: 24 }),
    (text) => {
      const prefix = parsePrefix(text);
      if (prefix !== undefined) assert.deepEqual(parsePrefix(printPrefix(prefix)), prefix);
    },
  );
});

test("a prefix keeps the host part and knows its network", () => {
  const prefix = parsePrefix("10.77.0.2/24")!;
  assert.equal(printPrefix(prefix), "10.77.0.2/24");
  assert.equal(printAddress(networkOf(prefix)), "10.77.0.0");
  assert.equal(printAddress(broadcastOf(prefix)), "10.77.0.255");
  assert.ok(prefixContains(prefix, ip("10.77.0.255")));
  assert.ok(!prefixContains(prefix, ip("10.77.1.0")));
  assert.ok(!prefixContains(prefix, ip("::1")));
  assert.ok(prefixContains(parsePrefix("fd00:77::/61")!, ip("fd00:77:0:7::9")));
  assert.ok(!prefixContains(parsePrefix("fd00:77::/61")!, ip("fd00:77:0:8::9")));
  assert.ok(prefixContains(parsePrefix("0.0.0.0/0")!, ip("255.1.2.3")));
  assert.equal(parsePrefix("10.0.0.1")!.lengthBits, 32);
  for (const text of ["10.0.0.1/33", "10.0.0.1/", "10.0.0.1/-1", "10.0.0.1/08", "::/129", "/8"]) {
    assert.equal(parsePrefix(text), undefined, text);
  }
});

test("a netmask exists for 0 to 32 bits only", () => {
  assert.deepEqual(
    [0, 1, 20, 24, 32].map((bits) => printIpv4(netmaskOf(bits))),
    ["0.0.0.0", "128.0.0.0", "255.255.240.0", "255.255.255.0", "255.255.255.255"],
  );
  assert.throws(() => netmaskOf(33), V2Error);
});

test("addresses are told apart by their kind", () => {
  assert.ok(isGroupMac(parseMac("33:33:00:00:00:01")!));
  assert.ok(!isGroupMac(parseMac("02:00:00:00:00:01")!));
  assert.ok(isBroadcastMac(parseMac("ff:ff:ff:ff:ff:ff")!));
  assert.ok(isMulticast(ip("224.0.0.1")) && isMulticast(ip("239.255.255.255")));
  assert.ok(
    isMulticast(ip("ff02::1")) && !isMulticast(ip("fe80::1")) && !isMulticast(ip("240.0.0.1")),
  );
  assert.ok(
    isLinkLocal(ip("169.254.1.1")) && isLinkLocal(ip("febf::1")) && !isLinkLocal(ip("fec0::1")),
  );
  assert.ok(isUnspecified(ip("::")) && isUnspecified(ip("0.0.0.0")) && !isUnspecified(ip("::1")));
});

test("derived addresses follow their RFCs", () => {
  assert.equal(printMac(multicastMac(ip("224.129.2.3"))), "01:00:5e:01:02:03");
  assert.equal(printMac(multicastMac(ip("ff02::1:ff00:2"))), "33:33:ff:00:00:02");
  assert.equal(printIpv6(solicitedNodeGroup(ip("fd00::12:3456"))), "ff02::1:ff12:3456");
  assert.equal(printIpv6(linkLocalOf(parseMac("02:00:00:00:00:01")!)), "fe80::ff:fe00:1");
});

test("a MAC made from a name is stable, unicast and locally administered", () => {
  const names = Array.from({ length: 1000 }, (_, i) => `node${i}:eth0`);
  const made = names.map((name) => printMac(macFromName(name)));
  assert.equal(new Set(made).size, names.length);
  assert.deepEqual(
    made,
    names.map((name) => printMac(macFromName(name))),
  );
  for (const text of made) assert.ok(text.startsWith("02:"));
});
