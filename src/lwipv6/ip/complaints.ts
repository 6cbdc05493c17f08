/** What the IP layer calls when a packet cannot go on; the ICMP layer answers. */
import type { Packet } from "../packet.ts";

export interface Complaints {
  /** No handler for a protocol of a packet for us. */
  protocolUnreachable(packet: Packet): void;
  /** A forwarded packet that may not be cut and does not fit. */
  tooBig(packet: Packet, mtuOctets: number): void;
  timeExceeded(packet: Packet): void;
  noRoute(packet: Packet): void;
  /** @param pointer offset of the octet at fault in the packet. */
  parameterProblem(packet: Packet, code: number, pointer: number): void;
}
