/**
 * Finishing frames whose sender left work to the card: filling in a checksum, cutting a super-frame
 * into the TCP segments it stands for. Rules as the kernel's (net/ipv4/tcp_offload.c,
 * net/ipv4/af_inet.c): the identification counts up, the sequence number goes on, FIN and PSH are
 * for the last segment (RFC 9293 §3.1), CWR for the first (RFC 3168 §6.1.2), everything else is in
 * each. VLAN tags and IPv6 extension headers are copied as they stand.
 *
 * Before, the checksum field holds the folded sum of the pseudo header, with the length of all.
 */
import { type FramePool, OFFLOAD, readU16, readU32, writeU16, writeU32 } from "../base/index.ts";
import { checksumOf, foldSum, sumOctets } from "./checksum.ts";
import { ETHER_TYPE, ETHERNET_AT, ETHERNET_HEADER_OCTETS } from "./ethernet.ts";
import { IP_PROTOCOL } from "./ip-protocol.ts";
import { IPV4_AT, IPV4_HEADER_OCTETS_MIN } from "./ipv4.ts";
import { IPV6_AT, IPV6_HEADER_OCTETS } from "./ipv6.ts";
import { TCP_AT, TCP_FLAG, TCP_HEADER_OCTETS_MIN } from "./tcp.ts";
import { isTagType, VLAN_TAG_OCTETS } from "./vlan.ts";

/** Frames nest two tags at most (IEEE 802.1ad). */
const TAGS_MAX = 2;
/** Header length of IPv4 in words of 4 octets, and the version in front of it. */
const IPV4_VERSION = 4;
const IPV6_VERSION = 6;

/**
 * Fills in the checksum of an unfinished frame in place, which is then a plain one. A result of
 * zero is written as 0xffff, which means the same, since zero means "none" in UDP (RFC 768).
 */
export function completeChecksum(pool: FramePool, slot: number): void {
  const from = pool.checksumFrom[slot]!;
  const end = pool.start[slot]! + pool.length[slot]!;
  fillChecksum(pool.octets, from, end, pool.checksumOffset[slot]!, pool.words);
  pool.offload[slot] = OFFLOAD.none;
}

/**
 * Sums `octets[from … end)`, where the sum of the pseudo header stands in place of the checksum,
 * and writes the checksum there.
 * @param words all of the memory behind `octets` (sumOctets).
 */
export function fillChecksum(
  octets: Uint8Array,
  from: number,
  end: number,
  offset: number,
  words?: Uint32Array,
): void {
  const checksum = checksumOf(sumOctets(octets, from, end, 0, words));
  writeU16(octets, from + offset, checksum === 0 ? 0xffff : checksum);
}

/** How one super-frame is cut. Made once and loaded for each frame. */
export class SegmentPlan {
  /** Segments of the frame that was loaded. */
  count = 0;
  #slot = -1;
  /** Offsets in the frame. */
  #networkAt = 0;
  #tcpAt = 0;
  #payloadAt = 0;
  #payloadOctets = 0;
  #segmentOctets = 0;
  /** Sum of the pseudo header without the length. */
  #pseudoSum = 0;
  #isIpv4 = false;

  /**
   * Looks at the frame in `slot`.
   * @param isBare it is an IP packet without a header of the link.
   * @returns false: its headers are not what it was said to be.
   */
  load(pool: FramePool, slot: number, isBare = false): boolean {
    const { octets } = pool;
    const start = pool.start[slot]!;
    const length = pool.length[slot]!;
    this.#slot = slot;
    this.#isIpv4 = pool.offload[slot] === OFFLOAD.tcp4;
    this.#tcpAt = pool.checksumFrom[slot]! - start;
    this.#segmentOctets = pool.segmentOctets[slot]!;
    if (this.#segmentOctets === 0 || pool.checksumOffset[slot] !== TCP_AT.checksum) return false;
    if (this.#tcpAt + TCP_HEADER_OCTETS_MIN > length) return false;
    const tcpOctets = (octets[start + this.#tcpAt + TCP_AT.headerLength]! >> 4) * 4;
    this.#payloadAt = this.#tcpAt + tcpOctets;
    if (tcpOctets < TCP_HEADER_OCTETS_MIN || this.#payloadAt >= length) return false;
    this.#networkAt = isBare ? 0 : this.#linkOctets(octets, start);
    if (this.#networkAt < 0 || !this.#isNetworkSound(octets, start, length)) return false;
    this.#payloadOctets = length - this.#payloadAt;
    this.count = Math.ceil(this.#payloadOctets / this.#segmentOctets);
    const seed = readU16(octets, start + this.#tcpAt + TCP_AT.checksum);
    // Subtracting is adding the complement, modulo 65535.
    this.#pseudoSum = seed + (0xffff - foldSum(length - this.#tcpAt));
    return true;
  }

  /** Writes segment `index` into the slot `into`. */
  emit(pool: FramePool, index: number, into: number): void {
    const { octets } = pool;
    const from = pool.start[this.#slot]!;
    const to = pool.start[into]!;
    const skipped = index * this.#segmentOctets;
    const payload = Math.min(this.#segmentOctets, this.#payloadOctets - skipped);
    const payloadFrom = from + this.#payloadAt + skipped;
    const end = this.#payloadAt + payload;
    octets.copyWithin(to, from, from + this.#payloadAt);
    octets.copyWithin(to + this.#payloadAt, payloadFrom, payloadFrom + payload);
    pool.length[into] = end;
    pool.offload[into] = OFFLOAD.none;
    this.#finishNetwork(octets, to + this.#networkAt, index, end - this.#networkAt);
    const tcp = to + this.#tcpAt;
    writeU32(octets, tcp + TCP_AT.sequence, readU32(octets, tcp + TCP_AT.sequence) + skipped);
    if (index > 0) octets[tcp + TCP_AT.flags]! &= ~TCP_FLAG.cwr;
    if (index < this.count - 1) octets[tcp + TCP_AT.flags]! &= ~(TCP_FLAG.fin | TCP_FLAG.psh);
    const tcpOctets = end - this.#tcpAt;
    writeU16(octets, tcp + TCP_AT.checksum, 0);
    const sum = sumOctets(octets, tcp, tcp + tcpOctets, this.#pseudoSum + tcpOctets, pool.words);
    writeU16(octets, tcp + TCP_AT.checksum, checksumOf(sum));
  }

  /** Octets of the Ethernet header with its tags; -1: it says another protocol. */
  #linkOctets(octets: Uint8Array, start: number): number {
    let typeAt: number = ETHERNET_AT.etherType;
    for (let tags = 0; tags < TAGS_MAX && isTagType(readU16(octets, start + typeAt)); tags++) {
      typeAt += VLAN_TAG_OCTETS;
    }
    const expected = this.#isIpv4 ? ETHER_TYPE.ipv4 : ETHER_TYPE.ipv6;
    if (readU16(octets, start + typeAt) !== expected) return -1;
    return typeAt + ETHERNET_HEADER_OCTETS - ETHERNET_AT.etherType;
  }

  /** The IP header stands before the TCP header and says the same. */
  #isNetworkSound(octets: Uint8Array, start: number, length: number): boolean {
    const at = start + this.#networkAt;
    const headers = this.#tcpAt - this.#networkAt;
    const version = octets[at]! >> 4;
    if (this.#isIpv4) {
      return (
        version === IPV4_VERSION &&
        headers >= IPV4_HEADER_OCTETS_MIN &&
        headers === (octets[at]! & 0xf) * 4 &&
        octets[at + IPV4_AT.protocol] === IP_PROTOCOL.tcp &&
        readU16(octets, at + IPV4_AT.totalLength) === length - this.#networkAt
      );
    }
    return (
      version === IPV6_VERSION &&
      headers >= IPV6_HEADER_OCTETS &&
      readU16(octets, at + IPV6_AT.payloadLength) + IPV6_HEADER_OCTETS === length - this.#networkAt
    );
  }

  #finishNetwork(octets: Uint8Array, at: number, index: number, lengthOctets: number): void {
    if (!this.#isIpv4) {
      writeU16(octets, at + IPV6_AT.payloadLength, lengthOctets - IPV6_HEADER_OCTETS);
      return;
    }
    const header = (octets[at]! & 0xf) * 4;
    writeU16(octets, at + IPV4_AT.totalLength, lengthOctets);
    const identification = readU16(octets, at + IPV4_AT.identification) + index;
    writeU16(octets, at + IPV4_AT.identification, identification);
    writeU16(octets, at + IPV4_AT.checksum, 0);
    writeU16(octets, at + IPV4_AT.checksum, checksumOf(sumOctets(octets, at, at + header)));
  }
}
