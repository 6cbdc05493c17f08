import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LINE_OCTETS_MAX, LineSplitter } from "./lines.ts";

const octets = (text: string): Uint8Array => new TextEncoder().encode(text);

test("two lines in one write are two, and a line in two writes is one", () => {
  const splitter = new LineSplitter();
  assert.deepEqual(splitter.push(octets("a\nb\nc")), ["a", "b"]);
  assert.deepEqual(splitter.push(octets("d\n")), ["cd"]);
  assert.equal(splitter.take(), "");
});

test("a command ends at a NUL octet and before a carriage return", () => {
  assert.deepEqual(new LineSplitter().push(octets("a\0b\nc\r\n")), ["a", "c"]);
});

test("a line that is too long is thrown away and counted, the next one is heard", () => {
  const splitter = new LineSplitter();
  assert.deepEqual(splitter.push(octets(`${"x".repeat(LINE_OCTETS_MAX)}\n`)).length, 1);
  for (let i = 0; i < 10; i++) splitter.push(octets("x".repeat(1000)));
  assert.deepEqual(splitter.push(octets("y\nz\n")), ["z"]);
  assert.equal(splitter.refused, 1);
});

test("lines are the same however the stream is cut", () => {
  const text = fc.array(fc.stringMatching(/^[ -~é]{0,30}$/), { maxLength: 10 });
  fc.assert(
    fc.property(text, fc.array(fc.integer({ min: 1, max: 9 })), (lines, cuts) => {
      const stream = octets(lines.map((line) => `${line}\n`).join(""));
      const splitter = new LineSplitter();
      const found: string[] = [];
      let at = 0;
      for (const cut of [...cuts, stream.length]) {
        found.push(...splitter.push(stream.subarray(at, at + cut)));
        at += cut;
      }
      assert.deepEqual(found, lines);
    }),
    { seed: 13 },
  );
});
