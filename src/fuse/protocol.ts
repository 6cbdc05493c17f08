/**
 * Numbers of the FUSE protocol 7.x. Source: include/uapi/linux/fuse.h of Linux 6.18 (protocol
 * 7.45), whose head comment tells in which minor version each came. All fields are in the byte
 * order of the host; machines that this program runs on are little-endian.
 */

export const FUSE_VERSION = 7;
/** The newest minor version whose messages we speak; the kernel then uses no newer ones. */
export const FUSE_MINOR = 45;
/** Below it entries and attributes have other sizes; Linux has spoken more since 2.6.36. */
export const FUSE_MINOR_LEAST = 23;
export const ROOT_NODE = 1;

/** struct fuse_in_header. */
export const IN_HEADER = {
  octets: 40,
  length: 0,
  opcode: 4,
  unique: 8,
  node: 16,
  uid: 24,
  gid: 28,
  pid: 32,
} as const;
/** struct fuse_out_header. */
export const OUT_HEADER = { octets: 16, length: 0, error: 4, unique: 8 } as const;
/** A device refuses reads into less (FUSE_MIN_READ_BUFFER). */
export const READ_BUFFER_LEAST = 8192;

/** enum fuse_opcode. */
export const OPCODE = {
  lookup: 1,
  forget: 2,
  getattr: 3,
  setattr: 4,
  readlink: 5,
  symlink: 6,
  mknod: 8,
  mkdir: 9,
  unlink: 10,
  rmdir: 11,
  rename: 12,
  link: 13,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  fsync: 20,
  setxattr: 21,
  getxattr: 22,
  listxattr: 23,
  removexattr: 24,
  flush: 25,
  init: 26,
  opendir: 27,
  readdir: 28,
  releasedir: 29,
  fsyncdir: 30,
  getlk: 31,
  setlk: 32,
  setlkw: 33,
  access: 34,
  create: 35,
  interrupt: 36,
  bmap: 37,
  destroy: 38,
  ioctl: 39,
  poll: 40,
  notifyReply: 41,
  batchForget: 42,
  fallocate: 43,
  readdirplus: 44,
  rename2: 45,
  lseek: 46,
  copyFileRange: 47,
  setupMapping: 48,
  removeMapping: 49,
  syncfs: 50,
  tmpfile: 51,
  statx: 52,
} as const;

/** enum fuse_notify_code: messages that nobody asked for. */
export const NOTIFY = {
  poll: 1,
  invalidateInode: 2,
  invalidateEntry: 3,
  store: 4,
  retrieve: 5,
  delete: 6,
} as const;

/** Flags of INIT, lower word. */
export const INIT = {
  asyncRead: 1 << 0,
  posixLocks: 1 << 1,
  atomicTruncate: 1 << 3,
  exportSupport: 1 << 4,
  bigWrites: 1 << 5,
  dontMask: 1 << 6,
  spliceWrite: 1 << 7,
  spliceMove: 1 << 8,
  spliceRead: 1 << 9,
  flockLocks: 1 << 10,
  autoInvalidateData: 1 << 12,
  readdirplus: 1 << 13,
  readdirplusAuto: 1 << 14,
  asyncDirectIo: 1 << 15,
  writebackCache: 1 << 16,
  noOpen: 1 << 17,
  parallelDirectoryOperations: 1 << 18,
  handleKillPrivileges: 1 << 19,
  abortError: 1 << 21,
  maxPages: 1 << 22,
  cacheSymlinks: 1 << 23,
  noOpendir: 1 << 24,
  explicitInvalidateData: 1 << 25,
  initExtension: 1 << 30,
} as const;

/** Which fields of SETATTR count (FATTR_*). */
export const CHANGE = {
  mode: 1 << 0,
  uid: 1 << 1,
  gid: 1 << 2,
  size: 1 << 3,
  atime: 1 << 4,
  mtime: 1 << 5,
  handle: 1 << 6,
  atimeNow: 1 << 7,
  mtimeNow: 1 << 8,
  ctime: 1 << 10,
} as const;

/** What an opened file is like (FOPEN_*). */
export const OPENED = {
  /** Every read and write comes to us; the page cache is not used. */
  direct: 1 << 0,
  /** What the page cache holds of an earlier opening stays. */
  keepCache: 1 << 1,
  nonSeekable: 1 << 2,
  cacheDirectory: 1 << 3,
  stream: 1 << 4,
  noFlush: 1 << 5,
} as const;

export const GETATTR_HANDLE = 1;
export const FSYNC_DATA_ONLY = 1;

/** File types and bits of st_mode (inode(7)). */
export const MODE = {
  type: 0o170000,
  socket: 0o140000,
  symlink: 0o120000,
  file: 0o100000,
  block: 0o060000,
  directory: 0o040000,
  character: 0o020000,
  fifo: 0o010000,
  permissions: 0o7777,
  setUid: 0o4000,
  setGid: 0o2000,
} as const;

/** Flags of open(2) (asm-generic/fcntl.h). */
export const OPEN_FLAGS = {
  access: 3,
  create: 0o100,
  exclusive: 0o200,
  truncate: 0o1000,
  append: 0o2000,
} as const;

/**
 * Seconds that attributes stay true where nothing is to be remembered: names are asked for each
 * time, and what comes with the answer serves the call that asked. The kernel counts in ticks of
 * its clock (1 to 10 ms).
 */
export const MOMENT_TTL = 1e-9;

/** Flags of renameat2(2). */
export const RENAME = { noReplace: 1, exchange: 2, whiteout: 4 } as const;
/** Flags of setxattr(2). */
export const XATTR = { create: 1, replace: 2 } as const;
/** Flags of fallocate(2). */
export const FALLOCATE = { keepSize: 1, punchHole: 2, zeroRange: 16 } as const;
/** lseek(2) whence values that reach a server. */
export const SEEK = { data: 3, hole: 4 } as const;

/** The longest name of a directory entry (FUSE_NAME_MAX, and NAME_MAX of limits.h). */
export const NAME_OCTETS_MAX = 255;
