import assert from "node:assert/strict";
import { test } from "node:test";
import { ERRNO, isVirtualFiles, type VirtualFiles } from "../base/index.ts";
import { blankAttributes, type Caller } from "./file-system.ts";
import { MODE, OPENED } from "./protocol.ts";
import { blankEntry, FuseReply, ReplyDirectoryList } from "./reply.ts";
import { VirtualFileSystem, type VirtualFileSystemOptions } from "./virtual-file-system.ts";

const caller: Caller = { uid: 1, gid: 1, pid: 1, signal: new AbortController().signal };
const READ_WRITE = 2;

/** A file `/f` that says "text"; more by `also`. */
function made(also: Partial<VirtualFiles> = {}, options: VirtualFileSystemOptions = {}) {
  const described: VirtualFiles = {
    list: () => ["f"],
    stat: (path) => (path === "/" || path === "/f" ? {} : undefined),
    read: () => "text",
    ...also,
  };
  const files = new VirtualFileSystem(described, options);
  const entry = blankEntry();
  assert.equal(files.lookup(1, "f", entry, caller), 0);
  return { files, entry, node: entry.node };
}

test("what a description leaves out has sensible values", () => {
  const { entry } = made({}, { uid: 7, gid: 8, mountedMs: 1500 });
  const { mode, size, uid, gid, mtime, mtimeNs } = entry.attributes;
  assert.deepEqual([mode, size, uid, gid], [MODE.file | 0o444, 4, 7, 8]);
  assert.deepEqual([mtime, mtimeNs, entry.nameTtl], [1, 500_000_000, 1]);
  assert.equal(made({ write: () => {} }).entry.attributes.mode, MODE.file | 0o644);
});

test("a missing name is remembered as long as others, and not without a time to live", () => {
  const { files, entry } = made();
  assert.equal(files.lookup(1, "none", entry, caller), 0);
  assert.deepEqual([entry.node, entry.nameTtl], [0, 1]);
  const forgetful = made({ ttl: 0 });
  assert.equal(forgetful.files.lookup(1, "none", entry, caller), -ERRNO.ENOENT);
});

test("one opening sees one version, the next one the new", () => {
  let version = 0;
  const { files, node } = made({ read: () => `version ${++version}` });
  const read = (handle: number) => {
    const data = files.read(node, 0, 100, handle, caller);
    return new TextDecoder().decode(data as Uint8Array);
  };
  const [a, b] = [
    { handle: 0, flags: 0 },
    { handle: 0, flags: 0 },
  ];
  assert.equal(files.open(node, 0, a), 0);
  assert.equal(files.open(node, READ_WRITE, b), 0);
  const first = read(a.handle);
  assert.equal(read(a.handle), first);
  assert.notEqual(read(b.handle), first);
  assert.deepEqual([a.flags, b.flags], [OPENED.noFlush, 0]);
});

test("what is written reaches the description once, when the file is closed", () => {
  const written: string[] = [];
  const write = (_path: string, content: Uint8Array): void => {
    written.push(new TextDecoder().decode(content));
  };
  const { files, node } = made({ write });
  const opened = { handle: 0, flags: 0 };
  assert.equal(files.open(node, READ_WRITE, opened), 0);
  const put = (at: number, text: string) =>
    files.write!(node, at, new TextEncoder().encode(text), opened.handle, caller);
  assert.deepEqual([put(0, "T"), put(4, "s")], [1, 1]);
  assert.deepEqual(written, []);
  assert.equal(files.flush(node, opened.handle, caller), 0);
  assert.equal(files.flush(node, opened.handle, caller), 0);
  assert.deepEqual(written, ["Texts"]);
});

test("a file that would not fit into memory is refused", () => {
  const { files, node } = made({ write: () => {} });
  assert.equal(files.write!(node, 2 ** 40, Uint8Array.of(1), 1, caller), -ERRNO.EFBIG);
});

test("a removed file keeps its content for whoever has it open", () => {
  let isThere = true;
  const { files, node } = made({
    write: () => {},
    remove: () => void (isThere = false),
    read: () => {
      if (isThere) return "text";
      throw Object.assign(new Error("gone"), { code: "ENOENT" });
    },
  });
  const opened = { handle: 0, flags: 0 };
  assert.equal(files.open(node, 0, opened), 0);
  assert.equal(files.unlink(1, "f", caller), 0);
  const data = files.read(node, 1, 2, opened.handle, caller) as Uint8Array;
  assert.equal(new TextDecoder().decode(data), "ex");
  const attributes = blankAttributes();
  assert.equal(files.getattr(node, attributes, opened.handle, caller), 0);
  assert.deepEqual([attributes.links, attributes.size], [0, 4]);
  assert.equal(files.release(node, opened.handle, caller), 0);
  files.forget(node, 1);
  assert.equal(files.nodeCount, 1);
});

test("names that cannot be names are left out of lists", () => {
  const { files } = made({ list: () => ["", "a/b", "f", "\0", 5 as unknown as string] });
  const opened = { handle: 0, flags: 0 };
  assert.equal(files.opendir(1, 0, opened), 0);
  const reply = new FuseReply(new Uint8Array(4096));
  const list = new ReplyDirectoryList(reply);
  list.begin(4000, false);
  assert.equal(files.readdir(1, 0, list, opened.handle, caller), 0);
  // ".", ".." and "f", of 32 octets each.
  assert.equal(reply.length, 16 + 3 * 32);
});

test("a change is told to the kernel for what it knows, and for the name", () => {
  const told: unknown[] = [];
  const invalidations = {
    inode: (node: number) => void told.push(node),
    entry: (parent: number, name: string) => void told.push([parent, name]),
  };
  const { files, node } = made({}, { invalidations });
  files.changed("/f");
  assert.deepEqual(told, [node, 1, [1, "f"]]);
  files.changed("/unknown/below");
  assert.equal(told.length, 3);
});

test("a description is known by its functions", () => {
  const { list, stat, read } = { list: () => [], stat: () => ({}), read: () => "" };
  assert.ok(isVirtualFiles({ list, stat, read }));
  for (const wrong of [undefined, {}, { list, stat }, { list, stat, read: "text" }, "text"]) {
    assert.equal(isVirtualFiles(wrong), false);
  }
});
