import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { V2Error } from "../base/index.ts";
import {
  fuseDescriptor,
  isFuseType,
  MS,
  parseMountOptions,
  parseMountSpec,
  withFuseDescriptor,
  withFuseOwner,
} from "./mount-options.ts";

test("option words become flags and the rest is left to the file system", () => {
  assert.deepEqual(parseMountOptions("ro,nosuid,size=4m,mode=0755"), {
    flags: MS.RDONLY | MS.NOSUID,
    data: "size=4m,mode=0755",
  });
  assert.deepEqual(parseMountOptions("ro,rw"), { flags: 0, data: "" });
  assert.deepEqual(parseMountOptions('context="a,b",noexec'), {
    flags: MS.NOEXEC,
    data: 'context="a,b"',
  });
  assert.deepEqual(parseMountOptions("user,exec,iversion,noiversion,acl"), {
    flags: MS.NOSUID | MS.NODEV | MS.POSIXACL,
    data: "",
  });
  assert.deepEqual(parseMountOptions("constructor,toString"), {
    flags: 0,
    data: "constructor,toString",
  });
});

test("a mount spec names type, source, target and options", () => {
  assert.deepEqual(parseMountSpec("tmpfs::/mnt:size=4m,ro"), {
    type: "tmpfs",
    source: "tmpfs",
    target: "/mnt",
    flags: MS.RDONLY,
    data: "size=4m",
  });
  assert.deepEqual(parseMountSpec("bind:/a\\:b:/c"), {
    type: "none",
    source: "/a:b",
    target: "/c",
    flags: MS.BIND,
    data: "",
  });
});

test("a wrong mount spec is refused with the spec and an example in the message", () => {
  for (const spec of ["", "tmpfs", "tmpfs:/mnt", ":a:/b", "bind::/mnt", "tmpfs:x:", "a:b:c:d:e"]) {
    assert.throws(
      () => parseMountSpec(spec),
      (error: unknown) =>
        error instanceof V2Error && error.exitCode === 2 && error.message.includes(`'${spec}'`),
    );
  }
});

test("any text is either a spec or a usage error, never another failure", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      parseMountOptions(text);
      try {
        parseMountSpec(text);
      } catch (error) {
        assert.ok(error instanceof V2Error);
      }
    }),
    { seed: 1, numRuns: 500 },
  );
});

test("the descriptor in FUSE mount data is found and replaced, and nothing else", () => {
  assert.equal(fuseDescriptor("fd=7,rootmode=40000"), 7);
  assert.equal(fuseDescriptor("rootmode=40000,fd=12"), 12);
  assert.equal(fuseDescriptor("xfd=7,fd="), undefined);
  assert.equal(withFuseDescriptor("a=1,fd=7,b=2", 31), "a=1,fd=31,b=2");
  assert.ok(isFuseType("fuse.squashfuse") && isFuseType("fuseblk") && isFuseType("fuse"));
  assert.ok(!isFuseType("fusectl") && !isFuseType("tmpfs"));
});

test("the owner of a FUSE mount is renumbered by the maps of its user namespace", () => {
  const renumbered = (data: string): string => withFuseOwner(data, [[0, 1000, 1]], [[0, 100, 2]]);
  assert.equal(
    renumbered("fd=3,rootmode=40000,user_id=0,group_id=1"),
    "fd=3,rootmode=40000,user_id=1000,group_id=101",
  );
  assert.equal(renumbered("user_id=5,max_user_id=0"), "user_id=5,max_user_id=0");
});
