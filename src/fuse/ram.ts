/**
 * A file system in memory: files with holes, directories, links of both kinds, devices, extended
 * attributes. Every change comes through the kernel, so that what the kernel knows stays true for
 * ever, and opening costs no request. Access times move with modification only, as under noatime.
 */
import { type Clock, copyOctets, ERRNO } from "../base/index.ts";
import type {
  AttributeChange,
  Attributes,
  Caller,
  DirectoryList,
  Entry,
  FilePlace,
  FileSystem,
  Totals,
} from "./file-system.ts";
import { nameToOctets } from "./names.ts";
import {
  CHANGE,
  FALLOCATE,
  MODE,
  MOMENT_TTL,
  OPENED,
  RENAME,
  ROOT_NODE,
  SEEK,
  XATTR,
} from "./protocol.ts";
import type { RamContent } from "./ram-content.ts";
import type { RamDirectory } from "./ram-directory.ts";
import { fillAttributes, isWithin, RamError, RamNode } from "./ram-node.ts";

export interface RamOptions {
  /** Permissions and owner of the root; default 0o755 of user 0. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Most octets of content; default 1 GiB. Beyond it: ENOSPC. */
  readonly octetsMax?: number;
  /** Most files and directories; default 2^20. */
  readonly nodesMax?: number;
  /** Seconds that the kernel may remember names and attributes; default for ever. */
  readonly ttl?: number;
  /** Reads and writes pass by the page cache. */
  readonly isDirect?: boolean;
}

const FOR_EVER = Number.POSITIVE_INFINITY;
const XATTR_OCTETS_MAX = 65_536;
const LINKS_MAX = 65_000;

/** A file system in memory (see the head of this file). */
export class RamFileSystem implements FileSystem {
  readonly #clock: Clock;
  readonly #nodes = new Map<number, RamNode>();
  readonly #octetsMax: number;
  readonly #nodesMax: number;
  readonly #ttl: number;
  readonly #attributesTtl: number;
  /** Without it opening costs no request. */
  readonly open?: NonNullable<FileSystem["open"]>;
  #nextId = ROOT_NODE + 1;
  #octets = 0;

  constructor(clock: Clock, options: RamOptions = {}) {
    this.#clock = clock;
    this.#octetsMax = options.octetsMax ?? 2 ** 30;
    this.#nodesMax = options.nodesMax ?? 2 ** 20;
    this.#ttl = options.ttl ?? FOR_EVER;
    this.#attributesTtl = Math.max(this.#ttl, MOMENT_TTL);
    if (options.isDirect === true) {
      this.open = (_node, _flags, opened) => {
        opened.flags = OPENED.direct;
        return 0;
      };
    }
    const mode = MODE.directory | (options.mode ?? 0o755);
    const root = new RamNode(ROOT_NODE, mode, options.uid ?? 0, options.gid ?? 0, 0);
    root.links = 2;
    root.lookups = 1;
    this.#touch(root, TOUCH.all);
    this.#nodes.set(ROOT_NODE, root);
  }

  /** Files and directories that exist, or are open without a name. */
  get nodeCount(): number {
    return this.#nodes.size;
  }

  #node(id: number): RamNode {
    const node = this.#nodes.get(id);
    if (node === undefined) throw new RamError("ESTALE");
    return node;
  }

  #directory(node: RamNode): RamDirectory<RamNode> {
    if (node.directory === undefined) throw new RamError("ENOTDIR");
    return node.directory;
  }

  #content(id: number): RamContent {
    const { content } = this.#node(id);
    if (content === undefined) throw new RamError("EINVAL");
    return content;
  }

  #touch(node: RamNode, which: number): void {
    const now = this.#clock.wallNs();
    const seconds = Number(now / 1_000_000_000n);
    const nanoseconds = Number(now % 1_000_000_000n);
    node.ctime = seconds;
    node.ctimeNs = nanoseconds;
    if ((which & TOUCH.modified) !== 0) {
      node.mtime = seconds;
      node.mtimeNs = nanoseconds;
    }
    if ((which & TOUCH.accessed) !== 0) {
      node.atime = seconds;
      node.atimeNs = nanoseconds;
    }
  }

  /** The kernel is told of a node. */
  #tell(node: RamNode, entry: Entry): number {
    node.lookups++;
    this.#describe(node, entry);
    return 0;
  }

  #describe(node: RamNode, entry: Entry): void {
    entry.node = node.id;
    entry.generation = 0;
    entry.nameTtl = this.#ttl;
    entry.attributesTtl = this.#attributesTtl;
    fillAttributes(node, entry.attributes);
  }

  lookup(parent: number, name: string, entry: Entry): number {
    const found = this.#directory(this.#node(parent)).get(name);
    if (found !== undefined) return this.#tell(found, entry);
    if (this.#ttl === 0) return -ERRNO.ENOENT;
    entry.node = 0;
    entry.nameTtl = this.#ttl;
    return 0;
  }

  forget(id: number, lookups: number): void {
    const node = this.#nodes.get(id);
    if (node === undefined || id === ROOT_NODE) return;
    node.lookups = Math.max(0, node.lookups - lookups);
    this.#drop(node);
  }

  /** Without a name and unknown to the kernel: gone. */
  #drop(node: RamNode): void {
    if (node.links > 0 || node.lookups > 0) return;
    this.#octets -= node.content?.octets ?? 0;
    this.#nodes.delete(node.id);
  }

  getattr(id: number, attributes: Attributes): number {
    fillAttributes(this.#node(id), attributes);
    return this.#attributesTtl;
  }

  setattr(id: number, change: AttributeChange, attributes: Attributes): number {
    const node = this.#node(id);
    const { fields } = change;
    if ((fields & CHANGE.size) !== 0) this.#resize(node, change.size);
    if ((fields & CHANGE.mode) !== 0) {
      node.mode = (node.mode & MODE.type) | (change.mode & MODE.permissions);
    }
    if ((fields & CHANGE.uid) !== 0) node.uid = change.uid;
    if ((fields & CHANGE.gid) !== 0) node.gid = change.gid;
    this.#touch(node, (fields & CHANGE.size) === 0 ? TOUCH.changed : TOUCH.modified);
    if ((fields & CHANGE.atimeNow) !== 0) this.#touch(node, TOUCH.accessed);
    else if ((fields & CHANGE.atime) !== 0) {
      node.atime = change.atime;
      node.atimeNs = change.atimeNs;
    }
    if ((fields & CHANGE.mtimeNow) !== 0) this.#touch(node, TOUCH.modified);
    else if ((fields & CHANGE.mtime) !== 0) {
      node.mtime = change.mtime;
      node.mtimeNs = change.mtimeNs;
    }
    fillAttributes(node, attributes);
    return this.#attributesTtl;
  }

  #resize(node: RamNode, size: number): void {
    const content = this.#content(node.id);
    this.#account(content, () => content.resize(size));
  }

  /** Counts the memory that a change takes or gives back. */
  #account(content: RamContent, change: () => void): void {
    const before = content.octets;
    change();
    this.#octets += content.octets - before;
  }

  #needRoom(octets: number): void {
    if (this.#octets + octets > this.#octetsMax) throw new RamError("ENOSPC");
  }

  /** A new node under a name that is free. */
  #make(parent: number, name: string, mode: number, device: number, caller: Caller): RamNode {
    const above = this.#node(parent);
    const directory = this.#directory(above);
    if (above.links === 0) throw new RamError("ESTALE");
    if (directory.get(name) !== undefined) throw new RamError("EEXIST");
    if (this.#nodes.size >= this.#nodesMax) throw new RamError("ENOSPC");
    // A directory with the set-group-id bit hands its group down (inode(7)).
    const inherits = (above.mode & MODE.setGid) !== 0;
    const gid = inherits ? above.gid : caller.gid;
    const node = new RamNode(this.#nextId++, mode, caller.uid, gid, device);
    if (node.directory !== undefined) {
      node.links = 2;
      above.links++;
      node.parent = above;
      if (inherits) node.mode |= MODE.setGid;
    }
    this.#touch(node, TOUCH.all);
    this.#touch(above, TOUCH.modified);
    this.#nodes.set(node.id, node);
    directory.set(name, node);
    return node;
  }

  mknod(
    parent: number,
    name: string,
    mode: number,
    device: number,
    entry: Entry,
    caller: Caller,
  ): number {
    return this.#tell(this.#make(parent, name, mode, device, caller), entry);
  }

  mkdir(parent: number, name: string, mode: number, entry: Entry, caller: Caller): number {
    const whole = MODE.directory | (mode & MODE.permissions);
    return this.#tell(this.#make(parent, name, whole, 0, caller), entry);
  }

  symlink(parent: number, name: string, target: string, entry: Entry, caller: Caller): number {
    const node = this.#make(parent, name, MODE.symlink | 0o777, 0, caller);
    node.target = target;
    return this.#tell(node, entry);
  }

  readlink(id: number): string | number {
    const { target } = this.#node(id);
    return target === "" ? -ERRNO.EINVAL : target;
  }

  link(id: number, newParent: number, newName: string, entry: Entry): number {
    const node = this.#node(id);
    const above = this.#node(newParent);
    const directory = this.#directory(above);
    if (node.directory !== undefined) return -ERRNO.EPERM;
    if (directory.get(newName) !== undefined) return -ERRNO.EEXIST;
    if (node.links === 0) return -ERRNO.ENOENT;
    if (node.links >= LINKS_MAX) return -ERRNO.EMLINK;
    directory.set(newName, node);
    node.links++;
    this.#touch(node, TOUCH.changed);
    this.#touch(above, TOUCH.modified);
    return this.#tell(node, entry);
  }

  unlink(parent: number, name: string): number {
    const above = this.#node(parent);
    const node = this.#directory(above).get(name);
    if (node === undefined) return -ERRNO.ENOENT;
    if (node.directory !== undefined) return -ERRNO.EISDIR;
    this.#unname(above, name, node);
    return 0;
  }

  rmdir(parent: number, name: string): number {
    const above = this.#node(parent);
    const node = this.#directory(above).get(name);
    if (node === undefined) return -ERRNO.ENOENT;
    if (node.directory === undefined) return -ERRNO.ENOTDIR;
    if (node.directory.size > 0) return -ERRNO.ENOTEMPTY;
    this.#unname(above, name, node);
    return 0;
  }

  #unname(above: RamNode, name: string, node: RamNode): void {
    this.#directory(above).delete(name);
    this.#touch(above, TOUCH.modified);
    this.#lose(above, node);
  }

  /** One name of the node is gone. */
  #lose(above: RamNode, node: RamNode): void {
    if (node.directory === undefined) node.links--;
    else {
      node.links = 0;
      node.parent = undefined;
      above.links--;
    }
    this.#touch(node, TOUCH.changed);
    this.#drop(node);
  }

  rename(parent: number, name: string, newParent: number, newName: string, flags: number): number {
    const above = this.#node(parent);
    const newAbove = this.#node(newParent);
    const node = this.#directory(above).get(name);
    const old = this.#directory(newAbove).get(newName);
    if (node === undefined) return -ERRNO.ENOENT;
    if ((flags & ~(RENAME.noReplace | RENAME.exchange)) !== 0) return -ERRNO.EINVAL;
    if (flags === RENAME.exchange) return this.#exchange(above, name, newAbove, newName);
    if (old !== undefined && (flags & RENAME.noReplace) !== 0) return -ERRNO.EEXIST;
    if (old === node) return 0;
    if (isWithin(newAbove, node)) return -ERRNO.EINVAL;
    if (old !== undefined) {
      const isDirectory = node.directory !== undefined;
      if (old.directory !== undefined && !isDirectory) return -ERRNO.EISDIR;
      if (old.directory === undefined && isDirectory) return -ERRNO.ENOTDIR;
      if ((old.directory?.size ?? 0) > 0) return -ERRNO.ENOTEMPTY;
      this.#directory(newAbove).delete(newName);
      this.#lose(newAbove, old);
    }
    this.#directory(above).delete(name);
    this.#directory(newAbove).set(newName, node);
    this.#moved(node, above, newAbove);
    return 0;
  }

  #exchange(above: RamNode, name: string, newAbove: RamNode, newName: string): number {
    const node = this.#directory(above).get(name)!;
    const other = this.#directory(newAbove).get(newName);
    if (other === undefined) return -ERRNO.ENOENT;
    if (isWithin(newAbove, node) || isWithin(above, other)) return -ERRNO.EINVAL;
    this.#directory(above).set(name, other);
    this.#directory(newAbove).set(newName, node);
    this.#moved(node, above, newAbove);
    this.#moved(other, newAbove, above);
    return 0;
  }

  #moved(node: RamNode, from: RamNode, to: RamNode): void {
    if (node.directory !== undefined) {
      from.links--;
      to.links++;
      node.parent = to;
    }
    this.#touch(node, TOUCH.changed);
    this.#touch(from, TOUCH.modified);
    this.#touch(to, TOUCH.modified);
  }

  readdir(id: number, offset: number, list: DirectoryList): number {
    const node = this.#node(id);
    const directory = this.#directory(node);
    if (node.links === 0) return 0;
    if (offset < 1 && !list.add(".", id, MODE.directory, 1)) return 0;
    if (offset < 2 && !list.add("..", node.parent?.id ?? id, MODE.directory, 2)) return 0;
    directory.after(Math.max(offset, 2), (slot) => {
      if (list.wantsEntries) this.#describe(slot.node, list.entry);
      const fits = list.add(slot.name, slot.node.id, slot.node.mode, slot.place);
      if (fits && list.wantsEntries) slot.node.lookups++;
      return fits;
    });
    return 0;
  }

  read(id: number, offset: number, count: number): Uint8Array {
    return this.#content(id).read(offset, count);
  }

  write(id: number, offset: number, data: Uint8Array): number {
    const node = this.#node(id);
    const content = this.#content(id);
    this.#needRoom(content.growth(offset, data.length));
    this.#account(content, () => content.write(offset, data));
    this.#touch(node, TOUCH.modified);
    return data.length;
  }

  lseek(id: number, offset: number, whence: number): number {
    const content = this.#content(id);
    if (offset >= content.size || (whence !== SEEK.data && whence !== SEEK.hole)) {
      return -ERRNO.ENXIO;
    }
    const place = content.seek(offset, whence === SEEK.data);
    return place < 0 ? -ERRNO.ENXIO : place;
  }

  fallocate(id: number, mode: number, offset: number, length: number): number {
    const node = this.#node(id);
    const content = this.#content(id);
    const end = offset + length;
    const known = FALLOCATE.keepSize | FALLOCATE.punchHole | FALLOCATE.zeroRange;
    if ((mode & ~known) !== 0) return -ERRNO.EOPNOTSUPP;
    const clears = (mode & (FALLOCATE.punchHole | FALLOCATE.zeroRange)) !== 0;
    if (!clears) this.#needRoom(content.growth(offset, length));
    this.#account(content, () => {
      if (clears) content.clear(offset, Math.min(end, content.size));
      else content.reserve(offset, end);
    });
    if ((mode & FALLOCATE.keepSize) === 0 && end > content.size) content.size = end;
    this.#touch(node, TOUCH.modified);
    return 0;
  }

  copyFileRange(from: FilePlace, to: FilePlace, count: number): number {
    const octets = this.#content(from.node).read(from.offset, Math.min(count, COPY_OCTETS_MAX));
    return this.write(to.node, to.offset, copyOctets(octets));
  }

  statfs(_id: number, totals: Totals): number {
    const blocks = (octets: number): number => Math.max(0, Math.floor(octets / totals.blockSize));
    totals.blocks = blocks(this.#octetsMax);
    totals.blocksFree = totals.blocksAvailable = blocks(this.#octetsMax - this.#octets);
    totals.files = this.#nodesMax;
    totals.filesFree = this.#nodesMax - this.#nodes.size;
    return 0;
  }

  setxattr(id: number, name: string, value: Uint8Array, flags: number): number {
    const node = this.#node(id);
    if (value.length > XATTR_OCTETS_MAX) return -ERRNO.ENOSPC;
    node.xattrs ??= new Map();
    const exists = node.xattrs.has(name);
    if (exists && (flags & XATTR.create) !== 0) return -ERRNO.EEXIST;
    if (!exists && (flags & XATTR.replace) !== 0) return -ERRNO.ENODATA;
    node.xattrs.set(name, copyOctets(value));
    this.#touch(node, TOUCH.changed);
    return 0;
  }

  getxattr(id: number, name: string): Uint8Array | number {
    return this.#node(id).xattrs?.get(name) ?? -ERRNO.ENODATA;
  }

  listxattr(id: number): Uint8Array {
    const names = [...(this.#node(id).xattrs?.keys() ?? [])];
    return nameToOctets(names.map((name) => `${name}\0`).join(""));
  }

  removexattr(id: number, name: string): number {
    const node = this.#node(id);
    if (node.xattrs?.delete(name) !== true) return -ERRNO.ENODATA;
    this.#touch(node, TOUCH.changed);
    return 0;
  }
}

const COPY_OCTETS_MAX = 1 << 20;

/** Which times move beside ctime. */
const TOUCH = { changed: 0, modified: 1, accessed: 2, all: 3 } as const;
