import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { always, anyOctets, u16 } from "../../test/properties.ts";
import { realFrames } from "../../test/real-frames.ts";
import { fromHex } from "../base/index.ts";
import { printFrame } from "./print.ts";

/** 10.0.0.1 port 1234 says "hi" to port 53 of 10.0.0.2. */
const UDP_FRAME = fromHex(
  "ffffffffffff 020000000001 0800 4500001e0001000040110000 0a000001 0a000002 04d20035000a0000 6869",
)!;

test("the recorded frames print the golden lines", () => {
  const lines = realFrames().map((frame) => printFrame(frame));
  const golden = [
    "IP6 :: > ff02::1:ff00:1: ICMP6, neighbor solicitation, who has fe80::ff:fe00:1, length 32",
    "IP6 :: > ff02::16: HBH ICMP6, multicast listener report v2, 1 group record(s), length 28",
    "ARP, Request who-has 10.77.0.2 tell 10.77.0.1, length 28",
    "ARP, Reply 10.77.0.2 is-at 02:00:00:00:00:02, length 28",
    "IP 10.77.0.1 > 10.77.0.2: ip-proto-1",
    "IP 10.77.0.2 > 10.77.0.1: ICMP 10.77.0.2 udp port 9999 unreachable, length 42",
    "IP6 fd00:77::1 > fd00:77::2: frag (1448|1448)",
    "IP6 fd00:77::2 > fd00:77::1: ICMP6, neighbor advertisement, tgt is fd00:77::2, length 32",
    "IP6 fd00:77::2 > fd00:77::1: ICMP6, destination unreachable, unreachable port, fd00:77::2 udp port 9999, length 62",
  ];
  for (const line of golden) assert.ok(lines.includes(line), line);
  const patterns = [
    /^IP 10\.77\.0\.1\.\d+ > 10\.77\.0\.2\.8080: Flags \[S\], seq \d+, win 64240, options \[mss 1460,sackOK,TS val \d+ ecr 0,nop,wscale 10\], length 0$/,
    /^IP 10\.77\.0\.2\.9 > 10\.77\.0\.1\.\d+: Flags \[R\.\], seq 0, ack \d+, win 0, length 0$/,
    /^IP6 fd00:77::1 > fd00:77::2: frag \(0\|1448\) ICMP6, echo request, id \d+, seq 1, length 1448$/,
    /^IP6 fd00:77::1\.\d+ > fd00:77::2\.9999: UDP, length 6$/,
  ];
  for (const pattern of patterns)
    assert.ok(
      lines.some((line) => pattern.test(line)),
      `${pattern}`,
    );
});

test("link addresses and tags come in front when asked for or there", () => {
  const plain = "IP 10.0.0.1.1234 > 10.0.0.2.53: UDP, length 2";
  assert.equal(printFrame(UDP_FRAME), plain);
  const link = "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, ethertype IPv4 (0x0800), length 44: ";
  assert.equal(printFrame(UDP_FRAME, { showsLink: true }), link + plain);
  const tagged = new Uint8Array(UDP_FRAME.length + 4);
  tagged.set(UDP_FRAME.subarray(0, 12));
  tagged.set([0x81, 0x00, 0x20, 0x05], 12);
  tagged.set(UDP_FRAME.subarray(12), 16);
  assert.equal(printFrame(tagged), `vlan 5, p 1, ${plain}`);
  assert.equal(printFrame(tagged.subarray(0, 17)), "[cut in a VLAN tag]");
});

test("a packet longer than its frame says how much is missing", () => {
  const missing = "IP [1 octets missing] 10.0.0.1.1234 > 10.0.0.2.53: UDP, length 2 [cut]";
  assert.equal(printFrame(UDP_FRAME.subarray(0, 43)), missing);
  const neighbour = realFrames().find((frame) => printFrame(frame).includes("neighbor"))!;
  assert.match(printFrame(neighbour.subarray(0, 80)), /^IP6 \[6 octets missing\] .*, length 32$/);
});

test("a frame cut at any octet still gives one line without control characters", () => {
  for (const frame of realFrames()) {
    for (let length = 0; length <= Math.min(frame.length, 120); length++) {
      assert.match(printFrame(frame.subarray(0, length)), /^[ -~]+$/);
    }
  }
});

test("any octets print one line", () => {
  const frames = fc.tuple(
    anyOctets,
    fc.oneof(u16, fc.constantFrom(0x0800, 0x0806, 0x86dd, 0x8100)),
  );
  always(frames, ([octets, etherType]) => {
    if (octets.length >= 14) octets.set([etherType >>> 8, etherType & 0xff], 12);
    assert.match(printFrame(octets, { showsLink: true }), /^[ -~]+$/);
  });
});
