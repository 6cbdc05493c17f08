import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { always } from "../../test/properties.ts";
import { type Key, type KeyEffect, LineEditor } from "./line-editor.ts";

/** Presses keys: "left", "C-a", "M-b", or text. */
function type(editor: LineEditor, ...keys: string[]): KeyEffect {
  let effect: KeyEffect = "edited";
  for (const key of keys) {
    const named = /^(?:(C|M)-)?([a-z]+)$/.exec(key);
    const isKey = named !== null && (named[1] !== undefined || NAMES.has(key));
    const meaning: Key = isKey
      ? { name: named[2]!, ctrl: named[1] === "C", meta: named[1] === "M" }
      : {};
    effect = editor.press(isKey ? undefined : key, meaning);
  }
  return effect;
}

const NAMES = new Set("left right up down home end delete backspace return tab".split(" "));

test("text pasted into the middle of a line stays together", () => {
  const editor = new LineEditor();
  type(editor, "ds/info", "left", "left", "left", "left", "show");
  assert.equal(editor.line, "ds/showinfo");
  assert.equal(editor.typed, "ds/show");
});

test("keys move, delete, kill and yank", () => {
  const editor = new LineEditor();
  type(editor, "one two three", "M-b", "C-w", "home", "C-y", "C-e", "backspace", "C-a", "C-d");
  assert.equal(editor.line, "wo one thre");
  type(editor, "end", "C-u");
  assert.equal(editor.line, "");
  type(editor, "C-y", "C-left", "C-k");
  assert.equal(editor.line, "wo one ");
});

test("history goes back and forth, and the line being typed comes back", () => {
  const editor = new LineEditor();
  assert.deepEqual(type(editor, "first", "return"), { submitted: "first" });
  type(editor, "second", "return", "second", "return", "draft", "up", "up");
  assert.equal(editor.line, "first", "the same line twice is remembered once");
  type(editor, "up", "down", "down");
  assert.equal(editor.line, "draft");
});

test("^D ends on an empty line only, ^C always interrupts", () => {
  const editor = new LineEditor();
  assert.equal(type(editor, "C-d"), "end");
  assert.equal(type(editor, "x", "C-d"), "edited");
  assert.equal(type(editor, "C-c"), "interrupt");
  assert.equal(type(editor, "tab"), "complete");
});

test("a line is drawn with the cursor at its place, over several rows too", () => {
  const editor = new LineEditor();
  type(editor, "abcdefgh");
  assert.deepEqual(editor.picture("> ", 80), {
    text: "> abcdefgh\r\u001b[10C",
    cursorRow: 0,
    endRow: 0,
  });
  // Ten characters fill two rows of five: the cursor stands in a third.
  assert.deepEqual(editor.picture("> ", 5), {
    text: "> abcdefgh \r\r",
    cursorRow: 2,
    endRow: 2,
  });
  type(editor, "home");
  assert.deepEqual(editor.picture("> ", 5), {
    text: "> abcdefgh \r\u001b[2A\r\u001b[2C",
    cursorRow: 0,
    endRow: 2,
  });
});

test("no keys lead to a cursor outside the line, or to control characters in it", () => {
  const key = fc.oneof(
    fc.constantFrom(...NAMES, "C-a", "C-k", "C-u", "C-w", "C-y", "M-b", "M-f", "C-p", "C-n"),
    fc.string({ unit: "binary" }),
  );
  always(fc.array(key, { maxLength: 60 }), (keys) => {
    const editor = new LineEditor();
    type(editor, ...keys);
    assert.ok(editor.line.startsWith(editor.typed));
    // oxlint-disable-next-line no-control-regex -- these are what must not be there
    assert.doesNotMatch(editor.line, /[\u0000-\u001f]/);
  });
});
