/**
 * getsockopt(2) and setsockopt(2): numbers of levels and names to fields of endpoints. Values are
 * numbers; SO_LINGER is seconds, or -1 for off; TCP_CONGESTION a name.
 */
import { ERRNO } from "../../base/index.ts";
import { RawSocket } from "../raw.ts";
import { TcpConnection, type TcpOptions } from "../tcp/connection.ts";
import { UdpSocket } from "../udp-socket.ts";
import { IP, IPV6, SO, SOL, TCP } from "./constants.ts";

export type OptionValue = number | string;

/** One option: how it is read, and how it is set. undefined: it cannot be. */
interface Field<T> {
  readonly get: (owner: T) => OptionValue;
  /** @returns false: the value makes no sense. */
  readonly set?: (owner: T, value: number, text: string) => boolean;
}

/** What a socket of the table has before and besides its endpoint. */
export interface GeneralOptions {
  reuseAddress: boolean;
  reusePort: boolean;
  isIpv6Only: boolean;
}

function flag<T>(get: (owner: T) => boolean, set: (owner: T, is: boolean) => void): Field<T> {
  return {
    get: (owner) => Number(get(owner)),
    set: (owner, value) => {
      set(owner, value !== 0);
      return true;
    },
  };
}

function number<T>(
  get: (owner: T) => number,
  set: (owner: T, value: number) => void,
  least: number,
  most: number,
): Field<T> {
  return {
    get,
    set: (owner, value) => {
      if (!(value >= least && value <= most)) return false;
      set(owner, value);
      return true;
    },
  };
}

const HOURS_9 = 32_767;

const TCP_FIELDS: { readonly [key: string]: Field<TcpOptions> | undefined } = {
  [`${SOL.tcp} ${TCP.noDelay}`]: flag(
    (o) => o.noDelay,
    (o, is) => (o.noDelay = is),
  ),
  [`${SOL.tcp} ${TCP.cork}`]: flag(
    (o) => o.cork,
    (o, is) => (o.cork = is),
  ),
  [`${SOL.tcp} ${TCP.quickAck}`]: flag(
    (o) => o.quickAck,
    (o, is) => (o.quickAck = is),
  ),
  [`${SOL.tcp} ${TCP.maximumSegment}`]: number(
    (o) => o.maximumSegment,
    (o, value) => (o.maximumSegment = value),
    88,
    HOURS_9,
  ),
  [`${SOL.tcp} ${TCP.keepIdle}`]: number(
    (o) => o.keepIdleMs / 1000,
    (o, value) => (o.keepIdleMs = value * 1000),
    1,
    HOURS_9,
  ),
  [`${SOL.tcp} ${TCP.keepInterval}`]: number(
    (o) => o.keepIntervalMs / 1000,
    (o, value) => (o.keepIntervalMs = value * 1000),
    1,
    HOURS_9,
  ),
  [`${SOL.tcp} ${TCP.keepCount}`]: number(
    (o) => o.keepCount,
    (o, value) => (o.keepCount = value),
    1,
    127,
  ),
  [`${SOL.tcp} ${TCP.synCount}`]: number(
    (o) => o.synRetries,
    (o, value) => (o.synRetries = value),
    1,
    127,
  ),
  [`${SOL.tcp} ${TCP.userTimeout}`]: number(
    (o) => o.userTimeoutMs,
    (o, value) => (o.userTimeoutMs = value),
    0,
    0x7fff_ffff,
  ),
  [`${SOL.tcp} ${TCP.notSentLow}`]: number(
    (o) => o.notSentLowOctets,
    (o, value) => (o.notSentLowOctets = value),
    0,
    0xffff_ffff,
  ),
  [`${SOL.tcp} ${TCP.congestion}`]: {
    get: (o) => o.congestion,
    set: (o, _value, text) => {
      if (text !== "cubic" && text !== "reno") return false;
      o.congestion = text;
      return true;
    },
  },
  [`${SOL.socket} ${SO.keepAlive}`]: flag(
    (o) => o.keepAlive,
    (o, is) => (o.keepAlive = is),
  ),
  [`${SOL.socket} ${SO.oobInline}`]: flag(
    (o) => o.oobInline,
    (o, is) => (o.oobInline = is),
  ),
  [`${SOL.socket} ${SO.linger}`]: number(
    (o) => (o.lingerMs < 0 ? -1 : o.lingerMs / 1000),
    (o, value) => (o.lingerMs = value < 0 ? -1 : value * 1000),
    -1,
    HOURS_9,
  ),
  // As Linux, what is told is twice what was asked for (socket(7)); 0: the stack tunes it.
  [`${SOL.socket} ${SO.sendBuffer}`]: number(
    (o) => 2 * o.sendOctets,
    (o, value) => (o.sendOctets = Math.max(4608, value)),
    0,
    0x7fff_ffff,
  ),
  [`${SOL.socket} ${SO.receiveBuffer}`]: number(
    (o) => 2 * o.receiveOctets,
    (o, value) => (o.receiveOctets = Math.max(2304, value)),
    0,
    0x7fff_ffff,
  ),
  [`${SOL.ip} ${IP.timeToLive}`]: number(
    (o) => o.hopLimit,
    (o, value) => (o.hopLimit = value),
    1,
    255,
  ),
  [`${SOL.ipv6} ${IPV6.unicastHops}`]: number(
    (o) => o.hopLimit,
    (o, value) => (o.hopLimit = value),
    1,
    255,
  ),
  [`${SOL.ip} ${IP.trafficClass}`]: number(
    (o) => o.trafficClass,
    (o, value) => (o.trafficClass = value & 0xfc),
    0,
    255,
  ),
  [`${SOL.ipv6} ${IPV6.trafficClass}`]: number(
    (o) => o.trafficClass,
    (o, value) => (o.trafficClass = value & 0xfc),
    0,
    255,
  ),
};

type Udp = UdpSocket["options"];

const UDP_FIELDS: { readonly [key: string]: Field<Udp> | undefined } = {
  [`${SOL.socket} ${SO.broadcast}`]: flag(
    (o) => o.broadcast,
    (o, is) => (o.broadcast = is),
  ),
  [`${SOL.ip} ${IP.timeToLive}`]: number(
    (o) => o.hopLimit,
    (o, value) => (o.hopLimit = value),
    1,
    255,
  ),
  [`${SOL.ipv6} ${IPV6.unicastHops}`]: number(
    (o) => o.hopLimit,
    (o, value) => (o.hopLimit = value),
    1,
    255,
  ),
  [`${SOL.ip} ${IP.trafficClass}`]: number(
    (o) => o.trafficClass,
    (o, value) => (o.trafficClass = value),
    0,
    255,
  ),
  [`${SOL.ipv6} ${IPV6.trafficClass}`]: number(
    (o) => o.trafficClass,
    (o, value) => (o.trafficClass = value),
    0,
    255,
  ),
  [`${SOL.ip} ${IP.multicastTimeToLive}`]: number(
    (o) => o.multicastHopLimit,
    (o, value) => (o.multicastHopLimit = value),
    0,
    255,
  ),
  [`${SOL.ipv6} ${IPV6.multicastHops}`]: number(
    (o) => o.multicastHopLimit,
    (o, value) => (o.multicastHopLimit = value),
    0,
    255,
  ),
  [`${SOL.ip} ${IP.multicastInterface}`]: number(
    (o) => o.multicastInterface,
    (o, value) => (o.multicastInterface = value),
    0,
    0xffff,
  ),
  [`${SOL.ipv6} ${IPV6.multicastInterface}`]: number(
    (o) => o.multicastInterface,
    (o, value) => (o.multicastInterface = value),
    0,
    0xffff,
  ),
  [`${SOL.ip} ${IP.multicastLoop}`]: flag(
    (o) => o.multicastLoop,
    (o, value) => (o.multicastLoop = value),
  ),
  [`${SOL.ipv6} ${IPV6.multicastLoop}`]: flag(
    (o) => o.multicastLoop,
    (o, value) => (o.multicastLoop = value),
  ),
  [`${SOL.ip} ${IP.mtuDiscover}`]: number(
    (o) => (o.dontFragment ? 2 : 0),
    (o, value) => (o.dontFragment = value >= 2),
    0,
    3,
  ),
  [`${SOL.ipv6} ${IPV6.mtuDiscover}`]: number(
    (o) => (o.dontFragment ? 2 : 0),
    (o, value) => (o.dontFragment = value >= 2),
    0,
    3,
  ),
};

const GENERAL_FIELDS: { readonly [key: string]: Field<GeneralOptions> | undefined } = {
  [`${SOL.socket} ${SO.reuseAddress}`]: flag(
    (o) => o.reuseAddress,
    (o, is) => (o.reuseAddress = is),
  ),
  [`${SOL.socket} ${SO.reusePort}`]: flag(
    (o) => o.reusePort,
    (o, is) => (o.reusePort = is),
  ),
  [`${SOL.ipv6} ${IPV6.isIpv6Only}`]: flag(
    (o) => o.isIpv6Only,
    (o, is) => (o.isIpv6Only = is),
  ),
};

/** An endpoint with options, or the options that a stream socket will be connected with. */
export type OptionOwner = TcpOptions | UdpSocket | RawSocket;

/** @returns 0, -ENOPROTOOPT for an unknown option, -EINVAL for a value that makes no sense. */
export function setOption(
  general: GeneralOptions,
  owner: OptionOwner,
  level: number,
  name: number,
  value: OptionValue,
): number {
  const key = `${level} ${name}`;
  const amount = typeof value === "number" ? value : Number.NaN;
  const apply = <T>(field: Field<T> | undefined, to: T): number => {
    if (field?.set === undefined) return -ERRNO.ENOPROTOOPT;
    return field.set(to, amount, String(value)) ? 0 : -ERRNO.EINVAL;
  };
  if (GENERAL_FIELDS[key] !== undefined) return apply(GENERAL_FIELDS[key], general);
  if (owner instanceof UdpSocket) return apply(UDP_FIELDS[key], owner.options);
  if (owner instanceof RawSocket) return setRaw(owner, level, name, amount);
  return apply(TCP_FIELDS[key], owner);
}

/** @returns undefined: an unknown option. */
export function getOption(
  general: GeneralOptions,
  owner: OptionOwner,
  level: number,
  name: number,
): OptionValue | undefined {
  const key = `${level} ${name}`;
  const known = GENERAL_FIELDS[key];
  if (known !== undefined) return known.get(general);
  if (owner instanceof UdpSocket) return UDP_FIELDS[key]?.get(owner.options);
  if (owner instanceof RawSocket) {
    return level === SOL.ipv6 && name === IPV6.checksum ? owner.checksumOffset : undefined;
  }
  return TCP_FIELDS[key]?.get(owner);
}

function setRaw(owner: RawSocket, level: number, name: number, value: number): number {
  const isHops =
    (level === SOL.ip && name === IP.timeToLive) ||
    (level === SOL.ipv6 && (name === IPV6.unicastHops || name === IPV6.multicastHops));
  if (isHops) {
    if (!(value >= 1 && value <= 255)) return -ERRNO.EINVAL;
    owner.hopLimit = value;
    return 0;
  }
  if (level === SOL.ipv6 && name === IPV6.checksum) {
    if (!(value >= -1 && (value < 0 || value % 2 === 0))) return -ERRNO.EINVAL;
    owner.checksumOffset = value;
    return 0;
  }
  return -ERRNO.ENOPROTOOPT;
}

/** The options of a connection, or undefined for another endpoint. */
export function tcpOptionsOf(endpoint: unknown): TcpOptions | undefined {
  return endpoint instanceof TcpConnection ? endpoint.options : undefined;
}
