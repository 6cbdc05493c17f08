import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { inView, temporaryDirectory } from "./v2.ts";

test("the distribution's mount and umount work in a view as they do for root", async () => {
  using directory = temporaryDirectory();
  const { path } = directory;
  mkdirSync(join(path, "from"));
  mkdirSync(join(path, "to"));
  writeFileSync(join(path, "from", "file"), "content\n");
  const { stdout, stderr, code } = await inView(
    `set -e
     mount -t tmpfs -o size=1m,mode=755 none /mnt; grep -c ' /mnt tmpfs ' /proc/self/mounts
     mount | grep -c ' on /mnt type tmpfs (rw,relatime,size=1024k'
     findmnt -n -o FSTYPE /mnt
     mkdir /mnt/a; mount --bind '${path}/from' '${path}/to'; cat '${path}/to/file'
     mount -o bind '${path}/from' /mnt/a; cat /mnt/a/file
     mount -o remount,bind,ro /mnt/a; touch /mnt/a/new 2>/dev/null || echo read-only
     umount /mnt/a; umount '${path}/to'; ls '${path}/to' | wc -l
     cd /mnt; umount /mnt 2>/dev/null || echo busy; umount -l /mnt; cd /
     umount /mnt 2>/dev/null || echo not mounted
     mount -t nosuchtype none /mnt 2>/dev/null || echo unknown`,
  );
  assert.equal(
    stdout,
    [
      "1",
      "1",
      "tmpfs",
      "content",
      "content",
      "read-only",
      "0",
      "busy",
      "not mounted",
      "unknown",
      "",
    ].join("\n"),
    stderr,
  );
  assert.equal(code, 0);
});
