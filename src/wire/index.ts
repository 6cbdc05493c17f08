export {
  type MacAddress,
  type Ipv4Address,
  type Ipv6Address,
  type Prefix,
  MAC_OCTETS,
  IPV4_OCTETS,
  IPV6_OCTETS,
  parseMac,
  printMac,
  parseIpv4,
  printIpv4,
  parseIpv6,
  printIpv6,
  parseAddress,
  printAddress,
  parsePrefix,
  printPrefix,
  prefixContains,
  networkOf,
  broadcastOf,
  netmaskOf,
  isGroupMac,
  isBroadcastMac,
  isMulticast,
  isUnspecified,
  isLinkLocal,
  isIpv4Mapped,
  multicastMac,
  solicitedNodeGroup,
  linkLocalOf,
  macFromName,
} from "../base/index.ts";
export * from "./arp.ts";
export * from "./bpdu.ts";
export * from "./capture-record.ts";
export * from "./checksum.ts";
export * from "./classify.ts";
export * from "./dhcp.ts";
export * from "./ethernet.ts";
export * from "./icmp.ts";
export * from "./icmp6.ts";
export * from "./ip-protocol.ts";
export * from "./ipv4.ts";
export * from "./ipv6.ts";
export * from "./nd-options.ts";
export * from "./pcap-writer.ts";
export * from "./pcap.ts";
export * from "./pcapng-blocks.ts";
export * from "./pcapng-reader.ts";
export * from "./pcapng.ts";
export * from "./print.ts";
export * from "./segment.ts";
export * from "./tcp-options.ts";
export * from "./tcp.ts";
export * from "./udp.ts";
export * from "./virtio-net.ts";
export * from "./vlan.ts";
