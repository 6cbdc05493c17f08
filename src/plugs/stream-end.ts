/**
 * stream: frames with a 16-bit length on two octet streams (vde/framing.ts): the standard input and
 * output of a plug, a child process, a pipe through ssh, a serial line.
 */
import type { FramePool } from "../base/index.ts";
import { closeFd, isTransient, readFd, setNonBlocking, writeFd } from "../sys/index.ts";
import { emitFramed, FrameReader, STREAM_FRAME_OCTETS_MAX } from "../vde/index.ts";
import { type CableEnd, END_CLOSED } from "./end.ts";

/** Room for frames on their way out: one write carries what fits. */
const WRITE_OCTETS = 4 * (STREAM_FRAME_OCTETS_MAX + 2);

export interface StreamEndOptions {
  readonly scheme?: string;
  readonly description: string;
  readonly readFd: number;
  readonly writeFd: number;
  /** Called once when the end closes, after the descriptors. */
  readonly onClose?: () => void;
}

/** An end on two descriptors, which it owns. */
export class StreamEnd implements CableEnd {
  readonly scheme: string;
  readonly description: string;
  readonly receiveFd: number;
  readonly sendFd: number;
  /** Frames too long for the 16-bit length: not sent. */
  oversize = 0;
  readonly #reader = new FrameReader();
  readonly #out = new Uint8Array(WRITE_OCTETS);
  readonly #onClose: (() => void) | undefined;
  #outFrom = 0;
  #outTo = 0;
  #isOpen = true;

  /** Takes over both descriptors (they may be one) and makes them non-blocking. */
  constructor(options: StreamEndOptions) {
    this.scheme = options.scheme ?? "stream";
    this.description = options.description;
    this.receiveFd = options.readFd;
    this.sendFd = options.writeFd;
    this.#onClose = options.onClose;
    setNonBlocking(this.receiveFd);
    setNonBlocking(this.sendFd);
  }

  get hasBacklog(): boolean {
    return this.#outTo > this.#outFrom;
  }

  /** Frames of the other side that ended in the middle. */
  get truncated(): number {
    return this.#reader.truncated;
  }

  receive(pool: FramePool, slots: Int32Array, count: number): number {
    let taken = this.#take(pool, slots, 0, count);
    // Whole frames left behind in the buffer would not make the descriptor readable again.
    while (taken < count) {
      const at = this.#reader.fillAt;
      const octets = readFd(this.receiveFd, this.#reader.buffer.subarray(at));
      if (octets <= 0) {
        if (octets < 0 && isTransient(-octets)) return taken;
        if (taken > 0) return taken;
        this.#reader.end();
        return END_CLOSED;
      }
      this.#reader.filled(octets);
      taken = this.#take(pool, slots, taken, count);
    }
    return taken;
  }

  send(pool: FramePool, slots: Int32Array, from: number, count: number): number {
    if (!this.#flush()) return END_CLOSED;
    if (this.hasBacklog) return 0;
    let taken = 0;
    while (taken < count) {
      const slot = slots[from + taken]!;
      const end = emitFramed(pool, slot, this.#out, this.#outTo);
      if (end !== -1) {
        this.#outTo = end;
        taken++;
      } else if (pool.length[slot]! > STREAM_FRAME_OCTETS_MAX) {
        this.oversize++;
        taken++;
      } else {
        if (!this.#flush()) return END_CLOSED;
        if (this.hasBacklog) return taken;
      }
    }
    return this.#flush() ? taken : END_CLOSED;
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeFd(this.receiveFd);
    if (this.sendFd !== this.receiveFd) closeFd(this.sendFd);
    this.#onClose?.();
  }

  #take(pool: FramePool, slots: Int32Array, from: number, count: number): number {
    let taken = from;
    while (taken < count && this.#reader.take(pool, slots[taken]!)) taken++;
    return taken;
  }

  /** Writes what waits, as far as it goes. @returns false when the other side is gone. */
  #flush(): boolean {
    while (this.#outTo > this.#outFrom) {
      const waiting =
        this.#outFrom === 0 ? this.#out : this.#out.subarray(this.#outFrom, this.#outTo);
      const octets = writeFd(this.sendFd, waiting, this.#outTo - this.#outFrom);
      if (octets < 0) return isTransient(-octets);
      this.#outFrom += octets;
    }
    this.#outFrom = 0;
    this.#outTo = 0;
    return true;
  }
}
