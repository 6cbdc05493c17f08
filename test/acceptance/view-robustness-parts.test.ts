// time limit: 240 s
/** What becomes of guests when a part of their view dies or hangs: paths, modules, inner views. */
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Arena } from "./robustness.ts";
import { eventually, supervisorOf, V2 } from "./v2.ts";

/** Says ready, waits for a signal, tries, and says how each attempt ended. */
function afterSignal(...attempts: readonly string[]): string {
  const tries = attempts.map((attempt) => `{ ${attempt}; } 2>&1; echo "= $?"`).join("; ");
  return `trap told=1 USR1; echo ready; until [ -n "$told" ]; do :; done; ${tries}; echo end`;
}

/** Ways to answer paths, and what a read says once nobody answers. */
const PATHS = {
  "--trap=path": "Function not implemented",
  "--engine=C": "Function not implemented",
  "--engine=B": undefined,
} as const;

/** Left by a view without namespaces whose supervisor was killed (outside-trees.test.ts). */
const TREES = /^v2-view-\d+$/;

for (const [option, refusal] of Object.entries(PATHS)) {
  test(`guests of a view with ${option} outlive its supervisor and get errors`, async () => {
    using arena = new Arena();
    const attempts = ["read -r line < /etc/passwd", "cd /usr", "mount -t tmpfs none /mnt"];
    const argv = ["bash", "-c", afterSignal(...attempts)];
    const guest = arena.start(["--name", "left", option], argv);
    await guest.says("ready\n");
    // One that decides about paths hides its environment from guests: it is found by name.
    const supervisor = await supervisorOf("left", arena.env);
    assert.ok(supervisor !== undefined);
    process.kill(supervisor, "SIGKILL");
    assert.ok(await eventually(() => !existsSync(`/proc/${supervisor}`)));
    process.kill(guest.pid, "SIGUSR1");
    assert.equal(await guest.ended(), 0, guest.stderr);
    const codes = [...guest.stdout.matchAll(/^= (\d+)$/gm)].map((found) => Number(found[1]));
    if (refusal === undefined) assert.deepEqual(codes.slice(0, 2), [0, 0], guest.stdout);
    else {
      assert.ok(codes.slice(0, 2).every((code) => code !== 0));
      assert.equal(guest.stdout.split(refusal).length >= 3, true, guest.stdout);
    }
    assert.notEqual(codes[2], 0, guest.stdout);
    assert.match(guest.stdout, /end\n$/);
    await arena.assertEmpty(option, TREES);
  });
}

const STUCK_MODULE = `
import { module, vfs } from "virtualsquare/viewos";
export default module("stuck", {
  mount: () => vfs({
    list: () => ["quick", "never"],
    stat: (path) => ({ type: path === "/" ? "directory" : "file" }),
    read: (path) => (path === "/never" ? new Promise(() => {}) : "quick\\n"),
  }),
});
`;

/** A view with that module; its file system is mounted on /mnt. */
function withStuckModule(arena: Arena, script: string) {
  const file = join(arena.directory, "stuck.mjs");
  writeFileSync(file, STUCK_MODULE);
  const mount = "mount -t stuck none /mnt && cat /mnt/quick; ";
  return arena.start(["-p", file], ["bash", "-c", mount + script]);
}

test("a reader that a module never answers is killed at once, and the view goes on", async () => {
  using arena = new Arena();
  const guest = withStuckModule(
    arena,
    `for i in 1 2 3; do cat /mnt/never & sleep 0.1; kill -9 $!; wait $! 2>/dev/null; echo "= $?"; done
     cat /mnt/quick; umount /mnt; [ -e /mnt/quick ] || echo gone; echo end`,
  );
  assert.equal(await guest.ended(), 0, guest.stderr);
  assert.equal(guest.stdout, "quick\n= 137\n= 137\n= 137\nquick\ngone\nend\n");
  await arena.assertEmpty("after the readers");
});

test("readers of a module's files get an error when the view's supervisor is killed", async () => {
  using arena = new Arena();
  const guest = withStuckModule(
    arena,
    `cat /mnt/never & never=$!
     ${afterSignal("read -r line < /mnt/never", "wait $never")}`,
  );
  await guest.says("ready\n");
  process.kill(await arena.supervisor(), "SIGKILL");
  assert.ok(await eventually(() => arena.processes().every(({ name }) => name !== "node")));
  process.kill(guest.pid, "SIGUSR1");
  assert.equal(await guest.ended(), 0, guest.stderr);
  assert.match(guest.stdout, /^quick\nready\n[^]*= 1\n= 1\nend\n$/);
  await arena.assertEmpty("after the supervisor");
});

test("inner and outer views end in any order and leave nothing", async () => {
  using arena = new Arena();
  const v2 = `'${process.execPath}' '${V2}'`;
  const inner = `${v2} view -- sh -c "mount -t tmpfs none /mnt; echo inner; exec sleep 1000"`;
  for (const victim of ["outer", "inner", "supervisor"] as const) {
    const script = `mount -t tmpfs none /mnt; ${inner} & wait $!; echo "= $?"; exec sleep 1000`;
    const guest = arena.start([], ["sh", "-c", script]);
    await guest.says("inner\n");
    const supervisor = await arena.supervisor();
    const innermost = arena
      .processes()
      .find(({ pid, name }) => name === "sleep" && pid !== guest.pid);
    assert.ok(innermost !== undefined);
    const killed = { outer: guest.pid, inner: innermost.pid, supervisor };
    process.kill(killed[victim], "SIGKILL");
    if (victim === "inner") await guest.says("= 137\n");
    if (victim !== "outer") process.kill(guest.pid, "SIGKILL");
    if (victim !== "inner") process.kill(innermost.pid, "SIGKILL");
    assert.equal(await guest.ended(), "SIGKILL");
    await arena.assertEmpty(victim);
  }
});
