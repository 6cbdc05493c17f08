/** Path calls answered by the supervisor, under stress: nothing is lost, mixed up or left over. */
// time limit: 300 s
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import {
  compile,
  eventually,
  missingProgram,
  supervisorOf,
  temporaryDirectory,
  V2,
  v2,
} from "./v2.ts";

const SOURCE = fileURLToPath(new URL("../../../test/fixtures/path-stress.c", import.meta.url));

const WAYS = [
  ["many", "64 processes make 10 000 calls each, at once"],
  ["threads", "threads of one process are answered each for itself"],
  ["forks", "1000 processes find themselves in /proc, each only itself"],
  ["storm", "a storm of signals changes no call, and none is made twice"],
  ["identity", "a change of user, directory or mask counts from the next call on"],
] as const;

for (const [way, description] of WAYS) {
  test(description, async (t) => {
    const reason = missingProgram("gcc", "gcc");
    if (reason !== undefined) return t.skip(reason);
    using parent = temporaryDirectory();
    const flags = ["-O1", "-Wall", "-pthread"];
    const program = compile(SOURCE, join(parent.path, "path-stress"), ...flags);
    const cwd = join(parent.path, "work");
    mkdirSync(cwd);
    const options = { cwd, timeoutMs: 240_000 };
    const outcome = await v2(["view", "--trap=path", "--", program, way], options);
    assert.deepEqual([outcome.code, outcome.stdout, outcome.stderr], [0, "0\n", ""]);
    return undefined;
  });
}

test("callers that are killed in the middle of their calls leave nothing, and nobody waits", async () => {
  using directory = temporaryDirectory();
  const script = `
for i in $(seq 60); do
  (while :; do : < /etc/passwd; : > f; cat nothing; done 2>/dev/null) & killed=$!
  kill -9 $killed; wait $killed
done 2>/dev/null
mkfifo p; for i in 1 2 3 4 5 6 7 8; do cat p & done; sleep 0.3; kill -9 $(jobs -p); wait 2>/dev/null
ls -d /proc/self/fd/0 && echo served`;
  const words = ["view", "--trap=path", "--", "bash", "-c", script];
  const { stdout } = await v2(words, { cwd: directory.path });
  assert.equal(stdout, "/proc/self/fd/0\nserved\n");
});

test("a supervisor that is killed leaves path calls failing, and no program waiting", async () => {
  const name = `unanswered-${process.pid}`;
  const loop = "while read -r line < /etc/passwd; do :; done 2>/dev/null; echo ended";
  const words = [V2, "view", "--name", name, "--trap=path", "--", "/bin/bash", "-c", loop];
  const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "ignore"] });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    output += chunk;
  });
  const pid = await supervisorOf(name);
  assert.ok(pid !== undefined);
  process.kill(pid, "SIGKILL");
  assert.deepEqual(await once(child, "close"), [0, null]);
  assert.equal(output, "ended\n");
});

test("a mount is free again as soon as nobody of the view stands in it", async () => {
  const script = `
mkdir m && vumount='mount -t tmpfs none m' && $vumount && (cd m && mkdir x && ls) && cd m && ls x
cd .. && umount m && echo free`;
  using directory = temporaryDirectory();
  const words = ["view", "--trap=path", "--", "sh", "-c", script];
  const { stdout } = await v2(words, { cwd: directory.path });
  assert.equal(stdout, "x\nfree\n");
});

test("commands that enter a named view are answered and denied as the first one", async () => {
  using directory = temporaryDirectory();
  const name = `entered-${process.pid}`;
  const words = [V2, "view", "--name", name, "--deny", directory.path, "--", "sleep", "60"];
  const child = spawn(process.execPath, words, { stdio: "ignore" });
  try {
    assert.ok((await supervisorOf(name)) !== undefined);
    const outcome = await v2(["view", "exec", name, "--", "ls", directory.path]);
    assert.match(outcome.stderr, /Permission denied/);
    assert.equal((await v2(["view", "exec", name, "--", "ls", "-d", "/etc"])).stdout, "/etc\n");
  } finally {
    child.kill("SIGKILL");
    assert.ok(await eventually(() => child.exitCode !== null || child.signalCode !== null));
  }
});
