/**
 * A path walked name by name, for the few that meet /proc: there `self` is the caller, not us, and
 * links to open files, directories and programs of a process ("magic" links, proc(5)) are followed
 * with exactly the rights of the caller.
 *
 * Every step is made from a descriptor, so whatever changes meanwhile, each step is one that the
 * kernel could have made for the caller itself.
 */
import { ERRNO } from "../../base/index.ts";
import { AT, type FileCalls, MemoryBlock, O, RESOLVE, STAT_OCTETS } from "../../sys/index.ts";
import type { Caller } from "./caller.ts";
import type { Callers } from "./callers.ts";
import { PROC_MAGIC, ProcPaths } from "./proc-paths.ts";

/** Inode number of the root of every process file system (linux/proc_ns.h). */
const PROC_ROOT_INODE = 1n;
/** Links that one path may lead through (linux/namei.h). */
const LINKS_MAX = 40;
const LINK_OCTETS = 4096;
const S_IFMT = 0o170000;
const S_IFLNK = 0o120000;
const STICKY_FOR_ALL = 0o1002;

const HERE = Uint8Array.of(0x2e, 0);
const ROOT = Uint8Array.of(0x2f, 0);

/** Where a walk is. */
interface Place {
  fd: number;
  /** The process file system knows this part as the caller's own. */
  own: boolean;
}

interface Found {
  readonly kind: "link" | "magic" | "other";
  readonly text: string;
}

/** latin1: octets and characters are the same. */
const decode = (from: Uint8Array): string => Buffer.from(from).toString("latin1");
const encode = (text: string): MemoryBlock => MemoryBlock.of(Buffer.from(text, "latin1"));

export class PathWalk {
  readonly #callers: Callers;
  readonly #files: FileCalls;
  readonly #proc: number;
  readonly #paths = new ProcPaths();
  readonly #ownPid = process.pid;
  readonly #stat = new MemoryBlock(STAT_OCTETS);
  readonly #view = this.#stat.view;
  readonly #link = new Uint8Array(LINK_OCTETS);

  constructor(callers: Callers, proc: number) {
    this.#callers = callers;
    this.#files = callers.files;
    this.#proc = proc;
  }

  /** openat2(2) from `start`; a descriptor or the negative errno. */
  open(caller: Caller, start: number, path: MemoryBlock, flags: number, mode: number): number {
    const { octets } = path;
    const text = decode(octets.subarray(0, octets.indexOf(0)));
    const absolute = text.startsWith("/");
    const place: Place = { fd: this.#begin(absolute ? AT.FDCWD : start), own: false };
    try {
      return this.#walk(caller, place, text, flags, mode);
    } finally {
      this.#callers.standIn.trustItself(false);
      if (place.fd >= 0) this.#files.close(place.fd);
    }
  }

  #begin(start: number): number {
    if (start >= 0) return this.#files.openat(start, HERE, O.PATH | O.CLOEXEC);
    return this.#files.openat(AT.FDCWD, ROOT, O.PATH | O.CLOEXEC);
  }

  #walk(caller: Caller, place: Place, path: string, flags: number, mode: number): number {
    const names = path.split("/").filter((name) => name !== "");
    let last = path.endsWith("/") ? O.DIRECTORY : 0;
    const follow = (flags & O.NOFOLLOW) === 0 || last !== 0;
    if ((flags & O.CREAT) !== 0 && last !== 0) return -ERRNO.EISDIR;
    let links = 0;
    while (names.length > 0) {
      if (place.fd < 0) return place.fd;
      const name = names.shift()!;
      const isLast = names.length === 0;
      const found = this.#look(caller, place, name);
      if (typeof found === "number") {
        if (!isLast || found !== -ERRNO.ENOENT || (flags & O.CREAT) === 0) return found;
      } else if (found.kind !== "other" && (!isLast || follow)) {
        if (isLast && (flags & O.EXCL) !== 0 && (flags & O.CREAT) !== 0) return -ERRNO.EEXIST;
        if (++links > LINKS_MAX) return -ERRNO.ELOOP;
        if (found.kind === "magic") {
          const object = this.#follow(place, name);
          if (object < 0) return object;
          if (isLast) return this.#reopen(object, flags | last);
          this.#move(place, object, false);
        } else {
          if (found.text === "") return -ERRNO.ENOENT;
          names.unshift(...found.text.split("/").filter((part) => part !== ""));
          if (isLast && found.text.endsWith("/")) last = O.DIRECTORY;
          if (found.text.startsWith("/")) this.#move(place, this.#begin(AT.FDCWD), false);
        }
        continue;
      }
      const own = this.#isOwn(caller, place, name);
      this.#callers.standIn.trustItself(own);
      if (isLast) {
        const exact = RESOLVE.NO_SYMLINKS;
        return this.#files.openat2(place.fd, encode(name), flags | last, mode, exact);
      }
      const step = O.PATH | O.CLOEXEC | O.NOFOLLOW | O.DIRECTORY;
      this.#move(place, this.#files.openat2(place.fd, encode(name), step, 0, 0), own);
    }
    // The path was "/", or ended where it began.
    return place.fd < 0 ? place.fd : this.#files.openat(place.fd, HERE, flags & ~O.NOFOLLOW, mode);
  }

  #move(place: Place, fd: number, own: boolean): void {
    this.#files.close(place.fd);
    place.fd = fd;
    place.own = own;
  }

  /** What a name is, without following it; a negative errno when it is nothing. */
  #look(caller: Caller, place: Place, name: string): Found | number {
    const files = this.#files;
    if (name === "." || name === "..") return { kind: "other", text: "" };
    const path = encode(name);
    const fd = files.openat2(place.fd, path, O.PATH | O.CLOEXEC | O.NOFOLLOW, 0, 0);
    if (fd < 0) return fd;
    try {
      files.fstat(fd, this.#stat);
      if ((this.#mode & S_IFMT) !== S_IFLNK) return { kind: "other", text: "" };
      const owner = this.#owner;
      if (files.kindOf(fd) === PROC_MAGIC) return this.#procLink(caller, place, fd, name, owner);
      const refusal = this.#protected(caller, place, owner);
      if (refusal !== 0) return refusal;
      return this.#textOf(fd);
    } finally {
      files.close(fd);
    }
  }

  get #mode(): number {
    return this.#view.getUint32(24, true);
  }

  get #owner(): number {
    return this.#view.getUint32(28, true);
  }

  #textOf(fd: number): Found | number {
    const length = this.#files.readlinkat(fd, Uint8Array.of(0), this.#link);
    if (length < 0) return length;
    return { kind: "link", text: decode(this.#link.subarray(0, length)) };
  }

  /**
   * Links in directories that anybody may write to are followed only for their owner and for that
   * of the directory (fs.protected_symlinks, proc_sys_fs(5)).
   */
  #protected(caller: Caller, place: Place, owner: number): number {
    if (owner === caller.uid) return 0;
    this.#files.fstat(place.fd, this.#stat);
    if ((this.#mode & STICKY_FOR_ALL) !== STICKY_FOR_ALL) return 0;
    return this.#owner === owner ? 0 : -ERRNO.EACCES;
  }

  #procLink(caller: Caller, place: Place, fd: number, name: string, owner: number): Found | number {
    const itself = this.ownName(caller, fd);
    if (itself !== undefined) return { kind: "link", text: itself };
    const path = encode(name);
    const probe = O.PATH | O.CLOEXEC;
    const through = this.#files.openat2(place.fd, path, probe, 0, RESOLVE.NO_MAGICLINKS);
    if (through >= 0) this.#files.close(through);
    // An ordinary link of /proc (mounts, net) may lead nowhere, a magic one is always refused.
    if (through !== -ERRNO.ELOOP) return this.#textOf(fd);
    // The kernel lets a process look into itself, and we are not to lend that right to a guest.
    const mayLook = owner === caller.uid || this.#isPrivileged(caller) || place.own;
    return mayLook ? { kind: "magic", text: "" } : -ERRNO.EACCES;
  }

  #isPrivileged(caller: Caller): boolean {
    const CAP_SYS_PTRACE = 1 << 19;
    return (caller.effective[0] & CAP_SYS_PTRACE) !== 0;
  }

  #isProcRoot(fd: number): boolean {
    if (this.#files.kindOf(fd) !== PROC_MAGIC) return false;
    this.#files.fstat(fd, this.#stat);
    return this.#view.getBigUint64(8, true) === PROC_ROOT_INODE;
  }

  /**
   * The kernel lets us look into ourselves, and we must not lend that to a guest.
   * @param fd of anything; closed when the answer is no
   */
  lends(caller: Caller, fd: number): boolean {
    if (this.#files.kindOf(fd) !== PROC_MAGIC || this.#isPrivileged(caller)) return true;
    this.#files.fstat(fd, this.#stat);
    const FOR_ALL = 0o7;
    if (this.#owner === caller.uid || (this.#mode & FOR_ALL) !== 0) return true;
    this.#files.close(fd);
    return false;
  }

  /** May the caller read what a magic link says? */
  mayRead(caller: Caller, link: number): boolean {
    this.#files.fstat(link, this.#stat);
    const isLink = (this.#mode & S_IFMT) === S_IFLNK;
    // `ownName` has left its text: these are ordinary links (mounts, net), the same for all.
    if (!isLink || decode(this.#link.subarray(0, 5)) === "self/") return true;
    return this.#owner === caller.uid || this.#isPrivileged(caller);
  }

  /**
   * What `self` or `thread-self` of a process file system says to the caller; undefined for other
   * links of it. To us it says our own number; where we are not seen, it leads nowhere (ENOENT),
   * and the caller is meant as it is known in its own pid namespace.
   */
  ownName(caller: Caller, link: number): string | undefined {
    const length = this.#files.readlinkat(link, Uint8Array.of(0), this.#link);
    const ours = length < 0 ? "" : decode(this.#link.subarray(0, length));
    const own = this.#ownPid;
    if (ours === String(own)) return String(caller.tgid);
    if (ours.startsWith(`${own}/task/`)) return `${caller.tgid}/task/${caller.tid}`;
    if (length !== -ERRNO.ENOENT) return undefined;
    // It says that of descriptors which are no link's, too.
    this.#files.fstat(link, this.#stat);
    const isLink = (this.#mode & S_IFMT) === S_IFLNK;
    return isLink ? String(caller.numbers.at(-1)) : undefined;
  }

  /** Is that name of the process file system's root the caller's own, or are we within it? */
  #isOwn(caller: Caller, place: Place, name: string): boolean {
    if (name === "..") return false;
    if (place.own || !/^[1-9]\d*$/.test(name)) return place.own;
    const number = Number(name);
    const itself = number === caller.tgid || number === caller.tid;
    return itself && this.#isProcRoot(place.fd);
  }

  /** Through a magic link; the kernel asks whether the caller may. */
  #follow(place: Place, name: string): number {
    this.#callers.standIn.trustItself(place.own);
    const fd = this.#files.openat(place.fd, encode(name).octets, O.PATH | O.CLOEXEC);
    this.#callers.standIn.trustItself(false);
    return fd;
  }

  /** Opens an object that a magic link has led to, once more and with the caller's flags. */
  #reopen(object: number, flags: number): number {
    if ((flags & O.PATH) !== 0 && (flags & O.DIRECTORY) === 0) return object;
    const direct = flags & ~(O.CREAT | O.EXCL | O.NOFOLLOW);
    const fd = this.#files.openat(this.#proc, this.#paths.own(object), direct);
    this.#files.close(object);
    return fd;
  }
}
