/** Every table and queue of a stack has a limit, so that strangers cannot fill its memory. */

export interface Limits {
  /** Neighbours kept (ARP and Neighbour Discovery) over all interfaces. */
  readonly neighbours: number;
  /** Packets that wait for one neighbour's address (RFC 4861 §7.2.2 asks for at least one). */
  readonly packetsPerNeighbour: number;
  /** Addresses of one interface, also those that router advertisements make. */
  readonly addressesPerInterface: number;
  /** Routes, those of router advertisements included. */
  readonly routes: number;
  /** Destinations with a path MTU or a redirect of their own. */
  readonly destinations: number;
  /** Datagrams in reassembly, and the octets they may hold together. */
  readonly reassemblies: number;
  readonly reassemblyOctets: number;
  /** Packets that wait for a link that takes no more. */
  readonly packetsPerInterface: number;
  /** Sockets of all kinds. */
  readonly sockets: number;
  /** TCP connections that nobody has accepted yet, over all listeners, before cookies are used. */
  readonly handshakes: number;
  /** Connections in TIME-WAIT. */
  readonly timeWaits: number;
  /** Connections whose user has closed them and whose peer has not. */
  readonly orphans: number;
  /** ICMP errors sent per second, and how many at once. */
  readonly icmpErrorsPerSecond: number;
  readonly icmpErrorBurst: number;
  /** Multicast groups of one interface. */
  readonly groupsPerInterface: number;
}

/** Sizes for a host with some thousands of connections. */
export const DEFAULT_LIMITS: Limits = {
  neighbours: 1024,
  packetsPerNeighbour: 8,
  addressesPerInterface: 32,
  routes: 1024,
  destinations: 1024,
  reassemblies: 64,
  reassemblyOctets: 4 << 20,
  packetsPerInterface: 256,
  sockets: 65_536,
  handshakes: 1024,
  timeWaits: 16_384,
  orphans: 4096,
  icmpErrorsPerSecond: 100,
  icmpErrorBurst: 20,
  groupsPerInterface: 64,
};
