import assert from "node:assert/strict";
import { test } from "node:test";
import { toHex } from "../base/index.ts";
import { blankAttributes } from "./file-system.ts";
import { invalidateDeleted, invalidateEntry, invalidateInode } from "./notify.ts";
import { blankEntry, FuseReply, ReplyDirectoryList } from "./reply.ts";

function reply(fill: (reply: FuseReply) => void): Uint8Array {
  const made = new FuseReply(new Uint8Array(4096).fill(0xee));
  made.empty();
  fill(made);
  made.head(6, 0);
  return made.octets.subarray(0, made.length);
}

const view = (octets: Uint8Array) => new DataView(octets.buffer, octets.byteOffset, octets.length);

test("an error is a header alone", () => {
  const made = new FuseReply(new Uint8Array(64));
  made.u64(1);
  made.head(6, -2);
  assert.equal(toHex(made.octets.subarray(0, made.length)), "10000000feffffff0600000000000000");
});

test("an entry has the layout of struct fuse_entry_out", () => {
  const entry = blankEntry();
  Object.assign(entry, { node: 0x1_0000_0002, generation: 3, nameTtl: 1.5 });
  entry.attributesTtl = Number.POSITIVE_INFINITY;
  Object.assign(entry.attributes, {
    inode: 11,
    size: 2 ** 40 + 1,
    blocks: 13,
    mode: 0o100644,
    links: 2,
    uid: 1000,
    gid: 100,
    device: 7,
    blockSize: 4096,
    atime: 21,
    mtime: 22,
    ctime: 23,
    atimeNs: 31,
    mtimeNs: 32,
    ctimeNs: 33,
  });
  const octets = reply((made) => made.entry(entry));
  const read = view(octets);
  assert.equal(octets.length, 16 + 128);
  const u64 = [0, 8, 16, 24, 40, 48, 56, 64, 72, 80].map((at) => read.getBigUint64(16 + at, true));
  const forEver = 2n ** 64n - 1n;
  assert.deepEqual(u64, [2n ** 32n + 2n, 3n, 1n, forEver, 11n, 2n ** 40n + 1n, 13n, 21n, 22n, 23n]);
  const u32 = [32, 36, 88, 92, 96, 100, 104, 108, 112, 116, 120, 124];
  assert.deepEqual(
    u32.map((at) => read.getUint32(16 + at, true)),
    [500_000_000, 0, 31, 32, 33, 0o100644, 2, 1000, 100, 7, 4096, 0],
  );
});

test("attributes, open files and totals have their sizes", () => {
  assert.equal(reply((made) => made.attributes(blankAttributes(), 2)).length, 16 + 104);
  const opened = reply((made) => made.opened({ handle: 5, flags: 2 }));
  assert.equal(toHex(opened.subarray(16)), "05000000000000000200000000000000");
  const totals = { blockSize: 4096, blocks: 1, blocksFree: 2, blocksAvailable: 3 };
  const told = { ...totals, files: 4, filesFree: 5, nameOctetsMax: 255 };
  assert.equal(reply((made) => made.totals(told)).length, 16 + 80);
});

test("names of a directory are padded to eight octets, and none is taken that does not fit", () => {
  const made = new FuseReply(new Uint8Array(4096).fill(0xee));
  const list = new ReplyDirectoryList(made);
  list.begin(80, false);
  assert.ok(list.add("a", 5, 0o040000, 1));
  assert.ok(list.add("ninechars", 6, 0o100000, 2));
  assert.equal(list.add("b", 7, 0o100000, 3), false);
  assert.equal(made.length, 16 + 32 + 40);
  const first = "0500000000000000 0100000000000000 01000000 04000000 6100000000000000";
  assert.equal(toHex(made.octets.subarray(16, 48)), first.replaceAll(" ", ""));
  list.begin(400, true);
  list.entry.node = 9;
  assert.ok(list.add("c", 8, 0o100000, 1));
  assert.equal(made.length, 16 + 128 + 32);
  assert.equal(list.entry.node, 0);
});

test("notifications have the layouts of linux/fuse.h", () => {
  const header = (length: string, code: string) => `${length}000000${code}0000000000000000000000`;
  assert.equal(toHex(invalidateInode(7)), `${header("28", "02")}0700000000000000${"0".repeat(32)}`);
  const name = "6100";
  assert.equal(
    toHex(invalidateEntry(1, "a")),
    `${header("22", "03")}01000000000000000100000000000000${name}`,
  );
  assert.equal(
    toHex(invalidateDeleted(1, 9, "a")),
    `${header("2a", "06")}010000000000000009000000000000000100000000000000${name}`,
  );
});
