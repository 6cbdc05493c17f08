/** Offloads of a network interface through SIOCETHTOOL (linux/ethtool.h). */
import { addressOf, check, declare } from "./libc.ts";
import { interfaceRequest } from "./tap.ts";
import { closeDescriptor } from "./session-socket.ts";

const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const SIOCETHTOOL = 0x8946;
/** Commands that take struct ethtool_value {u32 command; u32 data}. */
const SET = {
  txChecksum: 0x17,
  scatterGather: 0x19,
  tcpSegmentation: 0x1f,
  segmentation: 0x24,
  receiveMerge: 0x2c,
};
const GET = { txChecksum: 0x16, tcpSegmentation: 0x1e, segmentation: 0x23 };

const cSocket = declare<(family: number, type: number, protocol: number) => number>(
  "int socket(int family, int type, int protocol)",
);
const cIoctl = declare<(fd: number, request: number, argument: Uint8Array) => number>(
  "int ioctl(int fd, unsigned long request, void *argument)",
);

/** Sets of strings and features by number (linux/ethtool.h). */
const FEATURES = { setInfo: 0x37, strings: 0x1b, set: 0x3b, stringSet: 4 } as const;
const FEATURE_NAME_OCTETS = 32;
/** What a virtio-net header cannot say, or what was not agreed on: all but plain TCP. */
const NOT_TCP =
  /^tx-(?:(?!tcp-|tcp6-|generic-).*-segmentation|tcp-.+-segmentation|checksum-sctp|gso-.*)$/;

function withControlSocket<T>(action: (fd: number) => T): T {
  const fd = check(cSocket(AF_INET, SOCK_DGRAM_CLOEXEC, 0), "socket", "AF_INET");
  try {
    return action(fd);
  } finally {
    closeDescriptor(fd);
  }
}

function ethtool(fd: number, name: string, command: number, data = 0): number {
  const value = Uint32Array.of(command, data);
  control(fd, name, new Uint8Array(value.buffer));
  return value[1]!;
}

/** SIOCETHTOOL with a structure that starts with its command. */
function control(fd: number, name: string, structure: Uint8Array): void {
  const request = interfaceRequest(name);
  new DataView(request.buffer).setBigUint64(16, addressOf(structure), true);
  check(cIoctl(fd, SIOCETHTOOL, request), `ethtool 0x${structure[0]!.toString(16)}`, name);
}

/**
 * Switches off everything by which an interface leaves work to hardware: afterwards each frame that
 * it sends has its checksums filled in and is no longer than the MTU. Of the calling thread's
 * namespace.
 */
export function disableOffloads(name: string): void {
  withControlSocket((fd) => {
    for (const command of Object.values(SET)) ethtool(fd, name, command, 0);
  });
}

/**
 * Leaves an interface those offloads that a virtio-net header can say: checksums, and segmentation
 * of TCP over IPv4 and IPv6. Of the calling thread's namespace.
 */
export function keepTcpOffloads(name: string): void {
  withControlSocket((fd) => {
    const info = new Uint8Array(24);
    const infoView = new DataView(info.buffer);
    infoView.setUint32(0, FEATURES.setInfo, true);
    infoView.setBigUint64(8, 1n << BigInt(FEATURES.stringSet), true);
    control(fd, name, info);
    const count = infoView.getUint32(16, true);
    const strings = new Uint8Array(12 + count * FEATURE_NAME_OCTETS);
    const stringsView = new DataView(strings.buffer);
    stringsView.setUint32(0, FEATURES.strings, true);
    stringsView.setUint32(4, FEATURES.stringSet, true);
    stringsView.setUint32(8, count, true);
    control(fd, name, strings);
    const words = Math.ceil(count / 32);
    const change = new Uint32Array(2 + 2 * words);
    change[0] = FEATURES.set;
    change[1] = words;
    for (let i = 0; i < count; i++) {
      const at = 12 + i * FEATURE_NAME_OCTETS;
      const text = new TextDecoder().decode(strings.subarray(at, at + FEATURE_NAME_OCTETS));
      const [feature = ""] = text.split("\0", 1);
      // Pairs of words: what is to be changed, and to what: here all to off.
      if (NOT_TCP.test(feature)) change[2 + 2 * (i >> 5)]! |= 1 << (i & 31);
    }
    control(fd, name, new Uint8Array(change.buffer));
  });
}

/** The offloads that decide whether a sent frame is complete. */
export function transmitOffloads(name: string): { [offload in keyof typeof GET]: boolean } {
  return withControlSocket((fd) => ({
    txChecksum: ethtool(fd, name, GET.txChecksum) !== 0,
    tcpSegmentation: ethtool(fd, name, GET.tcpSegmentation) !== 0,
    segmentation: ethtool(fd, name, GET.segmentation) !== 0,
  }));
}
