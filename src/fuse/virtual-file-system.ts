/**
 * A description by paths (base/virtual-files.ts) as a file system by nodes. Nothing is
 * remembered here that the kernel remembers: names, attributes and pages are its caches, by the
 * description's `ttl`. What is kept: nodes that the kernel knows, and content of open files.
 */
import { type Awaitable, ERRNO, type VirtualFiles, type VirtualStat } from "../base/index.ts";
import { after } from "./awaitable.ts";
import {
  type AttributeChange,
  type Attributes,
  type Caller,
  type DataOutcome,
  type DirectoryList,
  type Entry,
  type FileSystem,
  type OpenFile,
  type Outcome,
  unchangeable,
} from "./file-system.ts";
import { nameToOctets } from "./names.ts";
import { OpenFiles } from "./open-files.ts";
import { type PathNode, PathNodes } from "./path-nodes.ts";
import { CHANGE, MODE, MOMENT_TTL, OPEN_FLAGS, OPENED, RENAME } from "./protocol.ts";
import {
  DIRECTORY_OCTETS,
  inodeHint,
  isName,
  NodeError,
  RESIZING,
  setTimes,
  UNKNOWN_INODE,
  wished,
} from "./virtual-support.ts";

export interface VirtualFileSystemOptions {
  /** Owner of what the description gives no owner. */
  readonly uid?: number;
  readonly gid?: number;
  /** Time of what has no time. */
  readonly mountedMs?: number;
  /** Where explicit invalidations go; none: `changed` has no effect on the kernel's caches. */
  readonly invalidations?: Invalidations;
}

/** What the kernel is told to forget. */
export interface Invalidations {
  /** Attributes and pages of a node. */
  inode(node: number): void;
  /** A name in a directory. */
  entry(parent: number, name: string): void;
}

const TTL_DEFAULT = 1;
const TYPES = { file: MODE.file, directory: MODE.directory, link: MODE.symlink } as const;

/** A description by paths, seen by nodes. */
export class VirtualFileSystem implements FileSystem {
  readonly #files: VirtualFiles;
  readonly #nodes = new PathNodes();
  readonly #open: OpenFiles;
  readonly #ttl: number;
  readonly #attributesTtl: number;
  readonly #options: VirtualFileSystemOptions;
  /** Present only where the description can do it: what is missing is refused by the server. */
  readonly write?: NonNullable<FileSystem["write"]>;
  readonly mkdir?: NonNullable<FileSystem["mkdir"]>;
  readonly symlink?: NonNullable<FileSystem["symlink"]>;

  constructor(files: VirtualFiles, options: VirtualFileSystemOptions = {}) {
    this.#files = files;
    this.#options = options;
    this.#ttl = files.ttl ?? TTL_DEFAULT;
    this.#attributesTtl = Math.max(this.#ttl, MOMENT_TTL);
    this.#open = new OpenFiles(files);
    this.#nodes.root.lookups = 1;
    if (files.write !== undefined || files.writeAt !== undefined) this.write = this.#write;
    if (files.mkdir !== undefined) this.mkdir = this.#mkdir;
    if (files.symlink !== undefined) this.symlink = this.#symlink;
  }

  /** Nodes that the kernel knows, for tests and reports. */
  get nodeCount(): number {
    return this.#nodes.size;
  }

  /** What a path says has changed: the kernel's caches of it, and of its name, are dropped. */
  changed(path: string): void {
    const { invalidations } = this.#options;
    const node = this.#nodes.at(path);
    if (node !== undefined) invalidations?.inode(node.id);
    const name = path.slice(path.lastIndexOf("/") + 1);
    const parent = this.#nodes.at(path.slice(0, path.length - name.length));
    if (name === "" || parent === undefined) return;
    invalidations?.inode(parent.id);
    invalidations?.entry(parent.id, name);
  }

  #node(id: number): PathNode {
    const node = this.#nodes.get(id);
    if (node === undefined) throw new NodeError("ESTALE");
    return node;
  }

  // -- names

  lookup(parent: number, name: string, entry: Entry, caller: Caller): Outcome {
    const above = this.#node(parent);
    return after(this.#files.stat(above.below(name), caller), (stat) => {
      if (stat !== undefined && stat !== null) return this.#tell(above, name, stat, entry, caller);
      entry.node = 0;
      entry.nameTtl = this.#ttl;
      // Without a time to live a plain refusal costs less than an entry that is stale at once.
      return this.#ttl > 0 ? 0 : -ERRNO.ENOENT;
    });
  }

  /** Fills an entry; the kernel then knows the node. */
  #tell(
    parent: PathNode,
    name: string,
    stat: VirtualStat,
    entry: Entry,
    caller: Caller,
  ): Awaitable<number> {
    const node = this.#nodes.make(parent, name);
    if (node === undefined) return -ERRNO.ENFILE;
    // Held while the description works: a forget must not drop it.
    node.lookups++;
    try {
      const filled = this.#fill(node, stat, entry.attributes, caller);
      const told = after(filled, (result) => {
        entry.node = node.id;
        entry.generation = 0;
        entry.nameTtl = this.#ttl;
        entry.attributesTtl = this.#attributesTtl;
        return result;
      });
      if (typeof told === "number") return told;
      return told.catch((error: unknown) => {
        this.#nodes.forget(node.id, 1);
        throw error;
      });
    } catch (error) {
      this.#nodes.forget(node.id, 1);
      throw error;
    }
  }

  forget(node: number, lookups: number): void {
    this.#nodes.forget(node, lookups);
  }

  // -- attributes

  getattr(id: number, attributes: Attributes, handle: number, caller: Caller): Outcome {
    const node = this.#node(id);
    if (node.isRemoved) return this.#fillRemoved(node, attributes);
    return after(this.#files.stat(node.path, caller), (stat) => {
      if (stat === undefined || stat === null) {
        // Still open, and its description is gone: what is known of it has to do.
        return handle >= 0 ? this.#fillRemoved(node, attributes) : -ERRNO.ENOENT;
      }
      return after(this.#fill(node, stat, attributes, caller), () => this.#attributesTtl);
    });
  }

  #fill(
    node: PathNode,
    stat: VirtualStat,
    attributes: Attributes,
    caller: Caller,
  ): Awaitable<number> {
    const type = TYPES[stat.type ?? (node === this.#nodes.root ? "directory" : "file")];
    if (type === undefined) throw new NodeError("EINVAL");
    const isReadOnly = this.write === undefined;
    const permissions =
      stat.mode ??
      (type === MODE.symlink
        ? 0o777
        : (type === MODE.directory ? 0o755 : 0o644) & (isReadOnly ? 0o555 : 0o777));
    attributes.inode = stat.inode ?? node.inode;
    attributes.mode = node.mode = type | (permissions & MODE.permissions);
    attributes.links = type === MODE.directory ? 2 : 1;
    attributes.uid = stat.uid ?? this.#options.uid ?? 0;
    attributes.gid = stat.gid ?? this.#options.gid ?? 0;
    attributes.device = 0;
    attributes.blockSize = 4096;
    setTimes(attributes, stat.mtimeMs ?? this.#options.mountedMs ?? 0);
    return after(this.#size(node, stat, type, caller), (size) => {
      attributes.size = size;
      attributes.blocks = Math.ceil(size / 512);
      return 0;
    });
  }

  #size(node: PathNode, stat: VirtualStat, type: number, caller: Caller): Awaitable<number> {
    if (type === MODE.directory) return stat.size ?? DIRECTORY_OCTETS;
    if (type === MODE.symlink) {
      return (
        stat.size ?? after(this.#target(node, caller), (target) => nameToOctets(target).length)
      );
    }
    const draft = this.#open.draft(node);
    if (draft !== undefined) return draft.size;
    return stat.size ?? after(this.#open.content(node.path, caller), (content) => content.length);
  }

  /** Of a file whose name is gone: only the open ones can be asked about. */
  #fillRemoved(node: PathNode, attributes: Attributes): number {
    const size = this.#open.draft(node)?.size ?? 0;
    attributes.inode = node.inode;
    attributes.mode = node.mode;
    attributes.links = 0;
    attributes.uid = this.#options.uid ?? 0;
    attributes.gid = this.#options.gid ?? 0;
    attributes.device = 0;
    attributes.size = size;
    attributes.blocks = Math.ceil(size / 512);
    attributes.blockSize = 4096;
    setTimes(attributes, this.#options.mountedMs ?? 0);
    return 0;
  }

  setattr(id: number, change: AttributeChange, attributes: Attributes, caller: Caller): Outcome {
    const node = this.#node(id);
    const { fields } = change;
    const files = this.#files;
    const isOwnership = (fields & (CHANGE.mode | CHANGE.uid | CHANGE.gid)) !== 0;
    if (files.change === undefined && isOwnership) return -ERRNO.EPERM;
    if (this.write === undefined && files.change === undefined) return -ERRNO.EROFS;
    if (node.isRemoved && (fields & CHANGE.mode) !== 0) {
      node.mode = (node.mode & MODE.type) | (change.mode & MODE.permissions);
    }
    const resized = (fields & CHANGE.size) === 0 ? 0 : this.#open.resize(node, change.size, caller);
    return after(resized, (result) => {
      if (result < 0) return result;
      const changed =
        files.change === undefined || node.isRemoved || (fields & ~RESIZING) === 0
          ? undefined
          : files.change(node.path, wished(change), caller);
      return after(changed, () => this.getattr(id, attributes, 0, caller));
    });
  }

  // -- directories

  opendir(id: number, _flags: number, opened: OpenFile): Outcome {
    opened.handle = this.#open.add(this.#node(id));
    return opened.handle < 0 ? -ERRNO.ENFILE : 0;
  }

  readdir(
    id: number,
    offset: number,
    list: DirectoryList,
    handle: number,
    caller: Caller,
  ): Outcome {
    const node = this.#node(id);
    const file = this.#open.get(handle);
    if (file === undefined) return -ERRNO.EBADF;
    if (node.isRemoved) return 0;
    // From the start means afresh: rewinddir(3).
    const names =
      offset > 0 && file.names !== undefined
        ? file.names
        : after(this.#files.list(node.path, caller), (found) => (file.names = [...found]));
    return after(names, (known) => this.#addNames(node, known, offset, list, caller));
  }

  #addNames(
    node: PathNode,
    names: readonly string[],
    offset: number,
    list: DirectoryList,
    caller: Caller,
  ): Awaitable<number> {
    for (let next = offset; next < names.length + 2; next++) {
      const name = next === 0 ? "." : next === 1 ? ".." : names[next - 2]!;
      if (next < 2 || !list.wantsEntries || !isName(name)) {
        if (!isName(name)) continue;
        const inode = next < 2 ? node.inode : inodeHint(this.#nodes.child(node, name));
        if (!list.add(name, inode, next < 2 ? MODE.directory : 0, next + 1)) return 0;
        continue;
      }
      const added = this.#addEntry(node, name, next + 1, list, caller);
      if (typeof added === "boolean") {
        if (!added) return 0;
      } else {
        return added.then((fits) =>
          fits ? this.#addNames(node, names, next + 1, list, caller) : 0,
        );
      }
    }
    return 0;
  }

  #addEntry(
    parent: PathNode,
    name: string,
    next: number,
    list: DirectoryList,
    caller: Caller,
  ): Awaitable<boolean> {
    const { entry } = list;
    return after(this.#files.stat(parent.below(name), caller), (stat) => {
      // Listed and yet not there: a name without an entry, which the kernel looks up when asked to.
      if (stat === undefined || stat === null) return list.add(name, UNKNOWN_INODE, 0, next);
      return after(this.#tell(parent, name, stat, entry, caller), (result) => {
        if (result < 0) return list.add(name, UNKNOWN_INODE, 0, next);
        const { node } = entry;
        const { inode, mode } = entry.attributes;
        const fits = list.add(name, inode, mode, next);
        if (!fits) this.#nodes.forget(node, 1);
        return fits;
      });
    });
  }

  releasedir(_id: number, handle: number): Outcome {
    this.#open.delete(handle);
    return 0;
  }

  readonly #mkdir: NonNullable<FileSystem["mkdir"]> = (parent, name, mode, entry, caller) => {
    const path = this.#node(parent).below(name);
    return after(this.#files.mkdir!(path, mode & MODE.permissions, caller), () =>
      this.#lookUpMade(parent, name, entry, caller),
    );
  };

  readonly #symlink: NonNullable<FileSystem["symlink"]> = (parent, name, target, entry, caller) => {
    const path = this.#node(parent).below(name);
    return after(this.#files.symlink!(path, target, caller), () =>
      this.#lookUpMade(parent, name, entry, caller),
    );
  };

  #lookUpMade(parent: number, name: string, entry: Entry, caller: Caller): Outcome {
    return after(this.lookup(parent, name, entry, caller), (result) =>
      result === 0 && entry.node === 0 ? -ERRNO.ENOENT : result,
    );
  }

  unlink(parent: number, name: string, caller: Caller): Outcome {
    return this.#remove(parent, name, caller);
  }

  rmdir(parent: number, name: string, caller: Caller): Outcome {
    const path = this.#node(parent).below(name);
    return after(this.#files.list(path, caller), (names) =>
      [...names].some(isName) ? -ERRNO.ENOTEMPTY : this.#remove(parent, name, caller),
    );
  }

  #remove(parent: number, name: string, caller: Caller): Outcome {
    const above = this.#node(parent);
    if (this.#files.remove === undefined) return unchangeable(this);
    return after(this.#open.keep(this.#nodes.child(above, name), caller), () =>
      after(this.#files.remove!(above.below(name), caller), () => {
        this.#nodes.remove(above, name);
        return 0;
      }),
    );
  }

  rename(
    parent: number,
    name: string,
    newParent: number,
    newName: string,
    flags: number,
    caller: Caller,
  ): Outcome {
    const [above, newAbove] = [this.#node(parent), this.#node(newParent)];
    if (this.#files.rename === undefined) {
      return unchangeable(this);
    }
    if ((flags & ~RENAME.noReplace) !== 0) return -ERRNO.EINVAL;
    const [from, to] = [above.below(name), newAbove.below(newName)];
    return after(this.#replaceable(to, flags, caller), (result) => {
      if (result < 0) return result;
      return after(this.#open.keep(this.#nodes.child(newAbove, newName), caller), () =>
        after(this.#files.rename!(from, to, caller), () => {
          this.#nodes.move(above, name, newAbove, newName);
          return 0;
        }),
      );
    });
  }

  /** May that name become another file? The kernel has compared their types. */
  #replaceable(path: string, flags: number, caller: Caller): Awaitable<number> {
    return after(this.#files.stat(path, caller), (stat) => {
      if (stat === undefined || stat === null) return 0;
      if ((flags & RENAME.noReplace) !== 0) return -ERRNO.EEXIST;
      if (stat.type !== "directory") return 0;
      return after(this.#files.list(path, caller), (names) =>
        [...names].some(isName) ? -ERRNO.ENOTEMPTY : 0,
      );
    });
  }

  // -- content

  #target(node: PathNode, caller: Caller): Awaitable<string> {
    if (this.#files.readlink !== undefined) return this.#files.readlink(node.path, caller);
    return after(this.#files.read?.(node.path, caller) ?? "", (target) =>
      typeof target === "string" ? target : new TextDecoder().decode(target),
    );
  }

  readlink(id: number, caller: Caller): Awaitable<string | number> {
    return this.#target(this.#node(id), caller);
  }

  open(id: number, flags: number, opened: OpenFile): Outcome {
    const node = this.#node(id);
    opened.handle = this.#open.add(node);
    // A file with a lasting description keeps its pages; else each opening reads anew.
    if (this.#ttl === Number.POSITIVE_INFINITY) opened.flags |= OPENED.keepCache;
    // Closing what was only read costs no request.
    if ((flags & OPEN_FLAGS.access) === 0) opened.flags |= OPENED.noFlush;
    return opened.handle < 0 ? -ERRNO.ENFILE : 0;
  }

  create(
    parent: number,
    name: string,
    mode: number,
    flags: number,
    entry: Entry,
    opened: OpenFile,
    caller: Caller,
  ): Outcome {
    const path = this.#node(parent).below(name);
    const files = this.#files;
    if (files.create === undefined && files.write === undefined) {
      return unchangeable(this);
    }
    const made =
      files.create === undefined
        ? files.write!(path, new Uint8Array(0), caller)
        : files.create(path, mode & MODE.permissions, caller);
    return after(made, () =>
      after(this.#lookUpMade(parent, name, entry, caller), (result) => {
        if (result < 0) return result;
        return this.open(entry.node, flags, opened);
      }),
    );
  }

  mknod(
    parent: number,
    name: string,
    mode: number,
    _device: number,
    entry: Entry,
    caller: Caller,
  ): Outcome {
    if ((mode & MODE.type) !== MODE.file) return -ERRNO.EPERM;
    const opened = { handle: 0, flags: 0 };
    return after(this.create(parent, name, mode, 0, entry, opened, caller), (result) => {
      if (result >= 0) this.#open.delete(opened.handle);
      return result;
    });
  }

  read(id: number, offset: number, count: number, handle: number, caller: Caller): DataOutcome {
    return this.#open.read(this.#node(id), offset, count, handle, caller);
  }

  readonly #write: NonNullable<FileSystem["write"]> = (id, offset, data, handle, caller) =>
    this.#open.write(this.#node(id), offset, data, handle, caller);

  flush(id: number, _handle: number, caller: Caller): Outcome {
    return this.#open.save(this.#node(id), caller);
  }

  fsync(id: number, _handle: number, _dataOnly: boolean, caller: Caller): Outcome {
    return this.#open.save(this.#node(id), caller);
  }

  release(id: number, handle: number, caller: Caller): Outcome {
    // Written through a mapping after the last close: saved here, with nobody left to tell.
    return after(this.#open.save(this.#node(id), caller), (result) => {
      this.#open.delete(handle);
      return result;
    });
  }
}
