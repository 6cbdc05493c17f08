import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { always, u16 } from "../../test/properties.ts";
import { FramePool, toHex, V2Error } from "../base/index.ts";
import {
  emitTagControl,
  insertVlanTag,
  parseTagControl,
  printVlanTag,
  stripVlanTag,
  tagControlAt,
} from "./vlan.ts";

test("tag control information survives emit and parse", () => {
  always(u16, (control) => assert.equal(emitTagControl(parseTagControl(control)), control));
  assert.equal(printVlanTag(parseTagControl(0xb005)), "vlan 5, p 5, DEI");
});

test("a tag goes in between source and type, and the payload does not move", () => {
  const memory = new Uint8Array(80);
  memory.set(
    Uint8Array.from({ length: 60 }, (_, at) => at + 1),
    16,
  );
  const payloadBefore = toHex(memory.subarray(16 + 12));
  const start = insertVlanTag(memory, 16, 0x2005);
  assert.equal(start, 12);
  assert.equal(toHex(memory.subarray(12, 28)), "0102030405060708090a0b0c81002005");
  assert.equal(toHex(memory.subarray(28)), payloadBefore);
});

test("insert and strip in a pooled slot give the frame back", () => {
  const pool = new FramePool(1);
  const frames = fc.uint8Array({ minLength: 14, maxLength: 1600 });
  always(fc.tuple(frames, u16, u16), ([frame, outer, inner]) => {
    const slot = pool.take();
    pool.octets.set(frame, pool.start[slot]);
    let start = insertVlanTag(pool.octets, pool.start[slot]!, inner);
    start = insertVlanTag(pool.octets, start, outer, 0x8100);
    assert.equal(tagControlAt(pool.octets, start, frame.length + 8), outer);
    start = stripVlanTag(pool.octets, start);
    assert.equal(tagControlAt(pool.octets, start, frame.length + 4), inner);
    start = stripVlanTag(pool.octets, start);
    assert.equal(start, pool.start[slot]);
    assert.deepEqual(pool.octets.slice(start, start + frame.length), frame);
    pool.release(slot);
  });
});

test("a frame that ends inside its tag counts as untagged, and an S-tag is not a C-tag", () => {
  const frame = new Uint8Array(18);
  frame.set([0x81, 0x00, 0x00, 0x05], 12);
  assert.equal(tagControlAt(frame, 0, 18), 5);
  assert.equal(tagControlAt(frame, 0, 17), -1);
  frame.set([0x88, 0xa8], 12);
  assert.equal(tagControlAt(frame, 0, 18), -1);
});

test("without room in front a tag is refused", () => {
  assert.throws(() => insertVlanTag(new Uint8Array(64), 3, 1), V2Error);
});
