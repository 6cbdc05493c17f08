/**
 * The description of a virtual file system: what a module's `mount` gives. Paths begin with a slash
 * and are relative to the mount point; `/` is its root. Every function may be async; a slow one
 * holds up nobody but its own caller. An error with an errno's name as `code` is that errno for the
 * guest; any other error is EIO.
 *
 * The FUSE server takes the same description.
 */

/** Now, or later. */
export type Awaitable<T> = T | Promise<T>;

/** Who asks. */
export interface VirtualCaller {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  /** Raised when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** What stat(2) says of a virtual file; a missing field has a sensible value. */
export interface VirtualStat {
  /** Default: "directory" of the root, else "file". */
  readonly type?: "file" | "directory" | "link";
  /** Octets; default: as many as `read` gives. */
  readonly size?: number;
  /** Permission bits; default 0o644 (0o444 where nothing can be written), of directories 0o755. */
  readonly mode?: number;
  /** Default: whoever mounted. */
  readonly uid?: number;
  readonly gid?: number;
  /** Milliseconds since 1970. */
  readonly mtimeMs?: number;
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
  /** Replaces the content; a new file is made so, unless there is `create`. */
  write?(path: string, content: Uint8Array, caller: VirtualCaller): Awaitable<void>;
  /** Writes a piece, for large files. */
  writeAt?(path: string, data: Uint8Array, offset: number, caller: VirtualCaller): Awaitable<void>;
  /** Cuts or extends. */
  truncate?(path: string, size: number, caller: VirtualCaller): Awaitable<void>;
  create?(path: string, mode: number, caller: VirtualCaller): Awaitable<void>;
  mkdir?(path: string, mode: number, caller: VirtualCaller): Awaitable<void>;
  /** Removes a file or link, or an empty directory. */
  remove?(path: string, caller: VirtualCaller): Awaitable<void>;
  rename?(from: string, to: string, caller: VirtualCaller): Awaitable<void>;
  readlink?(path: string, caller: VirtualCaller): Awaitable<string>;
  symlink?(path: string, target: string, caller: VirtualCaller): Awaitable<void>;
  /** Without it modes and owners cannot be changed. */
  change?(path: string, change: VirtualChange, caller: VirtualCaller): Awaitable<void>;
  /** Seconds for which the kernel may remember what it was told; default 1. */
  readonly ttl?: number;
}

/** Gives a description its type; nothing is added. */
export function vfs<T extends VirtualFiles>(files: T): T {
  return files;
}
