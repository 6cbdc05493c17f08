/** Processes: executables in memory, exec in place, pidfds, descriptor flags. */
import { writeSync } from "node:fs";
import { ERRNO } from "../base/index.ts";
import { addressOf, check, declare, declareSyscall, errno } from "./libc.ts";

const memfdCreate = declare<(name: string, flags: number) => number>(
  "int memfd_create(const char *name, unsigned int flags)",
);
const execveCall = declare<(path: string, argv: Uint8Array, envp: Uint8Array) => number>(
  "int execve(const char *path, void *argv, void *envp)",
);
const waitpidCall = declare<(pid: number, status: Uint8Array, options: number) => number>(
  "int waitpid(int pid, void *status, int options)",
);
const fcntlCall = declare<(fd: number, command: number, argument: number) => number>(
  "int fcntl(int fd, int command, int argument)",
);
const prctlCall = declare<(option: number, ...words: bigint[]) => number>(
  "int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)",
);
const dup3Call = declare<(fd: number, number: number, flags: number) => number>(
  "int dup3(int fd, int number, int flags)",
);
const O_CLOEXEC = 0o2000000;
const SYS_PIDFD_OPEN = 434;
const SYS_PIDFD_GETFD = 438;
const pidfdOpenCall = declareSyscall<(pid: number, flags: number) => number>(SYS_PIDFD_OPEN, [
  "int",
  "uint",
]);
const pidfdGetfdCall = declareSyscall<(pidfd: number, fd: number, flags: number) => number>(
  SYS_PIDFD_GETFD,
  ["int", "int", "uint"],
);

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const MFD_EXEC = 0x10;
const F_ADD_SEALS = 1033;
/** F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE (linux/fcntl.h). */
const SEAL_ALL = 0xf;

/**
 * Puts an executable image into an anonymous file; `/proc/self/fd/N` runs it.
 * @returns the descriptor, close-on-exec.
 */
export function executableInMemory(name: string, image: Uint8Array): number {
  let fd = memfdCreate(name, MFD_CLOEXEC | MFD_EXEC);
  // Kernels before 6.3 do not know MFD_EXEC; all memory files are executable there.
  if (fd === -1 && errno() === ERRNO.EINVAL) fd = memfdCreate(name, MFD_CLOEXEC);
  check(fd, "memfd_create", name);
  for (let written = 0; written < image.length; ) written += writeSync(fd, image, written);
  return fd;
}

/**
 * Puts octets into an anonymous file that nobody can change any more; it stands at its beginning.
 * @returns the descriptor, close-on-exec.
 */
export function memoryFile(name: string, content: Uint8Array): number {
  const fd = check(memfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), "memfd_create", name);
  for (let at = 0; at < content.length; ) {
    at += writeSync(fd, content, at, content.length - at, at);
  }
  check(fcntlCall(fd, F_ADD_SEALS, SEAL_ALL), "fcntl", name);
  return fd;
}

/**
 * Replaces this process by another program; returns only by throwing. The other threads end,
 * pending output of Node is lost: call it before anything was written.
 */
export function execInPlace(path: string, argv: readonly string[]): never {
  const strings = argv.map((text) => new TextEncoder().encode(`${text}\0`));
  const pointers = new BigUint64Array([...strings.map((octets) => addressOf(octets)), 0n]);
  const empty = new BigUint64Array(1);
  check(
    execveCall(path, new Uint8Array(pointers.buffer), new Uint8Array(empty.buffer)),
    "execve",
    path,
  );
  throw new Error("execve returned");
}

/** Waits for a child of ours to end and returns its wait status. */
export function waitForChild(pid: number): number {
  const status = new Int32Array(1);
  for (;;) {
    const result = waitpidCall(pid, new Uint8Array(status.buffer), 0);
    if (result === pid) return status[0]!;
    if (errno() !== ERRNO.EINTR) check(-1, "waitpid", String(pid));
  }
}

/**
 * Nobody without CAP_SYS_PTRACE may look into this process through /proc any more, not even its
 * own user (prctl(2), PR_SET_DUMPABLE).
 */
export function forbidInspection(): void {
  const PR_SET_DUMPABLE = 4;
  check(prctlCall(PR_SET_DUMPABLE, 0n, 0n, 0n, 0n), "prctl");
}

/** dup3(2): `number` names what `fd` names from now on, in one step for all threads. */
export function replaceDescriptor(fd: number, number: number): void {
  check(dup3Call(fd, number, O_CLOEXEC), "dup3", String(fd));
}

/** Sets or clears close-on-exec of a descriptor. */
export function setCloseOnExec(fd: number, on: boolean): void {
  const F_SETFD = 2;
  check(fcntlCall(fd, F_SETFD, on ? 1 : 0), "fcntl", String(fd));
}

/** pidfd_open(2); -1 when the process is gone. Polls readable when the process ends. */
export function pidfdOpen(pid: number): number {
  return pidfdOpenCall(pid, 0);
}

/** pidfd_getfd(2): a copy of a descriptor of another process, or -1 (see `errno`). */
export function pidfdGetDescriptor(pidfd: number, fd: number): number {
  return pidfdGetfdCall(pidfd, fd, 0);
}
