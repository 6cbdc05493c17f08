/**
 * A packet on its way in: where its headers lie and what they say, filled again and again, so that
 * nothing is allocated per packet. Layers fill in what they find and hand it on.
 */
import { IpAddress } from "./address.ts";
import type { Interface } from "./interface.ts";

/** Offsets are in the arena. The frame's slot is the stack's; who keeps it retains it. */
export class Packet {
  slot = -1;
  interface: Interface;
  isIpv4 = false;
  /** First octet of the IP header. */
  networkAt = 0;
  /** First octet after the IP header and its extensions or options. */
  transportAt = 0;
  /** First octet after the IP packet: what follows is padding. */
  end = 0;
  /** Of the transport header (IANA protocol numbers). */
  protocol = 0;
  /** Time to live of IPv4. */
  hopLimit = 0;
  /** Differentiated services and congestion notification: 8 bits. */
  trafficClass = 0;
  /** Source and target as words of an IpAddress, IPv4 mapped. */
  s0 = 0;
  s1 = 0;
  s2 = 0;
  s3 = 0;
  t0 = 0;
  t1 = 0;
  t2 = 0;
  t3 = 0;
  /** The link vouches for the transport checksum (it came from a local sender, unfinished). */
  isChecksumKnown = false;
  /** Payload of each segment when this is a super-segment; 0: it is not. */
  segmentOctets = 0;
  /** The target is a multicast group, or a broadcast address of IPv4. */
  isGroup = false;
  /** The frame was sent to a group address of the link. */
  isLinkGroup = false;
  /** Put together from fragments. */
  wasFragmented = false;

  /** @param first any interface; it is overwritten with each packet. */
  constructor(first: Interface) {
    this.interface = first;
  }

  /** Octets of the transport header and what follows. */
  get transportOctets(): number {
    return this.end - this.transportAt;
  }

  /** The sender as a new object. */
  source(): IpAddress {
    return new IpAddress(this.s0, this.s1, this.s2, this.s3);
  }

  /** The receiver as a new object. */
  target(): IpAddress {
    return new IpAddress(this.t0, this.t1, this.t2, this.t3);
  }
}

/** Where a protocol's packets go, and news of its packets that did not arrive. */
export interface TransportHandler {
  /** A whole packet for this host. It may be looked at until the call returns. */
  input(packet: Packet): void;
  /** An ICMP error about a packet of this protocol. */
  error?(report: PacketError): void;
}

/**
 * An ICMP error, believed only as far as the quoted packet can be checked (RFC 5927). Addresses and
 * ports are those of the packet that we sent.
 */
export interface PacketError {
  readonly kind: "unreachable" | "packet-too-big" | "time-exceeded" | "parameter-problem";
  /** What a socket is told, e.g. ECONNREFUSED. */
  readonly errno: number;
  /** Port and protocol unreachable are hard errors (RFC 1122 §4.2.3.9). */
  readonly isHard: boolean;
  readonly source: IpAddress;
  readonly target: IpAddress;
  readonly protocol: number;
  /** What is quoted of the transport header: at least 8 octets, in the arena from `at` to `end`. */
  readonly octets: Uint8Array;
  readonly at: number;
  readonly end: number;
  /** Of packet-too-big. */
  readonly mtuOctets: number;
  /** Who says so, and as which ICMP type and code. */
  readonly reporter: IpAddress;
  readonly type: number;
  readonly code: number;
}
