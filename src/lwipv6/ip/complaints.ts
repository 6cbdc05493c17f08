/** What the IP layer calls when a packet cannot go on; the ICMP layer answers. */
import type { Destination } from "../destination.ts";
import type { Packet } from "../packet.ts";

export interface Complaints {
  /** No handler for a protocol of a packet for us. */
  protocolUnreachable(packet: Packet): void;
  /** A forwarded packet that may not be cut and does not fit. */
  tooBig(packet: Packet, mtuOctets: number): void;
  timeExceeded(packet: Packet): void;
  noRoute(packet: Packet): void;
  /** The target is farther away than the source's address is known (RFC 4443 §3.1, code 2). */
  beyondScope(packet: Packet): void;
  /** A packet went on over the link that it came by: its sender may know no better. */
  betterHop(packet: Packet, way: Destination): void;
  /** @param pointer offset of the octet at fault in the packet. */
  parameterProblem(packet: Packet, code: number, pointer: number): void;
}
