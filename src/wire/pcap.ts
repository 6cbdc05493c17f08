/**
 * Reading classic capture files (draft-ietf-opsawg-pcap), and `readCapture`, which tells them from
 * pcapng.
 */
import type { CaptureProblem, CaptureRecord } from "./capture-record.ts";
import { PCAPNG_BLOCK } from "./pcapng.ts";
import { readPcapng } from "./pcapng-reader.ts";

const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const MAGIC_NANOSECONDS = 0xa1b23c4d;

const FILE = { magic: 0, major: 4, snapOctets: 16, linkType: 20, records: 24 } as const;
const RECORD = { seconds: 0, fraction: 4, captured: 8, original: 12, data: 16 } as const;

/**
 * A larger record is taken for a broken file (libpcap's limit for Ethernet is the same 256 KiB).
 */
const FRAME_OCTETS_MAX = 262_144;

/**
 * Records of a capture in either format, in the order of the file. Nothing throws: what cannot be
 * read ends in one record of kind "problem". The frames are windows on `octets`, the whole file.
 */
export function readCapture(octets: Uint8Array): IterableIterator<CaptureRecord> {
  if (octets.length >= 4) {
    const fields = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
    if (fields.getUint32(0) === PCAPNG_BLOCK.section) return readPcapng(octets);
    for (const isLittle of [true, false]) {
      const magic = fields.getUint32(FILE.magic, isLittle);
      if (magic === MAGIC_MICROSECONDS) return readPcap(fields, octets, isLittle, 1000n);
      if (magic === MAGIC_NANOSECONDS) return readPcap(fields, octets, isLittle, 1n);
    }
  }
  return [problem(0, "not a capture")].values();
}

function* readPcap(
  fields: DataView,
  octets: Uint8Array,
  isLittle: boolean,
  nsPerFraction: bigint,
): Generator<CaptureRecord> {
  if (octets.length < FILE.records) {
    yield problem(0, "cut in the middle of a record");
    return;
  }
  if (fields.getUint16(FILE.major, isLittle) !== 2) {
    yield problem(0, "version not known");
    return;
  }
  // The upper 16 bits of the field tell of frame check sequences.
  const linkType = fields.getUint32(FILE.linkType, isLittle) & 0xffff;
  const snapOctets = fields.getUint32(FILE.snapOctets, isLittle);
  yield { kind: "interface", id: 0, linkType, snapOctets };
  let at: number = FILE.records;
  while (at < octets.length) {
    const data = at + RECORD.data;
    // A header that is cut reads as a record that is cut: what its length says does not matter
    // then.
    const captured = data > octets.length ? 0 : fields.getUint32(at + RECORD.captured, isLittle);
    if (captured > FRAME_OCTETS_MAX) {
      yield problem(at, "length of a record makes no sense");
      return;
    }
    if (data + captured > octets.length) {
      yield problem(at, "cut in the middle of a record");
      return;
    }
    const seconds = BigInt(fields.getUint32(at + RECORD.seconds, isLittle));
    const fraction = BigInt(fields.getUint32(at + RECORD.fraction, isLittle));
    yield {
      kind: "frame",
      interfaceId: 0,
      timeNs: seconds * 1_000_000_000n + fraction * nsPerFraction,
      octets: octets.subarray(data, data + captured),
      originalOctets: fields.getUint32(at + RECORD.original, isLittle),
      comments: [],
    };
    at = data + captured;
  }
}

function problem(at: number, text: CaptureProblem): CaptureRecord {
  return { kind: "problem", at, text };
}
