/**
 * Headers of segments that are sent: ports, numbers, window, options. RFC 9293 §3.1 and §3.8.6,
 * RFC 7323, RFC 2018, RFC 2883, RFC 3168.
 */
import { writeU16, writeU32 } from "../../base/index.ts";
import { SACK_BLOCKS_MAX, TCP_AT, TCP_FLAG, TCP_HEADER_OCTETS_MIN } from "../../wire/index.ts";
import type { StackCore } from "../core.ts";
import type { TcpConnection } from "./connection.ts";
import { after, before, later } from "./sequence.ts";

const TIMESTAMPS_OCTETS = 12;
const WINDOW_MAX = 65_535;
/** A peer that asks for less makes us send headers only (CVE-2019-11479). */
const SEGMENT_MIN = 48;

/** Writes headers for all connections of a stack. */
export class TcpHeader {
  readonly #core: StackCore;
  readonly #left = new Int32Array(SACK_BLOCKS_MAX);
  readonly #right = new Int32Array(SACK_BLOCKS_MAX);

  constructor(core: StackCore) {
    this.#core = core;
  }

  /** Writes header and options. @returns their octets. */
  write(
    connection: TcpConnection,
    octets: Uint8Array,
    at: number,
    sequence: number,
    flags: number,
  ): number {
    writeU16(octets, at + TCP_AT.sourcePort, connection.localPort);
    writeU16(octets, at + TCP_AT.targetPort, connection.remotePort);
    writeU32(octets, at + TCP_AT.sequence, sequence);
    const hasAck = (flags & TCP_FLAG.ack) !== 0;
    writeU32(octets, at + TCP_AT.acknowledgment, hasAck ? connection.receiveNext : 0);
    const isSyn = (flags & TCP_FLAG.syn) !== 0;
    const window = isSyn ? this.#synWindow(connection) : this.#announce(connection);
    writeU16(octets, at + TCP_AT.window, window);
    writeU16(octets, at + TCP_AT.checksum, 0);
    let bits = flags | this.#ecnFlags(connection, flags);
    let urgent = 0;
    if (connection.isUrgent && after(connection.urgentEnd, sequence)) {
      bits |= TCP_FLAG.urg;
      urgent = Math.min((connection.urgentEnd - sequence) | 0, 0xffff);
    }
    writeU16(octets, at + TCP_AT.urgent, urgent);
    octets[at + TCP_AT.flags] = bits;
    const end = isSyn
      ? this.#synOptions(connection, octets, at + TCP_HEADER_OCTETS_MIN, hasAck)
      : this.#dataOptions(connection, octets, at + TCP_HEADER_OCTETS_MIN, flags);
    const header = end - at;
    octets[at + TCP_AT.headerLength] = (header >>> 2) << 4;
    return header;
  }

  /** RFC 3168 §6.1. */
  #ecnFlags(connection: TcpConnection, flags: number): number {
    if ((flags & TCP_FLAG.syn) !== 0) {
      return connection.hasEcn && (flags & TCP_FLAG.ack) !== 0 ? TCP_FLAG.ece : 0;
    }
    if (!connection.hasEcn) return 0;
    let bits = connection.isEcnEcho ? TCP_FLAG.ece : 0;
    if (connection.isWindowReducedToSay && (flags & TCP_FLAG.rst) === 0) {
      bits |= TCP_FLAG.cwr;
      connection.isWindowReducedToSay = false;
    }
    return bits;
  }

  /** RFC 7323 §2.2: the window of a SYN is not scaled. */
  #synWindow(connection: TcpConnection): number {
    const window = Math.min(WINDOW_MAX, connection.receiveOctets);
    connection.announced = (connection.receiveNext + window) | 0;
    return window;
  }

  /**
   * The window to announce. Its right edge never goes back, and moves only in steps worth a segment
   * (RFC 9293 §3.8.6.2.2).
   */
  #announce(connection: TcpConnection): number {
    const { queue, receiveNext, receiveScale } = connection;
    const free = Math.max(0, connection.receiveOctets - queue.readable);
    const right = (receiveNext + free) | 0;
    const step = Math.min(connection.receiveOctets / 2, connection.segment);
    const gained = (right - connection.announced) | 0;
    const edge =
      gained >= step || gained < 0 ? later(right, connection.announced) : connection.announced;
    const most = WINDOW_MAX << receiveScale;
    const window = Math.max(0, Math.min((edge - receiveNext) | 0, most)) >> receiveScale;
    connection.announced = later(
      connection.announced,
      (receiveNext + (window << receiveScale)) | 0,
    );
    return window;
  }

  #synOptions(
    connection: TcpConnection,
    octets: Uint8Array,
    at: number,
    isAnswer: boolean,
  ): number {
    writeU16(octets, at, 0x0204);
    writeU16(octets, at + 2, this.ownSegment(connection));
    let to = at + 4;
    // What the peer did not offer is not answered (RFC 7323 §2.2, §3.2; RFC 2018 §2).
    const hasSack = !isAnswer || connection.hasSack;
    if (!isAnswer || connection.hasTimestamps) {
      writeU16(octets, to, hasSack ? 0x0402 : 0x0101);
      writeU16(octets, to + 2, 0x080a);
      writeU32(octets, to + 4, this.timestamp(connection));
      writeU32(octets, to + 8, isAnswer ? connection.timestampRecent : 0);
      to += 12;
    } else if (hasSack) {
      writeU32(octets, to, 0x0101_0402);
      to += 4;
    }
    if (!isAnswer || connection.hasScale) {
      writeU32(octets, to, 0x0103_0300 | connection.receiveScale);
      to += 4;
    }
    return to;
  }

  #dataOptions(connection: TcpConnection, octets: Uint8Array, at: number, flags: number): number {
    let to = at;
    if (connection.hasTimestamps) {
      writeU32(octets, to, 0x0101_080a);
      writeU32(octets, to + 4, this.timestamp(connection));
      writeU32(octets, to + 8, connection.timestampRecent);
      to += TIMESTAMPS_OCTETS;
    }
    if (connection.hasSack && (flags & TCP_FLAG.rst) === 0) to = this.#sack(connection, octets, to);
    return to;
  }

  /** RFC 2018 §4, RFC 2883 §4: duplicates first, then the latest ranges. */
  #sack(connection: TcpConnection, octets: Uint8Array, at: number): number {
    const { queue } = connection;
    const hasDuplicate = before(connection.duplicateLeft, connection.duplicateRight);
    if (queue.rangeCount === 0 && !hasDuplicate) return at;
    const most = connection.hasTimestamps ? 3 : SACK_BLOCKS_MAX;
    let count = 0;
    if (hasDuplicate) {
      this.#left[0] = connection.duplicateLeft;
      this.#right[0] = connection.duplicateRight;
      count = 1;
      connection.duplicateLeft = connection.duplicateRight;
    }
    count += queue.selective(this.#left, this.#right, count, most);
    if (count === 0) return at;
    writeU16(octets, at, 0x0101);
    octets[at + 2] = 5;
    octets[at + 3] = 2 + 8 * count;
    for (let i = 0; i < count; i++) {
      writeU32(octets, at + 4 + 8 * i, this.#left[i]!);
      writeU32(octets, at + 8 + 8 * i, this.#right[i]!);
    }
    return at + 4 + 8 * count;
  }

  /** The clock of timestamps: milliseconds from a secret start (RFC 7323 §5.4, §7.1). */
  timestamp(connection: TcpConnection): number {
    return (Math.floor(this.#core.nowMs) + connection.timestampOffset) | 0;
  }

  /** The longest segment that we take: RFC 9293 §3.7.1. */
  ownSegment(connection: TcpConnection): number {
    const { way, options } = connection;
    const headers = (way.isIpv4 ? 20 : 40) + TCP_HEADER_OCTETS_MIN;
    const most = way.interface.mtuOctets - headers;
    return Math.min(
      0xffff,
      options.maximumSegment > 0 ? Math.min(options.maximumSegment, most) : most,
    );
  }

  /** Sets the data octets of a full segment, from the path and what the peer takes. */
  fitPath(connection: TcpConnection): void {
    const { way, options } = connection;
    const headers = (way.isIpv4 ? 20 : 40) + TCP_HEADER_OCTETS_MIN;
    let most = Math.min(way.mtuOctets - headers, connection.peerSegment);
    if (options.maximumSegment > 0) most = Math.min(most, options.maximumSegment);
    const data = Math.max(SEGMENT_MIN, most) - (connection.hasTimestamps ? TIMESTAMPS_OCTETS : 0);
    connection.segment = data;
    connection.board.segmentOctets = data;
  }
}
