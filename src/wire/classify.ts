/**
 * What a frame is, without allocating: one FrameClass is filled again and again with numbers,
 * offsets and lengths in the frame's own array. For paths that see every packet: filters,
 * impairments per flow, counters, slirp. The views and parsers of the other files are for paths
 * that look closer.
 */
import { readU16 } from "../base/index.ts";
import { ETHER_TYPE, ETHERNET_AT, ETHERNET_HEADER_OCTETS } from "./ethernet.ts";
import { IP_PROTOCOL } from "./ip-protocol.ts";
import { IPV4_AT, IPV4_HEADER_OCTETS_MIN } from "./ipv4.ts";
import { IPV6_AT, IPV6_HEADER_OCTETS, Ipv6Walk } from "./ipv6.ts";
import { isTagType, VLAN_TAG_OCTETS } from "./vlan.ts";

/** More tags than two (802.1ad) are left in front of an unknown payload. */
export const VLAN_TAGS_MAX = 2;

const FRAGMENT = 0x3fff;
const FRAGMENT_OFFSET = 0x1fff;

/** Offsets are in the array given to `classify`; -1 says "there is none". */
export class FrameClass {
  /** After the tags; below 0x600 an 802.3 length; -1: shorter than a header. */
  etherType = -1;
  /** Identifier in the outermost tag, 0 … 4095; -1: untagged. */
  vlanId = -1;
  tagCount = 0;
  /** First octet after Ethernet header and tags. */
  networkAt = -1;
  /** End of the IP packet (padding excluded) or of the frame. */
  end = 0;
  /** 4, 6, or 0: not IP, or not sound enough to go on. */
  ipVersion = 0;
  /** Transport protocol, after IPv6 extension headers; -1: not IP. */
  protocol = -1;
  isFragment = false;
  /** First octet of the transport header; -1: none here (a later fragment, a broken packet). */
  transportAt = -1;
  /** Ports of TCP and UDP; -1: others, or the header is not here. */
  sourcePort = -1;
  targetPort = -1;
  readonly #walk = new Ipv6Walk();

  /** Looks at the frame `octets[start … start + length)`; every field is set anew. */
  classify(octets: Uint8Array, start: number, length: number): void {
    this.#reset(start + length);
    if (length < ETHERNET_HEADER_OCTETS) return;
    let typeAt = start + ETHERNET_AT.etherType;
    while (
      this.tagCount < VLAN_TAGS_MAX &&
      isTagType(readU16(octets, typeAt)) &&
      typeAt + 2 + VLAN_TAG_OCTETS <= this.end
    ) {
      if (this.tagCount === 0) this.vlanId = readU16(octets, typeAt + 2) & 0xfff;
      this.tagCount++;
      typeAt += VLAN_TAG_OCTETS;
    }
    this.etherType = readU16(octets, typeAt);
    this.networkAt = typeAt + 2;
    if (this.etherType === ETHER_TYPE.ipv4) this.#ipv4(octets);
    else if (this.etherType === ETHER_TYPE.ipv6) this.#ipv6(octets);
  }

  #reset(end: number): void {
    this.etherType = -1;
    this.vlanId = -1;
    this.tagCount = 0;
    this.networkAt = -1;
    this.end = end;
    this.ipVersion = 0;
    this.protocol = -1;
    this.isFragment = false;
    this.transportAt = -1;
    this.sourcePort = -1;
    this.targetPort = -1;
  }

  #ipv4(octets: Uint8Array): void {
    const at = this.networkAt;
    if (at + IPV4_HEADER_OCTETS_MIN > this.end || octets[at]! >>> 4 !== 4) return;
    const headerOctets = (octets[at]! & 0xf) * 4;
    const totalOctets = readU16(octets, at + IPV4_AT.totalLength);
    if (headerOctets < IPV4_HEADER_OCTETS_MIN || totalOctets < headerOctets) return;
    if (at + totalOctets > this.end) return;
    const fragment = readU16(octets, at + IPV4_AT.fragment);
    this.ipVersion = 4;
    this.end = at + totalOctets;
    this.protocol = octets[at + IPV4_AT.protocol]!;
    this.isFragment = (fragment & FRAGMENT) !== 0;
    if ((fragment & FRAGMENT_OFFSET) === 0) this.#transport(octets, at + headerOctets);
  }

  #ipv6(octets: Uint8Array): void {
    const at = this.networkAt;
    if (at + IPV6_HEADER_OCTETS > this.end || octets[at]! >>> 4 !== 6) return;
    const end = at + IPV6_HEADER_OCTETS + readU16(octets, at + IPV6_AT.payloadLength);
    if (end > this.end) return;
    const walk = this.#walk;
    walk.walk(octets, octets[at + IPV6_AT.nextHeader]!, at + IPV6_AT.payload, end);
    if (!walk.isWhole) return;
    this.ipVersion = 6;
    this.end = end;
    this.protocol = walk.protocol;
    this.isFragment = walk.isFragment;
    if (walk.fragmentOffsetOctets === 0) this.#transport(octets, walk.at);
  }

  #transport(octets: Uint8Array, at: number): void {
    this.transportAt = at;
    const hasPorts = this.protocol === IP_PROTOCOL.tcp || this.protocol === IP_PROTOCOL.udp;
    if (!hasPorts || at + 4 > this.end) return;
    this.sourcePort = readU16(octets, at);
    this.targetPort = readU16(octets, at + 2);
  }
}
