/**
 * Names of the flags in system-call arguments, where a table of some lines tells most of it.
 * Sources: fcntl.h, linux/fcntl.h, sys/mount.h, linux/sched.h, sys/socket.h, signal.h, unistd.h,
 * linux/net.h.
 */
import { MS } from "./mount-options.ts";
import { AUDIT_ARCH_AARCH64 } from "./syscall-numbers.ts";

/** Arguments that are printed by name. */
export type FlagKind =
  | "open-flags"
  | "at-flags"
  | "access-mode"
  | "mount-flags"
  | "umount-flags"
  | "clone-flags"
  | "family"
  | "socket-type"
  | "socketcall"
  | "signal";

interface Names {
  /** Values of the part that is a number; `mask` cuts it out. */
  readonly values?: readonly string[];
  readonly mask: number;
  readonly flags: readonly (readonly [bits: number, name: string])[];
  /** Printed for no flag at all, when there are no values. */
  readonly none: string;
}

const OPEN_COMMON: readonly (readonly [bits: number, name: string])[] = [
  [0o100, "O_CREAT"],
  [0o200, "O_EXCL"],
  [0o400, "O_NOCTTY"],
  [0o1000, "O_TRUNC"],
  [0o2000, "O_APPEND"],
  [0o4000, "O_NONBLOCK"],
  [0o4010000, "O_SYNC"],
  [0o10000, "O_DSYNC"],
  [0o20000, "O_ASYNC"],
  [0o1000000, "O_NOATIME"],
  [0o2000000, "O_CLOEXEC"],
  [0o10000000, "O_PATH"],
];

const ACCESS_MODES = ["O_RDONLY", "O_WRONLY", "O_RDWR"];

function openNames(tmpfile: number, bits: readonly number[]): Names {
  const moved = ["O_DIRECTORY", "O_NOFOLLOW", "O_DIRECT", "O_LARGEFILE"];
  const own = moved.map((name, index) => [bits[index]!, name] as const);
  const flags = [[tmpfile, "O_TMPFILE"] as const, ...OPEN_COMMON, ...own];
  return { values: ACCESS_MODES, mask: 3, none: "0", flags };
}

const OPEN_X86 = openNames(0o20200000, [0o200000, 0o400000, 0o40000, 0o100000]);
const OPEN_AARCH64 = openNames(0o20040000, [0o40000, 0o100000, 0o200000, 0o400000]);

const FAMILIES = (
  "AF_UNSPEC AF_UNIX AF_INET AF_AX25 AF_IPX AF_APPLETALK AF_NETROM AF_BRIDGE AF_ATMPVC AF_X25 " +
  "AF_INET6 AF_ROSE AF_DECnet AF_NETBEUI AF_SECURITY AF_KEY AF_NETLINK AF_PACKET"
).split(" ");

const SIGNALS = (
  "0 SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 " +
  "SIGPIPE SIGALRM SIGTERM SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG " +
  "SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO SIGPWR SIGSYS"
).split(" ");

const SOCKET_CALLS = (
  "0 SYS_SOCKET SYS_BIND SYS_CONNECT SYS_LISTEN SYS_ACCEPT SYS_GETSOCKNAME SYS_GETPEERNAME " +
  "SYS_SOCKETPAIR SYS_SEND SYS_RECV SYS_SENDTO SYS_RECVFROM SYS_SHUTDOWN SYS_SETSOCKOPT " +
  "SYS_GETSOCKOPT SYS_SENDMSG SYS_RECVMSG SYS_ACCEPT4 SYS_RECVMMSG SYS_SENDMMSG"
).split(" ");

const WHOLE = 0xffffffff;

const NAMES: { readonly [kind in Exclude<FlagKind, "open-flags">]: Names } = {
  "at-flags": {
    mask: 0,
    none: "0",
    flags: [
      [0x100, "AT_SYMLINK_NOFOLLOW"],
      [0x200, "AT_REMOVEDIR"],
      [0x400, "AT_SYMLINK_FOLLOW"],
      [0x800, "AT_NO_AUTOMOUNT"],
      [0x1000, "AT_EMPTY_PATH"],
      [0x2000, "AT_STATX_FORCE_SYNC"],
      [0x4000, "AT_STATX_DONT_SYNC"],
      [0x8000, "AT_RECURSIVE"],
    ],
  },
  "access-mode": {
    mask: 0,
    none: "F_OK",
    flags: [
      [4, "R_OK"],
      [2, "W_OK"],
      [1, "X_OK"],
    ],
  },
  "mount-flags": {
    mask: 0,
    none: "0",
    flags: Object.entries(MS).map(([name, bits]) => [bits, `MS_${name}`] as const),
  },
  "umount-flags": {
    mask: 0,
    none: "0",
    flags: [
      [1, "MNT_FORCE"],
      [2, "MNT_DETACH"],
      [4, "MNT_EXPIRE"],
      [8, "UMOUNT_NOFOLLOW"],
    ],
  },
  "clone-flags": {
    values: SIGNALS,
    mask: 0xff,
    none: "0",
    flags: [
      [0x100, "CLONE_VM"],
      [0x200, "CLONE_FS"],
      [0x400, "CLONE_FILES"],
      [0x800, "CLONE_SIGHAND"],
      [0x1000, "CLONE_PIDFD"],
      [0x2000, "CLONE_PTRACE"],
      [0x4000, "CLONE_VFORK"],
      [0x8000, "CLONE_PARENT"],
      [0x10000, "CLONE_THREAD"],
      [0x20000, "CLONE_NEWNS"],
      [0x40000, "CLONE_SYSVSEM"],
      [0x80000, "CLONE_SETTLS"],
      [0x100000, "CLONE_PARENT_SETTID"],
      [0x200000, "CLONE_CHILD_CLEARTID"],
      [0x1000000, "CLONE_CHILD_SETTID"],
      [0x2000000, "CLONE_NEWCGROUP"],
      [0x4000000, "CLONE_NEWUTS"],
      [0x8000000, "CLONE_NEWIPC"],
      [0x10000000, "CLONE_NEWUSER"],
      [0x20000000, "CLONE_NEWPID"],
      [0x40000000, "CLONE_NEWNET"],
      [0x80000000, "CLONE_IO"],
    ],
  },
  family: { values: FAMILIES, mask: WHOLE, none: "0", flags: [] },
  "socket-type": {
    values: ["0", "SOCK_STREAM", "SOCK_DGRAM", "SOCK_RAW", "SOCK_RDM", "SOCK_SEQPACKET"],
    mask: 0xf,
    none: "0",
    flags: [
      [0o4000, "SOCK_NONBLOCK"],
      [0o2000000, "SOCK_CLOEXEC"],
    ],
  },
  socketcall: { values: SOCKET_CALLS, mask: WHOLE, none: "0", flags: [] },
  signal: { values: SIGNALS, mask: WHOLE, none: "0", flags: [] },
};

/** `O_RDONLY|O_CLOEXEC`; bits without a name come last, in hexadecimal. */
export function flagNames(kind: FlagKind, value: number, arch: number): string {
  const open = arch === AUDIT_ARCH_AARCH64 ? OPEN_AARCH64 : OPEN_X86;
  const { values, mask, flags, none } = kind === "open-flags" ? open : NAMES[kind];
  const words: string[] = [];
  let rest = (value & ~mask) >>> 0;
  const part = (value & mask) >>> 0;
  if (values !== undefined) {
    const name = values[part] ?? String(part);
    if (name !== "0" || rest === 0) words.push(name);
  }
  for (const [bits, name] of flags) {
    if (rest === 0) break;
    if ((rest & bits) >>> 0 !== bits) continue;
    words.push(name);
    rest = (rest & ~bits) >>> 0;
  }
  if (rest !== 0) words.push(`0x${rest.toString(16)}`);
  return words.length === 0 ? none : words.join("|");
}
