// time limit: 120 s
/** Processes that cannot be taken into a view: the reason is told, and they stay as they are. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { isRoot, runningView, Shell, skip, stateOf, status } from "./attach-support.ts";
import {
  compileText,
  eventually,
  isRunning,
  missingProgram,
  temporaryDirectory,
  v2,
} from "./v2.ts";

test("what cannot go in is refused with the reason, and left as it is", { skip }, async () => {
  await using view = await runningView();
  const refused = async (pid: number, code: number, reason: RegExp): Promise<void> => {
    const isThere = existsSync(`/proc/${pid}/fd`);
    const before = isThere && pid !== 1 && pid !== process.pid ? stateOf(pid) : undefined;
    const outcome = await view.attach(pid);
    assert.match(outcome.stderr, reason);
    assert.equal(outcome.code, code, outcome.stderr);
    assert.equal(outcome.stdout, "");
    if (before !== undefined) assert.deepEqual(stateOf(pid), before);
  };
  await refused(2 ** 22, 3, /there is no process 4194304/);
  await refused(process.pid, 69, /has \d+ threads/);
  await refused(view.pid, 69, /is in view '.*' already/);
  await using shell = new Shell();
  const zombie = Number(await shell.ask("sleep 0.5 & echo $!"));
  process.kill(shell.pid, "SIGSTOP");
  assert.ok(await eventually(() => / T /.test(readFileSync(`/proc/${shell.pid}/stat`, "utf8"))));
  await refused(shell.pid, 69, /is stopped[^]*kill -CONT/);
  // Its parent, which is stopped, cannot take notice of its end.
  assert.ok(await eventually(() => /^State:\s+Z/m.test(status(String(zombie)))));
  assert.match((await view.attach(zombie)).stderr, /has ended/);
  process.kill(shell.pid, "SIGCONT");
  await using other = await runningView();
  const elsewhere = await v2(["view", "attach", view.name, String(other.pid)]);
  assert.match(elsewhere.stderr, /is in another view/);
  assert.equal(elsewhere.code, 69);
  const boxed = spawn("unshare", ["-Ur", "cat"], { stdio: ["pipe", "ignore", "inherit"] });
  assert.ok(
    await eventually(() => /\(cat\) S/.test(readFileSync(`/proc/${boxed.pid}/stat`, "utf8"))),
  );
  await refused(boxed.pid!, 69, /user namespace of its own/);
  boxed.stdin.end();
  await once(boxed, "exit");
  const kernel = readdirSync("/proc").find(
    (name) => /^\d+$/.test(name) && /^Kthread:\s+1|^Name:\s+kthreadd/m.test(status(name)),
  );
  if (kernel !== undefined) {
    assert.match((await view.attach(Number(kernel))).stderr, /thread of the kernel/);
  }
  const gone = await v2(["view", "attach", "no-such-view", String(shell.pid)]);
  assert.equal(gone.code, 3);
  assert.match(gone.stderr, /no view named 'no-such-view'/);
  assert.equal((await view.attach(shell.pid)).code, 0);
});

test("a process of another user is refused", { skip }, async () => {
  await using view = await runningView();
  const user = ["setpriv", "--reuid", "54321", "--clear-groups", "sleep", "60"];
  const child = isRoot ? spawn(user[0]!, user.slice(1), { stdio: "ignore" }) : undefined;
  if (child !== undefined) {
    assert.ok(await eventually(() => /^Uid:\s+54321/m.test(status(String(child.pid)))));
  }
  const outcome = await view.attach(child?.pid ?? 1);
  assert.equal(outcome.code, 77, outcome.stderr);
  assert.match(outcome.stderr, /another user/);
  child?.kill("SIGKILL");
});

test("a process that is traced is refused", {
  skip: missingProgram("strace", "strace") ?? skip,
}, async () => {
  await using view = await runningView();
  await using shell = new Shell();
  const strace = spawn("strace", ["-qq", "-o", "/dev/null", "-p", String(shell.pid)], {
    stdio: "ignore",
  });
  assert.ok(await eventually(() => !/^TracerPid:\s+0/m.test(status(String(shell.pid)))));
  const outcome = await view.attach(shell.pid);
  assert.equal(outcome.code, 69);
  assert.match(outcome.stderr, new RegExp(`traced already, by process ${strace.pid}`));
  strace.kill("SIGTERM");
  await once(strace, "exit");
  assert.equal((await view.attach(shell.pid)).code, 0);
});

const gcc = missingProgram("gcc", "gcc");

test("what the kernel refuses is undone: a process that shares its directory", {
  skip: gcc ?? skip,
}, async () => {
  await using view = await runningView();
  using directory = temporaryDirectory();
  const program = compileText(
    `#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
static char stack[65536];
static int child(void *arg) {
  char c;
  puts("ready");
  fflush(stdout);
  return read(0, &c, 1) == 1 ? 5 : 6;
}
int main(void) {
  int status;
  waitpid(clone(child, stack + sizeof stack, CLONE_FS | SIGCHLD, 0), &status, 0);
  return WEXITSTATUS(status);
}`,
    join(directory.path, "shares"),
  );
  const child = spawn(program, [], { stdio: ["pipe", "pipe", "inherit"] });
  await once(child.stdout, "data");
  const before = stateOf(child.pid!);
  const outcome = await view.attach(child.pid!);
  assert.equal(outcome.code, 69);
  assert.match(outcome.stderr, /shares its working directory/);
  assert.deepEqual(stateOf(child.pid!), before);
  child.stdin.write("x");
  assert.deepEqual(await once(child, "exit"), [5, null]);
});

test("a process without room for descriptors stays as it was", { skip }, async () => {
  await using view = await runningView();
  await using shell = new Shell();
  for (const limit of [4, 5, 6, 7]) {
    await shell.ask(`ulimit -S -n ${limit}`);
    const before = stateOf(shell.pid);
    const outcome = await view.attach(shell.pid);
    if (outcome.code === 0) return;
    assert.match(outcome.stderr, /Too many open files/);
    assert.deepEqual(stateOf(shell.pid), before);
  }
});

test("a 32-bit program is refused", { skip: gcc ?? skip }, async (t) => {
  using directory = temporaryDirectory();
  const program = join(directory.path, "small");
  const text = 'void _start(void) { for (;;) __asm__ volatile("int $0x80" : : "a"(29)); }';
  const made = spawnSync(
    "gcc",
    ["-m32", "-nostdlib", "-static", "-fno-pie", "-no-pie", "-x", "c", "-o", program, "-"],
    {
      input: text,
    },
  );
  if (made.status !== 0) return t.skip("gcc makes no 32-bit programs here");
  await using view = await runningView();
  const child = spawn(program, [], { stdio: "ignore" });
  const outcome = await view.attach(child.pid!);
  assert.match(outcome.stderr, /32-bit/);
  assert.ok(isRunning(child.pid!));
  child.kill("SIGKILL");
  return undefined;
});
