/**
 * The paths of guests in a view without namespaces: where a guest stands, what its words lead to,
 * and what the directories that it really stands in are called in the view.
 */
import { readFileSync } from "node:fs";
import { GuestMemory, LinkReader, pathText } from "../../sys/index.ts";
import {
  type CallArguments,
  type Found,
  followsLast,
  MountTable,
  type PathArgument,
  type Place,
  type Standing,
  type Syscall,
  type VirtualMount,
  virtualPath,
  type Walked,
  type WalkHost,
  walkPath,
} from "../../viewos/index.ts";

/** A call that its caller waits in. */
export interface TrappedCall extends CallArguments {
  /** Thread that made the call. */
  readonly pid: number;
  readonly number: number;
  /** False once the caller is gone. */
  isValid(): boolean;
}

/** Paths of a call that have been read from its caller's memory, or were put in their place. */
export interface ReadPaths {
  /** One character per octet; undefined: there is no path at that argument. */
  at(argument: number): string | undefined;
}

/** PATH_MAX, with the NUL. */
export const PATH_OCTETS_MAX = 4096;
const AT_FDCWD = -100;
const ANCESTORS_MAX = 64;
/** Processes whose bound mount is remembered at most, before those that are gone are forgotten. */
const BOUND_MAX = 4096;
/** Instead of a mount's id: in none of them. */
const NOT_BOUND = 0;
/**
 * How long it is remembered what was found at a path, and where a thread stands. What guests do
 * themselves is known at once; this is for the rest of the host.
 */
const REMEMBERED_MS = 20;
const REMEMBERED_MAX = 4096;

/** Links of /proc that stand for an object of a process (proc(5)). */
const OBJECT_LINK = /^\/proc\/\d+\/(?:task\/\d+\/)?(?:cwd|root|exe|fd\/\d+|map_files\/[^/]+)$/;

/** Is that a link of /proc to what a process has open, runs, or stands in? */
export function isObjectLink(real: string): boolean {
  return real.startsWith("/proc/") && OBJECT_LINK.test(real);
}

/** A number in /proc/PID/status; undefined when the process is gone. */
function statusNumber(pid: number, pattern: RegExp): number | undefined {
  try {
    const found = pattern.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    return found === null ? undefined : Number(found[1]);
  } catch {
    return undefined;
  }
}

/** Looks at guests through /proc, one call at a time. */
export class GuestPaths {
  readonly table = new MountTable();
  readonly links = new LinkReader();
  readonly memory = new GuestMemory();
  readonly #root: Place = { mount: this.table.root, path: "" };
  readonly #atRoot: Standing = { root: this.#root, directory: this.#root };
  /** By process: the bound mount that it has entered last, or NOT_BOUND. */
  readonly #bound = new Map<number, number>();
  readonly #mountNamespace = this.links.read("/proc/self/ns/mnt") ?? "";
  /** Somebody has made a namespace or taken another root. */
  #someLeft = false;
  /** Ends of what is remembered. */
  #rememberedUntil = 0;
  readonly #found = new Map<string, Found>();
  readonly #directories = new Map<number, Place>();
  /** The caller whose call is being answered. */
  #tid = 0;
  readonly #host: WalkHost = {
    look: (real) => this.#look(real),
    directory: (real) => this.links.directory(real),
  };

  /** From now on it is this thread's call that is answered. */
  attend(tid: number): void {
    this.#tid = tid;
    const now = performance.now();
    if (now > this.#rememberedUntil || this.#found.size > REMEMBERED_MAX) {
      this.forget();
      this.#rememberedUntil = now + REMEMBERED_MS;
    }
  }

  /** Links, directories or mounts have changed, or will have when the caller goes on. */
  forget(): void {
    this.#found.clear();
    this.#directories.clear();
  }

  /** Somebody may have a mount namespace or a root of its own from now on. */
  someLeft(): void {
    this.#someLeft = true;
  }

  /** Callers with a mount namespace or a root of their own are answered by the kernel. */
  isElsewhere(): boolean {
    return this.#someLeft && this.#isInAnother();
  }

  #isInAnother(): boolean {
    return (
      this.links.read(`/proc/${this.#tid}/ns/mnt`) !== this.#mountNamespace ||
      this.links.read(`/proc/${this.#tid}/root`) !== "/"
    );
  }

  /** A string of the caller; undefined where the kernel can say better what is wrong with it. */
  string(address: bigint, limit = PATH_OCTETS_MAX): string | undefined {
    if (address === 0n) return undefined;
    const octets = this.memory.string(this.#tid, address, limit);
    return octets === undefined || octets === "too long" ? undefined : pathText(octets);
  }

  /** Where the caller's relative paths begin; undefined when it is gone. */
  standing(): Standing | undefined {
    const known = this.#directories.get(this.#tid);
    if (known !== undefined) return { root: this.#root, directory: known };
    const cwd = this.links.read(`/proc/${this.#tid}/cwd`);
    if (cwd === undefined) return undefined;
    const directory = this.placeOf(cwd);
    this.#directories.set(this.#tid, directory);
    return { root: this.#root, directory };
  }

  /** What a real path of the caller's is in the view. */
  placeOf(real: string): Place {
    return this.table.placeOf(real, this.#boundOf());
  }

  /** Walks a path of the caller's, from its directory when it is relative. */
  walk(path: string, follow = true): Walked | number | undefined {
    const standing = path.startsWith("/") ? this.#atRoot : this.standing();
    if (standing === undefined) return undefined;
    return walkPath(this.table, standing, path, follow, this.#host);
  }

  /**
   * Walks a path among the arguments; undefined: the kernel can say better what is wrong.
   * @param read undefined: it is read here
   */
  walkArgument(
    request: TrappedCall,
    call: Syscall,
    argument: PathArgument,
    openFlags: number | undefined,
    read: ReadPaths | undefined,
  ): Walked | number | undefined {
    const { index } = argument;
    const path = read === undefined ? this.string(request.argument(index)) : read.at(index);
    if (path === undefined || path === "") return undefined;
    const standing = path.startsWith("/") ? this.#atRoot : this.#standingOf(request, argument);
    if (standing === undefined) return undefined;
    const follow = followsLast(call, argument, request, openFlags);
    return walkPath(this.table, standing, path, follow, this.#host);
  }

  /** The caller stands in another directory now. */
  entered({ mount }: Place): void {
    // The walk to the new directory began in the old one, and remembers that.
    this.#directories.clear();
    const isBound = mount.parent !== undefined && !mount.isPrivate;
    if (!isBound && this.#bound.size === 0) return;
    this.#bound.set(this.#group(), isBound ? mount.id : NOT_BOUND);
    if (this.#bound.size <= BOUND_MAX) return;
    for (const one of this.#bound.keys()) {
      if (this.links.read(`/proc/${one}/cwd`) === undefined) this.#bound.delete(one);
    }
  }

  /**
   * What a link of a process (`cwd`, `root`, `fd/3`) says in the view; undefined when it is gone.
   */
  linkOf(pid: number, name: string): string | undefined {
    const real = this.links.read(`/proc/${pid}/${name}`);
    if (real === undefined || !real.startsWith("/")) return real;
    this.attend(pid);
    return virtualPath(this.placeOf(real));
  }

  /** Does that process stand in a bound mount? */
  standsIn(pid: number, mount: VirtualMount): boolean {
    if (this.#bound.get(pid) !== mount.id) return false;
    const here = this.links.read(`/proc/${pid}/cwd`);
    return here !== undefined && this.table.placeOf(here, mount.id).mount === mount;
  }

  #standingOf(request: TrappedCall, { directory }: PathArgument): Standing | undefined {
    const descriptor = directory === undefined ? AT_FDCWD : request.low(directory) | 0;
    if (descriptor === AT_FDCWD) return this.standing();
    const open = this.links.read(`/proc/${this.#tid}/fd/${descriptor}`);
    if (open === undefined || !open.startsWith("/")) return undefined;
    return { root: this.#root, directory: this.placeOf(open) };
  }

  /** The bound mount that the caller, or whoever started it, has entered last. */
  #boundOf(): number | undefined {
    if (this.#bound.size === 0) return undefined;
    let pid = this.#group();
    for (let i = 0; i < ANCESTORS_MAX && pid > 1; i++) {
      const found = this.#bound.get(pid);
      if (found !== undefined) return found;
      pid = statusNumber(pid, /^PPid:\s+(\d+)/m) ?? 0;
    }
    return undefined;
  }

  /** The caller's process. */
  #group(): number {
    return statusNumber(this.#tid, /^Tgid:\s+(\d+)/m) ?? this.#tid;
  }

  #look(real: string): Found {
    // Links of /proc are not the same for everybody.
    if (real.startsWith("/proc/")) return this.#lookNow(real);
    let found = this.#found.get(real);
    if (found === undefined) {
      found = this.#lookNow(real);
      this.#found.set(real, found);
    }
    return found;
  }

  #lookNow(real: string): Found {
    if (real === "/proc/self") return { kind: "link", text: String(this.#group()) };
    if (real === "/proc/thread-self") {
      return { kind: "link", text: `${this.#group()}/task/${this.#tid}` };
    }
    const text = this.links.read(real);
    if (text === undefined) return { kind: "other" };
    if (!isObjectLink(real)) return { kind: "link", text };
    return text.startsWith("/") ? { kind: "jump", path: text } : { kind: "other" };
  }
}
