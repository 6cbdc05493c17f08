import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { atoi, scanIntegers, scanMac, secondWord } from "./scan.ts";

test("a number is what atoi(3) makes of it", () => {
  for (const [text, value] of [
    ["12", 12],
    [" \t-7x", -7],
    ["+3", 3],
    ["010", 10],
    ["0x11", 0],
    ["", 0],
    ["x", 0],
    ["4294967297", 1],
    ["99999999999999999999", -1],
  ] as const) {
    assert.equal(atoi(text), value, text);
  }
});

test("numbers of several are what %i makes of them", () => {
  for (const [text, values, rest] of [
    ["3 4", [3, 4], ""],
    ["010 0x1f", [8, 31], ""],
    ["08 5", [0, 8], " 5"],
    ["4 0x", [4, 0], ""],
    ["4,5", [4], ",5"],
    ["-1 +2 3", [-1, 2], " 3"],
    ["", [], ""],
  ] as const) {
    assert.deepEqual(scanIntegers(text, 2), { values, rest }, text);
  }
});

test("an address has colons or dots, its octets may be short, a VLAN may follow", () => {
  assert.deepEqual(scanMac("2:0:0:0:0:1"), { address: 0x020000000001, vlan: 0 });
  assert.deepEqual(scanMac("02.00.00.00.00.ff 7"), { address: 0x0200000000ff, vlan: 7 });
  assert.deepEqual(scanMac("2:0:0:0:0:1x 7"), { address: 0x020000000001, vlan: 0 });
  assert.equal(scanMac("2:0:0.0:0:1"), undefined);
  assert.equal(scanMac("020000000001"), undefined);
});

test("the second word is all that follows the first", () => {
  assert.equal(secondWord(" 3  a b "), "a b ");
  assert.equal(secondWord("3"), "");
});

test("any text is scanned without an exception and into 32 bits", () => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[-+ 0-9a-fx.:]{0,40}$/));
  fc.assert(
    fc.property(text, (anything) => {
      const values = [atoi(anything), ...scanIntegers(anything, 3).values];
      assert.ok(values.every((value) => value === (value | 0)));
      const mac = scanMac(anything);
      assert.ok(mac === undefined || (mac.address >= 0 && mac.address < 2 ** 48));
      secondWord(anything);
    }),
    { seed: 12, numRuns: 500 },
  );
});
