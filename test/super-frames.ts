/** Unfinished frames for tests: TCP segments as a kernel hands them to a card. */
import { type FramePool, OFFLOAD, writeU16 } from "../src/base/index.ts";
import {
  emitIpv4Packet,
  emitTcp,
  foldSum,
  IP_PROTOCOL,
  pseudoHeaderSum,
  TCP_AT,
  TCP_FLAG,
} from "../src/wire/index.ts";

export const ADDRESSES = { source: Uint8Array.of(10, 0, 0, 1), target: Uint8Array.of(10, 0, 0, 2) };
/** Octets of payload of one segment. */
export const SEGMENT = 1448;

/**
 * Puts a TCP segment from station 1 to station 2 in a slot, unfinished; more than SEGMENT octets: a
 * super-frame. Octet `n` of the stream is n modulo 251.
 */
export function putSegment(pool: FramePool, slot: number, octets: number, sequence = 0): void {
  const tcp = new Uint8Array(20 + octets);
  const payload = Uint8Array.from({ length: octets }, (_, i) => (sequence + i) % 251);
  const fields = { sourcePort: 1, targetPort: 2, acknowledgment: 0, window: 1, urgentPointer: 0 };
  emitTcp({ ...fields, sequence, flags: TCP_FLAG.ack, options: [], payload }, tcp, ADDRESSES);
  const sum = pseudoHeaderSum(ADDRESSES, IP_PROTOCOL.tcp, tcp.length);
  writeU16(tcp, TCP_AT.checksum, foldSum(sum));
  const packet = new Uint8Array(20 + tcp.length);
  const ip = { trafficClass: 0, identification: 9, mayNotFragment: true, timeToLive: 64 };
  const fragment = { hasMoreFragments: false, fragmentOffsetOctets: 0, options: new Uint8Array(0) };
  const protocol = IP_PROTOCOL.tcp;
  emitIpv4Packet({ ...ip, ...fragment, protocol, ...ADDRESSES, payload: tcp }, packet);
  const start = pool.start[slot]!;
  pool.octets.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0], start);
  pool.octets.set(packet, start + 14);
  pool.length[slot] = 14 + packet.length;
  pool.offload[slot] = octets > SEGMENT ? OFFLOAD.tcp4 : OFFLOAD.checksum;
  pool.checksumFrom[slot] = start + 34;
  pool.checksumOffset[slot] = TCP_AT.checksum;
  pool.segmentOctets[slot] = SEGMENT;
}
