/**
 * /dev/fuse: the server's end of a FUSE mount. A read gives one request, a write takes one reply.
 * Sources: fuse(4), Documentation/filesystems/fuse.rst, linux/fuse.h.
 */
import { ERRNO, errnoName, errnoText, EXIT, V2Error } from "../base/index.ts";
import { closeFd, OPEN, setNonBlocking } from "./descriptor.ts";
import { addressOf, declare, errno } from "./libc.ts";
import { PollSet } from "./poll.ts";

const openCall = declare<(path: string, flags: number) => number>(
  "int open(const char *path, int flags)",
);
// Addresses are numbers here: a third faster than arrays (measured, 0.46 instead of 0.63 us).
const readCall = declare<(fd: number, into: number, count: number) => number>(
  "long read(int fd, uintptr_t into, unsigned long count)",
);
const writeCall = declare<(fd: number, from: number, count: number) => number>(
  "long write(int fd, uintptr_t from, unsigned long count)",
);
const writevCall = declare<(fd: number, pieces: number, count: number) => number>(
  "long writev(int fd, uintptr_t pieces, int count)",
);
const ioctlCall = declare<(fd: number, request: number, argument: Uint8Array) => number>(
  "int ioctl(int fd, unsigned long request, void *argument)",
);

/** _IOR(229, 0, uint32_t): another queue of the connection whose descriptor is given. */
const FUSE_DEV_IOC_CLONE = 0x8004e500;
const DEVICE = "/dev/fuse";

/** Opens a device that is no mount's yet; closed on exec. @throws V2Error with a remedy. */
export function openFuseDevice(): number {
  const descriptor = openCall(DEVICE, OPEN.readWrite | OPEN.closeOnExec);
  if (descriptor !== -1) return descriptor;
  const number = errno();
  throw new V2Error(errnoName(number), `open ${DEVICE}: ${errnoText(number)}`, {
    remedy:
      number === ERRNO.EACCES
        ? `let users open it: chmod 666 ${DEVICE}`
        : "load the kernel's module (modprobe fuse), or give the container the device /dev/fuse",
    exitCode: EXIT.unavailable,
  });
}

/** Another descriptor of a mounted device, with a queue of its own for a thread of its own. */
export function cloneFuseDevice(descriptor: number): number {
  const clone = openFuseDevice();
  const argument = new Uint8Array(4);
  new DataView(argument.buffer).setUint32(0, descriptor, true);
  if (ioctlCall(clone, FUSE_DEV_IOC_CLONE, argument) === 0) return clone;
  const number = errno();
  closeFd(clone);
  throw new V2Error(errnoName(number), `clone ${DEVICE}: ${errnoText(number)}`);
}

/** What mount(2) of a FUSE file system has to be told. */
export interface FuseMountData {
  readonly descriptor: number;
  /** Who mounts: without `allowOther` only processes of this user see the files. */
  readonly uid: number;
  readonly gid: number;
  /** Type of the root, octal in the data; default a directory. */
  readonly rootMode?: number;
  readonly allowOther?: boolean;
  /** The kernel checks permissions by mode and owner; default true. */
  readonly checksPermissions?: boolean;
  /** The most that one read asks for. */
  readonly readOctetsMax?: number;
}

const DIRECTORY = 0o40000;

/** The data argument of mount(2) (fuse.rst, "Mount options"). */
export function fuseMountData(data: FuseMountData): string {
  const words = [
    `fd=${data.descriptor}`,
    `rootmode=${(data.rootMode ?? DIRECTORY).toString(8)}`,
    `user_id=${data.uid}`,
    `group_id=${data.gid}`,
  ];
  if (data.checksPermissions !== false) words.push("default_permissions");
  if (data.allowOther === true) words.push("allow_other");
  if (data.readOctetsMax !== undefined) words.push(`max_read=${data.readOctetsMax}`);
  return words.join(",");
}

/** A descriptor of /dev/fuse, read and written by one thread. The caller closes it. */
export class FuseDevice {
  readonly descriptor: number;
  /** Readable or closed: the device is to be left. */
  readonly stop: number;
  /** What `wait` found. */
  isStopped = false;
  readonly #both = new PollSet();
  /** Two struct iovec: reply and data. */
  readonly #pieces = new Uint8Array(32);
  readonly #view = new DataView(this.#pieces.buffer);
  readonly #piecesAt = Number(addressOf(this.#pieces));
  /** Where the buffers lie: an array's memory does not move. */
  readonly #addresses = new WeakMap<Uint8Array, number>();
  #into: Uint8Array | undefined;
  #intoAt = 0;
  #from: Uint8Array | undefined;
  #fromAt = 0;
  /** Replies that the kernel did not take: its caller was killed, or the mount is gone. */
  lost = 0;

  constructor(descriptor: number, stop: number) {
    this.descriptor = descriptor;
    this.stop = stop;
    this.#both.replace([descriptor, stop]);
    setNonBlocking(descriptor);
  }

  /**
   * The next request, if there is one.
   * @returns its octets, or -errno; -EAGAIN: none at the moment; -ENODEV: the mount is gone.
   */
  read(into: Uint8Array): number {
    if (this.#into !== into) {
      this.#into = into;
      this.#intoAt = this.#addressOf(into);
    }
    const octets = readCall(this.descriptor, this.#intoAt, into.length);
    return octets >= 0 ? octets : -errno();
  }

  /** Until there is a request, the mount is gone, or `isStopped`. */
  wait(): void {
    this.#both.wait();
    this.isStopped = this.#both.events(1) !== 0;
  }

  #addressOf(buffer: Uint8Array): number {
    let address = this.#addresses.get(buffer);
    if (address === undefined) {
      address = Number(addressOf(buffer));
      this.#addresses.set(buffer, address);
    }
    return address;
  }

  #take(from: Uint8Array): void {
    if (this.#from === from) return;
    this.#from = from;
    this.#fromAt = this.#addressOf(from);
  }

  /** A reply, or a message of our own. */
  send(octets: Uint8Array, length: number): void {
    this.#take(octets);
    if (writeCall(this.descriptor, this.#fromAt, length) < 0) this.lost++;
  }

  /** A reply whose data lies elsewhere. */
  sendWith(octets: Uint8Array, length: number, data: Uint8Array): void {
    this.#take(octets);
    this.#view.setBigUint64(0, BigInt(this.#fromAt), true);
    this.#view.setUint32(8, length, true);
    this.#view.setBigUint64(16, addressOf(data), true);
    this.#view.setUint32(24, data.length, true);
    if (writevCall(this.descriptor, this.#piecesAt, 2) < 0) this.lost++;
  }
}
