/**
 * Writing classic capture files (draft-ietf-opsawg-pcap), as libpcap does on a little-endian
 * machine: microseconds, Ethernet. For programs that read nothing newer; captures of our own are
 * pcapng.
 */
import { LINK_TYPE_ETHERNET } from "./pcapng.ts";

const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const HEAD_OCTETS = 24;
const RECORD_HEAD_OCTETS = 16;

/** The head of a file. @param snapOctets how much of a frame readers are to expect. */
export function emitPcapHead(snapOctets: number): Uint8Array {
  const head = new DataView(new ArrayBuffer(HEAD_OCTETS));
  head.setUint32(0, MAGIC_MICROSECONDS, true);
  head.setUint16(4, 2, true);
  head.setUint16(6, 4, true);
  head.setUint32(16, snapOctets, true);
  head.setUint32(20, LINK_TYPE_ETHERNET, true);
  return new Uint8Array(head.buffer);
}

/** A frame, whole, behind the head. @param timeMs since 1970-01-01 UTC, with fractions. */
export function emitPcapRecord(octets: Uint8Array, timeMs: number): Uint8Array {
  const record = new Uint8Array(RECORD_HEAD_OCTETS + octets.length);
  const head = new DataView(record.buffer);
  const microseconds = Math.round(timeMs * 1000);
  head.setUint32(0, Math.floor(microseconds / 1e6), true);
  head.setUint32(4, microseconds % 1e6, true);
  head.setUint32(8, octets.length, true);
  head.setUint32(12, octets.length, true);
  record.set(octets, RECORD_HEAD_OCTETS);
  return record;
}
