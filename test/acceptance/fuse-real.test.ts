// time limit: 300 s
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { inMount } from "./fuse-support.ts";

for (const seed of [11, 12]) {
  test(`a real directory shown again does what tmpfs does, seed ${seed}`, async () => {
    const differential = { seed, operations: 6000, hasLinks: true, sizeMax: 40_000 };
    const { code, stdout, stderr } = await inMount({ module: "real", differential });
    assert.deepEqual([stdout, stderr, code], ["", "", 0]);
  });
}

test("what is done in the mount is there in the directory, and the other way round", async () => {
  const script = `
    cp /bin/true run && ./run && cmp run ../back/run && echo same
    echo new >../back/other && cat other && echo more >>other && cat ../back/other | xargs
    ln other hard && stat -c %h ../back/other && mkfifo pipe && stat -c %F ../back/pipe
    ln -s other soft && readlink ../back/soft && rm ../back/soft && test ! -e soft && echo gone
    (umask 0; mkdir open && touch open/f) && stat -c %a open open/f | xargs
    df --output=size . ../back | sort -u | wc -l`;
  const { code, stdout, stderr } = await inMount({ module: "real", shell: script });
  const lines = ["same", "new", "new more", "2", "fifo", "other", "gone", "777 666", "2", ""];
  assert.deepEqual([stderr, code, stdout.split("\n")], ["", 0, lines]);
});

test("git works in a real directory shown again", async (t) => {
  if (spawnSync("git", ["--version"]).status !== 0) return t.skip("needs git: apt install git");
  const script = `
    export HOME=$PWD GIT_CONFIG_NOSYSTEM=1
    git init -q r && cd r && git config user.email me@example.org && git config user.name me
    cp -r --preserve=mode,timestamps /usr/include/linux . && git add . && git commit -qm one
    git status --short | wc -l && git fsck --strict 2>&1`;
  const { code, stdout, stderr } = await inMount({ module: "real", shell: script });
  assert.deepEqual([stderr, code, stdout], ["", 0, "0\n"]);
});
