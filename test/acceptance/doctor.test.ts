/** What a user sees where the host refuses: a real refusal, made in a user namespace of its own. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { runProgram, temporaryDirectory, V2, v2 } from "./v2.ts";

/** Runs a command line where no further user namespace may be made: the limit is per namespace. */
function withoutUserNamespaces(script: string) {
  const forbid = "echo 0 > /proc/sys/user/max_user_namespaces";
  return runProgram(["unshare", "-Ur", "sh", "-c", `${forbid} && ${script}`]);
}

test("doctor finds that views work here, and says the same in JSON", async () => {
  const text = await v2(["doctor"]);
  assert.equal(text.code, 0, text.stdout);
  assert.match(text.stdout, /^user namespaces +ok +every view$/m);
  const json = await v2(["doctor", "--json"]);
  const rows = json.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as object);
  assert.ok(rows.length > 10);
  for (const row of rows) assert.ok("capability" in row && "works" in row && "neededFor" in row);
});

test("doctor tells what forbids user namespaces, what lifts it, and exits with 69", async () => {
  const outcome = await withoutUserNamespaces(`exec ${process.execPath} ${V2} doctor`);
  assert.equal(outcome.code, 69, outcome.stderr);
  assert.match(outcome.stdout, /^user namespaces +MISSING .*user\.max_user_namespaces is 0/m);
  assert.match(outcome.stdout, /sudo sysctl -w user\.max_user_namespaces=/);
  assert.match(outcome.stdout, /Views do not work here/);
});

test("a view that the host refuses starts nothing and prints the remedy", async () => {
  using directory = temporaryDirectory();
  const marker = join(directory.path, "ran");
  const command = `exec ${process.execPath} ${V2} view -- touch ${marker}`;
  const outcome = await withoutUserNamespaces(command);
  assert.equal(outcome.code, 69, outcome.stderr);
  assert.match(outcome.stderr, /refuses user namespaces: user\.max_user_namespaces is 0/);
  assert.match(outcome.stderr, /sudo sysctl -w user\.max_user_namespaces=/);
  assert.equal(existsSync(marker), false);
});
