import assert from "node:assert/strict";
import { test } from "node:test";
import { parseScriptLine } from "./script-line.ts";

test("the line names an interpreter and at most one argument", () => {
  for (const [head, interpreter, argument] of [
    ["#!/bin/sh\necho", "/bin/sh", undefined],
    ["#! /usr/bin/env  node --flag \n", "/usr/bin/env", "node --flag"],
    ["#!sh", "sh", undefined],
  ] as const) {
    assert.deepEqual(parseScriptLine(head), { interpreter, argument });
  }
});

test("other files are no scripts", () => {
  for (const head of ["", "#", "#!\n", "#!  \n/bin/sh", "\x7fELF", "echo"]) {
    assert.equal(parseScriptLine(head), undefined);
  }
});
