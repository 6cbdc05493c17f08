/**
 * Paths of callers, resolved by a thread of ours in their place. Almost everything that a path
 * can meet means the same to us as to the caller. What does not are the names of /proc that say
 * "whoever asks": `self`, `thread-self` and what follows them. So the kernel resolves a path for us
 * as long as it crosses no mount or meets no symbolic link; only what is left is walked name by
 * name (path-walk.ts).
 *
 * Sources: openat2(2), path_resolution(7), proc(5).
 */
import { ERRNO } from "../base/index.ts";
import { AT, type FileCalls, O, RESOLVE } from "../sys/index.ts";
import type { Caller, Callers } from "./callers.ts";
import { PathWalk, PROC_MAGIC } from "./path-walk.ts";
import { ProcPaths } from "./proc-paths.ts";

const SLASH = 0x2f;

/** The place of a file that need not exist: its directory, and its name with trailing slashes. */
export interface Entry {
  /** O_PATH descriptor of the directory, or AT_FDCWD: `name` is the root. */
  readonly directory: number;
  readonly name: Uint8Array;
  /** Negative errno instead. */
  readonly failure: number;
}

/** Resolves paths in the place of the caller that `Callers` has entered. */
export class PathResolver {
  readonly #files: FileCalls;
  readonly #proc: number;
  readonly #paths = new ProcPaths();
  readonly #walk: PathWalk;

  /** @param proc descriptor of the host's process file system */
  constructor(callers: Callers, proc: number) {
    this.#files = callers.files;
    this.#proc = proc;
    this.#walk = new PathWalk(callers, proc);
  }

  /**
   * Where a path begins.
   * @param directory of the caller: a descriptor, or AT_FDCWD
   * @returns O_PATH descriptor to be closed, AT_FDCWD for an absolute path, or the negative errno
   */
  start(caller: Caller, directory: number, path: Uint8Array): number {
    if (path[0] === SLASH) return AT.FDCWD;
    const name =
      directory === AT.FDCWD
        ? this.#paths.of(caller.tid, "cwd")
        : this.#paths.descriptor(caller.tid, directory);
    if (directory < 0 && directory !== AT.FDCWD) return -ERRNO.EBADF;
    const fd = this.#files.openat(this.#proc, name, O.PATH | O.CLOEXEC);
    if (fd === -ERRNO.ENOENT) return directory === AT.FDCWD ? -ERRNO.ENOENT : -ERRNO.EBADF;
    return fd;
  }

  /** Gives back what `start` has opened. */
  end(start: number): void {
    if (start >= 0) this.#files.close(start);
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
    path: Uint8Array,
    flags: number,
    mode = 0,
    resolve = 0,
  ): number {
    const files = this.#files;
    let found = -ERRNO.EXDEV;
    if (start < 0 || files.kindOf(start) !== PROC_MAGIC) {
      const within = resolve | RESOLVE.NO_XDEV | RESOLVE.NO_MAGICLINKS;
      found = files.openat2(start, path, flags, mode, within);
      if (found !== -ERRNO.EXDEV && found !== -ERRNO.ELOOP) return found;
    }
    if (found === -ERRNO.EXDEV) {
      const direct = resolve | RESOLVE.NO_SYMLINKS;
      found = files.openat2(start, path, flags, mode, direct);
      const mayBeItsOwn = found === -ERRNO.EACCES || found === -ERRNO.EPERM;
      if (found !== -ERRNO.ELOOP && !mayBeItsOwn) return found;
    }
    // What the caller has forbidden the kernel would have to check: a walk cannot.
    if (resolve !== 0) return found;
    return this.#walk.open(caller, start, path, flags, mode);
  }

  /** An O_PATH descriptor of what a path names, or the negative errno. */
  object(caller: Caller, start: number, path: Uint8Array, follow: boolean): number {
    const flags = O.PATH | O.CLOEXEC | (follow ? 0 : O.NOFOLLOW);
    return this.open(caller, start, path, flags);
  }

  /** Text of a link that says "whoever asks" (/proc/self); undefined: the link is another. */
  ownName(caller: Caller, link: number): string | undefined {
    return this.#files.kindOf(link) === PROC_MAGIC ? this.#walk.ownName(caller, link) : undefined;
  }

  /** The directory and the last name of a path; close the directory by `end`. */
  entry(caller: Caller, start: number, path: Uint8Array, length: number): Entry {
    let end = length;
    while (end > 0 && path[end - 1] === SLASH) end--;
    if (length === 0) return { directory: -1, name: path, failure: -ERRNO.ENOENT };
    // "/" has no directory; the kernel, standing at the caller's root, knows what to say.
    if (end === 0) return { directory: AT.FDCWD, name: path, failure: 0 };
    let from = end;
    while (from > 0 && path[from - 1] !== SLASH) from--;
    const name = path.subarray(from, length + 1);
    const parent = new Uint8Array(from + 2);
    if (from === 0) parent[0] = 0x2e;
    else parent.set(path.subarray(0, from));
    const flags = O.PATH | O.CLOEXEC | O.DIRECTORY;
    const directory = this.open(caller, start, parent, flags);
    return { directory, name, failure: directory < 0 ? directory : 0 };
  }
}
