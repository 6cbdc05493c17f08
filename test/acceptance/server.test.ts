/** The user's server of views: warm starts, many views, and what is left when it is killed. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { nativeLauncher, serverSocketPath } from "../../src/engine/index.ts";
import { isListening } from "../../src/sys/index.ts";
import {
  eventually,
  isRunning,
  missingProgram,
  type Outcome,
  runProgram,
  temporaryDirectory,
  V2,
} from "./v2.ts";

/** A run directory of the test's own, so that its server is nobody else's. */
function ownWorld(): Disposable & {
  readonly path: string;
  readonly env: NodeJS.ProcessEnv;
  /** The native launcher; `warm` cannot make a cold start. */
  readonly launcher: { readonly any: string; readonly warm: string };
} {
  const directory = temporaryDirectory();
  const run = join(directory.path, "run");
  mkdirSync(run, { mode: 0o700 });
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    XDG_RUNTIME_DIR: run,
    V2_SERVER_IDLE_S: "15",
  };
  const before = process.env["XDG_RUNTIME_DIR"];
  process.env["XDG_RUNTIME_DIR"] = run;
  const serverSocket = serverSocketPath();
  if (before === undefined) delete process.env["XDG_RUNTIME_DIR"];
  else process.env["XDG_RUNTIME_DIR"] = before;
  const make = (name: string, node: string): string => {
    const path = join(directory.path, name);
    writeFileSync(path, nativeLauncher({ node, main: V2, serverSocket }));
    chmodSync(path, 0o755);
    return path;
  };
  return {
    path: directory.path,
    env,
    launcher: { any: make("v2", process.execPath), warm: make("v2-warm", "/nonexistent/node") },
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
}

type World = ReturnType<typeof ownWorld>;

/** The server's socket, once it is there. */
function socketOf({ env }: World): string | undefined {
  const folder = join(env["XDG_RUNTIME_DIR"]!, "virtualsquare");
  if (!existsSync(folder)) return undefined;
  const name = readdirSync(folder).find((one) => /^server-[0-9a-f]+$/.test(one));
  return name === undefined ? undefined : join(folder, name);
}

/** Starts the world's server by a first view; its process number. */
async function startServer(world: World): Promise<number> {
  const first = spawn(
    process.execPath,
    [V2, "view", "--name", "first", "--", "sh", "-c", "echo in; cat"],
    { env: world.env, stdio: ["pipe", "pipe", "inherit"] },
  );
  await once(first.stdout, "data");
  assert.ok(await eventually(() => socketOf(world) !== undefined));
  let pid: number | undefined;
  for (let tries = 0; tries < 20 && pid === undefined; tries++) {
    const list = await runProgram([process.execPath, V2, "view", "list", "--json"], world);
    pid = (JSON.parse(list.stdout) as { supervisorPid: number }[])[0]?.supervisorPid;
  }
  first.stdin.end();
  await once(first, "exit");
  return pid!;
}

/** The process that started another: a server's store. */
function parentOf(pid: number): number {
  return Number(/^PPid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]);
}

const warm = (
  world: World,
  words: readonly string[],
  settings: Parameters<typeof runProgram>[1] = {},
): Promise<Outcome> => runProgram([world.launcher.warm, ...words], { env: world.env, ...settings });

test("a launcher without a server starts cold, and the next one needs no Node", async () => {
  using world = ownWorld();
  const lost = await warm(world, ["view", "--", "echo", "never"]);
  assert.equal(lost.code, 127);
  assert.match(lost.stderr, /\/nonexistent\/node cannot be run/);
  const cold = await runProgram([world.launcher.any, "view", "--", "echo", "cold"], world);
  assert.deepEqual([cold.stdout, cold.code], ["cold\n", 0]);
  assert.ok(await eventually(() => socketOf(world) !== undefined));
  const second = await warm(world, ["view", "--", "echo", "warm"]);
  assert.deepEqual([second.stdout, second.stderr, second.code], ["warm\n", "", 0]);
});

test("a warm start keeps words, environment, directory, descriptors, mask, limits and status", async () => {
  using world = ownWorld();
  await startServer(world);
  const script =
    'cat; pwd; echo "$MARK|$1|$2"; cat <&7; umask; ulimit -n; ls /proc/self/fd | wc -l; exit 42';
  const run = (prefix: string): Promise<Outcome> =>
    runProgram(
      [
        "bash",
        "-c",
        `umask 037; ulimit -Sn 77; exec ${prefix} "$@" 7</etc/hostname`,
        "-",
        "sh",
        "-c",
        script,
        "-",
        "two words",
        "",
      ],
      {
        input: "in\n",
        cwd: world.path,
        env: { ...world.env, MARK: "a b=c" },
      },
    );
  const bare = await run("env");
  const inView = await run(`${world.launcher.warm} view --`);
  assert.deepEqual(inView, bare);
  assert.equal(bare.code, 42);
  assert.equal((await warm(world, ["view", "--", "sh", "-c", "kill -TERM $$"])).signal, "SIGTERM");
});

test("a warm view mounts, has its name, and is the user that it should be", async () => {
  using world = ownWorld();
  await startServer(world);
  const script =
    "hostname; id -u; ls -A /mnt; mount -t tmpfs none /media; ls -A /media; umount /mnt";
  const words = ["view", "--name", "warm", "--mount", "tmpfs::/mnt", "--", "sh", "-c", script];
  assert.deepEqual(await warm(world, words), {
    code: 0,
    signal: null,
    stderr: "",
    stdout: `warm\n${process.getuid!()}\n`,
  });
  const root = await warm(world, ["view", "--root", "--", "id", "-u"]);
  assert.equal(root.stdout, "0\n");
  const nested = `'${process.execPath}' '${V2}' view -- sh -c 'mount -t tmpfs n /mnt && echo deep'`;
  assert.equal((await warm(world, ["view", "--", "sh", "-c", nested])).stdout, "deep\n");
});

test("what a server cannot do, and mistakes, are left to Node", async () => {
  using world = ownWorld();
  await startServer(world);
  const v2 = (words: readonly string[]): Promise<Outcome> =>
    runProgram([world.launcher.any, ...words], { env: world.env });
  assert.match((await v2(["view", "--nmae", "x"])).stderr, /unknown option '--nmae'/);
  assert.match((await v2(["view", "--help"])).stdout, /Examples|v2 view/);
  assert.match((await v2(["--version"])).stdout, /^v2 /);
  const traced = await v2(["view", "--trace=exec", "--", "true"]);
  assert.match(traced.stderr, /execve\(/);
  const missing = await warm(world, ["view", "--", "no-such-program"]);
  assert.equal(missing.code, 127);
  assert.match(missing.stderr, /no-such-program: No such file/);
  const unmountable = await warm(world, ["view", "--mount", "tmpfs::/nonexistent", "--", "true"]);
  assert.equal(unmountable.code, 126);
});

test("views of a server have mounts, names and settings of their own", async () => {
  using world = ownWorld();
  await startServer(world);
  const start = (name: string) => {
    const child = spawn(
      world.launcher.warm,
      [
        "view",
        "--name",
        name,
        "--",
        "sh",
        "-c",
        "mount -t tmpfs n /mnt; echo ready; read l; ls -A /mnt",
      ],
      { env: world.env, stdio: ["pipe", "pipe", "inherit"] },
    );
    return { child, said: once(child.stdout, "data") };
  };
  const [a, b] = [start("a"), start("b")];
  await Promise.all([a.said, b.said]);
  const enter = (name: string, script: string): Promise<Outcome> =>
    runProgram([process.execPath, V2, "view", "exec", name, "--", "sh", "-c", script], world);
  await enter("a", "touch /mnt/of-a");
  assert.equal(
    (await enter("a", `hostname; '${process.execPath}' '${V2}' vuname -N`)).stdout,
    "a\na\n",
  );
  assert.equal(
    (await enter("b", `hostname; '${process.execPath}' '${V2}' vuname -N`)).stdout,
    "b\nb\n",
  );
  let text = "";
  b.child.stdout.on("data", (chunk: Buffer) => (text += String(chunk)));
  b.child.stdin.end("\n");
  await once(b.child, "close");
  assert.equal(text, "");
  a.child.stdin.end("\n");
  await once(a.child, "close");
  const list = await runProgram([process.execPath, V2, "view", "list", "--json"], world);
  assert.deepEqual(JSON.parse(list.stdout), []);
});

test("a call that hangs in one view holds up no other", async (t) => {
  for (const program of ["mksquashfs", "squashfuse"]) {
    const reason = missingProgram(program, program === "squashfuse" ? program : "squashfs-tools");
    if (reason !== undefined) return t.skip(reason);
  }
  using world = ownWorld();
  await startServer(world);
  const hanging = spawn(
    world.launcher.warm,
    [
      "view",
      "--",
      "sh",
      "-c",
      `mkdir -p tree/sub m; mksquashfs tree image -quiet > /dev/null
       squashfuse -f image m & until grep -q ' squashfuse ' /proc/self/mounts \\
         || grep -q 'fuse.squashfuse' /proc/self/mounts; do sleep 0.02; done
       kill -STOP $!; mount -t tmpfs none m/sub & echo hangs $!; wait`,
    ],
    { env: world.env, cwd: world.path, stdio: ["pipe", "pipe", "ignore"] },
  );
  const closed = once(hanging, "close");
  try {
    const [said] = (await once(hanging.stdout, "data")) as [Buffer];
    assert.match(String(said), /hangs/);
    const other = await warm(
      world,
      ["view", "--", "sh", "-c", "mount -t tmpfs n /mnt && echo done"],
      {
        timeoutMs: 20_000,
      },
    );
    assert.equal(other.stdout, "done\n");
  } finally {
    await runProgram(["sh", "-c", `pkill -KILL -P ${hanging.pid}; kill -KILL ${hanging.pid}`]);
    await closed;
  }
  return undefined;
});

test("guests of a server that is killed with its store get clean errors, and the next view a new server", async () => {
  using world = ownWorld();
  const server = await startServer(world);
  const guest = spawn(
    world.launcher.warm,
    [
      "view",
      "--",
      "sh",
      "-c",
      "echo in; read l; mount -t tmpfs n /mnt; echo $?; ls / > /dev/null; echo $?",
    ],
    { env: world.env, stdio: ["pipe", "pipe", "pipe"] },
  );
  await once(guest.stdout, "data");
  process.kill(parentOf(server), "SIGKILL");
  process.kill(server, "SIGKILL");
  assert.ok(await eventually(() => !isRunning(server)));
  let text = "";
  guest.stdout.on("data", (chunk: Buffer) => (text += String(chunk)));
  guest.stdin.end("\n");
  await once(guest, "close");
  assert.match(text, /^(?:1|32)\n0\n$/, "mount fails, the rest goes on");
  const again = await runProgram([world.launcher.any, "view", "--", "echo", "again"], world);
  assert.equal(again.stdout, "again\n");
  assert.ok(await eventually(() => isListening(socketOf(world)!)));
  assert.equal((await warm(world, ["view", "--", "echo", "warm"])).stdout, "warm\n");
});

test("views that come and go, and launchers that are killed, leave nothing in the server", async () => {
  using world = ownWorld();
  world.env["V2_SERVER_IDLE_S"] = "60";
  const server = await startServer(world);
  // A process that has changed its credentials shows its descriptors to root only.
  const isRoot = process.getuid!() === 0;
  const target = (fd: string): string[] => {
    try {
      return [readlinkSync(`/proc/${server}/fd/${fd}`)];
    } catch {
      return []; // Closed meanwhile.
    }
  };
  const targets = (): string[] => (isRoot ? readdirSync(`/proc/${server}/fd`).flatMap(target) : []);
  await warm(world, ["view", "--", "sh", "-c", "mount -t tmpfs n /mnt"]);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const before = targets().length;
  for (let round = 0; round < 20; round++) {
    // Whatever ends beside them: they get no signal of others, and nothing keeps them waiting.
    const whole = async (...words: string[]): Promise<void> => {
      const outcome = await warm(world, ["view", ...words], { timeoutMs: 20_000 });
      assert.deepEqual(outcome, { code: 0, signal: null, stdout: "", stderr: "" }, words.join(" "));
    };
    await Promise.all([
      whole("--", "true"),
      whole("--name", `n${round}`, "--", "sh", "-c", "mount -t tmpfs n /mnt"),
      (async () => {
        const child = spawn(world.launcher.warm, ["view", "--name", "k", "--", "sleep", "9"], {
          env: world.env,
          stdio: "ignore",
        });
        const gone = once(child, "exit");
        await new Promise((resolve) => setTimeout(resolve, round));
        child.kill("SIGKILL");
        await gone;
      })(),
    ]);
  }
  assert.ok(await eventually(() => targets().length <= before), targets().join(" "));
  process.kill(server);
  assert.ok(await eventually(() => !isRunning(server)));
  const views = join(world.env["XDG_RUNTIME_DIR"]!, "virtualsquare", "views");
  const left = (): string[] => (existsSync(views) ? readdirSync(views) : []);
  // A launcher that was killed in the middle may leave its name; whoever looks next tidies it.
  await runProgram([process.execPath, V2, "view", "list"], { env: world.env });
  assert.ok(await eventually(() => left().length === 0), left().join());
});

test("a server without views ends after its time, and leaves nothing", async () => {
  using world = ownWorld();
  world.env["V2_SERVER_IDLE_S"] = "2";
  const server = await startServer(world);
  assert.ok(await eventually(() => !isRunning(server)));
  const run = world.env["XDG_RUNTIME_DIR"]!;
  assert.ok(await eventually(() => readdirSync(run).length === 0), readdirSync(run).join());
});
