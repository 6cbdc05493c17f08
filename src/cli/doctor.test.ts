import assert from "node:assert/strict";
import { test } from "node:test";
import type { Finding } from "../sys/index.ts";
import type { RungReport } from "../engine/index.ts";
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

const RUNGS: readonly RungReport[] = [
  { rung: "A", word: "userns+fuse", works: false, reason: "no device", remedy: "open it" },
  { rung: "B", word: "userns", works: true, reason: "" },
  { rung: "C", word: "notify", works: true, reason: "" },
];

test("an optional thing that is absent comes with its remedy and does not spoil the verdict", () => {
  const text = doctorReport([GOOD, ABSENT], RUNGS);
  assert.match(text, /^user namespaces +ok +every view$/m);
  assert.match(text, /^gdb +absent +debugging \(not found\)$/m);
  assert.match(text, /\ngdb:\n {4}sudo apt install gdb\n/);
  assert.match(text, /^A userns\+fuse +absent +no device$/m);
  assert.match(text, /^B userns +used *$/m);
  assert.match(text, /^C notify +ok *$/m);
  assert.match(text, /\nViews work here, by user namespaces \(engine B\)\.\n$/);
});

test("where no engine works, that is the verdict", () => {
  const nothing = RUNGS.map((one) => ({ ...one, works: false, reason: "none" }));
  const missing = { ...GOOD, works: false, detail: "is 0", remedy: "one\ntwo" };
  const text = doctorReport([missing], nothing);
  assert.match(text, /MISSING/);
  assert.match(text, /\n {4}one\n {4}two\n/);
  assert.match(text, /\nViews do not work here\.\n$/);
});
