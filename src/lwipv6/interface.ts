/**
 * An interface of a stack: a link, and what the stack knows about it. Frames go out through a
 * bounded queue that is emptied at the end of each step, in batches.
 */
import { type FramePool, type MacAddress, OFFLOAD } from "../base/index.ts";
import { completeChecksum, SegmentPlan } from "../wire/index.ts";

/**
 * What an interface needs of the world: it sends frames and says what it can. A cable end has this
 * shape. Frames in come by `Stack.input`.
 */
export interface Link {
  /** "ethernet": frames with a header of 14 octets; "ip": bare packets (TUN); "loopback". */
  readonly kind: "ethernet" | "ip" | "loopback";
  /** Of the card; undefined unless the kind is "ethernet". */
  readonly mac?: MacAddress;
  /** Longest IP packet. */
  readonly mtuOctets: number;
  /** Takes unfinished frames: super-segments and frames without a checksum. */
  readonly offload: boolean;
  /**
   * Sends the frames in `slots[from … from + count)`; the slots stay the stack's.
   * @returns frames taken, in order; fewer than `count`: it calls `Stack.writable` when it can go
   *   on; -1: it is gone.
   */
  send(pool: FramePool, slots: Int32Array, from: number, count: number): number;
}

/** Frames and octets that went through. */
export interface InterfaceCounters {
  inFrames: number;
  inOctets: number;
  inDropped: number;
  outFrames: number;
  outOctets: number;
  outDropped: number;
}

/** One link of a stack. */
export class Interface {
  /** "vd0", "lo0"; unique in the stack. */
  readonly name: string;
  /** 1, 2, …: as if_nametoindex(3); never used again. */
  readonly index: number;
  readonly link: Link;
  /** At most what the link takes; a smaller one can be set. */
  mtuOctets: number;
  /** Administratively up. */
  isUp = false;
  readonly counters: InterfaceCounters = {
    inFrames: 0,
    inOctets: 0,
    inDropped: 0,
    outFrames: 0,
    outOctets: 0,
    outDropped: 0,
  };
  /** Slots that wait for the link, in order: a ring. */
  readonly #queue: Int32Array;
  #at = 0;
  #waiting = 0;
  readonly #pool: FramePool;
  readonly #batch = new Int32Array(BATCH_FRAMES);
  /** Made when the first super-segment is to be cut. */
  #plan: SegmentPlan | undefined;

  constructor(name: string, index: number, link: Link, pool: FramePool, queueFrames: number) {
    this.name = name;
    this.index = index;
    this.link = link;
    this.mtuOctets = link.mtuOctets;
    this.#pool = pool;
    this.#queue = new Int32Array(queueFrames);
  }

  /** Frames that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Frames that `transmit` takes before it drops. */
  get room(): number {
    return this.#queue.length - this.#waiting;
  }

  /**
   * Queues a frame; its slot is released when the link has it, or now if there is no room. An
   * unfinished one is finished first, unless the link does that.
   */
  transmit(slot: number): void {
    const kind = this.#pool.offload[slot]!;
    if (kind === OFFLOAD.none || this.link.offload) this.#enqueue(slot);
    else if (kind === OFFLOAD.checksum) {
      completeChecksum(this.#pool, slot);
      this.#enqueue(slot);
    } else this.#enqueueSegments(slot);
  }

  /** Cuts a super-segment; all of its segments find room, or none is sent. */
  #enqueueSegments(slot: number): void {
    const pool = this.#pool;
    this.#plan ??= new SegmentPlan();
    const plan = this.#plan;
    const isSound = plan.load(pool, slot, this.link.kind !== "ethernet");
    if (isSound && plan.count <= this.room && plan.count <= pool.freeCount) {
      for (let index = 0; index < plan.count; index++) {
        const segment = pool.take();
        plan.emit(pool, index, segment);
        this.#enqueue(segment);
      }
    } else this.counters.outDropped++;
    pool.release(slot);
  }

  #enqueue(slot: number): void {
    if (!this.isUp || this.room === 0) {
      this.counters.outDropped++;
      this.#pool.release(slot);
      return;
    }
    this.#queue[(this.#at + this.#waiting) % this.#queue.length] = slot;
    this.#waiting++;
  }

  /** Hands the link what waits. @returns false: some of it still waits. */
  flush(): boolean {
    const pool = this.#pool;
    const queue = this.#queue;
    const batch = this.#batch;
    while (this.#waiting > 0) {
      const count = Math.min(this.#waiting, BATCH_FRAMES);
      for (let i = 0; i < count; i++) batch[i] = queue[(this.#at + i) % queue.length]!;
      const result = this.link.send(pool, batch, 0, count);
      const taken = result < 0 ? count : result;
      for (let i = 0; i < taken; i++) {
        const slot = batch[i]!;
        if (result < 0) this.counters.outDropped++;
        else {
          this.counters.outFrames++;
          this.counters.outOctets += pool.length[slot]!;
        }
        pool.release(slot);
      }
      this.#at = (this.#at + taken) % queue.length;
      this.#waiting -= taken;
      if (taken < count) return false;
    }
    return true;
  }

  /** Drops what waits. */
  clear(): void {
    while (this.#waiting > 0) {
      this.#pool.release(this.#queue[this.#at]!);
      this.#at = (this.#at + 1) % this.#queue.length;
      this.#waiting--;
    }
  }
}

/** Frames handed to a link by one call. */
const BATCH_FRAMES = 64;
