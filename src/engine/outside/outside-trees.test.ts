import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mock, test } from "node:test";
import { makeTrees, sweepTrees } from "./outside-trees.ts";

test("directories of views that are gone are swept, those in use and of today are not", () => {
  const before = process.env["TMPDIR"];
  const folder = mkdtempSync(join(tmpdir(), "v2-trees-"));
  const supervisor = spawn("sleep", ["60"], { argv0: '{"mark":1234567890}' });
  try {
    process.env["TMPDIR"] = folder;
    const used = makeTrees(1234567890);
    const unused = makeTrees(1234567891);
    sweepTrees();
    assert.deepEqual([existsSync(used), existsSync(unused)], [true, true]);
    // An hour later.
    mock.timers.enable({ apis: ["Date"], now: Date.now() + 3_600_000 });
    sweepTrees();
    assert.deepEqual([existsSync(used), existsSync(unused)], [true, false]);
  } finally {
    mock.timers.reset();
    supervisor.kill("SIGKILL");
    if (before === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = before;
    rmSync(folder, { recursive: true });
  }
});
