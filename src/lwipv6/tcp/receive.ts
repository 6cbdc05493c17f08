/**
 * The data of segments: RFC 9293 §3.10.7.4, sixth to eighth, RFC 6093, RFC 2883, and when it is
 * acknowledged.
 */
import { TCP_FLAG } from "../../wire/index.ts";
import type { StackCore } from "../core.ts";
import type { IpSender } from "../destination.ts";
import { DUE, STATE, type TcpConnection } from "./connection.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { TcpOutput } from "./output.ts";
import type { TcpSegment } from "./segment.ts";
import { after, later, notAfter } from "./sequence.ts";
import { DELAYED_ACK_MS, type TcpTimers } from "./timers.ts";

const { fin, urg } = TCP_FLAG;
/** RFC 9293 §3.4.2 asks for two minutes of MSL; Linux waits a minute in all, and so do we. */
export const TIME_WAIT_MS = 60_000;
/** Segments that are acknowledged at once when a connection is young, or was silent for long. */
export const QUICK_ACKS = 16;
const IDLE_MS = 1000;

/** Takes the data, for all connections of a stack. */
export class TcpReceive {
  readonly #core: StackCore;
  readonly #ip: IpSender;
  readonly #output: TcpOutput;
  readonly #timers: TcpTimers;
  readonly #lifecycle: Lifecycle;

  constructor(
    core: StackCore,
    parts: {
      readonly ip: IpSender;
      readonly output: TcpOutput;
      readonly timers: TcpTimers;
      readonly lifecycle: Lifecycle;
    },
  ) {
    this.#core = core;
    this.#ip = parts.ip;
    this.#output = parts.output;
    this.#timers = parts.timers;
    this.#lifecycle = parts.lifecycle;
  }

  /** Sixth to eighth. @param isSyn the segment was a SYN: its data starts one later. */
  data(connection: TcpConnection, segment: TcpSegment, isSyn: boolean): void {
    const sequence = isSyn ? (segment.sequence + 1) | 0 : segment.sequence;
    const hasFin = (segment.flags & fin) !== 0;
    if (!connection.canReceive) {
      // The peer has ended already: only its FIN may come again.
      if (connection.state === STATE.timeWait && hasFin) {
        this.#timers.set(connection, DUE.end, this.#core.nowMs + TIME_WAIT_MS);
        connection.isAckNow = true;
      }
      return;
    }
    if ((segment.flags & urg) !== 0) this.#urgent(connection, segment, sequence);
    const { queue } = connection;
    if (segment.length > 0) {
      if (connection.isOrphan && connection.state !== STATE.established) {
        // RFC 9293 §3.10.7.4, RFC 2525 §2.17: nobody will ever read it.
        if (after((sequence + segment.length) | 0, connection.receiveNext)) {
          this.#output.reset(connection);
          this.#lifecycle.gone(connection, 0);
          return;
        }
      }
      this.#take(connection, segment, sequence);
    }
    if (!hasFin) return;
    const end = (sequence + segment.length) | 0;
    if (end !== connection.receiveNext || queue.rangeCount > 0) {
      // It is out of order, and comes again when the rest has been sent.
      connection.isAckNow = true;
      return;
    }
    this.#finReceived(connection);
  }

  #take(connection: TcpConnection, segment: TcpSegment, from: number): void {
    const { queue } = connection;
    let at = segment.dataAt;
    let sequence = from;
    let length = segment.length;
    // What does not fit into the window is cut off.
    const beyond = ((sequence + length) | 0) - connection.announced;
    if ((beyond | 0) > 0) length -= beyond | 0;
    const old = (connection.receiveNext - sequence) | 0;
    if (length <= 0 || old >= length) {
      connection.isAckNow = true;
      if (old >= length && connection.hasSack && length > 0) {
        connection.duplicateLeft = from;
        connection.duplicateRight = (from + length) | 0;
      }
      return;
    }
    if (connection.isReadShut && connection.isOrphan) {
      connection.receiveNext = (sequence + length) | 0;
      queue.next = connection.receiveNext;
      connection.announced = later(connection.announced, connection.receiveNext);
      connection.isAckNow = true;
      return;
    }
    if (old > 0) {
      at += old;
      sequence = (sequence + old) | 0;
      length -= old;
    }
    const wasInOrder = sequence === queue.next && queue.rangeCount === 0;
    const moved = queue.insert(sequence, at, length);
    if (queue.duplicateLeft !== queue.duplicateRight && connection.hasSack) {
      connection.duplicateLeft = queue.duplicateLeft;
      connection.duplicateRight = queue.duplicateRight;
    }
    if (moved < 0) {
      this.#core.counters.count("tcp.receive-refused");
      connection.isAckNow = true;
      return;
    }
    connection.receiveNext = queue.next;
    if (moved > 0) {
      connection.isReadyChanged = true;
      this.#ip.confirm(connection.way);
      this.#measureReceived(connection, segment);
    }
    this.#scheduleAck(connection, segment, wasInOrder);
  }

  /** RFC 9293 §3.8.6.3, RFC 5681 §4.2. */
  #scheduleAck(connection: TcpConnection, segment: TcpSegment, wasInOrder: boolean): void {
    if (!wasInOrder) {
      connection.isAckNow = true;
      return;
    }
    const { nowMs } = this.#core;
    if (nowMs - connection.lastReceivedMs > IDLE_MS) connection.quickAcks = QUICK_ACKS;
    connection.unacknowledged += segment.length;
    const isSecond = connection.unacknowledged >= 2 * Math.min(connection.segment, 1460);
    if (isSecond || (connection.quickAcks > 0 && connection.options.quickAck)) {
      if (connection.quickAcks > 0) connection.quickAcks--;
      connection.isAckNow = true;
      return;
    }
    if (connection.due[DUE.acknowledge] === Number.POSITIVE_INFINITY) {
      this.#timers.set(connection, DUE.acknowledge, nowMs + DELAYED_ACK_MS);
    }
  }

  /** The round trip as the receiver sees it, for the window's tuning (RFC 7323 §4.1). */
  #measureReceived(connection: TcpConnection, segment: TcpSegment): void {
    if (!segment.hasTimestamps || segment.timestampEcho === 0) return;
    const rtt = (this.#output.header.timestamp(connection) - segment.timestampEcho) | 0;
    if (rtt < 0 || rtt > 10_000) return;
    const known = connection.receiveRttMs;
    connection.receiveRttMs = known === 0 ? rtt : known + (Math.max(rtt, 0.1) - known) / 8;
  }

  #finReceived(connection: TcpConnection): void {
    connection.hasFin = true;
    connection.receiveNext = (connection.receiveNext + 1) | 0;
    connection.isAckNow = true;
    connection.isReadyChanged = true;
    switch (connection.state) {
      case STATE.established:
        connection.state = STATE.closeWait;
        break;
      case STATE.finWait1:
        connection.state = STATE.closing;
        break;
      case STATE.finWait2:
        this.timeWait(connection);
        break;
      default:
        break;
    }
  }

  /** RFC 6093: the pointer names the octet behind the urgent one, as everybody has it. */
  #urgent(connection: TcpConnection, segment: TcpSegment, sequence: number): void {
    const end = (sequence + segment.urgentPointer) | 0;
    if (segment.urgentPointer === 0 || notAfter(end, connection.receiveNext)) return;
    if (connection.hasUrgent && notAfter(end, connection.receiveUrgentEnd)) return;
    connection.hasUrgent = true;
    connection.receiveUrgentEnd = end;
    connection.isReadyChanged = true;
    const offset = segment.urgentPointer - 1 - (sequence - segment.sequence);
    if (connection.options.oobInline || offset < 0 || offset >= segment.length) return;
    connection.urgentOctet = this.#core.pool.octets[segment.dataAt + offset]!;
  }

  /** Both directions have ended: what is late is waited for (RFC 9293 §3.6). */
  timeWait(connection: TcpConnection): void {
    connection.state = STATE.timeWait;
    this.#timers.clear(connection);
    this.#timers.set(connection, DUE.end, this.#core.nowMs + TIME_WAIT_MS);
    connection.board.clear();
    connection.isReadyChanged = true;
    this.#lifecycle.waiting(connection);
  }
}
