/**
 * Datagrams that wait to be read, in the arena: a record of fixed length, then the octets. Nothing
 * is allocated when one comes.
 */
import { writeU16, writeU32, readU16, readU32 } from "../base/index.ts";
import { IpAddress } from "./address.ts";
import type { Arena } from "./arena.ts";
import { BlockQueue } from "./blocks.ts";
import type { Packet } from "./packet.ts";

const AT = {
  length: 0,
  port: 4,
  interface: 6,
  hopLimit: 8,
  trafficClass: 9,
  source: 12,
  target: 28,
  timeMs: 44,
} as const;
const RECORD_OCTETS = 52;

/** What is known about a datagram besides its octets. */
export interface DatagramInfo {
  /** Octets it had, also if fewer were asked for. */
  readonly length: number;
  readonly source: IpAddress;
  readonly sourcePort: number;
  readonly target: IpAddress;
  readonly interfaceIndex: number;
  readonly hopLimit: number;
  readonly trafficClass: number;
  /** When it came, on the stack's clock. */
  readonly timeMs: number;
}

/** First in, first out, with a limit of octets. */
export class DatagramQueue {
  /** Datagrams that wait. */
  count = 0;
  /** Datagrams that did not fit. */
  dropped = 0;
  /** Octets, records included, that may wait. */
  limitOctets: number;
  #octets = 0;
  readonly #blocks: BlockQueue;
  readonly #record = new Uint8Array(RECORD_OCTETS);
  readonly #view = new DataView(this.#record.buffer);

  constructor(arena: Arena, limitOctets: number) {
    this.#blocks = new BlockQueue(arena);
    this.limitOctets = limitOctets;
  }

  /** Length of the first one; 0: none. */
  get nextLength(): number {
    if (this.count === 0) return 0;
    this.#blocks.get(0, RECORD_OCTETS, this.#record, 0);
    return readU32(this.#record, AT.length);
  }

  /** Takes `arena[at … at + length)` that came with a packet. @returns false: there is no room. */
  push(packet: Packet, sourcePort: number, at: number, length: number, nowMs: number): boolean {
    const total = RECORD_OCTETS + length;
    if (this.#octets + total > this.limitOctets) {
      this.dropped++;
      return false;
    }
    const record = this.#record;
    writeU32(record, AT.length, length);
    writeU16(record, AT.port, sourcePort);
    writeU16(record, AT.interface, packet.interface.index);
    record[AT.hopLimit] = packet.hopLimit;
    record[AT.trafficClass] = packet.trafficClass;
    writeU32(record, AT.source, packet.s0);
    writeU32(record, AT.source + 4, packet.s1);
    writeU32(record, AT.source + 8, packet.s2);
    writeU32(record, AT.source + 12, packet.s3);
    writeU32(record, AT.target, packet.t0);
    writeU32(record, AT.target + 4, packet.t1);
    writeU32(record, AT.target + 8, packet.t2);
    writeU32(record, AT.target + 12, packet.t3);
    this.#view.setFloat64(AT.timeMs, nowMs);
    const isPut =
      this.#blocks.put(this.#octets, record, 0, RECORD_OCTETS) === RECORD_OCTETS &&
      this.#blocks.putArena(this.#octets + RECORD_OCTETS, at, at + length) === length;
    if (!isPut) {
      this.dropped++;
      return false;
    }
    this.#octets += total;
    this.count++;
    return true;
  }

  /**
   * Copies the first datagram to `into[from … to)`, what is longer is cut off, and takes it out.
   * @returns undefined: none waits.
   */
  shift(into: Uint8Array, from: number, to: number, isPeek: boolean): DatagramInfo | undefined {
    if (this.count === 0) return undefined;
    const record = this.#record;
    this.#blocks.get(0, RECORD_OCTETS, record, 0);
    const length = readU32(record, AT.length);
    this.#blocks.get(RECORD_OCTETS, Math.min(length, to - from), into, from);
    if (!isPeek) {
      this.count--;
      this.#octets -= RECORD_OCTETS + length;
      if (this.count === 0) this.#blocks.clear();
      else this.#blocks.drop(RECORD_OCTETS + length);
    }
    return {
      length,
      source: IpAddress.read(record, AT.source, 16),
      sourcePort: readU16(record, AT.port),
      target: IpAddress.read(record, AT.target, 16),
      interfaceIndex: readU16(record, AT.interface),
      hopLimit: record[AT.hopLimit]!,
      trafficClass: record[AT.trafficClass]!,
      timeMs: this.#view.getFloat64(AT.timeMs),
    };
  }

  clear(): void {
    this.#blocks.clear();
    this.count = 0;
    this.#octets = 0;
  }
}
