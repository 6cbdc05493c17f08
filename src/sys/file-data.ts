/**
 * Data of open files at a place, directory entries, and what else takes a descriptor; 0 or more, or
 * the negative errno. Sources: section 2 of the manual pages, linux/dirent.h.
 */
import { declare, errno } from "./libc.ts";

const preadCall = declare<(fd: number, into: Uint8Array, count: number, at: number) => number>(
  "long pread(int fd, void *into, unsigned long count, int64_t at)",
);
const pwriteCall = declare<(fd: number, from: Uint8Array, count: number, at: number) => number>(
  "long pwrite(int fd, void *from, unsigned long count, int64_t at)",
);
const ftruncateCall = declare<(fd: number, size: number) => number>(
  "int ftruncate(int fd, int64_t size)",
);
const fsyncCall = declare<(fd: number) => number>("int fsync(int fd)");
const fdatasyncCall = declare<(fd: number) => number>("int fdatasync(int fd)");
const lseekCall = declare<(fd: number, at: number, whence: number) => number>(
  "int64_t lseek(int fd, int64_t at, int whence)",
);
const fallocateCall = declare<(fd: number, mode: number, at: number, length: number) => number>(
  "int fallocate(int fd, int mode, int64_t at, int64_t length)",
);
const copyCall = declare<
  (
    from: number,
    fromAt: Uint8Array,
    to: number,
    toAt: Uint8Array,
    count: number,
    flags: number,
  ) => number
>(
  "long copy_file_range(int from, void *fromAt, int to, void *toAt, unsigned long count, unsigned int flags)",
);
const getdentsCall = declare<(fd: number, into: Uint8Array, count: number) => number>(
  "long getdents64(int fd, void *into, unsigned long count)",
);

const result = (value: number): number => (value === -1 ? -errno() : value);

/** pread(2). */
export function readAt(fd: number, into: Uint8Array, count: number, at: number): number {
  return result(preadCall(fd, into, count, at));
}

/** pwrite(2). */
export function writeAt(fd: number, from: Uint8Array, at: number): number {
  return result(pwriteCall(fd, from, from.length, at));
}

/** ftruncate(2). */
export function resizeFile(fd: number, size: number): number {
  return result(ftruncateCall(fd, size));
}

/** fsync(2), or fdatasync(2). */
export function syncFile(fd: number, dataOnly: boolean): number {
  return result(dataOnly ? fdatasyncCall(fd) : fsyncCall(fd));
}

/** lseek(2). @returns the place. */
export function seekFile(fd: number, at: number, whence: number): number {
  return result(lseekCall(fd, at, whence));
}

/** fallocate(2). */
export function allocateFile(fd: number, mode: number, at: number, length: number): number {
  return result(fallocateCall(fd, mode, at, length));
}

/** copy_file_range(2). @returns octets copied. */
export function copyFileRange(
  from: number,
  fromAt: number,
  to: number,
  toAt: number,
  count: number,
): number {
  const places = new BigInt64Array([BigInt(fromAt), BigInt(toAt)]);
  const octets = new Uint8Array(places.buffer);
  return result(copyCall(from, octets, to, octets.subarray(8), count, 0));
}

/** struct linux_dirent64. */
const DIRENT = { inode: 0, length: 16, type: 18, name: 19 } as const;

/** One name of a directory. */
export interface DirectoryName {
  /** Octets without NUL, in memory of their own. */
  readonly name: Uint8Array;
  readonly inode: number;
  /** DT_* of readdir(3): the type's bits of st_mode, 12 to the right. */
  readonly type: number;
}

/** All names of an open directory from its start, "." and ".." too; or a negative errno. */
export function readDirectory(fd: number, buffer: Uint8Array): DirectoryName[] | number {
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
  const names: DirectoryName[] = [];
  const start = seekFile(fd, 0, 0);
  if (start < 0) return start;
  for (;;) {
    const octets = result(getdentsCall(fd, buffer, buffer.length));
    if (octets <= 0) return octets < 0 ? octets : names;
    for (let at = 0; at < octets; at += view.getUint16(at + DIRENT.length, true)) {
      const from = at + DIRENT.name;
      const name = buffer.slice(from, buffer.indexOf(0, from));
      const inode = Number(view.getBigUint64(at + DIRENT.inode, true));
      names.push({ name, inode, type: view.getUint8(at + DIRENT.type) });
    }
  }
}
