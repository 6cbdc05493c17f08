/**
 * What a trapped call costs: a program makes 30 000 calls on one file and measures itself, so the
 * start of the supervisors is not counted. In turns:
 *
 * - `let-through`: stat, traced by us into /dev/null, and let through by a supervisor in C that
 *   reads the path and prints it there too (fixtures/path-supervisor.c);
 * - `injected-open`: open and close, the descriptor made and handed over by us, and by the same;
 * - `let-through-limit`, `injected-limit`: the same against a supervisor in C that also takes turns
 *   with its callers on one processor, which is the least that the kernel asks of anybody;
 * - `answered-stat`: stat, performed by us and by the same for the caller;
 * - `strace`, `strace-filter`: stat, traced by us and by strace, without and with its own filter;
 * - `proot`: stat, answered by us and by proot.
 *
 * Needs cc and strace; proot if there is one.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { costFigure, type Figure } from "./figure.ts";
import { compileFixture, outputOf, V2 } from "./programs.ts";

/** Prints the time of one call in nanoseconds. */
const PROGRAM = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv) {
  enum { CALLS = 30000 };
  struct stat found;
  struct timespec from, to;
  int opens = argv[1][0] == 'o';
  clock_gettime(CLOCK_MONOTONIC, &from);
  for (int i = 0; i < CALLS; i++) {
    if (opens) close(syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY | O_CLOEXEC, 0));
    else syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", &found, 0);
  }
  clock_gettime(CLOCK_MONOTONIC, &to);
  printf("%.1f\\n", ((to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec)) / CALLS);
  return argc < 2;
}
`;

interface Competitor {
  /** What stands in front of the program. */
  readonly prefix: readonly string[];
  readonly call: "stat" | "open";
}

function competitors(supervisor: string): { readonly [name: string]: Competitor } {
  const view = [process.execPath, V2, "view"];
  const strace = ["strace", "-f", "-e", "trace=file", "-o", "/dev/null"];
  const all: { [name: string]: Competitor } = {
    bare: { prefix: [], call: "stat" },
    c: { prefix: [supervisor, "let-through"], call: "stat" },
    ours: { prefix: [...view, "--trace=path", "--trace-to", "/dev/null", "--"], call: "stat" },
    cTurns: { prefix: [supervisor, "in-turns", "let-through"], call: "stat" },
    cOpenTurns: { prefix: [supervisor, "in-turns", "answer"], call: "open" },
    cOpen: { prefix: [supervisor, "answer"], call: "open" },
    oursOpen: { prefix: [...view, "--trap=path", "--"], call: "open" },
    cStat: { prefix: [supervisor, "answer"], call: "stat" },
    oursStat: { prefix: [...view, "--trap=path", "--"], call: "stat" },
    strace: { prefix: strace, call: "stat" },
    straceFilter: { prefix: [...strace, "--seccomp-bpf"], call: "stat" },
  };
  if (isThere("proot")) all["proot"] = { prefix: ["proot", "-r", "/"], call: "stat" };
  else process.stderr.write("no proot here (apt install proot): its figures are left out\n");
  return all;
}

const isThere = (program: string): boolean =>
  spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;

/** Case, what of ours, and of whom, by whose name. */
const CASES = [
  ["let-through", "ours", "c", "C supervisor"],
  ["injected-open", "oursOpen", "cOpen", "C supervisor"],
  ["let-through-limit", "ours", "cTurns", "C supervisor in turns"],
  ["injected-limit", "oursOpen", "cOpenTurns", "C supervisor in turns"],
  ["answered-stat", "oursStat", "cStat", "C supervisor"],
  ["strace", "ours", "strace", "strace"],
  ["strace-filter", "ours", "straceFilter", "strace --seccomp-bpf"],
  ["proot", "oursStat", "proot", "proot"],
  ["bare", "ours", "bare", "bare"],
] as const;

/** Runs in turns; the first round is not counted. */
export async function run(options: { readonly runs: number }): Promise<readonly Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), "v2-bench-"));
  const seconds: { [name: string]: number[] } = {};
  try {
    const [program, supervisor] = [join(folder, "calls"), join(folder, "supervisor")];
    writeFileSync(`${program}.c`, PROGRAM);
    outputOf(["cc", "-O1", "-o", program, `${program}.c`]);
    compileFixture("path-supervisor", supervisor);
    const all = competitors(supervisor);
    const names = Object.keys(all);
    for (const name of names) seconds[name] = [];
    for (let round = -1; round < options.runs; round++) {
      const first = (round + names.length) % names.length;
      for (const name of [...names.slice(first), ...names.slice(0, first)]) {
        const { prefix, call } = all[name]!;
        const nanoseconds = Number(outputOf([...prefix, program, call]));
        if (round >= 0) seconds[name]!.push(nanoseconds / 1e9);
      }
      const last = names.map((name) => {
        return `${name} ${((seconds[name]!.at(-1) ?? Number.NaN) * 1e6).toFixed(2)} us`;
      });
      process.stderr.write(`round ${round + 1}: ${last.join(", ")}\n`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return CASES.flatMap(([caseName, ours, peer, peerName]) => {
    const [a, b] = [seconds[ours]!, seconds[peer]];
    if (b === undefined) return [];
    const name = { bench: "view-trap", case: caseName, peerName };
    const least = (of: readonly number[]): readonly number[] => [Math.min(...of)];
    return [
      costFigure({ ...name, metric: "time" }, a, b),
      costFigure({ ...name, metric: "least-time" }, least(a), least(b)),
    ];
  });
}
