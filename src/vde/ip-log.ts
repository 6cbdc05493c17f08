/**
 * Which IP addresses stations use, where: the memory of the plugin `iplog`. Only addresses inside
 * ranges that were asked for are kept, as the sources of IPv4 and IPv6 packets show them.
 */
import { ERRNO, readU16 } from "../base/index.ts";
import {
  ETHER_TYPE,
  ETHERNET_HEADER_OCTETS,
  EthernetView,
  IPV4_HEADER_OCTETS_MIN,
  Ipv4View,
  Ipv6View,
  networkOf,
  type Prefix,
  prefixContains,
  parseIpv6,
  printAddress,
  printMac,
  printPrefix,
  tagControlAt,
  VLAN_TAG_OCTETS,
} from "../wire/index.ts";
import { atoi } from "./console/scan.ts";
import type { Errno } from "./management.ts";

/** Addresses known at a time; more are refused and counted. */
export const IP_LOG_ADDRESSES_MAX = 16_384;
/** Ranges. */
export const IP_LOG_RANGES_MAX = 256;

/** An address in use. */
export interface IpUse {
  /** "10.0.0.1", "fe80::3". */
  readonly address: string;
  readonly version: 4 | 6;
  /** "02:00:00:00:00:01". */
  readonly mac: string;
  readonly port: number;
  readonly vlan: number;
  lastMs: number;
}

/** Ranges, addresses, and when they are forgotten; times are milliseconds of any one clock. */
export class IpLog {
  /** Addresses that did not fit. */
  refused = 0;
  /** Seconds between two sweeps, and without a sign of life. */
  sweepSeconds = 10;
  expireSeconds = 360;
  readonly #ranges: Prefix[] = [];
  readonly #uses = new Map<string, IpUse>();
  #sweptMs = Number.NEGATIVE_INFINITY;

  /** "10.0.0.0/8": IPv4 first, then IPv6, each in the order of their making. */
  ranges(): readonly string[] {
    const version = (octets: number): string[] =>
      this.#ranges.filter(({ address }) => address.length === octets).map(printPrefix);
    return [...version(4), ...version(16)];
  }

  /** EINVAL: no address; EEXIST: there already; ENOSPC: too many. */
  addRange(text: string): Errno {
    const range = scanRange(text);
    if (range === undefined) return ERRNO.EINVAL;
    if (this.#indexOf(range) >= 0) return ERRNO.EEXIST;
    if (this.#ranges.length >= IP_LOG_RANGES_MAX) return ERRNO.ENOSPC;
    this.#ranges.push(range);
    return 0;
  }

  /** What is known of it stays until it expires. EINVAL: no address; ENOENT: no such range. */
  removeRange(text: string): Errno {
    const range = scanRange(text);
    if (range === undefined) return ERRNO.EINVAL;
    const at = this.#indexOf(range);
    if (at < 0) return ERRNO.ENOENT;
    this.#ranges.splice(at, 1);
    return 0;
  }

  /** @returns the use of its source address, when that is new or moved. Takes any octets. */
  see(frame: Uint8Array, port: number, vlan: number, nowMs: number): IpUse | undefined {
    const source = sourceOf(frame);
    if (source === undefined || !this.#ranges.some((range) => prefixContains(range, source))) {
      return undefined;
    }
    this.sweep(nowMs);
    const address = printAddress(source);
    const mac = printMac(EthernetView.over(frame)!.source);
    const known = this.#uses.get(address);
    if (known?.mac === mac && known.port === port && known.vlan === vlan) {
      known.lastMs = nowMs;
      return undefined;
    }
    if (known === undefined && this.#uses.size >= IP_LOG_ADDRESSES_MAX) {
      this.refused++;
      return undefined;
    }
    const version = source.length === 4 ? 4 : 6;
    const use: IpUse = { address, version, mac, port, vlan, lastMs: nowMs };
    this.#uses.set(address, use);
    return use;
  }

  /** In the order in which they were first seen. */
  uses(nowMs: number): readonly IpUse[] {
    this.sweep(nowMs);
    return [...this.#uses.values()];
  }

  /** Forgets what expired, if it is time. */
  sweep(nowMs: number): void {
    if (nowMs - this.#sweptMs < this.sweepSeconds * 1000) return;
    this.#sweptMs = nowMs;
    for (const [address, { lastMs }] of this.#uses) {
      if (nowMs - lastMs > this.expireSeconds * 1000) this.#uses.delete(address);
    }
  }

  #indexOf(range: Prefix): number {
    const text = printPrefix(range);
    return this.#ranges.findIndex((known) => printPrefix(known) === text);
  }
}

/** Source address of the packet in a frame, tagged or not; undefined: no IP packet. */
function sourceOf(frame: Uint8Array): Uint8Array | undefined {
  const isTagged = tagControlAt(frame, 0, frame.length) >= 0;
  const at = ETHERNET_HEADER_OCTETS + (isTagged ? VLAN_TAG_OCTETS : 0);
  if (frame.length < at) return undefined;
  const type = readU16(frame, at - 2);
  if (type === ETHER_TYPE.ipv4) {
    const packet = Ipv4View.over(frame.subarray(at));
    const isSound = packet?.version === 4 && packet.headerOctets >= IPV4_HEADER_OCTETS_MIN;
    return isSound ? packet.source : undefined;
  }
  if (type !== ETHER_TYPE.ipv6) return undefined;
  const packet = Ipv6View.over(frame.subarray(at));
  return packet?.version === 6 ? packet.source : undefined;
}

/**
 * "ADDRESS/BITS" as the console takes it: bits as atoi(3) reads them, cut to what the address has,
 * all of them without "/"; the rest of the address is cleared.
 */
function scanRange(text: string): Prefix | undefined {
  const slash = text.indexOf("/");
  const address = scanAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const bitsMax = 8 * address.length;
  const wanted = slash < 0 ? bitsMax : atoi(text.slice(slash + 1));
  const lengthBits = Math.min(bitsMax, Math.max(0, wanted));
  return { address: networkOf({ address, lengthBits }), lengthBits };
}

/** An address as inet_aton(3) or inet_pton(3) reads it: "10.1" is 10.0.0.1. */
export function scanAddress(text: string): Uint8Array | undefined {
  if (text.includes(":")) return parseIpv6(text);
  const parts = text.split(".");
  if (parts.length > 4 || !parts.every((part) => /^(0[xX][\da-fA-F]+|\d+)$/.test(part))) {
    return undefined;
  }
  const isOctal = (part: string): boolean => /^0\d/.test(part);
  const values = parts.map((part) => Number(isOctal(part) ? `0o${part.slice(1)}` : part));
  const last = values.pop()!;
  const lastMax = 256 ** (4 - values.length);
  // A digit that is not octal is no number either.
  if (!(last < lastMax) || !values.every((value) => value < 256)) return undefined;
  const octets = Uint8Array.from({ length: 4 }, (_, at) => values[at] ?? 0);
  for (let at = 3, rest = last; at >= values.length; at--) {
    octets[at] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return octets;
}
