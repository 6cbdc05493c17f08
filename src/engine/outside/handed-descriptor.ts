/**
 * A descriptor of ours for a thread that is stopped by its tracer. The kernel puts descriptors into
 * other processes by messages only: the thread makes a pair of sockets, we take a copy of one end,
 * send the descriptor there, and the thread receives it. It makes these calls by itself, so all
 * limits are its own.
 *
 * The memory and the descriptors of the process are open to its other threads meanwhile. They can
 * make the hand-over fail, or come to other descriptors of their own: what is sent has been decided
 * to be theirs.
 */
import { ERRNO } from "../../base/index.ts";
import {
  closeDescriptor,
  GuestMemory,
  pidfdGetDescriptor,
  pidfdOpen,
  sendFds,
  writeGuestMemory,
} from "../../sys/index.ts";
import { failureOf, type LedThread } from "./led-thread.ts";
import { belowStack } from "./stopped-call.ts";

const AF_UNIX = 1n;
/** SOCK_SEQPACKET | SOCK_CLOEXEC */
const SEQPACKET_CLOEXEC = 0o2000005n;
/** MSG_DONTWAIT | MSG_CMSG_CLOEXEC */
const RECEIVE_FLAGS = 0x40000040n;
const MSG_DONTWAIT = 0x40;
const O_CLOEXEC = 0o2000000n;

/**
 * Offsets in the memory that is lent: a message header (56 octets at most), its vector (16), the
 * octet, the control message (header of two words and two ints, then the descriptor), the pair.
 */
const AT = { header: 0, vector: 64, octet: 80, control: 96, pair: 128, octets: 136 } as const;

const memory = new GuestMemory();

/** struct msghdr with one octet and one control message, for an address. */
function messageHeader(base: bigint, word: 4 | 8): Uint8Array {
  const octets = new Uint8Array(AT.octets);
  const view = new DataView(octets.buffer);
  const put = (at: number, value: bigint): void => {
    if (word === 8) view.setBigUint64(at, value, true);
    else view.setUint32(at, Number(value), true);
  };
  put(AT.header + 2 * word, base + BigInt(AT.vector));
  put(AT.header + 3 * word, 1n);
  put(AT.header + 4 * word, base + BigInt(AT.control));
  put(AT.header + 5 * word, BigInt(controlOctets(word)));
  put(AT.vector, base + BigInt(AT.octet));
  put(AT.vector + word, 1n);
  return octets;
}

/** CMSG_SPACE of one descriptor. */
const controlOctets = (word: 4 | 8): number => (word === 8 ? 24 : 16);

/** An int in the memory of a thread. */
function intAt(tid: number, address: bigint): number | undefined {
  const octets = memory.octets(tid, address, 4);
  return octets && new DataView(octets.buffer, octets.byteOffset).getInt32(0, true);
}

/** Sends a descriptor to the socket that a thread of another process calls by that number. */
function send(tgid: number, theirs: number, descriptor: number): number {
  const pidfd = pidfdOpen(tgid);
  if (pidfd < 0) return ERRNO.ESRCH;
  const socket = pidfdGetDescriptor(pidfd, theirs);
  closeDescriptor(pidfd);
  if (socket < 0) return ERRNO.EBADF;
  // Whatever socket that is by now: we do not wait for it.
  const sent = sendFds(socket, Uint8Array.of(1), [descriptor], MSG_DONTWAIT);
  closeDescriptor(socket);
  return sent > 0 ? 0 : ERRNO.EBADF;
}

/**
 * @param tgid the thread's process
 * @returns the number, or the negative errno
 */
export function handDescriptor(
  thread: LedThread,
  tgid: number,
  descriptor: number,
  closeOnExec: boolean,
): number {
  const { entry, tid } = thread;
  const base = belowStack(thread.stack, AT.octets);
  if (!writeGuestMemory(tid, base, messageHeader(base, entry.word))) return -ERRNO.ENOMEM;
  const pair = base + BigInt(AT.pair);
  const made = thread.plain(entry.socketpair, [AF_UNIX, SEQPACKET_CLOEXEC, 0n, pair]);
  if (failureOf(made) !== 0) return -failureOf(made);
  const [first, second] = [intAt(tid, pair), intAt(tid, pair + 4n)];
  if (first === undefined || second === undefined) return -ERRNO.EFAULT;
  const close = (one: number): void => void thread.plain(entry.close, [BigInt(one)]);
  let result = -send(tgid, second, descriptor);
  if (result === 0) {
    const header = base + BigInt(AT.header);
    const got = thread.plain(entry.recvmsg, [BigInt(first), header, RECEIVE_FLAGS]);
    result = -failureOf(got);
    const inControl = BigInt(AT.control + controlOctets(entry.word) - (entry.word === 8 ? 8 : 4));
    const received = result === 0 ? intAt(tid, base + inControl) : undefined;
    // Without room for it the message comes without the descriptor.
    if (received === undefined || received <= 0) result = result === 0 ? -ERRNO.EMFILE : result;
    else {
      // In the place of the socket it has the number that an open of their own would have given.
      const flags = closeOnExec ? O_CLOEXEC : 0n;
      const placed = thread.plain(entry.dup3, [BigInt(received), BigInt(first), flags]);
      result = failureOf(placed) === 0 ? first : -failureOf(placed);
      close(received);
    }
  }
  close(second);
  if (result !== first) close(first);
  return result;
}
