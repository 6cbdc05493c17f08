/** Descriptors through a unix socket: SCM_RIGHTS of unix(7), control messages of cmsg(3). */
import { addressOf, declare, errno, type Pointer } from "./libc.ts";

const libcSendmsg = declare<(fd: number, message: Pointer, flags: number) => number>(
  "long sendmsg(int fd, void *msg, int flags)",
);
const libcRecvmsg = declare<(fd: number, message: Pointer, flags: number) => number>(
  "long recvmsg(int fd, void *msg, int flags)",
);

/** struct msghdr, 64-bit (bits/socket.h). */
export const MSGHDR = {
  octets: 56,
  iov: 16,
  iovlen: 24,
  control: 32,
  controllen: 40,
  flags: 48,
} as const;
/** struct cmsghdr, 64-bit: length, level, type, then the data. */
export const CMSGHDR = { octets: 16, len: 0, level: 8, type: 12 } as const;

const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;
const IOVEC_OCTETS = 16;

/** Descriptors carried by one message at most. */
export const PASSED_FDS_MAX = 16;

/** Message header, vector and control buffer in one piece of memory. */
function layOut(data: Uint8Array, controlOctets: number): { memory: Uint8Array; view: DataView } {
  const memory = new Uint8Array(MSGHDR.octets + IOVEC_OCTETS + controlOctets);
  const view = new DataView(memory.buffer);
  const base = addressOf(memory);
  view.setBigUint64(MSGHDR.iov, base + BigInt(MSGHDR.octets), true);
  view.setBigUint64(MSGHDR.iovlen, 1n, true);
  view.setBigUint64(MSGHDR.control, base + BigInt(MSGHDR.octets + IOVEC_OCTETS), true);
  view.setBigUint64(MSGHDR.controllen, BigInt(controlOctets), true);
  view.setBigUint64(MSGHDR.octets, addressOf(data), true);
  view.setBigUint64(MSGHDR.octets + 8, BigInt(data.length), true);
  return { memory, view };
}

/** CMSG_SPACE(3): length of a control message rounded up to 8. */
function controlSpace(dataOctets: number): number {
  return CMSGHDR.octets + ((dataOctets + 7) & ~7);
}

/**
 * Sends `data` (at least one octet) and copies of `fds`; the caller keeps its own.
 * @param flags MSG_* of sendmsg(2) besides MSG_NOSIGNAL
 * @returns octets sent or -errno.
 */
export function sendFds(
  socket: number,
  data: Uint8Array,
  fds: readonly number[],
  flags = 0,
): number {
  const { memory, view } = layOut(data, controlSpace(fds.length * 4));
  const control = MSGHDR.octets + IOVEC_OCTETS;
  view.setBigUint64(control + CMSGHDR.len, BigInt(CMSGHDR.octets + fds.length * 4), true);
  view.setInt32(control + CMSGHDR.level, SOL_SOCKET, true);
  view.setInt32(control + CMSGHDR.type, SCM_RIGHTS, true);
  fds.forEach((fd, i) => view.setInt32(control + CMSGHDR.octets + i * 4, fd, true));
  const sent = libcSendmsg(socket, memory, MSG_NOSIGNAL | flags);
  return sent >= 0 ? sent : -errno();
}

/** What came with one message; the receiver owns `fds` and must close them. */
export interface ReceivedFds {
  readonly octets: number;
  readonly fds: readonly number[];
}

/**
 * Receives data into `into` and the descriptors that travel with it, closed on exec.
 * @returns `octets`: count, 0 at the end of a stream, or -errno (-EAGAIN: nothing to read).
 */
export function receiveFds(socket: number, into: Uint8Array): ReceivedFds {
  const { memory, view } = layOut(into, controlSpace(PASSED_FDS_MAX * 4));
  const octets = libcRecvmsg(socket, memory, MSG_CMSG_CLOEXEC);
  if (octets < 0) return { octets: -errno(), fds: [] };
  const fds: number[] = [];
  const control = MSGHDR.octets + IOVEC_OCTETS;
  if (
    view.getBigUint64(MSGHDR.controllen, true) >= BigInt(CMSGHDR.octets) &&
    view.getInt32(control + CMSGHDR.level, true) === SOL_SOCKET &&
    view.getInt32(control + CMSGHDR.type, true) === SCM_RIGHTS
  ) {
    const end = Number(view.getBigUint64(control + CMSGHDR.len, true));
    for (let at = CMSGHDR.octets; at + 4 <= end; at += 4)
      fds.push(view.getInt32(control + at, true));
  }
  return { octets, fds };
}
