/**
 * Which arguments of a system call are paths, from which directory each begins, and whether a link
 * in its last component is followed. Sources: the manual pages of the calls; fcntl.h,
 * linux/fcntl.h, sys/inotify.h.
 */
import type { CallArguments } from "./syscall-arguments.ts";
import type { Syscall } from "./syscalls.ts";

/** A path among the arguments of a call. */
export interface PathArgument {
  readonly index: number;
  /** Index of the descriptor it begins at when it is relative; undefined: the working directory. */
  readonly directory: number | undefined;
}

const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_NOFOLLOW = 0o400000;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_SYMLINK_FOLLOW = 0x400;
const IN_DONT_FOLLOW = 0x02000000;

/** Calls that work on a link itself, and those that make or remove the name. */
const ON_THE_NAME: ReadonlySet<string> = new Set(
  (
    "lstat oldlstat lstat64 readlink readlinkat lgetxattr llistxattr lsetxattr lremovexattr " +
    "lchown lchown32 unlink unlinkat rmdir mkdir mkdirat mknod mknodat rename renameat renameat2 " +
    "symlink symlinkat link"
  ).split(" "),
);
/** Their first argument is the text of a link, not a name to be looked up. */
const TEXT_FIRST: ReadonlySet<string> = new Set(["symlink", "symlinkat"]);
/** Not followed unless the flag says so. */
const FOLLOWS_ON_DEMAND: ReadonlySet<string> = new Set(["linkat", "name_to_handle_at"]);

/** The paths of a call, in order; none for calls without. */
export function pathArguments(call: Syscall): readonly PathArgument[] {
  const kinds = call.arguments;
  if (kinds === "words") return [];
  return kinds.flatMap((kind, index) => {
    if (kind !== "path" || (index === 0 && TEXT_FIRST.has(call.name))) return [];
    return [{ index, directory: kinds[index - 1] === "dirfd" ? index - 1 : undefined }];
  });
}

/**
 * Is a link in the last component of that path followed?
 * @param openFlags flags of openat2, which lie in memory
 */
export function followsLast(
  call: Syscall,
  { index }: PathArgument,
  words: CallArguments,
  openFlags?: number,
): boolean {
  if (ON_THE_NAME.has(call.name) || call.arguments === "words") return false;
  const argumentOf = (kind: string): number => {
    const at = (call.arguments as readonly string[]).indexOf(kind);
    return at === -1 ? 0 : words.low(at);
  };
  if (FOLLOWS_ON_DEMAND.has(call.name)) {
    return index <= 1 && (argumentOf("at-flags") & AT_SYMLINK_FOLLOW) !== 0;
  }
  if (call.name === "inotify_add_watch") return (words.low(2) & IN_DONT_FOLLOW) === 0;
  const open = openFlags ?? argumentOf("open-flags");
  if ((open & O_NOFOLLOW) !== 0 || (open & (O_CREAT | O_EXCL)) === (O_CREAT | O_EXCL)) return false;
  return (argumentOf("at-flags") & AT_SYMLINK_NOFOLLOW) === 0;
}

/** Would the call change a file or a directory, as a read-only mount forbids? */
export function writesFiles(call: Syscall, words: CallArguments, openFlags?: number): boolean {
  if (call.class === "path-write") return true;
  const at = call.arguments === "words" ? -1 : call.arguments.indexOf("open-flags");
  const open = openFlags ?? (at === -1 ? 0 : words.low(at));
  const O_ACCMODE = 3;
  const O_TRUNC = 0o1000;
  if ((open & (O_ACCMODE | O_TRUNC | O_CREAT)) !== 0) return true;
  const W_OK = 2;
  const mode = call.arguments === "words" ? -1 : call.arguments.indexOf("access-mode");
  return mode !== -1 && (words.low(mode) & W_OK) !== 0;
}
