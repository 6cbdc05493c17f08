import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import {
  eventually,
  inView,
  isRunning,
  missingProgram,
  processesWith,
  runProgram,
  supervisorOf,
  temporaryDirectory,
  v2,
  V2,
} from "./v2.ts";

const mountsOfHost = (): string => readFileSync("/proc/self/mounts", "utf8");

test("a command in a view keeps exit status, standard streams, directory, environment and limits", async () => {
  using directory = temporaryDirectory();
  const outcome = await inView("cat; pwd; echo $MARK; echo problem >&2; exit 42", [], {
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
  const limits = "ulimit -Sn; ulimit -Hn";
  const outside = await runProgram(["sh", "-c", limits]);
  const inside = await runProgram([
    "sh",
    "-c",
    `'${process.execPath}' '${V2}' view -- sh -c '${limits}'`,
  ]);
  assert.equal(inside.stdout, outside.stdout);
});

test("a command in a view inherits the descriptors that it was given", async () => {
  using directory = temporaryDirectory();
  writeFileSync(join(directory.path, "hello"), "from seven\n");
  const outcome = await runProgram(
    [
      "bash",
      "-c",
      `exec 4>/dev/null 7<hello
       ${process.execPath} ${V2} view -- sh -c 'cat <&7; echo lost >&4; cat <&5' 5< <(echo piped)`,
    ],
    { cwd: directory.path },
  );
  assert.deepEqual([outcome.stdout, outcome.stderr], ["from seven\npiped\n", ""]);
});

test("a view has no descriptors that its command was not given", async () => {
  const list = "ls -l /proc/self/fd";
  const numbers = (text: string): string[] =>
    [...text.matchAll(/ (\d+) -> /g)].map((found) => found[1]!);
  const outside = await runProgram(["sh", "-c", list]);
  assert.deepEqual(numbers((await inView(list)).stdout), numbers(outside.stdout));
});

test("a command in a view is ended by signals as if run directly", async () => {
  assert.equal((await inView("kill -TERM $$")).signal, "SIGTERM");
  const child = spawn(process.execPath, [V2, "view", "--", "sleep", "60"], { stdio: "ignore" });
  // Once the process is no longer Node it is the command itself.
  const isSleep = (): boolean => readFileSync(`/proc/${child.pid}/comm`, "utf8") === "sleep\n";
  assert.ok(await eventually(isSleep));
  child.kill("SIGINT");
  assert.deepEqual(await once(child, "exit"), [null, "SIGINT"]);
});

test("a broken pipe ends a writer in a view as it does outside", async () => {
  const bash = ["view", "--", "bash", "-c", "yes | head -1; echo ${PIPESTATUS[0]}"];
  assert.equal((await v2(bash)).stdout, "y\n141\n");
});

test("a command that cannot be run gives 127 or 126 and says why", async () => {
  const missing = await v2(["view", "--", "no-such-program"]);
  assert.equal(missing.code, 127);
  assert.match(missing.stderr, /no-such-program: No such file or directory/);
  const forbidden = await v2(["view", "--", "/etc/passwd"]);
  assert.equal(forbidden.code, 126);
  assert.match(forbidden.stderr, /\/etc\/passwd: Permission denied/);
});

test("the standard mount and umount work for an ordinary uid, in the view only", async () => {
  using directory = temporaryDirectory();
  const target = join(directory.path, "m");
  mkdirSync(target);
  const outcome = await inView(
    `set -e
     mount -t tmpfs -o size=1m none ${target}
     echo inside > ${target}/file
     cat ${target}/file
     grep -c ' ${target} tmpfs ' /proc/self/mounts
     umount ${target}
     test ! -e ${target}/file
     mount --bind /etc ${target}
     test -e ${target}/passwd
     mount -o remount,ro,bind ${target}
     grep ' ${target} ' /proc/self/mountinfo | cut -d' ' -f6 | cut -d, -f1
     mount -t tmpfs none ${target} && mount -t tmpfs none ${target}
     umount ${target}; umount ${target}
     echo left to the end`,
  );
  assert.equal(outcome.stderr, "");
  assert.equal(outcome.stdout, "inside\n1\nro\nleft to the end\n");
  assert.ok(!mountsOfHost().includes(target));
  assert.ok(!existsSync(join(target, "passwd")));
});

test("mount(2) resolves relative paths and symbolic links as the caller would", async () => {
  using directory = temporaryDirectory();
  mkdirSync(join(directory.path, "real/deep"), { recursive: true });
  symlinkSync("real/deep", join(directory.path, "link"));
  const outcome = await inView(
    "cd real && vumount() { $V2 vumount \"$@\"; } && vumount -t tmpfs x ../link && grep -o '[^ ]*/real/deep' /proc/self/mounts",
    [],
    { cwd: directory.path, env: { ...process.env, V2: `${process.execPath} ${V2}` } },
  );
  assert.equal(outcome.stdout, `${directory.path}/real/deep\n`);
});

test("the whole tree can be bound elsewhere", async () => {
  using directory = temporaryDirectory();
  const outcome = await inView(
    `mount --bind / ${directory.path} && ls ${directory.path}/etc/passwd`,
  );
  assert.equal(outcome.stdout, `${directory.path}/etc/passwd\n`);
});

test("an unknown file-system type is ENODEV, a file system the kernel keeps for root EPERM", async () => {
  const script = `
    import ctypes, errno
    libc = ctypes.CDLL(None, use_errno=True)
    for kind in (b"nosuchfs", b"ext4"):
        libc.mount(b"none", b"/mnt", kind, 0, None)
        print(errno.errorcode[ctypes.get_errno()])
    print(libc.mount(None, None, None, 0, None), errno.errorcode[ctypes.get_errno()])
    print(libc.umount2(b"/nonexistent", 0), errno.errorcode[ctypes.get_errno()])
  `.replace(/^ {4}/gm, "");
  const outcome = await v2(["view", "--", "python3", "-c", script]);
  const [unknown, forbidden, nothing, absent] = outcome.stdout.trim().split("\n");
  assert.equal(unknown, "ENODEV");
  assert.ok(forbidden === "EPERM" || forbidden === "ENOTBLK", forbidden);
  assert.equal(nothing, "-1 EFAULT");
  assert.equal(absent, "-1 ENOENT");
});

test("vumount and vuumount mount without mount(8)", async () => {
  using directory = temporaryDirectory();
  const outcome = await inView(
    `$V2 vumount -t tmpfs -o size=1m,ro none ${directory.path} && touch ${directory.path}/x
     $V2 vuumount ${directory.path} && touch ${directory.path}/y && echo written
     $V2 vuumount ${directory.path}; echo $?`,
    [],
    { env: { ...process.env, V2: `${process.execPath} ${V2}` } },
  );
  assert.match(outcome.stderr, /Read-only file system/);
  assert.equal(outcome.stdout, "written\n1\n");
});

test("static programs, strace and gdb work in a view", async (t) => {
  for (const [program, pack] of [
    ["busybox", "busybox-static"],
    ["strace", "strace"],
    ["gdb", "gdb"],
  ] as const) {
    const reason = missingProgram(program, pack);
    if (reason !== undefined) return t.skip(reason);
  }
  using directory = temporaryDirectory();
  const target = directory.path;
  const busybox = await inView(
    `busybox mount -t tmpfs x ${target} && busybox grep -c ${target} /proc/mounts`,
  );
  assert.equal(busybox.stdout, "1\n");
  const strace = await inView(`strace -e trace=mount mount -t tmpfs none ${target}`);
  assert.match(strace.stderr, /mount\("none", ".*", "tmpfs", 0, NULL\) += 0/);
  const gdb = await inView(
    "gdb -batch -ex 'break main' -ex run -ex continue --args /bin/sh -c 'exit 7'",
  );
  assert.match(gdb.stdout, /exited with code 07/);
  return undefined;
});

test("a view has a host name of its own, settable without privilege", async () => {
  const before = hostname();
  const outcome = await inView("hostname; hostname other && uname -n", [
    "--name",
    `names-${process.pid}`,
  ]);
  assert.equal(outcome.stdout, `names-${process.pid}\nother\n`);
  assert.equal(hostname(), before);
});

test("with --root the user appears as uid 0, without it as itself; files keep their owner", async () => {
  using directory = temporaryDirectory();
  const ids = "id -u; id -g; touch file; stat -c %u file";
  const settings = { cwd: directory.path };
  const root = await inView(ids, ["--root"], settings);
  assert.equal(root.stdout, "0\n0\n0\n");
  const uid = process.getuid!();
  const plain = await inView(ids, [], settings);
  assert.equal(plain.stdout, `${uid}\n${process.getgid!()}\n${uid}\n`);
  // No capability outside: the host's name cannot be changed from a view's own name space.
  assert.equal(
    (await inView("chroot / true && echo chroot works", ["--root"])).stdout,
    "chroot works\n",
  );
});

test("mounts given on the command line are there before the command starts", async () => {
  using directory = temporaryDirectory();
  writeFileSync(join(directory.path, "hosts"), "10.0.0.1 somewhere\n");
  const outcome = await inView("cat /etc/hosts; stat -f -c %T /mnt", [
    "--mount",
    `bind:${directory.path}/hosts:/etc/hosts`,
    "--mount",
    "tmpfs::/mnt:size=1m",
  ]);
  assert.equal(outcome.stdout, "10.0.0.1 somewhere\ntmpfs\n");
  const wrong = await inView("true", ["--mount", "tmpfs:/mnt"]);
  assert.equal(wrong.code, 2);
  const impossible = await inView("true", ["--mount", "nosuchfs::/mnt"]);
  assert.equal(impossible.code, 126);
  assert.match(impossible.stderr, /mount nosuchfs on \/mnt: No such device/);
  // Nothing is missing but the directory: the command was not even looked for.
  const nowhere = await inView("true", ["--mount", "tmpfs::/none/such"]);
  assert.equal(nowhere.code, 126);
  assert.match(nowhere.stderr, /mount tmpfs on \/none\/such: No such file or directory/);
});

test("unmodified FUSE servers mount images in a view, and programs run from them", async (t) => {
  for (const [program, pack] of [
    ["mksquashfs", "squashfs-tools"],
    ["squashfuse", "squashfuse"],
    ["mke2fs", "e2fsprogs"],
    ["fuse2fs", "fuse2fs"],
    ["busybox", "busybox-static"],
    ["fusermount3", "fuse3"],
  ] as const) {
    const reason = missingProgram(program, pack);
    if (reason !== undefined) return t.skip(reason);
  }
  try {
    accessSync("/dev/fuse", constants.R_OK | constants.W_OK);
  } catch {
    return t.skip("needs /dev/fuse: chmod 666 /dev/fuse");
  }
  using directory = temporaryDirectory();
  const { path } = directory;
  const made = spawnSync(
    "sh",
    [
      "-c",
      `set -e; PATH=$PATH:/sbin:/usr/sbin; mkdir tree m; echo content > tree/file; cp "$(command -v busybox)" tree/
       mksquashfs tree image.sqfs -quiet -noappend
       truncate -s 16M image.ext4; mke2fs -q -t ext4 -d tree image.ext4`,
    ],
    { cwd: path, encoding: "utf8" },
  );
  assert.equal(made.status, 0, made.stderr);
  for (const [server, image, unmount] of [
    ["squashfuse", "image.sqfs", "umount m"],
    ["squashfuse", "image.sqfs", "fusermount3 -u m"],
    ["fuse2fs -o ro", "image.ext4", "umount m"],
  ]) {
    const outcome = await inView(
      `${server} ${image} m && cat m/file && m/busybox echo run from the image && ${unmount} && ls m`,
      [],
      { cwd: path, env: { ...process.env, PATH: `${process.env["PATH"]}:/sbin:/usr/sbin` } },
    );
    assert.equal(outcome.stdout, "content\nrun from the image\n", `${server}: ${outcome.stderr}`);
    assert.ok(!existsSync(join(path, "m/file")));
  }
  return undefined;
});

test("programs that make namespaces of their own mount there by themselves", async (t) => {
  const reason = missingProgram("bwrap", "bubblewrap");
  if (reason !== undefined) return t.skip(reason);
  const outcome = await inView(
    `bwrap --ro-bind / / --tmpfs /mnt ls /mnt && unshare -Urm sh -c 'mount -t tmpfs x /mnt && echo nested'
     grep -c ' /mnt ' /proc/self/mounts`,
  );
  assert.equal(outcome.stdout, "nested\n0\n");
  return undefined;
});

test("a named view can be entered and listed, its name is taken once", async () => {
  const name = `entered-${process.pid}`;
  const child = spawn(
    process.execPath,
    [V2, "view", "--name", name, "--mount", "tmpfs::/mnt", "--", "cat"],
    {
      stdio: ["pipe", "ignore", "inherit"],
    },
  );
  try {
    const listed = async (): Promise<string> => (await v2(["view", "list"])).stdout;
    for (let i = 0; i < 50 && !(await listed()).includes(name); i++);
    const outcome = await v2([
      "view",
      "exec",
      name,
      "--",
      "sh",
      "-c",
      "hostname; stat -f -c %T /mnt; exit 9",
    ]);
    assert.deepEqual([outcome.code, outcome.stdout], [9, `${name}\ntmpfs\n`]);
    const mounted = await v2([
      "view",
      "exec",
      name,
      "--",
      "sh",
      "-c",
      "mount -t tmpfs new /media && echo done",
    ]);
    assert.equal(mounted.stdout, "done\n");
    const seen = await v2([
      "view",
      "exec",
      name,
      "--",
      "grep",
      "-c",
      "^new /media",
      "/proc/self/mounts",
    ]);
    assert.equal(seen.stdout, "1\n");
    const again = await v2(["view", "--name", name, "--", "true"]);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /is running/);
  } finally {
    child.stdin.end();
    await once(child, "exit");
  }
  const gone = await v2(["view", "exec", name, "--", "true"]);
  assert.equal(gone.code, 3);
});

test("a view whose own supervisor was killed goes on; its mounts fail cleanly", async () => {
  const name = `orphan-${process.pid}`;
  const script = `while [ ! -e "$GO" ]; do sleep 0.05; done; mount -t tmpfs x /mnt; echo $?; echo still here`;
  using directory = temporaryDirectory();
  const go = join(directory.path, "go");
  // With a trace a view has a supervisor of its own, which nobody replaces.
  const own = ["--trace=mount", "--trace-to", "/dev/null", "--name", name];
  const child = spawn(process.execPath, [V2, "view", ...own, "--", "sh", "-c", script], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, GO: go },
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    output += chunk;
  });
  const pid = await supervisorOf(name);
  assert.ok(pid !== undefined);
  process.kill(pid, "SIGKILL");
  assert.ok(await eventually(() => !isRunning(pid)));
  writeFileSync(go, "");
  await once(child, "close");
  assert.match(output, /^[1-9]\d*\nstill here\n$/);
});

test("job control works inside a view and around it", async () => {
  using directory = temporaryDirectory();
  // The prompt that tells typing apart from output comes from a start-up file of its own.
  const startUp = (name: string): string => {
    const file = join(directory.path, name);
    writeFileSync(file, `PS1='${name}> '; bind 'set enable-bracketed-paste off'; unset HISTFILE\n`);
    return `bash --rcfile ${file} -i`;
  };
  // script(1) gives a terminal; what is typed waits for the prompt before it.
  const terminal = spawn("script", ["-qec", startUp("READY"), "/dev/null"], {
    stdio: ["pipe", "pipe", "ignore"],
    env: { ...process.env, TERM: "dumb" },
  });
  let screen = "";
  terminal.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    screen += chunk;
  });
  const type = async (keys: string, wait: RegExp): Promise<void> => {
    screen = "";
    terminal.stdin.write(keys);
    assert.ok(
      await eventually(() => wait.test(screen)),
      `after ${JSON.stringify(keys)}: ${screen}`,
    );
  };
  const view = `'${process.execPath}' '${V2}' view --`;
  try {
    assert.ok(await eventually(() => screen.includes("READY> ")));
    await type(`${view} sh -c 'echo be""gun; exec sleep 100'\n`, /begun/);
    await type("\x1a", /Stopped[^]*READY> /);
    await type("jobs -l; kill -0 %1 && echo a''live\n", /alive/);
    await type("fg\n", /view --[^]*\n/);
    await type("\x03", /READY> /);
    await type(`echo st''atus $?\n`, /status 130/);
    await type(`${view} ${startUp("INSIDE")}\n`, /INSIDE> /);
    await type("sleep 100\n", /sleep 100\r\n/);
    await type("\x1a", /Stopped[^]*INSIDE> /);
    await type("kill -KILL %1; wait %1; echo wa''ited $?\n", /waited 1(37|48)/);
    await type("exit 5\n", /READY> /);
    await type(`echo st''atus $?\n`, /status 5/);
  } finally {
    terminal.stdin.end("exit\n");
    terminal.kill("SIGHUP");
    await once(terminal, "close");
  }
});

test("nothing stays behind a view: no process, no name", async () => {
  const name = `tidy-${process.pid}`;
  await inView("mount -t tmpfs none /mnt", ["--name", name]);
  assert.ok(await eventually(() => processesWith(name) === ""), processesWith(name));
  assert.doesNotMatch((await v2(["view", "list"])).stdout, new RegExp(name));
});
