import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import {
  CONTROL,
  FLAG,
  MessageWriter,
  parseAcknowledgement,
  parseAttributes,
  parseMessages,
  textOf,
  u32Of,
} from "./netlink-message.ts";

test("a message has its length, type, flags and sequence where the kernel looks for them", () => {
  const octets = new MessageWriter(18, FLAG.request | FLAG.ack, 7)
    .raw(Uint8Array.of(1, 2, 3, 4))
    .attribute(3, "lo")
    .finish();
  assert.equal(
    Buffer.from(octets).toString("hex"),
    "1c000000" +
      "1200" +
      "0500" +
      "07000000" +
      "00000000" +
      "01020304" +
      "0700" +
      "0300" +
      "6c6f0000",
  );
});

test("nested attributes come back as they were written, also beyond the first buffer", () => {
  const large = new Uint8Array(700).fill(9);
  const octets = new MessageWriter(16, 0, 1)
    .nest(18, (w) => w.attribute(1, "veth").nest(2, (v) => v.attribute(4, 9000)))
    .attribute(7, large)
    .finish();
  const outer = parseAttributes(parseMessages(octets)[0]!.payload);
  const inner = parseAttributes(outer.get(18)!);
  assert.equal(textOf(inner.get(1)!), "veth");
  assert.equal(u32Of(parseAttributes(inner.get(2)!).get(4)), 9000);
  assert.deepEqual(outer.get(7), large);
});

test("the kernel's sentence is found behind a repeated request and behind a capped one", () => {
  const request = new MessageWriter(16, FLAG.request, 3).attribute(1, "some name").finish();
  for (const capped of [false, true]) {
    const code = new Uint8Array(Int32Array.of(-22).buffer);
    const flags = FLAG.extendedAck | (capped ? FLAG.capped : 0);
    const answer = new MessageWriter(CONTROL.error, flags, 3)
      .raw(code)
      .raw(capped ? request.subarray(0, 16) : request)
      .attribute(1, "Invalid name")
      .finish();
    assert.deepEqual(parseAcknowledgement(parseMessages(answer)[0]!), {
      errno: 22,
      text: "Invalid name",
    });
  }
});

test("any octets are split into messages and attributes that lie inside them", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (octets) => {
      for (const message of parseMessages(octets)) {
        parseAcknowledgement(message);
        for (const value of parseAttributes(message.payload).values()) {
          assert.ok(value.byteOffset + value.length <= octets.byteOffset + octets.length);
        }
      }
      parseAttributes(octets);
    }),
    { seed: 3, numRuns: 500 },
  );
});
