import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { always, anyOctets, ipv4, mac, record } from "../../test/properties.ts";
import { type Arp, ARP_OCTETS, ArpView, emitArp, parseArp, printArp } from "./arp.ts";
import { parseIpv4, parseMac } from "../base/index.ts";

const question: Arp = {
  operation: "request",
  senderMac: parseMac("02:00:00:00:00:02")!,
  senderIp: parseIpv4("10.0.0.2")!,
  targetMac: new Uint8Array(6),
  targetIp: parseIpv4("10.0.0.1")!,
};

function viewOf(arp: Arp, paddedOctets = ARP_OCTETS): ArpView {
  const octets = new Uint8Array(paddedOctets);
  assert.equal(emitArp(arp, octets), ARP_OCTETS);
  return ArpView.over(octets)!;
}

test("a packet survives emit and parse", () => {
  const packets: fc.Arbitrary<Arp> = record({
    operation: fc.constantFrom("request" as const, "reply" as const),
    senderMac: mac,
    senderIp: ipv4,
    targetMac: mac,
    targetIp: ipv4,
  });
  always(packets, (arp) => assert.deepEqual(parseArp(viewOf(arp)), arp));
});

test("other hardware, other protocols and other operations are refused", () => {
  for (const at of [0, 2, 4, 5, 6]) {
    const { octets } = viewOf(question);
    octets[at]! ^= 0x10;
    const view = ArpView.over(octets)!;
    assert.equal(parseArp(view), undefined, `octet ${at}`);
    assert.equal(view.problem, at === 6 ? "operation" : "address-kind");
  }
});

test("any octets print or are too short", () => {
  always(anyOctets, (octets) => {
    const view = ArpView.over(octets);
    assert.equal(view === undefined, octets.length < 28);
    if (view !== undefined) assert.match(printArp(view), /^ARP, .*, length \d+$/);
  });
});

test("questions and answers print as tcpdump does", () => {
  const asked = "ARP, Request who-has 10.0.0.1 tell 10.0.0.2, length 46";
  assert.equal(printArp(viewOf(question, 46)), asked);
  const aimed = { ...question, targetMac: parseMac("02:00:00:00:00:01")! };
  const aimedLine = "ARP, Request who-has 10.0.0.1 (02:00:00:00:00:01) tell 10.0.0.2, length 28";
  assert.equal(printArp(viewOf(aimed)), aimedLine);
  const answer: Arp = { ...question, operation: "reply" };
  assert.equal(printArp(viewOf(answer)), "ARP, Reply 10.0.0.2 is-at 02:00:00:00:00:02, length 28");
});
