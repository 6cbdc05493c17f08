// time limit: 240 s
/**
 * The same scenarios on every rung of the ladder: what a view is does not depend on how it is made.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import {
  compile,
  eventually,
  inView,
  missingProgram,
  runProgram,
  supervisorOf,
  temporaryDirectory,
  v2,
  V2,
} from "./v2.ts";
import { withoutSeccomp } from "./without-seccomp.ts";

const RUNGS = ["A", "B", "C", "D"] as const;
/** Without namespaces a mount point need not be there. */
const withGhosts = (rung: string): boolean => rung === "C" || rung === "D";

/** Directories that views without namespaces keep their trees in. */
const treesLeft = (): string[] => readdirSync(tmpdir()).filter((one) => one.startsWith("v2-view-"));

for (const rung of RUNGS) {
  const engine = `--engine=${rung}`;
  const run = (script: string, settings: Parameters<typeof inView>[2] = {}) =>
    inView(script, [engine], settings);

  test(`${rung}: exit status, streams, directory, environment, signals and pid are the caller's`, async () => {
    using directory = temporaryDirectory();
    const outcome = await run("cat; pwd; echo $MARK; echo problem >&2; exit 42", {
      input: "from outside\n",
      cwd: directory.path,
      env: { ...process.env, MARK: "kept" },
    });
    assert.deepEqual(outcome, {
      code: 42,
      signal: null,
      stdout: `from outside\n${directory.path}\nkept\n`,
      stderr: "problem\n",
    });
    assert.equal((await run("kill -TERM $$")).signal, "SIGTERM");
    const child = spawn(process.execPath, [V2, "view", engine, "--", "sleep", "60"], {
      stdio: "ignore",
    });
    const isSleep = (): boolean => readFileSync(`/proc/${child.pid}/comm`, "utf8") === "sleep\n";
    assert.ok(await eventually(isSleep));
    child.kill("SIGINT");
    assert.deepEqual(await once(child, "exit"), [null, "SIGINT"]);
  });

  test(`${rung}: a command that cannot be run gives 127 or 126 and says why`, async () => {
    const missing = await v2(["view", engine, "--", "no-such-program"]);
    assert.equal(missing.code, 127);
    assert.match(missing.stderr, /no-such-program: No such file or directory/);
    const forbidden = await v2(["view", engine, "--", "/etc/passwd"]);
    assert.equal(forbidden.code, 126);
    assert.match(forbidden.stderr, /\/etc\/passwd: Permission denied/);
  });

  test(`${rung}: mounts of tmpfs and binds, nested, read-only, busy, in the view only`, async () => {
    using directory = temporaryDirectory();
    const { path } = directory;
    mkdirSync(join(path, "m"));
    mkdirSync(join(path, "data/deep"), { recursive: true });
    writeFileSync(join(path, "data/file"), "bound\n");
    const outcome = await run(
      `mount -t tmpfs none m && echo inside > m/file && cat ${path}/m/file
       mkdir m/sub && mount -t tmpfs none m/sub && echo deep > ${path}/m/sub/file
       cat m/sub/../sub/file; ls m/sub m; cat ${path}/m/sub/../file
       umount m 2>/dev/null || echo busy: nested
       (cd m/sub && ! umount . 2>/dev/null && echo busy: stood in)
       umount m/sub && ls m/sub && umount m && ls m
       mount --bind data m && cat m/file && ls ${path}/m
       mount -o remount,ro,bind m && touch m/new || echo read-only
       touch data/new && ls m && rm data/new
       umount m && mount --bind data/file m/none 2>/dev/null || umount m 2>/dev/null || echo gone
       mount -t tmpfs none m && mount -t tmpfs none m && umount m && umount m && ls -A m; echo end`,
      { cwd: path },
    );
    assert.equal(outcome.stderr.replace(/^touch: .*Read-only file system\n/, ""), "");
    assert.deepEqual(outcome.stdout.trim().split("\n"), [
      "inside",
      "deep",
      "m:",
      "file",
      "sub",
      "",
      "m/sub:",
      "file",
      "inside",
      "busy: nested",
      "busy: stood in",
      "bound",
      "deep",
      "file",
      "read-only",
      "deep",
      "file",
      "new",
      ...(withGhosts(rung) ? [] : ["gone"]),
      "end",
    ]);
    assert.deepEqual(readdirSync(join(path, "m")), []);
  });

  test(`${rung}: a file over a file; programs, links and directories in a mount`, async () => {
    using directory = temporaryDirectory();
    const { path } = directory;
    mkdirSync(join(path, "m"));
    chmodSync(path, 0o755);
    writeFileSync(join(path, "hosts"), "10.0.0.1 somewhere\n");
    symlinkSync("m/in", join(path, "to-the-inside"));
    const outcome = await run(
      `mount --bind hosts /etc/hosts && cat /etc/hosts
       mount -t tmpfs none m && cd m && pwd && /bin/pwd
       echo first > in && cat ../to-the-inside && ln -s ${path}/m/in link && cat link && readlink link
       cp /bin/echo here && ./here run && ${path}/m/here run by name
       mkdir d && mv in d/in && ln d/in d/other && cat d/other && rm -r d && ls
       cd / && cat ${path}/m/in 2>&1; cd ${path}/m/.. && pwd -P
       grep -c ' ${path}/m ' /proc/self/mounts; grep -c ' ${path}/m ' /proc/$$/mountinfo`,
      { cwd: path, env: { ...process.env, LC_ALL: "C" } },
    );
    assert.equal(outcome.stderr, "");
    assert.equal(
      outcome.stdout,
      `10.0.0.1 somewhere
${path}/m
${path}/m
first
first
${path}/m/in
run
run by name
first
here
link
cat: ${path}/m/in: No such file or directory
${path}
1
1
`,
    );
    assert.ok(!existsSync(join(path, "m/here")));
  });

  test(`${rung}: files made in a mount get the mask, a FIFO waits for its other end`, async () => {
    const outcome = await inView(
      `cd /mnt; mkfifo p; (sleep 0.2; echo through > p) & cat /mnt/p
       for mask in 077 002 0; do umask $mask; : > /mnt/f$mask; mkdir d$mask; done; stat -c %a /mnt/*
       echo text > '/mnt/a name'; cat '/mnt/a name'; touch -d @1000 /mnt/f0; stat -c %Y f0
       chmod 4711 f0; stat -c %a /mnt/f0`,
      [engine, "--mount", "tmpfs::/mnt"],
    );
    assert.equal(outcome.stderr, "");
    const made = ["through", "777", "775", "700", "666", "664", "600", "644"];
    const modes = outcome.stdout.split("\n").slice(0, made.length);
    assert.deepEqual(modes, made);
    assert.match(outcome.stdout, /\ntext\n1000\n4711\n$/);
  });

  test(`${rung}: the host name is the view's, and /etc/hosts outside is not touched`, async () => {
    const before = hostname();
    const name = `rung-${rung}-${process.pid}`;
    const outcome = await inView("hostname; hostname other && uname -n", [engine, "--name", name]);
    assert.equal(outcome.stdout, `${name}\nother\n`);
    assert.equal(hostname(), before);
  });

  test(`${rung}: mounts asked for are there before the command starts, or told why not`, async () => {
    using directory = temporaryDirectory();
    writeFileSync(join(directory.path, "hosts"), "10.0.0.1 somewhere\n");
    const bind = `bind:${directory.path}/hosts:/etc/hosts:ro`;
    const options = [engine, "--mount", bind, "--mount", "tmpfs::/mnt:size=1m"];
    const outcome = await inView("cat /etc/hosts; echo x > /mnt/x && cat /mnt/x", options);
    assert.equal(outcome.stdout, "10.0.0.1 somewhere\nx\n");
    const impossible = await inView("true", [engine, "--mount", "nosuchfs::/mnt"]);
    assert.equal(impossible.code, 126);
    assert.match(impossible.stderr, /mount nosuchfs on \/mnt: No such device/);
    const nowhere = await inView("true", [engine, "--mount", "tmpfs::/none/such"]);
    assert.equal(nowhere.code, 126);
    assert.match(nowhere.stderr, /mount tmpfs on \/none\/such: No such file or directory/);
  });

  test(`${rung}: a named view is entered with its mounts and its name`, async () => {
    const name = `enter-${rung}-${process.pid}`;
    const words = [V2, "view", engine, "--name", name, "--mount", "tmpfs::/mnt", "--", "sh", "-c"];
    const child = spawn(process.execPath, [...words, "echo held > /mnt/file; cat"], {
      stdio: ["pipe", "ignore", "inherit"],
    });
    try {
      let outcome = await v2(["view", "exec", name, "--", "cat", "/mnt/file"]);
      for (let i = 0; i < 50 && outcome.code !== 0; i++) {
        outcome = await v2(["view", "exec", name, "--", "cat", "/mnt/file"]);
      }
      assert.equal(outcome.stdout, "held\n");
      const named = await v2(["view", "exec", name, "--", "sh", "-c", "hostname; exit 9"]);
      assert.deepEqual([named.code, named.stdout], [9, `${name}\n`]);
    } finally {
      child.stdin.end();
      await once(child, "exit");
    }
    assert.ok(await eventually(() => treesLeft().length === 0));
  });
}

const STORM = fileURLToPath(new URL("../../../test/fixtures/mount-storm.c", import.meta.url));

for (const [rung, how, ...options] of [
  ["C", "led into a mount"],
  ["D", "led into a mount"],
  ["D", "answered", "--trap=path"],
] as const) {
  test(`${rung}: signals, threads and kill -9 in the middle of a call that is ${how}`, async (t) => {
    const reason = missingProgram("gcc", "gcc");
    if (reason !== undefined) return t.skip(reason);
    using directory = temporaryDirectory();
    const { path } = directory;
    compile(STORM, join(path, "storm"), "-O1", "-pthread");
    const outcome = await inView(
      `cp /bin/echo /mnt/echo; mkdir /mnt/d; echo > /mnt/d/f; ${path}/storm /mnt/d /mnt/echo
       for i in $(seq 20); do
         sh -c 'while :; do cd /mnt/d; cd /; done' & one=$!
         sh -c 'while :; do /mnt/echo x > /dev/null; done' & two=$!
         sleep 0.0$((i % 10)); kill -9 $one $two; wait $one $two
       done 2> /dev/null
       sh -c 'while :; do cd /mnt/d; cd /; done' & one=$!
       for i in $(seq 20); do kill -STOP $one; kill -CONT $one; done
       kill -9 $one; wait $one 2> /dev/null
       cd /mnt/d && pwd -P && /mnt/echo alive`,
      [`--engine=${rung}`, "--mount", "tmpfs::/mnt", ...options],
    );
    assert.equal(outcome.stdout, "0 failed\nfrom a thread\n/mnt/d\nalive\n", outcome.stderr);
    assert.ok(await eventually(() => treesLeft().length === 0), "the supervisor has ended");
    return undefined;
  });
}

test("C: nothing is left of a view whose supervisor is told to end", async () => {
  const name = `ended-${process.pid}`;
  const script = "mount -t tmpfs x /mnt; echo ready; (sleep 60 & sleep 60 & wait)";
  const child = spawn(
    process.execPath,
    [V2, "view", "--engine=C", "--name", name, "--", "sh", "-c", script],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  await once(child.stdout, "data");
  const supervisor = await supervisorOf(name);
  assert.ok(supervisor !== undefined);
  process.kill(supervisor, "SIGTERM");
  assert.deepEqual(await once(child, "exit"), [null, "SIGKILL"]);
  assert.ok(await eventually(() => treesLeft().length === 0));
});

test("limits of what a rung has no means for are told, with the remedy", async () => {
  for (const [rung, option, what] of [
    ["C", "--root", "user 0"],
    ["D", "--root", "user 0"],
    ["C", "--net=/tmp/none", "network"],
    ["D", "--net=/tmp/none", "network"],
  ] as const) {
    const outcome = await v2(["view", `--engine=${rung}`, option, "--", "true"]);
    assert.equal(outcome.code, 69, outcome.stderr);
    assert.match(outcome.stderr, new RegExp(`rung ${rung}\\) has no ${what}`));
    assert.match(outcome.stderr, /v2 doctor/);
  }
  const wrong = await v2(["view", "--engine=Z", "--", "true"]);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /engines are auto, A \(userns\+fuse\)/);
});

test("where the host allows no user namespaces, a view is made without", async () => {
  const script = "mount -t tmpfs none /mnt && echo virtual > /mnt/file && cat /mnt/file";
  const command = `exec ${process.execPath} ${V2} view -- sh -c '${script}'`;
  const forbid = "echo 0 > /proc/sys/user/max_user_namespaces";
  const outcome = await runProgram(["unshare", "-Ur", "sh", "-c", `${forbid} && ${command}`]);
  assert.deepEqual([outcome.code, outcome.stdout], [0, "virtual\n"], outcome.stderr);
  assert.ok(!existsSync("/mnt/file"));
});

test("D: without any filter the kernel stops at every call, and all is the same", async () => {
  const script =
    "mount -t tmpfs none /mnt && cp /bin/echo /mnt/e && cd /mnt && ./e virtual && (exit 3); " +
    "echo $?; hostname other; uname -n; sleep 0.1 & wait; kill -TERM $$";
  const words = [process.execPath, V2, "view", "--", "sh", "-c", script];
  const outcome = await withoutSeccomp(words);
  assert.equal(outcome.stdout, "virtual\n3\nother\n", outcome.stderr);
  assert.equal(outcome.signal, "SIGTERM");
  const told = await withoutSeccomp([process.execPath, V2, "doctor"]);
  assert.match(told.stdout, /^C notify +absent +seccomp user notification: /m);
  assert.match(told.stdout, /^D ptrace +used/m);
});

test("umview takes any rung, kmview those where the kernel filters", async () => {
  for (const rung of RUNGS) {
    const outcome = await v2(["umview", `--engine=${rung}`, "sh", "-c", "echo ran"]);
    assert.equal(outcome.stdout, "ran\n", outcome.stderr);
  }
  const filtered = await v2(["kmview", "--engine=notify", "sh", "-c", "echo ran"]);
  assert.equal(filtered.stdout, "ran\n", filtered.stderr);
  const refused = await v2(["kmview", "--engine=ptrace", "true"]);
  assert.equal(refused.code, 69);
  assert.match(refused.stderr, /rung D\) has no filter in the kernel.*umview takes it/);
});
