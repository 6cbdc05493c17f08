/**
 * Path calls, performed on what they name: the file is found first, as a descriptor; a policy is
 * asked about that; then the call is made on the descriptor. Nothing that happens in the tree of
 * files meanwhile can put another file in its place.
 */
import { ERRNO } from "../../base/index.ts";
import { AT, type FileCalls, MemoryBlock, O, STAT_OCTETS } from "../../sys/index.ts";
import { type PathAct, type PathPolicy, READING } from "../../viewos/index.ts";
import type { Caller } from "./caller.ts";
import type { Callers } from "./callers.ts";
import type { CapturedPath, CapturedPathCall } from "../calls/captured-call.ts";
import type { PathInputs } from "./path-inputs.ts";
import type { PathResolver } from "./path-resolver.ts";
import { ProcPaths } from "./proc-paths.ts";

const EMPTY = Uint8Array.of(0);
const RESULT_OCTETS = 65536 + 8;
const CANONICAL_OCTETS = 4096;
const SLASH = 0x2f;
const LINKS_MAX = 40;
const STATX_FLAGS = 0x6800;

/** The files of a call, opened before our thread takes the caller's place. */
export interface Starts {
  readonly first: number;
  readonly second: number;
  /** A copy of the caller's inotify descriptor. */
  readonly watch: number;
}

/**
 * What `open` gives, negated, when it leaves the open to another thread: no errno is that large.
 */
export const LEFT = 4094;

export class PathActs {
  /** What the call writes into the caller's memory, `outputLength` octets of it. */
  readonly output = new MemoryBlock(RESULT_OCTETS);
  outputLength = 0;
  /** Opens that may wait for somebody are left to others: see `left`. */
  leavesWaiting = false;
  /** What has been left: the file, a descriptor that is the taker's, and how to open it. */
  left = { file: -1, flags: 0 };
  readonly #files: FileCalls;
  readonly #callers: Callers;
  readonly #resolver: PathResolver;
  readonly #proc: number;
  readonly #policy: PathPolicy | undefined;
  readonly #paths = new ProcPaths();
  readonly #canonical = new Uint8Array(CANONICAL_OCTETS);
  readonly #mountNumber = new MemoryBlock(8);
  readonly #nothing = new MemoryBlock(1);

  constructor(
    callers: Callers,
    resolver: PathResolver,
    proc: number,
    policy: PathPolicy | undefined,
  ) {
    this.#files = callers.files;
    this.#callers = callers;
    this.#resolver = resolver;
    this.#proc = proc;
    this.#policy = policy;
  }

  /** Performs a call other than open; 0 or more, or the negative errno. */
  perform(caller: Caller, call: CapturedPathCall, inputs: PathInputs, starts: Starts): number {
    switch (call.shape.operation) {
      case "mkdir":
      case "mknod":
      case "symlink":
      case "unlink":
      case "rmdir":
        return this.#onEntry(caller, call, inputs, starts);
      case "rename":
        return this.#rename(caller, call, inputs, starts);
      case "link":
        return this.#link(caller, call, starts);
      default:
        return this.#onObject(caller, call, inputs, starts);
    }
  }

  /** The file that a path names, as a descriptor to be given to `#release`. */
  #object(caller: Caller, path: CapturedPath, start: number, follow: boolean): number {
    if (path.length === 0) return start;
    return this.#resolver.object(caller, start, path.text, follow);
  }

  #release(fd: number, start: number): void {
    if (fd >= 0 && fd !== start) this.#files.close(fd);
  }

  #onObject(caller: Caller, call: CapturedPathCall, inputs: PathInputs, starts: Starts): number {
    const { first } = call;
    const fd = this.#object(caller, first, starts.first, call.follow);
    if (fd < 0) return fd;
    try {
      const { operation } = call.shape;
      const refusal = this.#permit(fd, {
        operation,
        exists: true,
        writes: !READING.has(operation),
      });
      return refusal === 0 ? this.#onDescriptor(caller, fd, call, inputs, starts) : -refusal;
    } finally {
      this.#release(fd, starts.first);
    }
  }

  #onDescriptor(
    caller: Caller,
    fd: number,
    call: CapturedPathCall,
    inputs: PathInputs,
    starts: Starts,
  ): number {
    const files = this.#files;
    switch (call.shape.operation) {
      case "stat":
        return this.#stat(fd, call, inputs);
      case "access": {
        const flags = AT.EMPTY_PATH | AT.EACCESS;
        return files.faccessat2(fd, EMPTY, inputs.mode, flags);
      }
      case "readlink":
        return this.#readlink(caller, fd, call, inputs);
      case "chmod":
        return files.fchmodat(this.#proc, this.#paths.own(fd), inputs.mode);
      case "chown":
        return files.fchownat(fd, EMPTY, inputs.uid, inputs.gid, AT.EMPTY_PATH);
      case "utimens":
        return files.utimensat(fd, EMPTY, inputs.times ?? null, AT.EMPTY_PATH);
      case "handle":
        return this.#handle(fd, call, inputs);
      default:
        return this.#byName(fd, call, inputs, starts);
    }
  }

  /** Calls that take a path and no directory: the thread stands in /proc. */
  #byName(fd: number, call: CapturedPathCall, inputs: PathInputs, starts: Starts): number {
    const files = this.#files;
    const path = this.#paths.own(fd);
    const { output } = this;
    this.#callers.standIn.standAtProc();
    switch (call.shape.operation) {
      case "statfs": {
        const failure = files.statfs(path, output.octets);
        this.outputLength = failure === 0 ? 120 : 0;
        return failure;
      }
      case "truncate":
        return files.truncate(path, inputs.length);
      case "getxattr":
        return this.#gives(
          files.getxattr(path, inputs.text.octets, output.octets, inputs.size),
          inputs.size,
        );
      case "listxattr":
        return this.#gives(files.listxattr(path, output.octets, inputs.size), inputs.size);
      case "setxattr":
        return files.setxattr(
          path,
          inputs.text.octets,
          inputs.value.octets,
          inputs.size,
          inputs.flags,
        );
      case "removexattr":
        return files.removexattr(path, inputs.text.octets);
      case "watch":
        return files.inotifyAddWatch(starts.watch, path, inputs.flags & ~IN_DONT_FOLLOW);
      default:
        return -ERRNO.ENOSYS;
    }
  }

  /** A result that is a count of octets, which go to the caller unless it gave no room. */
  #gives(count: number, room: number): number {
    if (count >= 0 && room > 0) this.outputLength = count;
    return count;
  }

  #readlink(caller: Caller, fd: number, call: CapturedPathCall, { size }: PathInputs): number {
    const isPlain = call.first.length > 0 && this.#resolver.isOffProc;
    const own = isPlain ? undefined : this.#resolver.ownName(caller, fd);
    if (own === undefined) {
      const room = Math.min(size, CANONICAL_OCTETS);
      const length = this.#files.readlinkat(fd, EMPTY, this.output.octets, room);
      // That is what the kernel says of a descriptor that is no link's; of a path it says EINVAL.
      const notLink = length === -ERRNO.ENOENT && call.first.length > 0;
      return this.#gives(notLink ? -ERRNO.EINVAL : length, size);
    }
    if (typeof own === "number") return own;
    const text = Buffer.from(own, "latin1").subarray(0, size);
    this.output.octets.set(text);
    return this.#gives(text.length, size);
  }

  #stat(fd: number, call: CapturedPathCall, inputs: PathInputs): number {
    const { output } = this;
    if (call.shape.call.name === "statx") {
      const flags = AT.EMPTY_PATH | (call.flags & STATX_FLAGS);
      const failure = this.#files.statx(fd, EMPTY, flags, inputs.flags, output.octets);
      this.outputLength = failure === 0 ? 256 : 0;
      return failure;
    }
    const failure = this.#files.fstat(fd, output);
    this.outputLength = failure === 0 ? STAT_OCTETS : 0;
    return failure;
  }

  /** The handle goes to one place of the caller's, the number of its mount to another. */
  #handle(fd: number, call: CapturedPathCall, inputs: PathInputs): number {
    const AT_HANDLE_FLAGS = 0x201;
    const { output } = this;
    output.view.setUint32(0, inputs.size, true);
    const flags = AT.EMPTY_PATH | (call.flags & AT_HANDLE_FLAGS);
    const failure = this.#files.nameToHandle(
      fd,
      EMPTY,
      output.octets,
      this.#mountNumber.octets,
      flags,
    );
    const tooLarge = failure === -ERRNO.EOVERFLOW;
    this.outputLength = tooLarge ? 4 : failure === 0 ? 8 + output.view.getUint32(0, true) : 0;
    return failure;
  }

  /** What `#handle` found besides. */
  get mountNumber(): MemoryBlock {
    return this.#mountNumber;
  }

  #onEntry(caller: Caller, call: CapturedPathCall, inputs: PathInputs, starts: Starts): number {
    const { first } = call;
    const files = this.#files;
    const entry = this.#resolver.entry(caller, starts.first, first.text, first.length);
    if (entry.failure !== 0) return entry.failure;
    const { directory, name } = entry;
    try {
      const { operation } = call.shape;
      const exists = operation === "unlink" || operation === "rmdir";
      const refusal = this.#permitEntry(directory, name, { operation, exists, writes: true });
      if (refusal !== 0) return -refusal;
      switch (operation) {
        case "mkdir":
          return files.mkdirat(directory, name.octets, inputs.mode);
        case "mknod":
          return files.mknodat(directory, name.octets, inputs.mode, inputs.device);
        case "symlink":
          return files.symlinkat(inputs.text.octets, directory, name.octets);
        default:
          return files.unlinkat(
            directory,
            name.octets,
            operation === "rmdir" ? AT.REMOVEDIR : call.flags,
          );
      }
    } finally {
      files.close(directory);
    }
  }

  #rename(caller: Caller, call: CapturedPathCall, inputs: PathInputs, starts: Starts): number {
    const { first, second } = call;
    const files = this.#files;
    const from = this.#resolver.entry(caller, starts.first, first.text, first.length);
    if (from.failure !== 0) return from.failure;
    const to = this.#resolver.entry(caller, starts.second, second.text, second.length);
    try {
      if (to.failure !== 0) return to.failure;
      const act = { operation: "rename", writes: true } as const;
      const refusal =
        this.#permitEntry(from.directory, from.name, { ...act, exists: true }) ||
        this.#permitEntry(to.directory, to.name, { ...act, exists: false });
      if (refusal !== 0) return -refusal;
      return files.renameat2(
        from.directory,
        from.name.octets,
        to.directory,
        to.name.octets,
        inputs.flags,
      );
    } finally {
      files.close(from.directory);
      files.close(to.directory);
    }
  }

  #link(caller: Caller, call: CapturedPathCall, starts: Starts): number {
    const { first, second } = call;
    const files = this.#files;
    const object = this.#object(caller, first, starts.first, call.follow);
    if (object < 0) return object;
    const to = this.#resolver.entry(caller, starts.second, second.text, second.length);
    try {
      if (to.failure !== 0) return to.failure;
      const act = { operation: "link", writes: true } as const;
      const refusal =
        this.#permit(object, { ...act, exists: true }) ||
        this.#permitEntry(to.directory, to.name, { ...act, exists: false });
      if (refusal !== 0) return -refusal;
      const path = this.#paths.own(object);
      return files.linkat(this.#proc, path, to.directory, to.name.octets, AT.SYMLINK_FOLLOW);
    } finally {
      this.#release(object, starts.first);
      files.close(to.directory);
    }
  }

  /** Opens; a descriptor, 0 for a mere name that may be had, or the negative errno. */
  open(caller: Caller, call: CapturedPathCall, inputs: PathInputs, start: number): number {
    const { mode, resolve } = inputs;
    // A supervisor has no terminal, and shall not get one by opening it.
    const flags = (inputs.flags & O.PATH) === 0 ? inputs.flags | O.NOCTTY : inputs.flags;
    const { text } = call.first;
    const found =
      this.#policy === undefined && !this.leavesWaiting
        ? this.#resolver.open(caller, start, text, flags, mode, resolve)
        : this.#openDecided(caller, call.first, start, flags, inputs);
    if (found !== -ERRNO.ENXIO) return found;
    return this.#ownTerminal(caller, text, start, flags);
  }

  #openDecided(
    caller: Caller,
    path: CapturedPath,
    start: number,
    flags: number,
    { mode, resolve }: PathInputs,
  ): number {
    const NOT_BOTH = O.CREAT | O.DIRECTORY;
    if ((flags & NOT_BOTH) === NOT_BOTH) {
      // Some kernels forbid it, before they look at the path.
      const tried = this.#files.openat2(AT.FDCWD, this.#nothing, flags, mode, 0);
      if (tried === -ERRNO.EINVAL) return tried;
    }
    const follow = (flags & O.NOFOLLOW) === 0;
    const writes = (flags & (O.ACCMODE | O.TRUNC)) !== 0;
    const found =
      path.length === 0
        ? -ERRNO.ENOENT
        : this.#resolver.open(
            caller,
            start,
            path.text,
            O.PATH | O.CLOEXEC | (flags & O.NOFOLLOW),
            0,
            resolve,
          );
    if (found >= 0) {
      try {
        if ((flags & O.CREAT) !== 0 && (flags & O.EXCL) !== 0) return -ERRNO.EEXIST;
        const tmpfile = (flags & O.TMPFILE) !== 0;
        const refusal = this.#permit(found, {
          operation: "open",
          exists: true,
          writes: writes || tmpfile,
        });
        if (refusal !== 0) return -refusal;
        // A mere name: the caller's kernel makes it, and says what else is wrong.
        if ((flags & O.PATH) !== 0) return 0;
        if (this.leavesWaiting && this.#waits(found, flags)) {
          this.left = { file: found, flags };
          return -LEFT;
        }
        return this.#reopen(found, flags, mode, follow);
      } finally {
        if (this.left.file !== found) this.#files.close(found);
      }
    }
    if ((flags & O.CREAT) === 0) return found;
    if (found === -ERRNO.ENOTDIR) return this.#asDirectory(caller, path, start);
    if (found !== -ERRNO.ENOENT) return found;
    return this.#create(caller, path, start, flags, mode, LINKS_MAX);
  }

  /** What is said of a file that is to be made where its name says that it is a directory. */
  #asDirectory(caller: Caller, { text, length }: CapturedPath, start: number): number {
    if (text.octets[length - 1] !== SLASH) return -ERRNO.ENOTDIR;
    const { directory, failure } = this.#resolver.entry(caller, start, text, length);
    if (failure !== 0) return failure;
    this.#files.close(directory);
    return -ERRNO.EISDIR;
  }

  /** The file that was decided about, opened as the caller wants it. */
  #reopen(found: number, flags: number, mode: number, follow: boolean): number {
    const files = this.#files;
    if (!follow && this.#isLink(found)) return -ERRNO.ELOOP;
    const direct = flags & ~(O.CREAT | O.EXCL | O.NOFOLLOW);
    return files.openat(this.#proc, this.#paths.own(found), direct, mode);
  }

  #isLink(fd: number): boolean {
    return this.#type(fd) === S_IFLNK;
  }

  /** Does such an open wait for another process? fifo(7) */
  #waits(fd: number, flags: number): boolean {
    return (flags & (O.NONBLOCK | O.PATH)) === 0 && this.#type(fd) === S_IFIFO;
  }

  #type(fd: number): number {
    this.#files.fstat(fd, this.output);
    return this.output.view.getUint32(STAT_MODE, true) & S_IFMT;
  }

  /** A file that is not there, or not yet: perhaps behind a link that leads nowhere. */
  #create(
    caller: Caller,
    path: CapturedPath,
    start: number,
    flags: number,
    mode: number,
    links: number,
  ): number {
    const files = this.#files;
    const entry = this.#resolver.entry(caller, start, path.text, path.length);
    if (entry.failure !== 0) return entry.failure;
    const { directory, name } = entry;
    try {
      const length = files.readlinkat(
        directory,
        name.octets,
        this.output.octets,
        CANONICAL_OCTETS - 1,
      );
      if (length >= 0) {
        if ((flags & (O.EXCL | O.NOFOLLOW)) !== 0) {
          return (flags & O.EXCL) === 0 ? -ERRNO.ELOOP : -ERRNO.EEXIST;
        }
        if (links === 0) return -ERRNO.ELOOP;
        const text = MemoryBlock.of(this.output.octets.subarray(0, length));
        const next = { text, length, directory: 0 };
        const from = text.octets[0] === SLASH ? AT.FDCWD : directory;
        return this.#create(caller, next, from, flags, mode, links - 1);
      }
      const act = { operation: "open", exists: false, writes: true } as const;
      const refusal = this.#permitEntry(directory, name, act);
      if (refusal !== 0) return -refusal;
      return this.#resolver.open(caller, directory, name, flags | O.NOFOLLOW, mode);
    } finally {
      files.close(directory);
    }
  }

  /** /dev/tty is the caller's terminal: ours does not exist (ENXIO). */
  #ownTerminal(caller: Caller, path: MemoryBlock, start: number, flags: number): number {
    const DEV_TTY = 0x500;
    const files = this.#files;
    const object = this.#resolver.object(caller, start, path, (flags & O.NOFOLLOW) === 0);
    if (object < 0) return -ERRNO.ENXIO;
    files.fstat(object, this.output);
    files.close(object);
    const device = this.output.view.getUint32(40, true);
    if (device !== DEV_TTY) return -ERRNO.ENXIO;
    const terminal = this.#callers.terminal(caller);
    if (terminal < 0) return -ERRNO.ENXIO;
    const fd = files.openat(this.#proc, this.#paths.own(terminal), flags & ~O.NOFOLLOW);
    files.close(terminal);
    return fd;
  }

  #permit(fd: number, act: PathAct): number {
    if (this.#policy === undefined) return 0;
    return this.#policy.decide(act, this.#pathOf(fd));
  }

  #permitEntry(directory: number, name: MemoryBlock, act: PathAct): number {
    if (this.#policy === undefined) return 0;
    const parent = directory < 0 ? "" : this.#pathOf(directory);
    const last = Buffer.from(name.octets.subarray(0, name.octets.indexOf(0)))
      .toString("latin1")
      .replace(/\/+$/, "");
    const below = parent === "/" ? parent : `${parent}/`;
    return this.#policy.decide(act, last === "" ? parent || "/" : `${below}${last}`);
  }

  /** Where a file is, now that it is open: the path that it has in the view. */
  #pathOf(fd: number): string {
    const length = this.#files.readlinkat(this.#proc, this.#paths.own(fd), this.#canonical);
    return Buffer.from(this.#canonical.subarray(0, Math.max(0, length))).toString("latin1");
  }
}

const IN_DONT_FOLLOW = 0x02000000;
/** Mode in struct stat, and the types of files (inode(7)). */
const STAT_MODE = 24;
const S_IFMT = 0o170000;
const S_IFLNK = 0o120000;
const S_IFIFO = 0o010000;
