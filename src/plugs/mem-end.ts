/**
 * mem: two ends in memory, what goes in at one comes out at the other. For tests and simulations.
 */
import type { FramePool } from "../base/index.ts";
import { Bell } from "../sys/index.ts";
import { type CableEnd, END_CLOSED } from "./end.ts";

/** Frames that one direction holds unless said otherwise. */
const QUEUE_FRAMES = 256;

export interface MemPairOptions {
  /** Frames each direction holds before `send` takes no more (256). */
  readonly capacity?: number;
}

class MemEnd implements CableEnd {
  readonly scheme = "mem";
  readonly description: string;
  readonly receiveFd: number;
  readonly sendFd: number;
  peer: MemEnd | undefined;
  readonly #capacity: number;
  readonly #queue: Uint8Array[] = [];
  /** Readable while frames wait here; the peer's send side waits on `#room`. */
  readonly #filled = new Bell();
  readonly #room = new Bell();
  #isOpen = true;

  constructor(description: string, capacity: number) {
    this.description = description;
    this.#capacity = capacity;
    this.receiveFd = this.#filled.fd;
    // An eventfd always polls writable; a full queue is then tried again in the next round.
    this.sendFd = this.#room.fd;
  }

  receive(pool: FramePool, slots: Int32Array, count: number): number {
    let taken = 0;
    while (taken < count) {
      const frame = this.#queue.shift();
      if (frame === undefined) break;
      const slot = slots[taken++]!;
      pool.octets.set(frame, pool.start[slot]);
      pool.length[slot] = frame.length;
    }
    if (taken === 0 && !this.#hasPeer()) return END_CLOSED;
    if (this.#queue.length === 0 && this.#hasPeer()) this.#filled.silence();
    return taken;
  }

  send(pool: FramePool, slots: Int32Array, from: number, count: number): number {
    const peer = this.peer;
    if (peer === undefined || !peer.#isOpen || !this.#isOpen) return END_CLOSED;
    let taken = 0;
    while (taken < count && peer.#queue.length < this.#capacity) {
      peer.#queue.push(pool.frame(slots[from + taken++]!).slice());
    }
    if (taken > 0) peer.#filled.ring();
    return taken;
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (this.peer !== undefined && this.peer.#isOpen) this.peer.#filled.ring();
    this.#filled.close();
    this.#room.close();
  }

  #hasPeer(): boolean {
    return this.peer !== undefined && this.peer.#isOpen;
  }
}

/** Two ends joined in memory; both live on one thread. */
export function memPair(options: MemPairOptions = {}): [CableEnd, CableEnd] {
  const capacity = options.capacity ?? QUEUE_FRAMES;
  const left = new MemEnd("mem left", capacity);
  const right = new MemEnd("mem right", capacity);
  left.peer = right;
  right.peer = left;
  return [left, right];
}
