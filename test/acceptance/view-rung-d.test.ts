// time limit: 240 s
/** What a view by ptrace does besides the scenarios of every rung. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import {
  compile,
  eventually,
  inView,
  missingProgram,
  supervisorOf,
  temporaryDirectory,
  v2,
  V2,
} from "./v2.ts";
import { withoutSeccomp } from "./without-seccomp.ts";

const ENGINE = "--engine=D";
const RACES = fileURLToPath(new URL("../../../test/fixtures/path-races.c", import.meta.url));

/** A directory with a secret, and the options that deny it. */
function denied(parent: string): { readonly tree: string; readonly options: readonly string[] } {
  const tree = join(parent, "tree");
  for (const name of ["public", "secret", "other"]) {
    mkdirSync(join(tree, name), { recursive: true });
  }
  writeFileSync(join(tree, "public", "flag"), "public");
  writeFileSync(join(tree, "secret", "flag"), "secret");
  return { tree, options: [ENGINE, "--deny", join(tree, "secret")] };
}

test("a trace shows what all threads and children call, by both entries, with results of ours", async () => {
  using directory = temporaryDirectory();
  const file = join(directory.path, "trace");
  const script = `
import os, threading
def opens(number):
    for i in range(20): os.close(os.open("/proc/self/comm", os.O_RDONLY))
threads = [threading.Thread(target=opens, args=(n,)) for n in range(4)]
for one in threads: one.start()
for one in threads: one.join()
if os.fork() == 0:
    os.chdir("/usr"); os._exit(0)
os.wait(); print(os.uname().nodename)`;
  const options = [ENGINE, "--name", `traced-${process.pid}`];
  const trace = ["--trace=openat,chdir,uname", "--json", "--trace-to", file];
  const outcome = await v2(["view", ...options, ...trace, "--", "python3", "-c", script]);
  assert.deepEqual([outcome.code, outcome.stdout], [0, `traced-${process.pid}\n`], outcome.stderr);
  const lines = readFileSync(file, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { pid: number; call: string; error?: null });
  const threads = lines.filter((line) => JSON.stringify(line).includes("/proc/self/comm"));
  assert.equal(threads.length, 80);
  assert.equal(new Set(threads.map(({ pid }) => pid)).size, 4);
  const chdir = lines.find(({ call }) => call === "chdir");
  assert.ok(chdir !== undefined && !threads.some(({ pid }) => pid === chdir.pid));
  assert.ok(lines.some(({ call, error }) => call === "uname" && error === null));
});

test("guests ask their view, and it is found by the name that they give it", async () => {
  const [first, second] = [`first-${process.pid}`, `second-${process.pid}`];
  const own = `'${process.execPath}' '${V2}'`;
  const script = `${own} vuname -a; ${own} vuname ${second}; ${own} um_fsalias mem tmpfs
    ${own} vumount -t mem none /mnt && echo kept > /mnt/f; ${own} vu_insmod unreal && ${own} vu_lsmod
    echo ready; cat`;
  const words = [V2, "view", ENGINE, "--name", first, "--", "sh", "-c", script];
  const child = spawn(process.execPath, words, { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "exit");
  let said = "";
  child.stdout.on("data", (text: Uint8Array) => (said += new TextDecoder().decode(text)));
  try {
    assert.ok(await eventually(() => said.endsWith("ready\n")), said);
    assert.match(said, new RegExp(`^Linux \\S+ .* View-OS|GNU/Linux/View-OS \\d+ 1 ${first} D\\n`));
    assert.match(said, /^unreal/m);
    const entered = await v2(["view", "exec", second, "--", "sh", "-c", "cat /mnt/f; exit 4"]);
    assert.deepEqual([entered.code, entered.stdout], [4, "kept\n"], entered.stderr);
    assert.equal((await v2(["view", "exec", first, "--", "true"])).code, 3);
  } finally {
    child.stdin.end();
    await ended;
  }
});

test("descriptors that are handed over are those that an open would have given", async () => {
  const script = `
import fcntl, os, resource
os.close(0)
first = os.open("/etc/passwd", os.O_RDONLY)
kept = os.open("/etc/group", os.O_RDONLY)
os.set_inheritable(kept, True)
print(first, kept - first, fcntl.fcntl(first, fcntl.F_GETFD), flush=True)
os.system("head -c 4 /proc/self/fd/%d; echo" % kept)
resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
count = 0
try:
    while True: os.open("/etc/passwd", os.O_RDONLY); count += 1
except OSError as error: print(error.errno, count)`;
  const words = ["view", ENGINE, "--trap=path", "--", "python3", "-c", script];
  const { stdout, stderr } = await v2(words);
  const [numbers, content, limit] = stdout.trim().split("\n");
  assert.deepEqual([numbers, content], ["0 3 1", "root"], stderr);
  assert.match(limit!, /^24 2\d$/);
});

for (const whom of ["the supervisor", "what it waits with"]) {
  test(`nobody is left whom a file is not denied when somebody kills ${whom}`, async () => {
    using parent = temporaryDirectory();
    const { tree, options } = denied(parent.path);
    const name = `killed-${process.pid}`;
    const script = `echo ready; read line; read line < ${tree}/secret/flag; echo $line; exit 0`;
    const words = [V2, "view", ...options, "--name", name, "--", "sh", "-c", script];
    const child = spawn(process.execPath, words, {
      stdio: ["pipe", "pipe", "ignore"],
      // What a killed supervisor leaves there goes with the next view, but not at once.
      env: { ...process.env, TMPDIR: parent.path },
    });
    const ended = once(child, "exit");
    child.stdin.on("error", () => {});
    let said = "";
    child.stdout.on("data", (text: Uint8Array) => (said += new TextDecoder().decode(text)));
    assert.ok(await eventually(() => said === "ready\n"));
    const supervisor = (await supervisorOf(name))!;
    process.kill(whom === "the supervisor" ? supervisor : bellOf(supervisor), "SIGKILL");
    child.stdin.write("go on\n");
    assert.deepEqual(await ended, [null, "SIGKILL"]);
    assert.doesNotMatch(said, /secret/);
  });
}

/** The child of one of a supervisor's threads that it waits with. */
function bellOf(supervisor: number): number {
  const found = readdirSync(`/proc/${supervisor}/task`)
    .flatMap((task) => {
      return readFileSync(`/proc/${supervisor}/task/${task}/children`, "utf8").trim().split(" ");
    })
    .find((pid) => {
      return pid !== "" && readFileSync(`/proc/${pid}/cmdline`, "latin1").startsWith("v2 bell");
    });
  assert.ok(found !== undefined, "the supervisor has a bell");
  return Number(found);
}

for (const way of ["memory", "opath", "interrupt", "x32", "mounts", "code"]) {
  test(`without any filter, a denied file is not reached either: ${way}`, async (t) => {
    const reason = missingProgram("gcc", "gcc");
    if (reason !== undefined) return t.skip(reason);
    using parent = temporaryDirectory();
    const { tree, options } = denied(parent.path);
    const program = compile(RACES, join(parent.path, "path-races"), "-O1", "-pthread");
    const view = [process.execPath, V2, "view", ...options, "--", program, way, tree, "300"];
    const outcome = await withoutSeccomp(view);
    assert.deepEqual([outcome.code, outcome.stdout, outcome.stderr], [0, "tight\n", ""]);
    return undefined;
  });
}

test("umshutdown ends a view, and a view that is left leaves nothing", async () => {
  const own = `'${process.execPath}' '${V2}'`;
  const outcome = await inView(`sleep 60 & ${own} umshutdown 5; sleep 60`, [ENGINE]);
  assert.equal(outcome.signal ?? outcome.code, "SIGTERM", outcome.stderr);
});
