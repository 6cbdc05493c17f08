/** Waiting for descriptors: epoll(7), and an eventfd(2) by which another thread ends the wait. */
import { ERRNO } from "../base/index.ts";
import { closeFd } from "./descriptor.ts";
import { check, declare, errno, type Pointer } from "./libc.ts";

const libcEpollCreate = declare<(flags: number) => number>("int epoll_create1(int flags)");
const libcEpollCtl = declare<(epfd: number, op: number, fd: number, event: Pointer) => number>(
  "int epoll_ctl(int epfd, int op, int fd, void *event)",
);
const libcEpollWait = declare<
  (epfd: number, events: Pointer, limit: number, timeoutMs: number) => number
>("int epoll_wait(int epfd, void *events, int maxevents, int timeout)");
const libcPoll = declare<(fds: Pointer, count: number, timeoutMs: number) => number>(
  "int poll(void *fds, unsigned long nfds, int timeout)",
);
const libcEventfd = declare<(initial: number, flags: number) => number>(
  "int eventfd(unsigned int initval, int flags)",
);
const libcRead = declare<(fd: number, into: Pointer, count: number) => number>(
  "long read(int fd, void *buf, unsigned long count)",
);
const libcWrite = declare<(fd: number, from: Pointer, count: number) => number>(
  "long write(int fd, void *buf, unsigned long count)",
);

/** Readiness bits, equal in poll(2) and epoll(7). */
export const READY = { readable: 1, writable: 4, failed: 8, hungUp: 16 } as const;

const CTL = { add: 1, remove: 2, modify: 3 } as const;
const CLOSE_ON_EXEC = 0o2000000;
const NON_BLOCK = 0o4000;

/** struct epoll_event is packed on x86_64 only (sys/epoll.h, EPOLL_PACKED). */
export const EPOLL_EVENT =
  process.arch === "x64"
    ? ({ octets: 12, events: 0, data: 4 } as const)
    : ({ octets: 16, events: 0, data: 8 } as const);

/** Events returned by one wait at most. */
const WAIT_EVENTS = 64;

/** A set of descriptors, each with a token of 32 bits. Level triggered. */
export class Epoll {
  readonly fd: number;
  readonly #events: Uint8Array;
  readonly #words: Int32Array;
  readonly #request = new Uint8Array(EPOLL_EVENT.octets);
  readonly #requestWords = new Int32Array(this.#request.buffer);
  #isOpen = true;

  constructor() {
    this.fd = check(libcEpollCreate(CLOSE_ON_EXEC), "epoll_create1");
    this.#events = new Uint8Array(WAIT_EVENTS * EPOLL_EVENT.octets);
    this.#words = new Int32Array(this.#events.buffer);
  }

  /**
   * Watches `fd` for the READY bits `interest`.
   * @returns false when the descriptor is always ready and cannot be watched (a regular file,
   *   /dev/null).
   * @throws V2Error for a bad or already watched descriptor.
   */
  add(fd: number, token: number, interest: number): boolean {
    this.#requestWords[EPOLL_EVENT.events >> 2] = interest;
    this.#requestWords[EPOLL_EVENT.data >> 2] = token;
    const result = libcEpollCtl(this.fd, CTL.add, fd, this.#request);
    if (result === -1 && errno() === ERRNO.EPERM) return false;
    check(result, "epoll_ctl", `descriptor ${fd}`);
    return true;
  }

  /** Changes what a watched descriptor is watched for; 0 leaves only failures and hang-ups. */
  modify(fd: number, token: number, interest: number): void {
    this.#requestWords[EPOLL_EVENT.events >> 2] = interest;
    this.#requestWords[EPOLL_EVENT.data >> 2] = token;
    check(libcEpollCtl(this.fd, CTL.modify, fd, this.#request), "epoll_ctl", `descriptor ${fd}`);
  }

  /** Watches no longer; a descriptor that is not in the set is ignored. */
  remove(fd: number): void {
    libcEpollCtl(this.fd, CTL.remove, fd, this.#request);
  }

  /**
   * Waits until something is ready; blocks the thread.
   * @param timeoutMs -1: for ever; 0: only looks.
   * @returns number of events, read with `token` and `ready`; 0 at the timeout or after a signal.
   */
  wait(timeoutMs: number): number {
    const count = libcEpollWait(this.fd, this.#events, WAIT_EVENTS, timeoutMs);
    return count < 0 ? 0 : count;
  }

  token(event: number): number {
    return this.#words[(event * EPOLL_EVENT.octets + EPOLL_EVENT.data) >> 2]!;
  }

  ready(event: number): number {
    return this.#words[(event * EPOLL_EVENT.octets + EPOLL_EVENT.events) >> 2]!;
  }

  close(): void {
    if (this.#isOpen) closeFd(this.fd);
    this.#isOpen = false;
  }
}

/** An eventfd(2): `ring` on any thread makes `fd` readable until `silence`. */
export class Bell {
  readonly fd: number;
  readonly #word = new Uint8Array(8);

  /** @param fd an eventfd made by another Bell of this process; without it a new one. */
  constructor(fd?: number) {
    this.fd = fd ?? check(libcEventfd(0, CLOSE_ON_EXEC | NON_BLOCK), "eventfd");
  }

  ring(): void {
    this.#word.fill(0);
    this.#word[0] = 1;
    libcWrite(this.fd, this.#word, 8);
  }

  silence(): void {
    libcRead(this.fd, this.#word, 8);
  }

  /** Frees the descriptor; only its maker does. */
  close(): void {
    closeFd(this.fd);
  }
}

/**
 * Waits for one descriptor, poll(2); blocks the thread, so only with short timeouts on a main
 * thread.
 * @returns the READY bits, 0 at the timeout.
 */
export function pollFd(fd: number, interest: number, timeoutMs: number): number {
  const memory = new Uint8Array(8);
  const view = new DataView(memory.buffer);
  view.setInt32(0, fd, true);
  view.setInt16(4, interest, true);
  return libcPoll(memory, 1, timeoutMs) <= 0 ? 0 : view.getInt16(6, true);
}
