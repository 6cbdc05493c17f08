import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { always, anyOctets } from "../../test/properties.ts";
import { realFrames } from "../../test/real-frames.ts";
import { FrameClass } from "./classify.ts";
import { ETHER_TYPE } from "./ethernet.ts";
import { IP_PROTOCOL } from "./ip-protocol.ts";
import { insertVlanTag } from "./vlan.ts";

function classOf(octets: Uint8Array, start = 0, length = octets.length - start): FrameClass {
  const frameClass = new FrameClass();
  frameClass.classify(octets, start, length);
  return frameClass;
}

test("real frames fall into the classes tcpdump gives them", () => {
  const count: Record<string, number> = {};
  for (const frame of realFrames()) {
    const { etherType, protocol, isFragment, ipVersion } = classOf(frame);
    const kind = ipVersion === 0 ? `type ${etherType.toString(16)}` : `${ipVersion}/${protocol}`;
    const key = isFragment ? `${kind} fragment` : kind;
    count[key] = (count[key] ?? 0) + 1;
  }
  assert.deepEqual(count, {
    "type 806": 5,
    "4/1": 5,
    "4/1 fragment": 6,
    "4/6": 16,
    "4/17": 1,
    "6/6": 8,
    "6/17": 1,
    "6/58": 24,
    "6/58 fragment": 6,
  });
});

test("tags are looked through, anywhere in a larger array", () => {
  const frame = realFrames().find((octets) => classOf(octets).targetPort === 9999)!;
  const memory = new Uint8Array(frame.length + 100);
  memory.set(frame, 50);
  const plain = classOf(memory, 50, frame.length);
  let start = insertVlanTag(memory, 50, 0x2007);
  start = insertVlanTag(memory, start, 5, ETHER_TYPE.serviceVlan);
  const tagged = classOf(memory, start, frame.length + 8);
  assert.equal(plain.vlanId, -1);
  assert.deepEqual([tagged.vlanId, tagged.tagCount], [5, 2]);
  assert.equal(tagged.protocol, IP_PROTOCOL.udp);
  assert.equal(tagged.transportAt, plain.transportAt);
  assert.equal(tagged.targetPort, 9999);
});

test("fields of the frame before do not shine through", () => {
  const frameClass = classOf(realFrames().find((octets) => classOf(octets).sourcePort > 0)!);
  frameClass.classify(new Uint8Array(60), 0, 60);
  const { etherType, ipVersion, protocol, transportAt, sourcePort, targetPort, vlanId } =
    frameClass;
  assert.deepEqual(
    [etherType, ipVersion, protocol, transportAt, sourcePort, targetPort, vlanId],
    [0, 0, -1, -1, -1, -1, -1],
  );
});

test("octets behind the frame's end are never looked at", () => {
  const frame = realFrames().find((octets) => classOf(octets).targetPort === 9999)!;
  for (let length = 0; length < frame.length; length++) {
    const cut = classOf(frame, 0, length);
    const alone = classOf(frame.slice(0, length));
    assert.deepEqual(cut, alone, `${length} octets`);
  }
});

test("any octets give offsets inside the frame", () => {
  const ipLike = fc.tuple(anyOctets, fc.constantFrom(0x0800, 0x86dd, 0x8100, 0x88a8));
  always(ipLike, ([octets, etherType]) => {
    if (octets.length > 14) octets.set([etherType >>> 8, etherType & 0xff], 12);
    const { networkAt, transportAt, end } = classOf(octets);
    assert.ok(networkAt <= octets.length && transportAt <= end && end <= octets.length);
  });
});
