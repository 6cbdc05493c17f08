// runs as: user
// time limit: 300 s
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { temporaryDirectory, v2 } from "./v2.ts";

const PYTHON = existsSync("/usr/bin/python3") ? "/usr/bin/python3" : "python3";
const ORACLE = fileURLToPath(new URL("../../../test/fixtures/unreal-oracle.py", import.meta.url));
const OPERATIONS = 5000;

async function oracle(seed: number, options: readonly string[]) {
  using directory = temporaryDirectory();
  const command = [PYTHON, ORACLE, directory.path, String(seed), String(OPERATIONS)];
  return await v2(["view", ...options, "--", ...command], { timeoutMs: 140_000 });
}

for (const seed of [1, 2]) {
  test(`${OPERATIONS} operations agree on X, /unreal/X and /unreal/unreal/X (${seed})`, async () => {
    const { code, stdout, stderr } = await oracle(seed, ["-p", "unreal"]);
    assert.deepEqual([code, stderr], [0, ""]);
    const [, good, left] = /agree, (\d+) of them did something, (\d+) files left/.exec(stdout)!;
    // Most random operations fail, in the same way; enough must not.
    assert.ok(Number(good) > OPERATIONS / 5 && Number(left) > 10, stdout);
  });
}

test("without the module the oracle says that they do not agree", async () => {
  const { code, stderr } = await oracle(1, []);
  assert.equal(code, 1);
  assert.match(stderr, /^operation \d+: .*ENOENT/);
});
