// time limit: 300 s
/** kill -9 of everybody in every state, and what is left of a thousand starts: nothing. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { SYS_X86_64 as SYS } from "../../src/viewos/index.ts";
import { Arena, descriptorsOf, waitsIn } from "./robustness.ts";
import { eventually, missingProgram, supervisorOf, V2 } from "./v2.ts";

/** Longest that a launch may take whose parties are killed. */
const LAUNCH_LIMIT_MS = 30_000;

/**
 * Where a process is killed: at the n-th call of that name by anybody of the launch (the program
 * `v2`, the supervisor and its launcher, the guest's launcher), counted for each of them.
 */
const KILLED_AT: readonly (readonly [call: string, time: number])[] = [
  ["unshare", 1],
  ["capset", 1],
  ["setns", 1],
  ["mount", 1],
  ["mount", 2],
  ["seccomp", 1],
  ["sendmsg", 1],
  ["sendmsg", 2],
  ["recvmsg", 1],
  ["recvmsg", 2],
  ["execve", 1],
  ["execve", 2],
  ["execve", 3],
  ["sethostname", 1],
  ["memfd_create", 1],
  ["memfd_create", 2],
  ["listen", 1],
  ["clone", 1],
  ["exit_group", 1],
];

test("a launch of which any party is killed at any step leaves nothing", async (t) => {
  const reason = missingProgram("strace", "strace");
  if (reason !== undefined) return t.skip(reason);
  using arena = new Arena();
  const mounts = ["--mount", "tmpfs::/mnt"];
  for (const [call, time] of KILLED_AT) {
    const inject = `inject=${call}:signal=KILL:when=${time}`;
    const argv = [process.execPath, V2, "view", "--name", "killed", ...mounts, "--", "true"];
    await arena.run(
      ["strace", "-f", "-qq", "-o", "/dev/null", "-e", `trace=${call}`, "-e", inject, ...argv],
      LAUNCH_LIMIT_MS,
    );
    await arena.assertEmpty(`killed at ${call} ${time}`);
  }
  return undefined;
});

/** A shell that answers words on its standard input would need a pipe: this one looks for files. */
const MOUNTS_WHEN_TOLD = `
echo ready; until [ -e "$0/go" ]; do sleep 0.02; done
mount -t tmpfs none /mnt; echo "mount: $?"; grep -c ' /mnt ' /proc/self/mounts; echo end`;

/** As an ordinary user's set-user-id program, mount(8) first tries to be that user for good. */
const MOUNT_CALLS = [SYS.mount, 105 /* setuid */];

/** A view with a supervisor of its own, which nobody replaces (takeover.test.ts has the others). */
const OWN = ["--trace=mount", "--trace-to", "/dev/null"];

/** Starts a guest that mounts when told, and stops its supervisor before. */
async function pendingMount(arena: Arena) {
  const options = [...OWN, "--name", "pending"];
  const guest = arena.start(options, ["sh", "-c", MOUNTS_WHEN_TOLD, arena.directory]);
  await guest.says("ready\n");
  const supervisor = await arena.supervisor();
  process.kill(supervisor, "SIGSTOP");
  writeFileSync(join(arena.directory, "go"), "");
  const mounting = (): number | undefined =>
    arena.processes().find(({ pid }) => MOUNT_CALLS.some((call) => waitsIn(pid, call)))?.pid;
  assert.ok(await eventually(() => mounting() !== undefined));
  return { guest, supervisor, mounting: mounting()! };
}

test("a guest that is killed while its call is pending changes nothing", async () => {
  using arena = new Arena();
  const { guest, supervisor, mounting } = await pendingMount(arena);
  process.kill(mounting, "SIGKILL");
  await guest.says("mount: 137\n0\nend\n");
  process.kill(supervisor, "SIGCONT");
  assert.equal(await guest.ended(), 0);
  await arena.assertEmpty("after the guest");
});

test("a supervisor that is killed while a call is pending gives ENOSYS", async () => {
  using arena = new Arena();
  const { guest, supervisor } = await pendingMount(arena);
  process.kill(supervisor, "SIGKILL");
  await guest.says("end\n");
  assert.match(guest.stdout, /^ready\nmount: (?!0)\d+\n0\nend\n$/);
  assert.match(guest.stderr, /mount.*(?:not implemented|unknown filesystem|failed)/i);
  assert.equal(await guest.ended(), 0);
  await arena.assertEmpty("after the supervisor");
});

test("a whole view that is killed while a call is pending leaves nothing", async () => {
  using arena = new Arena();
  const { guest, supervisor } = await pendingMount(arena);
  for (const { pid } of arena.processes().filter(({ pid }) => pid !== supervisor)) {
    process.kill(pid, "SIGKILL");
  }
  process.kill(supervisor, "SIGCONT");
  assert.equal(await guest.ended(), "SIGKILL");
  await arena.assertEmpty("after the view");
});

const MOUNTING =
  'echo ready; while mount -t tmpfs none /mnt && umount /mnt; do :; done; echo "end $?"';

test("a supervisor that is killed in the midst of mounts lets its guests go on", async () => {
  using arena = new Arena();
  for (let round = 0; round < 3; round++) {
    const guest = arena.start(OWN, ["sh", "-c", MOUNTING]);
    await guest.says("ready\n");
    const supervisor = await arena.supervisor();
    await new Promise((resolve) => setTimeout(resolve, 40 * round));
    process.kill(supervisor, "SIGKILL");
    await guest.says("end ");
    assert.equal(await guest.ended(), 0);
    await arena.assertEmpty(`round ${round}`);
  }
});

test("guests that are killed in the midst of mounts leave the view to the others", async () => {
  using arena = new Arena();
  const script = `
    set -m
    for i in 1 2 3 4 5 6 7 8; do
      (while mount -t tmpfs none /mnt && umount -l /mnt; do :; done) 2>/dev/null & child=$!
      sleep 0.0$i; kill -9 -$child; wait $child
    done
    while umount -l /mnt 2>/dev/null; do :; done
    mount -t tmpfs none /mnt && echo works && grep -c ' /mnt ' /proc/self/mounts`;
  const outcome = await arena.view([], ["bash", "-c", script]);
  assert.equal(outcome.stdout, "works\n1\n", outcome.stderr);
  await arena.assertEmpty("after the mounts");
});

const EXECS = 'echo ready; until [ -e "$0/go" ]; do :; done; /bin/true; echo "exec: $?"';

for (const victim of ["guest", "supervisor"] as const) {
  test(`kill -9 of a ${victim} while an exec is pending ends it cleanly`, async () => {
    using arena = new Arena();
    const trace = ["--trace=exec", "--trace-to", "/dev/null"];
    const guest = arena.start(trace, ["bash", "-c", EXECS, arena.directory]);
    await guest.says("ready\n");
    const supervisor = await arena.supervisor();
    process.kill(supervisor, "SIGSTOP");
    writeFileSync(join(arena.directory, "go"), "");
    const find = (): number | undefined =>
      arena.processes().find(({ pid }) => waitsIn(pid, SYS.execve))?.pid;
    assert.ok(await eventually(() => find() !== undefined));
    process.kill(victim === "guest" ? find()! : supervisor, "SIGKILL");
    await guest.says(victim === "guest" ? "exec: 137\n" : "exec: 126\n");
    if (victim === "guest") process.kill(supervisor, "SIGCONT");
    assert.equal(await guest.ended(), 0);
    await arena.assertEmpty(victim);
  });
}

test("many sessions of one view leave no descriptor in its supervisor", async () => {
  using arena = new Arena();
  const guest = arena.start(["--name", "long"], ["sh", "-c", "echo ready; exec sleep 1000"]);
  await guest.says("ready\n");
  const supervisor = await supervisorOf("long", arena.env);
  const enter = async (): Promise<void> => {
    const argv = [process.execPath, V2, "view", "exec", "long", "--"];
    const script = "mount -t tmpfs none /mnt && umount /mnt; echo done";
    const outcome = await arena.run([...argv, "sh", "-c", script]);
    assert.deepEqual([outcome.code, outcome.stdout], [0, "done\n"], outcome.stderr);
  };
  assert.ok(supervisor !== undefined);
  await enter();
  const before = descriptorsOf(supervisor);
  for (let round = 0; round < 10; round++) await Promise.all([enter(), enter()]);
  assert.ok(await eventually(() => descriptorsOf(supervisor) <= before), "descriptors grow");
  process.kill(guest.pid, "SIGKILL");
  assert.equal(await guest.ended(), "SIGKILL");
  await arena.assertEmpty("after the sessions");
});

/** Starts; V2_VIEW_STARTS=1000 for the long run. */
const STARTS = Number(process.env["V2_VIEW_STARTS"] ?? 40);

/**
 * The limits of a user namespace count what exists in it: were one namespace left by a start, the
 * one after the eighth start would fail. The user namespace is one of the test's own.
 */
test("starts in a loop leave no namespace, process, mount or file", async () => {
  using arena = new Arena();
  const v2 = `'${process.execPath}' '${V2}'`;
  const script = `
    for kind in user mnt uts net; do echo 12 > /proc/sys/user/max_$kind"_namespaces"; done
    for i in $(seq ${STARTS}); do ${v2} view --mount tmpfs::/mnt -- sh -c 'hostname a' || exit; done
    echo all`;
  const outcome = await arena.run(["unshare", "-Ur", "sh", "-c", script], 280_000);
  assert.deepEqual([outcome.code, outcome.stdout], [0, "all\n"], outcome.stderr);
  await arena.assertEmpty("after the starts");
});
