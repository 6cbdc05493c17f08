/** What happens when a deadline of a connection comes, and what is waited for next. */
import { ERRNO } from "../../base/index.ts";
import type { StackCore } from "../core.ts";
import { DUE, RECEIVE_MAX_OCTETS, STATE, type TcpConnection } from "./connection.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { TcpOutput } from "./output.ts";
import type { TcpRecovery } from "./recovery.ts";
import type { TcpTimers } from "./timers.ts";

const NEVER = Number.POSITIVE_INFINITY;
/** RFC 9293 §3.8.3 R2: at least 100 seconds; Linux' tcp_retries2. */
const RETRIES_MAX = 15;
/** tcp(7): TCP_CORK holds back for so long at most. */
const CORK_MS = 200;
/** Probes of a closed window go on as long as they are answered, this rarely at last. */
const PERSIST_MAX_MS = 60_000;
/** Round trips that a window's size is judged by are at least this long. */
const TUNE_MIN_MS = 1;

export class TcpDeadlines {
  readonly #core: StackCore;
  readonly #output: TcpOutput;
  readonly #recovery: TcpRecovery;
  readonly #timers: TcpTimers;
  readonly #lifecycle: Lifecycle;

  constructor(
    core: StackCore,
    parts: {
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
  }

  /** Waits for the answer to a SYN, or to a SYN-ACK. */
  armSyn(connection: TcpConnection): void {
    const { roundTrip } = connection;
    this.#timers.set(connection, DUE.retransmit, this.#core.nowMs + roundTrip.timeoutMs);
  }

  /** Everything that is due now. */
  expire(connection: TcpConnection): void {
    const { due } = connection;
    const { nowMs } = this.#core;
    for (let which = 0; which < due.length; which++) {
      if (due[which]! > nowMs) continue;
      due[which] = NEVER;
      this.#fire(connection, which);
      if (connection.state === STATE.closed) return;
    }
  }

  #fire(connection: TcpConnection, which: number): void {
    switch (which) {
      case DUE.retransmit:
        this.#retransmit(connection);
        break;
      case DUE.probe:
        this.#recovery.probe(connection);
        break;
      case DUE.reorder:
        this.#recovery.reordered(connection);
        break;
      case DUE.persist:
        this.#persist(connection);
        break;
      case DUE.acknowledge:
        connection.isAckNow = true;
        break;
      case DUE.keepAlive:
        this.#keepAlive(connection);
        break;
      case DUE.userTimeout:
        this.#lifecycle.gone(connection, ERRNO.ETIMEDOUT);
        break;
      default:
        this.#lifecycle.gone(connection, 0);
    }
  }

  #retransmit(connection: TcpConnection): void {
    if (connection.state <= STATE.synReceived) {
      this.#synAgain(connection);
      return;
    }
    if (connection.board.isEmpty) return;
    if (connection.retries >= RETRIES_MAX) {
      this.#lifecycle.gone(connection, ERRNO.ETIMEDOUT);
      return;
    }
    if (connection.retries === 0) this.#armUserTimeout(connection);
    this.#recovery.timedOut(connection);
  }

  /** RFC 5482: counted from when the data was sent first. */
  #armUserTimeout(connection: TcpConnection): void {
    const { userTimeoutMs } = connection.options;
    if (userTimeoutMs === 0) return;
    const sinceMs = Math.min(connection.board.oldestSentMs, this.#core.nowMs);
    this.#timers.set(connection, DUE.userTimeout, sinceMs + userTimeoutMs);
  }

  #synAgain(connection: TcpConnection): void {
    const isAnswer = connection.state === STATE.synReceived;
    const most = isAnswer ? 5 : connection.options.synRetries;
    if (connection.retries >= most) {
      this.#lifecycle.gone(connection, ERRNO.ETIMEDOUT);
      return;
    }
    connection.retries++;
    connection.roundTrip.backoff++;
    this.#output.synchronize(connection);
    this.armSyn(connection);
  }

  /** RFC 9293 §3.8.6.1: asks whether the window is open again. */
  #persist(connection: TcpConnection): void {
    if (connection.unsent === 0 || !connection.board.isEmpty) return;
    if (this.#isCorked(connection)) {
      connection.isUncorked = true;
      return;
    }
    const { userTimeoutMs } = connection.options;
    const isOver =
      connection.probesUnanswered >= RETRIES_MAX ||
      (userTimeoutMs > 0 &&
        connection.probesUnanswered > 0 &&
        this.#core.nowMs - connection.lastReceivedMs > userTimeoutMs);
    if (isOver) {
      this.#lifecycle.gone(connection, ERRNO.ETIMEDOUT);
      return;
    }
    connection.probesUnanswered++;
    connection.persistBackoff++;
    this.#output.probe(connection);
    this.#armPersist(connection);
  }

  /** The user holds it back, not the peer. */
  #isCorked(connection: TcpConnection): boolean {
    const windowLeft = (connection.una + connection.window - connection.next) | 0;
    const isHeld = connection.options.cork || connection.isMore;
    return isHeld && windowLeft >= Math.min(connection.segment, connection.unsent);
  }

  #armPersist(connection: TcpConnection): void {
    const waitMs = connection.roundTrip.timeoutMs * 2 ** Math.min(20, connection.persistBackoff);
    const atMs = this.#core.nowMs + Math.min(PERSIST_MAX_MS, waitMs);
    this.#timers.set(connection, DUE.persist, atMs);
  }

  /** RFC 9293 §3.8.4. */
  #keepAlive(connection: TcpConnection): void {
    const { options } = connection;
    const isIdle = connection.board.isEmpty && connection.state !== STATE.timeWait;
    const { nowMs } = this.#core;
    if (!options.keepAlive) return;
    if (connection.probesUnanswered >= options.keepCount) {
      this.#output.reset(connection);
      this.#lifecycle.gone(connection, ERRNO.ETIMEDOUT);
      return;
    }
    if (isIdle) {
      connection.probesUnanswered++;
      this.#output.probe(connection);
    }
    this.#timers.set(connection, DUE.keepAlive, nowMs + options.keepIntervalMs);
  }

  /** After sending: a window that is closed must be probed. */
  afterOutput(connection: TcpConnection): void {
    const { state } = connection;
    if (state < STATE.established || state === STATE.timeWait) return;
    const isStuck = connection.unsent > 0 && connection.board.isEmpty && !connection.isBlocked;
    const windowLeft = (connection.una + connection.window - connection.next) | 0;
    if (isStuck && this.#isCorked(connection)) {
      if (connection.due[DUE.persist] === NEVER) {
        this.#timers.set(connection, DUE.persist, this.#core.nowMs + CORK_MS);
      }
      return;
    }
    if (!isStuck || windowLeft >= Math.min(connection.segment, connection.unsent)) {
      if (connection.due[DUE.persist] !== NEVER && !isStuck) connection.due[DUE.persist] = NEVER;
      if (windowLeft > 0) connection.persistBackoff = 0;
      return;
    }
    if (connection.due[DUE.persist] === NEVER) this.#armPersist(connection);
  }

  /**
   * Opens the window wider when the user reads all that fits into it within a round trip ("dynamic
   * right-sizing", Fisk and Feng 2001).
   */
  tuneWindow(connection: TcpConnection): void {
    if (connection.tunedOctets === 0 || connection.options.receiveOctets > 0) return;
    const { nowMs } = this.#core;
    const rttMs = Math.max(TUNE_MIN_MS, connection.receiveRttMs || connection.roundTrip.smoothedMs);
    if (nowMs - connection.tunedMs < rttMs) return;
    const wanted = 2 * connection.tunedOctets + 16 * connection.segment;
    if (wanted > connection.receiveOctets) {
      connection.receiveOctets = Math.min(RECEIVE_MAX_OCTETS, wanted);
    }
    connection.tunedOctets = 0;
    connection.tunedMs = nowMs;
  }
}
