/** mount(2), umount2(2), host names, and standing where another process stands. */
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { check, declare, declareSyscall, errno } from "./libc.ts";
import { CLONE, unshare } from "./namespaces.ts";

const mountCall = declare<
  (
    source: Uint8Array | null,
    target: Uint8Array,
    type: Uint8Array | null,
    flags: bigint,
    data: Uint8Array | null,
  ) => number
>("int mount(void *source, void *target, void *type, unsigned long flags, void *data)");
const umount2Call = declare<(target: Uint8Array, flags: number) => number>(
  "int umount2(void *target, int flags)",
);
const fchdirCall = declare<(fd: number) => number>("int fchdir(int fd)");
const chrootCall = declare<(path: string) => number>("int chroot(const char *path)");
const sethostnameCall = declare<(name: Uint8Array, length: number) => number>(
  "int sethostname(void *name, unsigned long length)",
);
const setdomainnameCall = declare<(name: Uint8Array, length: number) => number>(
  "int setdomainname(void *name, unsigned long length)",
);
const statfsCall = declare<(path: Uint8Array, buffer: Uint8Array) => number>(
  "int statfs(void *path, void *buffer)",
);
const readlinkatCall = declare<
  (at: number, path: string, into: Uint8Array, count: number) => number
>("long readlinkat(int at, const char *path, void *buf, unsigned long count)");
const openatCall = declare<(at: number, path: string, flags: number) => number>(
  "int openat(int at, const char *path, int flags)",
);

const chdirCall = declare<(path: string) => number>("int chdir(const char *path)");
/** newfstatat(2), by architecture of this Node: older C libraries have no function for it. */
const SYS_NEWFSTATAT: { readonly [architecture: string]: number } = { x64: 262, arm64: 79 };
const fstatatCall = declareSyscall<
  (at: number, path: string, buffer: Uint8Array, flags: number) => number
>(SYS_NEWFSTATAT[process.arch] ?? -1, ["int", "const char *", "void *", "int"]);
const AT_FDCWD = -100;
/** struct stat begins with device and inode, 64 bits each. */
const STAT_OCTETS = 144;
const STAT_INODE = 8;

const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;
const LINK_OCTETS_MAX = 4096;

/** fchdir(2). @returns 0, or the errno. */
export function changeDirectory(fd: number): number {
  return fchdirCall(fd) === 0 ? 0 : errno();
}

/** chroot(2) to the working directory. @returns 0, or the errno. */
export function changeRoot(): number {
  return chrootCall(".") === 0 ? 0 : errno();
}

/** Octets with the NUL that the kernel wants. */
function terminated(octets: Uint8Array | null): Uint8Array | null {
  if (octets === null) return null;
  const string = new Uint8Array(octets.length + 1);
  string.set(octets);
  return string;
}

/** mount(2) with raw octet strings. @returns 0, or the errno. */
export function mount(
  source: Uint8Array | null,
  target: Uint8Array,
  type: Uint8Array | null,
  flags: number,
  data: Uint8Array | null,
): number {
  const result = mountCall(
    terminated(source),
    terminated(target)!,
    terminated(type),
    BigInt(flags >>> 0),
    terminated(data),
  );
  return result === 0 ? 0 : errno();
}

/** umount2(2) with a raw octet string. @returns 0, or the errno. */
export function umount2(target: Uint8Array, flags: number): number {
  return umount2Call(terminated(target)!, flags) === 0 ? 0 : errno();
}

/**
 * Flags of the mount at a path (statfs(2) f_flags); ro, nosuid, nodev and noexec have the values of
 * the MS_* flags. 0 when the path cannot be read.
 */
export function mountFlags(path: Uint8Array): number {
  const F_FLAGS = 80; // struct statfs of 64-bit machines
  const buffer = new Uint8Array(120);
  if (statfsCall(terminated(path)!, buffer) === -1) return 0;
  return Number(new DataView(buffer.buffer).getBigUint64(F_FLAGS, true) & 0xffffffffn);
}

/** sethostname(2) for the UTS namespace of the calling thread. @returns 0, or the errno. */
export function setHostName(name: Uint8Array): number {
  return sethostnameCall(name, name.length) === 0 ? 0 : errno();
}

/** setdomainname(2) for the UTS namespace of the calling thread. @returns 0, or the errno. */
export function setDomainName(name: Uint8Array): number {
  return setdomainnameCall(name, name.length) === 0 ? 0 : errno();
}

/**
 * Lets the calling thread take the root and working directory of another process for the length of
 * one operation, so that the kernel resolves that process's path strings exactly as it would for
 * itself.
 */
export class Standpoint {
  readonly #proc: number;
  readonly #theirs = new Uint8Array(STAT_OCTETS);
  readonly #ours = new Uint8Array(STAT_OCTETS);
  readonly #view = new DataView(this.#theirs.buffer);

  /**
   * The thread gets a file-system context of its own; the other threads of the process keep theirs.
   */
  constructor() {
    unshare(CLONE.FS);
    this.#proc = openSync("/proc", O_PATH | constants.O_DIRECTORY);
  }

  /** Descriptor of the host's process file system. */
  get proc(): number {
    return this.#proc;
  }

  /** The thread keeps where it stands, and looks into no process any more. */
  close(): void {
    closeSync(this.#proc);
  }

  /**
   * Runs `action` with root and working directory of `pid`.
   * @param needsDirectory false: all paths of the action are absolute
   * @returns the action's result, or undefined when the process is gone.
   */
  at(pid: number, action: () => number, needsDirectory = true): number | undefined {
    if (!this.#identify(this.#proc, `${pid}/root`, this.#theirs)) return undefined;
    this.#identify(AT_FDCWD, "/", this.#ours);
    const isElsewhere = !sameFile(this.#theirs, this.#ours);
    // Most calls name their files by absolute paths, in processes with the root of their view.
    if (!isElsewhere && !needsDirectory) return action();
    const directory = openatCall(this.#proc, `${pid}/cwd`, O_PATH | O_CLOEXEC);
    const root = isElsewhere ? openatCall(this.#proc, `${pid}/root`, O_PATH | O_CLOEXEC) : -1;
    const own = isElsewhere ? openatCall(AT_FDCWD, "/", O_PATH | O_CLOEXEC) : -1;
    try {
      if (directory === -1 || (isElsewhere && root === -1)) return undefined;
      if (isElsewhere) enterRoot(root);
      check(fchdirCall(directory), "fchdir");
      try {
        return action();
      } finally {
        if (isElsewhere) enterRoot(own);
        // Nothing stays in use because we have been there.
        check(chdirCall("/"), "chdir", "/");
      }
    } finally {
      for (const fd of [root, directory, own]) if (fd !== -1) closeSync(fd);
    }
  }

  /** Device and inode of a file; false when it cannot be found. */
  #identify(at: number, path: string, into: Uint8Array): boolean {
    return fstatatCall(at, path, into, 0) === 0;
  }

  /**
   * What `/proc/PID/…` of the host's process file system says, whatever the view has mounted there.
   * @param flags of open(2); for reading unless told otherwise
   */
  openProc(path: string, flags = 0): number {
    return openatCall(this.#proc, path, flags | O_CLOEXEC);
  }

  /** What a link below the host's /proc says, from where we stand; undefined when it is gone. */
  readProcLink(path: string): string | undefined {
    const into = Buffer.alloc(LINK_OCTETS_MAX);
    const count = readlinkatCall(this.#proc, path, into, into.length);
    return count === -1 ? undefined : into.toString("utf8", 0, count);
  }

  /** Inode that identifies a namespace of a process; undefined: it is gone. */
  namespaceOf(pid: number, kind: "mnt" | "uts" | "user"): bigint | undefined {
    if (!this.#identify(this.#proc, `${pid}/ns/${kind}`, this.#theirs)) return undefined;
    return this.#view.getBigUint64(STAT_INODE, true);
  }

  /** Mode and owner of what `/proc/PID/…` leads to, also when it may not be opened. */
  statProc(path: string): { readonly mode: number; readonly uid: number } | undefined {
    const fd = openatCall(this.#proc, path, O_PATH | O_CLOEXEC);
    if (fd === -1) return undefined;
    try {
      const { mode, uid } = fstatSync(fd);
      return { mode, uid };
    } finally {
      closeSync(fd);
    }
  }
}

/** Makes the directory behind a descriptor the thread's root and working directory. */
function enterRoot(fd: number): void {
  check(fchdirCall(fd), "fchdir");
  check(chrootCall("."), "chroot");
}

/** The same device and inode? */
function sameFile(a: Uint8Array, b: Uint8Array): boolean {
  for (let index = 0; index < STAT_INODE + 8; index++) if (a[index] !== b[index]) return false;
  return true;
}
