/**
 * What a mount costs in a view: a program binds a directory and unmounts it, over and over, as an
 * ordinary process of a view; the peer is the same program with the right to mount, in namespaces
 * of its own. The program measures itself.
 *
 * Needs cc.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { costFigure, type Figure } from "./figure.ts";
import { outputOf, V2 } from "./programs.ts";

/** Prints the time of one pair of calls in nanoseconds; with a third argument it unshares first. */
const PROGRAM = `
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <time.h>
int main(int argc, char **argv) {
  enum { PAIRS = 2000 };
  struct timespec from, to;
  if (argc > 3 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return perror("unshare"), 1;
  if (argc > 3 && mount("none", "/", 0, MS_REC | MS_SLAVE, 0) != 0) return perror("slave"), 1;
  for (int pair = -100; pair < PAIRS; pair++) {
    if (pair == 0) clock_gettime(CLOCK_MONOTONIC, &from);
    if (mount(argv[1], argv[2], 0, MS_BIND, 0) != 0) return perror("mount"), 1;
    if (umount2(argv[2], 0) != 0) return perror("umount"), 1;
  }
  clock_gettime(CLOCK_MONOTONIC, &to);
  printf("%.1f\\n", ((to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec)) / PAIRS);
  return 0;
}
`;

/** Runs in turns; the first round is not counted. */
export async function run(options: { readonly runs: number }): Promise<readonly Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), "v2-bench-"));
  const ours: number[] = [];
  const raw: number[] = [];
  try {
    const file = join(folder, "pairs");
    writeFileSync(`${file}.c`, PROGRAM);
    outputOf(["cc", "-O1", "-o", file, `${file}.c`]);
    const [from, to] = ["from", "to"].map((name) => join(folder, name));
    for (const path of [from!, to!]) mkdirSync(path);
    const words = [file, from!, to!];
    for (let round = -1; round < options.runs; round++) {
      const a = Number(outputOf([process.execPath, V2, "view", "--", ...words]));
      const b = Number(outputOf([...words, "own"]));
      process.stderr.write(`round ${round + 1}: ours ${a / 1e3} us, raw ${b / 1e3} us\n`);
      if (round < 0) continue;
      ours.push(a / 1e9);
      raw.push(b / 1e9);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const name = { bench: "view-mount", case: "raw", peerName: "privileged C" };
  return [
    costFigure({ ...name, metric: "time" }, ours, raw),
    costFigure({ ...name, metric: "least-time" }, [Math.min(...ours)], [Math.min(...raw)]),
  ];
}
