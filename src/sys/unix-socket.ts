/**
 * Unix-domain sockets (unix(7)) on plain descriptors: datagram cables, control streams, socket
 * pairs.
 */
import { ERRNO, EXIT, V2Error } from "../base/index.ts";
import { closeFd } from "./descriptor.ts";
import { check, declare, errno, type Pointer } from "./libc.ts";

const libcSocket = declare<(domain: number, type: number, protocol: number) => number>(
  "int socket(int domain, int type, int protocol)",
);
const libcBind = declare<(fd: number, address: Pointer, octets: number) => number>(
  "int bind(int fd, void *addr, unsigned int len)",
);
const libcConnect = declare<(fd: number, address: Pointer, octets: number) => number>(
  "int connect(int fd, void *addr, unsigned int len)",
);
const libcListen = declare<(fd: number, backlog: number) => number>(
  "int listen(int fd, int backlog)",
);
const libcAccept4 = declare<
  (fd: number, address: Pointer, octets: Pointer, flags: number) => number
>("int accept4(int fd, void *addr, void *len, int flags)");
const libcSocketpair = declare<
  (domain: number, type: number, protocol: number, fds: Pointer) => number
>("int socketpair(int domain, int type, int protocol, void *fds)");
const libcSetsockopt = declare<
  (fd: number, level: number, name: number, value: Pointer, octets: number) => number
>("int setsockopt(int fd, int level, int name, void *value, unsigned int len)");
const libcRecv = declare<(fd: number, into: Pointer, count: number, flags: number) => number>(
  "long recv(int fd, void *buf, unsigned long len, int flags)",
);
const libcSend = declare<(fd: number, from: Pointer, count: number, flags: number) => number>(
  "long send(int fd, void *buf, unsigned long len, int flags)",
);

const AF_UNIX = 1;
const TYPE = { stream: 1, datagram: 2, sequenced: 5 } as const;
const NON_BLOCK = 0o4000;
const CLOSE_ON_EXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVTIMEO = 20;
const SO_SNDBUFFORCE = 32;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

/** sizeof(struct sockaddr_un): the family in 2 octets, the path in 108. */
export const SOCKADDR_UN_OCTETS = 110;
/** Longest path of a socket: sun_path less the closing zero. */
export const SOCKET_PATH_OCTETS_MAX = 107;

export type SocketType = keyof typeof TYPE;

/** socket(2) of family AF_UNIX, non-blocking unless said otherwise, closed on exec. */
export function unixSocket(type: SocketType, isBlocking = false): number {
  const flags = CLOSE_ON_EXEC | (isBlocking ? 0 : NON_BLOCK);
  return check(libcSocket(AF_UNIX, TYPE[type] | flags, 0), "socket");
}

/** socketpair(2), both ends non-blocking unless said otherwise, closed on exec. */
export function unixSocketPair(type: SocketType, isBlocking = false): [number, number] {
  const memory = new Uint8Array(8);
  const flags = CLOSE_ON_EXEC | (isBlocking ? 0 : NON_BLOCK);
  check(libcSocketpair(AF_UNIX, TYPE[type] | flags, 0, memory), "socketpair");
  const view = new DataView(memory.buffer);
  return [view.getInt32(0, true), view.getInt32(4, true)];
}

/**
 * struct sockaddr_un of a path.
 * @throws V2Error ENAMETOOLONG: the kernel would cut a longer name silently.
 */
export function socketAddress(path: string): Uint8Array {
  const address = new Uint8Array(SOCKADDR_UN_OCTETS);
  const octets = new TextEncoder().encode(path);
  if (octets.length > SOCKET_PATH_OCTETS_MAX) {
    throw new V2Error(
      "ENAMETOOLONG",
      `socket name '${path}' has ${octets.length} octets, a socket name holds ${SOCKET_PATH_OCTETS_MAX}`,
      { remedy: "use a shorter directory, for instance one under /tmp or $XDG_RUNTIME_DIR" },
    );
  }
  address[0] = AF_UNIX;
  address.set(octets, 2);
  return address;
}

/** bind(2) to a path. @throws V2Error, EADDRINUSE when the name is taken. */
export function bindUnix(fd: number, path: string): void {
  check(libcBind(fd, socketAddress(path), SOCKADDR_UN_OCTETS), "bind", path);
}

/** listen(2). */
export function listenUnix(fd: number, backlog: number): void {
  check(libcListen(fd, backlog), "listen", `descriptor ${fd}`);
}

/** accept4(2), the new socket non-blocking. @returns descriptor or -errno. */
export function acceptUnix(fd: number): number {
  const accepted = libcAccept4(fd, null, null, NON_BLOCK | CLOSE_ON_EXEC);
  return accepted >= 0 ? accepted : -errno();
}

/**
 * connect(2) to a path or a raw sockaddr_un.
 * @returns 0 or -errno.
 */
export function connectUnix(fd: number, to: string | Uint8Array): number {
  const address = typeof to === "string" ? socketAddress(to) : to;
  return libcConnect(fd, address, SOCKADDR_UN_OCTETS) === 0 ? 0 : -errno();
}

/**
 * Asks for a send buffer of `octets` (the kernel doubles it); past net.core.wmem_max only the
 * superuser gets it, others get the maximum.
 */
export function setSendBuffer(fd: number, octets: number): void {
  const value = new Uint8Array(4);
  new DataView(value.buffer).setInt32(0, octets, true);
  if (libcSetsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, value, 4) === 0) return;
  check(libcSetsockopt(fd, SOL_SOCKET, SO_SNDBUF, value, 4), "setsockopt", "SO_SNDBUF");
}

/** Ends a blocking receive after `milliseconds` (SO_RCVTIMEO, socket(7)). */
export function setReceiveTimeout(fd: number, milliseconds: number): void {
  const value = new Uint8Array(16);
  const view = new DataView(value.buffer);
  view.setBigInt64(0, BigInt(Math.floor(milliseconds / 1000)), true);
  view.setBigInt64(8, BigInt((milliseconds % 1000) * 1000), true);
  check(libcSetsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, value, 16), "setsockopt", "SO_RCVTIMEO");
}

/**
 * recv(2). @returns octets, 0 at the end of a stream, -errno. `isWaiting`: as the socket's mode
 * says.
 */
export function receiveOctets(fd: number, into: Uint8Array, isWaiting = false): number {
  const octets = libcRecv(fd, into, into.length, isWaiting ? 0 : MSG_DONTWAIT);
  return octets >= 0 ? octets : -errno();
}

/** send(2) without SIGPIPE. @returns octets or -errno. */
export function sendOctets(fd: number, from: Uint8Array, count: number, isWaiting = false): number {
  const octets = libcSend(fd, from, count, MSG_NOSIGNAL | (isWaiting ? 0 : MSG_DONTWAIT));
  return octets >= 0 ? octets : -errno();
}

/**
 * Whether somebody listens on a stream socket's name.
 * @throws V2Error EACCES/EPERM: cannot be found out, so it must not be taken over.
 */
export function isStreamListening(path: string): boolean {
  const fd = unixSocket("stream");
  try {
    const result = -connectUnix(fd, path);
    if (result === ERRNO.ECONNREFUSED || result === ERRNO.ENOENT) return false;
    if (result === ERRNO.EACCES || result === ERRNO.EPERM) {
      throw new V2Error("EACCES", `socket '${path}' belongs to somebody else`, {
        remedy: "choose another directory",
        exitCode: EXIT.noPermission,
      });
    }
    return true;
  } finally {
    closeFd(fd);
  }
}
