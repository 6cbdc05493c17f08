/**
 * What a trap costs: a program makes 50 000 stat calls of one file, bare, traced by us into
 * /dev/null, let through by a supervisor in C that reads the path and prints it there too, and
 * traced by strace with its own filter (`--seccomp-bpf`), in turns. The program measures itself, so
 * the start of the tracers is not counted. Case `let-through` is against the supervisor in C.
 *
 * Needs cc and strace.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { costFigure, type Figure } from "./figure.ts";

const V2 = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));

/** Prints the time of one call in nanoseconds. */
const PROGRAM = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int main(void) {
  enum { CALLS = 50000 };
  struct stat found;
  struct timespec from, to;
  clock_gettime(CLOCK_MONOTONIC, &from);
  for (int i = 0; i < CALLS; i++) syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", &found, 0);
  clock_gettime(CLOCK_MONOTONIC, &to);
  printf("%.1f\\n", ((to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec)) / CALLS);
  return 0;
}
`;

/** The least that a supervisor can do: poll, receive, read the path, print, let through. */
const SUPERVISOR = `
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
static struct sock_filter code[] = {
  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_newfstatat, 0, 1),
  BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
  BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};
int main(int argc, char **argv) {
  volatile int *listener = mmap(0, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  long child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
  if (child == 0) {
    struct sock_fprog program = {4, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    *listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                        SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    execv(argv[1], argv + 1);
    _exit(127);
  }
  while (*listener == 0) sched_yield();
  FILE *out = fopen("/dev/null", "w");
  struct pollfd wait = {*listener, POLLIN, 0};
  for (;;) {
    struct seccomp_notif request;
    struct seccomp_notif_resp response;
    char text[4096];
    poll(&wait, 1, -1);
    if (!(wait.revents & POLLIN)) break;
    memset(&request, 0, sizeof request);
    if (ioctl(*listener, SECCOMP_IOCTL_NOTIF_RECV, &request) != 0) continue;
    unsigned long at = request.data.args[1];
    struct iovec local = {text, 4096 - at % 4096}, remote = {(void *)at, 4096 - at % 4096};
    process_vm_readv(request.pid, &local, 1, &remote, 1, 0);
    memset(&response, 0, sizeof response);
    response.id = request.id;
    response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    ioctl(*listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
    fprintf(out, "%d newfstatat(%s)\\n", request.pid, text);
  }
  waitpid(child, 0, 0);
  return argc < 2;
}
`;

/** Compiles a C program and gives its path. */
function compiled(folder: string, name: string, source: string): string {
  const file = join(folder, name);
  writeFileSync(`${file}.c`, source);
  outputOf(["cc", "-O1", "-o", file, `${file}.c`]);
  return file;
}

/** The competitors: what stands in front of the program. */
const competitors = (supervisor: string): { readonly [name: string]: readonly string[] } => ({
  bare: [],
  c: [supervisor],
  ours: [process.execPath, V2, "view", "--trace=path", "--trace-to", "/dev/null", "--"],
  strace: ["strace", "-f", "--seccomp-bpf", "-e", "trace=file", "-o", "/dev/null"],
});

/** Standard output of a command line; throws with its errors when it fails. */
function outputOf(words: readonly string[]): string {
  const [program, ...rest] = words;
  const result = spawnSync(program!, rest, { encoding: "utf8", timeout: 120_000 });
  if (result.status === 0) return result.stdout;
  throw new Error(`${words.join(" ")}: ${result.error?.message ?? result.stderr}`);
}

/** Runs in turns; the first round is not counted. */
export async function run(options: { readonly runs: number }): Promise<readonly Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), "v2-bench-"));
  const seconds: { [name: string]: number[] } = { bare: [], c: [], ours: [], strace: [] };
  const names = Object.keys(seconds);
  try {
    const file = compiled(folder, "stats", PROGRAM);
    const prefix = competitors(compiled(folder, "supervisor", SUPERVISOR));
    for (let round = -1; round < options.runs; round++) {
      const first = (round + names.length) % names.length;
      for (const name of [...names.slice(first), ...names.slice(0, first)]) {
        const nanoseconds = Number(outputOf([...prefix[name]!, file]));
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
  const figures = (caseName: string, key: string, peerName: string): readonly Figure[] => {
    const name = { bench: "view-trap", case: caseName, peerName };
    const least = (who: string): readonly number[] => [Math.min(...seconds[who]!)];
    return [
      costFigure({ ...name, metric: "time" }, seconds["ours"]!, seconds[key]!),
      costFigure({ ...name, metric: "least-time" }, least("ours"), least(key)),
    ];
  };
  return [
    ...figures("let-through", "c", "C supervisor"),
    ...figures("strace", "strace", "strace"),
    ...figures("bare", "bare", "bare"),
  ];
}
