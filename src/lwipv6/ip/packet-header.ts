/** Reads the header of a packet that this host has made, for hooks on the way out. */
import { OFFLOAD, type FramePool, readU16, readU32 } from "../../base/index.ts";
import { IPV4_AT, IPV6_AT, IPV6_HEADER_OCTETS } from "../../wire/index.ts";
import type { Interface } from "../interface.ts";
import type { Packet } from "../packet.ts";

/** Fills `packet` from the whole, sound IP packet in `slot`. */
export function readPacketHeader(
  pool: FramePool,
  slot: number,
  outgoing: Interface,
  packet: Packet,
): void {
  const { octets } = pool;
  const at = pool.start[slot]!;
  packet.slot = slot;
  packet.interface = outgoing;
  packet.networkAt = at;
  packet.end = at + pool.length[slot]!;
  packet.isIpv4 = octets[at]! >>> 4 === 4;
  packet.isChecksumKnown = pool.offload[slot] !== OFFLOAD.none;
  packet.segmentOctets = packet.isChecksumKnown ? pool.segmentOctets[slot]! : 0;
  const [from, to] = packet.isIpv4
    ? [IPV4_AT.source, IPV4_AT.target]
    : [IPV6_AT.source, IPV6_AT.target];
  const read = (where: number): number => readU32(octets, at + where) | 0;
  if (packet.isIpv4) {
    packet.protocol = octets[at + IPV4_AT.protocol]!;
    packet.hopLimit = octets[at + IPV4_AT.timeToLive]!;
    packet.trafficClass = octets[at + IPV4_AT.trafficClass]!;
    packet.transportAt = at + (octets[at]! & 0xf) * 4;
    packet.s0 = 0;
    packet.s1 = 0;
    packet.s2 = 0xffff;
    packet.s3 = read(from);
    packet.t0 = 0;
    packet.t1 = 0;
    packet.t2 = 0xffff;
    packet.t3 = read(to);
    packet.isGroup = packet.t3 >>> 28 === 0xe || packet.t3 === -1;
    return;
  }
  packet.protocol = octets[at + IPV6_AT.nextHeader]!;
  packet.hopLimit = octets[at + IPV6_AT.hopLimit]!;
  packet.trafficClass = (readU16(octets, at) >>> 4) & 0xff;
  packet.transportAt = at + IPV6_HEADER_OCTETS;
  packet.s0 = read(from);
  packet.s1 = read(from + 4);
  packet.s2 = read(from + 8);
  packet.s3 = read(from + 12);
  packet.t0 = read(to);
  packet.t1 = read(to + 4);
  packet.t2 = read(to + 8);
  packet.t3 = read(to + 12);
  packet.isGroup = packet.t0 >>> 24 === 0xff;
}
