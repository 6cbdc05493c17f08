/**
 * What the calling thread may do to files: its effective capabilities, the user, group and groups
 * that the file system sees, its mask of new files. None of it touches the other threads of the
 * process: the C library would change them all, so these are the bare calls.
 *
 * Sources: capabilities(7), credentials(7), setfsuid(2), capset(2).
 */
import { declare, errno } from "./libc.ts";

const SYS_SETGROUPS = 116;
const CAPABILITY_VERSION_3 = 0x20080522;

/** Bits of capabilities that the engine names (linux/capability.h). */
export const CAP = { SYS_CHROOT: 1 << 18, SYS_PTRACE: 1 << 19 } as const;

const capgetCall = declare<(header: Uint8Array, data: Uint8Array) => number>(
  "int capget(void *header, void *data)",
);
const capsetCall = declare<(header: Uint8Array, data: Uint8Array) => number>(
  "int capset(void *header, void *data)",
);
const setfsuidCall = declare<(uid: number) => number>("int setfsuid(unsigned int uid)");
const setfsgidCall = declare<(gid: number) => number>("int setfsgid(unsigned int gid)");
const setgroupsCall = declare<(number: number, count: number, groups: Uint8Array) => number>(
  "long syscall(long number, unsigned long count, void *groups)",
);
const umaskCall = declare<(mask: number) => number>("unsigned int umask(unsigned int mask)");

/** struct __user_cap_data_struct[2] as words: effective, permitted, inheritable; low, then high. */
const WORDS = { effectiveLow: 0, permittedLow: 1, effectiveHigh: 3, permittedHigh: 4 } as const;

/** Capabilities of the calling thread; those it is permitted can be taken up and laid down. */
export class ThreadCapabilities {
  readonly #header = new Uint32Array([CAPABILITY_VERSION_3, 0]);
  readonly #headerOctets = new Uint8Array(this.#header.buffer);
  readonly #data = new Uint32Array(6);
  readonly #octets = new Uint8Array(this.#data.buffer);

  #isKnown = true;

  constructor() {
    capgetCall(this.#headerOctets, this.#octets);
  }

  /** All that the thread is permitted become effective. */
  raise(): void {
    this.set(this.#data[WORDS.permittedLow]!, this.#data[WORDS.permittedHigh]!);
  }

  /**
   * These become effective, as far as they are permitted, and no others.
   * Costs nothing when they are already.
   * @returns false when the kernel refuses, which leaves all as it was
   */
  set(low: number, high: number): boolean {
    const lower = (low & this.#data[WORDS.permittedLow]!) >>> 0;
    const upper = (high & this.#data[WORDS.permittedHigh]!) >>> 0;
    const same = lower === this.#data[WORDS.effectiveLow];
    if (this.#isKnown && same && upper === this.#data[WORDS.effectiveHigh]) return true;
    this.#data[WORDS.effectiveLow] = lower;
    this.#data[WORDS.effectiveHigh] = upper;
    this.#isKnown = capsetCall(this.#headerOctets, this.#octets) === 0;
    return this.#isKnown;
  }

  /** The kernel has changed the effective ones: the next `set` is not left out. */
  forget(): void {
    this.#isKnown = false;
  }
}

/** setfsuid(2): who the calling thread is for files. @returns who it was */
export function setFileUser(uid: number): number {
  return setfsuidCall(uid);
}

/** setfsgid(2) of the calling thread. @returns which it was */
export function setFileGroup(gid: number): number {
  return setfsgidCall(gid);
}

/** setgroups(2) of the calling thread alone. @returns 0, or the errno */
export function setThreadGroups(groups: Uint32Array): number {
  const octets = new Uint8Array(groups.buffer, groups.byteOffset, groups.byteLength);
  return setgroupsCall(SYS_SETGROUPS, groups.length, octets) === 0 ? 0 : errno();
}

/** umask(2); of one thread only if that has a file-system context of its own. */
export function setUmask(mask: number): void {
  umaskCall(mask);
}
