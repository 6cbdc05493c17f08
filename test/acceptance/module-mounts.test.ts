// time limit: 240 s
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { View } from "../../src/engine/index.ts";
import { eventually, temporaryDirectory } from "./v2.ts";

/** Modules that mount, for the tests. */
const SOURCE = `
import { module, vfs } from "virtualsquare/viewos";
const text = (content) => vfs({
  list: () => ["file"],
  stat: (path) => ({ type: path === "/" ? "directory" : "file", mode: 0o755 }),
  read: content,
});
const memory = () => {
  const files = new Map();
  return vfs({
    list: () => files.keys(),
    stat: (path) => path === "/" || files.has(path.slice(1)) ? {} : undefined,
    read: (path) => files.get(path.slice(1)),
    write: (path, content) => void files.set(path.slice(1), content.slice()),
    remove: (path) => void files.delete(path.slice(1)),
    ttl: Infinity,
  });
};
export default [
  module("memory", { mount: memory }),
  module("tells", { mount: (m) => text(() => [m.type, m.source, m.target, m.options.a].join()) }),
  module("script", {
    types: ["script", "scripted"],
    mount: () => text(() => "#!/bin/sh\\necho ran $1\\n"),
  }),
  module("fails", { mount: () => { throw Object.assign(new Error("no"), { code: "EACCES" }); } }),
  module("wrong", { mount: () => 42 }),
  module("stuck", { mount: () => text((path) => { for (;;); }) }),
];`;

/** A view with those modules, and an empty directory to mount on. */
async function mounting(name: string) {
  const directory = temporaryDirectory();
  const file = join(directory.path, "mounts.mjs");
  const target = join(directory.path, "mnt");
  writeFileSync(file, SOURCE);
  mkdirSync(target);
  const log: string[] = [];
  const view = await View.create({
    name: `${name}-${process.pid}`,
    modules: [file, "shout"],
    log: (line) => log.push(line),
  });
  return {
    view,
    target,
    log,
    async sh(script: string): Promise<string> {
      const { stdout, stderr } = await view.run(["sh", "-c", script], { cwd: target });
      return stdout + stderr;
    },
    async [Symbol.asyncDispose]() {
      await view.close();
      directory[Symbol.dispose]();
    },
  };
}

test("a file system of a dozen lines is mounted for real, and unmounted", async () => {
  await using made = await mounting("shout");
  const { view, target } = made;
  await view.mount("shout", "none", target);
  assert.equal(await made.sh(`cd ${target}; ls; cat hello any`), "hello\nHELLO\nANY\n");
  assert.match(await made.sh("cat /proc/self/mounts"), new RegExp(`${target} fuse.shout `));
  await assert.rejects(view.remove("shout"), { code: "EBUSY" });
  await made.sh(`cd /; umount ${target}`);
  for (let tries = 0; tries < 100; tries++) {
    // Its thread ends a moment after the mount.
    if ((await view.remove("shout").catch((error: { code: string }) => error.code)) !== "EBUSY") {
      break;
    }
  }
  await assert.rejects(view.mount("shout", "none", target), /No such device/);
});

test("a module is told what is mounted, by alias and by the beginning of its type", async () => {
  await using made = await mounting("tells");
  const { view, target } = made;
  const read = `cd ${target}; cat file; cd /; umount ${target}`;
  await view.mount("tells", "this", target, "a=b,ro");
  assert.equal(await made.sh(read), `tells,this,${target},b`);
  await view.mount("tel", "that", target, "a=c");
  assert.equal(await made.sh(read), `tells,that,${target},c`);
  // Two types begin so.
  await assert.rejects(view.mount("scr", "none", target), /No such device/);
  await view.mount("tmpfs", "none", target);
});

test("files of a module are programs, and two mounts are two file systems", async () => {
  await using made = await mounting("programs");
  const { view, target } = made;
  await view.mount("scripted", "none", target);
  assert.equal(await made.sh(`cd ${target}; ./file it`), "ran it\n");
  await made.sh(`cd /; umount ${target}`);
  const [one, two] = [join(target, "one"), join(target, "two")];
  mkdirSync(one);
  mkdirSync(two);
  await view.mount("memory", "none", one);
  await view.mount("memory", "none", two);
  const script = `echo 1 > one/a; echo 2 > two/a; cat one/a two/a; rm one/a; ls one two`;
  assert.equal(await made.sh(script), "1\n2\none:\n\ntwo:\na\n");
});

test("a mount that its module refuses or cannot give fails, and is told", async () => {
  await using made = await mounting("fails");
  const { view, target, log } = made;
  await assert.rejects(view.mount("fails", "none", target), /Permission denied/);
  await assert.rejects(view.mount("wrong", "none", target), /Input\/output error/);
  await assert.rejects(view.mount("shout", "none", join(target, "missing")), /No such file/);
  assert.ok(await eventually(() => log.some((line) => /^wrong: .* no file system/.test(line))));
  await view.mount("shout", "none", target);
  assert.equal(await made.sh(`cat ${target}/x`), "X\n");
});

test("a file system that never answers holds up only who asks it", async () => {
  await using made = await mounting("stuck");
  const { view, target } = made;
  const [bad, good] = [join(target, "bad"), join(target, "good")];
  mkdirSync(bad);
  mkdirSync(good);
  await view.mount("stuck", "none", bad);
  const waiting = view.spawn(["cat", join(bad, "file")], { stdio: "ignore" });
  await view.mount("shout", "none", good);
  assert.equal(await made.sh("cat good/x; uname -s"), "X\nLinux\n");
  waiting.kill("SIGKILL");
});
