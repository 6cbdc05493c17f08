// time limit: 240 s
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { View } from "../../src/engine/index.ts";
import { FakeKernel, isModule, type Module } from "../../src/viewos/index.ts";
import { compile, missingProgram, type Outcome, temporaryDirectory, V2, v2 } from "./v2.ts";

/** Writes through a path that another thread changes all the time. */
const RACE = fileURLToPath(new URL("../../../test/fixtures/module-race.c", import.meta.url));

/** Path of an example. */
function exampleFile(name: string): string {
  return fileURLToPath(new URL(`../../../examples/modules/${name}.mjs`, import.meta.url));
}

/** An example, made with options when it is a function of them. */
async function example(name: string, options: object = {}): Promise<Module> {
  const file = pathToFileURL(exampleFile(name)).href;
  const { default: exported } = (await import(file)) as { default: unknown };
  const made: unknown = typeof exported === "function" ? exported(options) : exported;
  assert.ok(isModule(made), name);
  return made;
}

/** Runs a command in a view with an example, by its name. */
function withModule(words: string, script: string): Promise<Outcome> {
  return v2(["view", "-p", words, "--", "sh", "-c", script]);
}

const fails = (code: string) => ({ name: "GuestErrno", code });

test("shout: every file holds its own name, louder", async () => {
  const kernel = new FakeKernel({ modules: [await example("shout")], files: { "/mnt/x": "" } });
  await kernel.mount("shout", "/mnt");
  assert.equal(await kernel.read("/mnt/hello"), "HELLO\n");
  assert.deepEqual(await kernel.list("/mnt"), ["hello"]);
});

test("audit: writing and connecting is told, mail refused", async () => {
  using directory = temporaryDirectory();
  const file = join(directory.path, "f");
  const mail = "import socket; socket.create_connection(('127.0.0.1', 25))";
  const script = `: > ${file}; rm ${file}; /usr/bin/env python3 -c "${mail}" 2>&1 | tail -1`;
  const { stdout, stderr } = await withModule("audit", script);
  assert.match(stdout, /Connection refused/);
  assert.match(stderr, new RegExp(`^\\d+ open ${file}\n\\d+ unlink ${file}\n`));
  assert.match(stderr, /^\d+ connect 127\.0\.0\.1 port 25$/m);
});

test("families: only sockets of the named ones are made", async () => {
  const script = (family: string): string =>
    `python3 -c "import socket; socket.socket(socket.${family})" 2>&1 | tail -1`;
  assert.equal((await withModule("families,unix,inet", script("AF_INET"))).stdout, "");
  assert.match((await withModule("families,unix", script("AF_INET"))).stdout, /Errno 97/);
});

test("clock: nobody sets it, with or without being told so", async () => {
  const set = "date -s 2020-01-01 >/dev/null 2>&1; echo $?; date +%Y";
  const year = String(new Date().getUTCFullYear());
  const refused = await withModule("clock", set);
  assert.equal(refused.stdout, `1\n${year}\n`);
  const pretended = await withModule("clock,pretend", set);
  assert.equal(pretended.stdout, `0\n${year}\n`);
  assert.match(pretended.stderr, /^\d+ wants to set clock 0$/m);
});

test("hostname: uname says what the options say", async () => {
  const outcome = await withModule("hostname,nodename=mars,machine=pdp11", "uname -nm");
  assert.equal(outcome.stdout, "mars pdp11\n");
});

test("null: what it passes on is as without it", async (t) => {
  const reason = missingProgram("gcc", "gcc");
  if (reason !== undefined) return t.skip(reason);
  using directory = temporaryDirectory();
  writeFileSync(join(directory.path, "a.c"), "int main(void) { return 42; }\n");
  const script = `cd ${directory.path} && gcc a.c && mkdir d && mv a.out d/x && ./d/x; echo $?`;
  const { stdout, stderr } = await withModule("null", script);
  assert.deepEqual([stdout, stderr], ["42\n", ""]);
  return undefined;
});

test("count: calls are counted, and a file shows them", async () => {
  const { stdout } = await withModule("count", "rmdir /no /none 2>/dev/null; cat /counts");
  assert.match(stdout, /^2 rmdir$/m);
  assert.match(stdout, /^\d+ open$/m);
});

test("protect: nothing below a tree changes, and no directory above it moves", async () => {
  const protect = await example("protect", { path: "/srv/data" });
  const files = { "/srv/data/a": "1", "/tmp/b": "2" };
  const kernel = new FakeKernel({ modules: [protect], files });
  for (const change of [
    () => kernel.write("/srv/data/a", "x"),
    () => kernel.write("/srv/data/new", "x"),
    () => kernel.unlink("/srv/../srv/data/a"),
    () => kernel.mkdir("/srv/data/d"),
    () => kernel.rename("/tmp/b", "/srv/data/b"),
    () => kernel.rename("/srv", "/other"),
    () => kernel.call("chmod", { path: "/srv/data/a", mode: 0 }),
    () => kernel.call("link", { path: "/tmp/b", newPath: "/srv/data/b" }),
  ]) {
    await assert.rejects(change(), fails("EROFS"));
  }
  assert.equal(await kernel.read("/srv/data/a"), "1");
  await kernel.rename("/tmp/b", "/srv/b");
  assert.equal(await kernel.read("/srv/b"), "2");
});

test("protect: neither links nor races lead into the tree", async (t) => {
  const reason = missingProgram("gcc", "gcc");
  if (reason !== undefined) return t.skip(reason);
  using directory = temporaryDirectory();
  const tree = join(directory.path, "tree");
  mkdirSync(tree);
  writeFileSync(join(tree, "kept"), "kept\n");
  writeFileSync(join(directory.path, "free"), "free\n");
  const script = `cd ${directory.path}
    ln -s tree link; echo bad > link/kept; echo bad > tree/../link/new; rm link/kept
    cd tree; echo bad > kept; cd ..; mv tree other; ln tree/kept hard; echo good > free
    ls tree; cat tree/kept free`;
  const { stdout } = await withModule(`protect,path=${tree}`, script);
  assert.equal(stdout, "kept\nkept\ngood\n");
  const program = compile(RACE, join(directory.path, "race"), "-O1", "-pthread");
  const raced = await v2([
    "view",
    "-p",
    `protect,path=${tree}`,
    "--",
    program,
    directory.path,
    "400",
  ]);
  assert.deepEqual([raced.code, raced.stdout], [0, "tried 400\n"], raced.stderr);
  assert.deepEqual(readdirSync(tree), ["kept"]);
  assert.equal(readFileSync(join(tree, "kept"), "utf8"), "kept\n");
  return undefined;
});

test("tmp: a command has a /tmp in another directory", async () => {
  using directory = temporaryDirectory();
  const dir = join(directory.path, "t");
  mkdirSync(dir);
  const file = `v2-${process.pid}`;
  const script = `echo x > /tmp/${file}; mkdir /tmp/${file}d; mv /tmp/${file} /tmp/${file}d/y
    cd /; ls /tmp; cat /tmp/${file}d/y`;
  const { stdout } = await withModule(`tmp,dir=${dir}`, script);
  assert.equal(stdout, `${file}d\nx\n`);
  assert.equal(readFileSync(join(dir, `${file}d`, "y"), "utf8"), "x\n");
  assert.ok(!existsSync(`/tmp/${file}d`));
});

test("real: what the supervisor performs is as what the kernel does", async (t) => {
  const reason = missingProgram("gcc", "gcc");
  if (reason !== undefined) return t.skip(reason);
  using directory = temporaryDirectory();
  writeFileSync(join(directory.path, "a.c"), "int main(void) { return 42; }\n");
  const script = `cd ${directory.path} && gcc a.c && mkdir d && mv a.out d/x && ./d/x; echo $?
    ln -s d/x l && ./l; echo $?; chmod 600 l; ls -ln d | cut -c1-10; rm -r d l; uname -s
    python3 -c "import socket; socket.socket()" && ls`;
  const { stdout, stderr } = await withModule("real", script);
  assert.deepEqual([stdout, stderr], ["42\n42\ntotal 16\n-rw-------\nLinux\na.c\n", ""]);
  return undefined;
});

test("remote: a directory of another host is mounted, read and written", async () => {
  using directory = temporaryDirectory();
  const [served, mnt] = [join(directory.path, "served"), join(directory.path, "mnt")];
  const socket = join(directory.path, "socket");
  for (const made of [served, mnt]) mkdirSync(made);
  writeFileSync(join(served, "f"), "one\n");
  symlinkSync("/etc", join(served, "out"));
  const server = spawn(process.execPath, [exampleFile("remote-server"), served, socket], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(server, "exit");
  await once(server.stdout, "data");
  const vumount = `'${process.execPath}' '${V2}' vumount`;
  const script = `${vumount} -t remote ${socket} ${mnt} && cd ${mnt} && ls && cat f &&
    echo two >> f && mkdir d && cp f d/g && mv d/g h && rm -r d && chmod 600 h && readlink out &&
    head -c 300000 /dev/zero | tr '\\0' x > big && md5sum < big && truncate -s 5 big && cat big`;
  const { stdout, stderr } = await withModule("remote", script);
  server.kill();
  await ended;
  const sum = createHash("md5").update("x".repeat(300_000)).digest("hex");
  assert.deepEqual([stdout, stderr], [`f\nout\none\n/etc\n${sum}  -\nxxxxx`, ""]);
  assert.equal(readFileSync(join(served, "h"), "utf8"), "one\ntwo\n");
  assert.equal(statSync(join(served, "h")).mode & 0o777, 0o600);
});

test("remote: programs of another host run there, as if they ran here", async () => {
  using directory = temporaryDirectory();
  const [served, mnt, socket] = ["served", "mnt", "socket"].map((n) => join(directory.path, n));
  for (const made of [served!, join(served!, "bin"), mnt!]) mkdirSync(made);
  const program = (name: string, text: string): void =>
    writeFileSync(join(served!, "bin", name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  program("where", 'uname -n; pwd; echo "$VAR:$#:$2" >&2; exit 7');
  program("double", "cat; cat nothing");
  program("caught", "trap 'echo term; exit 3' TERM; echo up; while :; do sleep 0.1; done");
  program("dies", "kill -KILL $$");
  writeFileSync(join(served!, "bin", "text"), "no program\n");
  // The other host: a view has a name of its own.
  await using other = await View.create({ name: `mars-${process.pid}`, hostName: "mars" });
  const words = [exampleFile("remote-server"), served!, socket!, "run"];
  const server = other.spawn([process.execPath, ...words]);
  await once(server.stdout!, "data");
  const vumount = `'${process.execPath}' '${V2}' vumount`;
  const script = `${vumount} -t remote -o 'run=/bin/**' ${socket} ${mnt} && cd ${mnt}/bin || exit
    VAR=v ./where 1 'two  words' 3; echo $?
    head -c 3000000 /dev/zero | tr '\\0' x | ./double 2>err | md5sum; grep -c nothing err
    ./caught >${directory.path}/up & while ! grep -q up ${directory.path}/up; do sleep 0.1; done
    kill $!; wait $!; echo $?; cat ${directory.path}/up
    sh -c './dies; echo $?' 2>/dev/null; cat text; grep -c remote-run where
    echo x >where || echo denied`;
  const { stdout, stderr } = await withModule("remote", script);
  server.kill();
  await once(server, "exit");
  const sum = createHash("md5").update("x".repeat(3_000_000)).digest("hex");
  const lines = ["mars", `${served}/bin`, "7", `${sum}  -`, "1", "3", "up", "term", "137"];
  assert.deepEqual(stdout.split("\n"), [...lines, "no program", "1", "denied", ""], stderr);
  assert.match(stderr, /^v:3:two {2}words$/m);
});

test("intrusion: who reads secrets gets no call out, and loose programs do not run", async () => {
  const kernel = new FakeKernel({
    modules: [await example("intrusion")],
    files: { "/home/me/.ssh/id": "key", "/tmp/tool": "", "/usr/bin/ls": "" },
    listening: ["10.0.0.1:80", "/run/x"],
  });
  const web = { family: "inet", host: "10.0.0.1", port: 80 };
  await kernel.connect(web);
  await kernel.read("/home/me/.ssh/id");
  await assert.rejects(kernel.connect(web), fails("EACCES"));
  await kernel.connect({ family: "unix", path: "/run/x" });
  await kernel.call("exec", { path: "/usr/bin/ls", argv: ["ls"] });
  await assert.rejects(
    kernel.call("exec", { path: "/tmp/tool", argv: ["tool", "-x"] }),
    fails("EACCES"),
  );
  const { stdout, stderr } = await withModule(
    "intrusion",
    "cp /bin/true /tmp/v2x$$; /tmp/v2x$$; echo $?; rm /tmp/v2x$$",
  );
  assert.equal(stdout, "126\n");
  assert.match(stderr, /ALARM process \d+: runs \/tmp\/v2x\d+ from a loose directory/);
});
