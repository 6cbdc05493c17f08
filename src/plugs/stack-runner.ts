/**
 * Runs stacks on cables: waits for frames, for room and for deadlines, and moves frames in batches
 * from cable ends into the stack's memory and out of it, without copying. One thread runs all
 * stacks of a runner: a worker that blocks in `run`, or the event loop (stack-loop.ts).
 */
import {
  type Clock,
  type FramePool,
  macFromName,
  type MacAddress,
  V2Error,
} from "../base/index.ts";
import type { Interface, Link, Stack } from "../lwipv6/index.ts";
import { adviseHugePages, Epoll, READY } from "../sys/index.ts";
import { BATCH_FRAMES, type CableEnd, END_CLOSED } from "./end.ts";
import { Segmenter, SegmentingEnd } from "./segmenting-end.ts";

/** IP packets of an Ethernet. */
const MTU_OCTETS = 1500;
const NEVER = Number.POSITIVE_INFINITY;
/** Slots that frames which are read may not take: what is to be sent needs some, too. */
const SLOTS_KEPT = 2 * BATCH_FRAMES;
/** Batches read from one cable before others get their turn. */
const BATCHES = 4;

/** The clock of this process: `nowMs` is CLOCK_MONOTONIC. */
export const PROCESS_CLOCK: Clock = {
  nowMs: () => performance.now(),
  wallNs: () => BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6)),
};

export interface PlugOptions {
  /** Of the interface: "vd0", or a prefix that is given a number (vd). */
  readonly name?: string;
  /** Default: one that belongs to `macName`, or to the cable's description. */
  readonly mac?: MacAddress;
  readonly macName?: string;
  /** Longest IP packet (1500). */
  readonly mtuOctets?: number;
}

/** A cable end as a link of a stack. */
class EndLink implements Link {
  readonly kind = "ethernet";
  readonly mac: MacAddress;
  readonly mtuOctets: number;
  readonly offload: boolean;
  readonly #end: CableEnd;

  constructor(end: CableEnd, mac: MacAddress, mtuOctets: number) {
    this.#end = end;
    this.mac = mac;
    this.mtuOctets = mtuOctets;
    this.offload = end.offload === true && !(end instanceof SegmentingEnd);
  }

  send(pool: FramePool, slots: Int32Array, from: number, count: number): number {
    return this.#end.send(pool, slots, from, count);
  }
}

/** One cable of one stack. */
interface Plugged {
  readonly stack: Stack;
  readonly interface: Interface;
  readonly end: CableEnd;
  readonly token: number;
  isWaiting: boolean;
}

/** Stacks and their cables; one thread calls all methods. */
export class StackRunner {
  /** A cable's other side has gone; its interface is down. */
  onGone: ((owner: Interface) => void) | undefined;
  readonly clock = PROCESS_CLOCK;
  readonly #epoll = new Epoll();
  readonly #plugged = new Map<number, Plugged>();
  readonly #stacks = new Set<Stack>();
  readonly #segmenters = new Map<FramePool, Segmenter>();
  readonly #slots = new Int32Array(BATCH_FRAMES);
  #nextToken = 1;
  #deadlineMs = NEVER;

  /** Polls readable when `step` has something to do; deadlines apart. */
  get fd(): number {
    return this.#epoll.fd;
  }

  /** Milliseconds until the next deadline; 0: at once; Infinity: there is none. */
  get waitMs(): number {
    if (this.#deadlineMs === NEVER) return NEVER;
    return Math.max(0, this.#deadlineMs - this.clock.nowMs());
  }

  /** Runs a stack's deadlines from now on, also without a cable. */
  add(stack: Stack): void {
    if (this.#stacks.has(stack)) return;
    this.#stacks.add(stack);
    adviseHugePages(stack.core.arena.octets);
    this.#poll(stack);
  }

  /** Ends a stack's run; its cables are closed. */
  remove(stack: Stack): void {
    for (const plugged of this.#plugged.values()) {
      if (plugged.stack === stack) this.unplug(plugged.interface);
    }
    this.#stacks.delete(stack);
  }

  /**
   * Plugs a cable end, which is the runner's from now on, into a stack as a new interface that is
   * up. @throws V2Error INTERFACE_NAME, INTERFACE_MTU; the end is closed then.
   */
  plug(stack: Stack, end: CableEnd, options: PlugOptions = {}): Interface {
    const { name = "vd", mtuOctets = MTU_OCTETS } = options;
    const mac = options.mac ?? macFromName(options.macName ?? `${end.description} ${process.pid}`);
    const outer = end.offload === true ? end : new SegmentingEnd(end, this.#segmenter(stack));
    try {
      this.add(stack);
      const added = stack.addInterface(new EndLink(outer, mac, mtuOctets), name);
      const token = this.#nextToken++;
      const plugged = { stack, interface: added, end: outer, token, isWaiting: false };
      this.#plugged.set(token, plugged);
      this.#watch(plugged, "add");
      stack.setUp(added);
      this.#poll(stack);
      return added;
    } catch (error) {
      outer.close();
      throw error;
    }
  }

  /** Takes an interface and its cable away. */
  unplug(owner: Interface): void {
    for (const plugged of this.#plugged.values()) {
      if (plugged.interface !== owner) continue;
      this.#plugged.delete(plugged.token);
      this.#epoll.remove(plugged.end.receiveFd);
      if (plugged.end.sendFd !== plugged.end.receiveFd) this.#epoll.remove(plugged.end.sendFd);
      plugged.stack.removeInterface(owner);
      plugged.end.close();
    }
  }

  /** After calls of sockets from outside of a step: sees what they have left to wait for. */
  refresh(): void {
    this.#deadlineMs = NEVER;
    for (const stack of this.#stacks) {
      const next = stack.hasBacklog ? this.clock.nowMs() : stack.core.timers.nextMs();
      if (next < this.#deadlineMs) this.#deadlineMs = next;
    }
    for (const plugged of this.#plugged.values()) this.#setWaiting(plugged);
  }

  /**
   * One round: waits for frames, room or a deadline, but no longer than `timeoutMs` (-1: for ever),
   * and lets everything happen. @returns events that there were.
   */
  step(timeoutMs: number): number {
    const deadline = this.waitMs;
    const most = timeoutMs < 0 ? deadline : Math.min(timeoutMs, deadline);
    const events = this.#epoll.wait(most === NEVER ? -1 : Math.ceil(most));
    for (let event = 0; event < events; event++) {
      const plugged = this.#plugged.get(this.#epoll.token(event));
      if (plugged !== undefined) this.#serve(plugged, this.#epoll.ready(event));
    }
    this.#deadlineMs = NEVER;
    for (const stack of this.#stacks) this.#poll(stack);
    for (const plugged of this.#plugged.values()) this.#setWaiting(plugged);
    return events;
  }

  /** Runs until `isOver` says so after a round; blocks the thread. */
  run(isOver: () => boolean): void {
    while (!isOver()) this.step(-1);
  }

  /** Closes all cables. */
  close(): void {
    for (const stack of this.#stacks) this.remove(stack);
    this.#epoll.close();
  }

  #serve(plugged: Plugged, ready: number): void {
    if ((ready & READY.writable) !== 0) plugged.stack.writable(plugged.interface);
    if ((ready & ~READY.writable) === 0) return;
    const { stack, end } = plugged;
    const { pool } = stack.core;
    const slots = this.#slots;
    for (let batch = 0; batch < BATCHES; batch++) {
      const most = Math.min(BATCH_FRAMES, pool.freeCount - SLOTS_KEPT);
      if (most <= 0) return;
      for (let i = 0; i < most; i++) slots[i] = pool.take();
      const count = end.receive(pool, slots, most);
      const read = count === END_CLOSED ? 0 : count;
      for (let i = most - 1; i >= read; i--) pool.release(slots[i]!);
      if (count === END_CLOSED) {
        this.#gone(plugged);
        return;
      }
      if (read > 0) stack.input(plugged.interface, slots, read, this.clock.nowMs());
      if (read < most) return;
    }
  }

  #gone(plugged: Plugged): void {
    this.#epoll.remove(plugged.end.receiveFd);
    this.#plugged.delete(plugged.token);
    plugged.stack.setDown(plugged.interface);
    plugged.end.close();
    this.onGone?.(plugged.interface);
  }

  #poll(stack: Stack): void {
    const next = stack.poll(this.clock.nowMs());
    const dueMs = stack.hasBacklog ? this.clock.nowMs() : next;
    if (dueMs < this.#deadlineMs) this.#deadlineMs = dueMs;
  }

  /** Room is waited for while frames wait. */
  #setWaiting(plugged: Plugged): void {
    const isWaiting = plugged.interface.waiting > 0 || plugged.end.hasBacklog === true;
    if (isWaiting === plugged.isWaiting) return;
    plugged.isWaiting = isWaiting;
    this.#watch(plugged, "modify");
  }

  #watch({ end, token, isWaiting }: Plugged, how: "add" | "modify"): void {
    const room = isWaiting ? READY.writable : 0;
    if (end.receiveFd < 0) {
      throw new V2Error("STACK_CABLE", `a stack cannot wait for ${end.description}`, {
        remedy: "Plug it into a switch, and the stack into that.",
      });
    }
    if (end.sendFd === end.receiveFd || end.sendFd < 0) {
      this.#epoll[how](end.receiveFd, token, READY.readable | room);
      return;
    }
    this.#epoll[how](end.receiveFd, token, READY.readable);
    this.#epoll[how](end.sendFd, token, room);
  }

  #segmenter(stack: Stack): Segmenter {
    const { pool } = stack.core;
    let segmenter = this.#segmenters.get(pool);
    if (segmenter === undefined) {
      segmenter = new Segmenter(pool, SLOTS_KEPT);
      this.#segmenters.set(pool, segmenter);
    }
    return segmenter;
  }
}
