// time limit: 300 s
/** Views under load: crowds, storms of signals, threads and processes of all kinds, old numbers. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { Arena, compiledGuest, REUSE } from "./robustness.ts";
import { missingProgram, V2 } from "./v2.ts";

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

/** All that follows runs as root of a user namespace and first process of a pid namespace. */
const IN_NUMBERS_OF_ITS_OWN = ["unshare", "-Urpf", "--mount-proc", "--kill-child"];

for (const options of [TRACED, ["--trap=path"]]) {
  withGuest(
    `numbers of processes that come round confuse no ${options[0]}`,
    async (arena, guest) => {
      // From kernel 6.14 on each pid namespace has a limit of its own, 301 at least (pid_namespaces(7)).
      const limit = "/proc/sys/kernel/pid_max";
      const script = `
      echo 500 > ${limit} && [ "$(cat ${limit})" = 500 ] || exit 77
      cd "$0"; exec '${process.execPath}' '${V2}' view ${options.join(" ")} -- '${guest}' successors 1000`;
      const outcome = await arena.run([
        ...IN_NUMBERS_OF_ITS_OWN,
        "sh",
        "-c",
        script,
        arena.directory,
      ]);
      assert.deepEqual([outcome.code, outcome.stdout], [0, "0 1\n"], outcome.stderr);
    },
  );
}

test("the number of a guest that was killed in a call is another's at once, unharmed", async (t) => {
  const reason = missingProgram("/usr/bin/python3", "python3");
  if (reason !== undefined) return t.skip(reason);
  using arena = new Arena();
  const script = 'cd "$1"; shift; exec "$@"';
  const view = [process.execPath, V2, "view", "--"];
  const argv = ["sh", "-c", script, "sh", arena.directory, "/usr/bin/python3", REUSE, ...view];
  const outcome = await arena.run([...IN_NUMBERS_OF_ITS_OWN, ...argv]);
  const wanted = [
    "the number was taken over True",
    "mounts after the killed call: 0",
    "mounts after a living one: 1",
    "ended 0",
  ];
  assert.deepEqual(outcome.stdout.trimEnd().split("\n"), wanted, outcome.stderr);
  await arena.assertEmpty("after the heir");
  return undefined;
});
