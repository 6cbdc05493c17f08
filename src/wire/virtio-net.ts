/**
 * The header in front of a frame that says what is left to do to it: struct virtio_net_hdr without
 * merged buffers (OASIS VIRTIO 1.2 §5.1.6; linux/virtio_net.h), ten octets, little endian:
 *
 *   flags u8 · kind u8 · header length u16 · segment u16 · checksum start u16 · checksum offset u16
 *
 * TAP devices, packet sockets and negotiated VDE cables speak it. In a FramePool it stands in the
 * room before the frame; what it says is kept in the pool's own fields.
 */
import { type FramePool, OFFLOAD } from "../base/index.ts";
import { ETHERNET_HEADER_OCTETS } from "./ethernet.ts";

/** The header stands in this many octets before the frame. */
export const VNET_HEADER_OCTETS = 10;

const AT = {
  flags: 0,
  kind: 1,
  headerLength: 2,
  segment: 4,
  checksumStart: 6,
  checksumOffset: 8,
} as const;
const FLAG_NEEDS_CHECKSUM = 1;
const KIND_NONE = 0;
const KIND_TCP4 = 1;
const KIND_TCP6 = 4;
const CHECKSUM_OCTETS = 2;
/** Where a TCP header says how long it is, in words of four octets in the upper half. */
const TCP_LENGTH_AT = 12;

/**
 * Reads the header before the frame in `slot`, whose length is set, into the pool's fields.
 * @returns false: it makes no sense, or asks for what was not agreed on; the frame is not to be
 *   used. Whether the frame itself fits what it says is seen when it is cut (SegmentPlan).
 */
export function readVnetHeader(pool: FramePool, slot: number): boolean {
  const { octets } = pool;
  const start = pool.start[slot]!;
  const at = start - VNET_HEADER_OCTETS;
  const kind = octets[at + AT.kind]!;
  pool.offload[slot] = OFFLOAD.none;
  if ((octets[at + AT.flags]! & FLAG_NEEDS_CHECKSUM) === 0) return kind === KIND_NONE;
  const from = octets[at + AT.checksumStart]! | (octets[at + AT.checksumStart + 1]! << 8);
  const offset = octets[at + AT.checksumOffset]! | (octets[at + AT.checksumOffset + 1]! << 8);
  const segment = octets[at + AT.segment]! | (octets[at + AT.segment + 1]! << 8);
  if (from < ETHERNET_HEADER_OCTETS) return false;
  if (from + offset + CHECKSUM_OCTETS > pool.length[slot]!) return false;
  let offload: number = OFFLOAD.checksum;
  if (kind !== KIND_NONE) {
    if (segment === 0 || (kind !== KIND_TCP4 && kind !== KIND_TCP6)) return false;
    offload = kind === KIND_TCP4 ? OFFLOAD.tcp4 : OFFLOAD.tcp6;
  }
  pool.offload[slot] = offload;
  pool.checksumFrom[slot] = start + from;
  pool.checksumOffset[slot] = offset;
  pool.segmentOctets[slot] = segment;
  return true;
}

/** Writes the header before the frame in `slot`; every holder of the slot would write the same. */
export function writeVnetHeader(pool: FramePool, slot: number): void {
  const { octets } = pool;
  const start = pool.start[slot]!;
  const at = start - VNET_HEADER_OCTETS;
  const offload = pool.offload[slot]!;
  if (offload === OFFLOAD.none) {
    for (let i = 0; i < VNET_HEADER_OCTETS; i++) octets[at + i] = 0;
    return;
  }
  const isSuper = offload !== OFFLOAD.checksum;
  const from = pool.checksumFrom[slot]! - start;
  const offset = pool.checksumOffset[slot]!;
  // The length of the headers is a hint: how much the kernel keeps in one piece.
  const tcp = isSuper ? (octets[start + from + TCP_LENGTH_AT]! >> 4) * 4 : 0;
  const headers = isSuper ? Math.min(from + tcp, pool.length[slot]!) : 0;
  const segment = isSuper ? pool.segmentOctets[slot]! : 0;
  octets[at + AT.flags] = FLAG_NEEDS_CHECKSUM;
  octets[at + AT.kind] = isSuper ? (offload === OFFLOAD.tcp4 ? KIND_TCP4 : KIND_TCP6) : KIND_NONE;
  octets[at + AT.headerLength] = headers;
  octets[at + AT.headerLength + 1] = headers >> 8;
  octets[at + AT.segment] = segment;
  octets[at + AT.segment + 1] = segment >> 8;
  octets[at + AT.checksumStart] = from;
  octets[at + AT.checksumStart + 1] = from >> 8;
  octets[at + AT.checksumOffset] = offset;
  octets[at + AT.checksumOffset + 1] = offset >> 8;
}
