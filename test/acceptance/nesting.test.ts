/** Views inside views: one supervisor, a tree of views, each with its own mounts and names. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  eventually,
  inView,
  isRunning,
  missingProgram,
  runProgram,
  temporaryDirectory,
  V2,
  v2,
} from "./v2.ts";

const V2_COMMAND = `'${process.execPath}' '${V2}'`;

interface Listed {
  readonly name: string;
  readonly pid: number;
  readonly supervisorPid: number;
  readonly parent?: string;
}

async function listed(): Promise<readonly Listed[]> {
  return JSON.parse((await v2(["view", "list", "--json"])).stdout) as Listed[];
}

/** `v2 view OPTIONS -- sh -c SCRIPT` as text for a shell, with the quotes of the script doubled. */
function nested(script: string, options = ""): string {
  return `${V2_COMMAND} view ${options} -- sh -c '${script.replaceAll("'", `'\\''`)}'`;
}

test("a view inside a view sees its maker's mounts and names, and keeps its own to itself", async () => {
  using directory = temporaryDirectory();
  const [a, b] = ["a", "b"].map((name) => join(directory.path, name));
  for (const path of [a!, b!]) mkdirSync(path);
  const inner = nested(
    `ls ${a}; umount ${a}; ls ${a}; mount -t tmpfs none ${b}; touch ${b}/inner; hostname inside; hostname`,
  );
  const outcome = await inView(
    `hostname outside; mount -t tmpfs none ${a}; touch ${a}/outer
     ${inner}
     echo back; hostname; ls ${a} ${b}`,
  );
  assert.equal(outcome.stderr, "");
  assert.equal(outcome.stdout, `outer\ninside\nback\noutside\n${a}:\nouter\n\n${b}:\n`);
  assert.equal(outcome.code, 0);
});

test("what the outer view mounts later is not seen by a view that exists", async () => {
  using directory = temporaryDirectory();
  const mounted = join(directory.path, "m");
  mkdirSync(mounted);
  const outcome = await inView(
    `mkfifo ${directory.path}/made ${directory.path}/go
     ${nested(`echo > ${directory.path}/made; cat ${directory.path}/go; ls ${mounted}; echo inner`)} &
     cat ${directory.path}/made > /dev/null
     mount -t tmpfs none ${mounted}; touch ${mounted}/later
     echo > ${directory.path}/go; wait
     ${nested(`ls ${mounted}`)}`,
  );
  assert.equal(outcome.stdout, "\ninner\nlater\n");
});

test("views nest ten deep and every one mounts for itself", async () => {
  using directory = temporaryDirectory();
  const mounted = join(directory.path, "m");
  mkdirSync(mounted);
  let script = `ls ${mounted} | wc -l`;
  for (let depth = 10; depth > 1; depth--) script = `touch ${mounted}/${depth}; ${nested(script)}`;
  const outcome = await inView(
    `mount -t tmpfs none ${mounted}; ${script}; umount ${mounted}; ls ${mounted} | wc -l`,
  );
  assert.equal(outcome.stderr, "");
  assert.equal(outcome.stdout, "9\n0\n");
});

test("a view inside a view keeps streams, directory, exit status and signals of its command", async () => {
  using directory = temporaryDirectory();
  const outcome = await inView(
    `${nested("cat; pwd; echo $MARK; exit 7")}; echo $?; ${nested("kill -TERM $$")}; echo $?
     ${V2_COMMAND} view -- no-such-program; echo $?`,
    [],
    { input: "in\n", cwd: directory.path, env: { ...process.env, MARK: "kept" } },
  );
  assert.equal(outcome.stdout, `in\n${directory.path}\nkept\n7\n143\n127\n`);
  assert.match(outcome.stderr, /no-such-program: No such file or directory/);
});

test("a named view inside a view is listed, entered from both sides, and noticed to end", async () => {
  const outer = `outer-${process.pid}`;
  const inner = `inner-${process.pid}`;
  const child = spawn(
    process.execPath,
    [
      V2,
      "view",
      "--name",
      outer,
      "--",
      "sh",
      "-c",
      `${nested("hostname; exec cat", `--name ${inner}`)}; cat`,
    ],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  assert.equal(String((await once(child.stdout, "data"))[0]), `${inner}\n`);
  const views = await listed();
  const [a, b] = [outer, inner].map((name) => views.find((view) => view.name === name)!);
  assert.equal(a!.supervisorPid, b!.supervisorPid);
  assert.equal(b!.parent, outer);
  assert.equal((await v2(["view", "exec", inner, "--", "hostname"])).stdout, `${inner}\n`);
  const fromOuter = `${V2_COMMAND} view exec ${inner} -- hostname`;
  assert.equal(
    (await v2(["view", "exec", outer, "--", "sh", "-c", fromOuter])).stdout,
    `${inner}\n`,
  );
  const script = "mount -t tmpfs none /mnt && grep -c ' /mnt tmpfs' /proc/self/mounts";
  const mount = await v2(["view", "exec", inner, "--", "sh", "-c", script]);
  assert.equal(mount.stdout, "1\n");
  const taken = await v2([
    "view",
    "exec",
    outer,
    "--",
    "sh",
    "-c",
    nested("true", `--name ${inner}`),
  ]);
  assert.match(taken.stderr, new RegExp(`a view named '${inner}' is running`));
  process.kill(b!.pid, "SIGKILL");
  for (let tries = 0; tries < 50; tries++) {
    if (!(await listed()).some((view) => view.name === inner)) break;
  }
  const left = (await listed()).map((view) => view.name);
  assert.ok(left.includes(outer) && !left.includes(inner), left.join());
  child.stdin.end();
  await once(child, "exit");
});

test("a view lives on in a background process, and ends with the view around it", async () => {
  const outer = `around-${process.pid}`;
  const inner = `within-${process.pid}`;
  const script = `${nested("setsid sleep 1000 > /dev/null 2>&1 & echo $!", `--name ${inner}`)}; cat`;
  const child = spawn(process.execPath, [V2, "view", "--name", outer, "--", "sh", "-c", script], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const sleeper = Number((await once(child.stdout, "data"))[0]);
  let pid = 0;
  for (let tries = 0; tries < 50 && pid !== sleeper; tries++) {
    pid = (await listed()).find((view) => view.name === inner)?.pid ?? 0;
  }
  assert.equal(pid, sleeper, "the view stands by its last process");
  const supervisor = (await listed()).find((view) => view.name === outer)!.supervisorPid;
  process.kill(supervisor, "SIGTERM");
  await once(child, "exit");
  assert.ok(await eventually(() => !isRunning(sleeper)));
  assert.deepEqual(
    (await listed()).filter((view) => [outer, inner].includes(view.name)),
    [],
  );
});

test("a view inside a root view may be root, and one inside an ordinary view too", async () => {
  using directory = temporaryDirectory();
  const mounted = join(directory.path, "m");
  mkdirSync(mounted);
  const script = `id -u; mount -t tmpfs none ${mounted} && touch ${mounted}/x && stat -c %u ${mounted}/x`;
  const inner = nested(script, "--root");
  assert.equal((await inView(`${script}; ${inner}`, ["--root"])).stdout, "0\n0\n0\n0\n");
  assert.equal((await inView(inner)).stdout, "0\n0\n");
});

test("a trace of the outer view shows the calls of the views in it", async () => {
  const outcome = await inView(`${nested("mount -t tmpfs none /mnt")}; true`, ["--trace=mount"]);
  assert.match(outcome.stderr, /mount\("none", "\/mnt", "tmpfs"/);
  const refused = await inView(nested("true", "--trace"));
  assert.match(refused.stderr, /cannot begin with --trace/);
});

test("a FUSE server mounts in a view inside a view, also as root of it", async (t) => {
  for (const [program, pack] of [
    ["mksquashfs", "squashfs-tools"],
    ["squashfuse", "squashfuse"],
  ] as const) {
    const reason = missingProgram(program, pack);
    if (reason !== undefined) return t.skip(reason);
  }
  using directory = temporaryDirectory();
  const made = await runProgram(
    ["sh", "-c", "mkdir tree m && echo content > tree/file && mksquashfs tree image -quiet"],
    { cwd: directory.path },
  );
  assert.equal(made.code, 0, made.stderr);
  const script = "squashfuse image m && cat m/file && umount m && ls m";
  for (const options of ["", "--root"]) {
    const outcome = await inView(`${nested(script, options)}; ls m`, [], { cwd: directory.path });
    assert.equal(outcome.stdout, "content\n", outcome.stderr);
  }
  return undefined;
});

test("a program inside a view makes, uses and closes views of its own", async () => {
  using directory = temporaryDirectory();
  const program = join(directory.path, "driver.mjs");
  const door = new URL("../../src/engine/index.js", import.meta.url).href;
  const name = `driven-${process.pid}`;
  writeFileSync(
    program,
    `import { View, listViews } from ${JSON.stringify(door)};
     {
       const view = await View.create({ name: "${name}", mounts: ["tmpfs::/mnt"] });
       const argv = ["sh", "-c", "hostname; ls -a /mnt | wc -l; exit 3"];
       const { stdout, code } = await view.run(argv);
       console.log(stdout.trim().replaceAll("\\n", " "), code);
       view.spawn(["sleep", "1000"], { stdio: "ignore" });
       console.log(listViews().map((one) => one.name).join());
       await view.close();
     }
     console.log(listViews().map((one) => one.name).join());`,
  );
  const outcome = await inView(`${V2_COMMAND.split(" ")[0]} ${program}`);
  assert.equal(outcome.stderr, "");
  assert.equal(outcome.stdout, `${name} 2 3\n${name}\n\n`);
});

test("a view inside a view ends when the program that made it is killed", async () => {
  using directory = temporaryDirectory();
  const program = join(directory.path, "driver.mjs");
  const door = new URL("../../src/engine/index.js", import.meta.url).href;
  writeFileSync(
    program,
    `import { View } from ${JSON.stringify(door)};
     const view = await View.create({ name: "lost-${process.pid}" });
     const child = view.spawn(["sleep", "1000"], { stdio: "ignore" });
     console.log(child.pid);
     setTimeout(() => process.kill(process.pid, "SIGKILL"), 100);`,
  );
  const outcome = await inView(`${V2_COMMAND.split(" ")[0]} ${program}; cat`, [], { input: "" });
  const sleeper = Number(outcome.stdout);
  assert.ok(sleeper > 0, outcome.stderr);
  assert.ok(await eventually(() => !isRunning(sleeper)));
});
