/** Nodes of a file system that is described by paths: a tree of the names that the kernel knows. */
import { MODE, ROOT_NODE } from "./protocol.ts";

/** A name that the kernel knows, or a directory above one. */
export class PathNode {
  readonly id: number;
  readonly inode: number;
  name: string;
  /** undefined: the root, or removed. */
  parent: PathNode | undefined;
  children: Map<string, PathNode> | undefined;
  /** How often the kernel has been told of it. */
  lookups = 0;
  isRemoved = false;
  /** Type and permissions, as last told: of a node without a name nothing else is known. */
  mode: number = MODE.file | 0o644;

  get isFile(): boolean {
    return (this.mode & MODE.type) === MODE.file;
  }

  constructor(id: number, inode: number, name: string, parent: PathNode | undefined) {
    this.id = id;
    this.inode = inode;
    this.name = name;
    this.parent = parent;
  }

  /** `/` of the root; of a removed node its last name. */
  get path(): string {
    if (this.id === ROOT_NODE) return "/";
    const above = this.parent?.path ?? "/";
    return above === "/" ? `/${this.name}` : `${above}/${this.name}`;
  }

  /** Path of a name in this directory. */
  below(name: string): string {
    return this.id === ROOT_NODE ? `/${name}` : `${this.path}/${name}`;
  }
}

/** The kernel forgets nodes when it needs memory; a limit is for descriptions without end. */
export const NODES_MAX = 1 << 20;

export class PathNodes {
  readonly root = new PathNode(ROOT_NODE, ROOT_NODE, "", undefined);
  readonly #byId = new Map<number, PathNode>([[ROOT_NODE, this.root]]);
  readonly #inodes = new Set<number>();
  readonly #limit: number;
  #nextId = ROOT_NODE + 1;
  /** Names that were not told because there are too many. */
  refused = 0;

  constructor(limit = NODES_MAX) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** The node with that number; undefined for one that nobody was told. */
  get(id: number): PathNode | undefined {
    return this.#byId.get(id);
  }

  /** The node of a path, if the kernel knows it. */
  at(path: string): PathNode | undefined {
    let node: PathNode | undefined = this.root;
    for (const name of path.split("/")) {
      if (name !== "") node = node?.children?.get(name);
    }
    return node;
  }

  child(parent: PathNode, name: string): PathNode | undefined {
    return parent.children?.get(name);
  }

  /** The node of a name, made if need be; undefined when there are too many. */
  make(parent: PathNode, name: string): PathNode | undefined {
    const known = parent.children?.get(name);
    if (known !== undefined) return known;
    if (this.#byId.size >= this.#limit) {
      this.refused++;
      return undefined;
    }
    const node = new PathNode(this.#nextId++, this.#freeInode(parent.below(name)), name, parent);
    this.#inodes.add(node.inode);
    this.#byId.set(node.id, node);
    parent.children ??= new Map();
    parent.children.set(name, node);
    return node;
  }

  /** A renamed file keeps the number of its old path, which a new file may have by now. */
  #freeInode(path: string): number {
    let inode = inodeOf(path);
    while (this.#inodes.has(inode)) inode++;
    return inode;
  }

  /** The kernel has dropped `lookups` of a node; it goes when it is not needed any more. */
  forget(id: number, lookups: number): void {
    const node = this.#byId.get(id);
    if (node === undefined) return;
    node.lookups = Math.max(0, node.lookups - lookups);
    this.prune(node);
  }

  /** Lets go of a node that nobody was told, and of directories that held only it. */
  prune(node: PathNode): void {
    let at: PathNode | undefined = node;
    while (at !== undefined && at.id !== ROOT_NODE) {
      if (at.lookups > 0 || (at.children?.size ?? 0) > 0) return;
      const { parent }: PathNode = at;
      this.#byId.delete(at.id);
      this.#inodes.delete(at.inode);
      this.#unhook(at);
      at = parent;
    }
  }

  #unhook(node: PathNode): void {
    if (node.parent?.children?.get(node.name) === node) node.parent.children.delete(node.name);
  }

  /** A name is gone; whoever has it open keeps the node. */
  remove(parent: PathNode, name: string): void {
    const node = parent.children?.get(name);
    if (node === undefined) return;
    node.isRemoved = true;
    this.#unhook(node);
    node.parent = undefined;
    this.prune(node);
  }

  /** A name became another. What had that one is removed. */
  move(parent: PathNode, name: string, newParent: PathNode, newName: string): void {
    const node = parent.children?.get(name);
    if (node !== undefined && newParent.children?.get(newName) === node) return;
    this.remove(newParent, newName);
    if (node === undefined) return;
    this.#unhook(node);
    node.name = newName;
    node.parent = newParent;
    newParent.children ??= new Map();
    newParent.children.set(newName, node);
  }
}

/** FNV-1a in two lanes, 52 bits: the same path has the same number after every mount. */
function inodeOf(path: string): number {
  let low = 0x811c9dc5;
  let high = 0xcbf29ce4;
  for (let i = 0; i < path.length; i++) {
    const unit = path.charCodeAt(i);
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul(high ^ unit ^ (low >>> 13), 0x85ebca6b);
  }
  // 0 means "none", and small numbers are roots.
  return (high >>> 12) * 2 ** 32 + (low >>> 0) + 0x1000;
}
