import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  addTags,
  ALL_DEBUG_TAGS,
  colourSequence,
  DEBUG_TAGS,
  parseDebugWord,
  removeTags,
  tagLine,
} from "./debug-tags.ts";

test("words of vudebug switch, ask and colour", () => {
  assert.deepEqual(parseDebugWord("+sp:r"), { action: "+", tags: "sp", colour: "r" });
  assert.deepEqual(parseDebugWord("-ss"), { action: "-", tags: "s", colour: undefined });
  assert.deepEqual(parseDebugWord("-"), { action: "-", tags: ALL_DEBUG_TAGS, colour: undefined });
  assert.deepEqual(parseDebugWord("?"), { action: "?", tags: "", colour: undefined });
  assert.deepEqual(parseDebugWord("?ps"), { action: "?", tags: "ps", colour: undefined });
  assert.deepEqual(parseDebugWord("s:g#"), { action: "", tags: "s", colour: "g#" });
  assert.deepEqual(parseDebugWord("+s:"), { action: "+", tags: "s", colour: "" });
  for (const wrong of ["", "s", "+s:x", "+s p", "--json", "+é", "/bin/sh"]) {
    assert.equal(parseDebugWord(wrong), undefined, wrong);
  }
});

test("colours are the sequences of a terminal", () => {
  assert.equal(colourSequence(""), "");
  assert.equal(colourSequence("r"), "\u001B[31m");
  assert.equal(colourSequence("b+"), "\u001B[34;1m");
  assert.equal(colourSequence("wR#"), "\u001B[37;41;7m");
  assert.equal(colourSequence("z"), undefined);
});

test("any text is read without a slip, and what is read says something", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(..."+-?:spDF*#rR_x\n".split("")) }), (word) => {
      const read = parseDebugWord(word);
      if (read === undefined) return;
      assert.ok(read.action !== "" || read.colour !== undefined);
      assert.ok(read.tags.split("").every((tag) => ALL_DEBUG_TAGS.includes(tag)));
    }),
  );
});

test("sets of categories stay sorted and without doubles, and the list names them", () => {
  assert.equal(addTags("sp", "pa"), "aps");
  assert.equal(removeTags("aps", "p"), "as");
  assert.equal(tagLine("p", true, false), "p +   PATH");
  assert.equal(tagLine("s", false, true), "s -(+)SYSCALL");
  assert.equal(tagLine("Q", true, false), "Q +");
  assert.ok(Object.keys(DEBUG_TAGS).every((tag) => ALL_DEBUG_TAGS.includes(tag)));
});
