/**
 * `tap`: a TAP interface of the calling thread's network namespace; one read or write is one frame.
 */
import { closeSync } from "node:fs";
import { ERRNO, FRAME_OCTETS_MAX, type FramePool } from "../base/index.ts";
import { addressOf, errno, openOffloadTap, openTap, readFrame, writeFrame } from "../sys/index.ts";
import { readVnetHeader, VNET_HEADER_OCTETS, writeVnetHeader } from "../wire/index.ts";
import { type CableEnd, END_CLOSED } from "./end.ts";

/** Read in one call at most, so that what is handed on is still in the processor's cache. */
const BATCH_OCTETS = 1 << 19;

/** `tap`: a TAP device of this process; one frame per read(2) and write(2) (tun(4)). */
export class TapEnd implements CableEnd {
  readonly scheme = "tap";
  readonly description: string;
  readonly receiveFd: number;
  readonly sendFd: number;
  readonly offload: boolean;
  /** Frames the interface did not want: it is down, or the frame is shorter than a header. */
  refusedSent = 0;
  /** Octets in front of each frame. */
  readonly #head: number;
  #isOpen = true;

  /**
   * @param offload frames may be unfinished, both ways.
   * @throws V2Error TAP_UNAVAILABLE, EPERM, EBUSY, INTERFACE_NAME.
   */
  constructor(name: string, offload = false) {
    this.description = `tap ${name}`;
    this.offload = offload;
    this.#head = offload ? VNET_HEADER_OCTETS : 0;
    this.receiveFd = offload ? openOffloadTap(name) : openTap(name);
    this.sendFd = this.receiveFd;
  }

  receive(pool: FramePool, slots: Int32Array, count: number): number {
    const head = this.#head;
    const base = Number(addressOf(pool.octets)) - head;
    const room = FRAME_OCTETS_MAX + head;
    let octets = 0;
    let i = 0;
    while (i < count && octets < BATCH_OCTETS) {
      const slot = slots[i]!;
      const length = readFrame(this.receiveFd, base + pool.start[slot]!, room);
      if (length === -1) return i > 0 || !isGone(errno()) ? i : END_CLOSED;
      octets += length;
      pool.length[slot] = length - head;
      // The kernel's headers make sense; one that does not is not a frame to hand on.
      if (!this.offload || readVnetHeader(pool, slot)) i++;
    }
    return i;
  }

  send(pool: FramePool, slots: Int32Array, from: number, count: number): number {
    const head = this.#head;
    const base = Number(addressOf(pool.octets)) - head;
    for (let i = 0; i < count; i++) {
      const slot = slots[from + i]!;
      if (this.offload) writeVnetHeader(pool, slot);
      const length = pool.length[slot]! + head;
      if (writeFrame(this.sendFd, base + pool.start[slot]!, length) !== -1) continue;
      const reason = errno();
      if (reason === ERRNO.EAGAIN) return i;
      if (isGone(reason)) return i > 0 ? i : END_CLOSED;
      // The interface is down (EIO) or the frame is no frame: a card would drop it too.
      this.refusedSent++;
    }
    return count;
  }

  close(): void {
    if (this.#isOpen) closeSync(this.receiveFd);
    this.#isOpen = false;
  }
}

/** EBADFD (77): the interface was deleted under us. */
function isGone(reason: number): boolean {
  return reason === 77 || reason === ERRNO.EBADF;
}
