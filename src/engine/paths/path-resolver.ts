/**
 * Paths of callers, resolved by a thread of ours in their place. Almost everything that a path
 * can meet means the same to us as to the caller. What does not are the names of /proc that say
 * "whoever asks": `self`, `thread-self` and what follows them. So the kernel resolves a path for us
 * as long as it crosses no mount or meets no symbolic link; only what is left is walked name by
 * name (path-walk.ts).
 *
 * Sources: openat2(2), path_resolution(7), proc(5).
 */
import { ERRNO } from "../../base/index.ts";
import { AT, type FileCalls, MemoryBlock, O, RESOLVE } from "../../sys/index.ts";
import type { Caller } from "./caller.ts";
import type { Callers } from "./callers.ts";
import { PathWalk } from "./path-walk.ts";
import { PROC_MAGIC, ProcPaths } from "./proc-paths.ts";

const SLASH = 0x2f;

/** The place of a file that need not exist: its directory, and its name with trailing slashes. */
export interface Entry {
  /** O_PATH descriptor of the directory, or AT_FDCWD: `name` is the root. */
  readonly directory: number;
  readonly name: MemoryBlock;
  /** Negative errno instead. */
  readonly failure: number;
}

/** Resolves paths in the place of the caller that `Callers` has entered. */
export class PathResolver {
  readonly #files: FileCalls;
  readonly #callers: Callers;
  readonly #proc: number;
  readonly #paths = new ProcPaths();
  readonly #here = MemoryBlock.of(Uint8Array.of(0x2e));
  readonly #walk: PathWalk;
  /**
   * What `open` has found last is not on /proc: the kernel came there without crossing a mount.
   */
  isOffProc = false;

  /** @param proc descriptor of the host's process file system */
  constructor(callers: Callers, proc: number) {
    this.#files = callers.files;
    this.#callers = callers;
    this.#proc = proc;
    this.#walk = new PathWalk(callers, proc);
  }

  /**
   * Where a path begins.
   * @param directory of the caller: a descriptor, or AT_FDCWD
   * @returns O_PATH descriptor to be given to `end`, AT_FDCWD for an absolute path, or the negative
   *   errno
   */
  start(caller: Caller, directory: number, path: MemoryBlock): number {
    if (path.octets[0] === SLASH) return AT.FDCWD;
    if (directory === AT.FDCWD) return this.#callers.directoryOf(caller);
    if (directory < 0) return -ERRNO.EBADF;
    const name = this.#paths.descriptor(caller.tid, directory);
    let fd = this.#files.openat(this.#proc, name, O.PATH | O.CLOEXEC);
    if (fd === -ERRNO.EACCES) {
      // The caller cannot be inspected by its own user: that takes all that we may.
      this.#callers.standIn.rest();
      fd = this.#files.openat(this.#proc, name, O.PATH | O.CLOEXEC);
    }
    return fd === -ERRNO.ENOENT ? -ERRNO.EBADF : fd;
  }

  /** Gives back what `start` has opened. */
  end(caller: Caller, start: number): void {
    if (start >= 0 && start !== caller.directory) this.#files.close(start);
  }

  #isOnProc(caller: Caller, start: number): boolean {
    if (start < 0) return caller.root !== -1 && this.#files.kindOf(caller.root) === PROC_MAGIC;
    if (start === caller.directory) return caller.directoryOnProc;
    return this.#files.kindOf(start) === PROC_MAGIC;
  }

  /**
   * openat2(2) as the caller would perform it.
   * @param path ends in NUL
   * @param resolve what the caller has asked for itself (RESOLVE_*)
   * @returns a descriptor, or the negative errno
   */
  open(
    caller: Caller,
    start: number,
    path: MemoryBlock,
    flags: number,
    mode = 0,
    resolve = 0,
  ): number {
    const files = this.#files;
    let found = -ERRNO.EXDEV;
    this.isOffProc = !this.#isOnProc(caller, start);
    if (this.isOffProc) {
      const within = resolve | RESOLVE.NO_XDEV | RESOLVE.NO_MAGICLINKS;
      found = files.openat2(start, path, flags, mode, within);
      if (found !== -ERRNO.EXDEV && found !== -ERRNO.ELOOP) return found;
      this.isOffProc = false;
    }
    this.#callers.standIn.exactly();
    if (found === -ERRNO.EXDEV) {
      const direct = resolve | RESOLVE.NO_SYMLINKS;
      found = files.openat2(start, path, flags, mode, direct);
      const mayBeItsOwn = found === -ERRNO.EACCES || found === -ERRNO.EPERM;
      if (found >= 0 && (flags & O.PATH) === 0) {
        return this.#walk.lends(caller, found) ? found : -ERRNO.EACCES;
      }
      if (found !== -ERRNO.ELOOP && !mayBeItsOwn) return found;
    }
    // What the caller has forbidden the kernel would have to check: a walk cannot.
    if (resolve !== 0) return found;
    return this.#walk.open(caller, start, path, flags, mode);
  }

  /** An O_PATH descriptor of what a path names, or the negative errno. */
  object(caller: Caller, start: number, path: MemoryBlock, follow: boolean): number {
    const flags = O.PATH | O.CLOEXEC | (follow ? 0 : O.NOFOLLOW);
    return this.open(caller, start, path, flags);
  }

  /**
   * Text of a link that says "whoever asks" (/proc/self); undefined: the link says the same to
   * all; an errno: it says nothing to the caller.
   */
  ownName(caller: Caller, link: number): string | number | undefined {
    if (this.#files.kindOf(link) !== PROC_MAGIC) return undefined;
    const name = this.#walk.ownName(caller, link);
    return name ?? (this.#walk.mayRead(caller, link) ? undefined : -ERRNO.EACCES);
  }

  /** The directory and the last name of a path; close the directory. */
  entry(caller: Caller, start: number, path: MemoryBlock, length: number): Entry {
    const { octets } = path;
    let end = length;
    while (end > 0 && octets[end - 1] === SLASH) end--;
    if (length === 0) return { directory: -1, name: path, failure: -ERRNO.ENOENT };
    // "/" has no directory; the kernel, standing at the caller's root, knows what to say.
    if (end === 0) return { directory: AT.FDCWD, name: path, failure: 0 };
    let from = end;
    while (from > 0 && octets[from - 1] !== SLASH) from--;
    const name = MemoryBlock.of(octets.subarray(from, length));
    const parent = from === 0 ? this.#here : MemoryBlock.of(octets.subarray(0, from));
    const flags = O.PATH | O.CLOEXEC | O.DIRECTORY;
    const directory = this.open(caller, start, parent, flags);
    return { directory, name, failure: directory < 0 ? directory : 0 };
  }
}
