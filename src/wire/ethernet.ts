/**
 * Ethernet II and 802.3 header, IEEE 802.3 §3.1.1. Frames carry neither preamble nor check
 * sequence. Offsets in octets from the start of the frame.
 */
import { copyOctets, readU16, writeU16 } from "../base/index.ts";
import { MAC_OCTETS, type MacAddress, printMac } from "../base/index.ts";
import { emitAddress, requireField, requireRoom } from "./room.ts";

export const ETHERNET_AT = { target: 0, source: 6, etherType: 12, payload: 14 } as const;

export const ETHERNET_HEADER_OCTETS = 14;
/**
 * Shortest frame without check sequence; shorter ones are padded by their sender (IEEE 802.3
 * §4.2.3.3).
 */
export const ETHERNET_FRAME_OCTETS_MIN = 60;

/** EtherTypes, IEEE 802 registry. Values below 0x600 are lengths (802.3 with LLC), not types. */
export const ETHER_TYPE = {
  ipv4: 0x0800,
  arp: 0x0806,
  /** C-TAG, IEEE 802.1Q. */
  vlan: 0x8100,
  ipv6: 0x86dd,
  /** S-TAG, IEEE 802.1ad. */
  serviceVlan: 0x88a8,
  lldp: 0x88cc,
} as const;

export const ETHER_TYPE_MIN = 0x600;

/** A frame as it lies in memory; nothing is copied until asked for. */
export class EthernetView {
  readonly octets: Uint8Array;

  private constructor(octets: Uint8Array) {
    this.octets = octets;
  }

  /** undefined: shorter than a header. */
  static over(octets: Uint8Array): EthernetView | undefined {
    return octets.length < ETHERNET_HEADER_OCTETS ? undefined : new EthernetView(octets);
  }

  /** A window on the frame, not a copy. */
  get target(): MacAddress {
    return this.octets.subarray(ETHERNET_AT.target, ETHERNET_AT.target + MAC_OCTETS);
  }

  /** A window on the frame, not a copy. */
  get source(): MacAddress {
    return this.octets.subarray(ETHERNET_AT.source, ETHERNET_AT.source + MAC_OCTETS);
  }

  /** Type, or length when below ETHER_TYPE_MIN. */
  get etherType(): number {
    return readU16(this.octets, ETHERNET_AT.etherType);
  }

  /** Everything after the header, padding included; a window, not a copy. */
  get payload(): Uint8Array {
    return this.octets.subarray(ETHERNET_AT.payload);
  }
}

/** A frame's meaning. Addresses are copies, the payload is a window on the parsed octets. */
export interface Ethernet {
  readonly target: MacAddress;
  readonly source: MacAddress;
  readonly etherType: number;
  readonly payload: Uint8Array;
}

/** Never fails: every 14 octets are a header. */
export function parseEthernet(view: EthernetView): Ethernet {
  return {
    target: copyOctets(view.target),
    source: copyOctets(view.source),
    etherType: view.etherType,
    payload: view.payload,
  };
}

/** Writes header and payload, without padding to the minimum. @returns octets written. */
export function emitEthernet(frame: Ethernet, into: Uint8Array): number {
  const lengthOctets = ETHERNET_HEADER_OCTETS + frame.payload.length;
  requireRoom("an Ethernet frame", into, lengthOctets);
  requireField("EtherType", frame.etherType, 0xffff);
  emitAddress(frame.target, MAC_OCTETS, into, ETHERNET_AT.target);
  emitAddress(frame.source, MAC_OCTETS, into, ETHERNET_AT.source);
  writeU16(into, ETHERNET_AT.etherType, frame.etherType);
  into.set(frame.payload, ETHERNET_AT.payload);
  return lengthOctets;
}

/** "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, ethertype IPv4 (0x0800), length 60" */
export function printEthernet(view: EthernetView): string {
  const addresses = `${printMac(view.source)} > ${printMac(view.target)}`;
  const length = view.octets.length;
  const kind =
    view.etherType < ETHER_TYPE_MIN ? "802.3" : `ethertype ${printEtherType(view.etherType)}`;
  return `${addresses}, ${kind}, length ${length}`;
}

/** "IPv4 (0x0800)", "Unknown (0x1234)". */
export function printEtherType(etherType: number): string {
  return `${ETHER_TYPE_NAME.get(etherType) ?? "Unknown"} (0x${etherType.toString(16).padStart(4, "0")})`;
}

const ETHER_TYPE_NAME: ReadonlyMap<number, string> = new Map([
  [ETHER_TYPE.ipv4, "IPv4"],
  [ETHER_TYPE.arp, "ARP"],
  [ETHER_TYPE.vlan, "802.1Q"],
  [ETHER_TYPE.ipv6, "IPv6"],
  [ETHER_TYPE.serviceVlan, "802.1Q-QinQ"],
  [ETHER_TYPE.lldp, "LLDP"],
]);
