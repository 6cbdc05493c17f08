/** Numbers of Linux's socket interface: socket.h, in.h, in6.h, tcp.h of x86_64 and aarch64. */

export const AF = { unspecified: 0, inet: 2, inet6: 10 } as const;
export const SOCK = {
  stream: 1,
  datagram: 2,
  raw: 3,
  nonBlock: 0o4000,
  closeOnExec: 0o2000000,
} as const;
export const SHUT = { read: 0, write: 1, both: 2 } as const;
export const MSG = {
  outOfBand: 0x01,
  peek: 0x02,
  truncated: 0x20,
  dontWait: 0x40,
  waitAll: 0x100,
  more: 0x8000,
} as const;

export const SOL = { ip: 0, socket: 1, tcp: 6, ipv6: 41 } as const;
export const SO = {
  reuseAddress: 2,
  type: 3,
  error: 4,
  broadcast: 6,
  sendBuffer: 7,
  receiveBuffer: 8,
  keepAlive: 9,
  oobInline: 10,
  linger: 13,
  reusePort: 15,
  bindToDevice: 25,
  acceptConnections: 30,
  protocol: 38,
  domain: 39,
  bindToInterfaceIndex: 62,
} as const;
export const TCP = {
  noDelay: 1,
  maximumSegment: 2,
  cork: 3,
  keepIdle: 4,
  keepInterval: 5,
  keepCount: 6,
  synCount: 7,
  info: 11,
  quickAck: 12,
  congestion: 13,
  userTimeout: 18,
  notSentLow: 25,
} as const;
export const IP = {
  trafficClass: 1,
  timeToLive: 2,
  mtuDiscover: 10,
  multicastInterface: 32,
  multicastTimeToLive: 33,
  multicastLoop: 34,
} as const;
export const IPV6 = {
  checksum: 7,
  unicastHops: 16,
  multicastInterface: 17,
  multicastHops: 18,
  multicastLoop: 19,
  mtuDiscover: 23,
  isIpv6Only: 26,
  trafficClass: 67,
} as const;
/** ioctl(2) requests of sockets. */
export const IOCTL = { readable: 0x541b, unsent: 0x5411, atMark: 0x8905 } as const;
