// time limit: 300 s
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { View } from "../../src/engine/index.ts";
import { eventually, type Outcome, temporaryDirectory, V2, v2 } from "./v2.ts";

/** Tries calls by name and prints what each comes to. */
const TRY = `
import os, socket, sys, errno
CALLS = {
  "inet": lambda: socket.socket(socket.AF_INET).close(),
  "inet6": lambda: socket.socket(socket.AF_INET6).close(),
  "netlink": lambda: socket.socket(socket.AF_NETLINK).close(),
  "uname": lambda: os.uname().nodename,
  "write": lambda: open("/etc/v2-test", "w").close(),
  "read": lambda: open("/etc/hostname").close(),
  "secret": lambda: open("/no/such/secret").read(),
  "link": lambda: os.readlink("/no/such/link"),
  "mail": lambda: socket.socket(socket.AF_INET).connect(("127.0.0.1", 25)),
}
def attempt(name):
    try: return str(CALLS[name]() or "ok")
    except OSError as error: return errno.errorcode[error.errno]
def report(*names): print(*(name + "=" + attempt(name) for name in names))
`;

/** A python3 in the path may be a script, which makes calls of its own. */
const PYTHON = existsSync("/usr/bin/python3") ? "/usr/bin/python3" : "python3";

/** A module file in a directory of its own, and how to run Python in a view with it. */
function moduleFile(source: string): Disposable & {
  readonly file: string;
  run(script: string, ...options: string[]): Promise<Outcome>;
} {
  const directory = temporaryDirectory();
  const file = join(directory.path, "module.mjs");
  writeFileSync(file, `import { module, vfs } from "virtualsquare/viewos";\n${source}`);
  return {
    file,
    run: (script, ...options) =>
      v2(["view", "-p", file, ...options, "--", PYTHON, "-c", TRY + script]),
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
}

test("a module answers uname, with options from the command line", async () => {
  const outcome = await v2(["view", "-p", "hostname,nodename=mars", "--", "uname", "-ns"]);
  assert.deepEqual([outcome.code, outcome.stdout, outcome.stderr], [0, "Linux mars\n", ""]);
});

test("a directory is bound in a view whose modules decide about paths", async () => {
  using folder = temporaryDirectory();
  const [from, to] = ["from", "to"].map((name) => join(folder.path, name));
  for (const path of [from!, to!]) mkdirSync(path);
  writeFileSync(join(from!, "here"), "");
  const script = `mount --bind ${from} ${to} && ls ${to} && umount ${to} && ls ${to}`;
  for (const name of ["null", "protect,path=/srv"]) {
    const outcome = await v2(["view", "-p", name, "--", "sh", "-c", script]);
    assert.deepEqual([outcome.code, outcome.stdout], [0, "here\n"], outcome.stderr);
  }
});

test("a module sees the names that a view without namespaces gave itself", async () => {
  using made = moduleFile(`
    export default module("names", { on: {
      uname: (call) => call.reply({ domainname: call.real().nodename }),
    } });`);
  // sethostname(2) as hostname(1) calls it, which need not be there.
  const script = `
import ctypes
ctypes.CDLL(None).sethostname(b"mars", 4)
print(os.uname().nodename, socket.gethostname(), flush=True)
os.system("uname -n; cat /proc/sys/kernel/hostname >/dev/null")
libc = ctypes.CDLL(None); names = ctypes.create_string_buffer(390); libc.uname(names)
print(names.raw[325:].split(b"\\0")[0].decode())`;
  const { stdout, stderr } = await made.run(script, "--engine=C");
  assert.equal(stdout, "mars mars\nmars\nmars\n", stderr);
});

test("umview starts with modules, and adds them to a view inside a view", async () => {
  using made = moduleFile(`
    export default module("made-up", { on: {
      open: { when: { path: "/no/**" }, do: (call) => call.reply("made up\\n") },
    } });`);
  const rest = ["--", "sh", "-c", "cat /no/such; uname -n"];
  const outer = await v2([
    "umview",
    "-q",
    "-p",
    made.file,
    "-p",
    "hostname,nodename=mars",
    ...rest,
  ]);
  assert.deepEqual([outer.code, outer.stdout], [0, "made up\nmars\n"], outer.stderr);
  const inner = [process.execPath, V2, "umview", "-qp", "hostname,nodename=venus", "uname", "-n"];
  const nested = await v2(["view", "--", ...inner]);
  assert.deepEqual([nested.code, nested.stdout], [0, "venus\n"], nested.stderr);
});

test("handlers deny by rule, and what they pass is done by the kernel", async () => {
  using made = moduleFile(`
    export const guard = module("guard", {
      on: {
        open: { when: { write: true, path: "/etc/**" }, do: (call) => call.fail("EROFS") },
        connect: (call) => call.addr.port === 25 ? call.fail("EACCES") : call.pass(),
        socket: { when: { family: "inet6" }, do: (call) => call.fail("EAFNOSUPPORT") },
      },
    });`);
  const { stdout, stderr } = await made.run('report("read", "write", "mail", "inet", "inet6")');
  assert.equal(stdout, "read=ok write=EROFS mail=EACCES inet=ok inet6=EAFNOSUPPORT\n", stderr);
});

test("a file that only a module knows is looked at and read", async () => {
  using made = moduleFile(`
    const ghost = { type: "file", size: 6, mode: 0o640, uid: 7, gid: 8, mtimeMs: 86400500 };
    const when = { path: "/no/such/ghost" };
    export default module("ghost", {
      on: {
        stat: { when, do: (call) => call.reply(ghost) },
        access: { when, do: (call) => call.reply() },
        open: { when, do: (call) => call.reply("boo!!\\n") },
      },
    });`);
  const script = `
info = os.stat("/no/such/ghost")
print(oct(info.st_mode), info.st_size, info.st_uid, info.st_gid, info.st_mtime, info.st_nlink)
sys.stdout.flush()
os.system("stat -c '%A %s %u %g %Y %i' /no/such/ghost; cat /no/such/ghost")
print(info.st_ino, os.access("/no/such/ghost", os.R_OK))`;
  const { stdout, stderr } = await made.run(script);
  const [python, program, content, rest] = stdout.split("\n");
  assert.equal(python, "0o100640 6 7 8 86400.5 1", stderr);
  const [, inode] = /^-rw-r----- 6 7 8 86400 (\d+)$/.exec(program!)!;
  assert.deepEqual([content, rest], ["boo!!", `${inode} True`]);
});

test("a reply is what the caller gets: content of a file, target of a link", async () => {
  using made = moduleFile(`
    export default module("reply", {
      on: {
        open: { when: { path: "/no/such/secret" }, do: (call) => call.reply("for " + call.path) },
        readlink: { when: { path: "/no/**" }, do: (call) => call.reply("/to/there") },
      },
    });`);
  const { stdout, stderr } = await made.run('report("secret", "link", "read")');
  assert.equal(stdout, "secret=for /no/such/secret link=/to/there read=ok\n", stderr);
});

test("a handler that throws or gives garbage is EIO and a line; the view lives", async () => {
  using made = moduleFile(`
    const answers = [undefined, 42, { kind: "fail", errno: -5 }];
    export default module("bad", {
      on: {
        socket: { when: { family: "inet6" }, do: () => { throw new Error("boom"); } },
        uname: async () => { throw "later"; },
        open: { when: { path: "/no/such/secret" }, do: () => answers.shift() },
      },
    });`);
  const { stdout, stderr } = await made.run(
    'report("inet6", "uname", "secret", "secret", "secret", "inet", "read")',
  );
  assert.equal(stdout, "inet6=EIO uname=EIO secret=EIO secret=EIO secret=EIO inet=ok read=ok\n");
  assert.match(stderr, /^bad: socket threw Error: boom\nbad: uname threw later\n/);
  assert.equal(stderr.match(/bad: open gave no decision/g)?.length, 3);
});

test("a handler that never returns: ETIMEDOUT, its module goes, the others stay", async () => {
  using made = moduleFile(`
    export default module("hang", { timeoutMs: 100, on: { socket: () => { for (;;); } } });`);
  const script = `
report("inet")
while attempt("inet") != "ok": pass
report("inet", "uname")`;
  const { stdout, stderr } = await made.run(script, "-p", "hostname,nodename=mars");
  assert.equal(stdout, "inet=ETIMEDOUT\ninet=ok uname=mars\n", stderr);
  assert.match(stderr, /hang: removed, its handler did not return/);
});

test("a handler that is never done: ETIMEDOUT, and its module goes on", async () => {
  using made = moduleFile(`
    let calls = 0;
    export default module("slow", {
      timeoutMs: 100,
      on: {
        socket: () => new Promise(() => { calls++; }),
        uname: (call) => call.reply({ nodename: String(calls) }),
      },
    });`);
  const { stdout, stderr } = await made.run('report("inet", "inet6", "uname")');
  assert.equal(stdout, "inet=ETIMEDOUT inet6=ETIMEDOUT uname=2\n", stderr);
});

test("a module that ends its thread is taken out, and the view lives", async () => {
  using made = moduleFile(`
    export default module("exits", { timeoutMs: 100, on: { socket: () => process.exit(3) } });`);
  const script = 'report("inet")\nwhile attempt("inet") != "ok": pass\nreport("uname")';
  const { stdout, stderr } = await made.run(script, "-p", "hostname,nodename=mars");
  assert.equal(stdout, "inet=ETIMEDOUT\nuname=mars\n", stderr);
});

test("one slow handler blocks nobody else, not even in its own module", async () => {
  // The first call is answered only after another process has made a second one.
  using made = moduleFile(`
    let release;
    export default module("waits", {
      on: {
        socket: (call) => call.family === "inet"
          ? new Promise((resolve) => { release = () => resolve(call.fail("EAGAIN")); })
          : call.pass(),
        uname: (call) => { release?.(); return call.reply({ nodename: release ? "yes" : "no" }); },
      },
    });`);
  const script = `
child = os.fork()
if child == 0:
    print(attempt("inet"), flush=True)
    os._exit(0)
attempt("inet6")
while attempt("uname") == "no": pass
os.waitpid(child, 0)`;
  const { stdout, stderr } = await made.run(script);
  assert.equal(stdout, "EAGAIN\n", stderr);
});

test("64 processes at once get each its own answers", async () => {
  using made = moduleFile(`
    let calls = 0;
    const soon = () => new Promise((resolve) => setImmediate(resolve));
    export default module("many", {
      on: {
        setid: async (call) => {
          calls++;
          await soon();
          return call.ids[0] % 2 === 0 ? call.reply() : call.fail(call.ids[0] % 100 + 1);
        },
        uname: (call) => call.reply({ nodename: String(calls) }),
      },
    });`);
  const script = `
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def check(number):
    got = libc.syscall(105, number)
    wanted = 0 if number % 2 == 0 else number % 100 + 1
    return (0 if got == 0 else ctypes.get_errno()) == wanted
children = []
for child in range(64):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if all(check(child * 1000 + i) for i in range(50)) else 1)
    children.append(pid)
print(sum(os.waitpid(pid, 0)[1] for pid in children), attempt("uname"))`;
  const { stdout, stderr } = await made.run(script);
  assert.equal(stdout, "0 3200\n", stderr);
});

test("a caller that is killed while its call waits leaves the view in order", async () => {
  using made = moduleFile(`
    export default module("forever", {
      on: { socket: { when: { family: "inet6" }, do: () => new Promise(() => {}) } },
    });`);
  const script = `
import signal, time
for _ in range(8):
    child = os.fork()
    if child == 0:
        attempt("inet6")
        os._exit(0)
    while "user_notif" not in open("/proc/%d/wchan" % child).read(): time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
report("inet", "read")`;
  const { stdout, stderr } = await made.run(script);
  assert.equal(stdout, `${"-9\n".repeat(8)}inet=ok read=ok\n`, stderr);
});

test("rings are refused while a module wants what they would do unseen", async () => {
  const script = `
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall(425, 1, None)
print(errno.errorcode[ctypes.get_errno()])`;
  using made = moduleFile('export default module("m", { on: { unlink: (call) => call.pass() } });');
  assert.equal((await made.run(script)).stdout, "ENOSYS\n");
  // Without it the kernel looks at the call: its second argument is bad, or rings are off.
  using other = moduleFile('export default module("m", { on: { uname: (call) => call.pass() } });');
  assert.match((await other.run(script)).stdout, /^(?:EFAULT|EPERM)\n$/);
});

test("what enters a named view later is trapped by its modules, too", async () => {
  using made = moduleFile(`
    export default module("m", { on: {
      open: { when: { path: "/no/**" }, do: (call) => call.reply("m\\n") },
    } });`);
  const name = `modules-${process.pid}`;
  const child = spawn(
    process.execPath,
    [V2, "view", "--name", name, "-p", made.file, "--", "sh", "-c", "echo in; cat >/dev/null"],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  await once(child.stdout, "data");
  const inside = await v2(["view", "exec", name, "--", "cat", "/no/such"]);
  assert.deepEqual([inside.code, inside.stdout], [0, "m\n"], inside.stderr);
  child.stdin.end();
  await once(child, "exit");
});

test("a module that cannot be inserted is told before anything runs", async () => {
  using empty = moduleFile("export const nothing = 1;");
  using broken = moduleFile("this is no module");
  using wrong = moduleFile('export default module("m", { on: { opne: () => {} } });');
  const refused = async (...files: string[]): Promise<string> => {
    const options = files.flatMap((file) => ["-p", file]);
    const outcome = await v2(["view", ...options, "--", "echo", "ran"]);
    assert.deepEqual([outcome.stdout, outcome.signal], ["", null]);
    assert.notEqual(outcome.code, 0);
    return outcome.stderr;
  };
  assert.match(await refused("nothing-of-that-name"), /no module and no package of that name/);
  assert.match(await refused("./nothing"), /there is no file/);
  assert.match(await refused(empty.file), /exports no module/);
  assert.match(await refused(broken.file), /Unexpected identifier/);
  assert.match(await refused(wrong.file), /there is no operation 'opne'/);
  assert.match(await refused("hostname", "hostname"), /'hostname' is inserted already/);
});

test("a program makes a view with modules, and reads what they write", async () => {
  using made = moduleFile(`
    export default module("m", { on: {
      unlink: (call) => { console.log("unlink", call.path); return call.fail("EPERM"); },
    } });`);
  const lines: string[] = [];
  const name = `modules-program-${process.pid}`;
  await using view = await View.create({ name, modules: [made.file], log: (l) => lines.push(l) });
  const { code, stderr } = await view.run(["sh", "-c", "cd /usr; unlink ../tmp/./x"]);
  assert.equal(code, 1);
  assert.match(stderr, /Operation not permitted/);
  assert.ok(await eventually(() => lines.includes("unlink /tmp/x")), lines.join("\n"));
});
