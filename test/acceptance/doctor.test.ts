/** What a user sees where the host refuses: a real refusal, made in a user namespace of its own. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { runProgram, temporaryDirectory, V2, v2 } from "./v2.ts";

/** Runs a command line with another limit of namespaces: it counts per user namespace. */
function withLimit(kind: string, limit: number, script: string) {
  const forbid = `echo ${limit} > /proc/sys/user/max_${kind}_namespaces`;
  return runProgram(["unshare", "-Ur", "sh", "-c", `${forbid} && ${script}`]);
}

const withoutUserNamespaces = (script: string) => withLimit("user", 0, script);

test("doctor finds that views work here, and says the same in JSON", async () => {
  const text = await v2(["doctor"]);
  assert.equal(text.code, 0, text.stdout);
  assert.match(text.stdout, /^user namespaces +ok +views as the kernel makes them/m);
  const json = await v2(["doctor", "--json"]);
  const rows = json.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as object);
  assert.ok(rows.length > 10);
  for (const row of rows) {
    assert.ok("works" in row && (("capability" in row && "neededFor" in row) || "rung" in row));
  }
});

test("doctor tells what forbids user namespaces, what lifts it, and what is used instead", async () => {
  const outcome = await withoutUserNamespaces(`exec ${process.execPath} ${V2} doctor`);
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.match(outcome.stdout, /^user namespaces +absent .*user\.max_user_namespaces is 0/m);
  assert.match(outcome.stdout, /sudo sysctl -w user\.max_user_namespaces=/);
  assert.match(outcome.stdout, /^B userns +absent +user namespaces: .*is 0/m);
  assert.match(outcome.stdout, /^C notify +used/m);
  assert.match(outcome.stdout, /Views work here, by seccomp notification alone/);
});

test("a view that the host refuses starts nothing and prints the remedy", async () => {
  using directory = temporaryDirectory();
  const marker = join(directory.path, "ran");
  const command = `exec ${process.execPath} ${V2} view --engine=B -- touch ${marker}`;
  const outcome = await withoutUserNamespaces(command);
  assert.equal(outcome.code, 69, outcome.stderr);
  assert.match(outcome.stderr, /refuses user namespaces: user\.max_user_namespaces is 0/);
  assert.match(outcome.stderr, /sudo sysctl -w user\.max_user_namespaces=/);
  assert.equal(existsSync(marker), false);
});

test("doctor names the limit of each kind of namespace, and a view is refused for it", async () => {
  const program = `${process.execPath} ${V2}`;
  for (const [kind, row] of [
    ["mnt", "mounts in a user namespace"],
    ["uts", "host name namespaces"],
  ] as const) {
    const told = await withLimit(kind, 0, `exec ${program} doctor`);
    assert.equal(told.code, 0, told.stderr);
    assert.match(
      told.stdout,
      new RegExp(`^${row} +absent .*user\\.max_${kind}_namespaces is 0`, "m"),
    );
    assert.match(told.stdout, new RegExp(`sudo sysctl -w user\\.max_${kind}_namespaces=`));
    const refused = await withLimit(kind, 0, `exec ${program} view --root -- true`);
    assert.equal(refused.code, 69, refused.stderr);
    assert.match(refused.stderr, new RegExp(`user\\.max_${kind}_namespaces is 0\\n +sudo sysctl`));
  }
});

test("without network namespaces views work, and a network is refused with its remedy", async () => {
  const program = `${process.execPath} ${V2}`;
  const told = await withLimit("net", 0, `${program} doctor && exec ${program} view -- echo works`);
  assert.equal(told.code, 0, told.stderr);
  assert.match(told.stdout, /^network namespaces +absent .*user\.max_net_namespaces is 0/m);
  assert.match(told.stdout, /^veth in a user namespace:\n +see network namespaces$/m);
  assert.match(told.stdout, /\nworks\n$/);
  const refused = await withLimit("net", 0, `exec ${program} view --net /tmp/none -- true`);
  assert.equal(refused.code, 69, refused.stderr);
  assert.match(refused.stderr, /refuses network namespaces: user\.max_net_namespaces is 0/);
});

test("a limit that is reached, and not zero, is told from a full disk", async () => {
  const program = `${process.execPath} ${V2}`;
  const holder = `unshare -m sleep 60 & holder=$!
    space() { readlink /proc/$1/ns/mnt; }
    while [ $(space $holder) = $(space self) ]; do sleep 0.02; done`;
  const outcome = await withLimit(
    "mnt",
    1,
    `{ ${holder}
       ${program} view -- true; echo code $?; ${program} doctor; kill $holder; }`,
  );
  assert.match(outcome.stderr, /No space left on device\n +a limit of namespaces is reached/);
  assert.match(outcome.stdout, /^code 126$/m);
  assert.match(outcome.stdout, /all of user\.max_mnt_namespaces \(1\) are in use/);
});
