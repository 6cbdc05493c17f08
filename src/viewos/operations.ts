/**
 * Operations: what a module's handler answers. Calls that do the same thing to the same kind of
 * object are one operation, whatever their age, width and architecture: open, openat, openat2 and
 * creat are `open`.
 */
import type { Syscall } from "./syscalls.ts";

/** A call that names a file: absolute in the view; `.` and `..` are resolved by name. */
export interface PathFields {
  readonly path: string;
  /** As given, made absolute and nothing else. */
  readonly given?: string;
}

/** Two names: from `path` to `newPath`. */
export interface TwoPathFields extends PathFields {
  readonly newPath: string;
  readonly newGiven?: string;
}

export interface OpenFields extends PathFields {
  /** O_* of fcntl.h on x86. */
  readonly flags: number;
  readonly mode: number;
  /** The file may be written, made or truncated. */
  readonly write: boolean;
}

/** Where a socket goes: `host` and `port`, or the `path` of a local socket. */
export interface SocketAddress {
  /** `unix`, `inet`, `inet6`, …; a number as text when it has no name here. */
  readonly family: string;
  readonly host?: string;
  readonly port?: number;
  /** Of a local socket; an abstract name begins with `@`. */
  readonly path?: string;
}

export interface AddressFields {
  readonly addr: SocketAddress;
}

export interface SocketFields {
  /** `unix`, `inet`, `inet6`, `netlink`, `packet` …; a number as text otherwise. */
  readonly family: string;
  /** `stream`, `dgram`, `raw`, `rdm`, `seqpacket`; a number as text otherwise. */
  readonly type: string;
  readonly protocol: number;
}

/** struct new_utsname. */
export interface UtsName {
  readonly sysname: string;
  readonly nodename: string;
  readonly release: string;
  readonly version: string;
  readonly machine: string;
  readonly domainname: string;
}

export interface MountCallFields extends PathFields {
  readonly source: string;
  /** Where: the same as `path`. */
  readonly target: string;
  readonly type: string;
  /** MS_* of sys/mount.h. */
  readonly flags: number;
  /** As given, comma-separated. */
  readonly options: string;
}

/** What a handler of each operation is told about a call. */
export interface OperationFields {
  readonly mount: MountCallFields;
  readonly umount: PathFields & { readonly flags: number };
  readonly sethostname: { readonly name: string };
  readonly setdomainname: { readonly name: string };
  readonly uname: { readonly names: UtsName };
  readonly socket: SocketFields;
  /** The new numbers in the order of the call; -1 leaves one as it is. */
  readonly setid: { readonly ids: readonly number[] };
  readonly settime: { readonly clock: number };
  readonly mknod: PathFields & { readonly mode: number; readonly device: number };
  readonly chown: PathFields & { readonly uid: number; readonly gid: number };
  readonly open: OpenFields;
  readonly stat: PathFields;
  readonly access: PathFields & { readonly mode: number };
  readonly readlink: PathFields;
  readonly statfs: PathFields;
  readonly getxattr: PathFields;
  readonly setxattr: PathFields;
  readonly unlink: PathFields;
  readonly rmdir: PathFields;
  readonly mkdir: PathFields & { readonly mode: number };
  readonly rename: TwoPathFields;
  readonly link: TwoPathFields;
  /** `path` is made and holds `target`. */
  readonly symlink: PathFields & { readonly target: string };
  readonly chmod: PathFields & { readonly mode: number };
  readonly truncate: PathFields;
  readonly utimes: PathFields;
  readonly chdir: PathFields;
  readonly exec: PathFields & { readonly argv: readonly string[] };
  readonly connect: AddressFields;
  readonly bind: AddressFields;
}

/** Name of an operation. */
export type Operation = keyof OperationFields;

/** Trap level of an operation, and its calls without the endings of wider variants. */
interface OperationRow {
  readonly level: 0 | 2 | 3;
  readonly calls: string;
}

const ROWS: { readonly [operation in Operation]: OperationRow } = {
  mount: { level: 0, calls: "mount" },
  umount: { level: 0, calls: "umount umount2" },
  sethostname: { level: 0, calls: "sethostname" },
  setdomainname: { level: 0, calls: "setdomainname" },
  uname: { level: 2, calls: "uname olduname oldolduname" },
  socket: { level: 2, calls: "socket socketpair" },
  setid: {
    level: 2,
    calls: "setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups",
  },
  settime: { level: 2, calls: "clock_settime settimeofday stime clock_adjtime adjtimex" },
  mknod: { level: 2, calls: "mknod mknodat" },
  chown: { level: 2, calls: "chown lchown fchown fchownat" },
  open: { level: 3, calls: "open openat openat2 creat" },
  stat: { level: 3, calls: "stat lstat newfstatat fstatat statx oldstat oldlstat" },
  access: { level: 3, calls: "access faccessat faccessat2" },
  readlink: { level: 3, calls: "readlink readlinkat" },
  statfs: { level: 3, calls: "statfs" },
  getxattr: {
    level: 3,
    calls: "getxattr lgetxattr getxattrat listxattr llistxattr listxattrat file_getattr",
  },
  setxattr: {
    level: 3,
    calls: "setxattr lsetxattr setxattrat removexattr lremovexattr removexattrat file_setattr",
  },
  unlink: { level: 3, calls: "unlink unlinkat" },
  // unlinkat with AT_REMOVEDIR is rmdir: both operations need it.
  rmdir: { level: 3, calls: "rmdir unlinkat" },
  mkdir: { level: 3, calls: "mkdir mkdirat" },
  rename: { level: 3, calls: "rename renameat renameat2" },
  link: { level: 3, calls: "link linkat" },
  symlink: { level: 3, calls: "symlink symlinkat" },
  chmod: { level: 3, calls: "chmod fchmodat fchmodat2" },
  truncate: { level: 3, calls: "truncate" },
  utimes: { level: 3, calls: "utime utimes futimesat utimensat" },
  chdir: { level: 3, calls: "chdir" },
  exec: { level: 3, calls: "execve execveat" },
  connect: { level: 3, calls: "connect" },
  bind: { level: 3, calls: "bind" },
};

/** All operations, in the order of documents. */
export const OPERATIONS = Object.keys(ROWS) as readonly Operation[];

/** Endings of calls that are the same with wider fields, on i386. */
const WIDER = ["", "32", "64", "_time64"] as const;
const WIDER_ENDING = /(?:_time64|64|32)$/;

/** Names that calls of an operation may have, on any architecture. */
export function operationCalls(operation: Operation): readonly string[] {
  const names = ROWS[operation].calls.split(" ");
  return names.flatMap((name) => WIDER.map((ending) => name + ending));
}

const SOCKETCALLS: { readonly [number: number]: string } = {
  1: "socket",
  2: "bind",
  3: "connect",
  8: "socketpair",
};

/** Call behind a number of socketcall(2) of i386 (linux/net.h), where it is an operation. */
export function socketcallName(number: number): string | undefined {
  return SOCKETCALLS[number];
}

/** Numbers of socketcall(2) that are calls of an operation. */
export function socketcallNumbers(operation: Operation): readonly number[] {
  const names = ROWS[operation].calls.split(" ");
  return Object.keys(SOCKETCALLS)
    .map(Number)
    .filter((number) => names.includes(SOCKETCALLS[number]!));
}

/** AT_REMOVEDIR of linux/fcntl.h. */
const AT_REMOVEDIR = 0x200;

/** Calls by name: which operation they are. */
export class OperationTable {
  readonly #byName = new Map<string, Operation>();

  constructor() {
    for (const operation of OPERATIONS) {
      for (const name of ROWS[operation].calls.split(" ")) {
        if (!this.#byName.has(name)) this.#byName.set(name, operation);
      }
    }
  }

  /** The operation of a call; undefined for calls that no handler can answer. */
  of(call: Syscall, low: (index: number) => number): Operation | undefined {
    const found =
      this.#byName.get(call.name) ?? this.#byName.get(call.name.replace(WIDER_ENDING, ""));
    if (found === "unlink" && call.name === "unlinkat" && (low(2) & AT_REMOVEDIR) !== 0) {
      return "rmdir";
    }
    return found;
  }
}

/**
 * Level 2, "cold-wide": calls that programs make so rarely that every view traps them. So a module
 * can answer them that is inserted later. Without such a module the kernel performs them.
 */
export const COLD_OPERATIONS: readonly Operation[] = OPERATIONS.filter(
  (operation) => ROWS[operation].level === 2,
);

/** What io_uring does without a call that a filter sees. */
const BY_IO_URING: ReadonlySet<Operation> = new Set<Operation>([
  "open",
  "stat",
  "getxattr",
  "setxattr",
  "unlink",
  "rmdir",
  "mkdir",
  "rename",
  "link",
  "symlink",
  "truncate",
  "socket",
  "connect",
  "bind",
]);

/** Does an operation name files? */
export function isAboutPaths(operation: Operation): boolean {
  return !/^(?:sethostname|setdomainname|uname|socket|setid|settime|connect|bind)$/.test(operation);
}

/** What only a process itself can do: no supervisor can change another's directory or program. */
export const CANNOT_EMULATE: ReadonlySet<Operation> = new Set<Operation>(["chdir", "exec"]);

/** Would io_uring perform that operation unseen? */
export function isPastByIoUring(operation: Operation): boolean {
  return BY_IO_URING.has(operation);
}
