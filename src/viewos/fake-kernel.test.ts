import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeKernel } from "./fake-kernel.ts";
import { GuestErrno } from "./fake-tree.ts";
import { asDecision, isModule, module, type ModuleDefinition, summarize } from "./module.ts";
import { virtualFiles as vfs } from "../base/index.ts";

const fails = (code: string) => ({ name: "GuestErrno", code });

const shout = module("shout", {
  mount: () =>
    vfs({
      list: () => ["hello"],
      stat: (path) => ({ type: path === "/" ? "directory" : "file", size: path.length }),
      read: (path) => `${path.slice(1).toUpperCase()}\n`,
      ttl: Infinity,
    }),
});

test("a virtual file system of a module is mounted, read, and unmounted", async () => {
  const kernel = new FakeKernel({ modules: [shout], files: { "/mnt/below": "x" } });
  await assert.rejects(kernel.mount("nothing", "/mnt"), fails("ENODEV"));
  await kernel.mount("shout", "/mnt");
  assert.equal(await kernel.read("/mnt/any"), "ANY\n");
  assert.deepEqual(await kernel.list("/mnt"), ["hello"]);
  assert.deepEqual(await kernel.stat("/mnt/any"), { type: "file", size: 4 });
  await assert.rejects(kernel.write("/mnt/any", "x"), fails("EROFS"));
  await assert.rejects(kernel.unlink("/mnt/any"), fails("EROFS"));
  await kernel.umount("/mnt");
  assert.deepEqual(await kernel.list("/mnt"), ["below"]);
});

test("a handler logs and denies; what it passes on is done", async () => {
  const denied: string[] = [];
  const guard = module("guard", {
    on: {
      open: {
        when: { write: true, path: "/etc/**" },
        do: (call) => {
          denied.push(call.path);
          return call.fail("EROFS");
        },
      },
      connect: (call) => (call.addr.port === 25 ? call.fail("ECONNREFUSED") : call.emulate()),
    },
  });
  const files = { "/etc/passwd": "root\n", "/home/me/notes": "a" };
  const kernel = new FakeKernel({ modules: [guard], files, listening: ["10.0.0.1:80"] });
  await kernel.chdir("/home/me");
  await kernel.write("notes", "b");
  assert.equal(await kernel.read("/home/me/notes"), "b");
  await assert.rejects(kernel.write("../../etc/passwd", ""), fails("EROFS"));
  assert.equal(await kernel.read("/etc/passwd"), "root\n");
  assert.deepEqual(denied, ["/etc/passwd"]);
  await kernel.connect({ family: "inet", host: "10.0.0.1", port: 80 });
  await assert.rejects(
    kernel.connect({ family: "inet", host: "10.0.0.1", port: 25 }),
    fails("ECONNREFUSED"),
  );
  const last = kernel.calls.at(-1)!;
  assert.deepEqual([last.operation, last.decision.kind], ["connect", "fail"]);
});

test("a reply stands for the call, and real() says what it would have been", async () => {
  const view = module("view", {
    on: { uname: (call) => call.reply({ nodename: `${call.real().nodename}-view` }) },
  });
  const kernel = new FakeKernel({ modules: [view], names: { nodename: "mars" } });
  assert.equal((await kernel.uname()).nodename, "mars-view");
  assert.equal((await kernel.uname()).sysname, "Linux");
  kernel.remove("view");
  assert.equal((await kernel.uname()).nodename, "mars");
});

test("the newest module is asked first, and passes on to the one before it", async () => {
  const names: string[] = [];
  const naming = (name: string, stops: boolean) =>
    module(name, {
      on: {
        unlink: (call) => {
          names.push(name);
          return stops ? call.fail("EPERM") : call.pass();
        },
      },
    });
  const kernel = new FakeKernel({
    modules: [naming("old", false), naming("middle", true), naming("new", false)],
    files: { "/a": "" },
  });
  await assert.rejects(kernel.unlink("/a"), fails("EPERM"));
  assert.deepEqual(names, ["new", "middle"]);
  kernel.remove("middle");
  await kernel.unlink("/a");
  await assert.rejects(kernel.stat("/a"), fails("ENOENT"));
});

test("a call is performed on other files, and older modules are asked about those", async () => {
  const asked: string[] = [];
  const old = module("old", {
    on: { open: (call) => (asked.push(call.path), call.emulate()) },
  });
  const redirect = module("redirect", {
    on: {
      open: { when: { path: "/a/**" }, do: (c) => c.emulate({ path: `/b${c.path.slice(2)}` }) },
      rename: (call) => call.emulate({ newPath: "/b/renamed" }),
    },
  });
  const kernel = new FakeKernel({ modules: [old, redirect], files: { "/b/x": "1", "/c": "2" } });
  assert.equal(await kernel.read("/a/x"), "1");
  assert.deepEqual(asked, ["/b/x"]);
  await kernel.write("/a/y", "3");
  assert.equal(await kernel.read("/b/y"), "3");
  await kernel.rename("/c", "/anywhere");
  assert.equal(await kernel.read("/b/renamed"), "2");
});

test("a handler that throws or answers garbage is EIO and a line in the log", async () => {
  const answers: unknown[] = [
    undefined,
    42,
    {},
    { kind: "fail", errno: -1 },
    { kind: "reply", value: 7 },
  ];
  const bad = module("bad", {
    on: {
      socket: () => {
        throw new Error("no sockets today");
      },
      unlink: () => answers.shift() as never,
    },
  });
  const kernel = new FakeKernel({ modules: [bad], files: { "/a": "" } });
  await assert.rejects(kernel.socket("inet"), fails("EIO"));
  for (let i = 0; i < 5; i++) await assert.rejects(kernel.unlink("/a"), fails("EIO"));
  assert.deepEqual(kernel.log.slice(0, 2), [
    "bad: socket threw Error: no sockets today",
    "bad: unlink gave no decision",
  ]);
  assert.equal(kernel.log.length, 6);
  await kernel.unlink("/a").catch(() => {});
});

test("a module that is none is refused with what to write instead", () => {
  const wrong = (definition: object, name = "m") =>
    assert.throws(() => module(name, definition as ModuleDefinition), {
      name: "V2Error",
      code: "MODULE",
    });
  wrong({}, "");
  wrong({}, "a b");
  wrong({ on: { opne: () => {} } });
  wrong({ on: { open: {} } });
  wrong({ on: { open: 7 } });
  assert.ok(isModule(module("m", {})) && !isModule({ name: "m" }) && !isModule(null));
  assert.deepEqual(summarize(shout).types, ["shout"]);
  assert.deepEqual(summarize(module("m", { types: ["x"] })).types, []);
});

test("a decision is taken only in a shape that fits its operation", () => {
  assert.deepEqual(asDecision("open", { kind: "reply", value: "text", more: 1 }), {
    kind: "reply",
    value: "text",
  });
  assert.deepEqual(asDecision("uname", { kind: "reply", value: { nodename: 3 } }), undefined);
  assert.ok(asDecision("stat", { kind: "reply", value: { type: "link", size: 3 } }));
  for (const value of [undefined, { type: "fifo" }, { size: "3" }, { size: 1.5 }]) {
    assert.equal(asDecision("stat", { kind: "reply", value }), undefined);
  }
  for (const path of ["relative", "", 7, "/a\0b"]) {
    assert.equal(asDecision("open", { kind: "emulate", path }), undefined);
  }
  const other = { kind: "emulate", path: "/x" };
  assert.deepEqual(asDecision("open", other), other);
  assert.deepEqual(asDecision("mkdir", { kind: "reply" }), { kind: "reply" });
  for (const value of [
    null,
    "pass",
    { kind: "passs" },
    { kind: "fail" },
    { kind: "fail", errno: 0 },
  ]) {
    assert.equal(asDecision("open", value), undefined);
  }
});

test("the fake tree keeps the errors of the real one", async () => {
  const kernel = new FakeKernel({ files: { "/d/f": "1" } });
  await assert.rejects(kernel.read("/d/g"), fails("ENOENT"));
  await assert.rejects(kernel.read("/d"), fails("EISDIR"));
  await assert.rejects(kernel.mkdir("/d"), fails("EEXIST"));
  await assert.rejects(kernel.call("rmdir", { path: "/d" }), fails("ENOTEMPTY"));
  await assert.rejects(kernel.readlink("/d/f"), fails("EINVAL"));
  await kernel.call("symlink", { path: "/l", target: "/l" });
  await assert.rejects(kernel.stat("/l"), fails("ELOOP"));
  await kernel.rename("/d", "/e");
  assert.equal(await kernel.read("/e/f"), "1");
  assert.ok(new GuestErrno("EIO") instanceof Error);
});

test("links and `..` lead where they do in a real tree, and modules see the real path", async () => {
  const kernel = new FakeKernel({
    modules: [module("watch", { on: { open: (call) => call.emulate() } })],
    files: { "/a/b/f": "1", "/etc/passwd": "root" },
  });
  const link = (path: string, target: string) => kernel.call("symlink", { path, target });
  await link("/a/up", "../etc");
  await link("/a/b/file", "./../b/f");
  await link("/deep", "a/b");
  await link("/a/new", "b/made");
  const seen = () => (kernel.calls.at(-1)!.fields as { path: string; given: string }).path;
  assert.equal(await kernel.read("/a/up/passwd"), "root");
  assert.equal(seen(), "/etc/passwd");
  assert.equal(await kernel.read("/deep/file"), "1");
  assert.equal(seen(), "/a/b/f");
  // `..` behind a link is the parent of what it leads to.
  await kernel.chdir("/deep");
  assert.equal(await kernel.read("../../etc/passwd"), "root");
  assert.equal(await kernel.read("/deep/../b/f"), "1");
  await kernel.write("/a/new", "2");
  assert.equal(seen(), "/a/b/made");
  assert.equal(await kernel.read("/a/b/made"), "2");
  await kernel.mkdir("/deep/dir");
  assert.equal(seen(), "/a/b/dir");
  assert.equal((await kernel.stat("/a/b/dir")).type, "directory");
  await assert.rejects(kernel.read("/deep/none/../f"), fails("ENOENT"));
  assert.equal(seen(), "/deep/f");
  await assert.rejects(kernel.read("/a/b/f/x"), fails("ENOTDIR"));
  await kernel.unlink("/a/b/file");
  assert.equal(await kernel.read("/a/b/f"), "1");
  await kernel.rename("/deep", "/shallow");
  assert.equal(await kernel.readlink("/shallow"), "a/b");
  assert.deepEqual([...(await kernel.list("/shallow"))].sort(), ["dir", "f", "made"]);
});
