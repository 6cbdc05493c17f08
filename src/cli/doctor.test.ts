import assert from "node:assert/strict";
import { test } from "node:test";
import type { Finding } from "../sys/index.ts";
import { doctorReport } from "./doctor.ts";

const GOOD: Finding = {
  capability: "user namespaces",
  works: true,
  detail: "",
  neededFor: "every view",
  required: true,
};
const ABSENT: Finding = {
  capability: "gdb",
  works: false,
  detail: "not found",
  neededFor: "debugging",
  required: false,
  remedy: "sudo apt install gdb",
};

test("an optional thing that is absent comes with its remedy and does not spoil the verdict", () => {
  const text = doctorReport([GOOD, ABSENT]);
  assert.match(text, /^user namespaces +ok +every view$/m);
  assert.match(text, /^gdb +absent +debugging \(not found\)$/m);
  assert.match(text, /\ngdb:\n {4}sudo apt install gdb\n/);
  assert.match(text, /\nViews work here\.\n$/);
});

test("a required thing that is missing is the verdict", () => {
  const text = doctorReport([{ ...GOOD, works: false, detail: "is 0", remedy: "one\ntwo" }]);
  assert.match(text, /MISSING/);
  assert.match(text, /\n {4}one\n {4}two\n/);
  assert.match(text, /Views do not work here: 1 required thing is missing\.\n$/);
});
