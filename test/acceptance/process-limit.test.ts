// runs as: user
// (root has no limit of processes)
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { runProgram, V2 } from "./v2.ts";

/** Threads that the kernel counts for this user. */
function threads(): number {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        const status = readFileSync(`/proc/${pid}/status`, "utf8");
        const isOurs = Number(/^Uid:\s+(\d+)/m.exec(status)![1]) === process.getuid!();
        return isOurs ? Number(/^Threads:\s+(\d+)/m.exec(status)![1]) : 0;
      } catch {
        return 0;
      }
    })
    .reduce((sum, count) => sum + count, 0);
}

/** `v2 view` with room for so many processes and threads, its own Node's included. */
const viewWithRoom = (room: number) =>
  runProgram(
    [
      "prlimit",
      `--nproc=${threads() + room}`,
      process.execPath,
      V2,
      "view",
      "--",
      "sh",
      "-c",
      "mount -t tmpfs none /mnt && echo mounted",
    ],
    { timeoutMs: 20_000 },
  );

test("with few processes left a view is refused in a clear line, with more it works", async () => {
  const refused = await viewWithRoom(16);
  assert.equal(refused.code, 69, refused.stderr);
  assert.match(refused.stderr, /^v2: you may start \d+ more processes only\n.*ulimit -u/);
  const started = await viewWithRoom(60);
  assert.deepEqual([started.stdout, started.code], ["mounted\n", 0], started.stderr);
});
