/** `emulate()` of calls without paths: performed by the supervisor, as the caller would have. */
// time limit: 240 s
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { type Outcome, temporaryDirectory, v2 } from "./v2.ts";

const PYTHON = existsSync("/usr/bin/python3") ? "/usr/bin/python3" : "python3";

const HEAD = `
import ctypes, errno, os, resource, signal, socket, stat, struct, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def attempt(call):
    try: return str(call() or "ok")
    except OSError as error: return errno.errorcode[error.errno]
def bare(name, *args):
    got = getattr(libc, name)(*args)
    return "ok" if got >= 0 else errno.errorcode[ctypes.get_errno()]
`;

/** Runs Python in a directory of its own, in a view whose module has these calls emulated. */
async function emulated(
  operations: string,
  script: string,
  words: string[] = [],
): Promise<Outcome> {
  using directory = temporaryDirectory();
  const file = join(directory.path, "module.mjs");
  writeFileSync(
    file,
    `import { module } from "virtualsquare/viewos";
    const emulate = (call) => call.emulate();
    export default module("m", { on: { ${operations} } });`,
  );
  const argv = ["timeout", "50", PYTHON, "-c", HEAD + script, ...words];
  return await v2(["view", "-p", file, "--", ...argv], { cwd: directory.path });
}

/** A server of this test, which counts its connections. */
async function counting(): Promise<{ server: Server; port: number; count: () => number }> {
  let count = 0;
  const server = createServer((socket) => {
    count++;
    socket.on("error", () => {}).resume();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port, count: () => count };
}

test("connect is performed with the caller's socket, and fails as it would have", async () => {
  const { server, port, count } = await counting();
  const script = `
port = int(sys.argv[1])
tcp = socket.socket()
print(attempt(lambda: tcp.connect(("127.0.0.1", port))), tcp.getpeername()[1] == port)
print(attempt(lambda: tcp.connect(("127.0.0.1", port))))
print(attempt(lambda: socket.socket().connect(("127.0.0.1", 1))))
later = socket.socket()
later.setblocking(False)
print(attempt(lambda: later.connect(("127.0.0.1", port))))
import select
print(select.select([], [later], [], 10)[1] == [later], later.getpeername()[1] == port)
datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagram.connect(("127.0.0.1", port))
print(attempt(lambda: datagram.connect(("127.0.0.1", 9))), datagram.getpeername()[1])
address = struct.pack("<H", socket.AF_INET) + struct.pack(">H", port)
address += bytes([127, 0, 0, 1]) + bytes(8)
file = os.open("/dev/null", os.O_RDONLY)
print(bare("connect", file, address, 16), bare("connect", 99, address, 16))
print(bare("connect", socket.socket().fileno(), address, 3), end=" ")
print(bare("connect", tcp.fileno(), address, 129))
fresh = socket.socket()
print(bare("connect", fresh.fileno(), None, 16))
`;
  const { stdout, stderr } = await emulated("connect: emulate", script, [String(port)]);
  server.close();
  const lines = [
    "ok True",
    "EISCONN",
    "ECONNREFUSED",
    "EINPROGRESS",
    "True True",
    "ok 9",
    "ENOTSOCK EBADF",
    "EBADF EINVAL",
    "EFAULT",
  ];
  assert.equal(stdout, `${lines.join("\n")}\n`, stderr);
  assert.equal(count(), 2);
});

test("a local address means what it means for the caller: directory, root, rights", async () => {
  const script = `
os.mkdir("d"); os.chdir("d"); os.umask(0o027)
server = socket.socket(socket.AF_UNIX)
print(attempt(lambda: server.bind("s")), server.getsockname())
info = os.stat("s")
print(stat.S_ISSOCK(info.st_mode), oct(info.st_mode & 0o777), info.st_uid == os.getuid())
print(attempt(lambda: socket.socket(socket.AF_UNIX).bind("s")))
print(attempt(lambda: socket.socket(socket.AF_UNIX).bind("no/s")))
server.listen()
client = socket.socket(socket.AF_UNIX)
print(attempt(lambda: client.connect("s")), client.getpeername())
pid, uid, gid = struct.unpack("3i", server.accept()[0].getsockopt(1, socket.SO_PEERCRED, 12))
print(uid == os.getuid(), gid == os.getgid())
print(attempt(lambda: socket.socket(socket.AF_UNIX).connect("none")))
abstract = socket.socket(socket.AF_UNIX)
name = "\\0v2-%d" % os.getpid()
print(attempt(lambda: abstract.bind(name)), abstract.getsockname() == name.encode())
low = socket.socket()
print(attempt(lambda: low.bind(("127.0.0.1", 1))))
free = socket.socket()
print(attempt(lambda: free.bind(("127.0.0.1", 0))), free.getsockname()[1] > 0)
`;
  const { stdout, stderr } = await emulated("connect: emulate, bind: emulate", script);
  const lines = [
    "ok s",
    "True 0o750 True",
    "EADDRINUSE",
    "ENOENT",
    "ok s",
    "True True",
    "ENOENT",
    "ok True",
    "EACCES",
    "ok True",
  ];
  assert.equal(stdout, `${lines.join("\n")}\n`, stderr);
});

test("a connection that waits holds up its caller only, until a signal ends it", async () => {
  const script = `
server = socket.socket(socket.AF_UNIX)
server.bind("full"); server.listen(0)
first = socket.socket(socket.AF_UNIX); first.connect("full")
start = os.fork()
if start == 0:
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.siginterrupt(signal.SIGALRM, True)
    signal.alarm(2)
    waits = socket.socket(socket.AF_UNIX)
    address = struct.pack("<H", socket.AF_UNIX) + b"full\\0"
    print(bare("connect", waits.fileno(), address, len(address)), flush=True)
    os._exit(0)
other = socket.socket(socket.AF_UNIX); other.bind("other"); other.listen()
for _ in range(20): socket.socket(socket.AF_UNIX).connect("other") if _ < 5 else os.uname()
print(os.waitpid(start, os.WNOHANG), flush=True)
os.waitpid(start, 0)
waits = os.fork()
if waits == 0:
    print(attempt(lambda: socket.socket(socket.AF_UNIX).connect("full")), flush=True)
    os._exit(0)
time.sleep(0.3)
server.accept(); server.accept()
os.waitpid(waits, 0)
`;
  const { stdout, stderr } = await emulated("connect: emulate", script);
  assert.equal(stdout, "(0, 0)\nEINTR\nok\n", stderr);
});

test("an address that is changed meanwhile is none that the module has not seen", async () => {
  const [allowed, denied] = [await counting(), await counting()];
  const operations = `connect: (call) =>
    call.addr.port === ${allowed.port} ? call.emulate() : call.fail("EACCES")`;
  const script = `
ports = [int(word) for word in sys.argv[1:]]
address = ctypes.create_string_buffer(16)
struct.pack_into("<H", address, 0, socket.AF_INET)
address[4:8] = bytes([127, 0, 0, 1])
over = False
def flip():
    while not over:
        for port in ports: struct.pack_into(">H", address, 2, port)
flipper = threading.Thread(target=flip); flipper.start()
sys.setswitchinterval(0.0001)
seen = set()
for _ in range(150):
    with socket.socket() as one: seen.add(bare("connect", one.fileno(), address, 16))
over = True; flipper.join()
print(sorted(seen))
`;
  const words = [String(allowed.port), String(denied.port)];
  const { stdout, stderr } = await emulated(operations, script, words);
  for (const { server } of [allowed, denied]) server.close();
  assert.equal(stdout, "['EACCES', 'ok']\n", stderr);
  assert.ok(allowed.count() > 0);
  assert.equal(denied.count(), 0);
});

test("clocks, groups and owners: what the caller itself would have got", async () => {
  const script = `
NUMBERS = {"clock_settime": 227, "settimeofday": 164}
def clock(name, *args): return bare("syscall", NUMBERS[name], *args)
spec = struct.pack("qq", 1, 0)
print(*(clock("clock_settime", *args) for args in ((0, spec), (99, spec), (0, None))))
print(clock("clock_settime", 0, struct.pack("qq", 1, -1)), clock("settimeofday", spec, None))
print(clock("settimeofday", None, None))
timex = ctypes.create_string_buffer(208)
print(libc.adjtimex(timex) >= 0, struct.unpack_from("q", timex, 72)[0] > 1500000000)
timex2 = ctypes.create_string_buffer(208)
struct.pack_into("I", timex2, 0, 2)
print(bare("adjtimex", timex2), libc.clock_adjtime(0, ctypes.create_string_buffer(208)) >= 0)
print(attempt(lambda: os.setuid(os.getuid())), attempt(lambda: os.setreuid(-1, -1)))
file = os.open("mine", os.O_CREAT | os.O_RDWR)
def owner(fd, *ids): return attempt(lambda: os.fchown(fd, *ids))
print(owner(file, os.getuid(), os.getgid()), owner(file, -1, -1))
print(owner(file, 12345, -1), owner(99, -1, -1))
`;
  const own = await emulated("uname: emulate", script);
  const found = await emulated("settime: emulate, setid: emulate, chown: emulate", script);
  assert.match(own.stdout, /^EPERM EINVAL EFAULT\nEINVAL EPERM\n/, own.stderr);
  assert.equal(own.stdout.split("\n").length, 9, own.stderr);
  assert.equal(found.stdout, own.stdout, found.stderr);
});

test("groups: who may not set them is told so, who may can only do it itself", async () => {
  const script = `
may = int(next(l for l in open("/proc/self/status") if l.startswith("CapEff"))[8:], 16) >> 6 & 1
print(may, attempt(lambda: os.setgroups([1])), attempt(lambda: os.setgroups([])))`;
  const { stdout, stderr } = await emulated("setid: emulate", script);
  assert.ok(["0 EPERM EPERM\n", "1 ENOSYS ok\n"].includes(stdout), stdout + stderr);
});
