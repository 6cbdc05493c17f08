import assert from "node:assert/strict";
import { test } from "node:test";
import {
  copyOctets,
  equalOctets,
  fromHex,
  readU16,
  readU32,
  toHex,
  writeU16,
  writeU32,
} from "./bytes.ts";

test("numbers are read and written in network order, unsigned", () => {
  const octets = new Uint8Array(8);
  writeU16(octets, 1, 0xfedc);
  writeU32(octets, 3, 0xdeadbeef);
  assert.equal(toHex(octets), "00fedcdeadbeef00");
  assert.equal(readU16(octets, 1), 0xfedc);
  assert.equal(readU32(octets, 3), 0xdeadbeef);
});

test("reading past the end yields zeros and writing past it changes nothing", () => {
  const octets = Uint8Array.of(1, 2);
  assert.equal(readU32(octets, 1), 0x02000000);
  writeU32(octets, 1, 0x0a0b0c0d);
  assert.equal(toHex(octets), "010a");
});

test("hexadecimal text goes both ways, and other text is refused", () => {
  assert.deepEqual(fromHex("0a FF\n10"), Uint8Array.of(10, 255, 16));
  assert.equal(fromHex("0a f"), undefined);
  assert.equal(fromHex("zz"), undefined);
});

test("octets are equal only with equal length and content", () => {
  assert.ok(equalOctets(Uint8Array.of(1, 2), Uint8Array.of(1, 2)));
  assert.ok(!equalOctets(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 0)));
  assert.ok(!equalOctets(Uint8Array.of(1, 2), Uint8Array.of(1, 3)));
});

test("a copy has memory of its own, also of a Node Buffer", () => {
  const buffer = Buffer.from([1, 2, 3, 4]);
  const copy = copyOctets(buffer, 1, 3);
  buffer.fill(0);
  assert.deepEqual(copy, Uint8Array.of(2, 3));
});
