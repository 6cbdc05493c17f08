/**
 * Writing captures as pcapng (draft-ietf-opsawg-pcapng §3–4), which Wireshark and tcpdump read: one
 * section, interfaces with names, times in nanoseconds, direction and comments per frame.
 * Everything is written little-endian; the reader (pcapng-reader.ts) takes both orders.
 */
import { V2Error } from "../base/index.ts";

export const PCAPNG_BLOCK = {
  section: 0x0a0d0d0a,
  interface: 1,
  simplePacket: 3,
  statistics: 5,
  enhancedPacket: 6,
} as const;

export const PCAPNG_BYTE_ORDER = 0x1a2b3c4d;

/** Option codes, per block; comment is the same in all. */
export const PCAPNG_OPTION = {
  end: 0,
  comment: 1,
  sectionSystem: 3,
  sectionApplication: 4,
  interfaceName: 2,
  interfaceDescription: 3,
  interfaceTimeResolution: 9,
  interfaceTimeOffset: 14,
  packetFlags: 2,
  packetDropCount: 4,
  statisticsReceived: 4,
  statisticsDropped: 5,
} as const;

/** LINKTYPE_ETHERNET of the tcpdump.org registry. */
export const LINK_TYPE_ETHERNET = 1;

/** Unit of the times written: 10⁻⁹ s. */
const NANOSECONDS = 9;

/** Longest option value: its length field has 16 bits; longer text is cut. */
const OPTION_OCTETS_MAX = 0xffff;

export type CaptureDirection = "inbound" | "outbound";

export const PCAPNG_DIRECTION: { readonly [name in CaptureDirection]: number } = {
  inbound: 1,
  outbound: 2,
};

export interface CapturedFrame {
  /** As `addInterface` gave it. */
  readonly interfaceId: number;
  /** Nanoseconds since 1970-01-01 UTC. */
  readonly timeNs: bigint;
  /** What was captured; not kept after the call. */
  readonly octets: Uint8Array;
  /** Length on the wire when it was longer than `octets`. */
  readonly originalOctets?: number;
  readonly direction?: CaptureDirection;
  readonly comment?: string;
}

export interface InterfaceStatistics {
  readonly interfaceId: number;
  readonly timeNs: bigint;
  /** Frames that came by. */
  readonly received: bigint;
  /** Frames of them that are not in the capture. */
  readonly dropped: bigint;
}

export interface PcapngWriterOptions {
  /** Name of the program, shown by readers. */
  readonly application?: string;
  /** Longer frames are cut; 0: never. */
  readonly snapOctets?: number;
}

/**
 * Writes blocks into `sink`, one call per block: the octets are the writer's own and valid only
 * until `sink` returns. A file is whole after every block, nothing has to be closed.
 *
 *     const writer = new PcapngWriter((block) => file.push(block.slice()));
 *     const lan = writer.addInterface({ name: "lan/1" });
 *     writer.writeFrame({ interfaceId: lan, timeNs: clock.wallNs(), octets: frame });
 */
export class PcapngWriter {
  readonly #sink: (block: Uint8Array) => void;
  readonly #snapOctets: number;
  readonly #text = new TextEncoder();
  #interfaceCount = 0;
  #octets = new Uint8Array(4096);
  #fields = new DataView(this.#octets.buffer);
  #at = 0;

  /** Writes the section header at once. */
  constructor(sink: (block: Uint8Array) => void, options: PcapngWriterOptions = {}) {
    this.#sink = sink;
    this.#snapOctets = options.snapOctets ?? 0;
    this.#open(PCAPNG_BLOCK.section);
    this.#u32(PCAPNG_BYTE_ORDER);
    this.#u16(1);
    this.#u16(0);
    this.#u64(0xffff_ffff_ffff_ffffn); // Length of the section: not known while it grows.
    if (options.application !== undefined) {
      this.#textOption(PCAPNG_OPTION.sectionApplication, options.application);
      this.#endOptions();
    }
    this.#close();
  }

  /** Describes an interface; frames name it by the number returned (0, 1, …). */
  addInterface(description: {
    readonly name: string;
    readonly description?: string;
    /** tcpdump.org registry; Ethernet when not said. */
    readonly linkType?: number;
  }): number {
    this.#open(PCAPNG_BLOCK.interface);
    this.#u16(description.linkType ?? LINK_TYPE_ETHERNET);
    this.#u16(0);
    this.#u32(this.#snapOctets);
    this.#textOption(PCAPNG_OPTION.interfaceName, description.name);
    if (description.description !== undefined) {
      this.#textOption(PCAPNG_OPTION.interfaceDescription, description.description);
    }
    this.#option(PCAPNG_OPTION.interfaceTimeResolution, Uint8Array.of(NANOSECONDS));
    this.#endOptions();
    this.#close();
    return this.#interfaceCount++;
  }

  /** Throws V2Error NO_INTERFACE for a number `addInterface` did not give. */
  writeFrame(frame: CapturedFrame): void {
    this.#requireInterface(frame.interfaceId);
    const isCut = this.#snapOctets > 0 && frame.octets.length > this.#snapOctets;
    const captured = isCut ? frame.octets.subarray(0, this.#snapOctets) : frame.octets;
    this.#open(PCAPNG_BLOCK.enhancedPacket);
    this.#u32(frame.interfaceId);
    this.#time(frame.timeNs);
    this.#u32(captured.length);
    this.#u32(Math.max(frame.originalOctets ?? 0, frame.octets.length));
    this.#padded(captured);
    if (frame.comment !== undefined) this.#textOption(PCAPNG_OPTION.comment, frame.comment);
    if (frame.direction !== undefined) {
      this.#optionHead(PCAPNG_OPTION.packetFlags, 4);
      this.#u32(PCAPNG_DIRECTION[frame.direction]);
    }
    if (frame.comment !== undefined || frame.direction !== undefined) this.#endOptions();
    this.#close();
  }

  /** Usually once per interface, at the end. Throws V2Error NO_INTERFACE as `writeFrame`. */
  writeStatistics(statistics: InterfaceStatistics): void {
    this.#requireInterface(statistics.interfaceId);
    this.#open(PCAPNG_BLOCK.statistics);
    this.#u32(statistics.interfaceId);
    this.#time(statistics.timeNs);
    this.#optionHead(PCAPNG_OPTION.statisticsReceived, 8);
    this.#u64(statistics.received);
    this.#optionHead(PCAPNG_OPTION.statisticsDropped, 8);
    this.#u64(statistics.dropped);
    this.#endOptions();
    this.#close();
  }

  #requireInterface(id: number): void {
    if (Number.isInteger(id) && id >= 0 && id < this.#interfaceCount) return;
    throw new V2Error("NO_INTERFACE", `the capture has no interface ${id}`, {
      remedy: "Call addInterface first and use the number it returns.",
    });
  }

  #open(type: number): void {
    this.#at = 0;
    this.#u32(type);
    this.#u32(0); // Total length, filled in by #close.
  }

  #close(): void {
    const totalOctets = this.#at + 4;
    this.#u32(totalOctets);
    this.#fields.setUint32(4, totalOctets, true);
    this.#sink(this.#octets.subarray(0, totalOctets));
  }

  #textOption(code: number, text: string): void {
    this.#option(code, this.#text.encode(text).subarray(0, OPTION_OCTETS_MAX));
  }

  #option(code: number, value: Uint8Array): void {
    this.#optionHead(code, value.length);
    this.#padded(value);
  }

  #optionHead(code: number, lengthOctets: number): void {
    this.#u16(code);
    this.#u16(lengthOctets);
  }

  #endOptions(): void {
    this.#optionHead(PCAPNG_OPTION.end, 0);
  }

  /** Two halves, the higher first, whatever the byte order (§4.3). */
  #time(timeNs: bigint): void {
    this.#u32(Number((timeNs >> 32n) & 0xffff_ffffn));
    this.#u32(Number(timeNs & 0xffff_ffffn));
  }

  #u16(value: number): void {
    this.#reserve(2);
    this.#fields.setUint16(this.#at, value, true);
    this.#at += 2;
  }

  #u32(value: number): void {
    this.#reserve(4);
    this.#fields.setUint32(this.#at, value, true);
    this.#at += 4;
  }

  #u64(value: bigint): void {
    this.#reserve(8);
    this.#fields.setBigUint64(this.#at, value, true);
    this.#at += 8;
  }

  #padded(value: Uint8Array): void {
    const paddedOctets = (value.length + 3) & ~3;
    this.#reserve(paddedOctets);
    this.#octets.set(value, this.#at);
    this.#octets.fill(0, this.#at + value.length, this.#at + paddedOctets);
    this.#at += paddedOctets;
  }

  #reserve(octets: number): void {
    if (this.#at + octets <= this.#octets.length) return;
    const grown = new Uint8Array(2 * (this.#at + octets));
    grown.set(this.#octets);
    this.#octets = grown;
    this.#fields = new DataView(grown.buffer);
  }
}
