// time limit: 300 s
import assert from "node:assert/strict";
import { test } from "node:test";
import { inMount, testModule } from "./fuse-support.ts";

const MODULE = testModule("fuse-modules");
/** What is left to do after `kill -9` of the server: its parent's shell goes on. */
const AFTERWARDS = `
  kill -9 $PPID
  wait; sleep 0.3
  ls 2>&1 | sed 's/.*: //'
  cd .. && umount -l mnt && mount -t tmpfs tmpfs mnt && echo x >mnt/f && cat mnt/f`;
const EXPECTED = "Transport endpoint is not connected\nx\n";

test("an idle server is killed: open files and names give ENOTCONN, umount -l cleans up", async () => {
  const script = `
    echo x >f && exec 3<f ${AFTERWARDS}
    cat <&3 2>&1 | sed 's/.*: //'`;
  const { signal, stdout } = await inMount({ module: "ram", shell: script });
  assert.equal(signal, "SIGKILL");
  assert.equal(stdout, `${EXPECTED}Transport endpoint is not connected\n`);
});

test("a server is killed while callers wait for promises: they return", async () => {
  const script = `
    cat slow 2>&1 | sed 's/.*: //' & ls names 2>&1 | sed 's/.*: //' & sleep 0.3; ${AFTERWARDS}`;
  const { signal, stdout } = await inMount({
    module: MODULE,
    options: { kind: "awkward" },
    shell: script,
  });
  assert.equal(signal, "SIGKILL");
  assert.ok(stdout.endsWith(EXPECTED), stdout);
  // Both were under way, one of them may tell it twice.
  const told = stdout.slice(0, -EXPECTED.length).trimEnd().split("\n");
  assert.ok(told.length >= 2, stdout);
  for (const line of told) assert.match(line, /^(?:Software caused|Transport|Input.output)/);
});

for (const delay of ["0.05", "0.1", "0.2", "0.35"]) {
  test(`a busy server is killed after ${delay} s: nobody hangs`, async () => {
    const script = `
      work() { while :; do cp -r /usr/include/asm-generic $1 && rm -r $1 || return; done; }
      work a 2>/dev/null & work b 2>/dev/null & sleep ${delay} ${AFTERWARDS}`;
    const { signal, stdout } = await inMount({ module: "ram", writeback: true, shell: script });
    assert.deepEqual([signal, stdout], ["SIGKILL", EXPECTED]);
  });
}
