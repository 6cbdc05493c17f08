import assert from "node:assert/strict";
import { test } from "node:test";
import { followsLinks, pathShapes, takesDescriptor } from "./path-shapes.ts";
import { AUDIT_ARCH_I386, AUDIT_ARCH_X86_64 } from "./syscall-numbers.ts";
import { SyscallTable } from "./syscalls.ts";

const ARCHITECTURES = [AUDIT_ARCH_X86_64, AUDIT_ARCH_I386];

test("every call of the path classes has a shape, on each architecture", () => {
  for (const arch of ARCHITECTURES) {
    const shapes = pathShapes(arch);
    for (const call of new SyscallTable(arch).calls()) {
      if (!call.class.startsWith("path-")) continue;
      assert.ok(shapes.has(call.number), call.name);
    }
  }
});

test("paths, directories and flags are where the calls have them", () => {
  const places = (arch: number, name: string) => {
    const { first, second, flags, rest } = pathShapes(arch).get(
      new SyscallTable(arch).named(name)!.number,
    )!;
    return [first.directory, first.path, second?.directory, second?.path, flags, rest];
  };
  const none = undefined;
  assert.deepEqual(places(AUDIT_ARCH_X86_64, "open"), [-1, 0, none, none, -1, 1]);
  assert.deepEqual(places(AUDIT_ARCH_X86_64, "newfstatat"), [0, 1, none, none, 3, 2]);
  assert.deepEqual(places(AUDIT_ARCH_I386, "fstatat64"), [0, 1, none, none, 3, 2]);
  assert.deepEqual(places(AUDIT_ARCH_X86_64, "statx"), [0, 1, none, none, 2, 2]);
  assert.deepEqual(places(AUDIT_ARCH_X86_64, "rename"), [-1, 0, -1, 1, -1, 2]);
  assert.deepEqual(places(AUDIT_ARCH_X86_64, "renameat2"), [0, 1, 2, 3, -1, 4]);
  assert.deepEqual(places(AUDIT_ARCH_X86_64, "linkat"), [0, 1, 2, 3, 4, 4]);
  assert.deepEqual(places(AUDIT_ARCH_X86_64, "symlink"), [-1, 1, none, none, -1, 2]);
  assert.deepEqual(places(AUDIT_ARCH_X86_64, "symlinkat"), [1, 2, none, none, -1, 3]);
  assert.deepEqual(places(AUDIT_ARCH_X86_64, "inotify_add_watch"), [-1, 1, none, none, -1, 2]);
  assert.deepEqual(places(AUDIT_ARCH_I386, "utimensat_time64"), [0, 1, none, none, 3, 2]);
});

test("links are followed as each call does", () => {
  const table = new SyscallTable(AUDIT_ARCH_I386);
  const shape = (name: string) => pathShapes(AUDIT_ARCH_I386).get(table.named(name)!.number)!;
  const following = ["stat64", "open", "chown32", "getxattr", "listxattr", "statfs64", "truncate"];
  for (const name of following) assert.equal(followsLinks(shape(name), 0), true, name);
  const itself = [
    "lstat64",
    "lstat",
    "oldlstat",
    "readlink",
    "readlinkat",
    "lchown32",
    "llistxattr",
  ];
  for (const name of itself) assert.equal(followsLinks(shape(name), 0), false, name);
  assert.equal(followsLinks(shape("fstatat64"), 0x100), false);
  assert.equal(followsLinks(shape("linkat"), 0), false);
  assert.equal(followsLinks(shape("linkat"), 0x400), true);
  assert.equal(followsLinks(shape("link"), 0), false);
  assert.equal(takesDescriptor(shape("fstatat64"), 0x1000), true);
  assert.equal(takesDescriptor(shape("readlinkat"), 0), true);
  assert.equal(takesDescriptor(shape("unlinkat"), 0x1000), false);
});
