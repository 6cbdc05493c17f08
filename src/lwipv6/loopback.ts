/** The loopback link: what is sent comes in again with the stack's next step. */
import type { FramePool } from "../base/index.ts";
import type { Link } from "./interface.ts";

/** Longest IPv4 packet; IPv6 over loopback is no longer. */
const MTU_OCTETS = 65_535;
/** Packets on their way to ourselves; more are dropped. */
const QUEUE_PACKETS = 1024;

/** Slots wait here, retained, until the stack takes them. */
export class LoopbackLink implements Link {
  readonly kind = "loopback";
  readonly mtuOctets = MTU_OCTETS;
  readonly offload = true;
  readonly #queue = new Int32Array(QUEUE_PACKETS);
  #at = 0;
  #count = 0;

  get waiting(): number {
    return this.#count;
  }

  send(pool: FramePool, slots: Int32Array, from: number, count: number): number {
    for (let i = 0; i < count; i++) {
      if (this.#count === QUEUE_PACKETS) return i;
      const slot = slots[from + i]!;
      pool.retain(slot);
      this.#queue[(this.#at + this.#count) % QUEUE_PACKETS] = slot;
      this.#count++;
    }
    return count;
  }

  /** Moves waiting slots to `into`. @returns how many. */
  take(into: Int32Array): number {
    const count = Math.min(this.#count, into.length);
    for (let i = 0; i < count; i++) into[i] = this.#queue[(this.#at + i) % QUEUE_PACKETS]!;
    this.#at = (this.#at + count) % QUEUE_PACKETS;
    this.#count -= count;
    return count;
  }
}
