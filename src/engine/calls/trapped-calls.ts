/**
 * Answers to the calls of trap level 0, and to traced ones, which the kernel performs. Each of
 * level 0 is performed for real, by a thread that stands in the
 * view's namespaces with the caller's root and working directory, with strings copied from the
 * caller.
 */
import { closeSync, readFileSync } from "node:fs";
import { ERRNO, errnoName } from "../../base/index.ts";
import {
  AT,
  closeDescriptor,
  errno,
  FileCalls,
  GuestMemory,
  mount,
  mountFlags,
  type CallRequest,
  pidfdGetDescriptor,
  pidfdOpen,
  setDomainName,
  setHostName,
  type Standpoint,
  umount2,
} from "../../sys/index.ts";
import {
  AUDIT_ARCH_X86_64,
  fuseDescriptor,
  isFuseType,
  isMountAllowed,
  isRefusedInViews,
  MS,
  SYS_I386,
  SYS_X86_64,
  VUCTL,
  withFuseDescriptor,
} from "../../viewos/index.ts";
import { type Answer, CONTINUE, failure } from "./answer.ts";
import { ForeignIds, type OwnerChange } from "./foreign-ids.ts";
import type { ControlDoor } from "../control/control-door.ts";
import { isInOtherUserNamespace, mountWithOwnFuse } from "../fuse/fuse-descriptor.ts";
import type { Ground, Grounds } from "./grounds.ts";
import type { PathService } from "../paths/path-service.ts";
import { SetuidPrograms } from "./setuid-programs.ts";
import type { SharedSettings } from "../control/shared-settings.ts";
import { meantType, type ViewSettings } from "../control/view-settings.ts";

const PATH_OCTETS_MAX = 4096;
const DATA_OCTETS_MAX = 4096;
const HOST_NAME_OCTETS_MAX = 64;
const MS_MAGIC = 0xc0ed0000;

/** Reads a caller's string arguments; the first failure ends the call with its errno. */
class GuestStrings {
  readonly #memory = new GuestMemory();

  /** A path or name; null for a null pointer. Throws the errno as a number. */
  read(pid: number, address: bigint, limit: number): Uint8Array | null {
    if (address === 0n) return null;
    const octets = this.#memory.string(pid, address, limit);
    if (octets === undefined) throw new GuestError(ERRNO.EFAULT);
    if (octets === "too long") throw new GuestError(ERRNO.ENAMETOOLONG);
    return octets;
  }

  /** Octets of known length. */
  exactly(pid: number, address: bigint, length: number): Uint8Array {
    const octets = this.#memory.octets(pid, address, length);
    if (octets === undefined) throw new GuestError(ERRNO.EFAULT);
    return octets;
  }
}

/** A trapped call ends with this errno. */
class GuestError extends Error {
  readonly errno: number;
  constructor(errnoValue: number) {
    super(errnoName(errnoValue));
    this.errno = errnoValue;
  }
}

/** What the main thread of the supervisor has to do with calls. */
export interface ViewControls {
  readonly door: ControlDoor;
  readonly settings: SharedSettings<ViewSettings>;
}

/** The calls that a view answers itself. */
export class TrappedCalls {
  readonly #standpoint: Standpoint;
  readonly #grounds: Grounds;
  readonly #view: ViewControls;
  readonly #setuid: SetuidPrograms;
  readonly #foreign: ForeignIds;
  readonly #files = new FileCalls();
  readonly #strings = new GuestStrings();
  readonly #paths: PathService | undefined;

  /** @param paths answers the calls that name files; undefined: the kernel does */
  constructor(standpoint: Standpoint, grounds: Grounds, view: ViewControls, paths?: PathService) {
    this.#standpoint = standpoint;
    this.#setuid = new SetuidPrograms(standpoint);
    this.#foreign = new ForeignIds(standpoint);
    this.#grounds = grounds;
    this.#view = view;
    this.#paths = paths;
  }

  /** Performs one request, or leaves it to the kernel; the caller still waits. */
  perform(request: CallRequest): Answer {
    try {
      return this.#perform(request);
    } catch (error) {
      if (!(error instanceof GuestError)) throw error;
      return { kind: "done", errno: error.errno };
    }
  }

  #perform(request: CallRequest): Answer {
    const named = this.#paths?.capture(request);
    if (named !== undefined) {
      return this.#foreign.corrected(request, this.#paths!.perform(request, named));
    }
    this.#paths?.rest();
    const table = request.arch === AUDIT_ARCH_X86_64 ? SYS_X86_64 : SYS_I386;
    switch (request.number) {
      case VUCTL:
        return this.#view.door.call(this.#threadGroup(request.pid));
      case table.mount:
        return this.#inView(request, "mnt", (ground) => this.#mount(request, ground));
      case table.umount2:
        return this.#inView(request, "mnt", () =>
          this.#umount(request, Number(request.argument(1))),
        );
      case table.sethostname:
        return this.#inView(request, "uts", () => this.#setName(request, setHostName));
      case table.setdomainname:
        return this.#inView(request, "uts", () => this.#setName(request, setDomainName));
      default:
        if (table === SYS_I386 && request.number === SYS_I386.umount) {
          return this.#inView(request, "mnt", () => this.#umount(request, 0));
        }
        if (this.#setuid.isAsked(request) && this.#view.settings.value.setuidRoot) {
          return this.#setuid.answer(request);
        }
        // These come here only when they are traced; else the filter says the same.
        if (isRefusedInViews(request.arch, request.number)) {
          return { kind: "done", errno: ERRNO.ENOSYS };
        }
        return this.#aboutIds(request);
    }
  }

  /** A call that names somebody who is not in the view fails as it would outside. */
  #aboutIds(request: CallRequest): Answer {
    const found = this.#foreign.find(request);
    if (found === undefined) return CONTINUE;
    if ("kind" in found) return found;
    return this.#inView(request, "mnt", () => this.#changeOwner(request, found));
  }

  /**
   * Tries it for the caller, as unknown as the ids are here too: a missing file, or one that cannot
   * be written, is told before them.
   */
  #changeOwner(request: CallRequest, change: OwnerChange): number {
    const { pid } = request;
    const named =
      change.path === -1
        ? new Uint8Array(0)
        : this.#strings.read(pid, request.argument(change.path), PATH_OCTETS_MAX);
    if (named === null) return ERRNO.EFAULT;
    const path = Uint8Array.of(...named, 0);
    const theirs = Number(BigInt.asIntN(32, request.argument(Math.max(change.directory, 0))));
    const isBelow = change.directory !== -1 && theirs !== AT.FDCWD && !startsAtRoot(path);
    const directory = isBelow ? this.#copyOf(pid, theirs) : AT.FDCWD;
    if (directory === -1) return ERRNO.EBADF;
    try {
      if (!request.isValid()) return ERRNO.ESRCH;
      const { uid, gid, flags } = change;
      if ((flags & ~(AT.SYMLINK_NOFOLLOW | AT.EMPTY_PATH)) !== 0) return ERRNO.EINVAL;
      const act = (): number => -this.#files.fchownat(directory, path, uid, gid, flags);
      const failed = this.#at(pid, act, !startsAtRoot(path));
      return failed === ERRNO.EINVAL ? ERRNO.EPERM : failed;
    } finally {
      if (isBelow) closeDescriptor(directory);
    }
  }

  /** Our copy of a caller's descriptor; -1: it has none. */
  #copyOf(pid: number, theirs: number): number {
    const pidfd = pidfdOpen(this.#threadGroup(pid));
    if (pidfd === -1) return -1;
    const ours = pidfdGetDescriptor(pidfd, theirs);
    closeDescriptor(pidfd);
    return ours;
  }

  /**
   * A caller that made namespaces of its own inside the view (bwrap, unshare, a browser's sandbox)
   * has its own rights there: the kernel answers it.
   */
  #inView(request: CallRequest, kind: "mnt" | "uts", action: (ground: Ground) => number): Answer {
    const inode = this.#standpoint.namespaceOf(request.pid, kind);
    if (inode === undefined) return failure(ERRNO.ESRCH);
    const ground = this.#grounds.find(kind, inode);
    if (ground === undefined) return CONTINUE;
    this.#paths?.forget();
    this.#grounds.stand(ground);
    return { kind: "done", errno: action(ground) };
  }

  #mount(request: CallRequest, ground: Ground): number {
    const { pid } = request;
    const rawFlags = Number(request.argument(3) & 0xffffffffn);
    // Programs written for Linux 2.2 put a magic number into the upper half of the flags.
    const flags = ((rawFlags & 0xffff0000) >>> 0 === MS_MAGIC ? rawFlags & 0xffff : rawFlags) >>> 0;
    const source = this.#strings.read(pid, request.argument(0), PATH_OCTETS_MAX);
    const target = this.#strings.read(pid, request.argument(1), PATH_OCTETS_MAX);
    const written = this.#strings.read(pid, request.argument(2), PATH_OCTETS_MAX);
    const type = this.#mountType(written, ground);
    const data = this.#strings.read(pid, request.argument(4), DATA_OCTETS_MAX);
    if (target === null) return ERRNO.EFAULT;
    if (this.#paths?.decides === true) {
      if (!isMountAllowed(type === null ? "" : text(type), flags)) return ERRNO.EPERM;
    }
    if (!request.isValid()) return ERRNO.ESRCH;
    if (type !== null && data !== null && isFuseType(text(type))) {
      return this.#mountFuse(request, source, target, type, flags, text(data));
    }
    const isAbsolute = startsAtRoot(target) && startsAtRoot(source) && data === null;
    return this.#at(pid, () => performMount(source, target, type, flags, data), !isAbsolute);
  }

  /** A type, or what it is an alias of. */
  #mountType(type: Uint8Array | null, { mnt }: Ground): Uint8Array | null {
    if (type === null) return null;
    return new TextEncoder().encode(meantType(this.#view.settings.value, text(type), mnt));
  }

  /**
   * The FUSE descriptor in the mount data is one of the caller's: a copy of it goes to the kernel.
   */
  #mountFuse(
    request: CallRequest,
    source: Uint8Array | null,
    target: Uint8Array,
    type: Uint8Array,
    flags: number,
    data: string,
  ): number {
    const { pid } = request;
    const theirs = fuseDescriptor(data);
    if (theirs === undefined) return ERRNO.EINVAL;
    const pidfd = pidfdOpen(this.#threadGroup(pid));
    if (pidfd === -1) return ERRNO.ESRCH;
    const ours = pidfdGetDescriptor(pidfd, theirs);
    const failure = errno();
    closeDescriptor(pidfd);
    if (ours === -1) return failure;
    const mountWith = (translated: string): number => {
      const octets = new TextEncoder().encode(translated);
      return this.#at(pid, () => mount(source, target, type, flags, octets));
    };
    try {
      return isInOtherUserNamespace(this.#standpoint, pid)
        ? mountWithOwnFuse(this.#standpoint, request, ours, theirs, data, mountWith)
        : mountWith(withFuseDescriptor(data, ours));
    } finally {
      closeDescriptor(ours);
    }
  }

  #umount(request: CallRequest, flags: number): number {
    const target = this.#strings.read(request.pid, request.argument(0), PATH_OCTETS_MAX);
    if (target === null) return ERRNO.EFAULT;
    if (!request.isValid()) return ERRNO.ESRCH;
    return this.#at(request.pid, () => umount2(target, flags), !startsAtRoot(target));
  }

  #setName(request: CallRequest, set: (name: Uint8Array) => number): number {
    const length = Number(request.argument(1) & 0xffffffffn);
    if (length > HOST_NAME_OCTETS_MAX) return ERRNO.EINVAL;
    const name = this.#strings.exactly(request.pid, request.argument(0), length);
    return request.isValid() ? set(name) : ERRNO.ESRCH;
  }

  #at(pid: number, action: () => number, needsDirectory = true): number {
    return this.#standpoint.at(pid, action, needsDirectory) ?? ERRNO.ESRCH;
  }

  /** pidfds are of whole processes; a request comes from a thread. */
  #threadGroup(pid: number): number {
    const fd = this.#standpoint.openProc(`${pid}/status`);
    if (fd === -1) return pid;
    try {
      return Number(/^Tgid:\s+(\d+)/m.exec(readFileSync(fd, "utf8"))?.[1] ?? pid);
    } finally {
      closeSync(fd);
    }
  }
}

/** Is that an absolute path, or none? */
function startsAtRoot(path: Uint8Array | null): boolean {
  const SLASH = 0x2f;
  return path === null || path[0] === SLASH;
}

function text(octets: Uint8Array): string {
  return new TextDecoder().decode(octets);
}

/** Flags that the kernel locks on mounts inherited from the host: a remount must repeat them. */
const LOCKABLE = MS.RDONLY | MS.NOSUID | MS.NODEV | MS.NOEXEC;

function performMount(
  source: Uint8Array | null,
  target: Uint8Array,
  type: Uint8Array | null,
  flags: number,
  data: Uint8Array | null,
): number {
  const failure = mount(source, target, type, flags, data);
  // A tree with mounts of the host below cannot be bound without them (they would be uncovered).
  if (failure === ERRNO.EINVAL && (flags & (MS.BIND | MS.REC | MS.REMOUNT)) === MS.BIND) {
    return mount(source, target, type, flags | MS.REC, data);
  }
  if (failure === ERRNO.EPERM && (flags & (MS.BIND | MS.REMOUNT)) === (MS.BIND | MS.REMOUNT)) {
    const locked = mountFlags(target) & LOCKABLE;
    return mount(source, target, type, flags | locked, data);
  }
  return failure;
}
