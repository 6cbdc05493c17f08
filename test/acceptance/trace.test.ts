// time limit: 240 s
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  compileText,
  eventually,
  missingProgram,
  type Outcome,
  processesWith,
  supervisorOf,
  temporaryDirectory,
  v2,
  V2,
} from "./v2.ts";

interface TraceLine {
  readonly pid: number;
  readonly call: string;
  readonly class: string;
  readonly arch: string;
  readonly arguments: readonly unknown[];
  readonly error?: string | null;
}

interface Traced extends Outcome {
  readonly lines: readonly TraceLine[];
}

/** Runs a command with a trace in JSON; the file is read as soon as the command has ended. */
async function traced(argv: readonly string[], options: readonly string[] = []): Promise<Traced> {
  using directory = temporaryDirectory();
  const file = join(directory.path, "trace");
  const outcome = await v2(["view", ...options, "--json", "--trace-to", file, "--", ...argv]);
  const text = readFileSync(file, "utf8");
  assert.ok(text.endsWith("\n"), outcome.stderr);
  const lines = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as TraceLine);
  return { ...outcome, lines };
}

/** Compiles a C program and gives its path. */
function compiled(directory: string, source: string, ...flags: string[]): string {
  return compileText(source, join(directory, "program"), "-O1", ...flags);
}

test("a trace shows calls as strace does, on standard error, before their effect", async () => {
  const script = "cat /etc/hostname >/dev/null; cd /usr; echo done >&2; exit 7";
  const outcome = await v2(["view", "--trace=openat,chdir,execve", "--", "/bin/sh", "-c", script]);
  assert.deepEqual([outcome.code, outcome.signal, outcome.stdout], [7, null, ""]);
  const lines = outcome.stderr.trimEnd().split("\n");
  const shell = Number.parseInt(lines[0]!, 10);
  assert.match(
    lines[0]!,
    /^\d+ execve\("\/bin\/sh", \["\/bin\/sh", "-c", "cat .*"\], 0x[0-9a-f]+\)$/,
  );
  assert.ok(
    lines.some((line) => /^\d+ openat\(AT_FDCWD, "\/etc\/hostname", O_RDONLY\)$/.test(line)),
    outcome.stderr,
  );
  // The last two lines: the shell's own call, then what it says.
  assert.deepEqual(lines.slice(-2), [`${shell} chdir("/usr")`, "done"]);
});

test("by default paths, programs, mounts, names and sockets are traced, and nothing else", async () => {
  const script =
    "import os, socket; socket.socket(socket.AF_UNIX); os.uname(); os.getuid(); os.kill(os.getpid(), 0)";
  const { code, lines } = await traced(["python3", "-c", script]);
  assert.equal(code, 0);
  const calls = new Set(lines.map((line) => line.call));
  for (const call of ["execve", "openat", "socket", "uname"]) assert.ok(calls.has(call), call);
  const allowed = /^(?:path-read|path-write|directory|exec|mount|names|socket-create|socket-ops)$/;
  for (const line of lines) assert.match(line.class, allowed, line.call);
  const socket = lines.findLast((line) => line.call === "socket");
  assert.deepEqual(socket?.arguments, ["AF_UNIX", "SOCK_STREAM|SOCK_CLOEXEC", 0]);
});

test("calls that the view answers are shown with their result", async () => {
  const script = "mount -t tmpfs none /mnt; hostname traced; umount /mnt; umount /mnt; true";
  const { code, lines } = await traced(["sh", "-c", script], ["--trace=mount,names"]);
  assert.equal(code, 0);
  const mount = lines.find((line) => line.call === "mount" && line.error === null);
  assert.deepEqual(mount?.arguments.slice(0, 4), ["none", "/mnt", "tmpfs", "0"]);
  const unmounts = lines.filter((line) => line.call === "umount2");
  assert.deepEqual(
    unmounts.slice(0, 1).map((line) => line.error),
    [null],
  );
  const name = lines.find((line) => line.call === "sethostname");
  assert.deepEqual([name?.arguments, name?.error], [["traced", 6], null]);
  // The new mount interface is refused as without a trace, so that mount(8) takes the old one.
  for (const line of lines.filter((line) => line.call === "fsopen")) {
    assert.equal(line.error, "ENOSYS");
  }
});

test("every class can be traced at once, and the program runs as untraced", async () => {
  const script = "for i in 1 2 3; do echo $i; done | sort -r; kill -USR1 $$; exit 3";
  const trap = `trap 'echo caught' USR1; ${script}`;
  const { code, stdout, lines } = await traced(["sh", "-c", trap], ["--trace=all"]);
  assert.deepEqual([code, stdout], [3, "3\n2\n1\ncaught\n"]);
  const calls = new Set(lines.map((line) => line.call));
  for (const call of ["write", "mmap", "rt_sigreturn", "kill", "exit_group", "wait4"]) {
    assert.ok(calls.has(call), call);
  }
});

test("a traced program ends by signals as an untraced one", async () => {
  const killed = await v2(["view", "--trace=kill", "--", "/bin/sh", "-c", "kill -TERM $$"]);
  assert.deepEqual([killed.code, killed.signal], [null, "SIGTERM"]);
  assert.match(killed.stderr, /^(\d+) kill\(\1, SIGTERM\)\n$/);
  const child = spawn(process.execPath, [V2, "view", "--trace=path", "--", "sleep", "60"], {
    stdio: "ignore",
  });
  assert.ok(await eventually(() => readFileSync(`/proc/${child.pid}/comm`, "utf8") === "sleep\n"));
  child.kill("SIGINT");
  assert.deepEqual(await once(child, "exit"), [null, "SIGINT"]);
});

test("a traced program has its terminal", async () => {
  const inner = `'${process.execPath}' '${V2}' view --trace=exec --trace-to /dev/null -- tty`;
  const outcome = spawnSync("script", ["-qec", inner, "/dev/null"], { encoding: "utf8" });
  assert.match(outcome.stdout, /^\/dev\/pts\/\d+\r\n$/);
});

test("static programs are traced like dynamic ones", async (t) => {
  const reason = missingProgram("busybox", "busybox-static");
  if (reason !== undefined) return t.skip(reason);
  const argv = ["busybox", "cat", "/etc/hostname"];
  const { code, stdout, lines } = await traced(argv, ["--trace=path-read"]);
  assert.deepEqual([code, stdout], [0, readFileSync("/etc/hostname", "utf8")]);
  const opened = lines.filter((line) => line.call.startsWith("open"));
  assert.ok(opened.some((line) => line.arguments.includes("/etc/hostname")));
  return undefined;
});

test("two hundred programs in a loop are all seen, in order, with their processes", async () => {
  const script = "i=0; while [ $i -lt 200 ]; do /bin/true $i; i=$((i+1)); done";
  const { code, lines } = await traced(["/bin/sh", "-c", script], ["--trace=exec"]);
  assert.equal(code, 0);
  const runs = lines.filter((line) => line.arguments[0] === "/bin/true");
  assert.deepEqual(
    runs.map((line) => (line.arguments[1] as string[])[1]),
    Array.from({ length: 200 }, (_, index) => String(index)),
  );
  assert.equal(new Set(runs.map((line) => line.pid)).size, 200);
});

test("threads are traced by their own numbers, and none of their calls is lost", async () => {
  const script = `
import os, threading
def work(i):
    for j in range(50):
        try: os.stat("/nowhere/%d/%d" % (i, j))
        except FileNotFoundError: pass
threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
for t in threads: t.start()
for t in threads: t.join()
`;
  const { code, lines } = await traced(["python3", "-c", script], ["--trace=path-read"]);
  assert.equal(code, 0);
  const of = new Map<string, number>();
  for (const line of lines) {
    for (const word of line.arguments) {
      if (typeof word === "string" && word.startsWith("/nowhere/")) of.set(word, line.pid);
    }
  }
  assert.equal(of.size, 400);
  assert.equal(new Set(of.values()).size, 8);
});

/** open(2) by the 32-bit entry of the kernel, from a program whose data lies below 4 GiB. */
const BY_INTERRUPT = `
#include <stdio.h>
static char path[] = "/etc/hostname";
int main(void) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result)
                   : "a"(5), "b"(path), "c"(0), "d"(0) : "memory", "r8", "r9", "r10", "r11");
  printf("%d\\n", result >= 0);
  return 0;
}
`;

test("calls by the 32-bit entry of a 64-bit program are seen for what they are", async (t) => {
  const reason = missingProgram("gcc", "gcc");
  if (reason !== undefined) return t.skip(reason);
  using directory = temporaryDirectory();
  const program = compiled(directory.path, BY_INTERRUPT, "-no-pie");
  const bare = spawnSync(program, [], { encoding: "utf8" });
  const { stdout, lines } = await traced([program], ["--trace=path"]);
  assert.equal(stdout, bare.stdout);
  const found = lines.filter((line) => line.arch === "i386");
  assert.deepEqual(
    found.map((line) => [line.call, ...line.arguments]),
    [["open", "/etc/hostname", "O_RDONLY"]],
  );
  return undefined;
});

/** Prints errno of io_uring_setup and of an x32 call (getpid). */
const WAYS_ROUND = `
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
  char parameters[120] = {0};
  printf("%d ", syscall(425, 1, parameters) < 0 ? errno : 0);
  printf("%d\\n", syscall(0x40000000 | 39) < 0 ? errno : 0);
  return 0;
}
`;

test("io_uring and x32 are no way round a trace of paths", async (t) => {
  const reason = missingProgram("gcc", "gcc");
  if (reason !== undefined) return t.skip(reason);
  using directory = temporaryDirectory();
  const program = compiled(directory.path, WAYS_ROUND);
  const ENOSYS = 38;
  const outcome = await traced([program], ["--trace=path-read"]);
  assert.equal(outcome.stdout, `${ENOSYS} ${ENOSYS}\n`);
  return undefined;
});

/** Opens 4000 files while a timer fires every 200 microseconds; prints failures. */
const SIGNAL_STORM = `
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>
static volatile int caught;
static void count(int signal) { caught += signal == SIGALRM; }
int main(void) {
  struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};
  struct itimerval every = {{0, 200}, {0, 200}};
  int failures = 0;
  sigaction(SIGALRM, &action, 0);
  setitimer(ITIMER_REAL, &every, 0);
  for (int i = 0; i < 4000; i++) {
    int file = open("/etc/passwd", O_RDONLY);
    failures += file < 0 || close(file) != 0;
  }
  printf("%d %d\\n", failures, caught > 0);
  return 0;
}
`;

test("a storm of signals changes no traced call, and no call is seen twice", async (t) => {
  const reason = missingProgram("gcc", "gcc");
  if (reason !== undefined) return t.skip(reason);
  using directory = temporaryDirectory();
  const program = compiled(directory.path, SIGNAL_STORM);
  const { stdout, lines } = await traced([program], ["--trace=open,openat"]);
  assert.equal(stdout, "0 1\n");
  const opened = lines.filter((line) => line.arguments.includes("/etc/passwd"));
  assert.equal(opened.length, 4000);
  return undefined;
});

test("strings that cannot be read are addresses, and odd ones are quoted", async () => {
  const script = `
import ctypes
libc = ctypes.CDLL(None)
libc.chdir(ctypes.c_void_p(8)); libc.chdir(None)
libc.chdir(b'a"b\\n\\xff'); libc.chdir("/\\u00e4\\u202e".encode())
`;
  const options = ["--trace=chdir"];
  const { stderr } = await v2(["view", ...options, "--", "python3", "-c", script]);
  const words = stderr.trimEnd().split("\n");
  assert.deepEqual(
    words.slice(-4).map((line) => line.replace(/^\d+ /, "")),
    ["chdir(0x8)", "chdir(NULL)", 'chdir("a\\"b\\n\\377")', 'chdir("/ä\\u202e")'],
  );
});

test("kill -9 in the middle of a trace leaves nothing, and so does a reader that goes", async () => {
  using directory = temporaryDirectory();
  const file = join(directory.path, "trace");
  const name = `traced-${process.pid}`;
  const loop = "while :; do /bin/true; done";
  const options = ["view", "--name", name, "--trace", "--trace-to", file];
  const child = spawn(process.execPath, [V2, ...options, "--", "sh", "-c", loop], {
    stdio: "ignore",
  });
  assert.ok(await eventually(() => existsSync(file) && readFileSync(file, "utf8").length > 4096));
  child.kill("SIGKILL");
  assert.deepEqual(await once(child, "exit"), [null, "SIGKILL"]);
  assert.ok(await eventually(() => processesWith(name) === ""), processesWith(name));
  const text = readFileSync(file, "utf8");
  assert.ok(text.endsWith(")\n") && text.includes('execve("/bin/true", ["/bin/true"]'));
  // Whoever reads the trace stops reading: the command runs on.
  const command = `'${process.execPath}' '${V2}' view --trace -- sh -c 'ls / / / / > ${file}; echo $? >> ${file}' 2>&1 >/dev/null | head -1`;
  const outcome = spawnSync("sh", ["-c", command], { encoding: "utf8" });
  assert.match(outcome.stdout, /^\d+ execve\(/);
  assert.ok(await eventually(() => readFileSync(file, "utf8").endsWith("\n0\n")));
});

test("a tracer that is killed leaves traced calls failing, and no program waiting", async () => {
  const name = `untraced-${process.pid}`;
  const loop = "while /bin/true; do :; done 2>/dev/null; echo ended";
  const options = ["view", "--name", name, "--trace=exec", "--trace-to", "/dev/null"];
  const child = spawn(process.execPath, [V2, ...options, "--", "/bin/sh", "-c", loop], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    output += chunk;
  });
  const pid = await supervisorOf(name);
  assert.ok(pid !== undefined);
  process.kill(pid, "SIGKILL");
  assert.deepEqual(await once(child, "close"), [0, null]);
  assert.equal(output, "ended\n");
});

test("a wrong class, a wrong file and --json alone are told before anything starts", async () => {
  const wrong = await v2(["view", "--trace=path,files", "--", "true"]);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /'files' is no class and no system call[^]*path-read/);
  const alone = await v2(["view", "--json", "--", "true"]);
  assert.equal(alone.code, 2);
  const file = await v2(["view", "--trace-to", "/nowhere/trace", "--", "true"]);
  assert.equal(file.code, 1);
  assert.match(file.stderr, /--trace-to \/nowhere\/trace: .*ENOENT/);
});
