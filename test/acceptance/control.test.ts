// time limit: 300 s
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import {
  compileText,
  eventually,
  inView,
  missingProgram,
  runProgram,
  supervisorOf,
  temporaryDirectory,
  v2,
} from "./v2.ts";

const ENGINE = fileURLToPath(new URL("../../src/engine/index.js", import.meta.url));

/** A program that asks one operation of the view it is in, or of a named one. */
function asker(op: string, args: object = {}, view?: string): string {
  const name = view === undefined ? "" : JSON.stringify(view);
  return `import(${JSON.stringify(ENGINE)}).then(async ({ openControl }) => {
    const client = openControl(${name});
    try { console.log(JSON.stringify(await client.ask(${JSON.stringify(op)}, ${JSON.stringify(args)}))); }
    catch (error) { console.log(error.code, error.message); }
    client.close();
  }).catch((error) => console.log(error.code));`;
}

const ask = (op: string, args: object = {}, view?: string): string =>
  `'${process.execPath}' -e '${asker(op, args, view)}'`;

test("a guest asks its view by the private call, in a chroot-like root and without any path", async () => {
  const { stdout } = await inView(
    `export PATH=$PATH:/sbin:/usr/sbin
    ${ask("uname")}
    mount -t tmpfs none /mnt && ${ask("uname")}`,
    ["--root"],
  );
  const [first, second] = stdout.trim().split("\n");
  const names = JSON.parse(first!) as { server: number; view: number; name: string };
  assert.deepEqual([names.view, names.name], [1, ""]);
  assert.ok(names.server > 1);
  assert.equal(second, first);
});

test("outside a view there is nobody to ask", async () => {
  const outcome = await runProgram([process.execPath, "-e", asker("uname")]);
  assert.equal(outcome.stdout, "NOT_IN_A_VIEW\n");
});

test("a named view answers those outside too, and tells what it has no operation for", async () => {
  const name = `asked-${process.pid}`;
  const held = inView("sleep 60", ["--name", name]);
  const supervisor = await supervisorOf(name);
  try {
    const outcome = await runProgram(["sh", "-c", ask("uname", {}, name)]);
    assert.deepEqual(JSON.parse(outcome.stdout), {
      server: supervisor,
      view: 1,
      name,
      rung: (JSON.parse(outcome.stdout) as { rung: unknown }).rung,
    });
    const unknown = await runProgram(["sh", "-c", ask("no-such", {}, name)]);
    assert.match(unknown.stdout, /^NO_OPERATION this view has no operation 'no-such'/);
  } finally {
    process.kill(supervisor!, "SIGTERM");
    await held;
  }
});

test("a view whose supervisor was killed cannot be entered, and says what to do", async () => {
  const name = `orphaned-${process.pid}`;
  // With a trace it has a supervisor of its own, which nobody replaces.
  const own = ["--trace=mount", "--trace-to", "/dev/null"];
  const held = inView("exec sleep 60", [...own, "--name", name]);
  const supervisor = await supervisorOf(name);
  assert.ok(supervisor !== undefined);
  process.kill(supervisor, "SIGKILL");
  await eventually(() => !existsSync(`/proc/${supervisor}`));
  const outcome = await v2(["view", "exec", name, "--", "true"]);
  assert.equal(outcome.code, 69);
  const pid = /has been killed\n.*end it \(kill (\d+) /.exec(outcome.stderr)?.[1];
  assert.ok(pid !== undefined, outcome.stderr);
  const asked = await runProgram([process.execPath, "-e", asker("uname", {}, name)]);
  assert.equal(asked.stdout, "SUPERVISOR_GONE\n");
  process.kill(Number(pid), "SIGTERM");
  await held;
  assert.match((await v2(["view", "exec", name])).stderr, /no view named/);
});

test("an alias is a mount type as soon as it is set, and none any more when it is removed", async () => {
  const { stdout } = await inView(
    `${ask("fsalias", { alias: "scratch", type: "tmpfs" })}
     mount -t scratch none /mnt && grep -c ' /mnt tmpfs ' /proc/self/mounts
     umount /mnt
     ${ask("fsalias", { alias: "scratch" })}
     mount -t scratch none /mnt 2>/dev/null || echo refused
     ${ask("fsalias", { alias: "constructor" })}`,
    ["--root"],
  );
  assert.equal(stdout, `{"scratch":"tmpfs"}\n1\n{}\nrefused\nNO_ALIAS 'constructor' is no alias\n`);
});

test("a view gets another name: by it, and no longer by the old one, it is found", async () => {
  const [before, after] = [`before-${process.pid}`, `after-${process.pid}`];
  const script = `${ask("viewname", { name: after })}; ${ask("viewname")}; sleep 60`;
  const held = inView(script, ["--name", before]);
  const supervisor = await supervisorOf(after);
  assert.ok(supervisor !== undefined);
  try {
    const listed = (await v2(["view", "list"])).stdout;
    assert.ok(!listed.includes(before) && listed.includes(after), listed);
    const inside = await v2(["view", "exec", after, "--", "echo", "entered"]);
    assert.equal(inside.stdout, "entered\n");
    const taken = await inView(ask("viewname", { name: after }), ["--name", before]);
    assert.match(taken.stdout, /^VIEW_EXISTS/);
  } finally {
    process.kill(supervisor, "SIGTERM");
    await held;
  }
  assert.ok(!(await v2(["view", "list"])).stdout.includes(after));
});

test("a view without a name gets one, and is found and entered by it", async () => {
  const name = `late-${process.pid}`;
  const held = inView(`${ask("viewname", { name })}; exec sleep 60`);
  const supervisor = await supervisorOf(name);
  assert.ok(supervisor !== undefined);
  try {
    const inside = await v2(["view", "exec", name, "--", "sh", "-c", ask("viewname")]);
    assert.equal(inside.stdout, `"${name}"\n`, inside.stderr);
    const taken = await inView(ask("viewname", { name }));
    assert.match(taken.stdout, /^VIEW_EXISTS/);
    assert.ok((await v2(["view", "list"])).stdout.includes(name), "the loser leaves it alone");
  } finally {
    process.kill(supervisor, "SIGTERM");
    await held;
  }
  assert.ok(!(await v2(["view", "list"])).stdout.includes(name));
});

test("shutdown ends what ends by SIGTERM at once and the rest after the time", async () => {
  using directory = temporaryDirectory();
  const mark = join(directory.path, "ended");
  const started = performance.now();
  const outcome = await inView(
    `(trap 'echo yes >${mark}; exit' TERM; while :; do sleep 0.1; done) &
     (trap '' TERM; while :; do sleep 0.1; done) &
     sleep 0.3; trap '' TERM; ${ask("shutdown", { seconds: 1 })}; while :; do sleep 1; done`,
  );
  const seconds = (performance.now() - started) / 1000;
  assert.equal(outcome.signal, "SIGKILL");
  assert.ok(seconds > 1 && seconds < 20, `${seconds} s`);
  assert.ok(existsSync(mark));
});

const noCompiler = missingProgram("gcc", "gcc");

test("the private call works by the 32-bit entry and opens no more than its bound", {
  skip: noCompiler,
}, async () => {
  using directory = temporaryDirectory();
  const program = join(directory.path, "call");
  compileText(
    `#include <errno.h>
     #include <fcntl.h>
     #include <stdio.h>
     #include <string.h>
     #include <sys/syscall.h>
     #include <unistd.h>
     static int call32(void) {
       int result;
       __asm__ volatile("int $0x80" : "=a"(result) : "a"(22101) : "memory");
       return result;
     }
     int main(void) {
       int fd = call32(), opened = 1, last = 0;
       char line[200] = "";
       const char *question = "{\\"id\\":9,\\"op\\":\\"viewname\\"}\\n";
       if (fd < 0) return 1;
       if (fcntl(fd, F_GETFD) != FD_CLOEXEC || (fcntl(fd, F_GETFL) & O_NONBLOCK)) return 2;
       if (write(fd, question, strlen(question)) < 0) return 3;
       if (read(fd, line, sizeof line - 1) < 0) return 4;
       printf("%s", line);
       while (opened < 1000 && (last = syscall(22101)) >= 0) opened++;
       printf("%d %d\\n", opened, errno == EUSERS);
       for (int i = 0; i < 1000; i++) close(3 + i);
       for (int i = 0; i < 20000; i++) { int one = syscall(22101); if (one >= 0) close(one); }
       for (int tries = 0; tries < 100 && (fd = syscall(22101)) < 0; tries++) usleep(50000);
       printf("%d\\n", fd >= 0);
       return 0;
     }`,
    program,
    "-O1",
  );
  const { stdout, code } = await inView(program);
  assert.deepEqual([stdout, code], ['{"id":9,"ok":true,"value":""}\n64 1\n1\n', 0]);
});

test("in a view with --deny no guest puts in or takes out a module, which would see everything", async () => {
  using directory = temporaryDirectory();
  const secret = join(directory.path, "secret");
  writeFileSync(secret, "hidden");
  const { stdout } = await inView(
    `cat '${secret}' 2>/dev/null || echo denied
     ${ask("insmod", { module: "shout" })}; ${ask("rmmod", { module: "shout" })}; ${ask("lsmod")}`,
    ["--deny", secret],
  );
  const refused = "EPERM modules cannot be changed in a view with --deny\n";
  assert.equal(stdout, `denied\n${refused}${refused}[]\n`);
});
