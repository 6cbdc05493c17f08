/**
 * A TCP segment on its way in, read in place into one object that is used again and again: RFC 9293
 * §3.1, RFC 7323 §2 and §3, RFC 2018 §3. Nothing is allocated.
 */
import { readU16, readU32 } from "../../base/index.ts";
import { SACK_BLOCKS_MAX, TCP_AT, TCP_HEADER_OCTETS_MIN } from "../../wire/index.ts";
import type { Packet } from "../packet.ts";

const OPTION = {
  end: 0,
  none: 1,
  maximumSegment: 2,
  windowScale: 3,
  selectivePermitted: 4,
  selective: 5,
  timestamps: 8,
} as const;

/** RFC 7323 §2.3. */
const WINDOW_SCALE_MAX = 14;

export class TcpSegment {
  sourcePort = 0;
  targetPort = 0;
  /** Signed (sequence.ts), as `acknowledgment`. */
  sequence = 0;
  acknowledgment = 0;
  /** TCP_FLAG bits. */
  flags = 0;
  /** Before scaling. */
  window = 0;
  urgentPointer = 0;
  /** First octet of the data in the arena. */
  dataAt = 0;
  /** Octets of data. */
  length = 0;
  /** Octets of data of each of the segments that this one was made of. */
  segmentOctets = 0;
  /** 0: the option is not there; so with the others. */
  maximumSegment = 0;
  /** -1: the option is not there. */
  windowScale = -1;
  isSackPermitted = false;
  hasTimestamps = false;
  timestamp = 0;
  timestampEcho = 0;
  sackCount = 0;
  readonly sackLeft = new Int32Array(SACK_BLOCKS_MAX);
  readonly sackRight = new Int32Array(SACK_BLOCKS_MAX);
  /** Congestion experienced (RFC 3168), from the IP header. */
  isCongested = false;

  /** Data and the flags that take a sequence number (RFC 9293 §3.4). */
  get sequenceLength(): number {
    return this.length + (this.flags & 1) + ((this.flags >>> 1) & 1);
  }

  /** @returns false: the header is longer than the segment, or shorter than a header. */
  read(octets: Uint8Array, packet: Packet): boolean {
    const at = packet.transportAt;
    const total = packet.end - at;
    if (total < TCP_HEADER_OCTETS_MIN) return false;
    const header = (octets[at + TCP_AT.headerLength]! >>> 4) * 4;
    if (header < TCP_HEADER_OCTETS_MIN || header > total) return false;
    this.sourcePort = readU16(octets, at + TCP_AT.sourcePort);
    this.targetPort = readU16(octets, at + TCP_AT.targetPort);
    this.sequence = readU32(octets, at + TCP_AT.sequence) | 0;
    this.acknowledgment = readU32(octets, at + TCP_AT.acknowledgment) | 0;
    this.flags = octets[at + TCP_AT.flags]!;
    this.window = readU16(octets, at + TCP_AT.window);
    this.urgentPointer = readU16(octets, at + TCP_AT.urgent);
    this.dataAt = at + header;
    this.length = total - header;
    this.segmentOctets = packet.segmentOctets;
    this.isCongested = (packet.trafficClass & 3) === 3;
    this.maximumSegment = 0;
    this.windowScale = -1;
    this.isSackPermitted = false;
    this.hasTimestamps = false;
    this.sackCount = 0;
    if (header > TCP_HEADER_OCTETS_MIN) this.#options(octets, at + TCP_AT.options, at + header);
    return true;
  }

  /** Reads up to the first nonsense: what comes before counts (RFC 9293 §3.1). */
  #options(octets: Uint8Array, from: number, end: number): void {
    // By far the most frequent: nop, nop, timestamps.
    if (end - from === 12 && readU32(octets, from) === 0x0101_080a) {
      this.#timestamps(octets, from + 2);
      return;
    }
    for (let at = from; at < end; ) {
      const kind = octets[at]!;
      if (kind === OPTION.end) return;
      if (kind === OPTION.none) {
        at++;
        continue;
      }
      const length = at + 1 < end ? octets[at + 1]! : 0;
      if (length < 2 || at + length > end) return;
      this.#option(octets, kind, at, length);
      at += length;
    }
  }

  #option(octets: Uint8Array, kind: number, at: number, length: number): void {
    switch (kind) {
      case OPTION.maximumSegment:
        if (length === 4) this.maximumSegment = readU16(octets, at + 2);
        break;
      case OPTION.windowScale:
        if (length === 3) this.windowScale = Math.min(octets[at + 2]!, WINDOW_SCALE_MAX);
        break;
      case OPTION.selectivePermitted:
        if (length === 2) this.isSackPermitted = true;
        break;
      case OPTION.selective:
        if (length % 8 === 2) this.#sack(octets, at + 2, (length - 2) >>> 3);
        break;
      case OPTION.timestamps:
        if (length === 10) this.#timestamps(octets, at);
        break;
      default:
        break;
    }
  }

  #timestamps(octets: Uint8Array, at: number): void {
    this.hasTimestamps = true;
    this.timestamp = readU32(octets, at + 2) | 0;
    this.timestampEcho = readU32(octets, at + 6) | 0;
  }

  #sack(octets: Uint8Array, at: number, count: number): void {
    this.sackCount = Math.min(count, SACK_BLOCKS_MAX);
    for (let i = 0; i < this.sackCount; i++) {
      this.sackLeft[i] = readU32(octets, at + 8 * i);
      this.sackRight[i] = readU32(octets, at + 8 * i + 4);
    }
  }
}
