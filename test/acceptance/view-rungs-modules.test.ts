// time limit: 300 s
/** Modules where the host allows no namespaces: the same decisions, about the view's own names. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { compile, missingProgram, type Outcome, temporaryDirectory, V2, v2 } from "./v2.ts";

const FIXTURES = fileURLToPath(new URL("../../../test/fixtures/", import.meta.url));
const PYTHON = existsSync("/usr/bin/python3") ? "/usr/bin/python3" : "python3";

const ATTEMPTS = `
import errno, socket
def attempt(call):
    try: call(); print("ok")
    except OSError as error: print(errno.errorcode[error.errno])
attempt(lambda: socket.socket(socket.AF_INET6))
attempt(lambda: socket.socket(socket.AF_INET).connect(("127.0.0.1", 25)))`;

/** A module file in a directory of its own, and how to run a shell in a view with it. */
function moduleFile(
  engine: string,
  source: string,
): Disposable & {
  readonly path: string;
  run(script: string, ...options: string[]): Promise<Outcome>;
} {
  const directory = temporaryDirectory();
  const file = join(directory.path, "module.mjs");
  writeFileSync(file, `import { module } from "virtualsquare/viewos";\n${source}`);
  const env = { ...process.env, LC_ALL: "C", PATH: "/usr/bin:/bin" };
  return {
    path: directory.path,
    run: (script, ...options) =>
      v2(["view", engine, "-p", file, ...options, "--", "sh", "-c", script], {
        cwd: directory.path,
        env,
      }),
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
}

for (const rung of ["C", "D"]) {
  const engine = `--engine=${rung}`;

  test(`${rung}: calls are answered, denied and passed on`, async () => {
    using made = moduleFile(
      engine,
      `
      export default module("m", { on: {
        open: { when: { write: true, path: "/etc/**" }, do: (call) => call.fail("EROFS") },
        stat: { when: { path: "/no/**" }, do: (call) => call.reply({ type: "file", size: 7 }) },
        readlink: { when: { path: "/no/**" }, do: (call) => call.reply("there") },
        connect: (call) => call.addr.port === 25 ? call.fail("EACCES") : call.pass(),
        socket: { when: { family: "inet6" }, do: (call) => call.fail("EAFNOSUPPORT") },
        uname: (call) => call.reply({ nodename: "mars" }),
      } });`,
    );
    const script = `uname -n; stat -c %s /no/such; readlink /no/link
      echo > /etc/v2-test; head -c 0 /etc/passwd && echo read
      ${PYTHON} -c '${ATTEMPTS}'`;
    const { stdout, stderr } = await made.run(script);
    assert.equal(stdout, "mars\n7\nthere\nread\nEAFNOSUPPORT\nEACCES\n", stderr);
    assert.match(stderr, /v2-test: Read-only file system/);
  });

  test(`${rung}: a path is the one that the file has in the view: behind mounts, links and directories`, async () => {
    using made = moduleFile(
      engine,
      `
      const told = (call) => {
        console.log(call.operation, call.path, call.newPath ?? "", call.given);
        return call.operation === "chdir" ? call.pass() : call.emulate();
      };
      const when = { path: ["/mnt/**", "/media/**"] };
      const on = {};
      for (const name of ["unlink", "rename", "mkdir", "chdir", "chmod"]) {
        on[name] = { when, do: told };
      }
      export default module("told", { on });`,
    );
    mkdirSync(join(made.path, "data"));
    const script = `mount -t tmpfs none /mnt; mount --bind data /media
      mkdir /mnt/d; ln -s /mnt/d link; echo x > link/f
      cd link; mv f /mnt/d/g; cd /; rm /mnt/../mnt/d/g
      echo bound > ${made.path}/data/f; chmod 600 /media/f; stat -c %a ${made.path}/data/f`;
    const { stdout, stderr } = await made.run(script);
    assert.equal(stdout, "600\n");
    assert.deepEqual(stderr.trim().split("\n"), [
      "mkdir /mnt/d  /mnt/d",
      "rename /mnt/d/f /mnt/d/g /mnt/d/f",
      "unlink /mnt/d/g  /mnt/../mnt/d/g",
      "chmod /media/f  /media/f",
    ]);
  });

  test(`${rung}: a call goes to another file, in a mount too, and what is emulated is performed`, async () => {
    using made = moduleFile(
      engine,
      `
      export default module("led", { on: {
        open: { when: { path: "/no/such" }, do: (call) => call.emulate({ path: "/mnt/real" }) },
        mkdir: (call) => call.emulate(),
      } });`,
    );
    const { stdout, stderr } = await made.run(
      "echo inside > /mnt/real; cat /no/such; mkdir /mnt/d d && ls -d /mnt/d d",
      "--mount",
      "tmpfs::/mnt",
    );
    assert.equal(stdout, "inside\n/mnt/d\nd\n", stderr);
  });

  test(`${rung}: neither links nor races lead into a tree that a module protects`, async (t) => {
    const reason = missingProgram("gcc", "gcc");
    if (reason !== undefined) return t.skip(reason);
    using directory = temporaryDirectory();
    const { path } = directory;
    const tree = join(path, "tree");
    mkdirSync(tree);
    writeFileSync(join(tree, "kept"), "kept\n");
    writeFileSync(join(path, "free"), "free\n");
    const race = compile(join(FIXTURES, "module-race.c"), join(path, "race"), "-O1", "-pthread");
    const view = ["view", engine, "-p", `protect,path=${tree}`, "--mount", "tmpfs::/media", "--"];
    const script = `cd ${path}; ln -s tree link
      echo bad > link/kept; echo bad > tree/../link/new; rm link/kept
      mv tree other; ln tree/kept hard
      echo bad > /proc/self/cwd/tree/kept; cd tree; echo bad > kept; cd ..
      echo good > free; cat free
      exec ${race} ${path} 400`;
    const { code, stdout, stderr } = await v2([...view, "sh", "-c", script], {
      timeoutMs: 120_000,
    });
    assert.deepEqual([code, stdout], [0, "good\ntried 400\n"], stderr);
    assert.deepEqual(readdirSync(tree), ["kept"]);
    assert.equal(readFileSync(join(tree, "kept"), "utf8"), "kept\n");
    return undefined;
  });

  test(`${rung}: 2000 random operations agree on X, /unreal/X and /unreal/unreal/X`, async () => {
    using directory = temporaryDirectory();
    const command = [PYTHON, join(FIXTURES, "unreal-oracle.py"), directory.path, "3", "2000"];
    const view = ["view", engine, "-p", "unreal", "--", ...command];
    const { code, stdout, stderr } = await v2(view, { timeoutMs: 140_000 });
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /agree, \d{3,} of them did something/);
  });

  test(`${rung}: a module comes into a view that runs and decides about paths, without --trap`, async () => {
    using directory = temporaryDirectory();
    const file = join(directory.path, "late.mjs");
    writeFileSync(
      file,
      `import { module } from "virtualsquare/viewos";
       export default module("late", { on: {
         open: { when: { path: "/no/such" }, do: (call) => call.reply("late\\n") } } });`,
    );
    const v2InView = `'${process.execPath}' '${V2}'`;
    const script = `cat /no/such; ${v2InView} vu_insmod ${file} && cat /no/such
      ${v2InView} vu_rmmod late && cat /no/such`;
    const { stdout, stderr } = await v2(["view", engine, "--", "sh", "-c", script]);
    assert.equal(stdout, "late\n", stderr);
    assert.equal(stderr.match(/No such file/g)?.length, 2);
  });

  test(`${rung}: a FIFO that a module lets through waits for its other end, and keeps nobody waiting`, async () => {
    using made = moduleFile(
      engine,
      `
      export default module("real", { on: { open: (call) => call.emulate() } });`,
    );
    const { stdout, stderr } = await made.run(`mkfifo p q; (sleep 0.2; echo through > p) & cat p
      cat q & sleep 0.2; echo alive; kill $!; wait $! 2> /dev/null; echo killed $?`);
    assert.equal(stdout, "through\nalive\nkilled 143\n", stderr);
  });

  test(`${rung}: what is denied is denied to whoever a module sends there, by each of its names`, async () => {
    using made = moduleFile(
      engine,
      `
      export default module("led", { on: {
        open: { when: { path: "/no/such" }, do: (call) => call.emulate({ path: "/media/secret" }) },
      } });`,
    );
    mkdirSync(join(made.path, "data"));
    writeFileSync(join(made.path, "data/secret"), "secret\n");
    const bind = `bind:${made.path}/data:/media`;
    const script = `cat /media/secret; cat data/secret; cat /no/such; echo end`;
    const options = ["--mount", bind, "--deny", `${made.path}/data/secret`];
    const { stdout, stderr } = await made.run(script, ...options);
    assert.equal(stdout, "end\n", stderr);
    assert.equal(stderr.match(/Permission denied/g)?.length, 3);
  });
}

for (const rung of ["B", "C", "D"]) {
  const view = ["view", `--engine=${rung}`];
  const mount = `'${process.execPath}' '${V2}' vumount`;

  test(`${rung}: files of a module are copied where they are mounted, for reading`, async () => {
    using directory = temporaryDirectory();
    const { path } = directory;
    const file = join(path, "tree.mjs");
    writeFileSync(
      file,
      `import { module, vfs } from "virtualsquare/viewos";
       const files = {
         "/": { type: "directory" },
         "/run": { mode: 0o755, text: "#!/bin/sh\\necho ran $0 $(cat \\"$1\\")\\n" },
         "/d": { type: "directory", mode: 0o700 },
         "/d/old": { mtimeMs: 1000_000, text: "deep" },
         "/link": { type: "link", text: "d/old" },
       };
       export default module("tree", { mount: () => vfs({
         list: (path) => Object.keys(files)
           .filter((one) => one !== "/" && one.startsWith(path === "/" ? "/" : path + "/"))
           .map((one) => one.slice(path === "/" ? 1 : path.length + 1))
           .filter((one) => !one.includes("/")),
         stat: (path) => files[path],
         read: (path) => files[path].text,
       }) });`,
    );
    mkdirSync(join(path, "m"));
    const script = `cd ${path}; ${mount} -t tree none m && ls -F m && ./m/run m/link
      stat -c '%a %Y' m/d/old m/d; cd m/d && cat old; echo x > new; rm old; chmod 777 ../run
      cd ../..; grep -c ' ${path}/m .*ro' /proc/self/mounts; umount m && ls m`;
    const options = { env: { ...process.env, LC_ALL: "C", TZ: "UTC", PATH: "/usr/bin:/bin" } };
    const words = [...view, "-p", file, "--", "sh", "-c", script];
    const { stdout, stderr } = await v2(words, options);
    const [listed, rest] = stdout.split("link@\n");
    assert.equal(listed, "d/\n", stderr);
    assert.match(rest!, /^run\*\nran (?:.*\/)?m\/run deep\n644 1000\n700 \d+\ndeep1\n$/);
    assert.equal(stderr.match(/Read-only file system/g)?.length, 3, stderr);
    assert.deepEqual(readdirSync(join(path, "m")), []);
  });

  test(`${rung}: what cannot be copied is told, and nothing stays of it`, async () => {
    using directory = temporaryDirectory();
    const { path } = directory;
    const file = join(path, "bad.mjs");
    writeFileSync(
      file,
      `import { module, vfs } from "virtualsquare/viewos";
       const stat = (path) => ({ type: path === "/" ? "directory" : "file", size: 1 });
       const list = () => Array.from({ length: 30_000 }, (_, number) => String(number));
       export const large = module("large", { mount: () => vfs({ list, stat, read: () => "x" }) });
       const refuse = () => { throw Object.assign(new Error("no"), { code: "EACCES" }); };
       export const closed = module("closed", { mount: () => vfs({
         list: () => ["a"], stat, read: refuse }) });`,
    );
    mkdirSync(join(path, "m"));
    const script = `cd ${path}; for type in large closed nosuch; do ${mount} -t $type none m; done
      ${mount} -t closed none missing/m; ls m; grep -c ' ${path}/m ' /proc/self/mounts`;
    const words = [...view, "-p", file, "--", "sh", "-c", script];
    const { stdout, stderr } = await v2(words, { env: { ...process.env, LC_ALL: "C" } });
    assert.equal(stdout, "0\n", stderr);
    for (const reason of [
      /large: .*more than 20000 files/,
      /File too large/,
      /Permission denied/,
      /No such device/,
      /No such file or directory/,
    ]) {
      assert.match(stderr, reason);
    }
  });
}
