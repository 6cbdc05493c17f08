/**
 * The calls of a view without namespaces (rungs C and D): the supervisor stands outside, beside the
 * guests, and answers from a table of mounts and names of its own. A path that no mount touches is
 * left to the kernel: such a view changes what names mean, it forbids nothing.
 */
import { readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ERRNO } from "../../base/index.ts";
import {
  pathOctets,
  pathText,
  UTSNAME,
  UTSNAME_FIELD_OCTETS,
  utsname,
  writeGuestMemory,
} from "../../sys/index.ts";
import {
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
  isMountAllowed,
  isRefusedInViews,
  kernelPath,
  mountinfoText,
  mountsText,
  MS,
  type PathArgument,
  pathArguments,
  type Place,
  realPath,
  type Syscall,
  SyscallTable,
  type VirtualMount,
  virtualPath,
  type Walked,
  writesFiles,
} from "../../viewos/index.ts";
import type { Answer } from "../calls/answer.ts";
import { GuestPaths, isObjectLink, type ReadPaths, type TrappedCall } from "./guest-paths.ts";
import type { OutsideConfig } from "../launch/launch-outside.ts";
import { markedProcesses } from "../launch/marked-processes.ts";
import type { PlacedArgument } from "./placed-arguments.ts";
import { scriptArguments } from "./script-arguments.ts";
import { isUsed, VirtualMounts } from "./virtual-mounts.ts";

/** The caller's own thread is to make the call with other arguments. */
export interface Instead {
  readonly kind: "instead";
  readonly placed: readonly PlacedArgument[];
  /** Arguments that are numbers, not addresses. */
  readonly values?: readonly { readonly index: number; readonly value: bigint }[];
  /** Told what it came to; 0 when another program is executed. */
  readonly after: (errno: number) => void;
}

/** What is to be done about a call. */
export type Decision = Answer | Instead;

/** A call with paths, ready to be looked up by its number. */
interface PathCall {
  readonly call: Syscall;
  readonly paths: readonly PathArgument[];
}

const DATA_OCTETS_MAX = 4096;
const NAME_OCTETS_MAX = 64;
const MS_MAGIC = 0xc0ed0000;
const UMOUNT_NOFOLLOW = 8;
const AF_UNIX = 1;
/** struct sockaddr_un: a family of two octets and a path (unix(7)). */
const FAMILY_OCTETS = 2;
const SOCKADDR_UN_OCTETS = 110;
const RENAME_LIKE: ReadonlySet<string> = new Set([
  "rename",
  "renameat",
  "renameat2",
  "link",
  "linkat",
]);
/** They give a name to, or take it from, a directory; a mount point is in use as such. */
const ON_ENTRIES: ReadonlySet<string> = new Set([...RENAME_LIKE, "unlink", "unlinkat", "rmdir"]);

/** After them a path may lead elsewhere, or a process stand elsewhere. */
const CHANGES_NAMES: ReadonlySet<string> = new Set([
  "symlink",
  "symlinkat",
  "rename",
  "renameat",
  "renameat2",
  "link",
  "linkat",
  "chdir",
  "fchdir",
  "mount",
  "umount",
  "umount2",
]);
/** They may give the caller, or its child, a mount namespace of its own. */
const UNSHARES: ReadonlySet<string> = new Set(["unshare", "setns", "clone", "clone3"]);
const CLONE_NEWNS = 0x20000;

const CONTINUE: Answer = { kind: "continue" };
const done = (errno: number): Answer => ({ kind: "done", errno });
const nothing = (): void => {};

const MOUNTS_FILE = /^\/proc\/\d+\/(?:task\/\d+\/)?(mounts|mountinfo)$/;

/** Decides about the calls of all guests of a view. */
export class OutsideCalls {
  readonly #config: OutsideConfig;
  readonly #paths = new GuestPaths();
  readonly #mounts: VirtualMounts;
  readonly #calls = new Map<number, ReadonlyMap<number, PathCall>>();
  readonly #names = new Map<number, Uint8Array>();
  readonly #meant: (type: string) => string;
  readonly #guarded: boolean;
  /** A program has been executed: what is mounted now was not asked for at the start. */
  #begun = false;
  /** Where the paths of the last call led to. */
  #walks: readonly Walked[] = [];
  /** A file of ours that stood for one of /proc in that call, and the name of that. */
  #substitute: { readonly file: string; readonly path: string } | undefined;

  /**
   * @param meant what a mount type is an alias of
   * @param guarded no file may get another path, because paths are denied
   */
  constructor(config: OutsideConfig, meant = (type: string): string => type, guarded = false) {
    this.#config = config;
    this.#meant = meant;
    this.#guarded = guarded;
    this.#mounts = new VirtualMounts(this.#paths.table, config.folder);
    for (const arch of [AUDIT_ARCH_X86_64, AUDIT_ARCH_I386]) {
      const calls = new SyscallTable(arch).calls();
      const byNumber = calls.map(
        (call) => [call.number, { call, paths: pathArguments(call) }] as const,
      );
      this.#calls.set(arch, new Map(byNumber));
    }
  }

  /**
   * What is to be done about a call whose caller waits.
   * @param read its paths; undefined: they are read here
   */
  decide(request: TrappedCall, read?: ReadPaths): Decision {
    this.#walks = [];
    this.#substitute = undefined;
    const known = this.#calls.get(request.arch)?.get(request.number);
    if (known === undefined) return CONTINUE;
    this.#paths.attend(request.pid);
    const { name } = known.call;
    if (CHANGES_NAMES.has(name)) this.#paths.forget();
    if (name === "chroot" || name === "pivot_root") this.#paths.someLeft();
    if (UNSHARES.has(name)) return this.#unshare(request, name);
    switch (name) {
      case "uname":
      case "olduname":
        return this.#uname(request, name === "olduname");
      case "sethostname":
        return this.#setName(request, UTSNAME.nodename);
      case "setdomainname":
        return this.#setName(request, UTSNAME.domain);
      case "mount":
        return this.#paths.isElsewhere() ? CONTINUE : done(this.#mount(request));
      case "umount":
      case "umount2":
        return this.#paths.isElsewhere() ? CONTINUE : done(this.#umount(request, name));
    }
    if (isRefusedInViews(request.arch, request.number)) return done(ERRNO.ENOSYS);
    this.#begun ||= known.call.class === "exec";
    if (this.#paths.table.isEmpty) return CONTINUE;
    if (name === "getcwd") return this.#workingDirectory(request);
    if (name === "bind" || name === "connect") return this.#socketCall(request, name);
    return known.paths.length === 0 ? CONTINUE : this.#pathCall(request, known, read);
  }

  /** The name in the view of a real file that the last call came to. */
  viewPath(real: string): string {
    if (this.#substitute?.file === real) return this.#substitute.path;
    const mounts = this.#walks.map(({ place }) => place.mount);
    const bound = mounts.find((mount) => mount.parent !== undefined && isIn(mount, real));
    return virtualPath(this.#paths.table.placeOf(real, bound?.id));
  }

  /** What a link of a process (`cwd`, `fd/3`) says in the view; undefined when it is gone. */
  linkOf(pid: number, name: string): string | undefined {
    return this.#paths.linkOf(pid, name);
  }

  /** A namespace of its own is the kernel's matter; from now on callers may have one. */
  #unshare(request: TrappedCall, name: string): Answer {
    const flags = name === "clone3" ? this.#cloneFlags(request) : request.low(0);
    if (name === "setns" || (flags & CLONE_NEWNS) !== 0) this.#paths.someLeft();
    return CONTINUE;
  }

  /** struct clone_args of clone3(2) begins with the flags. */
  #cloneFlags(request: TrappedCall): number {
    const args = this.#paths.memory.octets(request.pid, request.argument(0), 8);
    return args === undefined ? CLONE_NEWNS : new DataView(args.buffer).getUint32(0, true);
  }

  /** struct utsname as the view has it. */
  names(): Uint8Array {
    const octets = utsname();
    for (const [field, name] of this.#names) {
      const at = field * UTSNAME_FIELD_OCTETS;
      octets.fill(0, at, at + UTSNAME_FIELD_OCTETS).set(name, at);
    }
    return octets;
  }

  #uname(request: TrappedCall, isShort: boolean): Answer {
    const octets = this.names();
    const length = isShort ? UTSNAME.domain * UTSNAME_FIELD_OCTETS : octets.length;
    const written = writeGuestMemory(request.pid, request.argument(0), octets.subarray(0, length));
    return done(written ? 0 : ERRNO.EFAULT);
  }

  #setName(request: TrappedCall, field: number): Answer {
    const length = request.low(1);
    if (length > NAME_OCTETS_MAX) return done(ERRNO.EINVAL);
    const name = this.#paths.memory.octets(request.pid, request.argument(0), length);
    if (name === undefined) return done(ERRNO.EFAULT);
    if (!request.isValid()) return done(ERRNO.ESRCH);
    this.#names.set(field, name);
    return done(0);
  }

  #mount(request: TrappedCall): number {
    const raw = request.low(3);
    const flags = ((raw & 0xffff0000) >>> 0 === MS_MAGIC ? raw & 0xffff : raw) >>> 0;
    const [source, path, type] = [0, 1, 2].map((i) => this.#paths.string(request.argument(i)));
    const data = this.#paths.string(request.argument(4), DATA_OCTETS_MAX);
    if (path === undefined) return ERRNO.EFAULT;
    if (!request.isValid()) return ERRNO.ESRCH;
    if (!mayMount(request.pid)) return ERRNO.EPERM;
    if (this.#guarded && this.#begun && !isMountAllowed(type ?? "", flags)) return ERRNO.EPERM;
    const target = this.#paths.walk(path) ?? ERRNO.ESRCH;
    if (typeof target === "number") return target;
    const isPath = (flags & (MS.BIND | MS.MOVE)) !== 0 && source !== undefined;
    const from = isPath ? (this.#paths.walk(source) ?? ERRNO.ESRCH) : ERRNO.EINVAL;
    return this.#mounts.mount({
      source: source ?? "none",
      sourcePlace: typeof from === "number" ? from : from.place,
      target: target.place,
      type: this.#meant(type ?? ""),
      flags,
      data: data ?? "",
    });
  }

  /** May the caller mount there? 0, or the errno. */
  mayMountAt(request: TrappedCall, path: string): number {
    const target = this.#target(request, path);
    if (typeof target === "number") return target;
    if (this.#paths.isElsewhere() || !mayMount(request.pid)) return ERRNO.EPERM;
    return this.#mounts.unfit(target, "directory");
  }

  /** An empty directory for the files of a mount. */
  makeTree(): string {
    const OWN = 0o755;
    return this.#mounts.makeTree(OWN);
  }

  /** Shows that directory to the view, read-only. @returns 0, or the errno. */
  showTree(
    request: TrappedCall,
    backing: string,
    { source, type, target: path }: { readonly [name in "source" | "type" | "target"]: string },
  ): number {
    const target = this.#target(request, path);
    if (typeof target === "number") return target;
    return this.#mounts.show(backing, target, { source, type });
  }

  #target(request: TrappedCall, path: string): Place | number {
    this.#paths.attend(request.pid);
    this.#paths.forget();
    const found = this.#paths.walk(pathText(new TextEncoder().encode(path))) ?? ERRNO.ESRCH;
    return typeof found === "number" ? found : found.place;
  }

  #umount(request: TrappedCall, name: "umount" | "umount2"): number {
    const path = this.#paths.string(request.argument(0));
    const flags = name === "umount" ? 0 : request.low(1);
    if (path === undefined) return ERRNO.EFAULT;
    if (!request.isValid()) return ERRNO.ESRCH;
    if (!mayMount(request.pid)) return ERRNO.EPERM;
    const target = this.#paths.walk(path, (flags & UMOUNT_NOFOLLOW) === 0) ?? ERRNO.ESRCH;
    if (typeof target === "number") return target;
    if (this.#paths.links.directory(realPath(target.place)) === ERRNO.ENOENT) return ERRNO.ENOENT;
    return this.#mounts.umount(target.place, flags, (mount) => this.#inUse(mount));
  }

  #inUse(mount: VirtualMount): boolean {
    const guests = markedProcesses(this.#config.mark);
    if (mount.isPrivate) return isUsed(mount.backing, guests);
    return guests.some((pid) => this.#paths.standsIn(pid, mount));
  }

  #pathCall(request: TrappedCall, { call, paths }: PathCall, read?: ReadPaths): Decision {
    if (this.#paths.isElsewhere()) return CONTINUE;
    const flags = call.name === "openat2" ? this.#openFlags(request) : undefined;
    const walks: Walked[] = [];
    for (const argument of paths) {
      const walked = this.#paths.walkArgument(request, call, argument, flags, read);
      if (walked === undefined) return CONTINUE;
      if (typeof walked === "number") return done(walked);
      walks.push(walked);
    }
    this.#walks = walks;
    const refusal = refusalOf(call, walks, writesFiles(call, request, flags));
    if (refusal !== 0) return done(refusal);
    const [first] = walks;
    const special = call.class === "path-read" ? this.#ofProc(request, call, paths, first!) : "no";
    if (special !== "no") return special;
    const differs = walks.some((walked) => walked.differs);
    if (call.class === "exec") return this.#execute(request, paths[0]!, first!);
    const after = call.name === "chdir" ? this.#hereafter(first!) : nothing;
    if (!differs) {
      // The kernel goes there; only what the place is called must be known.
      after(0);
      return CONTINUE;
    }
    if (!request.isValid()) return done(ERRNO.ESRCH);
    const placed = walks.map((walked, at) => placedPath(paths[at]!.index, kernelPath(walked)));
    return { kind: "instead", placed, after };
  }

  /** A socket of the Unix domain with a path; other addresses are the kernel's. */
  #socketCall(request: TrappedCall, name: "bind" | "connect"): Decision {
    const length = request.low(2);
    if (length <= FAMILY_OCTETS || length > SOCKADDR_UN_OCTETS) return CONTINUE;
    const address = this.#paths.memory.octets(request.pid, request.argument(1), length);
    if (address === undefined || address[0] !== AF_UNIX || address[1] !== 0) return CONTINUE;
    const [path = ""] = pathText(address.subarray(FAMILY_OCTETS)).split("\0");
    if (path === "" || this.#paths.isElsewhere()) return CONTINUE;
    const walked = this.#paths.walk(path, name === "connect");
    if (walked === undefined) return CONTINUE;
    if (typeof walked === "number") return done(walked);
    if (!walked.differs) return CONTINUE;
    if (name === "bind" && isReadOnly(walked)) return done(ERRNO.EROFS);
    const real = pathOctets(`${kernelPath(walked)}\0`);
    if (FAMILY_OCTETS + real.length > SOCKADDR_UN_OCTETS) return done(ERRNO.ENAMETOOLONG);
    if (!request.isValid()) return done(ERRNO.ESRCH);
    const content = new Uint8Array(SOCKADDR_UN_OCTETS);
    content.set(address.subarray(0, FAMILY_OCTETS));
    content.set(real, FAMILY_OCTETS);
    const size = { index: 2, value: BigInt(FAMILY_OCTETS + real.length) };
    return { kind: "instead", placed: [{ index: 1, content }], values: [size], after: nothing };
  }

  #hereafter({ place }: Walked): (errno: number) => void {
    return (errno) => {
      if (errno === 0) this.#paths.entered(place);
    };
  }

  /** A program in a mount; a script of one gets the name that it was called by, as everywhere. */
  #execute(request: TrappedCall, path: PathArgument, walked: Walked): Decision {
    const real = kernelPath(walked);
    const script = scriptArguments(request, walked, path.index, this.#paths);
    if (typeof script === "number") return done(script);
    if (script === undefined && !walked.differs) return CONTINUE;
    if (!request.isValid()) return done(ERRNO.ESRCH);
    const placed = script ?? [placedPath(path.index, real)];
    return { kind: "instead", placed, after: nothing };
  }

  /** struct open_how of openat2(2) begins with the flags. */
  #openFlags(request: TrappedCall): number {
    const how = this.#paths.memory.octets(request.pid, request.argument(2), 8);
    return how === undefined ? 0 : new DataView(how.buffer).getUint32(0, true);
  }

  /** What /proc says of mounts, and of files in them. */
  #ofProc(
    request: TrappedCall,
    call: Syscall,
    paths: readonly PathArgument[],
    { place }: Walked,
  ): Decision | "no" {
    if (place.mount.parent !== undefined || !place.path.startsWith("/proc/")) return "no";
    const { index } = paths[0]!;
    if (call.name.startsWith("readlink") && isObjectLink(place.path)) {
      const text = this.#paths.links.read(place.path);
      const target = text?.startsWith("/") === true ? this.#paths.placeOf(text) : undefined;
      if (target?.mount.parent === undefined) return "no";
      const limit = request.low(index + 2);
      const octets = pathOctets(virtualPath(target)).subarray(0, limit);
      return this.#given(request, index + 1, octets);
    }
    const file = this.#mountsFile(place.path);
    if (file === undefined) return "no";
    const placed = [placedPath(index, file)];
    this.#substitute = { file, path: place.path };
    return { kind: "instead", placed, after: () => unlinkSync(file) };
  }

  /** A file with what /proc/PID/mounts would say of a guest. */
  #mountsFile(real: string): string | undefined {
    const found = MOUNTS_FILE.exec(real);
    if (found === null) return undefined;
    let text: string;
    try {
      text = readFileSync(real, "latin1");
    } catch {
      return undefined;
    }
    const rootId = Number(/^(\d+) \d+ \S+ \S+ \/ /m.exec(text)?.[1] ?? 0);
    const { table } = this.#paths;
    text += found[1] === "mounts" ? mountsText(table) : mountinfoText(table, rootId);
    const file = join(this.#config.folder, real.replaceAll("/", "-"));
    writeFileSync(file, text, "latin1");
    return file;
  }

  #workingDirectory(request: TrappedCall): Answer {
    if (this.#paths.isElsewhere()) return CONTINUE;
    const standing = this.#paths.standing();
    if (standing === undefined || standing.directory.mount.parent === undefined) return CONTINUE;
    const octets = pathOctets(`${virtualPath(standing.directory)}\0`);
    if (request.high(1) === 0 && request.low(1) < octets.length) return done(ERRNO.ERANGE);
    return this.#given(request, 0, octets);
  }

  /** The call returns octets in the caller's memory, and how many. */
  #given(request: TrappedCall, index: number, octets: Uint8Array): Answer {
    if (!request.isValid()) return done(ERRNO.ESRCH);
    const written = writeGuestMemory(request.pid, request.argument(index), octets);
    return written ? { kind: "value", value: BigInt(octets.length) } : done(ERRNO.EFAULT);
  }
}

function placedPath(index: number, path: string): PlacedArgument {
  return { index, content: pathOctets(`${path}\0`) };
}

/** Mounts change what others see: those who gave up the view's rights may not make any. */
function mayMount(tid: number): boolean {
  const status = readFileSync(`/proc/${tid}/status`, "utf8");
  const [, fsuid] = /^Uid:\s+\d+\s+\d+\s+\d+\s+(\d+)/m.exec(status) ?? [];
  return Number(fsuid) === process.geteuid!();
}

const isIn = ({ backing }: VirtualMount, real: string): boolean =>
  backing === "/" || real === backing || real.startsWith(`${backing}/`);

const isReadOnly = ({ place }: Walked): boolean => (place.mount.flags & MS.RDONLY) !== 0;

/** Why a call on those places fails before it is tried; 0: it is tried. */
function refusalOf(call: Syscall, walks: readonly Walked[], writes: boolean): number {
  if (ON_ENTRIES.has(call.name)) {
    const isOld = (at: number): boolean => call.name.startsWith("link") && at === 0;
    if (walks.some((walked, at) => walked.isMountPoint && !isOld(at))) return ERRNO.EBUSY;
  }
  if (RENAME_LIKE.has(call.name)) {
    const [from, to] = walks;
    if (from!.place.mount !== to!.place.mount) return ERRNO.EXDEV;
  }
  if (writes && walks.some(isReadOnly)) return ERRNO.EROFS;
  const isNoExec = ({ place }: Walked): boolean => (place.mount.flags & MS.NOEXEC) !== 0;
  if (call.class === "exec" && walks.some(isNoExec)) return ERRNO.EACCES;
  return 0;
}
