/**
 * A cable end: the only thing a switch port, a pump or a capture knows of the outside world. Every
 * scheme (vde, tap, packet, stream, mem, null …) is one file that implements this interface, one
 * line in registry.ts, and one line in the conformance suite.
 *
 * Nothing blocks: the caller waits on `receiveFd` and `sendFd` and then calls. Frames travel as
 * slots of a FramePool (base/frame-pool.ts); an end never keeps a slot after the call returns.
 */
import type { FramePool } from "../base/index.ts";

/** Returned by receive and send when the peer is gone for good: close the end. */
export const END_CLOSED = -1;

/** Frames moved by one call at most: what one recvmmsg or sendmmsg carries. */
export const BATCH_FRAMES = 64;
/**
 * Frames that a switch reads at once. Small enough that a station which keeps some 64 frames under
 * way sends the next while these are written: with 64, or 40, the two take turns, each asleep while
 * the other works.
 */
export const READ_FRAMES = 32;

export interface CableEnd {
  /** The scheme of the plug that made it: "vde", "tap", "packet" … */
  readonly scheme: string;
  /** For people: what is at the other side, e.g. "vde:///run/lan" or "tap eth0". */
  readonly description: string;
  /**
   * Descriptor that polls readable when `receive` has something; -1: never (null) or by hand (mem).
   */
  readonly receiveFd: number;
  /** Descriptor that polls writable when `send` can go on after it took less than it was given. */
  readonly sendFd: number;
  /** Polls readable when the peer may have gone: call `receive`, it answers END_CLOSED if so. */
  readonly hangUpFd?: number;
  /**
   * Octets of frames already taken wait inside the end (a stream took half a frame): when `sendFd`
   * polls writable call `send` with count 0.
   */
  readonly hasBacklog?: boolean;
  /**
   * The end gives and takes unfinished frames too (FramePool.offload): super-frames, and frames
   * without a checksum. Any other end is given finished ones only (segmenting-end.ts).
   */
  readonly offload?: boolean;
  /**
   * Reads frames into free slots `slots[0 … count)`, sets `pool.length[slot]` of each one filled,
   * and with `offload` what is left to do to it.
   * @returns frames read, in order from `slots[0]`; 0: none now; END_CLOSED.
   */
  receive(pool: FramePool, slots: Int32Array, count: number): number;
  /**
   * Writes the frames in slots `slots[from … from + count)`.
   * @returns frames taken, in order; fewer than `count`: wait for `sendFd`; END_CLOSED.
   */
  send(pool: FramePool, slots: Int32Array, from: number, count: number): number;
  /** Frees every descriptor and name the end made; idempotent. */
  close(): void;
}
