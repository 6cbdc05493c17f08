/** The test runner and the set-up lock, on a small checkout of their own. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";

const SCRIPTS = fileURLToPath(new URL("../../../scripts", import.meta.url));
const HEAD = 'import { test } from "node:test";\nimport { spawn } from "node:child_process";\n';

/** A checkout with nothing but the scripts and these compiled interop tests. */
function checkout(t: TestContext, files: { readonly [name: string]: string }): string {
  const root = mkdtempSync(join(tmpdir(), "v2-runner-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  cpSync(SCRIPTS, join(root, "scripts"), { recursive: true });
  writeFileSync(join(root, "package.json"), '{ "type": "module" }');
  mkdirSync(join(root, "build", "test", "interop"), { recursive: true });
  mkdirSync(join(root, "build", "src"), { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(root, "build", name), HEAD + text);
  }
  return root;
}

interface Outcome {
  readonly status: number | null;
  readonly output: string;
  readonly lastLine: string;
}

function runTests(root: string, words: readonly string[], ci = false): Outcome {
  const { CI: _, NODE_TEST_CONTEXT: __, ...env } = process.env;
  const only = process.getuid?.() === 0 ? ["--as", "root"] : [];
  const result = spawnSync(
    process.execPath,
    [join(root, "scripts", "test.mjs"), ...only, ...words],
    { encoding: "utf8", env: ci ? { ...env, CI: "true" } : env },
  );
  const output = result.stdout + result.stderr;
  return { status: result.status, output, lastLine: output.trimEnd().split("\n").at(-1) ?? "" };
}

test("tests that pass are counted, from the one process and from those of their own", (t) => {
  const root = checkout(t, {
    "src/a.test.js": 'test("a", () => {}); test("b", () => {});',
    "src/b.test.js": 'test("c", (t) => t.test("d", () => {}));',
    "test/interop/c.test.js": 'test("e", () => {});',
  });
  const outcome = runTests(root, ["test"]);
  assert.equal(outcome.lastLine, "5 passed, 0 failed, 0 skipped", outcome.output);
  assert.equal(outcome.status, 0);
});

test("a failure shows its name, place and message, and the exit code is 1", (t) => {
  const root = checkout(t, {
    "test/interop/a.test.js":
      'test("outer", (t) => t.test("inner", () => {\nthrow new Error("boo"); }));',
  });
  const outcome = runTests(root, ["interop"]);
  assert.equal(outcome.status, 1);
  assert.match(outcome.output, /failed: outer > inner \(build\/test\/interop\/a\.test\.js:3:\d+\)/);
  assert.match(outcome.output, /Error: boo/);
  assert.equal(outcome.lastLine, "0 passed, 1 failed, 0 skipped");
});

test("a skipped test says why, and fails the run in CI only", (t) => {
  const root = checkout(t, {
    "test/interop/a.test.js": 'test("x", (t) => t.skip("needs y: apt install y"));',
  });
  const outcome = runTests(root, ["interop"]);
  assert.match(outcome.output, /skipped: x: needs y: apt install y/);
  assert.equal(outcome.lastLine, "0 passed, 0 failed, 1 skipped");
  assert.equal(outcome.status, 0);
  assert.equal(runTests(root, ["interop"], true).status, 1);
});

test("a process that dies, cannot load a file or exits early is a failure", (t) => {
  const root = checkout(t, {
    "src/broken.test.js": 'import "./no-such-file.js";',
    "test/interop/dies.test.js": 'test("x", () => process.kill(process.pid, "SIGKILL"));',
    "test/interop/exits.test.js": 'test("x", () => process.exit(0));',
  });
  const outcome = runTests(root, ["test"]);
  assert.match(outcome.output, /broken\.test\.js can be loaded/);
  assert.match(outcome.output, /failed: the process lives to the end.*\n.*SIGKILL/);
  assert.equal(outcome.status, 1);
  assert.match(outcome.lastLine, /, 3 failed, 0 skipped$/);
});

test("a file that does not end in its time is killed with what it started", (t) => {
  const root = checkout(t, {
    "test/interop/hangs.test.js":
      '// time limit: 1 s\ntest("x", () => new Promise(() => setInterval(() => {}, 1000)));',
  });
  const outcome = runTests(root, ["hangs"]);
  assert.match(outcome.output, /failed: the file ends in time\n +killed after 1 s/);
  assert.equal(outcome.status, 1);
});

test("a process left behind by a test is killed and is a failure", (t) => {
  const root = checkout(t, {
    "test/interop/leaves.test.js":
      'test("x", () => console.log("pid", spawn("sleep", ["1000"], { stdio: "ignore" }).unref()));',
  });
  const outcome = runTests(root, ["leaves"]);
  const pid = /failed: nothing is left running\n +(\d+) sleep/.exec(outcome.output)?.[1];
  assert.notEqual(pid, undefined, outcome.output);
  assert.equal(isSleeping(pid!), false);
});

/** The process may have been reaped already, or wait as a zombie for a lazy init. */
function isSleeping(pid: string): boolean {
  try {
    return /^State:\s+S/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

test("the set-up lock passes on when its holder is killed", async (t) => {
  const lock = join(SCRIPTS, "lock.mjs");
  const name = `/no/such/checkout-${process.pid}`;
  const code = `
    const { takeLock } = await import(${JSON.stringify(lock)});
    const release = await takeLock(${JSON.stringify(name)}, () => console.log("waits"));
    console.log("holds");
    process.stdin.on("data", () => release()).on("end", () => process.exit());`;
  const start = () => {
    const child = spawn(process.execPath, ["--input-type=module", "-e", code]);
    t.after(() => child.kill("SIGKILL"));
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return { child, next: async () => (await lines.next()).value as string };
  };
  const first = start();
  assert.equal(await first.next(), "holds");
  const second = start();
  assert.equal(await second.next(), "waits");
  first.child.kill("SIGKILL");
  assert.equal(await second.next(), "holds");
  const third = start();
  assert.equal(await third.next(), "waits");
  second.child.stdin.write("release\n");
  assert.equal(await third.next(), "holds");
});
