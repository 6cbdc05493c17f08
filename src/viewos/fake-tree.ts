/** A tree of files in memory, with mounts of virtual file systems; the disk of the fake kernel. */
import type { ErrnoName, VirtualCaller, VirtualFiles, VirtualStat } from "../base/index.ts";

/** How a call of the fake kernel fails. A virtual file system may throw it, too. */
export class GuestErrno extends Error {
  override readonly name = "GuestErrno";
  readonly code: string;

  constructor(code: ErrnoName, what = "") {
    super(what === "" ? code : `${code}: ${what}`);
    this.code = code;
  }
}

interface Node {
  readonly type: "file" | "directory" | "link";
  /** Of a link: what it says. */
  content: Uint8Array;
  mode: number;
  uid: number;
  gid: number;
}

/** The one process of the fake kernel; it never gives up. */
const CALLER: VirtualCaller = {
  uid: 1000,
  gid: 1000,
  pid: 1000,
  signal: new AbortController().signal,
};

interface Mount {
  readonly target: string;
  readonly files: VirtualFiles;
}

/** How many links one path may lead through, as in Linux. */
const LINKS_MAX = 40;

const encode = (text: string | Uint8Array): Uint8Array =>
  typeof text === "string" ? new TextEncoder().encode(text) : text;

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/")) || "/";
const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/** Paths are absolute. */
export class FakeTree {
  readonly #nodes = new Map<string, Node>();
  /** Newest first. */
  readonly #mounts: Mount[] = [];

  /** @param files content by path; the directories above are made. */
  constructor(files: { readonly [path: string]: string | Uint8Array }) {
    this.#nodes.set("/", this.#node("directory", "", 0o755));
    for (const [path, content] of Object.entries(files)) {
      this.#makeParents(path);
      this.#nodes.set(path, this.#node("file", content, 0o644));
    }
  }

  #node(type: Node["type"], content: string | Uint8Array, mode: number): Node {
    return { type, content: encode(content), mode, uid: 0, gid: 0 };
  }

  #makeParents(path: string): void {
    for (let at = parentOf(path); at !== "/"; at = parentOf(at)) {
      if (!this.#nodes.has(at)) this.#nodes.set(at, this.#node("directory", "", 0o755));
    }
  }

  #mountOf(path: string): { files: VirtualFiles; inside: string } | undefined {
    const found = this.#mounts.find(
      ({ target }) => path === target || path.startsWith(target === "/" ? "/" : `${target}/`),
    );
    if (found === undefined) return undefined;
    const inside = found.target === "/" ? path : path.slice(found.target.length);
    return { files: found.files, inside: inside === "" ? "/" : inside };
  }

  /**
   * The path that a path really has: links and `..` resolved as path_resolution(7) says. What is
   * not there has the name that it would get.
   * @param path absolute
   * @param follow also a link at its end
   */
  resolve(path: string, follow = true): string {
    const parts = path.split("/");
    let at = "/";
    for (let links = 0; parts.length > 0; ) {
      const part = parts.shift()!;
      if (part === "" || part === ".") continue;
      if (part === "..") {
        at = parentOf(at);
        continue;
      }
      const next = at === "/" ? `/${part}` : `${at}/${part}`;
      const isMounted = this.#mountOf(next) !== undefined;
      const node = isMounted ? undefined : this.#nodes.get(next);
      if (parts.length > 0 && !isMounted) {
        if (node === undefined) throw new GuestErrno("ENOENT", path);
        if (node.type === "file") throw new GuestErrno("ENOTDIR", path);
      }
      if (node?.type !== "link" || (parts.length === 0 && !follow)) {
        at = next;
        continue;
      }
      if (++links > LINKS_MAX) throw new GuestErrno("ELOOP", path);
      const target = new TextDecoder().decode(node.content);
      if (target.startsWith("/")) at = "/";
      parts.unshift(...target.split("/"));
    }
    return at;
  }

  /** Is there a file, of the tree itself or perhaps of a mount? */
  has(path: string): boolean {
    return this.#nodes.has(path) || this.#mountOf(path) !== undefined;
  }

  #get(path: string): Node {
    const node = this.#nodes.get(path);
    if (node === undefined) throw new GuestErrno("ENOENT", path);
    return node;
  }

  #directory(path: string): void {
    if (this.#get(path).type !== "directory") throw new GuestErrno("ENOTDIR", path);
  }

  /** Mounts; directories that are missing on the way are made. */
  mount(target: string, files: VirtualFiles): void {
    this.#makeParents(`${target}/`);
    this.#mounts.unshift({ target, files });
  }

  umount(target: string): void {
    const index = this.#mounts.findIndex((mount) => mount.target === target);
    if (index === -1) throw new GuestErrno("EINVAL", target);
    this.#mounts.splice(index, 1);
  }

  async stat(name: string): Promise<VirtualStat> {
    const path = this.resolve(name);
    const mount = this.#mountOf(path);
    if (mount === undefined) {
      const { type, content, mode, uid, gid } = this.#get(path);
      return { type, size: content.length, mode, uid, gid };
    }
    const found = await mount.files.stat(mount.inside, CALLER);
    const type = mount.inside === "/" ? "directory" : "file";
    if (found !== undefined) return { type, ...found };
    if (mount.inside === "/") return { type };
    throw new GuestErrno("ENOENT", path);
  }

  async list(name: string): Promise<readonly string[]> {
    const path = this.resolve(name);
    const mount = this.#mountOf(path);
    if (mount !== undefined) return [...(await mount.files.list(mount.inside, CALLER))];
    this.#directory(path);
    const names = [...this.#nodes.keys()].filter((known) => parentOf(known) === path);
    return names.filter((known) => known !== "/").map(nameOf);
  }

  async read(name: string): Promise<Uint8Array> {
    const path = this.resolve(name);
    const { type } = await this.stat(path);
    if (type === "directory") throw new GuestErrno("EISDIR", path);
    const mount = this.#mountOf(path);
    if (mount !== undefined) return this.#content(mount.files, mount.inside);
    return this.#get(path).content;
  }

  async #content(files: VirtualFiles, path: string): Promise<Uint8Array> {
    if (files.read !== undefined) return encode(await files.read(path, CALLER));
    const size = (await files.stat(path, CALLER))?.size ?? 0;
    return (await files.readAt?.(path, 0, size, CALLER)) ?? new Uint8Array(0);
  }

  /** Replaces a file's content, or makes the file. */
  async write(name: string, content: string | Uint8Array): Promise<void> {
    const path = this.resolve(name);
    const mount = this.#mountOf(path);
    if (mount !== undefined) {
      const { inside, files } = mount;
      const octets = encode(content);
      if (files.write !== undefined) return await files.write(inside, octets, CALLER);
      if (files.writeAt === undefined) throw new GuestErrno("EROFS", path);
      await files.truncate?.(inside, 0, CALLER);
      return await files.writeAt(inside, octets, 0, CALLER);
    }
    const node = this.#nodes.get(path);
    if (node?.type === "directory") throw new GuestErrno("EISDIR", path);
    if (node === undefined) this.#make(path, "file", content, 0o644);
    else node.content = encode(content);
  }

  #make(name: string, type: Node["type"], content: string | Uint8Array, mode: number): void {
    const path = this.#entry(name);
    if (this.#nodes.has(path)) throw new GuestErrno("EEXIST", path);
    this.#directory(parentOf(path));
    this.#nodes.set(path, this.#node(type, content, mode));
  }

  /** A name to be made or removed. Virtual file systems are changed by writing only. */
  #entry(name: string): string {
    const path = this.resolve(name, false);
    if (this.#mountOf(path) !== undefined) throw new GuestErrno("EROFS", path);
    return path;
  }

  mkdir(path: string, mode: number): void {
    this.#make(path, "directory", "", mode);
  }

  symlink(target: string, path: string): void {
    this.#make(path, "link", target, 0o777);
  }

  link(path: string, newPath: string): void {
    const node = this.#get(this.resolve(path, false));
    this.#make(newPath, "file", "", 0o644);
    this.#nodes.set(this.#entry(newPath), node);
  }

  async readlink(name: string): Promise<string> {
    const path = this.resolve(name, false);
    const mount = this.#mountOf(path);
    if (mount !== undefined) {
      if ((await this.stat(path)).type !== "link") throw new GuestErrno("EINVAL", path);
      const { inside, files } = mount;
      if (files.readlink !== undefined) return await files.readlink(inside, CALLER);
      return new TextDecoder().decode(await this.#content(files, inside));
    }
    const node = this.#get(path);
    if (node.type !== "link") throw new GuestErrno("EINVAL", path);
    return new TextDecoder().decode(node.content);
  }

  unlink(name: string): void {
    const path = this.#entry(name);
    if (this.#get(path).type === "directory") throw new GuestErrno("EISDIR", path);
    this.#nodes.delete(path);
  }

  async rmdir(name: string): Promise<void> {
    const path = this.#entry(name);
    this.#directory(path);
    if ((await this.list(path)).length > 0) throw new GuestErrno("ENOTEMPTY", path);
    this.#nodes.delete(path);
  }

  rename(name: string, newName: string): void {
    const path = this.#entry(name);
    const newPath = this.#entry(newName);
    this.#get(path);
    this.#directory(parentOf(newPath));
    const moved = [...this.#nodes].filter(([name]) => name === path || name.startsWith(`${path}/`));
    for (const [name] of moved) this.#nodes.delete(name);
    for (const [name, node] of moved) this.#nodes.set(newPath + name.slice(path.length), node);
  }

  /** Changes what stat says of a file. */
  change(path: string, change: Partial<Pick<Node, "mode" | "uid" | "gid">>): void {
    Object.assign(this.#get(this.#entry(this.resolve(path))), change);
  }
}
