// time limit: 240 s
/** Running processes that are taken into a view: `v2 view attach`, `um_attach`. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmdirSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runningView, Shell, skip, status } from "./attach-support.ts";
import { eventually, isRunning, missingProgram, temporaryDirectory, V2, v2 } from "./v2.ts";

for (const rung of ["A", "C"]) {
  const options = [`--engine=${rung}`];

  test(`${rung}: a shell that runs sees the view's mount and host name, and mounts in it`, {
    skip,
  }, async () => {
    await using view = await runningView(options);
    const inside = join(view.directory, "own");
    mkdirSync(inside);
    await using shell = new Shell(view.mounted);
    assert.equal(
      await shell.ask(`ls ${view.mounted}; uname -n; echo $$`),
      `${hostname()}\n${shell.pid}\n`,
    );
    const before = readdirSync(`/proc/${shell.pid}/fd`);
    const outcome = await view.attach(shell.pid, "--json");
    assert.equal(outcome.stderr, "");
    assert.deepEqual(JSON.parse(outcome.stdout), {
      pid: shell.pid,
      view: view.name,
      directory: view.mounted,
    });
    assert.equal(
      await shell.ask(`uname -n; ${rung === "C" ? "cd .; " : ""}ls; pwd; echo $$; id -u`),
      `${view.name}\ninside\n${view.mounted}\n${shell.pid}\n${process.geteuid!()}\n`,
    );
    assert.equal(
      await shell.ask(`mount -t tmpfs none ${inside} && touch ${inside}/x && ls ${inside}`),
      "x\n",
    );
    assert.deepEqual(readdirSync(inside), []);
    assert.deepEqual(readdirSync(`/proc/${shell.pid}/fd`), before);
    assert.equal(await shell.end(), 7);
  });

  test(`${rung}: a sleep lasts as long as it would have, and ends as it would have`, {
    skip,
  }, async () => {
    await using view = await runningView(options);
    const start = performance.now();
    const child = spawn("sleep", ["2"], { stdio: "ignore" });
    assert.equal((await view.attach(child.pid!)).stderr, "");
    assert.deepEqual(await once(child, "exit"), [0, null]);
    const ms = performance.now() - start;
    assert.ok(ms >= 2000 && ms < 2900, `${ms} ms`);
    // A view's process keeps the view: it may be ended like any other.
    const killed = spawn("sleep", ["60"], { stdio: "ignore" });
    assert.equal((await view.attach(killed.pid!)).code, 0);
    killed.kill("SIGTERM");
    assert.deepEqual(await once(killed, "exit"), [null, "SIGTERM"]);
  });
}

/** Python statements that wait: each prints what its wait came to. */
const WAITS: { readonly [what: string]: { readonly code: string; readonly prints: string } } = {
  read: { code: "print(os.read(0, 10))", prints: "b'late\\n'" },
  poll: { code: "p = select.poll(); p.register(0, 1); print(p.poll())", prints: "[(0, 1)]" },
  "poll with a time": { code: "print(select.select([], [], [], 1.5))", prints: "([], [], [])" },
  futex: {
    code: "l = threading.Lock(); l.acquire(); print(l.acquire(timeout=1.5))",
    prints: "False",
  },
  pause: {
    code: "signal.setitimer(signal.ITIMER_REAL, 1.5); print(signal.pause())",
    prints: "None",
  },
  sigtimedwait: { code: "print(signal.sigtimedwait([signal.SIGUSR1], 1.5))", prints: "None" },
  accept: {
    code: "s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); s.settimeout(1.5)\ntry: s.accept()\nexcept TimeoutError: print('late')",
    prints: "late",
  },
  "a child": {
    code: "print(os.waitpid(subprocess.Popen(['sleep', '1.5']).pid, 0)[1])",
    prints: "0",
  },
};

for (const [what, { code, prints }] of Object.entries(WAITS)) {
  const lacking = missingProgram("python3", "python3");
  test(`a process that waits for ${what} goes on waiting`, { skip: lacking ?? skip }, async () => {
    await using view = await runningView();
    const script = `import os, select, signal, socket, subprocess, sys, threading, time
signal.signal(signal.SIGALRM, lambda *a: None)
print("ready", flush=True)
start = time.monotonic()
${code}
print(time.monotonic() - start, os.uname().nodename)
sys.exit(5)`;
    const child = spawn("python3", ["-c", script], { stdio: ["pipe", "pipe", "inherit"] });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    assert.ok(await eventually(() => text === "ready\n"));
    assert.equal((await view.attach(child.pid!)).stderr, "");
    const isTimed = !["read", "poll"].includes(what);
    if (!isTimed) child.stdin.write("late\n");
    assert.deepEqual(await once(child, "close"), [5, null]);
    const [, result, rest] = text.split("\n");
    assert.equal(result, prints);
    const [seconds, name] = rest!.split(" ");
    assert.equal(name, view.name);
    if (isTimed) assert.ok(Number(seconds) >= 1.49 && Number(seconds) < 2.4, seconds);
  });
}

test("job control, signals and their handlers are as before", { skip }, async () => {
  await using view = await runningView();
  await using shell = new Shell();
  await shell.ask("trap 'echo got it' USR1");
  const stat = (): readonly string[] =>
    readFileSync(`/proc/${shell.pid}/stat`, "utf8").replace(/.*\) /, "").split(" ");
  const [, ...before] = stat().slice(0, 6);
  assert.equal((await view.attach(shell.pid)).code, 0);
  const [, ...after] = stat().slice(0, 6);
  assert.deepEqual(after, before, "parent, group, session and terminal");
  process.kill(shell.pid, "SIGSTOP");
  assert.ok(await eventually(() => stat()[0] === "T"));
  process.kill(shell.pid, "SIGCONT");
  assert.equal(await shell.ask("kill -USR1 $$; true"), "got it\n");
  assert.equal(
    await shell.ask("sleep 60 & kill -TERM $!; wait $!; echo $?; uname -n"),
    `143\n${view.name}\n`,
  );
  assert.equal(await shell.end(), 7);
});

test("a shell takes itself in, and its children go with it", { skip }, async () => {
  await using view = await runningView();
  await using shell = new Shell();
  const command = `'${process.execPath}' '${V2}' um_attach`;
  assert.equal(
    await shell.ask(`${command} -V ${view.name} $$; uname -n; ls ${view.mounted}`),
    `${view.name}\ninside\n`,
  );
  assert.equal(await shell.ask("sh -c 'uname -n'"), `${view.name}\n`);
  assert.match(await shell.ask(`'${process.execPath}' '${V2}' vuname -N`), new RegExp(view.name));
});

test("a process goes into a view inside a view, and is ended with it", { skip }, async () => {
  await using view = await runningView();
  const inner = `${view.name}-inner`;
  const words = ["view", "exec", view.name, "--", process.execPath, V2, "view", "--name", inner];
  const child = spawn(process.execPath, [V2, ...words, "--", "sh", "-c", "echo ready; exec cat"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  await using shell = new Shell();
  assert.equal((await v2(["view", "attach", inner, String(shell.pid)])).stderr, "");
  assert.equal(await shell.ask(`uname -n; ls ${view.mounted}`), `${inner}\ninside\n`);
  shell.child.stdin!.write(`exec '${process.execPath}' '${V2}' umshutdown 0\n`);
  assert.ok(await eventually(() => !isRunning(shell.pid) && !isRunning(child.pid!)));
});

test("paths that are denied are denied to it from its next call on", { skip }, async () => {
  using directory = temporaryDirectory();
  mkdirSync(join(directory.path, "no"));
  await using view = await runningView(["--deny", join(directory.path, "no")]);
  await using shell = new Shell();
  assert.equal((await view.attach(shell.pid)).code, 0);
  assert.equal(
    await shell.ask(`ls ${directory.path}/no 2>&1 | grep -c 'Permission denied'`),
    "1\n",
  );
  assert.equal(
    await shell.ask(`cd ${directory.path}; touch x; ls; umask 077; umask`),
    "no\nx\n0077\n",
  );
});

test("a working directory that is gone becomes the root directory, and that is said", {
  skip,
}, async () => {
  await using view = await runningView();
  const gone = join(view.directory, "gone");
  mkdirSync(gone);
  await using shell = new Shell(gone);
  await shell.ask("true");
  rmdirSync(gone);
  const outcome = await view.attach(shell.pid);
  assert.equal(outcome.code, 0);
  assert.match(outcome.stderr, /stands in \/ now/);
  assert.equal(readlinkSync(`/proc/${shell.pid}/cwd`), "/");
});

test("in a view without namespaces all threads of a process go together", {
  skip: missingProgram("python3", "python3") ?? skip,
}, async () => {
  await using view = await runningView(["--engine=C"]);
  const script = `import os, sys, threading
def look():
    while sys.stdin.readline():
        print(os.uname().nodename, os.listdir(${JSON.stringify(view.mounted)}), flush=True)
t = threading.Thread(target=look); t.start(); print("ready", flush=True); t.join()
print(os.uname().nodename)`;
  const child = spawn("python3", ["-c", script], { stdio: ["pipe", "pipe", "inherit"] });
  child.stdout.setEncoding("utf8");
  await once(child.stdout, "data");
  assert.equal((await view.attach(child.pid!)).stderr, "");
  let text = "";
  child.stdout.on("data", (chunk: string) => (text += chunk));
  child.stdin.end("go\n");
  assert.deepEqual(await once(child, "close"), [0, null]);
  assert.equal(text, `${view.name} ['inside']\n${view.name}\n`);
});

test("from inside: a view without namespaces takes processes in, others say where to ask", {
  skip,
}, async () => {
  await using shell = new Shell();
  const attach = `'${process.execPath}' '${V2}' um_attach ${shell.pid}`;
  const name = `attach-${process.pid}-from`;
  const inA = await v2(["view", "--name", name, "--engine=A", "--", "sh", "-c", attach]);
  assert.equal(inA.code, 69);
  assert.match(inA.stderr, new RegExp(`outside of the view: v2 view attach ${name} ${shell.pid}`));
  const inC = spawn(
    process.execPath,
    [V2, "view", "--name", name, "--engine=C", "--", "sh", "-c", `${attach}; echo $?; exec cat`],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  assert.equal(String((await once(inC.stdout, "data"))[0]), "0\n");
  assert.equal(await shell.ask("uname -n"), `${name}\n`);
  assert.equal(await shell.end(), 7);
  inC.stdin.end();
  await once(inC, "exit");
});

test("kill -9 of the attacher at any moment leaves a process that lives and ends as it would have", {
  skip,
}, async () => {
  await using view = await runningView();
  let taken = 0;
  const ROUNDS = 12;
  for (let round = 0; round < ROUNDS; round++) {
    await using shell = new Shell();
    await shell.ask("true");
    const words = [V2, "view", "attach", view.name, String(shell.pid)];
    const attacher = spawn(process.execPath, words, { stdio: "ignore" });
    // From its first look at the process on, later each time: at last it is done.
    const traced = (): boolean => !/^TracerPid:\s+0/m.test(status(String(shell.pid)));
    while (!traced() && attacher.exitCode === null)
      await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setTimeout(resolve, round === 0 ? 0 : 2 ** (round - 1)));
    attacher.kill("SIGKILL");
    if (attacher.exitCode === null && attacher.signalCode === null) await once(attacher, "exit");
    const name = (await shell.ask("uname -n")).trim();
    assert.ok([hostname(), view.name].includes(name), name);
    if (name === view.name) {
      taken++;
      assert.equal(
        await shell.ask(`ls ${view.mounted}; mount -t tmpfs none /mnt && echo ok`),
        "inside\nok\n",
      );
    }
    assert.equal(await shell.end(), 7);
  }
  assert.ok(taken > 0, "none got as far as the view");
});
