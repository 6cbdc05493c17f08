/** poll(2) over a set that changes; for loops with few descriptors. */
import { ERRNO } from "../base/index.ts";
import { check, declare, errno } from "./libc.ts";

const pollCall = declare<(fds: Uint8Array, count: number, timeoutMs: number) => number>(
  "int poll(void *fds, unsigned long count, int timeout)",
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
  const octets = new Uint8Array(descriptors.length * ENTRY_OCTETS);
  const view = new DataView(octets.buffer);
  descriptors.forEach((descriptor, index) => {
    view.setInt32(index * ENTRY_OCTETS, descriptor, true);
    view.setInt16(index * ENTRY_OCTETS + 4, POLLIN, true);
  });
  while (pollCall(octets, descriptors.length, timeoutMs) === -1) {
    if (errno() !== ERRNO.EINTR) check(-1, "poll");
  }
  return descriptors.map((_, index) => view.getInt16(index * ENTRY_OCTETS + 6, true));
}

/** Waits until a descriptor takes octets again, or its reader is gone. */
export function waitWritable(descriptor: number): void {
  const octets = new Uint8Array(ENTRY_OCTETS);
  const view = new DataView(octets.buffer);
  view.setInt32(0, descriptor, true);
  view.setInt16(4, POLLOUT, true);
  while (pollCall(octets, 1, -1) === -1) {
    if (errno() !== ERRNO.EINTR) check(-1, "poll", String(descriptor));
  }
}
