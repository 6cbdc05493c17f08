// time limit: 240 s
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { View, type ViewOptions } from "../../src/engine/index.ts";
import { module, vfs, type VirtualFiles } from "../../src/viewos/index.ts";
import { eventually, runProgram, temporaryDirectory } from "./v2.ts";

const PYTHON = existsSync("/usr/bin/python3") ? "/usr/bin/python3" : "python3";

const AUDIT = new URL("../../../examples/modules/audit.mjs", import.meta.url);

/** A view for a test, with a directory of its own. */
async function viewFor(name: string, options: Partial<ViewOptions> = {}) {
  const directory = temporaryDirectory();
  const target = join(directory.path, "mnt");
  mkdirSync(target);
  const log: string[] = [];
  const view = await View.create({
    name: `${name}-${process.pid}`,
    log: (line) => log.push(line),
    ...options,
  });
  return {
    view,
    directory: directory.path,
    target,
    log,
    /** Both outputs of a shell script. */
    async sh(script: string): Promise<string> {
      const { stdout, stderr } = await view.run(["sh", "-c", script]);
      return stdout + stderr;
    },
    async [Symbol.asyncDispose]() {
      await view.close();
      directory[Symbol.dispose]();
    },
  };
}

/** Lines of a child, one after the other. */
function linesOf(child: ChildProcess): () => Promise<string> {
  const lines = createInterface(child.stdout!)[Symbol.asyncIterator]();
  return async () => String((await lines.next()).value);
}

test("a program drives a view with handlers of its own", async () => {
  const asked: string[] = [];
  await using made = await viewFor("drives", {
    modules: [
      module("mine", {
        on: {
          uname: (call) => call.reply({ nodename: `mars-${asked.push("uname")}` }),
          open: { when: { path: "/no/**" }, do: async (call) => call.reply(`${call.path}\n`) },
          unlink: (call) => call.fail("EPERM"),
        },
      }),
    ],
  });
  assert.equal(await made.sh("uname -n; cat /no/such; uname -n"), "mars-1\n/no/such\nmars-2\n");
  assert.match(
    await made.sh(`rmdir ${made.target}; cd ${made.directory}; touch x; rm x`),
    /not permitted/,
  );
  assert.deepEqual(asked, ["uname", "uname"]);
  const [listed] = await made.view.modules();
  assert.deepEqual([listed?.name, listed?.operations.length], ["mine", 3]);
});

test("objects and files are asked in the order of their insertion", async () => {
  let closed = 0;
  await using made = await viewFor("order", { modules: ["hostname,nodename=file"] });
  const { view } = made;
  const named = module("object", {
    on: { uname: (call) => call.reply({ nodename: "object" }) },
    close: () => void closed++,
  });
  assert.equal(await made.sh("uname -n"), "file\n");
  assert.deepEqual(await view.insert(named), ["object"]);
  assert.equal(await made.sh("uname -n"), "object\n");
  await assert.rejects(view.insert(named), { code: "EEXIST" });
  await view.insert(module("newest", { on: { uname: (call) => call.pass() } }));
  assert.equal(await made.sh("uname -n"), "object\n");
  await view.remove("object");
  assert.equal(await made.sh("uname -n"), "file\n");
  assert.ok(await eventually(() => closed === 1));
  const untrapped = module("late", { on: { open: (call) => call.pass() } });
  await assert.rejects(view.insert(untrapped), { code: "NOT_TRAPPED", remedy: /--trap=path/ });
  assert.deepEqual(
    (await view.modules()).map(({ name }) => name),
    ["newest", "hostname"],
  );
});

test("a handler of a program that throws or gives garbage is EIO and a line", async () => {
  await using made = await viewFor("bad", {
    modules: [
      module("bad", {
        on: {
          uname: () => {
            throw new Error("boom");
          },
          setid: () => 42 as never,
        },
      }),
    ],
  });
  assert.match(await made.sh("uname -n"), /Input\/output error/);
  const script = "import os\ntry: os.setuid(os.getuid())\nexcept OSError as e: print(e.errno)";
  assert.equal((await made.view.run([PYTHON, "-c", script])).stdout, "5\n");
  assert.deepEqual(made.log, ["bad: uname threw Error: boom", "bad: setid gave no decision"]);
});

test("many processes at once are answered by one program", async () => {
  let calls = 0;
  await using made = await viewFor("many", {
    modules: [
      module("many", {
        on: {
          setid: async (call) => {
            calls++;
            await new Promise((resolve) => setImmediate(resolve));
            return call.ids[0]! % 2 === 0 ? call.reply() : call.fail((call.ids[0]! % 100) + 1);
          },
        },
      }),
    ],
  });
  const script = `
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def check(number):
    got = libc.syscall(105, number)
    return (0 if got == 0 else ctypes.get_errno()) == (0 if number % 2 == 0 else number % 100 + 1)
children = []
for child in range(16):
    pid = os.fork()
    if pid == 0: os._exit(0 if all(check(child * 1000 + i) for i in range(50)) else 1)
    children.append(pid)
print(sum(os.waitpid(pid, 0)[1] for pid in children))`;
  const { stdout, stderr } = await made.view.run([PYTHON, "-c", script]);
  assert.deepEqual([stdout, calls], ["0\n", 800], stderr);
});

test("while the program is blocked its calls time out, and others are served", async () => {
  await using made = await viewFor("blocked", {
    modules: [
      "hostname,nodename=file",
      module("slow", { timeoutMs: 2000, on: { setid: (call) => call.fail("EAGAIN") } }),
    ],
  });
  const script = `
import os, sys
def attempt():
    try: os.setuid(os.getuid())
    except OSError as error: return error.errno
for _ in sys.stdin: print(attempt(), os.uname().nodename, flush=True)`;
  const guest = made.view.spawn([PYTHON, "-c", script], { stdio: ["pipe", "pipe", "inherit"] });
  const next = linesOf(guest);
  guest.stdin!.write("\n");
  assert.equal(await next(), "11 file");
  guest.stdin!.write("\n");
  // Node writes to a pipe at once; from then on this program does nothing for a while.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 4000);
  assert.equal(await next(), "110 file");
  guest.stdin!.write("\n");
  assert.equal(await next(), "11 file");
  guest.stdin!.end();
  await once(guest, "exit");
  assert.match(made.log.join("\n"), /^slow: setid took longer than 2000 ms$/);
});

test("when a program ends, its modules are removed and what waited for it fails", async () => {
  await using made = await viewFor("ends", { modules: ["hostname,nodename=file"] });
  const { view, directory, target } = made;
  const program = join(directory, "program.mjs");
  const doors = ["engine", "viewos"].map((door) =>
    JSON.stringify(new URL(`../../src/${door}/index.js`, import.meta.url).href),
  );
  writeFileSync(
    program,
    `import { ProgramModules } from ${doors[0]};
    import { module, vfs } from ${doors[1]};
    const modules = await ProgramModules.connect(process.argv[2]);
    await modules.insert(module("brief", {
      mount: () => vfs({ list: () => [], stat: () => ({}), read: () => "" }),
      on: {
        setid: () => new Promise(() => console.log("waits")),
        uname: (call) => call.reply({ nodename: "brief" }),
      },
    }));
    console.log("in");`,
  );
  const child = spawn(process.execPath, [program, view.name], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const next = linesOf(child);
  assert.equal(await next(), "in");
  assert.equal(await made.sh("uname -n"), "brief\n");
  await view.mount("brief", "none", target);
  const script = "import os\ntry: os.setuid(os.getuid())\nexcept OSError as e: print(e.errno)";
  const waiting = view.run([PYTHON, "-c", script]);
  assert.equal(await next(), "waits");
  child.kill("SIGKILL");
  assert.equal((await waiting).stdout, "110\n");
  assert.ok(await eventually(() => made.log.includes("brief: removed, its program has ended")));
  assert.equal(await made.sh("uname -n"), "file\n");
  assert.match(await made.sh(`ls ${target}`), /not connected|connection abort/);
  assert.deepEqual(
    (await view.modules()).map(({ name }) => name),
    ["hostname"],
  );
});

test("the program that docs/modules.md shows does what it says", async () => {
  using directory = temporaryDirectory();
  const text = readFileSync(new URL("../../../docs/modules.md", import.meta.url), "utf8");
  const shown = /## From a program\n+```ts\n([^]*?)```/.exec(text)![1]!;
  const doors = shown.replaceAll(
    /"virtualsquare\/(\w+)"/g,
    (_, door) => `"${new URL(`../../src/${door}/index.js`, import.meta.url).href}"`,
  );
  const program = `${doors}
    console.log(code, written.has(process.cwd() + "/made"), (await view.modules()).length);
    console.log((await view.run(["cat", "/mnt/written"])).stdout.includes("/made"));`;
  // Node 20 knows no "await using".
  const plain = `${program.replace("await using", "const")}\nawait view.close();`;
  writeFileSync(join(directory.path, "program.mjs"), plain);
  writeFileSync(join(directory.path, "audit.mjs"), readFileSync(AUDIT));
  writeFileSync(join(directory.path, "Makefile"), "made:\n\techo made >$@\n");
  const { stdout, stderr } = await runProgram([process.execPath, "program.mjs"], {
    cwd: directory.path,
  });
  assert.equal(stdout, "0 true 2\ntrue\n", stderr);
});

/** Files in a Map of the test. */
function mapFiles(files: Map<string, Uint8Array>): VirtualFiles {
  return vfs({
    list: () => [...files.keys()].map((path) => path.slice(1)),
    stat: (path) => (path === "/" || files.has(path) ? {} : undefined),
    read: (path) => files.get(path)!,
    write: (path, content) => void files.set(path, content.slice()),
    remove: (path) => void files.delete(path),
    ttl: 0,
  });
}

test("a program's file system is mounted, read and written, and shares its variables", async () => {
  await using made = await viewFor("files");
  const { view, target } = made;
  const files = new Map([["/a", new TextEncoder().encode("one\n")]]);
  await view.mount(mapFiles(files), target);
  assert.equal(await made.sh(`cd ${target}; ls; cat a; echo two >b; cat b`), "a\none\ntwo\n");
  assert.equal(new TextDecoder().decode(files.get("/b")), "two\n");
  files.set("/c", Uint8Array.of(0x68, 0x69, 0x0a));
  assert.equal(await made.sh(`cd ${target}; ls; cat c; rm a b; ls`), "a\nb\nc\nhi\nc\n");
  assert.match(await made.sh("cat /proc/self/mounts"), new RegExp(`${target} fuse.program `));
});

test("large files go in pieces, and errors are the guest's", async () => {
  await using made = await viewFor("large");
  const size = 48 * 1024 * 1024;
  const files = vfs({
    list: () => ["large", "whole", "secret"],
    stat: (path) => (path === "/" ? {} : { size: path === "/large" ? size : 3 }),
    readAt: (path, offset, octets, caller) => {
      if (path === "/secret") throw Object.assign(new Error("no"), { code: "EACCES" });
      assert.equal(caller.uid, process.getuid!());
      return new Uint8Array(Math.min(octets, size - offset)).fill(0x78);
    },
  });
  await made.view.mount(files, made.target);
  const sum = await made.sh(`cd ${made.target}; tr -d x <large | wc -c; wc -c <large`);
  assert.equal(sum, `0\n${size}\n`);
  assert.match(await made.sh(`cat ${made.target}/secret`), /Permission denied/);
});

test("a guest that gives up raises the signal of its call", async () => {
  await using made = await viewFor("gives-up");
  let given: AbortSignal | undefined;
  const files = vfs({
    list: () => ["slow"],
    stat: (path, { signal }) => {
      if (path === "/") return {};
      given = signal;
      return new Promise(() => {});
    },
    read: () => "",
  });
  await made.view.mount(files, made.target);
  const guest = made.view.spawn(["cat", `${made.target}/slow`]);
  assert.ok(await eventually(() => given !== undefined));
  guest.kill("SIGKILL");
  assert.ok(await eventually(() => given!.aborted));
});

test("mount(8) in the view asks a module that is an object, and hears of changes", async () => {
  let text = "old\n";
  let changed: ((path: string) => void) | undefined;
  await using made = await viewFor("types", {
    modules: [
      module("told", {
        types: ["told", "tales"],
        mount: (request) => {
          ({ changed } = request);
          return vfs({
            list: () => ["text"],
            stat: (path) => ({ type: path === "/" ? "directory" : "file" }),
            read: () => `${request.type} ${request.source} ${request.options["a"]}: ${text}`,
            ttl: Infinity,
          });
        },
      }),
    ],
  });
  const { view, target } = made;
  await view.mount("tales", "src", target, "a=b");
  assert.equal(await made.sh(`cat ${target}/text`), "tales src b: old\n");
  text = "new\n";
  assert.equal(await made.sh(`cat ${target}/text`), "tales src b: old\n");
  changed!("/text");
  let seen = "";
  for (let tries = 0; tries < 100 && !seen.includes("new"); tries++) {
    seen = await made.sh(`cat ${target}/text`);
  }
  assert.equal(seen, "tales src b: new\n");
  await assert.rejects(view.remove("told"), { code: "EBUSY" });
});
