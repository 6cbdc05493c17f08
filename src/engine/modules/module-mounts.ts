/**
 * mount(2) of types that modules serve. The call is taken once; the main thread has a thread made
 * that serves the file system and opens a device for it; then the device is mounted here, in the
 * caller's place, as the kernel would have done it.
 */
import { readFileSync, closeSync } from "node:fs";
import { ERRNO } from "../../base/index.ts";
import {
  closeDescriptor,
  GuestMemory,
  type CallRequest,
  type Standpoint,
} from "../../sys/index.ts";
import { AUDIT_ARCH_X86_64, MS, SYS_I386, SYS_X86_64 } from "../../viewos/index.ts";
import { type Answer, CONTINUE, failure, LATER, reply } from "../calls/answer.ts";
import { mountFuse } from "../fuse/fuse-mount.ts";
import type { GroundId, Grounds } from "../calls/grounds.ts";
import type { SharedSettings } from "../control/shared-settings.ts";
import { meantType, type ViewSettings } from "../control/view-settings.ts";
import type { ModuleList } from "./module-lists.ts";

const STRING_OCTETS_MAX = 4096;
/** Mounts that wait for their threads at once; further ones fail with EAGAIN. */
const WAITING_MAX = 64;
/** Programs written for Linux 2.2 put a magic number into the upper half of the flags. */
const MS_MAGIC = 0xc0ed;

/** A mount that a module is to serve. */
export interface ModuleMount {
  /** Names the mount between the threads. */
  readonly id: number;
  /** See `moduleId`. */
  readonly module: string;
  /** The view that it is made in. */
  readonly ground: GroundId;
  readonly type: string;
  readonly source: string;
  readonly target: string;
  readonly options: string;
  readonly flags: number;
  /** Who mounts. */
  readonly uid: number;
  readonly gid: number;
}

export type ModuleMountEvent =
  | { readonly kind: "mount"; readonly mount: ModuleMount }
  /** There is an empty directory for a copy, behind that descriptor. */
  | { readonly kind: "tree"; readonly id: number; readonly descriptor: number }
  /** 0: it is mounted and wants to be served. */
  | { readonly kind: "mounted"; readonly id: number; readonly errno: number };

/** What the main thread says of a mount. */
export type ModuleMountReply =
  /** There is a device: its descriptor. */
  | { readonly id: number; readonly descriptor: number }
  /** There is none, but the files can be copied into a directory. */
  | { readonly id: number; readonly copy: true }
  /** They have been copied (0), or why they have not. */
  | { readonly id: number; readonly errno: number };

/** A directory that a copy of a module's files is made in, and mounted. */
export interface CopiedTree {
  /** Of the directory, for whoever fills it. */
  readonly descriptor: number;
  /** It is filled: shows it to the view, read-only. @returns 0, or the errno. */
  show(): number;
  /** It is not: nothing stays of it. */
  drop(): void;
}

export interface ModuleMountsOptions {
  readonly standpoint: Standpoint;
  readonly grounds: Grounds;
  readonly settings: SharedSettings<ViewSettings>;
  /** Nothing of a view may be kept busy when something is mounted. */
  readonly beforeMount: () => void;
  readonly post: (event: ModuleMountEvent) => void;
  /** Makes a directory for a copy; an errno: it cannot be made. */
  readonly treeFor: (request: CallRequest, mount: ModuleMount) => CopiedTree | number;
}

interface WaitingMount {
  readonly request: CallRequest;
  readonly mount: ModuleMount;
  /** Set when a copy is being made. */
  readonly tree?: CopiedTree;
}

/** The mounts of modules' types, on the thread that stands in the views. */
export class ModuleMounts {
  readonly #options: ModuleMountsOptions;
  readonly #memory = new GuestMemory();
  readonly #waiting = new Map<number, WaitingMount>();
  /** Modules by the types that they serve, for each view; the newest has a type. */
  #types = new Map<GroundId | undefined, ReadonlyMap<string, string>>();
  #isEmpty = true;
  #lastId = 0;

  constructor(options: ModuleMountsOptions) {
    this.#options = options;
  }

  /** These modules are there now. */
  change(lists: readonly ModuleList[]): void {
    this.#types = new Map(lists.map(({ ground, modules }) => [ground, typesOf(modules)]));
    this.#isEmpty = [...this.#types.values()].every(({ size }) => size === 0);
  }

  /**
   * Performs a call: a module's type by its module, what the kernel has no type for by the module
   * whose type alone begins so.
   */
  perform(request: CallRequest, kernel: (request: CallRequest) => Answer): Answer {
    if (this.#isEmpty || !isMount(request)) return kernel(request);
    const types = this.#typesIn(request.pid);
    if (types.size === 0) return kernel(request);
    this.#options.beforeMount();
    const type = this.#type(request);
    const module = type === undefined ? undefined : types.get(type);
    if (type !== undefined && module !== undefined) return this.#begin(request, type, module);
    const answer = kernel(request);
    const isUnknown = answer.kind === "done" && answer.errno === ERRNO.ENODEV;
    if (!isUnknown || type === undefined || type === "") return answer;
    const longer = [...types].filter(([known]) => known.startsWith(type));
    const [only, ...others] = longer;
    return only === undefined || others.length > 0 ? answer : this.#begin(request, ...only);
  }

  #typesIn(pid: number): ReadonlyMap<string, string> {
    const { grounds, standpoint } = this.#options;
    const ground = this.#types.size === 1 ? undefined : grounds.of(pid, standpoint)?.mnt;
    return grounds.nearest(this.#types, ground);
  }

  /** The main thread has a device, or none, or a copy. */
  resume(message: ModuleMountReply): void {
    this.#options.beforeMount();
    const { id } = message;
    const waiting = this.#waiting.get(id);
    if (waiting !== undefined && "copy" in message) {
      const tree = this.#options.treeFor(waiting.request, waiting.mount);
      if (typeof tree === "number") return this.#finish(id, tree);
      this.#waiting.set(id, { ...waiting, tree });
      this.#options.post({ kind: "tree", id, descriptor: tree.descriptor });
      return undefined;
    }
    return this.#finish(id, waiting === undefined ? ERRNO.ESRCH : this.#result(waiting, message));
  }

  #result({ request, mount, tree }: WaitingMount, message: ModuleMountReply): number {
    if ("descriptor" in message) return this.#mount(request, mount, message.descriptor);
    const errno = "errno" in message ? message.errno : ERRNO.EIO;
    if (tree === undefined) return errno;
    const failure = errno === 0 ? tree.show() : errno;
    if (failure !== 0) tree.drop();
    closeDescriptor(tree.descriptor);
    return failure;
  }

  #finish(id: number, errno: number): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (waiting !== undefined) reply(waiting.request, failure(errno));
    this.#options.post({ kind: "mounted", id, errno });
  }

  /** Type of a mount with aliases resolved; undefined when a mount or its state is changed. */
  #type(request: CallRequest): string | undefined {
    const flags = request.low(3);
    if ((flags & (MS.BIND | MS.MOVE | MS.REMOUNT)) !== 0) return undefined;
    const type = this.#string(request, 2);
    if (type === undefined) return undefined;
    const { settings, standpoint } = this.#options;
    return meantType(settings.value, type, standpoint.namespaceOf(request.pid, "mnt"));
  }

  #string(request: CallRequest, index: number): string | undefined {
    const address = request.argument(index);
    if (address === 0n) return "";
    const octets = this.#memory.string(request.pid, address, STRING_OCTETS_MAX);
    return octets instanceof Uint8Array ? new TextDecoder().decode(octets) : undefined;
  }

  #begin(request: CallRequest, type: string, module: string): Answer {
    const [source, target, options] = [0, 1, 4].map((index) => this.#string(request, index));
    if (source === undefined || target === undefined || options === undefined) {
      return failure(ERRNO.EFAULT);
    }
    const inode = this.#options.standpoint.namespaceOf(request.pid, "mnt");
    if (inode === undefined || !request.isValid()) return failure(ERRNO.ESRCH);
    // Who has left the view for mounts of its own has the kernel's types only.
    const ground = this.#options.grounds.find("mnt", inode)?.mnt;
    if (ground === undefined) return CONTINUE;
    if (this.#waiting.size >= WAITING_MAX) return failure(ERRNO.EAGAIN);
    const id = ++this.#lastId;
    const given = request.low(3);
    const flags = given >>> 16 === MS_MAGIC ? given & 0xffff : given;
    const owner = this.#owner(request.pid);
    const mount = { id, module, ground, type, source, target, options, flags, ...owner };
    this.#waiting.set(id, { request: request.held(), mount });
    this.#options.post({ kind: "mount", mount });
    return LATER;
  }

  /** Effective numbers of the caller, as our user namespace has them. */
  #owner(pid: number): { readonly uid: number; readonly gid: number } {
    const fd = this.#options.standpoint.openProc(`${pid}/status`);
    if (fd === -1) return { uid: 0, gid: 0 };
    const status = readFileSync(fd, "utf8");
    closeSync(fd);
    const number = (label: string): number =>
      Number(new RegExp(`^${label}:\\t\\d+\\t(\\d+)`, "m").exec(status)?.[1] ?? 0);
    return { uid: number("Uid"), gid: number("Gid") };
  }

  #mount(request: CallRequest, mount: ModuleMount, descriptor: number): number {
    const { standpoint, grounds } = this.#options;
    const inode = standpoint.namespaceOf(request.pid, "mnt");
    const ground = inode === undefined ? undefined : grounds.find("mnt", inode);
    if (ground === undefined || !request.isValid()) return ERRNO.ESRCH;
    grounds.stand(ground);
    const { type, source, target, uid, gid } = mount;
    const flags = (mount.flags | MS.NOSUID | MS.NODEV) >>> 0;
    const options = { module: "", type, source, target, uid, gid, flags };
    return standpoint.at(request.pid, () => mountFuse(descriptor, options)) ?? ERRNO.ESRCH;
  }
}

/** Modules by their types; the newest, which stands first, has one that several serve. */
function typesOf(modules: ModuleList["modules"]): ReadonlyMap<string, string> {
  return new Map(
    modules
      .toReversed()
      .flatMap(({ id, summary }) => summary.types.map((type) => [type, id] as const)),
  );
}

function isMount({ arch, number }: CallRequest): boolean {
  return number === (arch === AUDIT_ARCH_X86_64 ? SYS_X86_64 : SYS_I386).mount;
}
