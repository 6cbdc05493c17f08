import assert from "node:assert/strict";
import { test } from "node:test";
import { withoutThoseOfNode } from "./inherited.ts";

/**
 * What a fresh Node has open, and a file, one end of a pipe twice and a job server from its parent.
 */
const OPEN = [
  { fd: 0, target: "/dev/null", writable: false },
  { fd: 1, target: "pipe:[9]", writable: true },
  { fd: 2, target: "pipe:[9]", writable: true },
  { fd: 3, target: "pipe:[50]", writable: false },
  { fd: 4, target: "pipe:[50]", writable: true },
  { fd: 5, target: "/etc/hosts", writable: false },
  { fd: 6, target: "anon_inode:[eventpoll]", writable: true },
  { fd: 7, target: "pipe:[60]", writable: false },
  { fd: 8, target: "pipe:[60]", writable: true },
  { fd: 9, target: "/dev/null", writable: false },
  { fd: 10, target: "pipe:[70]", writable: false },
  { fd: 63, target: "pipe:[70]", writable: false },
];

test("files and single ends of pipes are inherited, what Node opens is not", () => {
  assert.deepEqual(
    withoutThoseOfNode(OPEN, () => undefined),
    [5, 10, 63],
  );
});

test("a pipe with both ends, or /dev/null, is inherited where the parent has it too", () => {
  const parent = new Map([
    [3, "pipe:[50]"],
    [4, "pipe:[50]"],
    [7, "pipe:[61]"],
    [9, "/dev/null"],
  ]);
  assert.deepEqual(
    withoutThoseOfNode(OPEN, (fd) => parent.get(fd)),
    [3, 4, 5, 9, 10, 63],
  );
});
