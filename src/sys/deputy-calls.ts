/**
 * Calls that the engine makes in place of another process, with what it has copied: on its sockets
 * and descriptors, and on clocks. All give 0 or more, or the negative errno. Sources: connect(2),
 * bind(2), fchown(2), clock_settime(2), settimeofday(2), adjtimex(2).
 */
import { ERRNO } from "../base/index.ts";
import { declare, errno } from "./libc.ts";

type AddressCall = (socket: number, address: Uint8Array, length: number) => number;

const connectCall = declare<AddressCall>("int connect(int socket, void *address, uint32_t length)");
const bindCall = declare<AddressCall>("int bind(int socket, void *address, uint32_t length)");
const fchownCall = declare<(fd: number, uid: number, gid: number) => number>(
  "int fchown(int fd, unsigned int uid, unsigned int gid)",
);
const clockCall = declare<(number: number, clock: number, time: Uint8Array | null) => number>(
  "long syscall(long number, int clock, void *time)",
);
const timeCall = declare<
  (number: number, time: Uint8Array | null, zone: Uint8Array | null) => number
>("long syscall(long number, void *time, void *zone)");

/** Numbers of x86_64: the C library has thoughts of its own about these. */
const CLOCK_CALLS: { readonly [name: string]: number } = {
  clock_settime: 227,
  clock_adjtime: 305,
};
const TIME_CALLS: { readonly [name: string]: number } = { settimeofday: 164, adjtimex: 159 };

const result = (value: number): number => (value === -1 ? -errno() : value);

/** @param address struct sockaddr */
export function connectSocket(socket: number, address: Uint8Array): number {
  return result(connectCall(socket, address, address.length));
}

/** @param address struct sockaddr */
export function bindSocket(socket: number, address: Uint8Array): number {
  return result(bindCall(socket, address, address.length));
}

/** Numbers of -1 (0xffffffff) stay as they are. */
export function fchownDescriptor(fd: number, uid: number, gid: number): number {
  return result(fchownCall(fd, uid, gid));
}

/** Sets a clock by the call of that name; struct timex is written into. */
export function setClock(call: {
  readonly name: string;
  readonly clock: number;
  readonly time: Uint8Array | null;
  readonly zone: Uint8Array | null;
}): number {
  const { name, clock, time, zone } = call;
  const byClock = CLOCK_CALLS[name];
  if (byClock !== undefined) return result(clockCall(byClock, clock, time));
  const number = TIME_CALLS[name];
  return number === undefined ? -ERRNO.ENOSYS : result(timeCall(number, time, zone));
}
