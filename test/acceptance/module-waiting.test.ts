/** Opens that wait for another process, in views whose modules decide about files. */
// time limit: 240 s
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { module } from "../../src/viewos/index.ts";
import { View } from "../../src/engine/index.ts";
import { type Outcome, temporaryDirectory, v2 } from "./v2.ts";

const PYTHON = existsSync("/usr/bin/python3") ? "/usr/bin/python3" : "python3";

/** Runs a shell script in a directory of its own, in a view whose module has opens performed so. */
async function withModule(
  decision: string,
  script: string,
  options: readonly string[] = [],
  shell: readonly string[] = ["bash", "-c"],
): Promise<Outcome> {
  using directory = temporaryDirectory();
  const file = join(directory.path, "module.mjs");
  writeFileSync(
    file,
    `import { module } from "virtualsquare/viewos";
    export default module("m", { on: { ${decision} } });`,
  );
  const words = ["view", "-p", file, ...options, "--", ...shell, script];
  return await v2(words, { cwd: directory.path });
}

const EMULATED = "open: (call) => call.emulate()";
/** The module wants no FIFO: the worker performs these opens without asking it. */
const UNWANTED = 'open: { when: { path: "/no/such" }, do: (call) => call.fail("EIO") }';
/** Opens are nobody's but the view's own. */
const OTHERS = "unlink: (call) => call.emulate()";

const PIPES = `
mkfifo p q
(read -r line <p; echo "got $line" >q) & (read -r line <q; echo "$line" >out) &
for i in $(seq 20); do : </etc/passwd; done
echo hello >p
wait; cat out`;

for (const [name, decision, options] of [
  ["emulated", EMULATED, []],
  ["not wanted by any module", UNWANTED, []],
  ["answered without modules, beside one that wants other calls", OTHERS, ["--trap=path"]],
] as const) {
  test(`opens of FIFOs that are ${name} hold up their callers only`, async () => {
    const { stdout, stderr, code } = await withModule(decision, PIPES, options);
    assert.deepEqual([stdout, code], ["got hello\n", 0], stderr);
  });
}

test("as many opens wait as there may be, the next ones fail with EAGAIN", async () => {
  const script = `
import errno, os, signal
os.mkfifo("p")
pids = []
for _ in range(70):
    pid = os.fork()
    if pid == 0:
        signal.alarm(50)
        try: os.open("p", os.O_RDONLY)
        except OSError as error: os._exit(error.errno)
        os._exit(0)
    pids.append(pid)
failed = 0
while failed < 6:
    pid, status = os.wait()
    assert os.waitstatus_to_exitcode(status) == errno.EAGAIN
    pids.remove(pid)
    failed += 1
# It must not wait itself: there is no thread for it.
while True:
    try: writer = os.open("p", os.O_WRONLY | os.O_NONBLOCK); break
    except OSError as error: assert error.errno == errno.ENXIO
print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0] * 64)`;
  const { stdout, stderr } = await withModule(EMULATED, script, [], [PYTHON, "-c"]);
  assert.equal(stdout, "True\n", stderr);
});

test("a signal ends or restarts an open that waits, and kill ends it at once", async () => {
  const script = `
import errno, os, signal, sys
os.mkfifo("p")
def child(action, restart):
    pid = os.fork()
    if pid: return pid
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.siginterrupt(signal.SIGALRM, not restart)
    signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2 if restart else 0)
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    got = libc.open(b"p", os.O_RDONLY)
    os._exit(0 if got >= 0 else ctypes.get_errno())
interrupted = child("end", False)
print(os.waitstatus_to_exitcode(os.waitpid(interrupted, 0)[1]) == errno.EINTR)
restarted = child("restart", True)
import time
time.sleep(0.5)
assert os.waitpid(restarted, os.WNOHANG) == (0, 0)
os.open("p", os.O_WRONLY)
print(os.waitstatus_to_exitcode(os.waitpid(restarted, 0)[1]))
os.mkfifo("never")
killed = os.fork()
if killed == 0: os.open("never", os.O_WRONLY)
time.sleep(0.2)
os.kill(killed, 9)
print(os.waitstatus_to_exitcode(os.waitpid(killed, 0)[1]))`;
  const { stdout, stderr } = await withModule(EMULATED, script, [], [PYTHON, "-c"]);
  assert.equal(stdout, "True\n0\n-9\n", stderr);
});

test("an open that waits has its caller's rights and flags", async () => {
  const script = `
import errno, fcntl, os
os.mkfifo("mine"); os.mkfifo("closed"); os.chmod("closed", 0)
try: os.open("closed", os.O_WRONLY); print("root" if os.getuid() == 0 else "opened")
except OSError as error: print(errno.errorcode[error.errno])
pid = os.fork()
if pid == 0: os.open("mine", os.O_RDONLY); os._exit(0)
fd = os.open("mine", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
print(fcntl.fcntl(fd, fcntl.F_GETFL) & (os.O_APPEND | os.O_WRONLY) == os.O_APPEND | os.O_WRONLY,
  fcntl.fcntl(fd, fcntl.F_GETFD))
os.waitpid(pid, 0)
print(os.open("mine", os.O_RDONLY | os.O_NONBLOCK) > 0)`;
  // Root may open the closed one, and would wait for its other end.
  const plain = script.replace(
    'os.chmod("closed", 0)',
    'os.chmod("closed", 0 if os.getuid() else 0o600)',
  );
  const once = process.getuid!() === 0 ? plain.replace(/^try.*\n^except.*\n/mu, "") : plain;
  const { stdout, stderr } = await withModule(EMULATED, once, [], [PYTHON, "-c"]);
  const expected = process.getuid!() === 0 ? "" : "EACCES\n";
  assert.equal(stdout, `${expected}True 1\nTrue\n`, stderr);
});

test("a view is closed while opens wait, and nothing is left", async () => {
  using directory = temporaryDirectory();
  const modules = [module("m", { on: { open: (call) => call.emulate() } })];
  const view = await View.create({ name: `waiting-${process.pid}`, modules });
  const script = `cd ${directory.path}; mkfifo p; for i in 1 2 3; do cat p & done; sleep 0.3; echo in; wait`;
  const child = view.spawn(["sh", "-c", script], { stdio: ["ignore", "pipe", "ignore"] });
  await new Promise((resolve) => child.stdout!.once("data", resolve));
  await view.close();
});
