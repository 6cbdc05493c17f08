/**
 * Sequenced-packet sockets between a launcher and its supervisor: short messages with message
 * boundaries, descriptors, and an end of file when the other side is gone. Calls block.
 * Sources: unix(7), recvmsg(2), cmsg(3).
 */
import { ERRNO } from "../base/index.ts";
import { addressOf, check, declare, errno } from "./libc.ts";

const AF_UNIX = 1;
export const SOCK_SEQPACKET = 5;
export const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const SCM_CREDENTIALS = 2;
const SO_PASSCRED = 16;
/** struct ucred: pid, uid, gid. */
const CREDENTIALS_OCTETS = 12;
/** struct cmsghdr: length u64, level i32, type i32. */
const HEADER_OCTETS = 16;
const MSG_CMSG_CLOEXEC = 0x40000000;
/** A native launcher sends its command line and environment; the kernel's own limit is near. */
const MESSAGE_OCTETS_MAX = 208 * 1024;
const MSG_PEEK = 2;
const MSG_TRUNC = 0x20;
const LISTEN_BACKLOG = 64;
/** Descriptors in one message at most; the kernel's own limit is 253. */
const DESCRIPTORS_MAX = 4;

const socketpairCall = declare<(d: number, t: number, p: number, sv: Uint8Array) => number>(
  "int socketpair(int domain, int type, int protocol, void *sv)",
);
const socketCall = declare<(d: number, t: number, p: number) => number>(
  "int socket(int domain, int type, int protocol)",
);
const bindCall = declare<(fd: number, a: Uint8Array, n: number) => number>(
  "int bind(int fd, void *address, int length)",
);
const listenCall = declare<(fd: number, n: number) => number>("int listen(int fd, int backlog)");
const acceptCall = declare<(fd: number, a: null, n: null, flags: number) => number>(
  "int accept4(int fd, void *address, void *length, int flags)",
);
const connectCall = declare<(fd: number, a: Uint8Array, n: number) => number>(
  "int connect(int fd, void *address, int length)",
);
const sendCall = declare<(fd: number, b: Uint8Array, n: number, flags: number) => number>(
  "long send(int fd, void *buffer, unsigned long length, int flags)",
);
const recvCall = declare<(fd: number, b: null, n: number, flags: number) => number>(
  "long recv(int fd, void *buffer, unsigned long length, int flags)",
);
const getsockoptCall = declare<
  (fd: number, level: number, name: number, value: Uint8Array, octets: Uint8Array) => number
>("int getsockopt(int fd, int level, int name, void *value, void *octets)");
const setsockoptCall = declare<
  (fd: number, level: number, name: number, value: Uint8Array, octets: number) => number
>("int setsockopt(int fd, int level, int name, void *value, unsigned int octets)");
const recvmsgCall = declare<(fd: number, message: Uint8Array, flags: number) => number>(
  "long recvmsg(int fd, void *message, int flags)",
);

/** A connected pair of sequenced-packet sockets, both close-on-exec. */
export function sessionPair(): [number, number] {
  const descriptors = new Int32Array(2);
  const octets = new Uint8Array(descriptors.buffer);
  check(socketpairCall(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, octets), "socketpair");
  return [descriptors[0]!, descriptors[1]!];
}

/** struct sockaddr_un of a path (108 octets at most with its NUL). */
export function unixAddress(path: string): Uint8Array {
  const name = new TextEncoder().encode(path);
  if (name.length > 107) throw new RangeError(`socket path longer than 107 octets: ${path}`);
  const address = new Uint8Array(110);
  address[0] = AF_UNIX;
  address.set(name, 2);
  return address;
}

/** Listens on a path; connections are accepted by `acceptSession`. */
export function listenSessions(path: string): number {
  const fd = check(socketCall(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), "socket");
  check(bindCall(fd, unixAddress(path), 110), "bind", path);
  check(listenCall(fd, LISTEN_BACKLOG), "listen", path);
  return fd;
}

/** Who connects to a listening socket that was inherited sees from now on that we listen. */
export function listenAgain(fd: number): void {
  check(listenCall(fd, LISTEN_BACKLOG), "listen");
}

/** Accepts one connection on a listening socket. */
export function acceptSession(fd: number): number {
  return check(acceptCall(fd, null, null, SOCK_CLOEXEC), "accept");
}

/** True when somebody listens on the path. */
export function isListening(path: string): boolean {
  const fd = check(socketCall(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), "socket");
  try {
    return connectCall(fd, unixAddress(path), 110) === 0;
  } finally {
    closeDescriptor(fd);
  }
}

const closeCall = declare<(fd: number) => number>("int close(int fd)");

/** close(2); a descriptor that is not open is ignored. */
export function closeDescriptor(fd: number): void {
  closeCall(fd);
}

export interface SessionMessage {
  readonly octets: Uint8Array;
  readonly descriptors: readonly number[];
  /**
   * Who sent it, numbered as we number processes: the kernel's word, not the sender's. Undefined
   * unless `nameSenders` was called.
   */
  readonly pid: number | undefined;
  /** The sender's effective uid, as our user namespace numbers it. */
  readonly uid: number | undefined;
}

/** Who listened on the path that a socket is connected to, as our pid namespace numbers it. */
export function peerPid(fd: number): number {
  const SO_PEERCRED = 17;
  const credentials = new Uint8Array(CREDENTIALS_OCTETS);
  const octets = new Uint8Array(new Uint32Array([CREDENTIALS_OCTETS]).buffer);
  check(getsockoptCall(fd, SOL_SOCKET, SO_PEERCRED, credentials, octets), "getsockopt");
  return new DataView(credentials.buffer).getInt32(0, true);
}

/** From now on messages tell who sent them; sockets accepted on a listening one inherit it. */
export function nameSenders(fd: number): void {
  check(setsockoptCall(fd, SOL_SOCKET, SO_PASSCRED, Uint8Array.of(1, 0, 0, 0), 4), "setsockopt");
}

/** Sends one message; false when the other side is gone. */
export function sendMessage(fd: number, octets: Uint8Array): boolean {
  const MSG_NOSIGNAL = 0x4000;
  return sendCall(fd, octets, octets.length, MSG_NOSIGNAL) === octets.length;
}

/** Waits for a message and tells how long it is, at least 1. */
function waitingOctets(fd: number): number {
  for (;;) {
    const length = recvCall(fd, null, 0, MSG_PEEK | MSG_TRUNC);
    if (length !== -1 || errno() !== ERRNO.EINTR) return Math.max(1, length);
  }
}

/** Waits for one message; undefined at end of file. Received descriptors are close-on-exec. */
export function receiveMessage(fd: number): SessionMessage | undefined {
  const octets = new Uint8Array(Math.min(waitingOctets(fd), MESSAGE_OCTETS_MAX));
  const control = new Uint8Array(32 + 16 + 4 * DESCRIPTORS_MAX);
  const vector = new BigUint64Array([addressOf(octets), BigInt(octets.length)]);
  const header = new BigUint64Array([
    0n,
    0n,
    addressOf(new Uint8Array(vector.buffer)),
    1n,
    addressOf(control),
    BigInt(control.length),
    0n,
  ]);
  for (;;) {
    const length = recvmsgCall(fd, new Uint8Array(header.buffer), MSG_CMSG_CLOEXEC);
    if (length === -1 && errno() === ERRNO.EINTR) continue;
    if (length <= 0) return undefined;
    return { octets: octets.subarray(0, length), ...controlMessages(control, Number(header[5]!)) };
  }
}

/** Descriptors (SCM_RIGHTS) and sender (SCM_CREDENTIALS) of a message. */
function controlMessages(control: Uint8Array, octets: number): Omit<SessionMessage, "octets"> {
  const view = new DataView(control.buffer);
  const descriptors: number[] = [];
  let pid: number | undefined;
  let uid: number | undefined;
  for (let at = 0; at + HEADER_OCTETS <= octets; ) {
    const length = Number(view.getBigUint64(at, true));
    const data = at + HEADER_OCTETS;
    const isSocket = view.getInt32(at + 8, true) === SOL_SOCKET;
    const type = view.getInt32(at + 12, true);
    if (isSocket && type === SCM_RIGHTS) {
      for (let fd = data; fd + 4 <= at + length; fd += 4) descriptors.push(view.getInt32(fd, true));
    } else if (
      isSocket &&
      type === SCM_CREDENTIALS &&
      length >= HEADER_OCTETS + CREDENTIALS_OCTETS
    ) {
      pid = view.getInt32(data, true);
      uid = view.getUint32(data + 4, true);
    }
    // CMSG_NXTHDR: the next header is 8-octet aligned.
    at += Math.max(HEADER_OCTETS, (length + 7) & ~7);
  }
  return { descriptors, pid, uid };
}

/** Connects to a listening path. Throws a V2Error when nobody listens. */
export function connectSession(path: string): number {
  const fd = check(socketCall(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), "socket");
  try {
    check(connectCall(fd, unixAddress(path), 110), "connect", path);
    return fd;
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}
