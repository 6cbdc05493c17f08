/**
 * One line per frame, in the manner of `tcpdump -n -t -S`: any octets give a line, nothing throws,
 * no name is looked up, no connection is remembered. Payloads above TCP and UDP are not
 * interpreted.
 */
import { ArpView, printArp } from "./arp.ts";
import {
  ETHER_TYPE,
  ETHER_TYPE_MIN,
  EthernetView,
  printEtherType,
  printEthernet,
} from "./ethernet.ts";
import { ETHERNET_AT } from "./ethernet.ts";
import { IcmpView, printIcmp } from "./icmp.ts";
import { Icmp6View, printIcmp6 } from "./icmp6.ts";
import { printAddress } from "../base/index.ts";
import { IP_PROTOCOL } from "./ip-protocol.ts";
import { IPV4_HEADER_OCTETS_MIN, Ipv4View, printIpv4Packet } from "./ipv4.ts";
import { IPV6_AT, Ipv6View, printIpv6Packet } from "./ipv6.ts";
import { readU16 } from "../base/index.ts";
import { printTcp, TcpView } from "./tcp.ts";
import { printUdp, UdpView } from "./udp.ts";
import { isTagType, parseTagControl, printVlanTag, VLAN_TAG_OCTETS } from "./vlan.ts";
import { VLAN_TAGS_MAX } from "./classify.ts";

export interface PrintOptions {
  /** Ethernet addresses and type in front of the line, as `tcpdump -e`. */
  readonly showsLink?: boolean;
}

/** "IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 1, seq 1, length 64" */
export function printFrame(octets: Uint8Array, options: PrintOptions = {}): string {
  const view = EthernetView.over(octets);
  if (view === undefined) return `[short frame, length ${octets.length}]`;
  const link = options.showsLink ? `${printEthernet(view)}: ` : "";
  let typeAt: number = ETHERNET_AT.etherType;
  let tags = "";
  for (let tag = 0; tag < VLAN_TAGS_MAX && isTagType(readU16(octets, typeAt)); tag++) {
    if (octets.length < typeAt + 2 + VLAN_TAG_OCTETS) return `${link}${tags}[cut in a VLAN tag]`;
    tags += `${printVlanTag(parseTagControl(readU16(octets, typeAt + 2)))}, `;
    typeAt += VLAN_TAG_OCTETS;
  }
  return link + tags + printNetwork(readU16(octets, typeAt), octets.subarray(typeAt + 2));
}

/** The line of what an Ethernet frame carries: EtherType and payload, padding included. */
export function printNetwork(etherType: number, payload: Uint8Array): string {
  switch (etherType) {
    case ETHER_TYPE.ipv4:
      return printIpv4Line(payload);
    case ETHER_TYPE.ipv6:
      return printIpv6Line(payload);
    case ETHER_TYPE.arp: {
      const arp = ArpView.over(payload);
      return arp === undefined ? `ARP, [cut], length ${payload.length}` : printArp(arp);
    }
  }
  if (etherType < ETHER_TYPE_MIN) return `802.3, length ${etherType}`;
  return `ethertype ${printEtherType(etherType)}, length ${payload.length}`;
}

function printIpv4Line(octets: Uint8Array): string {
  const view = Ipv4View.over(octets);
  if (view === undefined) return `IP, [cut], length ${octets.length}`;
  if (view.version !== 4) return `IP, bad version ${view.version}`;
  const { headerOctets, totalLengthOctets } = view;
  if (headerOctets < IPV4_HEADER_OCTETS_MIN) return `IP, bad header length ${headerOctets}`;
  if (totalLengthOctets < headerOctets) return `IP, bad total length ${totalLengthOctets}`;
  const head = `IP ${printMissing(totalLengthOctets - octets.length)}`;
  if (view.fragmentOffsetOctets > 0) {
    return `${head}${printIpv4Packet(view)}: ${printProtocol(view.protocol)}`;
  }
  const lengthOctets = totalLengthOctets - headerOctets;
  return head + printTransport(view, view.protocol, view.payload, lengthOctets);
}

function printIpv6Line(octets: Uint8Array): string {
  const view = Ipv6View.over(octets);
  if (view === undefined) return `IP6, [cut], length ${octets.length}`;
  if (view.version !== 6) return `IP6, bad version ${view.version}`;
  const { walk } = view;
  const addresses = printIpv6Packet(view);
  const head = `IP6 ${printMissing(IPV6_AT.payload + view.payloadLengthOctets - octets.length)}`;
  if (!walk.isWhole) return `${head}${addresses}: broken extension headers`;
  const lengthOctets = view.payloadLengthOctets - (walk.at - IPV6_AT.payload);
  const mark = view.nextHeader === IP_PROTOCOL.hopByHop ? "HBH " : "";
  const payload = octets.subarray(walk.at, view.end);
  if (!walk.isFragment) {
    return head + printTransport(view, walk.protocol, payload, lengthOctets, mark);
  }
  const offset = walk.fragmentOffsetOctets;
  const fragment = `${mark}frag (${offset}|${lengthOctets})`;
  if (offset > 0) return `${head}${addresses}: ${fragment}`;
  return `${head}${addresses}: ${fragment} ${printInside(walk.protocol, payload, lengthOctets)}`;
}

/** A frame that ends before its packet: damaged, or cut by the snap length of a capture. */
function printMissing(octets: number): string {
  return octets > 0 ? `[${octets} octets missing] ` : "";
}

/** Addresses with ports when there are some, and what is inside. */
function printTransport(
  view: Ipv4View | Ipv6View,
  protocol: number,
  payload: Uint8Array,
  lengthOctets: number,
  mark = "",
): string {
  const source = printAddress(view.source);
  const target = printAddress(view.target);
  const inside = mark + printInside(protocol, payload, lengthOctets);
  const hasPorts = protocol === IP_PROTOCOL.tcp || protocol === IP_PROTOCOL.udp;
  if (!hasPorts || payload.length < 4) return `${source} > ${target}: ${inside}`;
  return `${source}.${readU16(payload, 0)} > ${target}.${readU16(payload, 2)}: ${inside}`;
}

/** @param lengthOctets what the IP header says the payload is, when the octets end sooner. */
function printInside(protocol: number, payload: Uint8Array, lengthOctets: number): string {
  switch (protocol) {
    case IP_PROTOCOL.tcp: {
      const tcp = TcpView.over(payload);
      return tcp === undefined ? cut("TCP", lengthOctets) : printTcp(tcp, lengthOctets);
    }
    case IP_PROTOCOL.udp: {
      const udp = UdpView.over(payload);
      return udp === undefined ? cut("UDP", lengthOctets) : printUdp(udp);
    }
    case IP_PROTOCOL.icmp: {
      const icmp = IcmpView.over(payload);
      return icmp === undefined ? cut("ICMP", lengthOctets) : printIcmp(icmp, lengthOctets);
    }
    case IP_PROTOCOL.icmp6: {
      const icmp6 = Icmp6View.over(payload);
      return icmp6 === undefined ? cut("ICMP6", lengthOctets) : printIcmp6(icmp6, lengthOctets);
    }
    case IP_PROTOCOL.none:
      return "no next header";
  }
  return `${printProtocol(protocol)}, length ${lengthOctets}`;
}

function cut(what: string, lengthOctets: number): string {
  return `${what}, [cut], length ${lengthOctets}`;
}

/** "ip-proto-47" */
function printProtocol(protocol: number): string {
  return `ip-proto-${protocol}`;
}
