import assert from "node:assert/strict";
import { test } from "node:test";
import { inOldLayout } from "./stat-layouts.ts";

/** struct stat of x86_64 with these fields; all others are 1. */
function stat(fields: { inode?: bigint; size?: bigint; links?: bigint; uid?: number }): Uint8Array {
  const octets = new Uint8Array(144);
  const view = new DataView(octets.buffer);
  view.setBigUint64(8, fields.inode ?? 1n, true);
  view.setBigUint64(16, fields.links ?? 1n, true);
  view.setUint32(28, fields.uid ?? 1, true);
  view.setBigUint64(48, fields.size ?? 1n, true);
  view.setBigUint64(72, 7n, true);
  return octets;
}

test("what does not fit into the old layouts is EOVERFLOW", () => {
  assert.equal(inOldLayout(stat({ size: 2n ** 31n }), "stat"), undefined);
  assert.equal(inOldLayout(stat({ inode: 2n ** 32n }), "stat"), undefined);
  assert.equal(inOldLayout(stat({ links: 65536n }), "stat"), undefined);
  assert.equal(inOldLayout(stat({ inode: 65536n }), "oldstat"), undefined);
  assert.equal(inOldLayout(stat({ size: 2n ** 31n - 1n }), "stat")?.length, 64);
  assert.equal(inOldLayout(stat({ inode: 2n ** 40n, size: 2n ** 40n }), "stat64")?.length, 96);
});

test("a user number that does not fit is the overflow number", () => {
  const found = inOldLayout(stat({ uid: 70000 }), "stat")!;
  assert.equal(new DataView(found.buffer).getUint16(12, true), 65534);
  const wide = inOldLayout(stat({ uid: 70000 }), "stat64")!;
  assert.equal(new DataView(wide.buffer).getUint32(24, true), 70000);
});

test("counters of a file system that do not fit are EOVERFLOW, unknown ones do", () => {
  const statfs = new Uint8Array(120);
  const view = new DataView(statfs.buffer);
  view.setBigUint64(16, 2n ** 32n, true);
  assert.equal(inOldLayout(statfs, "statfs"), undefined);
  assert.equal(inOldLayout(statfs, "statfs64")?.length, 84);
  view.setBigUint64(16, 2n ** 64n - 1n, true);
  assert.equal(new DataView(inOldLayout(statfs, "statfs")!.buffer).getUint32(8, true), 0xffffffff);
});
