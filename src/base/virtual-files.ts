/**
 * A file system described by paths: what somebody writes who wants to show something as files. A
 * dozen lines will do:
 *
 *     const shout = {
 *       list: () => ["hello"],
 *       stat: (path) => ({ type: path === "/" ? "directory" : "file" }),
 *       read: (path) => path.slice(1).toUpperCase() + "\n",
 *     };
 *
 * Paths begin with a slash and are relative to the mount point, `/` is its root. Every function may
 * be async; a slow one holds up nobody but its own caller. An error with an errno's name as `code`
 * is that errno for whoever asked; any other is EIO. Octets of a name that are no UTF-8 appear as
 * lone surrogates (fuse/names.ts). Modules of View-OS give such a description, the FUSE server
 * serves it, and the fake kernel shows it to tests.
 */

/** Now, or later. */
export type Awaitable<T> = T | Promise<T>;

/** Who asks. Read it before the first `await`: afterwards it may be another's. */
export interface VirtualCaller {
  readonly uid: number;
  readonly gid: number;
  /** Thread, in the pid namespace of whoever mounted; 0: nobody in particular. */
  readonly pid: number;
  /** Raised when the caller was interrupted: it has its EINTR, nobody waits for an answer. */
  readonly signal: AbortSignal;
}

/** What stat(2) says; a missing field has a sensible value. */
export interface VirtualStat {
  /** Default: "directory" of the root, else "file". */
  readonly type?: "file" | "directory" | "link";
  /** Octets; default: as many as `read` gives, which is asked for it. */
  readonly size?: number;
  /** Permission bits; default 0o644 (0o444 where nothing can be written), of directories 0o755. */
  readonly mode?: number;
  /** Default: whoever mounted. */
  readonly uid?: number;
  readonly gid?: number;
  /** Milliseconds since 1970; default: when it was mounted. */
  readonly mtimeMs?: number;
  /** Inode number; default: made from the path. */
  readonly inode?: number;
}

/** What chmod, chown and utimes ask for: only the fields that are there. */
export interface VirtualChange {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly atimeMs?: number;
  readonly mtimeMs?: number;
}

/** A virtual file system. Without `write` and `writeAt` it is read-only. */
export interface VirtualFiles {
  /** Names in a directory. */
  list(path: string, caller: VirtualCaller): Awaitable<Iterable<string>>;
  /** Undefined: there is no such file. */
  stat(path: string, caller: VirtualCaller): Awaitable<VirtualStat | undefined>;
  /** Whole content of a file, or, without `readlink`, where a link leads. */
  read?(path: string, caller: VirtualCaller): Awaitable<string | Uint8Array>;
  /** A piece of a file, for large ones; fewer octets only at the end. Needs sizes in `stat`. */
  readAt?(
    path: string,
    offset: number,
    octets: number,
    caller: VirtualCaller,
  ): Awaitable<Uint8Array>;
  /**
   * Replaces the content; a new file is made so, unless there is `create`. Called when the file is
   * closed or synced, not for each write.
   */
  write?(path: string, content: Uint8Array, caller: VirtualCaller): Awaitable<void>;
  /** Writes a piece, for large files. `data` is gone when the call, or its promise, is over. */
  writeAt?(path: string, data: Uint8Array, offset: number, caller: VirtualCaller): Awaitable<void>;
  /** Cuts or extends; with `writeAt` it is needed for `>` and truncate(1). */
  truncate?(path: string, size: number, caller: VirtualCaller): Awaitable<void>;
  /** Makes an empty file. */
  create?(path: string, mode: number, caller: VirtualCaller): Awaitable<void>;
  mkdir?(path: string, mode: number, caller: VirtualCaller): Awaitable<void>;
  /** Removes a file or link, or an empty directory. */
  remove?(path: string, caller: VirtualCaller): Awaitable<void>;
  /** Moves a file, or a directory with all in it; what `to` was before is gone. */
  rename?(from: string, to: string, caller: VirtualCaller): Awaitable<void>;
  readlink?(path: string, caller: VirtualCaller): Awaitable<string>;
  symlink?(path: string, target: string, caller: VirtualCaller): Awaitable<void>;
  /** Without it modes and owners cannot be changed, and new times are forgotten. */
  change?(path: string, change: VirtualChange, caller: VirtualCaller): Awaitable<void>;
  /**
   * Seconds for which the kernel may remember what it was told; default 1. Infinity: until
   * `changed` says otherwise.
   */
  readonly ttl?: number;
}

/** A time of a description as the kernel counts, also before 1970. @param ms since 1970 */
export function splitTime(ms: number): { readonly seconds: number; readonly nanoseconds: number } {
  const seconds = Math.floor(ms / 1000);
  const nanoseconds = Math.round((ms - seconds * 1000) * 1e6);
  return { seconds, nanoseconds: Math.min(nanoseconds, NANOSECONDS_MAX) };
}

const NANOSECONDS_MAX = 999_999_999;

/** Gives a description its type; nothing is added. */
export function virtualFiles<T extends VirtualFiles>(files: T): T {
  return files;
}

/** Is that a description? Its parts are foreign: functions, or missing. */
export function isVirtualFiles(value: unknown): value is VirtualFiles {
  if (typeof value !== "object" || value === null) return false;
  const { list, stat, read, readAt } = value as { readonly [name: string]: unknown };
  const reads = typeof read === "function" || typeof readAt === "function";
  return typeof list === "function" && typeof stat === "function" && reads;
}
