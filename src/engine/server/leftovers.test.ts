import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { leftoversAt, removeLeftovers } from "./leftovers.ts";

test("leftovers are removed once, and never what somebody has made in their place", () => {
  const base = mkdtempSync(join(tmpdir(), "v2-leftovers-"));
  try {
    const path = join(base, "lab");
    mkdirSync(path);
    const first = leftoversAt(path);
    writeFileSync(join(path, "file"), "");
    removeLeftovers(first);
    assert.equal(existsSync(path), false);
    removeLeftovers(first);
    mkdirSync(path);
    removeLeftovers(first);
    assert.equal(existsSync(path), true);
  } finally {
    rmSync(base, { recursive: true });
  }
});
