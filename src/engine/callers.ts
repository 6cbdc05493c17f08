/**
 * Who calls: the credentials, root and mask of a thread of a guest, and a thread of ours that takes
 * them for the length of one call. It never has a right that the caller lacks: the capabilities of
 * the supervisor are laid down first and taken up again last.
 *
 * Sources: proc_pid_status(5), credentials(7), capabilities(7).
 */
import {
  AT,
  CAP,
  changeDirectory,
  changeRoot,
  FileCalls,
  O,
  setFileGroup,
  setFileUser,
  setThreadGroups,
  setUmask,
  STATX_OCTETS,
  ThreadCapabilities,
} from "../sys/index.ts";
import { ProcPaths } from "./proc-paths.ts";

const STATUS_OCTETS = 8192;
const STATX_MNT_ID = 0x1000;
const STATX_INO = 0x100;
/** struct statx: inode and number of the mount. */
const STATX = { inode: 32, mount: 144 } as const;

/** Controlling terminal among the fields behind the name in /proc/PID/stat (proc_pid_stat(5)). */
const TTY_FIELD = 4;

const EMPTY = Uint8Array.of(0);
const SLASH = Uint8Array.of(0x2f, 0);

/** A thread of a guest. */
export interface Caller {
  readonly tid: number;
  readonly tgid: number;
  /** For files: the user and group that count, and those of access(2). */
  readonly uid: number;
  readonly gid: number;
  readonly realUid: number;
  readonly realGid: number;
  readonly groups: string;
  /** Effective and permitted capabilities in the view's user namespace. */
  readonly effective: readonly [low: number, high: number];
  readonly permitted: readonly [low: number, high: number];
  readonly umask: number;
  /** Numbers of its process in the pid namespaces that it is seen in, the outermost first. */
  readonly numbers: readonly number[];
  /** O_PATH descriptor of its root; -1: that of the view. */
  readonly root: number;
}

/** Numbers of a line of /proc/PID/status. */
function numbers(status: string, label: string, radix = 10): number[] {
  const from = status.indexOf(`\n${label}:`) + label.length + 2;
  const line = status.slice(from, status.indexOf("\n", from)).trim();
  return line === "" ? [] : line.split(/\s+/).map((word) => Number.parseInt(word, radix));
}

function mask64(status: string, label: string): readonly [number, number] {
  const from = status.indexOf(`\n${label}:\t`) + label.length + 3;
  const high = Number.parseInt(status.slice(from, from + 8), 16);
  return [Number.parseInt(status.slice(from + 8, from + 16), 16) | 0, high | 0];
}

const NO_CAPABILITIES = [0, 0] as const;

/** Our thread, in the place of callers. */
export class Callers {
  readonly files: FileCalls;
  readonly #proc: number;
  readonly #paths = new ProcPaths();
  readonly #capabilities = new ThreadCapabilities();
  readonly #buffer = new Uint8Array(STATUS_OCTETS);
  readonly #statx = new Uint8Array(STATX_OCTETS);
  readonly #statxView = new DataView(this.#statx.buffer);
  /** What our thread is when it is nobody else. */
  readonly #own: Caller;
  readonly #ownRoot: number;
  readonly #ownUserNamespace: number;
  readonly #rootMount: bigint;
  readonly #rootInode: bigint;
  #uid: number;
  #gid: number;
  #groups: string;
  #foreignRoot = false;

  /**
   * The calling thread must have a file-system context of its own and stand in the view's mounts.
   * @param proc descriptor of the host's process file system
   */
  constructor(files: FileCalls, proc: number) {
    this.files = files;
    this.#proc = proc;
    this.#ownRoot = files.openat(AT.FDCWD, SLASH, O.PATH | O.CLOEXEC);
    files.statx(this.#ownRoot, EMPTY, AT.EMPTY_PATH, STATX_INO | STATX_MNT_ID, this.#statx);
    this.#rootMount = this.#statxView.getBigUint64(STATX.mount, true);
    this.#rootInode = this.#statxView.getBigUint64(STATX.inode, true);
    this.#ownUserNamespace = this.#namespaceInode(process.pid);
    this.#own = this.#read(process.pid)!;
    this.#uid = this.#own.uid;
    this.#gid = this.#own.gid;
    this.#groups = this.#own.groups;
  }

  /** Our own process number, as callers see it. */
  get ownPid(): number {
    return this.#own.tgid;
  }

  /** What a thread is now; undefined when it is gone. Close its `root` by `forget`. */
  identify(tid: number): Caller | undefined {
    return this.#read(tid);
  }

  forget(caller: Caller): void {
    if (caller.root !== -1) this.files.close(caller.root);
  }

  /**
   * Our thread becomes the caller, for files.
   * @param real with its real user and group, as access(2) wants it
   * @returns false when that cannot be: then nothing may be done in its name
   */
  enter(caller: Caller, real = false): boolean {
    const uid = real ? caller.realUid : caller.uid;
    const gid = real ? caller.realGid : caller.gid;
    if (caller.groups !== this.#groups) {
      if (!this.#setGroups(caller.groups)) return false;
    }
    if (gid !== this.#gid) {
      setFileGroup(gid);
      if (setFileGroup(gid) !== gid) return false;
      this.#gid = gid;
    }
    if (caller.root !== -1) {
      this.#foreignRoot = true;
      if (changeDirectory(caller.root) !== 0 || changeRoot() !== 0) return false;
    }
    changeDirectory(this.#proc);
    if (uid !== this.#uid) {
      setFileUser(uid);
      if (setFileUser(uid) !== uid) return false;
      this.#uid = uid;
    }
    const set = real ? (uid === 0 ? caller.permitted : NO_CAPABILITIES) : caller.effective;
    return this.#capabilities.set(set[0], set[1]);
  }

  /**
   * The caller may always look into itself (its memory, its descriptors), even when nobody else of
   * its user may: so may we while we act for it on its own part of /proc.
   */
  trustItself(caller: Caller, on: boolean): void {
    const extra = on ? CAP.SYS_PTRACE : 0;
    this.#capabilities.set(caller.effective[0] | extra, caller.effective[1]);
  }

  /** Our thread is itself again. */
  leave(): void {
    this.#capabilities.raise();
    if (this.#uid !== this.#own.uid) {
      setFileUser(this.#own.uid);
      this.#uid = this.#own.uid;
      this.#capabilities.raise();
    }
    if (this.#gid !== this.#own.gid) setFileGroup(this.#own.gid);
    this.#gid = this.#own.gid;
    if (this.#groups !== this.#own.groups) this.#setGroups(this.#own.groups);
    if (!this.#foreignRoot) return;
    changeDirectory(this.#ownRoot);
    changeRoot();
    changeDirectory(this.#proc);
    this.#foreignRoot = false;
  }

  /**
   * The caller's controlling terminal, as an O_PATH descriptor; -1 when it has none. It is found
   * among the caller's first descriptors, or by its number.
   */
  terminal(caller: Caller): number {
    const { files } = this;
    this.#capabilities.raise();
    try {
      const fd = files.openat(this.#proc, this.#paths.of(caller.tgid, "stat"), O.CLOEXEC);
      const length = fd < 0 ? 0 : files.read(fd, this.#buffer);
      files.close(fd);
      const stat = Buffer.from(this.#buffer.subarray(0, Math.max(0, length))).toString("latin1");
      const device = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[TTY_FIELD] ?? 0);
      if (device === 0) return -1;
      for (let theirs = 0; theirs <= 2; theirs++) {
        const path = this.#paths.descriptor(caller.tid, theirs);
        if (this.#deviceAt(this.#proc, path) === device) {
          return files.openat(this.#proc, path, O.PATH | O.CLOEXEC);
        }
      }
      const slave = Buffer.from(`/dev/pts/${(device & 0xff) | ((device >>> 12) & 0xfff00)}\0`);
      if (this.#deviceAt(AT.FDCWD, slave) !== device) return -1;
      return files.openat(AT.FDCWD, slave, O.PATH | O.CLOEXEC);
    } finally {
      this.#capabilities.set(caller.effective[0], caller.effective[1]);
    }
  }

  /** Number of the device that a file stands for. */
  #deviceAt(at: number, path: Uint8Array): number {
    if (this.files.fstatat(at, path, this.#statx, 0) < 0) return 0;
    return this.#statxView.getUint32(40, true);
  }

  /** New files of our thread get this mask. */
  mask(caller: Caller): void {
    setUmask(caller.umask);
  }

  #setGroups(groups: string): boolean {
    const list = groups === "" ? [] : groups.split(" ").map(Number);
    if (setThreadGroups(new Uint32Array(list)) !== 0) return false;
    this.#groups = groups;
    return true;
  }

  #read(tid: number): Caller | undefined {
    const { files } = this;
    const fd = files.openat(this.#proc, this.#paths.of(tid, "status"), O.CLOEXEC);
    if (fd < 0) return undefined;
    const length = files.read(fd, this.#buffer);
    files.close(fd);
    if (length <= 0) return undefined;
    const status = new TextDecoder("latin1").decode(this.#buffer.subarray(0, length));
    const [realUid, , , uid] = numbers(status, "Uid");
    const [realGid, , , gid] = numbers(status, "Gid");
    // Capabilities of another user namespace say nothing about the files of this one.
    const inside = this.#namespaceInode(tid) === this.#ownUserNamespace;
    const own = tid === process.pid;
    return {
      tid,
      tgid: numbers(status, "Tgid")[0]!,
      uid: uid!,
      gid: gid!,
      realUid: realUid!,
      realGid: realGid!,
      groups: numbers(status, "Groups").join(" "),
      effective: inside ? mask64(status, "CapEff") : NO_CAPABILITIES,
      permitted: inside ? mask64(status, "CapPrm") : NO_CAPABILITIES,
      umask: numbers(status, "Umask", 8)[0] ?? 0,
      numbers: numbers(status, "NStgid"),
      root: own ? -1 : this.#rootOf(tid),
    };
  }

  #rootOf(tid: number): number {
    const root = this.files.openat(this.#proc, this.#paths.of(tid, "root"), O.PATH | O.CLOEXEC);
    if (root < 0) return -1;
    const mask = STATX_INO | STATX_MNT_ID;
    this.files.statx(root, EMPTY, AT.EMPTY_PATH, mask, this.#statx);
    const same =
      this.#statxView.getBigUint64(STATX.mount, true) === this.#rootMount &&
      this.#statxView.getBigUint64(STATX.inode, true) === this.#rootInode;
    if (!same) return root;
    this.files.close(root);
    return -1;
  }

  #namespaceInode(tid: number): number {
    const stat = this.#statx;
    if (this.files.statx(this.#proc, this.#paths.of(tid, "ns/user"), 0, STATX_INO, stat) < 0) {
      return -1;
    }
    return Number(this.#statxView.getBigUint64(STATX.inode, true));
  }
}
