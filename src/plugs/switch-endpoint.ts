/**
 * One cable plugged into a switch port, as the data plane sees it: its end, the frames that wait to
 * leave through it, and the sources that wait for them to leave. All fields are set once, none is
 * ever added.
 */
import type { FramePool } from "../base/index.ts";
import type { CableEnd } from "./end.ts";
import type { FrameTap } from "./frame-tap.ts";

/** Frames waiting for one cable at most; a power of two. */
export const QUEUE_FRAMES = 1024;
/** Frames for many (floods) stop queueing here, so that room is left for those that can wait. */
export const FLOOD_QUEUE_FRAMES = 512;

export class SwitchEndpoint {
  readonly id: number;
  readonly port: number;
  /** Another with the same descriptors while the port is impaired. */
  end: CableEnd;
  readonly ring = new Int32Array(QUEUE_FRAMES);
  /** Frames that may wait, QUEUE_FRAMES at most. */
  queueFrames = QUEUE_FRAMES;
  head = 0;
  queued = 0;
  /** What `receiveFd` is watched for now; it is also the sending descriptor of most ends. */
  interest = 0;
  /** What `sendFd` is watched for, when it is another descriptor. */
  sendInterest = 0;
  /** In the list of endpoints to be flushed after this batch. */
  isDirty = false;
  /** The current source gave it frames that may wait. */
  isOwed = false;
  /** Its socket is full; waits to be writable. */
  isCongested = false;
  /** Made no progress until the deadline: drops everything until it is writable. */
  isStuck = false;
  stuckAtMs = Number.NEGATIVE_INFINITY;
  isClosed = false;
  /** Number of congested endpoints this source waits for; it is not read meanwhile. */
  blockedBy = 0;
  /** Sources that wait for this endpoint. */
  readonly waiters: SwitchEndpoint[] = [];
  /** Since when the deadline runs, and what left since then. */
  progressMs = 0;
  progressFrames = 0;
  progressOctets = 0;
  framesIn = 0;
  octetsIn = 0;
  framesOut = 0;
  octetsOut = 0;
  droppedStuck = 0;
  droppedFull = 0;
  timesPaused = 0;
  /**
   * Storm control: floods it may still send, as of `floodMs`; how long it rests, 0: it does not.
   */
  floodCredit = 0;
  floodMs = 0;
  restUntilMs = 0;
  timesRested = 0;
  timesStuck = 0;
  /** Captures and mirrors that look at what comes in, and at what leaves; undefined: none does. */
  tapsIn: readonly FrameTap[] | undefined = undefined;
  tapsOut: readonly FrameTap[] | undefined = undefined;

  constructor(id: number, port: number, end: CableEnd) {
    this.id = id;
    this.port = port;
    this.end = end;
  }

  /** Its wait to be emptied begins anew. */
  startDeadline(nowMs: number): void {
    this.progressMs = nowMs;
    this.progressFrames = 0;
    this.progressOctets = 0;
  }

  /** Frees the frames that wait; the caller counts them. */
  dropQueue(pool: FramePool): void {
    while (this.queued > 0) {
      pool.release(this.ring[this.head]!);
      this.head = (this.head + 1) & (QUEUE_FRAMES - 1);
      this.queued--;
    }
  }

  /** Appends a slot. @returns false when the queue is full. */
  push(slot: number): boolean {
    if (this.queued === QUEUE_FRAMES) return false;
    this.ring[(this.head + this.queued) & (QUEUE_FRAMES - 1)] = slot;
    this.queued++;
    return true;
  }
}
