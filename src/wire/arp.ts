/**
 * Address Resolution Protocol for IPv4 over Ethernet, RFC 826. Offsets from the start of the
 * packet.
 */
import { copyOctets, readU16, writeU16 } from "../base/index.ts";
import {
  IPV4_OCTETS,
  type Ipv4Address,
  MAC_OCTETS,
  type MacAddress,
  isBroadcastMac,
  isUnspecified,
  printIpv4,
  printMac,
} from "../base/index.ts";
import { ETHER_TYPE } from "./ethernet.ts";
import type { WireProblem } from "./ip-protocol.ts";
import { emitAddress, requireRoom } from "./room.ts";

const AT = {
  hardwareType: 0,
  protocolType: 2,
  hardwareOctets: 4,
  protocolOctets: 5,
  operation: 6,
  senderMac: 8,
  senderIp: 14,
  targetMac: 18,
  targetIp: 24,
} as const;

const HARDWARE_ETHERNET = 1;

export const ARP_OCTETS = 28;
export const ARP_OPERATION = { request: 1, reply: 2 } as const;

/** An ARP packet for IPv4 over Ethernet; windows, not copies. */
export class ArpView {
  readonly octets: Uint8Array;

  private constructor(octets: Uint8Array) {
    this.octets = octets;
  }

  /** undefined: shorter than 28 octets. */
  static over(octets: Uint8Array): ArpView | undefined {
    return octets.length < ARP_OCTETS ? undefined : new ArpView(octets);
  }

  /** True when the address kinds are Ethernet and IPv4, so that the other fields mean something. */
  get isIpv4OverEthernet(): boolean {
    const { octets } = this;
    return (
      readU16(octets, AT.hardwareType) === HARDWARE_ETHERNET &&
      readU16(octets, AT.protocolType) === ETHER_TYPE.ipv4 &&
      octets[AT.hardwareOctets] === MAC_OCTETS &&
      octets[AT.protocolOctets] === IPV4_OCTETS
    );
  }

  /** What makes the packet unusable; undefined: nothing. */
  get problem(): WireProblem | undefined {
    if (!this.isIpv4OverEthernet) return "address-kind";
    const { operation } = this;
    const isKnown = operation === ARP_OPERATION.request || operation === ARP_OPERATION.reply;
    return isKnown ? undefined : "operation";
  }

  get operation(): number {
    return readU16(this.octets, AT.operation);
  }
  get senderMac(): MacAddress {
    return this.octets.subarray(AT.senderMac, AT.senderMac + MAC_OCTETS);
  }
  get senderIp(): Ipv4Address {
    return this.octets.subarray(AT.senderIp, AT.senderIp + IPV4_OCTETS);
  }
  get targetMac(): MacAddress {
    return this.octets.subarray(AT.targetMac, AT.targetMac + MAC_OCTETS);
  }
  get targetIp(): Ipv4Address {
    return this.octets.subarray(AT.targetIp, AT.targetIp + IPV4_OCTETS);
  }
}

/** A question or an answer; addresses are copies. */
export interface Arp {
  readonly operation: "request" | "reply";
  readonly senderMac: MacAddress;
  readonly senderIp: Ipv4Address;
  readonly targetMac: MacAddress;
  readonly targetIp: Ipv4Address;
}

/** undefined: `view.problem` says why. */
export function parseArp(view: ArpView): Arp | undefined {
  if (view.problem !== undefined) return undefined;
  return {
    operation: view.operation === ARP_OPERATION.request ? "request" : "reply",
    senderMac: copyOctets(view.senderMac),
    senderIp: copyOctets(view.senderIp),
    targetMac: copyOctets(view.targetMac),
    targetIp: copyOctets(view.targetIp),
  };
}

/** @returns octets written: 28. */
export function emitArp(arp: Arp, into: Uint8Array): number {
  requireRoom("an ARP packet", into, ARP_OCTETS);
  writeU16(into, AT.hardwareType, HARDWARE_ETHERNET);
  writeU16(into, AT.protocolType, ETHER_TYPE.ipv4);
  into[AT.hardwareOctets] = MAC_OCTETS;
  into[AT.protocolOctets] = IPV4_OCTETS;
  writeU16(into, AT.operation, ARP_OPERATION[arp.operation]);
  emitAddress(arp.senderMac, MAC_OCTETS, into, AT.senderMac);
  emitAddress(arp.senderIp, IPV4_OCTETS, into, AT.senderIp);
  emitAddress(arp.targetMac, MAC_OCTETS, into, AT.targetMac);
  emitAddress(arp.targetIp, IPV4_OCTETS, into, AT.targetIp);
  return ARP_OCTETS;
}

/** "ARP, Request who-has 10.0.0.1 tell 10.0.0.2, length 46": the length counts padding. */
export function printArp(view: ArpView): string {
  const length = `length ${view.octets.length}`;
  if (!view.isIpv4OverEthernet) return `ARP, Unknown addresses, ${length}`;
  if (view.operation === ARP_OPERATION.request) {
    const isAimed = !isUnspecified(view.targetMac) && !isBroadcastMac(view.targetMac);
    const at = isAimed ? ` (${printMac(view.targetMac)})` : "";
    const asked = printIpv4(view.targetIp);
    return `ARP, Request who-has ${asked}${at} tell ${printIpv4(view.senderIp)}, ${length}`;
  }
  if (view.operation === ARP_OPERATION.reply) {
    return `ARP, Reply ${printIpv4(view.senderIp)} is-at ${printMac(view.senderMac)}, ${length}`;
  }
  return `ARP, Unknown (${view.operation}), ${length}`;
}
