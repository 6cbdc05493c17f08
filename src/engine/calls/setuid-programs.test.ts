import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { mountingInsistsOnRoot } from "./setuid-programs.ts";

test("a mount program insists on root when it is set-user-id and does not know how to go on", () => {
  const directory = mkdtempSync(join(tmpdir(), "v2-setuid-"));
  try {
    const make = (name: string, content: string, mode: number): string => {
      const path = join(directory, name);
      writeFileSync(path, content);
      chmodSync(path, mode);
      return path;
    };
    const old = make("old", "\u007FELF old", 0o4755);
    const modern = make("modern", "\u007FELF mnt_context_force_unrestricted", 0o4755);
    const plain = make("plain", "\u007FELF old", 0o755);
    const isOrdinary = process.geteuid!() !== 0;
    assert.equal(mountingInsistsOnRoot([modern, old]), isOrdinary);
    assert.equal(mountingInsistsOnRoot([modern, plain, join(directory, "none")]), false);
    assert.equal(mountingInsistsOnRoot([]), false);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
