/**
 * Segments that arrive for a connection: RFC 9293 §3.10.7, with the checks of RFC 5961 and
 * RFC 7323 §5. One function for each group of states, in the order of the paragraph's steps.
 */
import { ERRNO } from "../../base/index.ts";
import { TCP_FLAG } from "../../wire/index.ts";
import type { StackCore } from "../core.ts";
import type { IpSender } from "../destination.ts";
import { DUE, STATE, type TcpConnection, makeCongestion } from "./connection.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { TcpOutput } from "./output.ts";
import { QUICK_ACKS, TcpReceive, TIME_WAIT_MS } from "./receive.ts";
import type { TcpRecovery } from "./recovery.ts";
import type { TcpSegment } from "./segment.ts";
import { after, before, later, notAfter, notBefore } from "./sequence.ts";
import type { TcpTimers } from "./timers.ts";

const { fin, syn, rst, ack: ackFlag, ece, cwr } = TCP_FLAG;
/** RFC 7323 §5.5: after 24 days a timestamp says nothing any more. */
const TIMESTAMP_AGE_MS = 24 * 86_400_000;
/** RFC 5961 §7: challenges to one connection in a second. */
const CHALLENGES_MAX = 10;

/** What arrives, for all connections of a stack. */
export class TcpInput {
  /** Segments that fit no connection's window. */
  outside = 0;
  readonly #core: StackCore;
  readonly #output: TcpOutput;
  readonly #recovery: TcpRecovery;
  readonly #timers: TcpTimers;
  readonly #lifecycle: Lifecycle;
  readonly #receive: TcpReceive;

  constructor(
    core: StackCore,
    parts: {
      readonly ip: IpSender;
      readonly output: TcpOutput;
      readonly recovery: TcpRecovery;
      readonly timers: TcpTimers;
      readonly lifecycle: Lifecycle;
    },
  ) {
    this.#core = core;
    this.#output = parts.output;
    this.#recovery = parts.recovery;
    this.#timers = parts.timers;
    this.#lifecycle = parts.lifecycle;
    this.#receive = new TcpReceive(core, parts);
  }

  /** A segment for a connection that is in no state before SYN-SENT. */
  arrive(connection: TcpConnection, segment: TcpSegment): void {
    if (connection.state === STATE.synSent) this.#synSent(connection, segment);
    else this.#synchronized(connection, segment);
  }

  /** What a SYN says is taken over (RFC 9293 §3.10.7.2, RFC 7323 §2.2, RFC 2018 §2). */
  takeSyn(connection: TcpConnection, segment: TcpSegment): void {
    connection.irs = segment.sequence;
    connection.receiveNext = (segment.sequence + 1) | 0;
    connection.queue.next = connection.receiveNext;
    connection.hasTimestamps = segment.hasTimestamps;
    connection.hasSack = segment.isSackPermitted;
    connection.hasScale = segment.windowScale >= 0;
    connection.sendScale = connection.hasScale ? segment.windowScale : 0;
    if (!connection.hasScale) connection.receiveScale = 0;
    if (segment.hasTimestamps) {
      connection.timestampRecent = segment.timestamp;
      connection.timestampRecentMs = this.#core.nowMs;
    }
    connection.peerSegment = segment.maximumSegment || (connection.way.isIpv4 ? 536 : 1220);
    connection.window = segment.window;
    connection.windowMax = segment.window;
    connection.windowSequence = segment.sequence;
    connection.windowAcknowledgment = segment.acknowledgment;
    this.#output.header.fitPath(connection);
    connection.quickAcks = QUICK_ACKS;
    connection.lastReceivedMs = this.#core.nowMs;
    connection.tunedMs = this.#core.nowMs;
  }

  /** RFC 9293 §3.10.7.3. */
  #synSent(connection: TcpConnection, segment: TcpSegment): void {
    const { flags } = segment;
    const hasAck = (flags & ackFlag) !== 0;
    const isAckable =
      after(segment.acknowledgment, connection.iss) &&
      notAfter(segment.acknowledgment, connection.next);
    if (hasAck && !isAckable) {
      if ((flags & rst) === 0) this.#resetFor(connection, segment);
      return;
    }
    if (hasAck && segment.hasTimestamps && segment.timestampEcho !== 0) {
      // RFC 7323 §3.2: the echo must be something that we said.
      const age = (this.#output.header.timestamp(connection) - segment.timestampEcho) | 0;
      if (age < 0) return;
    }
    if ((flags & rst) !== 0) {
      if (hasAck) this.#lifecycle.gone(connection, ERRNO.ECONNREFUSED);
      return;
    }
    if ((flags & syn) === 0) return;
    this.takeSyn(connection, segment);
    if (!hasAck) {
      // Both open at the same time (RFC 9293 §3.5, figure 8).
      connection.state = STATE.synReceived;
      connection.hasEcn = false;
      this.#output.synchronize(connection);
      return;
    }
    if (connection.retries === 0) {
      connection.roundTrip.sample(this.#core.nowMs - connection.lastSentMs, this.#core.nowMs);
    } else connection.roundTrip.handshakeWasSlow();
    connection.una = segment.acknowledgment;
    connection.retries = 0;
    connection.due[DUE.retransmit] = Number.POSITIVE_INFINITY;
    this.#establish(connection);
    connection.isAckNow = true;
    this.#receive.data(connection, segment, true);
  }

  #establish(connection: TcpConnection): void {
    connection.state = STATE.established;
    connection.congestion = makeCongestion(connection.options.congestion, connection.segment);
    connection.ecnSequence = connection.una;
    connection.isReadyChanged = true;
    this.#timers.rearm(connection);
    this.keepAlive(connection);
    this.#lifecycle.established(connection);
  }

  /** Sets or takes back the time of the first question whether the peer is there. */
  keepAlive(connection: TcpConnection): void {
    connection.probesUnanswered = 0;
    const { keepAlive, keepIdleMs } = connection.options;
    const atMs = keepAlive ? this.#core.nowMs + keepIdleMs : Number.POSITIVE_INFINITY;
    this.#timers.set(connection, DUE.keepAlive, atMs);
  }

  /** RFC 9293 §3.10.7.4: SYN-RECEIVED and everything after it. */
  #synchronized(connection: TcpConnection, segment: TcpSegment): void {
    const { flags } = segment;
    // Before the first step: PAWS (RFC 7323 §5.3 R1).
    if (connection.hasTimestamps && !this.#passesPaws(connection, segment)) return;
    // First: is it in the window?
    if (!this.#isAcceptable(connection, segment)) {
      this.outside++;
      this.#outside(connection, segment);
      return;
    }
    if (segment.hasTimestamps) this.#noteTimestamp(connection, segment);
    // Second: RST (RFC 5961 §3.2).
    if ((flags & rst) !== 0) {
      if (segment.sequence === connection.receiveNext) this.#reset(connection);
      else this.#challenge(connection);
      return;
    }
    // Fourth: SYN (RFC 5961 §4.2).
    if ((flags & syn) !== 0) {
      this.#synAgain(connection, segment);
      return;
    }
    // Fifth: ACK.
    if ((flags & ackFlag) === 0) return;
    if (!this.#acknowledgment(connection, segment)) return;
    connection.lastReceivedMs = this.#core.nowMs;
    if (connection.options.keepAlive) this.keepAlive(connection);
    // Sixth to eighth: URG, the data, FIN.
    this.#receive.data(connection, segment, false);
  }

  /** RFC 9293 §3.10.7.4, table 6. */
  #isAcceptable(connection: TcpConnection, segment: TcpSegment): boolean {
    const { receiveNext, announced } = connection;
    const length = segment.sequenceLength;
    const window = (announced - receiveNext) | 0;
    const start = (segment.sequence - receiveNext) | 0;
    if (length === 0) return window === 0 ? start === 0 : start >= 0 && start <= window;
    const last = (start + length - 1) | 0;
    if (window === 0) return start === 0 && segment.length === 0;
    return (start >= 0 && start < window) || (last >= 0 && start < window);
  }

  #outside(connection: TcpConnection, segment: TcpSegment): void {
    const { flags } = segment;
    if ((flags & rst) !== 0) return;
    if (connection.state === STATE.timeWait)
      this.#timers.set(connection, DUE.end, this.#core.nowMs + TIME_WAIT_MS);
    if (connection.state === STATE.synReceived && (flags & syn) !== 0) {
      this.#synAgain(connection, segment);
      return;
    }
    // Data that was received before is told as such (RFC 2883 §4.1).
    const end = (segment.sequence + segment.length) | 0;
    if (connection.hasSack && segment.length > 0 && notAfter(end, connection.receiveNext)) {
      connection.duplicateLeft = segment.sequence;
      connection.duplicateRight = end;
    }
    if ((flags & syn) !== 0) this.#challenge(connection);
    else if (segment.sequenceLength > 0 || segment.sequence !== connection.receiveNext) {
      connection.isAckNow = true;
    }
    // Its acknowledgment and window may be news all the same (RFC 9293 §3.10.7.4 on zero windows).
    if ((flags & (ackFlag | syn)) === ackFlag && connection.state >= STATE.established) {
      const isOld = before(segment.sequence, connection.receiveNext);
      if (!isOld) this.#acknowledgment(connection, segment);
    }
  }

  /** RFC 7323 §5.3: an old timestamp means an old segment. */
  #passesPaws(connection: TcpConnection, segment: TcpSegment): boolean {
    const isReset = (segment.flags & rst) !== 0;
    if (!segment.hasTimestamps) {
      if (isReset || connection.state === STATE.synReceived) return true;
      this.#core.counters.count("tcp.no-timestamp");
      return false;
    }
    if (isReset || !before(segment.timestamp, connection.timestampRecent)) return true;
    if (this.#core.nowMs - connection.timestampRecentMs > TIMESTAMP_AGE_MS) return true;
    this.#core.counters.count("tcp.paws");
    connection.isAckNow = true;
    return false;
  }

  /** RFC 7323 §4.3: only of a segment that covers what was acknowledged last. */
  #noteTimestamp(connection: TcpConnection, segment: TcpSegment): void {
    if (before(segment.timestamp, connection.timestampRecent)) return;
    if (after(segment.sequence, connection.lastAcknowledged)) return;
    connection.timestampRecent = segment.timestamp;
    connection.timestampRecentMs = this.#core.nowMs;
  }

  #reset(connection: TcpConnection): void {
    switch (connection.state) {
      case STATE.timeWait:
        // RFC 1337: a reset does not shorten the wait.
        return;
      case STATE.synReceived:
        this.#lifecycle.gone(connection, ERRNO.ECONNREFUSED);
        return;
      case STATE.closing:
      case STATE.lastAck:
        this.#lifecycle.gone(connection, 0);
        return;
      case STATE.closeWait:
        this.#lifecycle.gone(connection, ERRNO.EPIPE);
        return;
      default:
        this.#lifecycle.gone(connection, ERRNO.ECONNRESET);
    }
  }

  #synAgain(connection: TcpConnection, segment: TcpSegment): void {
    const isSame = connection.state === STATE.synReceived && segment.sequence === connection.irs;
    if (!isSame) {
      this.#challenge(connection);
      return;
    }
    // The answer was lost; or the peer opened at the same time, and has ours now.
    if ((segment.flags & ackFlag) === 0) this.#output.synchronize(connection);
    else if (segment.acknowledgment === connection.next) {
      this.#fromSynReceived(connection, segment);
      connection.isAckNow = true;
    }
  }

  /** RFC 5961: whoever sends this by right can answer; a stranger cannot. */
  #challenge(connection: TcpConnection): void {
    const { nowMs } = this.#core;
    if (nowMs - connection.challengeMs >= 1000) {
      connection.challengeMs = nowMs;
      connection.challenges = 0;
    }
    if (connection.challenges >= CHALLENGES_MAX) return;
    connection.challenges++;
    this.#core.counters.count("tcp.challenge");
    this.#output.acknowledge(connection);
  }

  #resetFor(connection: TcpConnection, segment: TcpSegment): void {
    const ports = { from: connection.localPort, to: connection.remotePort };
    const sequence = segment.acknowledgment;
    this.#output.bare(connection.way, ports, {
      sequence,
      acknowledgment: 0,
      flags: rst,
      window: 0,
    });
  }

  #fromSynReceived(connection: TcpConnection, segment: TcpSegment): boolean {
    if (connection.retries === 0) {
      connection.roundTrip.sample(this.#core.nowMs - connection.lastSentMs, this.#core.nowMs);
    }
    connection.retries = 0;
    connection.una = segment.acknowledgment;
    connection.due[DUE.retransmit] = Number.POSITIVE_INFINITY;
    connection.window = segment.window << connection.sendScale;
    connection.windowMax = later(connection.windowMax, connection.window);
    connection.windowSequence = segment.sequence;
    connection.windowAcknowledgment = segment.acknowledgment;
    this.#establish(connection);
    return connection.state !== STATE.closed;
  }

  /** @returns false: the segment is done with. */
  #acknowledgment(connection: TcpConnection, segment: TcpSegment): boolean {
    const { acknowledgment } = segment;
    if (connection.state === STATE.synReceived) {
      const isRight =
        after(acknowledgment, connection.una) && notAfter(acknowledgment, connection.next);
      if (!isRight) {
        this.#resetFor(connection, segment);
        return false;
      }
      if (!this.#fromSynReceived(connection, segment)) return false;
    }
    if (after(acknowledgment, connection.next)) {
      connection.isAckNow = true;
      return false;
    }
    // RFC 5961 §5.2: older than anything that could be on its way.
    const oldest = (connection.una - connection.windowMax) | 0;
    if (before(acknowledgment, oldest)) {
      this.#challenge(connection);
      return false;
    }
    if (before(acknowledgment, connection.una)) return true;
    const window = segment.window << connection.sendScale;
    const isDuplicate =
      acknowledgment === connection.una &&
      segment.length === 0 &&
      (segment.flags & fin) === 0 &&
      window === connection.window &&
      !connection.board.isEmpty;
    this.#noteEcn(connection, segment);
    if (acknowledgment !== connection.una || !connection.board.isEmpty) {
      this.#recovery.acknowledged(connection, segment, isDuplicate);
    }
    connection.probesUnanswered = 0;
    this.#noteWindow(connection, segment, window);
    this.#afterAcknowledgment(connection);
    return connection.state !== STATE.closed;
  }

  #noteWindow(connection: TcpConnection, segment: TcpSegment, window: number): void {
    const isNewer =
      before(connection.windowSequence, segment.sequence) ||
      (connection.windowSequence === segment.sequence &&
        notAfter(connection.windowAcknowledgment, segment.acknowledgment));
    if (!isNewer) return;
    connection.window = window;
    connection.windowSequence = segment.sequence;
    connection.windowAcknowledgment = segment.acknowledgment;
    if (window > connection.windowMax) connection.windowMax = window;
    if (window > 0) connection.due[DUE.persist] = Number.POSITIVE_INFINITY;
  }

  /** RFC 3168 §6.1: what the peer saw, and that it has understood what we saw. */
  #noteEcn(connection: TcpConnection, segment: TcpSegment): void {
    if (!connection.hasEcn) return;
    if ((segment.flags & ece) !== 0) this.#recovery.congested(connection);
    if ((segment.flags & cwr) !== 0) connection.isEcnEcho = false;
    if (segment.isCongested && segment.length > 0) connection.isEcnEcho = true;
  }

  /** Our FIN may have been acknowledged. */
  #afterAcknowledgment(connection: TcpConnection): void {
    const isFinAcknowledged = connection.isFinSent && after(connection.una, connection.finSequence);
    if (!isFinAcknowledged) return;
    switch (connection.state) {
      case STATE.finWait1:
        connection.state = STATE.finWait2;
        connection.isReadyChanged = true;
        if (connection.isOrphan) {
          this.#timers.set(connection, DUE.end, this.#core.nowMs + TIME_WAIT_MS);
        }
        break;
      case STATE.closing:
        this.#receive.timeWait(connection);
        break;
      case STATE.lastAck:
        this.#lifecycle.gone(connection, 0);
        break;
      default:
        break;
    }
  }
}

/** Whether a SYN may take the place of a connection in TIME-WAIT: RFC 6191, RFC 1122 §4.2.2.13. */
export function mayReuse(connection: TcpConnection, segment: TcpSegment): boolean {
  if (connection.state !== STATE.timeWait) return false;
  if ((segment.flags & (syn | rst | ackFlag)) !== syn) return false;
  if (connection.hasTimestamps && segment.hasTimestamps) {
    if (after(segment.timestamp, connection.timestampRecent)) return true;
    if (before(segment.timestamp, connection.timestampRecent)) return false;
  }
  return (
    notBefore(segment.sequence, connection.receiveNext) &&
    segment.sequence !== connection.receiveNext
  );
}
