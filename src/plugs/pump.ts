/**
 * A pump joins two cable ends: what one receives the other sends, in batches, losing nothing. A
 * side that takes no more stops the reading of the other. Blocks its thread; another thread ends it
 * by its bell. Used by `v2 plug` and by the engine that gives a view its network.
 */
import { FramePool } from "../base/index.ts";
import { adviseHugePages, type Bell, Epoll, READY } from "../sys/index.ts";
import { BATCH_FRAMES, type CableEnd, END_CLOSED } from "./end.ts";
import { Segmenter, SegmentingEnd } from "./segmenting-end.ts";

const WAKE_TOKEN = -1;
/** Tokens: two for each side, to read from it and to write to it. */
const LEFT = 0;
const RIGHT = 1;
const WRITE_BIT = 2;

export type PumpSide = "left" | "right";

export interface PumpCounters {
  /** Frames and octets from left to right. */
  readonly framesRight: number;
  readonly octetsRight: number;
  readonly framesLeft: number;
  readonly octetsLeft: number;
  /** Times a direction waited because the other side took no more. */
  readonly waits: number;
}

/** One direction: from an end to the other, with the frames read but not yet written. */
class Direction {
  readonly from: CableEnd;
  readonly to: CableEnd;
  /** LEFT or RIGHT: the side it reads. */
  readonly side: number;
  readonly slots = new Int32Array(BATCH_FRAMES);
  /** Frames in `slots[at … at + held)` wait to be written. */
  at = 0;
  held = 0;
  isWaiting = false;
  frames = 0;
  octets = 0;
  waits = 0;

  constructor(from: CableEnd, to: CableEnd, side: number, pool: FramePool) {
    this.from = from;
    this.to = to;
    this.side = side;
    for (let i = 0; i < BATCH_FRAMES; i++) this.slots[i] = pool.take();
  }
}

/** Two joined ends; one thread calls all its methods. */
export class Pump {
  /** For both directions, for segments, and for a frame kept by each end. */
  readonly #pool = new FramePool(3 * BATCH_FRAMES + 2);
  readonly #epoll = new Epoll();
  readonly #bell: Bell;
  readonly #onWake: () => void;
  readonly #directions: readonly [Direction, Direction];
  /** What each descriptor is watched for. */
  readonly #interest = new Map<number, number>();
  /** Descriptors that are always ready (files): each round looks at their side. */
  readonly #unwatched = new Set<number>();
  #isStopped = false;

  /**
   * @param onWake called in the pump's thread each time the bell rang. The ends stay the caller's.
   */
  constructor(left: CableEnd, right: CableEnd, bell: Bell, onWake: () => void) {
    this.#bell = bell;
    this.#onWake = onWake;
    adviseHugePages(this.#pool.octets);
    const segmenter = new Segmenter(this.#pool, 0);
    const target = (to: CableEnd, from: CableEnd): CableEnd =>
      from.offload === true && to.offload !== true ? new SegmentingEnd(to, segmenter) : to;
    this.#directions = [
      new Direction(left, target(right, left), LEFT, this.#pool),
      new Direction(right, target(left, right), RIGHT, this.#pool),
    ];
    this.#epoll.add(bell.fd, WAKE_TOKEN, READY.readable);
    for (const { from, side } of this.#directions) {
      if (from.receiveFd >= 0) this.#watch(from.receiveFd, side, READY.readable);
      if (from.hangUpFd !== undefined) this.#watch(from.hangUpFd, side, READY.readable);
    }
  }

  /**
   * Moves frames until a side closes or `stop`. @returns the side that closed, undefined: stopped.
   */
  run(): PumpSide | undefined {
    while (!this.#isStopped) {
      const closed = this.step(-1);
      if (closed !== undefined) return closed;
    }
    return undefined;
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** One round. @returns the side that closed. */
  step(timeoutMs: number): PumpSide | undefined {
    const events = this.#epoll.wait(this.#unwatched.size > 0 ? 0 : timeoutMs);
    let isWoken = false;
    for (let event = 0; event < events; event++) {
      const token = this.#epoll.token(event);
      if (token === WAKE_TOKEN) {
        isWoken = true;
        continue;
      }
      const closed = this.#serve(token, this.#epoll.ready(event));
      if (closed !== undefined) return closed;
    }
    for (const fd of this.#unwatched) {
      const direction = this.#directions.find((d) => d.from.receiveFd === fd);
      if (direction === undefined || direction.isWaiting) continue;
      const closed = this.#read(direction);
      if (closed !== undefined) return closed;
    }
    if (isWoken) {
      this.#bell.silence();
      this.#onWake();
    }
    return undefined;
  }

  counters(): PumpCounters {
    const [right, left] = this.#directions;
    return {
      framesRight: right.frames,
      octetsRight: right.octets,
      framesLeft: left.frames,
      octetsLeft: left.octets,
      waits: right.waits + left.waits,
    };
  }

  close(): void {
    this.#epoll.close();
  }

  #serve(token: number, ready: number): PumpSide | undefined {
    const side = token & 1;
    const outward = this.#directions[side]!;
    const inward = this.#directions[side === LEFT ? RIGHT : LEFT];
    // A hung-up descriptor that is only waited on for writing must be tried, or it is ready for
    // ever.
    const isRoom = (ready & ~READY.readable) !== 0;
    if (inward.isWaiting && isRoom) {
      const closed = this.#write(inward);
      if (closed !== undefined) return closed;
    }
    if ((token & WRITE_BIT) !== 0) return undefined;
    if (outward.isWaiting && (ready & READY.hungUp) === 0) return undefined;
    return outward.isWaiting ? this.#write(outward) : this.#read(outward);
  }

  #read(direction: Direction): PumpSide | undefined {
    const { from, slots } = direction;
    // An end may have moved the start of a frame (a VLAN tag put back in front of it).
    for (let i = 0; i < direction.at; i++) this.#pool.rewind(slots[i]!);
    const received = from.receive(this.#pool, slots, BATCH_FRAMES);
    if (received === END_CLOSED) return name(direction.side);
    if (received === 0) return undefined;
    direction.frames += received;
    for (let i = 0; i < received; i++) direction.octets += this.#pool.length[slots[i]!]!;
    direction.at = 0;
    direction.held = received;
    return this.#write(direction);
  }

  #write(direction: Direction): PumpSide | undefined {
    const { to, slots } = direction;
    do {
      const sent = to.send(this.#pool, slots, direction.at, direction.held);
      if (sent === END_CLOSED) return name(direction.side === LEFT ? RIGHT : LEFT);
      direction.at += sent;
      direction.held -= sent;
      if (sent === 0) break;
    } while (direction.held > 0);
    this.#setWaiting(direction, direction.held > 0 || to.hasBacklog === true);
    return undefined;
  }

  /** Waiting: not read, and its target watched for room. */
  #setWaiting(direction: Direction, isWaiting: boolean): void {
    if (direction.isWaiting === isWaiting) return;
    direction.isWaiting = isWaiting;
    if (isWaiting) direction.waits++;
    const { from, to, side } = direction;
    const other = side === LEFT ? RIGHT : LEFT;
    this.#setBit(from.receiveFd, side, READY.readable, !isWaiting);
    const token = to.sendFd === to.receiveFd ? other : other | WRITE_BIT;
    this.#setBit(to.sendFd, token, READY.writable, isWaiting);
  }

  #setBit(fd: number, token: number, bit: number, isSet: boolean): void {
    const old = this.#interest.get(fd) ?? 0;
    this.#watch(fd, token, isSet ? old | bit : old & ~bit);
  }

  #watch(fd: number, token: number, interest: number): void {
    if (fd < 0 || this.#unwatched.has(fd)) return;
    const isKnown = this.#interest.has(fd);
    this.#interest.set(fd, interest);
    // A descriptor that is only written to is in the set only while it is waited for: without a
    // reader it would report a hang-up in every round.
    if (isKnown && (token & WRITE_BIT) !== 0 && interest === 0) {
      this.#epoll.remove(fd);
      this.#interest.delete(fd);
    } else if (isKnown) this.#epoll.modify(fd, token, interest);
    else if (!this.#epoll.add(fd, token, interest)) this.#unwatched.add(fd);
  }
}

function name(side: number): PumpSide {
  return side === LEFT ? "left" : "right";
}
