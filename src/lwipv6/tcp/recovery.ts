/**
 * What acknowledgments and silence say about losses: fast recovery with RACK (RFC 8985) and PRR
 * (RFC 6937), NewReno without selective acknowledgments (RFC 6582), loss probes (RFC 8985 §7), the
 * retransmission timer (RFC 6298 §5).
 */
import type { StackCore } from "../core.ts";
import { DUE, RECOVERY, type TcpConnection } from "./connection.ts";
import type { TcpOutput } from "./output.ts";
import type { TcpSegment } from "./segment.ts";
import { after, before, notBefore } from "./sequence.ts";
import type { TcpTimers } from "./timers.ts";

/** RFC 5681 §3.2. */
const DUPLICATE_THRESHOLD = 3;

export class TcpRecovery {
  readonly #core: StackCore;
  readonly #output: TcpOutput;
  readonly #timers: TcpTimers;

  constructor(core: StackCore, output: TcpOutput, timers: TcpTimers) {
    this.#core = core;
    this.#output = output;
    this.#timers = timers;
  }

  /**
   * An acknowledgment that is acceptable: SND.UNA ≤ SEG.ACK ≤ SND.NXT.
   * @param isDuplicate as RFC 5681 §2 defines it.
   */
  acknowledged(connection: TcpConnection, segment: TcpSegment, isDuplicate: boolean): void {
    const { board, roundTrip } = connection;
    const { nowMs } = this.#core;
    const una = segment.acknowledgment;
    const acknowledged = (una - connection.una) | 0;
    const flight = board.pipe;
    const count = connection.hasSack ? segment.sackCount : 0;
    board.minRttMs = roundTrip.minMs === Number.POSITIVE_INFINITY ? 0 : roundTrip.minMs;
    board.acknowledge(una, connection.next, segment.sackLeft, segment.sackRight, count, nowMs);
    if (acknowledged > 0) this.#advance(connection, una, acknowledged);
    this.#measure(connection, segment, acknowledged, nowMs);
    if (board.hasDuplicate && connection.recovery !== RECOVERY.timeout) board.widenReordering();
    this.#endProbe(connection, una, acknowledged);
    const delivered = board.newlyAcknowledged + board.newlySacked;
    if (connection.recovery !== RECOVERY.none && notBefore(una, connection.recoverySequence)) {
      this.#leave(connection);
    }
    if (connection.hasSack) this.#rack(connection, flight, nowMs);
    else this.#newReno(connection, acknowledged, isDuplicate, flight);
    if (connection.recovery === RECOVERY.fast) this.#proportional(connection, delivered);
    else if (acknowledged > 0) this.#grow(connection, acknowledged, flight, nowMs);
    if (acknowledged > 0) {
      connection.retries = 0;
      connection.due[DUE.userTimeout] = Number.POSITIVE_INFINITY;
      this.#timers.restartRetransmit(connection);
    }
  }

  /** The retransmission timer ran out. @returns false: it is to be given up. */
  timedOut(connection: TcpConnection): void {
    const { board, congestion, roundTrip } = connection;
    const { nowMs } = this.#core;
    if (board.isEmpty) return;
    if (connection.recovery !== RECOVERY.timeout) {
      congestion.timedOut(board.pipe, nowMs);
      connection.isWindowReducedToSay = connection.hasEcn;
    } else congestion.window = connection.segment;
    connection.recovery = RECOVERY.timeout;
    connection.recoverySequence = connection.next;
    connection.duplicateAcks = 0;
    connection.isProbing = false;
    // RFC 2018 §8: what was acknowledged selectively may have been thrown away.
    if (connection.retries > 0) board.forgetSacks();
    board.markAllLost();
    connection.retries++;
    roundTrip.backoff++;
    connection.due[DUE.reorder] = Number.POSITIVE_INFINITY;
    this.#output.run(connection);
    this.#timers.restartRetransmit(connection);
  }

  /** RFC 8985 §7.3: new data if there is some, else the last segment again. */
  probe(connection: TcpConnection): void {
    const { board } = connection;
    const { nowMs } = this.#core;
    if (board.isEmpty || connection.isProbing) return;
    connection.isProbing = true;
    const windowLeft = (connection.una + connection.window - connection.next) | 0;
    if (connection.unsent > 0 && windowLeft > 0) {
      connection.isProbeAgain = false;
      const kept = connection.congestion.window;
      connection.congestion.window = board.pipe + connection.segment;
      this.#output.run(connection);
      connection.congestion.window = kept;
    } else {
      connection.isProbeAgain = true;
      const start = board.probeStart(connection.segment);
      const end = connection.next;
      const hasFin = connection.isFinSent && after(end, connection.finSequence);
      const length = ((end - start) | 0) - (hasFin ? 1 : 0);
      if (this.#output.again(connection, start, length)) board.probed(nowMs);
    }
    connection.probeEnd = connection.next;
    this.#timers.restartRetransmit(connection);
  }

  /** RACK's timer: what was late is lost now. */
  reordered(connection: TcpConnection): void {
    this.#rack(connection, connection.board.pipe, this.#core.nowMs);
    if (connection.recovery === RECOVERY.fast) this.#proportional(connection, 0);
    this.#output.run(connection);
  }

  /** The path told of congestion (RFC 3168 §6.1.2): as a loss, once in a round trip. */
  congested(connection: TcpConnection): void {
    if (connection.recovery !== RECOVERY.none || before(connection.una, connection.ecnSequence)) {
      return;
    }
    const { congestion, board } = connection;
    congestion.window = congestion.reduce(board.pipe, this.#core.nowMs);
    connection.ecnSequence = connection.next;
    connection.isWindowReducedToSay = true;
  }

  #advance(connection: TcpConnection, una: number, acknowledged: number): void {
    const hasFin = connection.isFinSent && after(una, connection.finSequence);
    const data = acknowledged - (hasFin ? 1 : 0);
    connection.una = una;
    if (data > 0) {
      connection.sendLength -= data;
      if (connection.sendLength === 0) connection.send.clear();
      else connection.send.drop(data);
      connection.isReadyChanged = true;
    }
    if (connection.isUrgent && notBefore(una, connection.urgentEnd)) connection.isUrgent = false;
  }

  #measure(
    connection: TcpConnection,
    segment: TcpSegment,
    acknowledged: number,
    nowMs: number,
  ): void {
    const { board, roundTrip } = connection;
    if (board.rttMs >= 0) {
      roundTrip.sample(board.rttMs, nowMs);
      return;
    }
    if (acknowledged <= 0 || !segment.hasTimestamps || segment.timestampEcho === 0) return;
    const rtt = (this.#output.header.timestamp(connection) - segment.timestampEcho) | 0;
    if (rtt >= 0 && rtt < 600_000) roundTrip.sample(rtt, nowMs);
  }

  #rack(connection: TcpConnection, flight: number, nowMs: number): void {
    const { board, roundTrip } = connection;
    const isRecovering = connection.recovery !== RECOVERY.none;
    const again = board.detectLoss(roundTrip.minMs, roundTrip.smoothedMs, isRecovering, nowMs);
    if (again === Number.POSITIVE_INFINITY) connection.due[DUE.reorder] = again;
    else this.#timers.set(connection, DUE.reorder, again);
    if (board.lostWaiting > 0 && connection.recovery === RECOVERY.none) {
      this.#enter(connection, flight);
    }
  }

  /** RFC 6582: three duplicates, then one segment for each partial acknowledgment. */
  #newReno(
    connection: TcpConnection,
    acknowledged: number,
    isDuplicate: boolean,
    flight: number,
  ): void {
    const { board, segment } = connection;
    if (acknowledged > 0) {
      connection.duplicateAcks = 0;
      if (connection.recovery === RECOVERY.fast) board.markFirstLost(segment);
      return;
    }
    if (!isDuplicate) return;
    connection.duplicateAcks++;
    if (connection.recovery !== RECOVERY.none) return;
    if (connection.duplicateAcks < DUPLICATE_THRESHOLD) return;
    board.markFirstLost(segment);
    this.#enter(connection, flight);
  }

  #enter(connection: TcpConnection, flight: number): void {
    const { congestion } = connection;
    const { nowMs } = this.#core;
    connection.recovery = RECOVERY.fast;
    connection.recoverySequence = connection.next;
    connection.isWindowReducedToSay = connection.hasEcn;
    connection.isProbing = false;
    connection.prrFlight = Math.max(flight, connection.segment);
    congestion.threshold = congestion.reduce(flight, nowMs);
    connection.prrDelivered = 0;
    connection.prrOut = 0;
    connection.due[DUE.probe] = Number.POSITIVE_INFINITY;
  }

  /** RFC 6937 §3.1. */
  #proportional(connection: TcpConnection, delivered: number): void {
    const { congestion, board, segment } = connection;
    // Without SACK each duplicate says that one segment has left (RFC 6582 §3.2 step 3).
    const told = connection.hasSack ? delivered : Math.max(delivered, segment);
    const pipe = connection.hasSack
      ? board.pipe
      : Math.max(0, board.pipe - connection.duplicateAcks * segment);
    connection.prrDelivered += told;
    let budget: number;
    if (pipe > congestion.threshold) {
      const due = (connection.prrDelivered * congestion.threshold) / connection.prrFlight;
      budget = Math.ceil(due) - connection.prrOut;
    } else {
      const limit = Math.max(connection.prrDelivered - connection.prrOut, told) + segment;
      budget = Math.min(congestion.threshold - pipe, limit);
    }
    // The first retransmission always goes.
    if (connection.prrOut === 0) budget = Math.max(budget, segment);
    connection.prrBudget = Math.max(0, budget);
    congestion.window = Math.max(segment, pipe + connection.prrBudget);
  }

  #leave(connection: TcpConnection): void {
    const { congestion } = connection;
    if (connection.recovery === RECOVERY.fast) {
      congestion.window = Math.max(2 * connection.segment, congestion.threshold);
    }
    connection.recovery = RECOVERY.none;
    connection.duplicateAcks = 0;
    connection.prrBudget = 0;
  }

  #grow(connection: TcpConnection, acknowledged: number, flight: number, nowMs: number): void {
    const { congestion, roundTrip, segment } = connection;
    // RFC 7661: a window that was not used is not known to be right.
    const isUsed =
      connection.recovery === RECOVERY.timeout ||
      connection.isWindowLimited ||
      flight + segment >= congestion.window ||
      (congestion.window < congestion.threshold && 2 * flight >= congestion.window);
    if (!isUsed) return;
    congestion.acknowledged(acknowledged, roundTrip.smoothedMs, nowMs);
  }

  /** RFC 8985 §7.4: did the probe repair a loss that nobody saw? */
  #endProbe(connection: TcpConnection, una: number, acknowledged: number): void {
    if (!connection.isProbing || before(una, connection.probeEnd)) return;
    if (!connection.isProbeAgain || connection.board.hasDuplicate) {
      connection.isProbing = false;
      return;
    }
    // Both may have arrived: the answer to the second is a duplicate, or tells of one.
    if (!after(una, connection.probeEnd)) {
      if (acknowledged === 0) connection.isProbing = false;
      return;
    }
    connection.isProbing = false;
    if (connection.recovery !== RECOVERY.none) return;
    const { congestion } = connection;
    congestion.window = congestion.reduce(congestion.window, this.#core.nowMs);
  }
}
