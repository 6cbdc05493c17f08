/**
 * Sending segments: RFC 9293 §3.7 and §3.8, RFC 7323, RFC 2018. Data leaves the send queue straight
 * into frames; on links that take super-segments in pieces of up to 64 KiB, else segment by
 * segment, copied and summed in one go.
 */
import { OFFLOAD, writeU16, writeU32 } from "../../base/index.ts";
import {
  checksumOf,
  foldSum,
  IP_PROTOCOL,
  TCP_AT,
  TCP_FLAG,
  TCP_HEADER_OCTETS_MIN,
} from "../../wire/index.ts";
import type { StackCore } from "../core.ts";
import {
  type Destination,
  type IpSender,
  type SendOptions,
  USUAL_OPTIONS,
} from "../destination.ts";
import { DUE, RECOVERY, STATE, type TcpConnection } from "./connection.ts";
import { TcpHeader } from "./header.ts";
import { after } from "./sequence.ts";
import type { TcpTimers } from "./timers.ts";

/** Octets of one super-segment with its headers at most. */
const SUPER_OCTETS_MAX = 65_535;
/** RFC 3168: ECT(0). */
const ECN_CAPABLE = 2;
/** What is sent in one go at most, so that others get their turn. */
const ROUND_OCTETS = 1 << 20;

/** Sends for all connections of a stack. */
export class TcpOutput {
  segmentsOut = 0;
  retransmitted = 0;
  readonly header: TcpHeader;
  readonly #core: StackCore;
  readonly #ip: IpSender;
  readonly #timers: TcpTimers;
  /** A connection could not send, because its link takes no more. */
  onBlocked: ((connection: TcpConnection) => void) | undefined;
  readonly #options: { -readonly [name in keyof SendOptions]: SendOptions[name] } = {
    ...USUAL_OPTIONS,
    dontFragment: true,
  };

  constructor(core: StackCore, ip: IpSender, timers: TcpTimers) {
    this.#core = core;
    this.header = new TcpHeader(core);
    this.#ip = ip;
    this.#timers = timers;
  }

  /** Sends whatever a connection may send now: lost data, new data, FIN, or an acknowledgment. */
  run(connection: TcpConnection): void {
    const { state } = connection;
    if (state >= STATE.established && state !== STATE.timeWait && state !== STATE.finWait2) {
      this.#data(connection);
    }
    if (connection.isAckNow && state >= STATE.synReceived) this.acknowledge(connection);
  }

  /** A segment without data that says what was received. */
  acknowledge(connection: TcpConnection): void {
    this.#emit(connection, connection.next, 0, TCP_FLAG.ack, false);
  }

  /** SYN or SYN-ACK, for the first time or again (RFC 9293 §3.5). */
  synchronize(connection: TcpConnection): void {
    const isAnswer = connection.state === STATE.synReceived;
    const flags = isAnswer ? TCP_FLAG.syn | TCP_FLAG.ack : TCP_FLAG.syn;
    this.#emit(connection, connection.iss, 0, flags, false);
  }

  /**
   * Asks whether the peer is there: a number that it has already acknowledged (RFC 9293 §3.8.4).
   */
  probe(connection: TcpConnection): void {
    this.#emit(connection, (connection.una - 1) | 0, 0, TCP_FLAG.ack, false);
  }

  /** A reset of a connection that is known (RFC 9293 §3.10.7.4). */
  reset(connection: TcpConnection): void {
    const isSynchronized = connection.state >= STATE.synReceived;
    const flags = isSynchronized ? TCP_FLAG.rst | TCP_FLAG.ack : TCP_FLAG.rst;
    this.#emit(connection, connection.next, 0, flags, false);
  }

  /** Sends `length` octets from `sequence` on again. @returns false: the link takes no more. */
  again(connection: TcpConnection, sequence: number, length: number): boolean {
    this.retransmitted++;
    connection.retransmissions++;
    return this.#chunk(connection, sequence, length, false);
  }

  /** A segment that belongs to no connection: a reset, or an answer of a cookie. */
  bare(
    way: Destination,
    ports: { readonly from: number; readonly to: number },
    fields: {
      readonly sequence: number;
      readonly acknowledgment: number;
      readonly flags: number;
      readonly window: number;
      /** Whole words, or nothing. */
      readonly options?: Uint8Array;
    },
  ): void {
    const slot = this.#ip.takeSlot();
    if (slot < 0) return;
    const { pool } = this.#core;
    const { octets } = pool;
    const at = pool.start[slot]!;
    const header = TCP_HEADER_OCTETS_MIN + (fields.options?.length ?? 0);
    writeU16(octets, at + TCP_AT.sourcePort, ports.from);
    writeU16(octets, at + TCP_AT.targetPort, ports.to);
    writeU32(octets, at + TCP_AT.sequence, fields.sequence);
    writeU32(octets, at + TCP_AT.acknowledgment, fields.acknowledgment);
    octets[at + TCP_AT.headerLength] = (header / 4) << 4;
    octets[at + TCP_AT.flags] = fields.flags;
    writeU16(octets, at + TCP_AT.window, fields.window);
    writeU32(octets, at + TCP_AT.checksum, 0);
    if (fields.options !== undefined) octets.set(fields.options, at + TCP_HEADER_OCTETS_MIN);
    pool.length[slot] = header;
    const pseudo = way.addressSum + IP_PROTOCOL.tcp + header;
    const sum = this.#core.arena.sum(at, at + header, pseudo);
    writeU16(octets, at + TCP_AT.checksum, checksumOf(sum));
    this.segmentsOut++;
    const options = this.#options;
    options.hopLimit = 64;
    options.trafficClass = 0;
    options.flowLabel = this.#ip.flowLabel(way, ports.from, ports.to);
    this.#ip.send(slot, way, IP_PROTOCOL.tcp, options);
  }

  /** Lost data first, then new data as far as both windows allow. */
  #data(connection: TcpConnection): void {
    let budget = this.#budget(connection);
    let round = ROUND_OCTETS;
    while (round > 0) {
      if (connection.isBlocked) return;
      const { board } = connection;
      const start = board.nextLost();
      if (board.found) {
        const length = (board.lostEnd - start) | 0;
        const part = this.#lostPart(connection, length, budget);
        if (part === 0 || !this.#lost(connection, start, part)) return;
        budget -= part;
        round -= part;
        connection.prrOut += part;
        continue;
      }
      const length = this.#fresh(connection, budget);
      if (length < 0) break;
      if (!this.#new(connection, length)) return;
      budget -= length;
      round -= length;
      if (connection.recovery === RECOVERY.fast) connection.prrOut += length;
      if (length === 0) break;
    }
    if (round <= 0) this.onBlocked?.(connection);
  }

  /** Octets that congestion control lets out now. */
  #budget(connection: TcpConnection): number {
    if (connection.recovery === RECOVERY.fast) return connection.prrBudget;
    const budget = connection.congestion.window - connection.board.pipe;
    // RFC 3042: each of the first two duplicates lets one new segment out. With SACK the pipe says
    // so.
    if (connection.hasSack || connection.recovery !== RECOVERY.none) return budget;
    return budget + Math.min(2, connection.duplicateAcks) * connection.segment;
  }

  /**
   * How much of lost data is sent again: whole segments, one at least where nothing is under way.
   */
  #lostPart(connection: TcpConnection, length: number, budget: number): number {
    const { segment, board } = connection;
    if (budget < Math.min(segment, length)) {
      return board.pipe <= 0 ? Math.min(segment, length) : 0;
    }
    const whole = budget >= segment ? budget - (budget % segment) : budget;
    return Math.min(length, whole, this.#chunkMax(connection));
  }

  #lost(connection: TcpConnection, start: number, length: number): boolean {
    const hasFin = connection.isFinSent && after((start + length) | 0, connection.finSequence);
    if (!this.again(connection, start, hasFin ? length - 1 : length)) return false;
    connection.board.sentAgain(start, (start + length) | 0, this.#core.nowMs);
    connection.prrBudget -= length;
    this.#timers.armRetransmit(connection);
    return true;
  }

  /**
   * Octets of new data to be sent now (RFC 9293 §3.7.4 Nagle, §3.8.6.2.1 silly windows).
   * @returns -1: nothing; 0: a FIN alone.
   */
  #fresh(connection: TcpConnection, budget: number): number {
    const { unsent, segment, options } = connection;
    const isEnd = connection.isEnding && !connection.isFinSent;
    if (unsent === 0) return isEnd && this.#mayEnd(connection) ? 0 : -1;
    const windowLeft = (connection.una + connection.window - connection.next) | 0;
    connection.isWindowLimited = budget < Math.min(unsent, segment);
    const allowed = Math.min(unsent, windowLeft, budget, this.#chunkMax(connection));
    if (allowed >= segment) {
      if (allowed === unsent) {
        // The rest that is no whole segment follows if Nagle lets it.
        return this.#mayBeShort(connection) ? allowed : allowed - (allowed % segment);
      }
      return allowed - (allowed % segment);
    }
    if (allowed <= 0) return -1;
    if (allowed === unsent) return this.#mayBeShort(connection) ? allowed : -1;
    // The peer's window is small: worth it when it is half of the largest that it ever offered.
    if (allowed === windowLeft && allowed >= connection.windowMax / 2) return allowed;
    return options.noDelay && allowed === windowLeft && connection.board.isEmpty ? allowed : -1;
  }

  /** Less than a segment may go: nothing is under way, or the user wants it so. */
  #mayBeShort(connection: TcpConnection): boolean {
    const { options } = connection;
    if (connection.isEnding) return true;
    if ((options.cork || connection.isMore) && !connection.isUncorked) return false;
    return options.noDelay || connection.board.isEmpty || connection.isUrgent;
  }

  #mayEnd(connection: TcpConnection): boolean {
    return connection.state === STATE.established || connection.state === STATE.closeWait;
  }

  #new(connection: TcpConnection, length: number): boolean {
    const start = connection.next;
    const isEnd =
      connection.isEnding &&
      !connection.isFinSent &&
      length === connection.unsent &&
      this.#mayEnd(connection);
    if (isEnd) this.#noteEnd(connection, (start + length) | 0);
    // RFC 7661: whoever was silent for longer than the timer's time starts anew.
    const { nowMs } = this.#core;
    if (
      connection.board.isEmpty &&
      nowMs - connection.lastSentMs > connection.roundTrip.timeoutMs
    ) {
      connection.congestion.idle(nowMs);
    }
    if (!this.#chunk(connection, start, length, true)) {
      if (isEnd) this.#unnoteEnd(connection);
      return false;
    }
    const end = (start + length + (isEnd ? 1 : 0)) | 0;
    connection.board.sent(start, end, nowMs);
    connection.next = end;
    connection.isUncorked = false;
    connection.lastSentMs = nowMs;
    this.#timers.sent(connection);
    return true;
  }

  #noteEnd(connection: TcpConnection, sequence: number): void {
    connection.isFinSent = true;
    connection.finSequence = sequence;
    connection.state = connection.state === STATE.established ? STATE.finWait1 : STATE.lastAck;
  }

  #unnoteEnd(connection: TcpConnection): void {
    connection.isFinSent = false;
    connection.state = connection.state === STATE.finWait1 ? STATE.established : STATE.closeWait;
  }

  #chunkMax(connection: TcpConnection): number {
    const { segment, way } = connection;
    const outgoing = way.interface;
    const most = SUPER_OCTETS_MAX - 128;
    const whole = Math.max(segment, most - (most % segment));
    if (outgoing.link.offload) return whole;
    if (outgoing.room * segment < whole) outgoing.flush();
    const frames = Math.min(outgoing.room, this.#core.pool.freeCount);
    return Math.min(whole, Math.max(1, frames) * segment);
  }

  /** Sends octets that were put into the send queue. @returns false: the link takes no more. */
  #chunk(connection: TcpConnection, sequence: number, length: number, isNew: boolean): boolean {
    const isFin = connection.isFinSent && ((sequence + length) | 0) === connection.finSequence;
    const { segment, way } = connection;
    if (length <= segment || way.interface.link.offload) {
      return this.#piece(connection, sequence, length, isFin, isNew && length > segment);
    }
    for (let done = 0; done < length; done += segment) {
      const part = Math.min(segment, length - done);
      const isLast = done + part === length;
      const at = (sequence + done) | 0;
      if (this.#piece(connection, at, part, isFin && isLast, isNew && isLast)) continue;
      // What went is noted by the caller only as a whole; the rest counts as sent and is lost.
      if (done === 0) return false;
      return true;
    }
    return true;
  }

  /**
   * @param isPushed it ends a burst of several: the peer need not wait for more. RFC 9293 §3.9.1.2
   *   leaves it to the sender; Linux does the same.
   */
  #piece(
    connection: TcpConnection,
    sequence: number,
    length: number,
    isFin: boolean,
    isPushed: boolean,
  ): boolean {
    let flags: number = TCP_FLAG.ack;
    const end = (sequence + length) | 0;
    if (isFin) flags |= TCP_FLAG.fin;
    const isAll = end === ((connection.una + connection.sendLength) | 0);
    if (length > 0 && (isPushed || isAll)) flags |= TCP_FLAG.psh;
    return this.#emit(connection, sequence, length, flags, true);
  }

  /** One frame. @returns false: there is no slot, or the link takes no more. */
  #emit(
    connection: TcpConnection,
    sequence: number,
    length: number,
    flags: number,
    isData: boolean,
  ): boolean {
    const { pool } = this.#core;
    const outgoing = connection.way.interface;
    if (outgoing.room === 0) outgoing.flush();
    const slot = outgoing.room === 0 ? -1 : this.#ip.takeSlot();
    if (slot < 0) {
      if (isData) this.#block(connection);
      return false;
    }
    const { octets } = pool;
    const at = pool.start[slot]!;
    const header = this.header.write(connection, octets, at, sequence, flags);
    const dataAt = at + header;
    const total = header + length;
    pool.length[slot] = total;
    const pseudo = connection.way.addressSum + IP_PROTOCOL.tcp + total;
    const offset = (sequence - connection.una) | 0;
    if (outgoing.link.offload) {
      if (length > 0) connection.send.getArena(offset, length, dataAt);
      writeU16(octets, at + TCP_AT.checksum, foldSum(pseudo));
      this.#leaveToLink(connection, slot, at, length);
    } else {
      let sum = this.#core.arena.sum(at, dataAt, pseudo);
      if (length > 0) sum = connection.send.getArenaSum(offset, length, dataAt, sum);
      writeU16(octets, at + TCP_AT.checksum, checksumOf(sum));
    }
    this.#sent(connection);
    const options = this.#options;
    options.hopLimit = connection.options.hopLimit;
    const isEct = connection.hasEcn && length > 0 && isData;
    options.trafficClass = connection.options.trafficClass | (isEct ? ECN_CAPABLE : 0);
    options.flowLabel = connection.flowLabel;
    this.#ip.send(slot, connection.way, IP_PROTOCOL.tcp, options);
    return true;
  }

  #leaveToLink(connection: TcpConnection, slot: number, at: number, length: number): void {
    const { pool } = this.#core;
    const isSuper = length > connection.segment;
    const kind = connection.way.isIpv4 ? OFFLOAD.tcp4 : OFFLOAD.tcp6;
    pool.offload[slot] = isSuper ? kind : OFFLOAD.checksum;
    pool.checksumFrom[slot] = at;
    pool.checksumOffset[slot] = TCP_AT.checksum;
    pool.segmentOctets[slot] = isSuper ? connection.segment : 0;
  }

  /** Every segment acknowledges what was received. */
  #sent(connection: TcpConnection): void {
    this.segmentsOut++;
    connection.isAckNow = false;
    connection.unacknowledged = 0;
    connection.lastAcknowledged = connection.receiveNext;
    connection.due[DUE.acknowledge] = Number.POSITIVE_INFINITY;
  }

  #block(connection: TcpConnection): void {
    connection.isBlocked = true;
    this.onBlocked?.(connection);
  }
}
