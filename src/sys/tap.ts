/**
 * TAP interfaces (linux Documentation/networking/tuntap.rst): a network card whose cable is a
 * descriptor.
 */
import { closeSync, constants, openSync } from "node:fs";
import { EXIT, V2Error } from "../base/index.ts";
import { check, declare } from "./libc.ts";

const TUN_DEVICE = "/dev/net/tun";
const TUNSETIFF = 0x4004_54ca;
const IFF_TAP = 0x0002;
/** No four octets of packet information in front of each frame. */
const IFF_NO_PI = 0x1000;
/** A struct virtio_net_hdr in front of each frame. */
const IFF_VNET_HDR = 0x4000;
const IFF_PERSIST = 0x0800;
const TUNGETIFF = 0x8004_54d2;
const TUNSETOFFLOAD = 0x4004_54d0;
const TUNSETVNETHDRSZ = 0x4004_54d8;
/** Checksums, TCP segmentation over IPv4 and over IPv6. */
const TUN_F_CSUM_TSO4_TSO6 = 0x07;
/** Octets of the header in front of each frame of an offload TAP. */
const VNET_HEADER_OCTETS = 10;
/** struct ifreq: 16 octets of name, a union of 24. */
const IFREQ_OCTETS = 40;
/** IFNAMSIZ without the final zero. */
export const INTERFACE_NAME_MAX = 15;

const cIoctl = declare<(fd: number, request: number, argument: Uint8Array) => number>(
  "int ioctl(int fd, unsigned long request, void *argument)",
);
const cIoctlNumber = declare<(fd: number, request: number, argument: number) => number>(
  "int ioctl(int fd, unsigned long request, unsigned long argument)",
);

/**
 * True when a name can be one of a network interface: 1 to 15 octets, no '/', no space, not "." or
 * "..".
 */
export function isInterfaceName(name: string): boolean {
  return /^[!-.0-~]{1,15}$/.test(name) && name !== "." && name !== ".." && !name.includes(":");
}

/** An ifreq with its name filled in. @throws V2Error INTERFACE_NAME. */
export function interfaceRequest(name: string): Uint8Array {
  if (!isInterfaceName(name)) {
    throw new V2Error("INTERFACE_NAME", `'${name}' cannot be the name of a network interface`, {
      remedy: `use 1 to ${INTERFACE_NAME_MAX} visible ASCII characters without '/' and ':'`,
      exitCode: EXIT.usage,
    });
  }
  const request = new Uint8Array(IFREQ_OCTETS);
  request.set(new TextEncoder().encode(name));
  return request;
}

/**
 * True when this user may open the TAP device at all (it may still lack rights in its namespace).
 */
export function isTapAvailable(): boolean {
  try {
    closeSync(openSync(TUN_DEVICE, constants.O_RDWR));
    return true;
  } catch {
    return false;
  }
}

/**
 * Makes (or attaches to) the TAP interface `name` in the calling thread's network namespace.
 * @returns its descriptor, non-blocking: one read or write is one frame. The interface goes when it
 * is closed. @throws V2Error TAP_UNAVAILABLE, EPERM, EBUSY.
 */
export function openTap(name: string): number {
  return openWith(name, IFF_TAP | IFF_NO_PI);
}

/**
 * As `openTap`, but ten octets of virtio_net_hdr stand in front of each frame, and frames without
 * checksums and super-frames pass both ways. The kernel makes none for a persistent interface: it
 * would go on making them for whoever opens it next and knows nothing of them.
 */
export function openOffloadTap(name: string): number {
  const fd = openWith(name, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
  try {
    const state = interfaceRequest(name);
    check(cIoctl(fd, TUNGETIFF, state), "TUNGETIFF", name);
    const size = Uint8Array.of(VNET_HEADER_OCTETS, 0, 0, 0);
    check(cIoctl(fd, TUNSETVNETHDRSZ, size), "TUNSETVNETHDRSZ", name);
    const isPersistent = (new DataView(state.buffer).getUint16(16, true) & IFF_PERSIST) !== 0;
    const offloads = isPersistent ? 0 : TUN_F_CSUM_TSO4_TSO6;
    check(cIoctlNumber(fd, TUNSETOFFLOAD, offloads), "TUNSETOFFLOAD", name);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
}

function openWith(name: string, flags: number): number {
  const request = interfaceRequest(name);
  let fd: number;
  try {
    fd = openSync(TUN_DEVICE, constants.O_RDWR | constants.O_NONBLOCK);
  } catch (cause) {
    throw new V2Error("TAP_UNAVAILABLE", `cannot open ${TUN_DEVICE} for interface ${name}`, {
      remedy: "use a veth cable (via: veth), or allow this user to open the device",
      exitCode: EXIT.unavailable,
      cause,
    });
  }
  try {
    new DataView(request.buffer).setUint16(16, flags, true);
    check(cIoctl(fd, TUNSETIFF, request), "TUNSETIFF", name, "this needs CAP_NET_ADMIN");
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
}

const cRead = declare<(fd: number, address: number, octets: number) => number>(
  "long read(int fd, uint64_t address, size_t octets)",
);
const cWrite = declare<(fd: number, address: number, octets: number) => number>(
  "long write(int fd, uint64_t address, size_t octets)",
);

/** read(2) of one frame to an address; the length, or -1 and `errno()`. */
export function readFrame(fd: number, address: number, roomOctets: number): number {
  return cRead(fd, address, roomOctets);
}

/** write(2) of one frame from an address; the length, or -1 and `errno()`. */
export function writeFrame(fd: number, address: number, octets: number): number {
  return cWrite(fd, address, octets);
}
