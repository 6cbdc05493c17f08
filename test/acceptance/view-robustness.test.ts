// time limit: 300 s
/** Views under load: crowds, storms of signals, threads and processes of all kinds, old numbers. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { Arena, compiledGuest } from "./robustness.ts";
import { missingProgram } from "./v2.ts";

const isRoot = process.getuid!() === 0;

/** chdir is trapped besides the calls of level 0. */
const TRACED = ["--trace=chdir", "--trace-to", "/dev/null"];

/** Declares a test that needs a compiler. */
function withGuest(name: string, body: (arena: Arena, guest: string) => Promise<void>): void {
  test(name, async (t: TestContext) => {
    const reason = missingProgram("gcc", "gcc");
    if (reason !== undefined) return t.skip(reason);
    using arena = new Arena();
    await body(arena, compiledGuest(arena.directory));
    await arena.assertEmpty(name);
    return undefined;
  });
}

withGuest("a thousand forks make their trapped calls", async (arena, guest) => {
  const outcome = await arena.view(TRACED, [guest, "crowd", "1000", "50", "2"]);
  assert.deepEqual([outcome.code, outcome.stdout], [0, "0 0\n"], outcome.stderr);
});

withGuest("64 processes at once make thousands of trapped calls each", async (arena, guest) => {
  // Two calls a round. The ordinary user tries that it works, root that it goes on working.
  const rounds = isRoot ? "5000" : "500";
  const argv = [guest, "crowd", "64", "64", rounds];
  const outcome = await arena.view(TRACED, argv, 240_000);
  assert.deepEqual([outcome.code, outcome.stdout], [0, "0 0\n"], outcome.stderr);
});

withGuest("a storm of signals that restart calls changes none", async (arena, guest) => {
  const outcome = await arena.view(TRACED, [guest, "storm", "2000", "1"]);
  assert.deepEqual([outcome.code, outcome.stdout], [0, "2000 0 0 1\n"], outcome.stderr);
});

withGuest("a storm of signals that interrupt calls gives EINTR at worst", async (arena, guest) => {
  const outcome = await arena.view(TRACED, [guest, "storm", "2000", "0"]);
  assert.match(outcome.stdout, /^2000 0 \d+ 1\n$/, outcome.stderr);
});

withGuest("threads end, exec and are killed while others wait in calls", async (arena, guest) => {
  const outcome = await arena.view(TRACED, [guest, "threads", "120"]);
  assert.deepEqual([outcome.code, outcome.stdout], [0, "0\n"], outcome.stderr);
});

withGuest("children of vfork, clone, clone3 and posix_spawn are served", async (arena, guest) => {
  const outcome = await arena.view(TRACED, [guest, "births", "25"]);
  assert.deepEqual([outcome.code, outcome.stdout], [0, "0\n"], outcome.stderr);
});
