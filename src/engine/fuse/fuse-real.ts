/**
 * A real directory shown again: `mount -t real /home/me/data /mnt`. Everything is done by whoever
 * serves, new files then belong to their makers, as far as the server may give them away. The
 * directory may change behind the mount: `ttl=1` is how long, in seconds, the kernel may not notice
 * (default 0).
 */
import { ERRNO, EXIT, V2Error } from "../../base/index.ts";
import {
  type AttributeChange,
  type Attributes,
  type Caller,
  CHANGE,
  decodeName,
  type DirectoryList,
  type Entry,
  type FilePlace,
  type FileSystem,
  MODE,
  MOMENT_TTL,
  type OpenFile,
  type Totals,
} from "../../fuse/index.ts";
import {
  allocateFile,
  AT,
  copyFileRange,
  type FileCalls,
  O,
  openFd,
  readAt,
  readDirectory,
  resizeFile,
  seekFile,
  STATFS_OCTETS,
  syncFile,
  writeAt,
} from "../../sys/index.ts";
import type { FuseMountRequest } from "./fuse-worker.ts";
import { PathOctets, type RealNode, RealNodes } from "./real-nodes.ts";

const NO_CHANGE = 0xffff_ffff;
/** UTIME_OMIT of sys/stat.h. */
const UTIME_OMIT = 0x3fff_fffe;
const DATA_OCTETS = 1 << 20;
const NAMES_OCTETS = 1 << 16;
const XATTR_OCTETS = 1 << 16;
const NOTHING = Uint8Array.of(0);

interface OpenNames {
  readonly fd: number;
  names: readonly { readonly name: string; readonly inode: number; readonly type: number }[];
}

/** A directory of the host by nodes. Every call is made at once, on the serving thread. */
export class RealFileSystem implements FileSystem {
  readonly #nodes: RealNodes;
  readonly #calls: FileCalls;
  readonly #ttl: number;
  readonly #attributesTtl: number;
  readonly #uid = process.getuid!();
  readonly #umask = process.umask();
  readonly #data = new Uint8Array(DATA_OCTETS);
  readonly #names = new Uint8Array(NAMES_OCTETS);
  readonly #statfs = new Uint8Array(STATFS_OCTETS);
  readonly #path = new PathOctets();
  readonly #other = new PathOctets();
  readonly #directories = new Map<number, OpenNames>();

  /** @param fd an O_PATH descriptor of the directory, closed by `destroy`. */
  constructor(fd: number, ttl = 0) {
    this.#nodes = new RealNodes(fd);
    this.#calls = this.#nodes.calls;
    this.#ttl = ttl;
    this.#attributesTtl = Math.max(ttl, MOMENT_TTL);
  }

  #node(id: number): RealNode {
    const node = this.#nodes.get(id);
    if (node === undefined) throw Object.assign(new Error("ESTALE"), { code: "ESTALE" });
    return node;
  }

  /** A path that leads to the node itself, whatever its names are. */
  #procPath(node: RealNode): Uint8Array {
    return this.#path.set(`/proc/self/fd/${node.fd}`);
  }

  #tell(parent: RealNode, name: string, entry: Entry): number {
    const found = this.#nodes.find(parent, name, entry.attributes);
    if (typeof found === "number") return found;
    found.lookups++;
    entry.node = found.id;
    entry.generation = 0;
    entry.nameTtl = this.#ttl;
    entry.attributesTtl = this.#attributesTtl;
    return 0;
  }

  lookup(parent: number, name: string, entry: Entry): number {
    const result = this.#tell(this.#node(parent), name, entry);
    if (result !== -ERRNO.ENOENT || this.#ttl === 0) return result;
    entry.node = 0;
    entry.nameTtl = this.#ttl;
    return 0;
  }

  forget(id: number, lookups: number): void {
    this.#nodes.forget(id, lookups);
  }

  getattr(id: number, attributes: Attributes): number {
    const failure = this.#nodes.stat(this.#node(id).fd, attributes);
    return failure < 0 ? failure : this.#attributesTtl;
  }

  setattr(id: number, change: AttributeChange, attributes: Attributes): number {
    const node = this.#node(id);
    const { fields } = change;
    if ((fields & CHANGE.mode) !== 0) {
      const mode = change.mode & MODE.permissions;
      const failure = this.#calls.fchmodat(AT.FDCWD, this.#procPath(node), mode);
      if (failure < 0) return failure;
    }
    if ((fields & (CHANGE.uid | CHANGE.gid)) !== 0) {
      const uid = (fields & CHANGE.uid) === 0 ? NO_CHANGE : change.uid;
      const gid = (fields & CHANGE.gid) === 0 ? NO_CHANGE : change.gid;
      const failure = this.#calls.fchownat(node.fd, NOTHING, uid, gid, AT.EMPTY_PATH);
      if (failure < 0) return failure;
    }
    if ((fields & CHANGE.size) !== 0) {
      const failure =
        (fields & CHANGE.handle) === 0
          ? this.#calls.truncate(this.#procPath(node), BigInt(change.size))
          : resizeFile(change.handle, change.size);
      if (failure < 0) return failure;
    }
    if ((fields & (CHANGE.atime | CHANGE.mtime)) !== 0) {
      const failure = this.#calls.utimensat(node.fd, NOTHING, times(change), AT.EMPTY_PATH);
      if (failure < 0) return failure;
    }
    return this.getattr(id, attributes);
  }

  /** After something was made: its owner, its whole mode, and what the kernel is told. */
  #made(
    result: number,
    parent: RealNode,
    name: string,
    mode: number | undefined,
    entry: Entry,
    caller: Caller,
  ): number {
    if (result < 0) return result;
    const told = this.#tell(parent, name, entry);
    if (told < 0) return told;
    const node = this.#node(entry.node);
    if (this.#uid === 0 && caller.uid !== this.#uid) {
      // A directory with the set-group-id bit has handed its group down.
      const group = entry.attributes.gid === process.getgid!() ? caller.gid : NO_CHANGE;
      this.#calls.fchownat(node.fd, NOTHING, caller.uid, group, AT.EMPTY_PATH);
    }
    // The caller's mask was applied by the kernel; ours was none of its business.
    if (mode !== undefined && (mode & this.#umask) !== 0) {
      const inherited = entry.attributes.mode & MODE.setGid;
      const whole = (mode & MODE.permissions) | inherited;
      this.#calls.fchmodat(AT.FDCWD, this.#procPath(node), whole);
    }
    return Math.min(0, this.#nodes.stat(node.fd, entry.attributes));
  }

  mknod(
    parent: number,
    name: string,
    mode: number,
    device: number,
    entry: Entry,
    caller: Caller,
  ): number {
    const above = this.#node(parent);
    const result = this.#calls.mknodat(above.fd, this.#path.set(name), mode, device);
    return this.#made(result, above, name, mode, entry, caller);
  }

  mkdir(parent: number, name: string, mode: number, entry: Entry, caller: Caller): number {
    const above = this.#node(parent);
    const result = this.#calls.mkdirat(above.fd, this.#path.set(name), mode);
    return this.#made(result, above, name, mode, entry, caller);
  }

  symlink(parent: number, name: string, target: string, entry: Entry, caller: Caller): number {
    const above = this.#node(parent);
    const path = this.#path.set(name);
    const result = this.#calls.symlinkat(this.#other.set(target), above.fd, path);
    return this.#made(result, above, name, undefined, entry, caller);
  }

  readlink(id: number): string | number {
    const octets = this.#calls.readlinkat(this.#node(id).fd, NOTHING, this.#data);
    return octets < 0 ? octets : decodeName(this.#data, 0, octets);
  }

  link(id: number, newParent: number, newName: string, entry: Entry): number {
    const above = this.#node(newParent);
    const from = this.#procPath(this.#node(id));
    const to = this.#other.set(newName);
    const result = this.#calls.linkat(AT.FDCWD, from, above.fd, to, AT.SYMLINK_FOLLOW);
    return result < 0 ? result : this.#tell(above, newName, entry);
  }

  unlink(parent: number, name: string): number {
    return this.#calls.unlinkat(this.#node(parent).fd, this.#path.set(name), 0);
  }

  rmdir(parent: number, name: string): number {
    return this.#calls.unlinkat(this.#node(parent).fd, this.#path.set(name), AT.REMOVEDIR);
  }

  rename(parent: number, name: string, newParent: number, newName: string, flags: number): number {
    const [from, to] = [this.#node(parent).fd, this.#node(newParent).fd];
    return this.#calls.renameat2(from, this.#path.set(name), to, this.#other.set(newName), flags);
  }

  open(id: number, flags: number, opened: OpenFile): number {
    const path = this.#procPath(this.#node(id));
    const fd = this.#calls.openat(AT.FDCWD, path, (flags & KEPT_FLAGS) | O.CLOEXEC);
    opened.handle = fd;
    return Math.min(0, fd);
  }

  create(
    parent: number,
    name: string,
    mode: number,
    flags: number,
    entry: Entry,
    opened: OpenFile,
    caller: Caller,
  ): number {
    const above = this.#node(parent);
    const how = (flags & (KEPT_FLAGS | O.EXCL)) | O.CREAT | O.NOFOLLOW | O.CLOEXEC;
    const fd = this.#calls.openat(above.fd, this.#path.set(name), how, mode & MODE.permissions);
    const result = this.#made(Math.min(0, fd), above, name, mode, entry, caller);
    if (result < 0 && fd >= 0) this.#calls.close(fd);
    opened.handle = fd;
    return result;
  }

  read(_id: number, offset: number, count: number, handle: number): Uint8Array | number {
    const octets = readAt(handle, this.#data, Math.min(count, this.#data.length), offset);
    return octets < 0 ? octets : this.#data.subarray(0, octets);
  }

  write(_id: number, offset: number, data: Uint8Array, handle: number): number {
    return writeAt(handle, data, offset);
  }

  release(_id: number, handle: number): number {
    this.#calls.close(handle);
    return 0;
  }

  fsync(_id: number, handle: number, dataOnly: boolean): number {
    return syncFile(handle, dataOnly);
  }

  lseek(_id: number, offset: number, whence: number, handle: number): number {
    return seekFile(handle, offset, whence);
  }

  fallocate(_id: number, mode: number, offset: number, length: number, handle: number): number {
    return allocateFile(handle, mode, offset, length);
  }

  copyFileRange(from: FilePlace, to: FilePlace, count: number): number {
    return copyFileRange(from.handle, from.offset, to.handle, to.offset, count);
  }

  opendir(id: number, _flags: number, opened: OpenFile): number {
    const path = this.#procPath(this.#node(id));
    const fd = this.#calls.openat(AT.FDCWD, path, O.DIRECTORY | O.CLOEXEC);
    if (fd < 0) return fd;
    this.#directories.set(fd, { fd, names: [] });
    opened.handle = fd;
    return 0;
  }

  readdir(id: number, offset: number, list: DirectoryList, handle: number): number {
    const open = this.#directories.get(handle);
    if (open === undefined) return -ERRNO.EBADF;
    if (offset === 0) {
      // Places in a real directory may need 63 bits: ours are numbers of names.
      const found = readDirectory(open.fd, this.#names);
      if (typeof found === "number") return found;
      open.names = found.map((one) => ({ ...one, name: decodeName(one.name) }));
    }
    const parent = this.#node(id);
    for (let next = offset; next < open.names.length; next++) {
      const { name, inode, type } = open.names[next]!;
      const isTold = list.wantsEntries && name !== "." && name !== "..";
      // Gone meanwhile: listed without an entry.
      if (isTold && this.#tell(parent, name, list.entry) < 0) list.entry.node = 0;
      const { node } = list.entry;
      if (list.add(name, inode, type << 12, next + 1)) continue;
      if (isTold && node !== 0) this.#nodes.forget(node, 1);
      break;
    }
    return 0;
  }

  releasedir(_id: number, handle: number): number {
    if (this.#directories.delete(handle)) this.#calls.close(handle);
    return 0;
  }

  fsyncdir(_id: number, handle: number, dataOnly: boolean): number {
    return syncFile(handle, dataOnly);
  }

  /** struct statfs of 64-bit machines. */
  statfs(id: number, totals: Totals): number {
    const failure = this.#calls.fstatfs(this.#node(id).fd, this.#statfs);
    if (failure < 0) return failure;
    const view = new DataView(this.#statfs.buffer);
    const field = (at: number): number => Number(view.getBigUint64(at, true));
    totals.blockSize = field(8);
    totals.blocks = field(16);
    totals.blocksFree = field(24);
    totals.blocksAvailable = field(32);
    totals.files = field(40);
    totals.filesFree = field(48);
    totals.nameOctetsMax = field(64);
    return 0;
  }

  setxattr(id: number, name: string, value: Uint8Array, flags: number): number {
    const path = this.#procPath(this.#node(id));
    return this.#calls.setxattr(path, this.#other.set(name), value, value.length, flags);
  }

  getxattr(id: number, name: string): Uint8Array | number {
    const path = this.#procPath(this.#node(id));
    const octets = this.#calls.getxattr(path, this.#other.set(name), this.#data, XATTR_OCTETS);
    return octets < 0 ? octets : this.#data.subarray(0, octets);
  }

  listxattr(id: number): Uint8Array | number {
    const path = this.#procPath(this.#node(id));
    const octets = this.#calls.listxattr(path, this.#data, XATTR_OCTETS);
    return octets < 0 ? octets : this.#data.subarray(0, octets);
  }

  removexattr(id: number, name: string): number {
    return this.#calls.removexattr(this.#procPath(this.#node(id)), this.#other.set(name));
  }

  destroy(): void {
    for (const fd of this.#directories.keys()) this.#calls.close(fd);
    this.#directories.clear();
    this.#nodes.close();
  }
}

/** Of open(2)'s flags those that are the file's: names are resolved, appending is the kernel's. */
const KEPT_FLAGS = O.ACCMODE | O.TRUNC | O.NONBLOCK | O.LARGEFILE;

/** Two struct timespec, atime first. */
function times(change: AttributeChange): Uint8Array {
  const octets = new Uint8Array(32);
  const view = new DataView(octets.buffer);
  const put = (at: number, isWanted: boolean, seconds: number, nanoseconds: number): void => {
    view.setBigInt64(at, BigInt(seconds), true);
    view.setBigInt64(at + 8, BigInt(isWanted ? nanoseconds : UTIME_OMIT), true);
  };
  put(0, (change.fields & CHANGE.atime) !== 0, change.atime, change.atimeNs);
  put(16, (change.fields & CHANGE.mtime) !== 0, change.mtime, change.mtimeNs);
  return octets;
}

export default {
  name: "real",
  mount({ source, options }: FuseMountRequest): RealFileSystem {
    const ttl = Number(options["ttl"] ?? 0);
    if (!(ttl >= 0)) {
      const remedy = "seconds that the kernel may remember: ttl=1";
      throw new V2Error("EINVAL", `ttl=${options["ttl"]} is no time`, {
        remedy,
        exitCode: EXIT.usage,
      });
    }
    return new RealFileSystem(openFd(source, O.PATH | O.DIRECTORY), ttl);
  },
};
