import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { always } from "../../test/properties.ts";
import { decodeName, encodeName, nameOctets, nameToOctets } from "./names.ts";

test("any octets survive being a string", () => {
  always(fc.uint8Array({ maxLength: 40 }), (octets) => {
    const name = decodeName(octets);
    assert.deepEqual(nameToOctets(name), octets);
    assert.equal(nameOctets(name), octets.length);
  });
});

test("UTF-8 is read and written as the platform does it", () => {
  always(fc.string({ unit: "binary", maxLength: 20 }), (text) => {
    const octets = new TextEncoder().encode(text);
    assert.equal(decodeName(octets), text);
    assert.deepEqual(nameToOctets(text), octets);
  });
});

test("octets that are no UTF-8 stand as lone surrogates, one each", () => {
  assert.equal(decodeName(Uint8Array.of(0x61, 0xff, 0xc3, 0xa9, 0xc3)), "a\udcffé\udcc3");
  // Overlong, a surrogate, and beyond Unicode.
  for (const octets of [
    [0xc0, 0xaf],
    [0xed, 0xa0, 0x80],
    [0xf4, 0x90, 0x80, 0x80],
  ]) {
    assert.equal(decodeName(Uint8Array.from(octets)).length, octets.length);
  }
});

test("a name is written where it is wanted", () => {
  const into = new Uint8Array(6);
  assert.equal(encodeName("é", into, 2), 2);
  assert.deepEqual([...into], [0, 0, 0xc3, 0xa9, 0, 0]);
});
