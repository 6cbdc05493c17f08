/**
 * A pcapng stream cut into its blocks, however the octets arrive, for whoever passes a capture on
 * and looks at its frames on the way. For streams of our own writer (pcapng.ts): little-endian.
 */
import { V2Error } from "../base/index.ts";
import { PCAPNG_BLOCK, PCAPNG_OPTION } from "./pcapng.ts";

const BLOCK_OCTETS_MIN = 12;
/** A frame of 64 KiB with its head and options; more is no capture of a switch. */
const BLOCK_OCTETS_MAX = 1 << 20;
const CAPTURED_AT = 20;
const DATA_AT = 28;
const STATISTICS_OPTIONS_AT = 20;

/** Cuts a stream; holds at most one unfinished block. */
export class PcapngBlocks {
  #rest: Uint8Array = new Uint8Array(0);

  /**
   * @returns the blocks that are now whole.
   * @throws V2Error BAD_CAPTURE: this is no such stream.
   */
  push(octets: Uint8Array): readonly Uint8Array[] {
    const all = new Uint8Array(this.#rest.length + octets.length);
    all.set(this.#rest);
    all.set(octets, this.#rest.length);
    const fields = new DataView(all.buffer);
    const blocks: Uint8Array[] = [];
    let at = 0;
    while (at + BLOCK_OCTETS_MIN <= all.length) {
      const length = fields.getUint32(at + 4, true);
      if (length < BLOCK_OCTETS_MIN || length > BLOCK_OCTETS_MAX || length % 4 !== 0) {
        throw new V2Error("BAD_CAPTURE", `a pcapng block of ${length} octets`);
      }
      if (at + length > all.length) break;
      blocks.push(all.subarray(at, at + length));
      at += length;
    }
    this.#rest = all.subarray(at);
    return blocks;
  }
}

function fieldsOf(block: Uint8Array): DataView {
  return new DataView(block.buffer, block.byteOffset, block.byteLength);
}

/** The octets of the frame in a block; undefined: it holds none. */
export function blockFrame(block: Uint8Array): Uint8Array | undefined {
  const fields = fieldsOf(block);
  if (fields.getUint32(0, true) !== PCAPNG_BLOCK.enhancedPacket) return undefined;
  if (block.length < DATA_AT) return undefined;
  return block.subarray(DATA_AT, DATA_AT + fields.getUint32(CAPTURED_AT, true));
}

/** What a statistics block says was dropped; undefined: it is none, or does not say. */
export function blockDropped(block: Uint8Array): number | undefined {
  const fields = fieldsOf(block);
  if (fields.getUint32(0, true) !== PCAPNG_BLOCK.statistics) return undefined;
  for (let at = STATISTICS_OPTIONS_AT; at + 4 <= block.length - 4; ) {
    const code = fields.getUint16(at, true);
    const length = fields.getUint16(at + 2, true);
    if (code === PCAPNG_OPTION.end) return undefined;
    const isHere = code === PCAPNG_OPTION.statisticsDropped && length === 8;
    if (isHere && at + 12 <= block.length) return Number(fields.getBigUint64(at + 4, true));
    at += 4 + ((length + 3) & ~3);
  }
  return undefined;
}
