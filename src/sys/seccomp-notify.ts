/**
 * The supervisor's side of a seccomp user notification: receive, validate, answer.
 * Sources: seccomp_unotify(2), linux/seccomp.h.
 */
import { ERRNO } from "../base/index.ts";
import { declare, errno } from "./libc.ts";
import type { CallNotes } from "./call-notes.ts";
import type { CallRequest } from "./call-request.ts";
import { MemoryBlock } from "./memory-block.ts";

const ioctlCall = declare<(fd: number, request: number, argument: number) => number>(
  "int ioctl(int fd, unsigned long request, uintptr_t argument)",
);

const NOTIF_RECV = 0xc0502100;
const NOTIF_SEND = 0xc0182101;
const NOTIF_ID_VALID = 0x40082102;
const NOTIF_ADDFD = 0x40182103;
const NOTIF_SET_FLAGS = 0x40082104;
/** SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP: run the woken one on this processor. Linux 6.6. */
const SYNC_WAKE_UP = 1;
const FLAG_CONTINUE = 1;
/** SECCOMP_ADDFD_FLAG_SEND: put the descriptor in and let the call return it, in one step. */
const ADDFD_SEND = 2;
/** SECCOMP_ADDFD_FLAG_SETFD: the new descriptor has the number that we say. */
const ADDFD_SETFD = 1;
const O_CLOEXEC = 0o2000000;

/**
 * struct seccomp_notif: id u64, pid u32, flags u32, data { nr i32, arch u32, ip u64, args u64[6] }.
 */
const REQUEST = { id: 0, pid: 8, number: 16, arch: 20, args: 32 } as const;
const REQUEST_OCTETS = 80;
/** struct seccomp_notif_resp: id u64, val i64, error i32, flags u32. */
const RESPONSE_OCTETS = 24;
/** struct seccomp_notif_addfd: id u64, flags u32, srcfd u32, newfd u32, newfd_flags u32. */
const ADDFD = { flags: 8, source: 12, target: 16, sourceFlags: 20 } as const;
const ADDFD_OCTETS = 24;

/** One listener's requests, one at a time; the buffers are reused from call to call. */
export class NotifyListener implements CallRequest {
  readonly isTraced = false;
  readonly descriptor: number;
  readonly notes: CallNotes | undefined;
  readonly #request: CallNotes["request"];
  readonly #view: DataView;
  readonly #response = new MemoryBlock(RESPONSE_OCTETS);
  readonly #answer = this.#response.view;
  readonly #addition = new MemoryBlock(ADDFD_OCTETS);
  readonly #added = this.#addition.view;
  readonly #id: Uint8Array;

  /** @param notes where requests are taken to; the last one may be there still */
  constructor(descriptor: number, notes?: CallNotes) {
    this.descriptor = descriptor;
    this.notes = notes;
    this.#request = notes?.request ?? new MemoryBlock(REQUEST_OCTETS);
    this.#view = this.#request.view;
    this.#id = this.#request.octets.subarray(REQUEST.id, REQUEST.id + 8);
  }

  /**
   * Callers and their listener take turns on one processor from now on, which no call of theirs
   * leaves idle. Older kernels do without.
   */
  takeTurns(): void {
    ioctlCall(this.descriptor, NOTIF_SET_FLAGS, SYNC_WAKE_UP);
  }

  /** Takes the next request; false when there was none after all (its caller was killed). */
  receive(): boolean {
    this.#request.octets.fill(0);
    return ioctlCall(this.descriptor, NOTIF_RECV, this.#request.address) === 0;
  }

  /**
   * A request that was taken before, to be answered now: only its id is known, all else reads as 0.
   */
  requestBy(id: bigint): NotifyListener {
    const request = new NotifyListener(this.descriptor);
    request.#view.setBigUint64(REQUEST.id, id, true);
    return request;
  }

  /** A copy of the current request, which can be examined and answered after others are taken. */
  held(): NotifyListener {
    const request = new NotifyListener(this.descriptor);
    request.#request.octets.set(this.#request.octets.subarray(0, REQUEST_OCTETS));
    return request;
  }

  /** The request is about to have an effect. */
  begin(): void {
    this.notes?.begin();
  }

  /** The request is answered after others were taken. */
  leave(): void {
    this.notes?.leave(this.id, (older) => !this.requestBy(older).isValid());
  }

  /** Names the request for as long as its caller waits. */
  get id(): bigint {
    return this.#view.getBigUint64(REQUEST.id, true);
  }

  /** Puts the id into other memory, eight octets from `at` on. */
  copyId(into: Uint8Array, at: number): void {
    into.set(this.#id, at);
  }

  /** Thread that made the call, in the number space of our own pid namespace. */
  get pid(): number {
    return this.#view.getUint32(REQUEST.pid, true);
  }

  get number(): number {
    return this.#view.getInt32(REQUEST.number, true);
  }

  get arch(): number {
    return this.#view.getUint32(REQUEST.arch, true);
  }

  /** Argument 0 to 5. A 32-bit caller's arguments arrive zero-extended. */
  argument(index: number): bigint {
    return this.#view.getBigUint64(REQUEST.args + 8 * index, true);
  }

  /** The lower half of an argument: an int, unsigned; no BigInt is made. */
  low(index: number): number {
    return this.#view.getUint32(REQUEST.args + 8 * index, true);
  }

  /** The upper half of an argument. */
  high(index: number): number {
    return this.#view.getUint32(REQUEST.args + 8 * index + 4, true);
  }

  /** False once the caller is gone: what was read of its memory may be another's. */
  isValid(): boolean {
    for (;;) {
      const { address } = this.#request;
      if (ioctlCall(this.descriptor, NOTIF_ID_VALID, address + REQUEST.id) === 0) return true;
      if (errno() !== ERRNO.EINTR) return false;
    }
  }

  /**
   * Lets the kernel perform the call as it stands. Never a security decision: memory may change.
   */
  continue(): void {
    this.#send(0n, 0, FLAG_CONTINUE);
  }

  /** The call returns `value`. */
  succeed(value = 0n): void {
    this.#send(value, 0, 0);
  }

  /** The call fails with an errno. */
  fail(errnoValue: number): void {
    this.#send(0n, -errnoValue, 0);
  }

  /**
   * The call returns a copy of our descriptor, with the caller's next free number.
   * @returns 0, or the errno for which the call did not return: EMFILE when it has too many.
   */
  inject(descriptor: number, closeOnExec: boolean): number {
    this.#addition.octets.set(this.#id);
    this.#added.setUint32(ADDFD.flags, ADDFD_SEND, true);
    this.#added.setUint32(ADDFD.source, descriptor, true);
    this.#added.setUint32(ADDFD.sourceFlags, closeOnExec ? O_CLOEXEC : 0, true);
    while (ioctlCall(this.descriptor, NOTIF_ADDFD, this.#addition.address) === -1) {
      const failure = errno();
      if (failure !== ERRNO.EINTR) return failure;
    }
    return 0;
  }

  /**
   * Puts a copy of our descriptor in the place of one of the caller's, who still waits.
   * @returns 0, or the errno for which it was not done.
   */
  replace(descriptor: number, theirs: number, closeOnExec: boolean): number {
    this.#addition.octets.set(this.#id);
    this.#added.setUint32(ADDFD.flags, ADDFD_SETFD, true);
    this.#added.setUint32(ADDFD.source, descriptor, true);
    this.#added.setUint32(ADDFD.target, theirs, true);
    this.#added.setUint32(ADDFD.sourceFlags, closeOnExec ? O_CLOEXEC : 0, true);
    const isDone = ioctlCall(this.descriptor, NOTIF_ADDFD, this.#addition.address) !== -1;
    const failure = isDone ? 0 : errno();
    this.#added.setUint32(ADDFD.target, 0, true);
    return failure;
  }

  #send(value: bigint, error: number, flags: number): void {
    this.#response.octets.set(this.#id);
    this.#answer.setBigInt64(8, value, true);
    this.#answer.setInt32(16, error, true);
    this.#answer.setUint32(20, flags, true);
    // ENOENT: the caller was killed meanwhile; there is nobody to answer.
    ioctlCall(this.descriptor, NOTIF_SEND, this.#response.address);
  }
}
