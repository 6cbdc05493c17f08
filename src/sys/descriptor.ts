/**
 * File descriptors: read(2), write(2), close(2), fcntl(2), pipe2(2) on plain numbers, never through
 * libuv.
 */
import { ERRNO } from "../base/index.ts";
import { check, declare, errno, type Pointer } from "./libc.ts";

const libcClose = declare<(fd: number) => number>("int close(int fd)");
const libcRead = declare<(fd: number, into: Pointer, count: number) => number>(
  "long read(int fd, void *buf, unsigned long count)",
);
const libcWrite = declare<(fd: number, from: Pointer, count: number) => number>(
  "long write(int fd, void *buf, unsigned long count)",
);
const libcOpen = declare<(path: string, flags: number, mode: number) => number>(
  "int open(const char *path, int flags, unsigned int mode)",
);
const libcPipe2 = declare<(fds: Pointer, flags: number) => number>(
  "int pipe2(void *fds, int flags)",
);
const libcFcntl = declare<(fd: number, command: number, argument: number) => number>(
  "int fcntl(int fd, int cmd, int arg)",
);

/** Flags of open(2) (asm-generic/fcntl.h). */
export const OPEN = {
  readOnly: 0,
  writeOnly: 1,
  readWrite: 2,
  nonBlock: 0o4000,
  closeOnExec: 0o2000000,
} as const;

/**
 * O_DIRECT on a pipe: each write is a packet that one read gets whole (pipe(7)). Differs between
 * architectures.
 */
const O_DIRECT = process.arch === "arm64" ? 0o200000 : 0o40000;
const F_GETFL = 3;
const F_SETFL = 4;

/** Closes a descriptor; a negative one is ignored. EINTR counts as closed, as Linux does. */
export function closeFd(fd: number): void {
  if (fd >= 0) libcClose(fd);
}

/** open(2). @throws V2Error with the errno's name. */
export function openFd(path: string, flags: number, mode = 0): number {
  return check(libcOpen(path, flags | OPEN.closeOnExec, mode), "open", path);
}

/**
 * read(2) into the whole of `into`.
 * @returns octets read, 0 at the end of the file, -errno on failure.
 */
export function readFd(fd: number, into: Uint8Array): number {
  const octets = libcRead(fd, into, into.length);
  return octets >= 0 ? octets : -errno();
}

/**
 * write(2) of the first `count` octets of `from`.
 * @returns octets written, -errno on failure.
 */
export function writeFd(fd: number, from: Uint8Array, count: number): number {
  const octets = libcWrite(fd, from, count);
  return octets >= 0 ? octets : -errno();
}

/**
 * Lets reads and writes return EAGAIN instead of waiting; acts on the open file, not on the number.
 */
export function setNonBlocking(fd: number): void {
  const flags = check(libcFcntl(fd, F_GETFL, 0), "fcntl", `descriptor ${fd}`);
  check(libcFcntl(fd, F_SETFL, flags | OPEN.nonBlock), "fcntl", `descriptor ${fd}`);
}

/**
 * Keeps the bounds of what is written to a pipe or FIFO, up to 4096 octets each.
 * @returns false when the descriptor is no pipe.
 */
export function setPacketMode(fd: number): boolean {
  const flags = check(libcFcntl(fd, F_GETFL, 0), "fcntl", `descriptor ${fd}`);
  return libcFcntl(fd, F_SETFL, flags | O_DIRECT) === 0;
}

/** pipe2(2), both ends non-blocking and closed on exec. @returns [reading end, writing end]. */
export function makePipe(): [number, number] {
  const memory = new Uint8Array(8);
  check(libcPipe2(memory, OPEN.nonBlock | OPEN.closeOnExec), "pipe2");
  const view = new DataView(memory.buffer);
  return [view.getInt32(0, true), view.getInt32(4, true)];
}

/** Whether an errno says "not now" rather than "never". */
export function isTransient(number: number): boolean {
  return (
    number === ERRNO.EAGAIN ||
    number === ERRNO.EINTR ||
    number === ERRNO.ENOBUFS ||
    number === ERRNO.ENOMEM
  );
}
