import assert from "node:assert/strict";
import { test } from "node:test";
import { ERRNO } from "../base/index.ts";
import { MS } from "./mount-options.ts";
import {
  type MountFields,
  mountinfoText,
  MountTable,
  mountsText,
  type Place,
  realPath,
  virtualPath,
  type VirtualMount,
} from "./mount-table.ts";

const fields = (backing: string, changes: Partial<MountFields> = {}): MountFields => ({
  source: "none",
  type: "tmpfs",
  backing,
  isPrivate: true,
  flags: 0,
  ...changes,
});

/** A mount that must succeed. */
function attached(table: MountTable, place: Place, made: MountFields): VirtualMount {
  const mount = table.attach(place, made);
  assert.ok(typeof mount === "object");
  return mount;
}

const onHost = (table: MountTable, path: string): Place => ({ mount: table.root, path });

test("a place has a real path below its mount's backing and a path in the view", () => {
  const table = new MountTable();
  const mnt = attached(table, onHost(table, "/mnt"), fields("/tmp/m0"));
  const deep = attached(table, { mount: mnt, path: "/a/b" }, fields("/data"));
  assert.equal(realPath({ mount: deep, path: "/x" }), "/data/x");
  assert.equal(virtualPath({ mount: deep, path: "/x" }), "/mnt/a/b/x");
  assert.equal(virtualPath({ mount: deep, path: "" }), "/mnt/a/b");
  assert.equal(realPath(onHost(table, "")), "/");
  const tree = attached(table, onHost(table, "/host"), fields("/", { isPrivate: false }));
  assert.equal(realPath({ mount: tree, path: "/etc" }), "/etc");
  assert.equal(realPath({ mount: tree, path: "" }), "/");
});

test("mounts on one point lie on each other; the last is taken away first", () => {
  const table = new MountTable();
  const first = attached(table, onHost(table, "/mnt"), fields("/tmp/m0"));
  const second = attached(table, onHost(table, "/mnt"), fields("/tmp/m1"));
  assert.equal(second.parent, first);
  assert.equal(table.enter(onHost(table, "/mnt")).mount, second);
  assert.equal(table.detach(first, false), ERRNO.EBUSY);
  assert.deepEqual(table.detach(second, false), [second]);
  assert.equal(table.enter(onHost(table, "/mnt")).mount, first);
  assert.deepEqual(table.detach(first, false), [first]);
  assert.ok(table.isEmpty);
});

test("a mount hides those made below its point before", () => {
  const table = new MountTable();
  const hidden = attached(table, onHost(table, "/mnt/sub"), fields("/tmp/m0"));
  const over = attached(table, onHost(table, "/mnt"), fields("/tmp/m1"));
  assert.equal(table.enter({ mount: over, path: "/sub" }).mount, over);
  assert.equal(table.enter(onHost(table, "/mnt/sub")).mount, hidden);
});

test("the directory above a mount's root is that of its mount point", () => {
  const table = new MountTable();
  const first = attached(table, onHost(table, "/a/mnt"), fields("/tmp/m0"));
  const second = attached(table, { mount: first, path: "" }, fields("/tmp/m1"));
  assert.deepEqual(table.above({ mount: second, path: "" }), onHost(table, "/a"));
  assert.deepEqual(table.above({ mount: second, path: "/x/y" }), { mount: second, path: "/x" });
  assert.deepEqual(table.above(onHost(table, "")), onHost(table, ""));
});

test("a lazy unmount takes everything below with it, the root of the view stays", () => {
  const table = new MountTable();
  const mnt = attached(table, onHost(table, "/mnt"), fields("/tmp/m0"));
  const deep = attached(table, { mount: mnt, path: "/a" }, fields("/tmp/m1"));
  assert.deepEqual(table.detach(mnt, true), [mnt, deep]);
  assert.equal(table.detach(table.root, true), ERRNO.EINVAL);
  assert.equal(table.remount(table.root, 0), ERRNO.EINVAL);
});

test("a remount changes the flags that may change, and what hangs on the mount stays on it", () => {
  const table = new MountTable();
  const mnt = attached(table, onHost(table, "/mnt"), fields("/tmp/m0", { flags: MS.NOATIME }));
  attached(table, { mount: mnt, path: "/a" }, fields("/tmp/m1"));
  assert.equal(table.remount(mnt, MS.REMOUNT | MS.RDONLY), 0);
  const changed = table.enter(onHost(table, "/mnt")).mount;
  assert.equal(changed.flags, MS.NOATIME | MS.RDONLY);
  const below = table.enter({ mount: changed, path: "/a" }).mount;
  assert.equal(below.parent, changed);
  assert.equal(virtualPath({ mount: below, path: "" }), "/mnt/a");
});

test("a moved mount is found at its new place, and cannot be moved into itself", () => {
  const table = new MountTable();
  const mnt = attached(table, onHost(table, "/mnt"), fields("/tmp/m0"));
  assert.equal(table.move(mnt, { mount: mnt, path: "/x" }), ERRNO.ELOOP);
  assert.equal(table.move(mnt, onHost(table, "/media")), 0);
  assert.equal(table.enter(onHost(table, "/mnt")).mount, table.root);
  assert.equal(realPath(table.enter(onHost(table, "/media"))), "/tmp/m0");
});

test("a real path is told to be in a private tree, in a bound one only when that is known", () => {
  const table = new MountTable();
  const own = attached(table, onHost(table, "/mnt"), fields("/tmp/m0"));
  const bound = attached(table, onHost(table, "/b"), fields("/data", { isPrivate: false }));
  assert.deepEqual(table.placeOf("/tmp/m0/x"), { mount: own, path: "/x" });
  assert.deepEqual(table.placeOf("/tmp/m00"), onHost(table, "/tmp/m00"));
  assert.deepEqual(table.placeOf("/data/x"), onHost(table, "/data/x"));
  assert.deepEqual(table.placeOf("/data/x", bound.id), { mount: bound, path: "/x" });
  assert.deepEqual(table.placeOf("/"), onHost(table, ""));
});

test("the mounts are listed as /proc lists them", () => {
  const table = new MountTable();
  const mnt = attached(table, onHost(table, "/my mnt"), fields("/tmp/m0", { flags: MS.RDONLY }));
  attached(
    table,
    { mount: mnt, path: "/b" },
    fields("/data", { isPrivate: false, type: "none", source: "/data" }),
  );
  assert.equal(
    mountsText(table),
    "none /my\\040mnt tmpfs ro 0 0\n/data /my\\040mnt/b bind rw 0 0\n",
  );
  assert.equal(
    mountinfoText(table, 21),
    "1000001 21 0:1 / /my\\040mnt ro - tmpfs none ro\n" +
      "1000002 1000001 0:2 /data /my\\040mnt/b rw - bind /data rw\n",
  );
});

test("a view has a limited number of mounts", () => {
  const table = new MountTable();
  const LIMIT = 4096;
  for (let i = 0; i < LIMIT; i++) attached(table, onHost(table, `/m${i}`), fields("/tmp/m"));
  assert.equal(table.attach(onHost(table, "/more"), fields("/tmp/m")), ERRNO.ENOSPC);
});
