/**
 * The calls that name files, normalised: what each does, and in which arguments its directory,
 * path and flags are. All variants of `stat` are one operation, all of `open` another.
 *
 * The places of arguments come from syscall-signatures.ts; here is only what they mean.
 * Sources: section 2 of the manual pages; fs/ of Linux for which flags each call takes.
 */
import { AUDIT_ARCH_I386 } from "./syscall-numbers.ts";
import { type Syscall, SyscallTable } from "./syscalls.ts";

/** What a call does with what it names. */
export type PathOperation =
  | "open"
  | "stat"
  | "access"
  | "readlink"
  | "statfs"
  | "getxattr"
  | "setxattr"
  | "listxattr"
  | "removexattr"
  | "handle"
  | "watch"
  | "mkdir"
  | "mknod"
  | "unlink"
  | "rmdir"
  | "rename"
  | "link"
  | "symlink"
  | "chmod"
  | "chown"
  | "truncate"
  | "utimens"
  /** Needs rights of the machine that no process of a view has: fails with EPERM. */
  | "privileged"
  /** Not to be had in a view whose paths are trapped: fails with ENOSYS. */
  | "absent"
  /** Names no file, or cannot be done for another process: the kernel performs it. */
  | "kernel";

/** Operations that change nothing. */
export const READING: ReadonlySet<PathOperation> = new Set([
  "stat",
  "access",
  "readlink",
  "statfs",
  "getxattr",
  "listxattr",
  "handle",
  "watch",
] as const);

const OPERATIONS: { readonly [operation in PathOperation]: string } = {
  open: "open openat openat2 creat",
  stat: "stat lstat oldstat oldlstat stat64 lstat64 newfstatat fstatat64 statx",
  access: "access faccessat faccessat2",
  readlink: "readlink readlinkat",
  statfs: "statfs statfs64",
  getxattr: "getxattr lgetxattr getxattrat",
  setxattr: "setxattr lsetxattr setxattrat",
  listxattr: "listxattr llistxattr listxattrat",
  removexattr: "removexattr lremovexattr removexattrat",
  handle: "name_to_handle_at",
  watch: "inotify_add_watch",
  mkdir: "mkdir mkdirat",
  mknod: "mknod mknodat",
  unlink: "unlink unlinkat",
  rmdir: "rmdir",
  rename: "rename renameat renameat2",
  link: "link linkat",
  symlink: "symlink symlinkat",
  chmod: "chmod fchmodat fchmodat2",
  chown: "chown lchown fchownat chown32 lchown32 fchownat32",
  truncate: "truncate truncate64",
  utimens: "utime utimes futimesat utimensat utimensat_time64",
  privileged: "open_by_handle_at acct swapon swapoff",
  absent: "uselib quotactl fanotify_mark file_getattr file_setattr",
  kernel: "mq_open mq_unlink chdir fchdir getcwd chroot pivot_root",
};

/** Flags of linux/fcntl.h for calls that take them in an argument. */
const AT_NOFOLLOW = 0x100;
const AT_FOLLOW = 0x400;
const AT_EMPTY = 0x1000;

/** Which AT_* flags a call takes; any other is EINVAL. */
const FLAGS: { readonly [name: string]: number } = {
  newfstatat: 0x1900,
  fstatat64: 0x1900,
  statx: 0x7900,
  faccessat2: 0x1300,
  fchmodat2: 0x1100,
  fchownat: 0x1100,
  utimensat: 0x1100,
  utimensat_time64: 0x1100,
  linkat: 0x1400,
  unlinkat: 0x200,
  name_to_handle_at: 0x1601,
  getxattrat: 0x1100,
  setxattrat: 0x1100,
  listxattrat: 0x1100,
  removexattrat: 0x1100,
};

/** Calls that act on a symbolic link itself, whatever they are told. */
const OF_LINKS = /^(?:l(?:stat|getxattr|setxattr|listxattr|removexattr|chown)|oldlstat|readlink)/;
/** Calls that follow a symbolic link only when told to. */
const FOLLOWING_WHEN_TOLD: ReadonlySet<string> = new Set(["linkat", "name_to_handle_at"]);
const ON_DIRECTORY_ITSELF: ReadonlySet<string> = new Set(["link"]);

/** Where a path is in the arguments of a call. */
export interface PathPlace {
  /** Argument with the directory descriptor; -1: paths begin at the working directory. */
  readonly directory: number;
  readonly path: number;
}

/** One call that names files. */
export interface PathShape {
  readonly operation: PathOperation;
  readonly call: Syscall;
  readonly first: PathPlace;
  /** The other file of rename and link; the place of a new symbolic link is `first`. */
  readonly second: PathPlace | undefined;
  /** Argument with AT_* flags, or -1; `known` are those that the call takes. */
  readonly flags: number;
  readonly known: number;
  /** Index of the first argument behind the (last) path. */
  readonly rest: number;
  readonly compatible: boolean;
}

/** Does a call with these flags follow a symbolic link at the end of its path? */
export function followsLinks(shape: PathShape, flags: number): boolean {
  const { name } = shape.call;
  if (ON_DIRECTORY_ITSELF.has(name) || OF_LINKS.test(name)) return false;
  return FOLLOWING_WHEN_TOLD.has(name) ? (flags & AT_FOLLOW) !== 0 : (flags & AT_NOFOLLOW) === 0;
}

/** May the path be empty, so that the call is about the directory descriptor itself? */
export function takesDescriptor(shape: PathShape, flags: number): boolean {
  return (flags & AT_EMPTY & shape.known) !== 0 || shape.call.name === "readlinkat";
}

function places(call: Syscall): readonly PathPlace[] {
  if (call.arguments === "words") return [];
  return call.arguments.flatMap((kind, index) =>
    kind === "path"
      ? [{ path: index, directory: call.arguments[index - 1] === "dirfd" ? index - 1 : -1 }]
      : [],
  );
}

const NOWHERE: PathPlace = { directory: -1, path: -1 };

function shapeOf(call: Syscall, operation: PathOperation): PathShape {
  const found = places(call);
  // The first path of symlink is a text, not a place.
  const [first = NOWHERE, second] = operation === "symlink" ? found.slice(1) : found;
  return {
    operation,
    call,
    first,
    second,
    flags: call.arguments === "words" ? -1 : call.arguments.indexOf("at-flags"),
    known: FLAGS[call.name] ?? 0,
    rest: (found.at(-1)?.path ?? -1) + 1,
    compatible: call.arch === AUDIT_ARCH_I386,
  };
}

/** The calls of the path classes on one architecture, by number. */
export function pathShapes(arch: number): ReadonlyMap<number, PathShape> {
  const table = new SyscallTable(arch);
  const shapes = new Map<number, PathShape>();
  for (const [operation, names] of Object.entries(OPERATIONS)) {
    for (const name of names.split(" ")) {
      const call = table.named(name);
      if (call === undefined) continue;
      shapes.set(call.number, shapeOf(call, operation as PathOperation));
    }
  }
  return shapes;
}
