/**
 * One TCP connection: the transmission control block of RFC 9293 §3.3.1, and what its user may do
 * (§3.9.1). The machine that moves it is in input.ts, output.ts, recovery.ts and timers.ts.
 */
import { ERRNO } from "../../base/index.ts";
import type { IpAddress } from "../address.ts";
import type { Arena } from "../arena.ts";
import type { Destination } from "../destination.ts";
import { type Endpoint, POLL } from "../endpoint.ts";
import { Timer } from "../timer-wheel.ts";
import { BlockQueue } from "../blocks.ts";
import { type Congestion, Cubic, Reno } from "./congestion.ts";
import { ReceiveQueue } from "./receive-queue.ts";
import { RoundTrip } from "./rtt.ts";
import { Scoreboard } from "./scoreboard.ts";

/** RFC 9293 §3.3.2, in an order that comparisons use. */
export const STATE = {
  closed: 0,
  listen: 1,
  synSent: 2,
  synReceived: 3,
  established: 4,
  closeWait: 5,
  finWait1: 6,
  finWait2: 7,
  closing: 8,
  lastAck: 9,
  timeWait: 10,
} as const;

export type TcpStateName =
  | "CLOSED"
  | "LISTEN"
  | "SYN-SENT"
  | "SYN-RECEIVED"
  | "ESTABLISHED"
  | "CLOSE-WAIT"
  | "FIN-WAIT-1"
  | "FIN-WAIT-2"
  | "CLOSING"
  | "LAST-ACK"
  | "TIME-WAIT";

const STATE_NAMES: readonly TcpStateName[] = [
  "CLOSED",
  "LISTEN",
  "SYN-SENT",
  "SYN-RECEIVED",
  "ESTABLISHED",
  "CLOSE-WAIT",
  "FIN-WAIT-1",
  "FIN-WAIT-2",
  "CLOSING",
  "LAST-ACK",
  "TIME-WAIT",
];

/** Deadlines of a connection, places in `due`. */
export const DUE = {
  retransmit: 0,
  probe: 1,
  reorder: 2,
  persist: 3,
  acknowledge: 4,
  keepAlive: 5,
  userTimeout: 6,
  /** Of FIN-WAIT-2 without a user, and of TIME-WAIT. */
  end: 7,
} as const;
const DEADLINES = 8;

/** How losses are being repaired. */
export const RECOVERY = { none: 0, fast: 1, timeout: 2 } as const;

/** Octets that may wait to be sent, until the window asks for more. */
const SEND_MIN_OCTETS = 256 * 1024;
const SEND_MAX_OCTETS = 6 << 20;
/** Octets that may wait to be read: at the start, and at most when the user reads fast. */
const RECEIVE_START_OCTETS = 128 * 1024;
export const RECEIVE_MAX_OCTETS = 15 << 20;

/** Sockets may set these; see tcp(7) and socket(7). */
export interface TcpOptions {
  noDelay: boolean;
  cork: boolean;
  quickAck: boolean;
  keepAlive: boolean;
  keepIdleMs: number;
  keepIntervalMs: number;
  keepCount: number;
  /** RFC 5482; 0: retransmissions are counted instead. */
  userTimeoutMs: number;
  /** Milliseconds that close waits for data to go; -1: it does not wait; 0: resets (SO_LINGER). */
  lingerMs: number;
  /** Longest segment to announce and to send; 0: as the path has it. */
  maximumSegment: number;
  /** 0: tuned. */
  sendOctets: number;
  receiveOctets: number;
  congestion: "cubic" | "reno";
  oobInline: boolean;
  notSentLowOctets: number;
  trafficClass: number;
  hopLimit: number;
  synRetries: number;
}

/** A fresh set. */
export function defaultTcpOptions(): TcpOptions {
  return {
    noDelay: false,
    cork: false,
    quickAck: true,
    keepAlive: false,
    keepIdleMs: 7_200_000,
    keepIntervalMs: 75_000,
    keepCount: 9,
    userTimeoutMs: 0,
    lingerMs: -1,
    maximumSegment: 0,
    sendOctets: 0,
    receiveOctets: 0,
    congestion: "cubic",
    oobInline: false,
    notSentLowOctets: 0,
    trafficClass: 0,
    hopLimit: 64,
    synRetries: 6,
  };
}

/** What a connection asks of the machine. */
export interface ConnectionOwner {
  readonly arena: Arena;
  /** Brings the clock to now; before a call of a user does anything. */
  enter(): void;
  /** Sends what may be sent, and what else follows from a user's call. */
  leave(connection: TcpConnection): void;
  /** Options were set: keep-alive, segment size, what is held back. */
  optionsChanged(connection: TcpConnection): void;
  /** The user does not care any more: FIN, or RST. */
  abandon(connection: TcpConnection): void;
  /** Ends it with a reset. */
  reset(connection: TcpConnection, errno: number): void;
  /** Deadlines that have come. */
  expire(connection: TcpConnection): void;
}

/** Both ends of a connection, and which interface its link-local addresses are of. */
export interface Ends {
  readonly local: IpAddress;
  readonly localPort: number;
  readonly remote: IpAddress;
  readonly remotePort: number;
  readonly interfaceIndex: number;
}

/** Fields are the machine's to change; users call the methods. */
export class TcpConnection implements Endpoint, Ends {
  readonly local: IpAddress;
  readonly localPort: number;
  readonly remote: IpAddress;
  readonly remotePort: number;
  readonly interfaceIndex: number;
  readonly options: TcpOptions;
  onReady: (() => void) | undefined;
  way: Destination;
  /** RFC 6437. */
  flowLabel = 0;
  state: number = STATE.closed;
  /** What a user is told once, or with every call after the end. */
  errno = 0;

  /** Sending, RFC 9293 §3.3.1: SND.UNA, SND.NXT, SND.WND, SND.WL1, SND.WL2, ISS. */
  iss = 0;
  una = 0;
  next = 0;
  window = 0;
  windowSequence = 0;
  windowAcknowledgment = 0;
  /** The largest window the peer ever offered. */
  windowMax = 0;
  /** SND.UP: the octet behind the urgent ones; only while `isUrgent`. */
  urgentEnd = 0;
  isUrgent = false;
  /** Octets that wait: from `una` on, those under way included. */
  sendLength = 0;
  readonly send: BlockQueue;
  /** The user has ended its direction: a FIN follows the last octet. */
  isEnding = false;
  /** The FIN was sent at least once: its sequence number is `finSequence`. */
  isFinSent = false;
  finSequence = 0;
  /** Of the peer, and what fits the path: data of one segment without options. */
  peerSegment = 536;
  /** Data octets of a full segment as sent now. */
  segment = 536;
  /** Both ends scale their windows (RFC 7323 §2). */
  hasScale = false;
  sendScale = 0;
  receiveScale = 0;
  hasTimestamps = false;
  hasSack = false;
  timestampOffset = 0;
  timestampRecent = 0;
  timestampRecentMs = 0;

  /** Receiving: RCV.NXT is `queue.next` plus one after the FIN; IRS; what was announced. */
  irs = 0;
  receiveNext = 0;
  readonly queue: ReceiveQueue;
  /** What arrived twice, to be told once (RFC 2883). */
  duplicateLeft = 0;
  duplicateRight = 0;
  /** Right edge of the window that was announced; never goes back. */
  announced = 0;
  lastAcknowledged = 0;
  hasFin = false;
  receiveOctets: number;
  /** The user wants nothing more (shutdown): what arrives is thrown away. */
  isReadShut = false;
  /** RCV.UP: the octet behind the urgent ones. */
  receiveUrgentEnd = 0;
  hasUrgent = false;
  /** The urgent octet when it is not kept in line; -1: none. */
  urgentOctet = -1;
  /** Data octets received since the last acknowledgment. */
  unacknowledged = 0;
  isAckNow = false;
  /** Segments that are acknowledged at once still, at the start and after a pause. */
  quickAcks = 0;
  lastReceivedMs = 0;
  lastSentMs = 0;
  /** For tuning the window: octets read since, and when that began. */
  tunedOctets = 0;
  tunedMs = 0;
  receiveRttMs = 0;
  #reached = 0;

  readonly board = new Scoreboard();
  readonly roundTrip = new RoundTrip();
  congestion: Congestion;
  recovery: number = RECOVERY.none;
  recoverySequence = 0;
  /** RFC 6937. */
  prrDelivered = 0;
  prrOut = 0;
  prrFlight = 0;
  /** Octets that may be sent in fast recovery. */
  prrBudget = 0;
  duplicateAcks = 0;
  isWindowLimited = false;
  /** A loss probe is under way up to here. */
  probeEnd = 0;
  isProbing = false;
  isProbeAgain = false;
  retries = 0;
  /** Segments that were sent again, in all. */
  retransmissions = 0;
  probesUnanswered = 0;
  persistBackoff = 0;
  /** Congestion notification (RFC 3168): agreed on, to be told, to be confirmed. */
  hasEcn = false;
  isEcnEcho = false;
  isWindowReducedToSay = false;
  ecnSequence = 0;

  /** RFC 5961 §7: challenges in this second. */
  challenges = 0;
  challengeMs = 0;
  /** Waits for the link to take frames. */
  isBlocked = false;
  /** Is in the list of those that changed in this step. */
  isTouched = false;
  /** Something a user waits for may have changed. */
  isReadyChanged = false;
  /** The user has closed it. */
  isOrphan = false;
  /** It was made by a listener and is not accepted yet. */
  listener: { drop(connection: TcpConnection): void } | undefined;
  readonly due = new Float64Array(DEADLINES).fill(Number.POSITIVE_INFINITY);
  readonly timer: Timer;
  readonly #owner: ConnectionOwner;

  constructor(owner: ConnectionOwner, ends: Ends, way: Destination, options: TcpOptions) {
    this.#owner = owner;
    this.local = ends.local;
    this.localPort = ends.localPort;
    this.remote = ends.remote;
    this.remotePort = ends.remotePort;
    this.interfaceIndex = ends.interfaceIndex;
    this.way = way;
    this.options = options;
    this.send = new BlockQueue(owner.arena);
    this.queue = new ReceiveQueue(owner.arena);
    this.receiveOctets = options.receiveOctets || RECEIVE_START_OCTETS;
    this.congestion = makeCongestion(options.congestion, this.segment);
    this.timer = new Timer(() => owner.expire(this));
  }

  get stateName(): TcpStateName {
    return STATE_NAMES[this.state]!;
  }

  /** Octets that `write` takes before it says EAGAIN. */
  get sendOctetsMax(): number {
    if (this.options.sendOctets > 0) return this.options.sendOctets;
    return Math.max(SEND_MIN_OCTETS, Math.min(SEND_MAX_OCTETS, 2 * this.congestion.window));
  }

  /** Octets that were never sent. */
  get unsent(): number {
    const sent = (this.next - this.una) | 0;
    return Math.max(0, this.sendLength - (this.isFinSent ? sent - 1 : sent));
  }

  /** The peer may still send. */
  get canReceive(): boolean {
    return (
      this.state === STATE.established ||
      this.state === STATE.finWait1 ||
      this.state === STATE.finWait2
    );
  }

  readiness(): number {
    const { state } = this;
    let bits = 0;
    if (this.errno !== 0) bits |= POLL.error;
    if (state === STATE.closed || state === STATE.timeWait || (this.hasFin && this.isEnding)) {
      bits |= POLL.hangUp;
    }
    if (state === STATE.closed) return bits | POLL.in | POLL.out | POLL.readHangUp;
    if (state < STATE.established) return bits;
    if (this.queue.readable > 0 || this.hasFin || this.isReadShut) bits |= POLL.in;
    if (this.hasFin || this.isReadShut) bits |= POLL.readHangUp;
    if (this.urgentOctet >= 0) bits |= POLL.priority;
    if (this.isEnding || this.#hasSendRoom()) bits |= POLL.out;
    return bits;
  }

  #hasSendRoom(): boolean {
    const { notSentLowOctets } = this.options;
    if (notSentLowOctets > 0 && this.unsent >= notSentLowOctets) return false;
    return this.sendLength < (this.sendOctetsMax * 2) / 3;
  }

  /**
   * Queues `octets[from … to)`.
   * @param isMore nothing is sent that is less than a segment, until more comes (MSG_MORE).
   * @param isUrgent the last octet is urgent (MSG_OOB, RFC 6093).
   * @returns octets taken; -EAGAIN, -ENOTCONN, -EPIPE, or the error that ended the connection.
   */
  write(octets: Uint8Array, from: number, to: number, isMore = false, isUrgent = false): number {
    this.#owner.enter();
    const { state } = this;
    if (this.errno !== 0) return this.takeError();
    if (this.isEnding || state > STATE.closeWait || state === STATE.closed) return -ERRNO.EPIPE;
    if (state < STATE.synSent) return -ERRNO.ENOTCONN;
    if (state < STATE.established) return -ERRNO.EAGAIN;
    const room = this.sendOctetsMax - this.sendLength;
    if (room <= 0 && to > from) return -ERRNO.EAGAIN;
    const taken = this.send.put(this.sendLength, octets, from, Math.min(to, from + room));
    if (taken === 0 && to > from) return -ERRNO.EAGAIN;
    this.sendLength += taken;
    if (isUrgent && taken === to - from) {
      this.urgentEnd = (this.una + this.sendLength) | 0;
      this.isUrgent = true;
    }
    this.isMore = isMore;
    this.#owner.leave(this);
    return taken;
  }
  /** The last write said that more follows. */
  isMore = false;
  /** What was held back for more has waited for long enough. */
  isUncorked = false;

  /**
   * Takes up to `to - from` octets that arrived.
   * @param isPeek leaves them where they are, `offset` octets behind the front.
   * @returns octets; 0: the peer has ended; -EAGAIN, -ENOTCONN, or what ended the connection.
   */
  read(into: Uint8Array, from: number, to: number, isPeek = false, offset = 0): number {
    this.#owner.enter();
    const { state, queue } = this;
    let room = to - from;
    if (this.isAtMark && queue.readable > 0 && !isPeek) this.#passMark();
    if (queue.readable > 0) {
      room = Math.min(room, this.#beforeUrgent());
      const count = queue.read(into, from, room, isPeek, offset);
      if (!isPeek && count > 0) this.#wasRead(count);
      if (count > 0 || isPeek) return count;
    }
    if (this.errno !== 0) return this.takeError();
    if (this.hasFin || this.isReadShut || state === STATE.closed) return 0;
    if (state < STATE.synSent) return -ERRNO.ENOTCONN;
    return -ERRNO.EAGAIN;
  }

  /** The urgent octet is not part of the stream, unless it is kept in line (RFC 6093 §3.1). */
  #passMark(): void {
    this.hasUrgent = false;
    if (!this.options.oobInline) this.queue.skip(1);
  }

  /** A read stops at the urgent mark, so that the user can ask where it is (SIOCATMARK). */
  #beforeUrgent(): number {
    if (!this.hasUrgent) return Number.POSITIVE_INFINITY;
    const first = (this.queue.next - this.queue.readable) | 0;
    const mark = (this.receiveUrgentEnd - 1) | 0;
    const distance = (mark - first) | 0;
    return distance > 0 ? distance : Number.POSITIVE_INFINITY;
  }

  /** The next octet is the urgent one (SIOCATMARK). */
  get isAtMark(): boolean {
    const first = (this.queue.next - this.queue.readable) | 0;
    return this.hasUrgent && ((this.receiveUrgentEnd - 1) | 0) === first;
  }

  /** The urgent octet (MSG_OOB). @returns 0 … 255; -EINVAL in line or none, -EAGAIN: on its way. */
  readUrgent(): number {
    if (this.options.oobInline || !this.hasUrgent) return -ERRNO.EINVAL;
    if (this.urgentOctet < 0) return -ERRNO.EAGAIN;
    const octet = this.urgentOctet;
    this.urgentOctet = -1;
    return octet;
  }

  #wasRead(count: number): void {
    this.tunedOctets += count;
    this.#reached += count;
    // The window is opened again when there is enough to say.
    if (this.#reached >= 2 * this.segment || this.queue.readable === 0) {
      this.#reached = 0;
      this.#owner.leave(this);
    }
  }

  /** To be called after a field of `options` was set, so that it takes effect now. */
  optionsChanged(): void {
    this.#owner.enter();
    this.#owner.optionsChanged(this);
  }

  /** No more will be written: a FIN follows what waits. @returns 0 or -ENOTCONN. */
  shutdownWrite(): number {
    this.#owner.enter();
    if (this.state < STATE.synReceived || this.state === STATE.timeWait) return -ERRNO.ENOTCONN;
    this.isEnding = true;
    this.#owner.leave(this);
    return 0;
  }

  /** What arrives from now on is not wanted. @returns 0 or -ENOTCONN. */
  shutdownRead(): number {
    if (this.state < STATE.synReceived) return -ERRNO.ENOTCONN;
    this.isReadShut = true;
    return 0;
  }

  /** The user is done with it (RFC 9293 §3.10.4); it ends by itself. */
  close(): void {
    this.#owner.enter();
    this.onReady = undefined;
    this.#owner.abandon(this);
  }

  /** Ends it at once (RFC 9293 §3.10.5). */
  abort(): void {
    this.#owner.enter();
    this.#owner.reset(this, ERRNO.ECONNABORTED);
  }

  /** What SO_ERROR says: the error is told once. @returns a negative errno or 0. */
  takeError(): number {
    const { errno } = this;
    this.errno = 0;
    return errno === 0 ? 0 : -errno;
  }
}

/** One of the algorithms by its name (TCP_CONGESTION). */
export function makeCongestion(name: "cubic" | "reno", segmentOctets: number): Congestion {
  return name === "cubic" ? new Cubic(segmentOctets) : new Reno(segmentOctets);
}
