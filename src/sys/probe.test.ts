import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { findProgram, probeAll } from "./probe.ts";

test("a program is found by PATH only when it may be executed", () => {
  const folder = mkdtempSync(join(tmpdir(), "v2-probe-"));
  const before = process.env["PATH"];
  try {
    process.env["PATH"] = folder;
    writeFileSync(join(folder, "v2-none-such"), "");
    chmodSync(join(folder, "v2-none-such"), 0o644);
    assert.equal(findProgram("v2-none-such"), undefined);
    chmodSync(join(folder, "v2-none-such"), 0o755);
    assert.equal(findProgram("v2-none-such"), join(folder, "v2-none-such"));
  } finally {
    process.env["PATH"] = before;
    rmSync(folder, { recursive: true });
  }
});

test("whatever the machine allows, each refusal says why and what to do", () => {
  const found = probeAll();
  assert.equal(new Set(found.map((one) => one.capability)).size, found.length);
  for (const one of found) {
    assert.notEqual(one.neededFor, "", one.capability);
    assert.equal(one.remedy === undefined, one.works, one.capability);
    if (!one.works) assert.notEqual(one.detail, "", one.capability);
  }
});
