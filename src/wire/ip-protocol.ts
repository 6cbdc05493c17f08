/** Protocol numbers shared by IPv4's protocol and IPv6's next header field (IANA registry). */
export const IP_PROTOCOL = {
  hopByHop: 0,
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  routing: 43,
  fragment: 44,
  authentication: 51,
  icmp6: 58,
  /** Nothing follows. */
  none: 59,
  targetOptions: 60,
  mobility: 135,
  hostIdentity: 139,
  shim6: 140,
} as const;

/** The whole vocabulary of what can be wrong with a packet: keys for counters of refused input. */
export type WireProblem =
  | "version"
  | "header-length"
  | "total-length"
  | "checksum"
  | "options"
  | "extension-header"
  /** A code that its ICMPv6 type does not have. */
  | "code"
  /** ARP for other addresses than Ethernet and IPv4. */
  | "address-kind"
  /** ARP that is neither request nor reply. */
  | "operation";
