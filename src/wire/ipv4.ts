/**
 * Internet Protocol, RFC 791; options are carried, not interpreted. Offsets from the start of the
 * packet.
 */
import { copyOctets, readU16, writeU16 } from "../base/index.ts";
import { IPV4_OCTETS, type Ipv4Address, printIpv4 } from "../base/index.ts";
import { checksumOf, sumIsRight, sumOctets } from "./checksum.ts";
import type { WireProblem } from "./ip-protocol.ts";
import { emitAddress, requireField, requireRoom } from "./room.ts";

export const IPV4_AT = {
  versionAndLength: 0,
  trafficClass: 1,
  totalLength: 2,
  identification: 4,
  fragment: 6,
  timeToLive: 8,
  protocol: 9,
  checksum: 10,
  source: 12,
  target: 16,
  options: 20,
} as const;

export const IPV4_HEADER_OCTETS_MIN = 20;
export const IPV4_HEADER_OCTETS_MAX = 60;

const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;
const FRAGMENT_OFFSET = 0x1fff;

/**
 * A packet as it lies in memory; what follows its total length (Ethernet padding) is not part of
 * it.
 */
export class Ipv4View {
  readonly octets: Uint8Array;

  private constructor(octets: Uint8Array) {
    this.octets = octets;
  }

  /** undefined: shorter than 20 octets. */
  static over(octets: Uint8Array): Ipv4View | undefined {
    return octets.length < IPV4_HEADER_OCTETS_MIN ? undefined : new Ipv4View(octets);
  }

  get version(): number {
    return this.octets[IPV4_AT.versionAndLength]! >>> 4;
  }
  /** As the packet says: 0 … 60. */
  get headerOctets(): number {
    return (this.octets[IPV4_AT.versionAndLength]! & 0xf) * 4;
  }
  /** Differentiated services (6 bits) and congestion notification (2 bits), RFC 2474, RFC 3168. */
  get trafficClass(): number {
    return this.octets[IPV4_AT.trafficClass]!;
  }
  /** As the packet says: header and payload. */
  get totalLengthOctets(): number {
    return readU16(this.octets, IPV4_AT.totalLength);
  }
  get identification(): number {
    return readU16(this.octets, IPV4_AT.identification);
  }
  get mayNotFragment(): boolean {
    return (readU16(this.octets, IPV4_AT.fragment) & DONT_FRAGMENT) !== 0;
  }
  get hasMoreFragments(): boolean {
    return (readU16(this.octets, IPV4_AT.fragment) & MORE_FRAGMENTS) !== 0;
  }
  get fragmentOffsetOctets(): number {
    return (readU16(this.octets, IPV4_AT.fragment) & FRAGMENT_OFFSET) * 8;
  }
  get isFragment(): boolean {
    return (readU16(this.octets, IPV4_AT.fragment) & (MORE_FRAGMENTS | FRAGMENT_OFFSET)) !== 0;
  }
  get timeToLive(): number {
    return this.octets[IPV4_AT.timeToLive]!;
  }
  get protocol(): number {
    return this.octets[IPV4_AT.protocol]!;
  }
  /** A window, not a copy. */
  get source(): Ipv4Address {
    return this.octets.subarray(IPV4_AT.source, IPV4_AT.source + IPV4_OCTETS);
  }
  /** A window, not a copy. */
  get target(): Ipv4Address {
    return this.octets.subarray(IPV4_AT.target, IPV4_AT.target + IPV4_OCTETS);
  }
  /** A window, not a copy; empty when the header length is nonsense. */
  get options(): Uint8Array {
    return this.octets.subarray(IPV4_AT.options, Math.max(IPV4_AT.options, this.headerOctets));
  }
  /**
   * A window, cut at the total length or at the end of what was captured, whichever comes first.
   */
  get payload(): Uint8Array {
    return this.octets.subarray(
      this.headerOctets,
      Math.max(this.headerOctets, this.totalLengthOctets),
    );
  }

  /** What makes the packet unusable (RFC 1122 §3.2.1); undefined: nothing. */
  get problem(): WireProblem | undefined {
    const { headerOctets, totalLengthOctets, octets } = this;
    if (this.version !== 4) return "version";
    if (headerOctets < IPV4_HEADER_OCTETS_MIN || headerOctets > octets.length)
      return "header-length";
    if (totalLengthOctets < headerOctets || totalLengthOctets > octets.length)
      return "total-length";
    return sumIsRight(sumOctets(octets, 0, headerOctets)) ? undefined : "checksum";
  }
}

/**
 * A packet's meaning. Addresses are copies; options and payload are windows on the parsed octets.
 */
export interface Ipv4 {
  readonly trafficClass: number;
  readonly identification: number;
  readonly mayNotFragment: boolean;
  readonly hasMoreFragments: boolean;
  /** A multiple of 8. */
  readonly fragmentOffsetOctets: number;
  readonly timeToLive: number;
  readonly protocol: number;
  readonly source: Ipv4Address;
  readonly target: Ipv4Address;
  /** Whole words, at most 40 octets. */
  readonly options: Uint8Array;
  readonly payload: Uint8Array;
}

/** undefined: `view.problem` says why. The reserved flag bit is dropped (RFC 791 §3.1: zero). */
export function parseIpv4Packet(view: Ipv4View): Ipv4 | undefined {
  if (view.problem !== undefined) return undefined;
  return {
    trafficClass: view.trafficClass,
    identification: view.identification,
    mayNotFragment: view.mayNotFragment,
    hasMoreFragments: view.hasMoreFragments,
    fragmentOffsetOctets: view.fragmentOffsetOctets,
    timeToLive: view.timeToLive,
    protocol: view.protocol,
    source: copyOctets(view.source),
    target: copyOctets(view.target),
    options: view.options,
    payload: view.payload,
  };
}

/**
 * Writes header, checksum and payload. `into` may already hold the payload in its place (the set is
 * then a move onto itself). Throws V2Error for lengths the header cannot say.
 * @returns octets written.
 */
export function emitIpv4Packet(packet: Ipv4, into: Uint8Array): number {
  const headerOctets = IPV4_HEADER_OCTETS_MIN + packet.options.length;
  const totalOctets = headerOctets + packet.payload.length;
  requireRoom("an IPv4 packet", into, totalOctets);
  requireField("IPv4 header words", headerOctets / 4, IPV4_HEADER_OCTETS_MAX / 4);
  requireField("IPv4 total length", totalOctets, 0xffff);
  requireField("IPv4 fragment offset (in units of 8)", packet.fragmentOffsetOctets / 8, 0x1fff);
  into.set(packet.payload, headerOctets);
  into[IPV4_AT.versionAndLength] = 0x40 | (headerOctets / 4);
  into[IPV4_AT.trafficClass] = packet.trafficClass;
  writeU16(into, IPV4_AT.totalLength, totalOctets);
  writeU16(into, IPV4_AT.identification, packet.identification);
  const flags =
    (packet.mayNotFragment ? DONT_FRAGMENT : 0) | (packet.hasMoreFragments ? MORE_FRAGMENTS : 0);
  writeU16(into, IPV4_AT.fragment, flags | (packet.fragmentOffsetOctets / 8));
  into[IPV4_AT.timeToLive] = packet.timeToLive;
  into[IPV4_AT.protocol] = packet.protocol;
  writeU16(into, IPV4_AT.checksum, 0);
  emitAddress(packet.source, IPV4_OCTETS, into, IPV4_AT.source);
  emitAddress(packet.target, IPV4_OCTETS, into, IPV4_AT.target);
  into.set(packet.options, IPV4_AT.options);
  writeU16(into, IPV4_AT.checksum, checksumOf(sumOctets(into, 0, headerOctets)));
  return totalOctets;
}

/** "10.0.0.1 > 10.0.0.2", without what it carries (print.ts knows that). */
export function printIpv4Packet(view: Ipv4View): string {
  return `${printIpv4(view.source)} > ${printIpv4(view.target)}`;
}
