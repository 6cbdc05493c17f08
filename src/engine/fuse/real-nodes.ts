/** Files of a real directory that the kernel knows through our mount: an O_PATH descriptor each. */
import { type Attributes, encodeName, ROOT_NODE } from "../../fuse/index.ts";
import { AT, FileCalls, O, STATX_OCTETS } from "../../sys/index.ts";

/** A file, held by a descriptor, so that its inode number stays its own. */
export interface RealNode {
  readonly id: number;
  readonly fd: number;
  readonly inode: number;
  readonly device: number;
  lookups: number;
}

/** STATX_BASIC_STATS of linux/stat.h. */
const BASIC_STATS = 0x7ff;
/** struct statx. */
const STATX = {
  blockSize: 4,
  links: 16,
  uid: 20,
  gid: 24,
  mode: 28,
  inode: 32,
  size: 40,
  blocks: 48,
  atime: 64,
  ctime: 96,
  mtime: 112,
  rdevMajor: 128,
  rdevMinor: 132,
  devMajor: 136,
  devMinor: 140,
} as const;

const HIGH = 2 ** 32;
const PATH_OCTETS = 4096;
const NOTHING = Uint8Array.of(0);

/** A path for system calls: octets and their NUL, in memory that is used again. */
export class PathOctets {
  readonly octets = new Uint8Array(PATH_OCTETS);

  set(path: string): Uint8Array {
    this.octets[encodeName(path, this.octets)] = 0;
    return this.octets;
  }
}

export class RealNodes {
  readonly calls = new FileCalls();
  readonly root: RealNode;
  readonly #byId = new Map<number, RealNode>();
  /** By inode number; those of other devices below the directory have lists of their own. */
  readonly #byInode = new Map<number, RealNode[]>();
  readonly #statx = new Uint8Array(STATX_OCTETS);
  readonly #view = new DataView(this.#statx.buffer);
  readonly #path = new PathOctets();
  #nextId = ROOT_NODE + 1;

  /** @param fd an O_PATH descriptor of the directory, closed by `close`. */
  constructor(fd: number) {
    this.calls.statx(fd, NOTHING, AT.EMPTY_PATH, BASIC_STATS, this.#statx);
    this.root = { id: ROOT_NODE, fd, inode: this.#inode, device: this.#device, lookups: 1 };
    this.#add(this.root);
  }

  get #inode(): number {
    return this.#u64(STATX.inode);
  }

  get #device(): number {
    return (
      this.#view.getUint32(STATX.devMajor, true) * HIGH + this.#view.getUint32(STATX.devMinor, true)
    );
  }

  get(id: number): RealNode | undefined {
    return this.#byId.get(id);
  }

  #add(node: RealNode): void {
    this.#byId.set(node.id, node);
    const same = this.#byInode.get(node.inode);
    if (same === undefined) this.#byInode.set(node.inode, [node]);
    else same.push(node);
  }

  #known(): RealNode | undefined {
    const device = this.#device;
    return this.#byInode.get(this.#inode)?.find((node) => node.device === device);
  }

  /**
   * The node of a name, whose attributes are then in `into`; the caller counts the lookup.
   * @returns a negative errno when there is none.
   */
  find(parent: RealNode, name: string, into: Attributes): RealNode | number {
    const path = this.#path.set(name);
    const flags = AT.SYMLINK_NOFOLLOW;
    const failure = this.calls.statx(parent.fd, path, flags, BASIC_STATS, this.#statx);
    if (failure < 0) return failure;
    const known = this.#known();
    if (known !== undefined) {
      this.#fill(into);
      return known;
    }
    const fd = this.calls.openat(parent.fd, path, O.PATH | O.NOFOLLOW | O.CLOEXEC);
    if (fd < 0) return fd;
    // Another file may have taken the name in between: what is held is what counts.
    this.calls.statx(fd, NOTHING, AT.EMPTY_PATH, BASIC_STATS, this.#statx);
    this.#fill(into);
    const other = this.#known();
    if (other !== undefined) {
      this.calls.close(fd);
      return other;
    }
    const id = this.#nextId++;
    const node = { id, fd, inode: this.#inode, device: this.#device, lookups: 0 };
    this.#add(node);
    return node;
  }

  /** @returns 0 or a negative errno. */
  stat(fd: number, into: Attributes): number {
    const failure = this.calls.statx(fd, NOTHING, AT.EMPTY_PATH, BASIC_STATS, this.#statx);
    if (failure === 0) this.#fill(into);
    return failure;
  }

  #u64(at: number): number {
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * HIGH;
  }

  #seconds(at: number): number {
    return this.#view.getUint32(at, true) + this.#view.getInt32(at + 4, true) * HIGH;
  }

  #fill(into: Attributes): void {
    const view = this.#view;
    into.inode = this.#inode;
    into.mode = view.getUint16(STATX.mode, true);
    into.links = view.getUint32(STATX.links, true);
    into.uid = view.getUint32(STATX.uid, true);
    into.gid = view.getUint32(STATX.gid, true);
    const major = view.getUint32(STATX.rdevMajor, true);
    const minor = view.getUint32(STATX.rdevMinor, true);
    into.device = ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
    into.size = this.#u64(STATX.size);
    into.blocks = this.#u64(STATX.blocks);
    into.blockSize = view.getUint32(STATX.blockSize, true);
    into.atime = this.#seconds(STATX.atime);
    into.atimeNs = view.getUint32(STATX.atime + 8, true);
    into.mtime = this.#seconds(STATX.mtime);
    into.mtimeNs = view.getUint32(STATX.mtime + 8, true);
    into.ctime = this.#seconds(STATX.ctime);
    into.ctimeNs = view.getUint32(STATX.ctime + 8, true);
  }

  forget(id: number, lookups: number): void {
    const node = this.#byId.get(id);
    if (node === undefined || node === this.root) return;
    node.lookups -= lookups;
    if (node.lookups > 0) return;
    this.#byId.delete(id);
    const same = this.#byInode.get(node.inode)!.filter((other) => other !== node);
    if (same.length === 0) this.#byInode.delete(node.inode);
    else this.#byInode.set(node.inode, same);
    this.calls.close(node.fd);
  }

  /** Closes everything; idempotent. */
  close(): void {
    for (const { fd } of this.#byId.values()) this.calls.close(fd);
    this.#byId.clear();
    this.#byInode.clear();
  }
}
