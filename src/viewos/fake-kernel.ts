/**
 * A kernel in memory for the tests of modules: files, mounts, names, sockets and numbers of one
 * process, deterministic, without Linux. Calls go through the inserted modules as those of a guest
 * do; what they pass on is done to the tree of files. A call that fails throws a GuestErrno.
 */
import { type ErrnoName, errnoName, type VirtualStat } from "../base/index.ts";
import { FakeTree, GuestErrno } from "./fake-tree.ts";
import type { Decision, Module, MountRequest } from "./module.ts";
import { parseOptions } from "./module.ts";
import { ModuleChain } from "./module-chain.ts";
import { absolutePath, opensForWriting } from "./operation-fields.ts";
import type { Operation, OperationFields, SocketAddress, UtsName } from "./operations.ts";

/** What the fake world is like. */
export interface FakeWorld {
  readonly modules?: readonly Module[];
  /** Content by path. */
  readonly files?: { readonly [path: string]: string | Uint8Array };
  readonly names?: Partial<UtsName>;
  /** Addresses that accept connections, as `host:port` or a path. */
  readonly listening?: readonly string[];
}

/** A call that has been made, and what the modules decided about it. */
export interface FakeRecord {
  readonly operation: Operation;
  readonly fields: object;
  /** `pass` when no module wanted it. */
  readonly decision: Decision;
}

const NAMES: UtsName = {
  sysname: "Linux",
  nodename: "fake",
  release: "6.0.0",
  version: "#1",
  machine: "x86_64",
  domainname: "(none)",
};
const PID = 1000;
const O_WRONLY = 1;
const O_CREAT = 0o100;
const O_TRUNC = 0o1000;
const O_DIRECTORY = 0o200000;

type Performers = {
  readonly [O in Operation]: (fields: OperationFields[O]) => unknown;
};

/** A path of a call: that of the file, and as given, made absolute and nothing else. */
interface NamedPath {
  readonly path: string;
  readonly given: string;
}

/** The fake kernel; its methods are the system calls of one process. */
export class FakeKernel {
  /** Lines of modules: errors, and what they were given no decision for. */
  readonly log: string[] = [];
  /** Every call, in order. */
  readonly calls: FakeRecord[] = [];
  readonly #tree: FakeTree;
  readonly #chain: ModuleChain;
  readonly #listening: ReadonlySet<string>;
  readonly #performers: Performers;
  #names: UtsName;
  #directory = "/";

  constructor(world: FakeWorld = {}) {
    this.#tree = new FakeTree(world.files ?? {});
    this.#names = { ...NAMES, ...world.names };
    this.#listening = new Set(world.listening);
    this.#chain = new ModuleChain({ log: (line) => this.log.push(line), running: () => {} });
    this.#performers = this.#makePerformers();
    for (const module of world.modules ?? []) this.insert(module);
  }

  insert(module: Module): void {
    this.#chain.insert(module);
  }

  remove(name: string): void {
    this.#chain.remove(name);
  }

  /** Makes any call; the methods below are shorter. Gives what the call gives, if anything. */
  async call<O extends Operation>(operation: O, fields: OperationFields[O]): Promise<unknown> {
    const decision = await this.#chain.answer({ operation, pid: PID, fields });
    this.calls.push({ operation, fields, decision });
    if (decision.kind === "fail") {
      throw new GuestErrno(errnoName(decision.errno) as ErrnoName, operation);
    }
    if (decision.kind === "reply") {
      const isWritten = operation === "open" && (fields as OperationFields["open"]).write;
      if (isWritten) throw new GuestErrno("EROFS", operation);
      return decision.value;
    }
    const { kind: _, ...others } = decision;
    // The call itself is about what it names; what modules are told of it are other words for that.
    const { given, newGiven } = fields as { readonly given?: string; readonly newGiven?: string };
    const named = {
      ...(given === undefined ? {} : { path: given }),
      ...(newGiven === undefined ? {} : { newPath: newGiven }),
    };
    return await this.#performers[operation]({ ...fields, ...named, ...others });
  }

  /**
   * The path that a call names, as modules see it: that of the file, or of the entry that is made;
   * where there is none, as given, with `..` resolved by name.
   * @param how the last name is meant: a file, a file that is made if need be, a link itself, or an
   *   entry that need not be there
   */
  #named(path: string, how: "file" | "made" | "link" | "entry" = "file"): NamedPath {
    const given = path.startsWith("/") ? path : `${this.#directory}/${path}`;
    try {
      const real = this.#tree.resolve(given, how === "file" || how === "made");
      const known = how === "entry" || how === "made" ? absolutePath(real, "..") : real;
      if (this.#tree.has(known)) return { path: real, given };
    } catch {
      // What is wrong with it is told by the call itself.
    }
    return { path: absolutePath("/", given), given };
  }

  async mount(type: string, target: string, options = "", source = type): Promise<void> {
    const named = this.#named(target);
    const fields = { type, target: named.path, source, flags: 0, options };
    await this.call("mount", { ...named, ...fields });
  }

  async umount(path: string): Promise<void> {
    await this.call("umount", { ...this.#named(path), flags: 0 });
  }

  async uname(): Promise<UtsName> {
    const names = this.#names;
    const reply = (await this.call("uname", { names })) as Partial<UtsName>;
    return { ...names, ...reply };
  }

  async sethostname(name: string): Promise<void> {
    await this.call("sethostname", { name });
  }

  async socket(family: string, type = "stream", protocol = 0): Promise<void> {
    await this.call("socket", { family, type, protocol });
  }

  async connect(addr: SocketAddress): Promise<void> {
    await this.call("connect", { addr });
  }

  /** open, read to the end, close. */
  async read(path: string): Promise<string> {
    const fields = { ...this.#named(path), flags: 0, mode: 0, write: false };
    const content = (await this.call("open", fields)) as string | Uint8Array;
    return typeof content === "string" ? content : new TextDecoder().decode(content);
  }

  /** open with O_CREAT and O_TRUNC, write, close. */
  async write(path: string, content: string): Promise<void> {
    const flags = O_WRONLY | O_CREAT | O_TRUNC;
    const opens = { flags, mode: 0o666, write: opensForWriting(flags) };
    const fields = { ...this.#named(path, "made"), ...opens };
    const opened = (await this.call("open", fields)) as string;
    await this.#tree.write(opened, content);
  }

  async stat(path: string): Promise<VirtualStat> {
    return (await this.call("stat", this.#named(path))) as VirtualStat;
  }

  async list(path: string): Promise<readonly string[]> {
    const fields = { ...this.#named(path), flags: O_DIRECTORY, mode: 0, write: false };
    return (await this.call("open", fields)) as readonly string[];
  }

  async readlink(path: string): Promise<string> {
    return (await this.call("readlink", this.#named(path, "link"))) as string;
  }

  async unlink(path: string): Promise<void> {
    await this.call("unlink", this.#named(path, "link"));
  }

  async mkdir(path: string, mode = 0o755): Promise<void> {
    await this.call("mkdir", { ...this.#named(path, "entry"), mode });
  }

  async rename(path: string, newPath: string): Promise<void> {
    const { path: to, given: newGiven } = this.#named(newPath, "entry");
    await this.call("rename", { ...this.#named(path, "link"), newPath: to, newGiven });
  }

  async chdir(path: string): Promise<void> {
    await this.call("chdir", this.#named(path));
  }

  async #mountType(fields: OperationFields["mount"]): Promise<void> {
    const types = this.#chain.summaries();
    const found = types.find((summary) => summary.types.includes(fields.type));
    const serve = found === undefined ? undefined : this.#chain.get(found.name)?.mount;
    if (serve === undefined) throw new GuestErrno("ENODEV", fields.type);
    const { type, source, target } = fields;
    const options = parseOptions(fields.options);
    // Nothing is remembered here.
    const request: MountRequest = { type, source, target, options, changed: () => {} };
    this.#tree.mount(target, await serve(request));
  }

  /** What is read; the path of a file that is going to be written. */
  async #open({ path, flags, write }: OperationFields["open"]): Promise<unknown> {
    if (!write) return (flags & O_DIRECTORY) === 0 ? this.#tree.read(path) : this.#tree.list(path);
    const exists = await this.#tree.stat(path).catch(() => undefined);
    if (exists === undefined && (flags & O_CREAT) === 0) throw new GuestErrno("ENOENT", path);
    if (exists === undefined || (flags & O_TRUNC) !== 0) await this.#tree.write(path, "");
    return path;
  }

  #makePerformers(): Performers {
    const tree = this.#tree;
    const exists = ({ path }: { readonly path: string }): Promise<VirtualStat> => tree.stat(path);
    const nothing = (): void => {};
    return {
      mount: (fields) => this.#mountType(fields),
      umount: ({ path }) => tree.umount(tree.resolve(path)),
      sethostname: ({ name }) => void (this.#names = { ...this.#names, nodename: name }),
      setdomainname: ({ name }) => void (this.#names = { ...this.#names, domainname: name }),
      uname: ({ names }) => names,
      socket: nothing,
      setid: nothing,
      settime: () => {
        throw new GuestErrno("EPERM");
      },
      mknod: ({ path }) => tree.write(path, ""),
      chown: ({ path, uid, gid }) => tree.change(path, { uid, gid }),
      open: (fields) => this.#open(fields),
      stat: exists,
      access: exists,
      readlink: ({ path }) => tree.readlink(path),
      statfs: exists,
      getxattr: exists,
      setxattr: exists,
      unlink: ({ path }) => tree.unlink(path),
      rmdir: ({ path }) => tree.rmdir(path),
      mkdir: ({ path, mode }) => tree.mkdir(path, mode),
      rename: ({ path, newPath }) => tree.rename(path, newPath),
      link: ({ path, newPath }) => tree.link(path, newPath),
      symlink: ({ path, target }) => tree.symlink(target, path),
      chmod: ({ path, mode }) => tree.change(path, { mode }),
      truncate: ({ path }) => tree.write(path, ""),
      utimes: exists,
      chdir: async ({ path }) => {
        if ((await tree.stat(path)).type !== "directory") throw new GuestErrno("ENOTDIR", path);
        this.#directory = tree.resolve(path);
      },
      exec: exists,
      connect: ({ addr }) => {
        const name = addr.path ?? `${addr.host}:${addr.port}`;
        if (!this.#listening.has(name)) throw new GuestErrno("ECONNREFUSED", name);
      },
      bind: nothing,
    };
  }
}
