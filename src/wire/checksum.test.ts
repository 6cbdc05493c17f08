import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { always, record, u16 } from "../../test/properties.ts";
import { realFrames } from "../../test/real-frames.ts";
import { readU16, writeU16 } from "../base/index.ts";
import { checksumOf, foldSum, sumIsRight, sumOctets, updateChecksum } from "./checksum.ts";
import { FrameClass } from "./classify.ts";
import { pseudoHeaderSum } from "./checksum.ts";
import { EthernetView } from "./ethernet.ts";
import { IP_PROTOCOL } from "./ip-protocol.ts";
import { Ipv4View } from "./ipv4.ts";
import { Ipv6View } from "./ipv6.ts";

/** RFC 1071 §1 as it reads: add 16-bit words, carry around, one at a time. */
function plainSum(octets: Uint8Array, from: number, to: number): number {
  let sum = 0;
  for (let at = from; at < to; at += 2) {
    sum += (octets[at]! << 8) + (at + 1 < to ? octets[at + 1]! : 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

test("the example of RFC 1071 section 3 gives its sum", () => {
  const octets = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
  assert.equal(foldSum(sumOctets(octets, 0, 8)), 0xddf2);
  assert.equal(checksumOf(sumOctets(octets, 0, 8)), 0x220d);
});

test("the fast sum equals the plain one for every length, start and alignment", () => {
  const memory = new Uint8Array(4096);
  for (let at = 0; at < memory.length; at++) memory[at] = (at * 7919 + 3) & 0xff;
  for (let offset = 0; offset < 8; offset++) {
    const octets = memory.subarray(offset);
    for (let from = 0; from < 5; from++) {
      for (let length = 0; length < 700; length += length < 40 || length > 180 ? 1 : 13) {
        const fast = foldSum(sumOctets(octets, from, from + length));
        assert.equal(fast, plainSum(octets, from, from + length), `${offset} ${from} ${length}`);
      }
    }
  }
});

test("64 KiB of ones do not overflow the sum", () => {
  const octets = new Uint8Array(65_536).fill(0xff);
  assert.equal(foldSum(sumOctets(octets, 0, octets.length)), 0xffff);
  assert.equal(foldSum(sumOctets(octets, 1, octets.length)), plainSum(octets, 1, octets.length));
});

test("an incremental update equals a new sum over the changed octets", () => {
  const changes = record({
    octets: fc.uint8Array({ minLength: 4, maxLength: 64 }),
    at: fc.nat(30),
    after: u16,
  });
  always(changes, ({ octets, at, after }) => {
    const word = 2 * (at % Math.floor(octets.length / 2));
    const before = readU16(octets, word);
    const old = checksumOf(sumOctets(octets, 0, octets.length));
    writeU16(octets, word, after);
    const fresh = checksumOf(sumOctets(octets, 0, octets.length));
    const updated = updateChecksum(old, before, after);
    // All octets zero is the one case with two names for it, 0 and 0xffff; both verify.
    if (fresh !== 0xffff) assert.equal(updated, fresh);
    assert.ok(sumIsRight(sumOctets(octets, 0, octets.length, updated)) || fresh === 0xffff);
  });
});

test("RFC 1624 section 4: the corner case of its older equation comes out right", () => {
  assert.equal(updateChecksum(0xdd2f, 0x5555, 0x3285), 0x0000);
});

test("the checksums of real packets are right, and wrong after any bit flips", () => {
  const frameClass = new FrameClass();
  let checked = 0;
  for (const frame of realFrames()) {
    frameClass.classify(frame, 0, frame.length);
    const { protocol, transportAt, end, networkAt, ipVersion } = frameClass;
    if (transportAt < 0 || frameClass.isFragment) continue;
    const packet = EthernetView.over(frame)!.payload;
    const addresses = ipVersion === 4 ? Ipv4View.over(packet)! : Ipv6View.over(packet)!;
    const hasPseudo = protocol !== IP_PROTOCOL.icmp;
    const pseudo = hasPseudo ? pseudoHeaderSum(addresses, protocol, end - transportAt) : 0;
    assert.ok(sumIsRight(sumOctets(frame, transportAt, end, pseudo)));
    if (ipVersion === 4) assert.ok(sumIsRight(sumOctets(frame, networkAt, transportAt)));
    const damaged = frame.slice();
    damaged[transportAt + (checked % (end - transportAt))]! ^= 1 << (checked % 8);
    assert.ok(!sumIsRight(sumOctets(damaged, transportAt, end, pseudo)));
    checked++;
  }
  assert.ok(checked >= 40, `${checked} packets checked`);
});
