/**
 * What a file system is to the server: functions on nodes (inodes), each of which answers at once
 * or promises to. The kernel asks about a node only after a `lookup` (or a call that makes one) has
 * told it the number, and says by `forget` how many of these it has dropped.
 */
import { ERRNO, type VirtualCaller } from "../base/index.ts";

/** Number of a file or directory; 1 is the root. Never used again while the kernel may know it. */
export type NodeId = number;

/** 0 or a count when it went well, else a negative errno. */
export type Outcome = number | Promise<number>;

/** Data, or a negative errno. */
export type DataOutcome = Uint8Array | number | Promise<Uint8Array | number>;

/** Who asks. */
export type Caller = VirtualCaller;

/** What stat(2) says. Times are whole seconds and nanoseconds. */
export interface Attributes {
  inode: number;
  /** Type and permissions: st_mode. */
  mode: number;
  links: number;
  uid: number;
  gid: number;
  /** st_rdev in the kernel's 32-bit form (new_encode_dev). */
  device: number;
  size: number;
  /** Of 512 octets. */
  blocks: number;
  blockSize: number;
  atime: number;
  atimeNs: number;
  mtime: number;
  mtimeNs: number;
  ctime: number;
  ctimeNs: number;
}

/** A found or made node. */
export interface Entry {
  /** 0 with an outcome of 0: there is no such name, and the kernel may remember that. */
  node: NodeId;
  /** Another one for each use of the same number. */
  generation: number;
  /** Seconds that the name stays true without asking; Infinity: for ever. */
  nameTtl: number;
  /** Seconds that the attributes stay true. */
  attributesTtl: number;
  readonly attributes: Attributes;
}

/** What open, create and opendir tell. */
export interface OpenFile {
  /** Comes back with every call on this open file. */
  handle: number;
  /** OPENED bits. */
  flags: number;
}

/** What setattr is to change: CHANGE bits say which fields count. */
export interface AttributeChange {
  readonly fields: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly atime: number;
  readonly atimeNs: number;
  readonly mtime: number;
  readonly mtimeNs: number;
  /** Of an open file, with CHANGE.handle. */
  readonly handle: number;
}

/** Where readdir puts names; full when one does not fit. */
export interface DirectoryList {
  /** Entries are wanted: fill `entry` before `add`, or leave `entry.node` 0. Counts as a lookup. */
  readonly wantsEntries: boolean;
  readonly entry: Entry;
  /**
   * @param type the mode, of which only the type counts.
   * @param next where reading goes on after this one: above 0, the directory's own numbers.
   * @returns false: no room, this name was not taken.
   */
  add(name: string, inode: number, type: number, next: number): boolean;
}

/** What statfs(2) says. */
export interface Totals {
  blockSize: number;
  blocks: number;
  blocksFree: number;
  blocksAvailable: number;
  files: number;
  filesFree: number;
  nameOctetsMax: number;
}

/** Where a copy begins or ends. */
export interface FilePlace {
  readonly node: NodeId;
  readonly handle: number;
  readonly offset: number;
}

/**
 * A file system by nodes. What is missing answers ENOSYS, which the kernel takes as "never ask
 * again" for open, opendir, flush, fsync, access, extended attributes, lseek and fallocate.
 */
export interface FileSystem {
  lookup(parent: NodeId, name: string, entry: Entry, caller: Caller): Outcome;
  /** The kernel has dropped `lookups` of this node. */
  forget?(node: NodeId, lookups: number): void;
  /**
   * Returns seconds that the answer stays true, or -errno.
   * @param handle of an open file, or -1.
   */
  getattr(node: NodeId, attributes: Attributes, handle: number, caller: Caller): Outcome;
  /** As getattr, after the change. */
  setattr?(node: NodeId, change: AttributeChange, attributes: Attributes, caller: Caller): Outcome;
  readlink?(node: NodeId, caller: Caller): string | number | Promise<string | number>;
  symlink?(parent: NodeId, name: string, target: string, entry: Entry, caller: Caller): Outcome;
  mknod?(
    parent: NodeId,
    name: string,
    mode: number,
    device: number,
    entry: Entry,
    caller: Caller,
  ): Outcome;
  mkdir?(parent: NodeId, name: string, mode: number, entry: Entry, caller: Caller): Outcome;
  unlink?(parent: NodeId, name: string, caller: Caller): Outcome;
  rmdir?(parent: NodeId, name: string, caller: Caller): Outcome;
  /** @param flags RENAME bits. */
  rename?(
    parent: NodeId,
    name: string,
    newParent: NodeId,
    newName: string,
    flags: number,
    caller: Caller,
  ): Outcome;
  link?(node: NodeId, newParent: NodeId, newName: string, entry: Entry, caller: Caller): Outcome;
  open?(node: NodeId, flags: number, opened: OpenFile, caller: Caller): Outcome;
  create?(
    parent: NodeId,
    name: string,
    mode: number,
    flags: number,
    entry: Entry,
    opened: OpenFile,
    caller: Caller,
  ): Outcome;
  /**
   * Up to `count` octets; fewer only at the end. A window of the file's own memory will do: it is
   * handed on before anything else runs.
   */
  read?(node: NodeId, offset: number, count: number, handle: number, caller: Caller): DataOutcome;
  /** `data` is gone after the call, after the promise if one is returned. Returns octets taken. */
  write?(node: NodeId, offset: number, data: Uint8Array, handle: number, caller: Caller): Outcome;
  /** A descriptor of the open file was closed. */
  flush?(node: NodeId, handle: number, caller: Caller): Outcome;
  /** The last descriptor was closed. */
  release?(node: NodeId, handle: number, caller: Caller): Outcome;
  fsync?(node: NodeId, handle: number, dataOnly: boolean, caller: Caller): Outcome;
  opendir?(node: NodeId, flags: number, opened: OpenFile, caller: Caller): Outcome;
  /** Adds names from `offset` on (0: the first) until the list is full or all are told. */
  readdir?(
    node: NodeId,
    offset: number,
    list: DirectoryList,
    handle: number,
    caller: Caller,
  ): Outcome;
  releasedir?(node: NodeId, handle: number): Outcome;
  fsyncdir?(node: NodeId, handle: number, dataOnly: boolean, caller: Caller): Outcome;
  statfs?(node: NodeId, totals: Totals, caller: Caller): Outcome;
  /** Asked only where the kernel does not check permissions itself (default_permissions). */
  access?(node: NodeId, mask: number, caller: Caller): Outcome;
  /** `value` is gone after the call. @param flags XATTR bits. */
  setxattr?(node: NodeId, name: string, value: Uint8Array, flags: number, caller: Caller): Outcome;
  /** The whole value; ENODATA where there is none. */
  getxattr?(node: NodeId, name: string, caller: Caller): DataOutcome;
  /** The names, each ended by NUL. */
  listxattr?(node: NodeId, caller: Caller): DataOutcome;
  removexattr?(node: NodeId, name: string, caller: Caller): Outcome;
  /** @param whence SEEK.data or SEEK.hole. Returns the place. */
  lseek?(node: NodeId, offset: number, whence: number, handle: number, caller: Caller): Outcome;
  /** @param mode FALLOCATE bits. */
  fallocate?(
    node: NodeId,
    mode: number,
    offset: number,
    length: number,
    handle: number,
    caller: Caller,
  ): Outcome;
  /** Returns octets copied. */
  copyFileRange?(from: FilePlace, to: FilePlace, count: number, caller: Caller): Outcome;
  /** No request will come any more. */
  destroy?(): void;
}

/** Attributes with every field zero, to be filled. */
export function blankAttributes(): Attributes {
  return {
    inode: 0,
    mode: 0,
    links: 0,
    uid: 0,
    gid: 0,
    device: 0,
    size: 0,
    blocks: 0,
    blockSize: 4096,
    atime: 0,
    atimeNs: 0,
    mtime: 0,
    mtimeNs: 0,
    ctime: 0,
    ctimeNs: 0,
  };
}

/** Errno of a change that a file system does not offer: all of it, or this kind of object. */
export function unchangeable(files: Pick<FileSystem, "write">): number {
  return files.write === undefined ? -ERRNO.EROFS : -ERRNO.EPERM;
}
