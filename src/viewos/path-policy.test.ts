import assert from "node:assert/strict";
import { test } from "node:test";
import { DenyRules, isBelow, isMountAllowed, type PathAct } from "./path-policy.ts";

const EACCES = 13;
const READS: PathAct = { operation: "open", exists: true, writes: false };
const WRITES: PathAct = { operation: "open", exists: true, writes: true };
const RENAMES: PathAct = { operation: "rename", exists: true, writes: true };

test("a rule holds for its path and all below, and for no namesake", () => {
  const rules = new DenyRules([{ path: "/a/b", errno: EACCES }]);
  assert.equal(rules.decide(READS, "/a/b"), EACCES);
  assert.equal(rules.decide(READS, "/a/b/c/d"), EACCES);
  for (const path of ["/a", "/a/bc", "/a/c", "/"]) assert.equal(rules.decide(READS, path), 0, path);
});

test("what is above a denied path cannot be renamed", () => {
  const rules = new DenyRules([{ path: "/a/b", errno: EACCES }]);
  for (const path of ["/a", "/a/b", "/a/b/c"]) assert.equal(rules.decide(RENAMES, path), EACCES);
  assert.equal(rules.decide(RENAMES, "/ab"), 0);
});

test("a rule may be about writing alone", () => {
  const rules = new DenyRules([{ path: "/a", writesOnly: true, errno: EACCES }]);
  assert.deepEqual([rules.decide(READS, "/a/f"), rules.decide(WRITES, "/a/f")], [0, EACCES]);
});

test("the root is above everything", () => {
  assert.equal(isBelow("/x", "/"), true);
  assert.equal(isBelow("/", "/x"), false);
});

test("only mounts that show no other file system's files are allowed", () => {
  for (const type of ["tmpfs", "proc", "fuse", "fuse.sshfs"]) {
    assert.equal(isMountAllowed(type, 0), true, type);
  }
  for (const type of ["overlay", "", "ext4", "fusectl"]) {
    assert.equal(isMountAllowed(type, 0), false, type);
  }
  assert.equal(isMountAllowed("tmpfs", 0x1000), false);
  assert.equal(isMountAllowed("", 0x2000), false);
  assert.equal(isMountAllowed("", 0x20), true);
});
