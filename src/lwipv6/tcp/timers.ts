/** Deadlines of connections: RFC 6298 §5, RFC 8985 §7, RFC 9293 §3.8.6.1, §3.8.4. */
import type { StackCore } from "../core.ts";
import { DUE, RECOVERY, type TcpConnection } from "./connection.ts";

const NEVER = Number.POSITIVE_INFINITY;
/** RFC 9293 §3.8.6.3 allows half a second; Linux takes 40 ms, and nobody waits for more. */
export const DELAYED_ACK_MS = 40;
/** RFC 8985 §7.2: what the peer may wait with a single segment's acknowledgment. */
const PEER_DELAY_MS = 200;

export class TcpTimers {
  readonly #core: StackCore;

  constructor(core: StackCore) {
    this.#core = core;
  }

  /** Sets a deadline, or with Infinity takes it back. */
  set(connection: TcpConnection, which: number, atMs: number): void {
    connection.due[which] = atMs;
    // A timer that is too early fires in vain and is set anew: cheaper than moving it each time.
    this.#core.timers.setEarlier(connection.timer, atMs);
  }

  /** After a deadline has come: the timer waits for the next one. */
  rearm(connection: TcpConnection): void {
    let next = NEVER;
    const { due } = connection;
    for (let i = 0; i < due.length; i++) if (due[i]! < next) next = due[i]!;
    if (next === NEVER) this.#core.timers.cancel(connection.timer);
    else this.#core.timers.set(connection.timer, next);
  }

  /** No deadline is left. */
  clear(connection: TcpConnection): void {
    connection.due.fill(NEVER);
    this.#core.timers.cancel(connection.timer);
  }

  /** Waits for an acknowledgment, if it is not waited for already. */
  armRetransmit(connection: TcpConnection): void {
    if (connection.due[DUE.retransmit] !== NEVER) return;
    this.restartRetransmit(connection);
  }

  /** Waits anew (RFC 6298 §5.3). */
  restartRetransmit(connection: TcpConnection): void {
    if (connection.board.isEmpty) {
      connection.due[DUE.retransmit] = NEVER;
      connection.due[DUE.probe] = NEVER;
      return;
    }
    const timeoutMs = connection.roundTrip.timeoutMs;
    this.set(connection, DUE.retransmit, this.#core.nowMs + timeoutMs);
    this.armProbe(connection);
  }

  /** New data has left. */
  sent(connection: TcpConnection): void {
    connection.due[DUE.persist] = NEVER;
    this.armRetransmit(connection);
    this.armProbe(connection);
  }

  /** RFC 8985 §7.2: a probe goes before the timer runs out. */
  armProbe(connection: TcpConnection): void {
    const { roundTrip, board } = connection;
    const canProbe =
      connection.hasSack &&
      connection.recovery === RECOVERY.none &&
      !connection.isProbing &&
      board.sackedOctets === 0 &&
      roundTrip.smoothedMs > 0 &&
      !board.isEmpty;
    if (!canProbe) {
      connection.due[DUE.probe] = NEVER;
      return;
    }
    const isSingle = board.pipe <= connection.segment;
    const waitMs = Math.max(2, 2 * roundTrip.smoothedMs) + (isSingle ? PEER_DELAY_MS : 0);
    const atMs = this.#core.nowMs + waitMs;
    if (atMs < connection.due[DUE.retransmit]!) this.set(connection, DUE.probe, atMs);
    else connection.due[DUE.probe] = NEVER;
  }
}
