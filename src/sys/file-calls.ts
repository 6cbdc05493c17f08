/**
 * Files by path and by descriptor, as system calls of the calling thread: no copies, no exceptions,
 * results are 0 or more, or the negative errno. Paths are octets that end in NUL.
 *
 * Sources: section 2 of the manual pages; linux/openat2.h, linux/fcntl.h, linux/stat.h.
 */
import { declare, errno } from "./libc.ts";
import { MemoryBlock } from "./memory-block.ts";

/** AT_* of linux/fcntl.h. */
export const AT = {
  FDCWD: -100,
  SYMLINK_NOFOLLOW: 0x100,
  EACCESS: 0x200,
  REMOVEDIR: 0x200,
  SYMLINK_FOLLOW: 0x400,
  EMPTY_PATH: 0x1000,
} as const;

/** Flags of open(2) on x86 (asm-generic/fcntl.h); OPEN has the few that all of us use. */
export const O = {
  ACCMODE: 3,
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0o100,
  EXCL: 0o200,
  NOCTTY: 0o400,
  TRUNC: 0o1000,
  NONBLOCK: 0o4000,
  LARGEFILE: 0o100000,
  DIRECTORY: 0o200000,
  NOFOLLOW: 0o400000,
  CLOEXEC: 0o2000000,
  PATH: 0o10000000,
  /** Without the O_DIRECTORY that goes with it. */
  TMPFILE: 0o20000000,
} as const;

/** RESOLVE_* of linux/openat2.h. */
export const RESOLVE = { NO_XDEV: 1, NO_MAGICLINKS: 2, NO_SYMLINKS: 4 } as const;

const HOW_OCTETS = 24;
/** Octets of struct stat, struct statx and struct statfs on x86_64. */
export const STAT_OCTETS = 144;
export const STATX_OCTETS = 256;
export const STATFS_OCTETS = 120;

type Octets = Uint8Array;
type Call<Arguments extends readonly unknown[]> = (...args: Arguments) => number;

/** Numbers of x86_64 for calls that the C library wraps differently or not at all. */
const SYS = {
  newfstatat: 262,
  statx: 332,
  renameat2: 316,
  openat2: 437,
  faccessat2: 439,
} as const;

const openat2Call = declare<Call<[number, number, number, number, number]>>(
  "long syscall(long number, int at, uintptr_t path, uintptr_t how, unsigned long size)",
);
const fstatCall = declare<Call<[number, number, number, number, number]>>(
  "long syscall(long number, int at, uintptr_t path, uintptr_t into, int flags)",
);
const pathFlagsCall = declare<Call<[number, number, Octets, Octets, number]>>(
  "long syscall(long number, int at, void *path, void *into, int flags)",
);
const statxCall = declare<Call<[number, number, Octets, number, number, Octets]>>(
  "long syscall(long number, int at, void *path, int flags, unsigned int mask, void *into)",
);
const modeFlagsCall = declare<Call<[number, number, Octets, number, number]>>(
  "long syscall(long number, int at, void *path, unsigned int mode, int flags)",
);
const renameCall = declare<Call<[number, number, Octets, number, Octets, number]>>(
  "long syscall(long number, int from, void *a, int to, void *b, unsigned int flags)",
);
const openatCall = declare<Call<[number, Octets, number, number]>>(
  "int openat(int at, void *path, int flags, unsigned int mode)",
);
const readlinkatCall = declare<Call<[number, Octets, Octets, number]>>(
  "long readlinkat(int at, void *path, void *into, unsigned long size)",
);
const fchmodatCall = declare<Call<[number, Octets, number, number]>>(
  "int fchmodat(int at, void *path, unsigned int mode, int flags)",
);
const mkdiratCall = declare<Call<[number, Octets, number]>>(
  "int mkdirat(int at, void *path, unsigned int mode)",
);
const mknodatCall = declare<Call<[number, Octets, number, number]>>(
  "int mknodat(int at, void *path, unsigned int mode, unsigned long device)",
);
const unlinkatCall = declare<Call<[number, Octets, number]>>(
  "int unlinkat(int at, void *path, int flags)",
);
const linkatCall = declare<Call<[number, Octets, number, Octets, number]>>(
  "int linkat(int from, void *a, int to, void *b, int flags)",
);
const symlinkatCall = declare<Call<[Octets, number, Octets]>>(
  "int symlinkat(void *target, int at, void *path)",
);
const fchownatCall = declare<Call<[number, Octets, number, number, number]>>(
  "int fchownat(int at, void *path, unsigned int uid, unsigned int gid, int flags)",
);
const utimensatCall = declare<Call<[number, Octets | null, Octets | null, number]>>(
  "int utimensat(int at, void *path, void *times, int flags)",
);
const truncateCall = declare<(path: Octets, length: bigint) => number>(
  "int truncate(void *path, int64_t length)",
);
const statfsCall = declare<Call<[Octets, Octets]>>("int statfs(void *path, void *into)");
const fstatfsCall = declare<Call<[number, Octets]>>("int fstatfs(int fd, void *into)");
const getxattrCall = declare<Call<[Octets, Octets, Octets, number]>>(
  "long getxattr(void *path, void *name, void *value, unsigned long size)",
);
const setxattrCall = declare<Call<[Octets, Octets, Octets, number, number]>>(
  "int setxattr(void *path, void *name, void *value, unsigned long size, int flags)",
);
const listxattrCall = declare<Call<[Octets, Octets, number]>>(
  "long listxattr(void *path, void *list, unsigned long size)",
);
const removexattrCall = declare<Call<[Octets, Octets]>>("int removexattr(void *path, void *name)");
const inotifyAddWatchCall = declare<Call<[number, Octets, number]>>(
  "int inotify_add_watch(int fd, void *path, unsigned int mask)",
);
const nameToHandleCall = declare<Call<[number, Octets, Octets, Octets, number]>>(
  "int name_to_handle_at(int at, void *path, void *handle, void *mount, int flags)",
);
const closeCall = declare<Call<[number]>>("int close(int fd)");
const readCall = declare<Call<[number, Octets, number]>>(
  "long read(int fd, void *into, unsigned long size)",
);

const result = (value: number): number => (value === -1 ? -errno() : value);

/** System calls on files; the buffers that they need are reused. */
export class FileCalls {
  readonly #how = new MemoryBlock(HOW_OCTETS);
  readonly #howWords = new Uint32Array(this.#how.octets.buffer);
  readonly #nothing = new MemoryBlock(1);
  readonly #statfs = new Uint8Array(STATFS_OCTETS);
  readonly #statfsView = new DataView(this.#statfs.buffer);

  /** openat2(2). @param resolve RESOLVE_* */
  openat2(at: number, path: MemoryBlock, flags: number, mode: number, resolve: number): number {
    this.#howWords[0] = flags;
    this.#howWords[2] = mode;
    this.#howWords[4] = resolve;
    return result(openat2Call(SYS.openat2, at, path.address, this.#how.address, HOW_OCTETS));
  }

  openat(at: number, path: Octets, flags: number, mode = 0): number {
    return result(openatCall(at, path, flags, mode));
  }

  /** struct stat of an open file, also of one opened with O_PATH. */
  fstat(fd: number, into: MemoryBlock): number {
    const { address } = this.#nothing;
    return result(fstatCall(SYS.newfstatat, fd, address, into.address, AT.EMPTY_PATH));
  }

  fstatat(at: number, path: Octets, into: Octets, flags: number): number {
    return result(pathFlagsCall(SYS.newfstatat, at, path, into, flags));
  }

  statx(at: number, path: Octets, flags: number, mask: number, into: Octets): number {
    return result(statxCall(SYS.statx, at, path, flags, mask, into));
  }

  readlinkat(at: number, path: Octets, into: Octets, size = into.length): number {
    return result(readlinkatCall(at, path, into, size));
  }

  faccessat2(at: number, path: Octets, mode: number, flags: number): number {
    return result(modeFlagsCall(SYS.faccessat2, at, path, mode, flags));
  }

  fchmodat(at: number, path: Octets, mode: number): number {
    return result(fchmodatCall(at, path, mode, 0));
  }

  mkdirat(at: number, path: Octets, mode: number): number {
    return result(mkdiratCall(at, path, mode));
  }

  mknodat(at: number, path: Octets, mode: number, device: number): number {
    return result(mknodatCall(at, path, mode, device));
  }

  unlinkat(at: number, path: Octets, flags: number): number {
    return result(unlinkatCall(at, path, flags));
  }

  renameat2(from: number, a: Octets, to: number, b: Octets, flags: number): number {
    return result(renameCall(SYS.renameat2, from, a, to, b, flags));
  }

  linkat(from: number, a: Octets, to: number, b: Octets, flags: number): number {
    return result(linkatCall(from, a, to, b, flags));
  }

  symlinkat(target: Octets, at: number, path: Octets): number {
    return result(symlinkatCall(target, at, path));
  }

  fchownat(at: number, path: Octets, uid: number, gid: number, flags: number): number {
    return result(fchownatCall(at, path, uid, gid, flags));
  }

  /** @param times two of struct timespec, or null for now */
  utimensat(at: number, path: Octets, times: Octets | null, flags: number): number {
    return result(utimensatCall(at, path, times, flags));
  }

  truncate(path: Octets, length: bigint): number {
    return result(truncateCall(path, length));
  }

  statfs(path: Octets, into: Octets): number {
    return result(statfsCall(path, into));
  }

  fstatfs(fd: number, into: Octets): number {
    return result(fstatfsCall(fd, into));
  }

  /** Number of the file system's kind (linux/magic.h); 0 when it cannot be told. */
  kindOf(fd: number): number {
    return fstatfsCall(fd, this.#statfs) === -1 ? 0 : this.#statfsView.getUint32(0, true);
  }

  getxattr(path: Octets, name: Octets, value: Octets, size: number): number {
    return result(getxattrCall(path, name, value, size));
  }

  setxattr(path: Octets, name: Octets, value: Octets, size: number, flags: number): number {
    return result(setxattrCall(path, name, value, size, flags));
  }

  listxattr(path: Octets, list: Octets, size: number): number {
    return result(listxattrCall(path, list, size));
  }

  removexattr(path: Octets, name: Octets): number {
    return result(removexattrCall(path, name));
  }

  inotifyAddWatch(fd: number, path: Octets, mask: number): number {
    return result(inotifyAddWatchCall(fd, path, mask));
  }

  nameToHandle(at: number, path: Octets, handle: Octets, mount: Octets, flags: number): number {
    return result(nameToHandleCall(at, path, handle, mount, flags));
  }

  read(fd: number, into: Octets): number {
    return result(readCall(fd, into, into.length));
  }

  close(fd: number): void {
    closeCall(fd);
  }
}
