/**
 * IP headers written in front of what transports hand down, in place: RFC 791 §3.1, RFC 8200 §3.
 */
import { type FramePool, writeU16, writeU32 } from "../base/index.ts";
import {
  checksumOf,
  IPV4_AT,
  IPV4_HEADER_OCTETS_MIN,
  IPV6_AT,
  IPV6_HEADER_OCTETS,
} from "../wire/index.ts";
import type { IpAddress } from "./address.ts";
import type { SendOptions } from "./destination.ts";

const VERSION_AND_LENGTH_4 = 0x45;
const DONT_FRAGMENT = 0x4000;

/** Who sends to whom; a Destination is one. */
export interface Ends {
  readonly source: IpAddress;
  readonly target: IpAddress;
}

/**
 * Puts a header of 20 octets in front of the frame in `slot`.
 * @param identification 0 for packets that are never cut (RFC 6864 §4.1).
 */
export function prependIpv4(
  pool: FramePool,
  slot: number,
  way: Ends,
  protocol: number,
  options: SendOptions,
  identification: number,
): void {
  const at = pool.start[slot]! - IPV4_HEADER_OCTETS_MIN;
  const length = pool.length[slot]! + IPV4_HEADER_OCTETS_MIN;
  const { octets } = pool;
  pool.start[slot] = at;
  pool.length[slot] = length;
  const fragment = options.dontFragment ? DONT_FRAGMENT : 0;
  writeIpv4(octets, at, length, way, protocol, options, identification, fragment);
}

/**
 * Writes a header without options.
 * @param fragment the flags and the offset in units of 8 octets, as on the wire.
 */
export function writeIpv4(
  octets: Uint8Array,
  at: number,
  totalOctets: number,
  { source, target }: Ends,
  protocol: number,
  options: SendOptions,
  identification: number,
  fragment: number,
): void {
  const first = (VERSION_AND_LENGTH_4 << 8) | options.trafficClass;
  const life = (options.hopLimit << 8) | protocol;
  writeU16(octets, at, first);
  writeU16(octets, at + IPV4_AT.totalLength, totalOctets);
  writeU16(octets, at + IPV4_AT.identification, identification);
  writeU16(octets, at + IPV4_AT.fragment, fragment);
  writeU16(octets, at + IPV4_AT.timeToLive, life);
  writeU32(octets, at + IPV4_AT.source, source.w3);
  writeU32(octets, at + IPV4_AT.target, target.w3);
  const sum =
    first +
    totalOctets +
    (identification & 0xffff) +
    fragment +
    life +
    (source.w3 >>> 16) +
    (source.w3 & 0xffff) +
    (target.w3 >>> 16) +
    (target.w3 & 0xffff);
  writeU16(octets, at + IPV4_AT.checksum, checksumOf(sum));
}

/** Puts a header of 40 octets in front of the frame in `slot`. */
export function prependIpv6(
  pool: FramePool,
  slot: number,
  way: Ends,
  protocol: number,
  options: SendOptions,
): void {
  const at = pool.start[slot]! - IPV6_HEADER_OCTETS;
  const payloadOctets = pool.length[slot]!;
  pool.start[slot] = at;
  pool.length[slot] = payloadOctets + IPV6_HEADER_OCTETS;
  writeIpv6(pool.octets, at, payloadOctets, way, protocol, options);
}

/** Writes a header; `payloadOctets` counts extension headers too. */
export function writeIpv6(
  octets: Uint8Array,
  at: number,
  payloadOctets: number,
  { source, target }: Ends,
  protocol: number,
  options: SendOptions,
): void {
  const first = (6 << 28) | (options.trafficClass << 20) | (options.flowLabel & 0xf_ffff);
  writeU32(octets, at + IPV6_AT.versionClassFlow, first);
  writeU16(octets, at + IPV6_AT.payloadLength, payloadOctets);
  octets[at + IPV6_AT.nextHeader] = protocol;
  octets[at + IPV6_AT.hopLimit] = options.hopLimit;
  source.writeWhole(octets, at + IPV6_AT.source);
  target.writeWhole(octets, at + IPV6_AT.target);
}
