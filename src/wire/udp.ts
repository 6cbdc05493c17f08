/** User Datagram Protocol, RFC 768. Offsets in octets from the start of the header. */
import { readU16, writeU16 } from "../base/index.ts";
import {
  type AddressPair,
  checksumOf,
  pseudoHeaderSum,
  sumIsRight,
  sumOctets,
} from "./checksum.ts";
import { IP_PROTOCOL, type WireProblem } from "./ip-protocol.ts";
import { requireField, requireRoom } from "./room.ts";

export const UDP_AT = { sourcePort: 0, targetPort: 2, length: 4, checksum: 6, payload: 8 } as const;
export const UDP_HEADER_OCTETS = 8;

/** A datagram as it lies in memory. */
export class UdpView {
  readonly octets: Uint8Array;

  private constructor(octets: Uint8Array) {
    this.octets = octets;
  }

  /** undefined: shorter than a header. */
  static over(octets: Uint8Array): UdpView | undefined {
    return octets.length < UDP_HEADER_OCTETS ? undefined : new UdpView(octets);
  }

  get sourcePort(): number {
    return readU16(this.octets, UDP_AT.sourcePort);
  }
  get targetPort(): number {
    return readU16(this.octets, UDP_AT.targetPort);
  }
  /** As the datagram says: header and payload. */
  get lengthOctets(): number {
    return readU16(this.octets, UDP_AT.length);
  }
  get checksum(): number {
    return readU16(this.octets, UDP_AT.checksum);
  }
  /** A window, cut at the length field or where the octets end. */
  get payload(): Uint8Array {
    return this.octets.subarray(UDP_AT.payload, Math.max(UDP_AT.payload, this.lengthOctets));
  }

  /**
   * What makes the datagram unusable. A checksum of 0 means "none": allowed over IPv4 only (RFC
   * 8200 §8.1).
   * @param addresses of the IP packet; without them the checksum is not looked at.
   */
  problem(addresses?: AddressPair): WireProblem | undefined {
    const { lengthOctets, octets } = this;
    if (lengthOctets < UDP_HEADER_OCTETS || lengthOctets > octets.length) return "total-length";
    if (addresses === undefined) return undefined;
    if (this.checksum === 0) return addresses.source.length === 4 ? undefined : "checksum";
    const pseudo = pseudoHeaderSum(addresses, IP_PROTOCOL.udp, lengthOctets);
    return sumIsRight(sumOctets(octets, 0, lengthOctets, pseudo)) ? undefined : "checksum";
  }
}

/** A datagram's meaning; the payload is a window on the parsed octets. */
export interface Udp {
  readonly sourcePort: number;
  readonly targetPort: number;
  readonly payload: Uint8Array;
}

/** undefined: `view.problem(addresses)` says why. */
export function parseUdp(view: UdpView, addresses?: AddressPair): Udp | undefined {
  if (view.problem(addresses) !== undefined) return undefined;
  return { sourcePort: view.sourcePort, targetPort: view.targetPort, payload: view.payload };
}

/** Writes header, checksum and payload. @returns octets written. */
export function emitUdp(udp: Udp, into: Uint8Array, addresses: AddressPair): number {
  const lengthOctets = UDP_HEADER_OCTETS + udp.payload.length;
  requireRoom("a UDP datagram", into, lengthOctets);
  requireField("UDP length", lengthOctets, 0xffff);
  requireField("UDP source port", udp.sourcePort, 0xffff);
  requireField("UDP target port", udp.targetPort, 0xffff);
  into.set(udp.payload, UDP_AT.payload);
  writeU16(into, UDP_AT.sourcePort, udp.sourcePort);
  writeU16(into, UDP_AT.targetPort, udp.targetPort);
  writeU16(into, UDP_AT.length, lengthOctets);
  writeU16(into, UDP_AT.checksum, 0);
  const pseudo = pseudoHeaderSum(addresses, IP_PROTOCOL.udp, lengthOctets);
  // RFC 768: a computed 0 is sent as all ones, because 0 on the wire means "no checksum".
  writeU16(into, UDP_AT.checksum, checksumOf(sumOctets(into, 0, lengthOctets, pseudo)) || 0xffff);
  return lengthOctets;
}

/** "UDP, length 6": the length is the payload's. */
export function printUdp(view: UdpView): string {
  if (view.lengthOctets < UDP_HEADER_OCTETS) return `UDP, bad length ${view.lengthOctets}`;
  const cut = view.lengthOctets > view.octets.length ? " [cut]" : "";
  return `UDP, length ${view.lengthOctets - UDP_HEADER_OCTETS}${cut}`;
}
