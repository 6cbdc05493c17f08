/**
 * The threads that call, and what is known of them. To read it costs more than most calls, so it is
 * kept for a while. Every call by which a process could change it is trapped as well and performed
 * by the kernel; it makes us forget.
 *
 * A thread number is not used anew within `KEEP_MS`: the kernel gives all other numbers before, so
 * many that no machine makes as many threads in that time. Where pid_max was lowered, nothing is
 * remembered.
 */
import { AT, CLONE, FileCalls, type CallRequest, O, STATX_OCTETS } from "../../sys/index.ts";
import { type Caller, callerOf } from "./caller.ts";
import { PROC_MAGIC, ProcPaths } from "./proc-paths.ts";
import type { Relief } from "../calls/relief.ts";
import { StandIn } from "./stand-in.ts";

const STATUS_OCTETS = 8192;
const STATX_MNT_ID = 0x1000;
const STATX_INO = 0x100;
/** struct statx: inode, device of a special file, number of the mount. */
const STATX = { inode: 32, mount: 144 } as const;
/** Device of a special file in struct stat. */
const STAT_DEVICE = 40;

/** Threads that are remembered; then all are forgotten. */
const CALLERS_MAX = 128;
const KEEP_MS = 50;
/** Controlling terminal among the fields behind the name in /proc/PID/stat (proc_pid_stat(5)). */
const TTY_FIELD = 4;

const EMPTY = Uint8Array.of(0);
const PID_MAX = new TextEncoder().encode("sys/kernel/pid_max\0");
/** As large as the kernel makes it by itself. */
const PID_MAX_LEAST = 32768;
const SLASH = Uint8Array.of(0x2f, 0);

/** A remembered caller, and when it was read. */
interface Known {
  readonly caller: Caller;
  readonly since: number;
}

/** Calls that change what is known, by what they change. */
const CHANGES: { readonly [name: string]: "directory" | "root" | "roots" | "user" | "clone" } = {
  chdir: "directory",
  fchdir: "directory",
  umask: "directory",
  chroot: "root",
  unshare: "root",
  setns: "root",
  pivot_root: "roots",
  clone: "clone",
};

export class Callers {
  readonly files = new FileCalls();
  readonly standIn: StandIn;
  readonly #proc: number;
  readonly #paths = new ProcPaths();
  readonly #buffer = new Uint8Array(STATUS_OCTETS);
  readonly #statx = new Uint8Array(STATX_OCTETS);
  readonly #statxView = new DataView(this.#statx.buffer);
  readonly #ownUserNamespace: number;
  readonly #rootMount: bigint;
  readonly #rootInode: bigint;
  readonly #known = new Map<number, Known>();
  /** Processes whose threads may have users of their own: never remembered. */
  readonly #changing = new Set<number>();
  /** Processes that change directory now, and the thread that does it. */
  readonly #moving = new Map<number, number>();
  /** Roots or namespaces other than the view's may exist. */
  #roots = true;
  /** Nothing is remembered. */
  #oblivious = false;
  readonly #relief: Relief | undefined;
  #epoch = 0;

  /**
   * The calling thread must have a file-system context of its own and stand in the view's mounts.
   * @param proc descriptor of the host's process file system
   * @param first a process from which all callers descend; without one nothing is remembered
   * @param relief by which other threads that serve the view hear of changes
   */
  constructor(proc: number, first?: number, relief?: Relief) {
    const { files } = this;
    this.#proc = proc;
    this.#relief = relief;
    const largest = this.#text(files.openat(proc, PID_MAX, O.CLOEXEC));
    this.#oblivious = first === undefined || !(Number(largest) >= PID_MAX_LEAST);
    const root = files.openat(AT.FDCWD, SLASH, O.PATH | O.CLOEXEC);
    files.statx(root, EMPTY, AT.EMPTY_PATH, STATX_INO | STATX_MNT_ID, this.#statx);
    files.close(root);
    this.#rootMount = this.#statxView.getBigUint64(STATX.mount, true);
    this.#rootInode = this.#statxView.getBigUint64(STATX.inode, true);
    this.#ownUserNamespace = this.#namespaceInode(process.pid);
    const own = callerOf(process.pid, this.status(process.pid), true, -1);
    this.standIn = new StandIn(files, proc, own);
    if (first !== undefined && this.#rootOf(first) === -1) this.#roots = false;
  }

  /** What a thread is; undefined when it is gone. Give it to `release` after its call. */
  identify(tid: number): Caller | undefined {
    const epoch = this.#relief?.epoch ?? 0;
    if (epoch !== this.#epoch) this.forgetAll();
    this.#epoch = epoch;
    const now = performance.now();
    const known = this.#known.get(tid);
    if (known !== undefined && now - known.since < KEEP_MS) return known.caller;
    if (known !== undefined) this.#forget(known.caller);
    this.standIn.rest();
    const caller = this.#read(tid);
    if (caller === undefined) return undefined;
    if (this.#moving.get(caller.tgid) === tid) this.#moving.delete(caller.tgid);
    if (this.#isLasting(caller)) {
      if (this.#known.size >= CALLERS_MAX) this.forgetAll();
      this.#known.set(tid, { caller, since: now });
    }
    return caller;
  }

  #isLasting(caller: Caller): boolean {
    if (!caller.isPlain || this.#oblivious) return false;
    return !this.#moving.has(caller.tgid) && !this.#changing.has(caller.tgid);
  }

  /** The call of a caller is over. */
  release(caller: Caller): void {
    if (this.#known.get(caller.tid)?.caller !== caller) this.#close(caller);
  }

  /**
   * A call that changes what is known of its caller, before the kernel performs it.
   * @param name of the call
   */
  changes(request: CallRequest, name: string): void {
    const { pid } = request;
    const kind = CHANGES[name] ?? "user";
    this.#relief?.change();
    if (kind === "roots" || kind === "root") this.#roots = true;
    if (kind === "clone") {
      if ((request.low(0) & (CLONE.NEWNS | CLONE.NEWUSER)) !== 0) this.#roots = true;
      if ((request.low(0) & CLONE.FS) === 0) return;
    }
    // It moves other processes as well, or lets them share a directory: then who knows.
    if (kind === "roots" || kind === "clone") {
      this.#oblivious = true;
      return this.forgetAll();
    }
    const tgid = this.#known.get(pid)?.caller.tgid ?? this.#read(pid)?.tgid ?? pid;
    if (kind === "user") this.#changing.add(tgid);
    else this.#moving.set(tgid, pid);
    for (const { caller } of this.#known.values()) {
      if (caller.tgid === tgid) this.#forget(caller);
    }
    // A process that never calls again stays in these: they are sets of numbers, and bounded.
    if (this.#changing.size > CHANGING_MAX || this.#moving.size > CHANGING_MAX) {
      this.#oblivious = true;
      this.forgetAll();
      this.#changing.clear();
      this.#moving.clear();
    }
  }

  /** Keeps nothing, and no directory busy. */
  forgetAll(): void {
    for (const { caller } of this.#known.values()) this.#close(caller);
    this.#known.clear();
  }

  #forget(caller: Caller): void {
    this.#known.delete(caller.tid);
    this.#close(caller);
  }

  #close(caller: Caller): void {
    if (caller.root !== -1) this.files.close(caller.root);
    if (caller.directory !== -1) this.files.close(caller.directory);
    caller.directory = -1;
  }

  /** The caller's working directory: a descriptor that stays ours, or the negative errno. */
  directoryOf(caller: Caller): number {
    if (caller.directory >= 0) return caller.directory;
    const { files } = this;
    const path = this.#paths.of(caller.tid, "cwd");
    const fd = files.openat(this.#proc, path, O.PATH | O.CLOEXEC);
    if (fd < 0) return fd;
    caller.directory = fd;
    caller.directoryOnProc = files.kindOf(fd) === PROC_MAGIC;
    return fd;
  }

  /**
   * The caller's controlling terminal, as an O_PATH descriptor; -1 when it has none. It is found
   * among the caller's first descriptors, or by its number.
   */
  terminal(caller: Caller): number {
    const { files } = this;
    this.standIn.trustItself(true);
    try {
      const fd = files.openat(this.#proc, this.#paths.of(caller.tgid, "stat"), O.CLOEXEC);
      const stat = this.#text(fd);
      const device = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[TTY_FIELD] ?? 0);
      if (device === 0) return -1;
      for (let theirs = 0; theirs <= 2; theirs++) {
        const path = this.#paths.descriptor(caller.tid, theirs);
        if (this.#deviceAt(this.#proc, path) === device) {
          return files.openat(this.#proc, path, O.PATH | O.CLOEXEC);
        }
      }
      const slave = Buffer.from(`/dev/pts/${(device & 0xff) | ((device >>> 12) & 0xfff00)}\0`);
      if (this.#deviceAt(AT.FDCWD, slave) !== device) return -1;
      return files.openat(AT.FDCWD, slave, O.PATH | O.CLOEXEC);
    } finally {
      this.standIn.exactly();
    }
  }

  /** Number of the device that a file stands for. */
  #deviceAt(at: number, path: Uint8Array): number {
    if (this.files.fstatat(at, path, this.#statx, 0) < 0) return 0;
    return this.#statxView.getUint32(STAT_DEVICE, true);
  }

  /** What /proc/TID/status says; empty when the thread is gone. */
  status(tid: number): string {
    return this.#text(this.files.openat(this.#proc, this.#paths.of(tid, "status"), O.CLOEXEC));
  }

  /** What an open file of /proc says; closes it. */
  #text(fd: number): string {
    const length = fd < 0 ? 0 : this.files.read(fd, this.#buffer);
    if (fd >= 0) this.files.close(fd);
    return Buffer.from(this.#buffer.buffer, 0, Math.max(0, length)).toString("latin1");
  }

  #read(tid: number): Caller | undefined {
    const status = this.status(tid);
    if (status === "") return undefined;
    const inside = !this.#roots || this.#namespaceInode(tid) === this.#ownUserNamespace;
    const root = this.#roots ? this.#rootOf(tid) : -1;
    return root === undefined ? undefined : callerOf(tid, status, inside, root);
  }

  /** Descriptor of a thread's root; -1: that of the view; undefined: the thread is gone. */
  #rootOf(tid: number): number | undefined {
    const root = this.files.openat(this.#proc, this.#paths.of(tid, "root"), O.PATH | O.CLOEXEC);
    if (root < 0) return undefined;
    const mask = STATX_INO | STATX_MNT_ID;
    this.files.statx(root, EMPTY, AT.EMPTY_PATH, mask, this.#statx);
    const same =
      this.#statxView.getBigUint64(STATX.mount, true) === this.#rootMount &&
      this.#statxView.getBigUint64(STATX.inode, true) === this.#rootInode;
    if (!same) return root;
    this.files.close(root);
    return -1;
  }

  #namespaceInode(tid: number): number {
    const stat = this.#statx;
    if (this.files.statx(this.#proc, this.#paths.of(tid, "ns/user"), 0, STATX_INO, stat) < 0) {
      return -1;
    }
    return Number(this.#statxView.getBigUint64(STATX.inode, true));
  }
}

const CHANGING_MAX = 4096;
