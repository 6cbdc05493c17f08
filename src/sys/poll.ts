/** poll(2) over a set that changes; for loops with few descriptors. */
import { ERRNO } from "../base/index.ts";
import { check, declare, errno } from "./libc.ts";
import { MemoryBlock } from "./memory-block.ts";

const pollCall = declare<(fds: number, count: number, timeoutMs: number) => number>(
  "int poll(uintptr_t fds, unsigned long count, int timeout)",
);

export const POLLIN = 1;
export const POLLOUT = 4;
export const POLLERR = 8;
export const POLLHUP = 16;

/** struct pollfd: fd i32, events i16, revents i16. */
const ENTRY_OCTETS = 8;

/**
 * Waits until one of the descriptors is readable, broken or closed by its peer.
 * @param timeoutMs -1 waits for ever.
 * @returns for each descriptor its events (POLLIN, POLLHUP …), in the same order.
 */
export function waitReadable(descriptors: readonly number[], timeoutMs = -1): number[] {
  const set = new PollSet();
  set.replace(descriptors);
  set.wait(timeoutMs);
  return descriptors.map((_, index) => set.events(index));
}

/** Descriptors that are waited for again and again: the array of poll(2) is built once. */
export class PollSet {
  #entries = new MemoryBlock(0);
  #view = this.#entries.view;
  #descriptors: number[] = [];

  /** How many descriptors there are; their events are at 0 to `size - 1`. */
  get size(): number {
    return this.#descriptors.length;
  }

  /** Waits for these from now on, in this order. */
  replace(descriptors: readonly number[]): void {
    this.#descriptors = [...descriptors];
    this.#entries = new MemoryBlock(descriptors.length * ENTRY_OCTETS);
    this.#view = this.#entries.view;
    descriptors.forEach((descriptor, index) => {
      this.#view.setInt32(index * ENTRY_OCTETS, descriptor, true);
      this.#view.setInt16(index * ENTRY_OCTETS + 4, POLLIN, true);
    });
  }

  /** Waits until one is readable, broken or closed by its peer; returns how many are. */
  wait(timeoutMs = -1): number {
    for (;;) {
      const ready = pollCall(this.#entries.address, this.#descriptors.length, timeoutMs);
      if (ready !== -1) return ready;
      if (errno() !== ERRNO.EINTR) check(-1, "poll");
    }
  }

  descriptor(index: number): number {
    return this.#descriptors[index]!;
  }

  /** POLLIN, POLLHUP … of the last wait. */
  events(index: number): number {
    return this.#view.getInt16(index * ENTRY_OCTETS + 6, true);
  }
}

/**
 * Waits until a descriptor takes octets again, or its reader is gone.
 * @param timeoutMs -1 waits for ever.
 * @returns false when the time is over
 */
export function waitWritable(descriptor: number, timeoutMs = -1): boolean {
  const { view, address } = new MemoryBlock(ENTRY_OCTETS);
  view.setInt32(0, descriptor, true);
  view.setInt16(4, POLLOUT, true);
  for (;;) {
    const ready = pollCall(address, 1, timeoutMs);
    if (ready !== -1) return ready === 1;
    if (errno() !== ERRNO.EINTR) check(-1, "poll", String(descriptor));
  }
}
