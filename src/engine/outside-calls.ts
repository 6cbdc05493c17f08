/**
 * The calls of a view without namespaces (rung C): the supervisor stands outside, beside the
 * guests, and answers from a table of mounts and names of its own. A path that no mount touches is
 * left to the kernel: such a view changes what names mean, it forbids nothing.
 */
import { unlinkSync, writeFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ERRNO } from "../base/index.ts";
import {
  GuestMemory,
  LinkReader,
  type NotifyListener,
  pathOctets,
  pathText,
  UTSNAME,
  UTSNAME_FIELD_OCTETS,
  utsname,
  writeGuestMemory,
} from "../sys/index.ts";
import {
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
  followsLast,
  isRefusedInViews,
  kernelPath,
  mountinfoText,
  MountTable,
  mountsText,
  MS,
  type PathArgument,
  pathArguments,
  type Place,
  realPath,
  type Standing,
  type Syscall,
  SyscallTable,
  virtualPath,
  type VirtualMount,
  type Walked,
  type WalkHost,
  walkPath,
  writesFiles,
} from "../viewos/index.ts";
import type { OutsideConfig } from "./launch-outside.ts";
import { markedProcesses } from "./marked-processes.ts";
import { callRemotely, type PlacedArgument } from "./remote-call.ts";
import type { Answer } from "./trapped-calls.ts";
import { isUsed, VirtualMounts } from "./virtual-mounts.ts";

/** A call with paths, ready to be looked up by its number. */
interface PathCall {
  readonly call: Syscall;
  readonly paths: readonly PathArgument[];
}

const PATH_OCTETS_MAX = 4096;
const DATA_OCTETS_MAX = 4096;
const NAME_OCTETS_MAX = 64;
const MS_MAGIC = 0xc0ed0000;
const UMOUNT_NOFOLLOW = 8;
const RENAME_LIKE: ReadonlySet<string> = new Set([
  "rename",
  "renameat",
  "renameat2",
  "link",
  "linkat",
]);
/** Names that they give to, or take from, a directory; a mount point is in use as such. */
const ON_ENTRIES: ReadonlySet<string> = new Set([...RENAME_LIKE, "unlink", "unlinkat", "rmdir"]);

const CONTINUE: Answer = { kind: "continue" };
const LATER: Answer = { kind: "later" };
const done = (errno: number): Answer => ({ kind: "done", errno });

/** Links of /proc that stand for an object of a process (proc(5)). */
const OBJECT_LINK = /^\/proc\/\d+\/(?:task\/\d+\/)?(?:cwd|root|exe|fd\/\d+|map_files\/[^/]+)$/;
const MOUNTS_FILE = /^\/proc\/(\d+)\/(?:task\/\d+\/)?(mounts|mountinfo)$/;

export class OutsideCalls {
  readonly #config: OutsideConfig;
  readonly #pass: bigint;
  readonly #mounts: VirtualMounts;
  readonly #table = new MountTable();
  readonly #memory = new GuestMemory();
  readonly #links = new LinkReader();
  readonly #calls = new Map<number, ReadonlyMap<number, PathCall>>();
  /** By process: the bound mount that it has entered last. */
  readonly #bound = new Map<number, number>();
  readonly #names = new Map<number, Uint8Array>();
  readonly #mountNamespace: string;
  /** The caller whose call is being answered. */
  #tid = 0;
  readonly #host: WalkHost = {
    look: (real) => this.#look(real),
    directory: (real) => this.#links.directory(real),
  };

  constructor(config: OutsideConfig) {
    this.#config = config;
    this.#pass = BigInt(`0x${config.pass}`);
    this.#mounts = new VirtualMounts(this.#table, config.folder);
    this.#mountNamespace = this.#links.read("/proc/self/ns/mnt") ?? "";
    for (const arch of [AUDIT_ARCH_X86_64, AUDIT_ARCH_I386]) {
      const calls = new SyscallTable(arch).calls();
      const byNumber = calls.map(
        (call) => [call.number, { call, paths: pathArguments(call) }] as const,
      );
      this.#calls.set(arch, new Map(byNumber));
    }
  }

  /** Performs one request, or leaves it to the kernel. */
  perform(request: NotifyListener): Answer {
    const known = this.#calls.get(request.arch)?.get(request.number);
    if (known === undefined) return CONTINUE;
    this.#tid = request.pid;
    switch (known.call.name) {
      case "uname":
      case "olduname":
        return this.#uname(request);
      case "sethostname":
        return this.#setName(request, UTSNAME.nodename);
      case "setdomainname":
        return this.#setName(request, UTSNAME.domain);
      case "mount":
        return this.#isElsewhere() ? CONTINUE : done(this.#mount(request));
      case "umount":
      case "umount2":
        return this.#isElsewhere() ? CONTINUE : done(this.#umount(request, known.call));
      case "getcwd":
        return this.#table.isEmpty ? CONTINUE : this.#workingDirectory(request);
    }
    if (isRefusedInViews(request.arch, request.number)) return done(ERRNO.ENOSYS);
    if (known.paths.length === 0 || this.#table.isEmpty) return CONTINUE;
    return this.#pathCall(request, known);
  }

  /** Callers with a mount namespace or a root of their own are answered by the kernel. */
  #isElsewhere(): boolean {
    return (
      this.#links.read(`/proc/${this.#tid}/ns/mnt`) !== this.#mountNamespace ||
      this.#links.read(`/proc/${this.#tid}/root`) !== "/"
    );
  }

  #uname(request: NotifyListener): Answer {
    const octets = utsname();
    for (const [field, name] of this.#names) {
      const at = field * UTSNAME_FIELD_OCTETS;
      octets.fill(0, at, at + UTSNAME_FIELD_OCTETS).set(name, at);
    }
    const short = this.#calls.get(request.arch)!.get(request.number)!.call.name === "olduname";
    const length = short ? UTSNAME.domain * UTSNAME_FIELD_OCTETS : octets.length;
    const written = writeGuestMemory(request.pid, request.argument(0), octets.subarray(0, length));
    return done(written ? 0 : ERRNO.EFAULT);
  }

  #setName(request: NotifyListener, field: number): Answer {
    const length = request.low(1);
    if (length > NAME_OCTETS_MAX) return done(ERRNO.EINVAL);
    const name = this.#memory.octets(request.pid, request.argument(0), length);
    if (name === undefined) return done(ERRNO.EFAULT);
    if (!request.isValid()) return done(ERRNO.ESRCH);
    this.#names.set(field, name);
    return done(0);
  }

  /** A string of the caller; undefined where the kernel can say better what is wrong with it. */
  #string(address: bigint, limit: number): string | undefined {
    if (address === 0n) return undefined;
    const octets = this.#memory.string(this.#tid, address, limit);
    return octets === undefined || octets === "too long" ? undefined : pathText(octets);
  }

  #mount(request: NotifyListener): number {
    const raw = request.low(3);
    const flags = ((raw & 0xffff0000) >>> 0 === MS_MAGIC ? raw & 0xffff : raw) >>> 0;
    const [source, path, type, data] = [0, 1, 2, 4].map((index) =>
      this.#string(request.argument(index), index === 4 ? DATA_OCTETS_MAX : PATH_OCTETS_MAX),
    );
    if (path === undefined) return ERRNO.EFAULT;
    if (!request.isValid()) return ERRNO.ESRCH;
    if (!this.#mayMount()) return ERRNO.EPERM;
    const standing = this.#standing();
    if (standing === undefined) return ERRNO.ESRCH;
    const target = walkPath(this.#table, standing, path, true, this.#host);
    if (typeof target === "number") return target;
    const from =
      (flags & (MS.BIND | MS.MOVE)) === 0 || source === undefined
        ? ERRNO.EINVAL
        : walkPath(this.#table, standing, source, true, this.#host);
    return this.#mounts.mount({
      source: source ?? "none",
      sourcePlace: typeof from === "number" ? from : from.place,
      target: target.place,
      type: type ?? "",
      flags,
      data: data ?? "",
    });
  }

  #umount(request: NotifyListener, call: Syscall): number {
    const path = this.#string(request.argument(0), PATH_OCTETS_MAX);
    const flags = call.name === "umount" ? 0 : request.low(1);
    if (path === undefined) return ERRNO.EFAULT;
    if (!request.isValid()) return ERRNO.ESRCH;
    if (!this.#mayMount()) return ERRNO.EPERM;
    const standing = this.#standing();
    if (standing === undefined) return ERRNO.ESRCH;
    const follow = (flags & UMOUNT_NOFOLLOW) === 0;
    const target = walkPath(this.#table, standing, path, follow, this.#host);
    if (typeof target === "number") return target;
    const missing = this.#links.directory(realPath(target.place));
    if (missing === ERRNO.ENOENT) return missing;
    return this.#mounts.umount(target.place, flags, (mount) => this.#inUse(mount));
  }

  /** Mounts change what others see: those who gave up the view's rights may not make any. */
  #mayMount(): boolean {
    const status = readFileSync(`/proc/${this.#tid}/status`, "utf8");
    const [, , , , fsuid] = /^Uid:\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)/m.exec(status) ?? [];
    return Number(fsuid) === process.geteuid!();
  }

  #inUse(mount: VirtualMount): boolean {
    const guests = markedProcesses(this.#config.mark);
    if (mount.isPrivate) return isUsed(mount.backing, guests);
    return guests.some((pid) => {
      if (this.#bound.get(pid) !== mount.id) return false;
      const here = this.#links.read(`/proc/${pid}/cwd`);
      return here !== undefined && this.#table.placeOf(here, mount.id).mount === mount;
    });
  }

  /** Where the caller's relative paths begin; undefined when it is gone. */
  #standing(): Standing | undefined {
    const cwd = this.#links.read(`/proc/${this.#tid}/cwd`);
    if (cwd === undefined) return undefined;
    const directory = this.#table.placeOf(cwd, this.#boundOf());
    return { root: { mount: this.#table.root, path: "" }, directory };
  }

  /** The bound mount that the caller, or whoever started it, has entered last. */
  #boundOf(): number | undefined {
    if (this.#bound.size === 0) return undefined;
    const ANCESTORS_MAX = 64;
    let pid = this.#groupOf(this.#tid);
    for (let i = 0; i < ANCESTORS_MAX && pid > 1; i++) {
      const found = this.#bound.get(pid);
      if (found !== undefined) return found;
      pid = numberIn(pid, /^PPid:\s+(\d+)/m) ?? 0;
    }
    return undefined;
  }

  #groupOf(tid: number): number {
    return numberIn(tid, /^Tgid:\s+(\d+)/m) ?? tid;
  }

  #look(real: string): ReturnType<WalkHost["look"]> {
    if (real === "/proc/self") return { kind: "link", text: String(this.#groupOf(this.#tid)) };
    if (real === "/proc/thread-self") {
      return { kind: "link", text: `${this.#groupOf(this.#tid)}/task/${this.#tid}` };
    }
    const text = this.#links.read(real);
    if (text === undefined) return { kind: "other" };
    if (!real.startsWith("/proc/") || !OBJECT_LINK.test(real)) return { kind: "link", text };
    return text.startsWith("/") ? { kind: "jump", path: text } : { kind: "other" };
  }

  #pathCall(request: NotifyListener, { call, paths }: PathCall): Answer {
    if (this.#isElsewhere()) return CONTINUE;
    const flags = call.name === "openat2" ? this.#openFlags(request) : undefined;
    const walks: Walked[] = [];
    for (const argument of paths) {
      const walked = this.#walk(request, call, argument, flags);
      if (walked === undefined) return CONTINUE;
      if (typeof walked === "number") return done(walked);
      walks.push(walked);
    }
    const refusal = refusalOf(call, walks, writesFiles(call, request, flags));
    if (refusal !== 0) return done(refusal);
    const shown = call.class === "path-read" ? this.#mountsFile(walks[0]!) : undefined;
    if (shown === undefined && walks.every((walked) => !walked.differs)) {
      // A process that leaves a bound directory, by whatever way.
      if (call.name === "chdir") this.#bound.delete(this.#groupOf(request.pid));
      return CONTINUE;
    }
    if (!request.isValid()) return done(ERRNO.ESRCH);
    const placed = walks.map((walked, at): PlacedArgument => {
      const path = at === 0 && shown !== undefined ? shown : kernelPath(walked);
      return { index: paths[at]!.index, octets: pathOctets(`${path}\0`) };
    });
    const result = callRemotely(request, { placed, pass: this.#pass });
    if (shown !== undefined) unlinkSync(shown);
    if (result.kind === "refused") return done(result.errno);
    if (call.name === "chdir" && result.kind === "returned" && result.errno === 0) {
      this.#entered(request.pid, walks[0]!.place);
    }
    return LATER;
  }

  /** A process stands in another directory now. */
  #entered(tid: number, { mount }: Place): void {
    const pid = this.#groupOf(tid);
    if (mount.parent !== undefined && !mount.isPrivate) this.#bound.set(pid, mount.id);
    else this.#bound.delete(pid);
    const BOUND_MAX = 4096;
    if (this.#bound.size <= BOUND_MAX) return;
    for (const one of this.#bound.keys()) {
      if (this.#links.read(`/proc/${one}/cwd`) === undefined) this.#bound.delete(one);
    }
  }

  /** Undefined: the kernel can say better what is wrong. */
  #walk(
    request: NotifyListener,
    call: Syscall,
    argument: PathArgument,
    flags: number | undefined,
  ): Walked | number | undefined {
    const path = this.#string(request.argument(argument.index), PATH_OCTETS_MAX);
    if (path === undefined || path === "") return undefined;
    const standing = path.startsWith("/") ? this.#atRoot() : this.#standingOf(request, argument);
    if (standing === undefined) return undefined;
    return walkPath(
      this.#table,
      standing,
      path,
      followsLast(call, argument, request, flags),
      this.#host,
    );
  }

  #atRoot(): Standing {
    const root = { mount: this.#table.root, path: "" };
    return { root, directory: root };
  }

  #standingOf(request: NotifyListener, { directory }: PathArgument): Standing | undefined {
    const AT_FDCWD = -100;
    const descriptor = directory === undefined ? AT_FDCWD : request.low(directory) | 0;
    if (descriptor === AT_FDCWD) return this.#standing();
    const open = this.#links.read(`/proc/${this.#tid}/fd/${descriptor}`);
    if (open === undefined || !open.startsWith("/")) return undefined;
    const place = this.#table.placeOf(open, this.#boundOf());
    return { root: { mount: this.#table.root, path: "" }, directory: place };
  }

  /** struct open_how of openat2(2) begins with the flags. */
  #openFlags(request: NotifyListener): number {
    const how = this.#memory.octets(request.pid, request.argument(2), 8);
    return how === undefined ? 0 : new DataView(how.buffer).getUint32(0, true);
  }

  /** A file with what /proc/PID/mounts would say of a guest. */
  #mountsFile({ place }: Walked): string | undefined {
    const found = place.mount.parent === undefined ? MOUNTS_FILE.exec(place.path) : null;
    if (found === null) return undefined;
    let text: string;
    try {
      text = readFileSync(place.path, "latin1");
    } catch {
      return undefined;
    }
    const rootId = Number(/^(\d+) \d+ \S+ \S+ \/ /m.exec(text)?.[1] ?? 0);
    text += found[2] === "mounts" ? mountsText(this.#table) : mountinfoText(this.#table, rootId);
    const file = join(this.#config.folder, `mounts-${this.#tid}`);
    writeFileSync(file, text, "latin1");
    return file;
  }

  #workingDirectory(request: NotifyListener): Answer {
    if (this.#isElsewhere()) return CONTINUE;
    const standing = this.#standing();
    if (standing === undefined || standing.directory.mount.parent === undefined) return CONTINUE;
    const octets = pathOctets(`${virtualPath(standing.directory)}\0`);
    if (request.high(1) === 0 && request.low(1) < octets.length) return done(ERRNO.ERANGE);
    if (!request.isValid()) return done(ERRNO.ESRCH);
    const written = writeGuestMemory(request.pid, request.argument(0), octets);
    return written ? { kind: "value", value: BigInt(octets.length) } : done(ERRNO.EFAULT);
  }
}

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
  const isReadOnly = ({ place }: Walked): boolean => (place.mount.flags & MS.RDONLY) !== 0;
  if (writes && walks.some(isReadOnly)) return ERRNO.EROFS;
  const isNoExec = ({ place }: Walked): boolean => (place.mount.flags & MS.NOEXEC) !== 0;
  if (call.class === "exec" && walks.some(isNoExec)) return ERRNO.EACCES;
  return 0;
}

function numberIn(pid: number, pattern: RegExp): number | undefined {
  try {
    const found = pattern.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    return found === null ? undefined : Number(found[1]);
  } catch {
    return undefined;
  }
}
