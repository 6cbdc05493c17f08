/**
 * Batches of datagrams: recvmmsg(2) and sendmmsg(2) between one descriptor and the slots of a
 * FramePool. Headers and I/O vectors are laid out once; a call only writes the addresses of the
 * slots, so nothing is copied and nothing is allocated per frame. One object serves any number of
 * descriptors on a thread.
 */
import { FRAME_OCTETS_MAX, type FramePool } from "../base/index.ts";
import { addressOf, declare, errno, type Pointer } from "./libc.ts";

const libcRecvmmsg = declare<
  (fd: number, headers: Pointer, count: number, flags: number, timeout: Pointer) => number
>("int recvmmsg(int fd, void *msgvec, unsigned int vlen, int flags, void *timeout)");
const libcSendmmsg = declare<
  (fd: number, headers: Pointer, count: number, flags: number) => number
>("int sendmmsg(int fd, void *msgvec, unsigned int vlen, int flags)");

/** struct mmsghdr with its struct msghdr, 64-bit (bits/socket.h); offsets in octets. */
export const MMSGHDR = { octets: 64, iov: 16, iovlen: 24, flags: 48, len: 56 } as const;
/** struct iovec, 64-bit (bits/types/struct_iovec.h). */
export const IOVEC = { octets: 16, base: 0, len: 8 } as const;

const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const WORD = 4;
const TWO_32 = 0x1_0000_0000;

/** One direction: `count` headers, each with one vector behind it. */
class Messages {
  readonly headers: Uint8Array;
  readonly words: Uint32Array;
  readonly vectorsAt: number;

  constructor(count: number) {
    this.vectorsAt = count * MMSGHDR.octets;
    this.headers = new Uint8Array(count * (MMSGHDR.octets + IOVEC.octets));
    this.words = new Uint32Array(this.headers.buffer);
    const view = new DataView(this.headers.buffer);
    const base = addressOf(this.headers);
    for (let i = 0; i < count; i++) {
      const header = i * MMSGHDR.octets;
      view.setBigUint64(
        header + MMSGHDR.iov,
        base + BigInt(this.vectorsAt + i * IOVEC.octets),
        true,
      );
      view.setBigUint64(header + MMSGHDR.iovlen, 1n, true);
    }
  }
}

/** Message headers for one pool; used by one thread. */
export class MmsgBatch {
  /** Datagrams longer than a slot: cut by the kernel, handed on with length 0. */
  truncated = 0;
  readonly #pool: FramePool;
  readonly #incoming: Messages;
  readonly #outgoing: Messages;
  readonly #baseLow: number;
  readonly #baseHigh: number;
  readonly #head: number;
  /** Start of the slot that incoming vector `i` points to. */
  readonly #loaded: Float64Array;

  /**
   * @param frames most frames of one call.
   * @param headOctets of each datagram stand before the frame, in the room of its slot (0).
   */
  constructor(pool: FramePool, frames: number, headOctets = 0) {
    this.#head = headOctets;
    this.#pool = pool;
    this.#incoming = new Messages(frames);
    this.#outgoing = new Messages(frames);
    const base = Number(addressOf(pool.octets));
    this.#baseLow = base % TWO_32;
    this.#baseHigh = Math.floor(base / TWO_32);
    this.#loaded = new Float64Array(frames).fill(-1);
    for (let i = 0; i < frames; i++) {
      this.#incoming.words[(this.#incoming.vectorsAt + i * IOVEC.octets + IOVEC.len) / WORD] =
        FRAME_OCTETS_MAX + headOctets;
    }
  }

  /**
   * Receives into `slots[0 … count)` and sets their lengths; never waits.
   * @returns datagrams received, or -errno (-EAGAIN: none).
   */
  receive(fd: number, slots: Int32Array, count: number): number {
    const { words, vectorsAt, headers } = this.#incoming;
    const { start, length } = this.#pool;
    const loaded = this.#loaded;
    const head = this.#head;
    for (let i = 0; i < count; i++) {
      const at = start[slots[i]!]! - head;
      if (loaded[i] !== at) {
        loaded[i] = at;
        this.#pointAt(words, (vectorsAt + i * IOVEC.octets) / WORD, at);
      }
    }
    const received = libcRecvmmsg(fd, headers, count, MSG_DONTWAIT, null);
    if (received < 0) return -errno();
    for (let i = 0; i < received; i++) {
      const header = (i * MMSGHDR.octets) / WORD;
      if ((words[header + MMSGHDR.flags / WORD]! & MSG_TRUNC) !== 0) {
        this.truncated++;
        length[slots[i]!] = 0;
      } else {
        // Nothing but a head, or less than one: no frame.
        const octets = words[header + MMSGHDR.len / WORD]!;
        length[slots[i]!] = octets > head ? octets - head : 0;
      }
    }
    return received;
  }

  /**
   * Sends the frames of `slots[from … from + count)`; never waits.
   * @returns datagrams sent, or -errno when the first of them could not be.
   */
  send(fd: number, slots: Int32Array, from: number, count: number): number {
    const { words, vectorsAt, headers } = this.#outgoing;
    const { start, length } = this.#pool;
    const head = this.#head;
    let vector = vectorsAt / WORD;
    for (let i = 0; i < count; i++) {
      const slot = slots[from + i]!;
      this.#pointAt(words, vector, start[slot]! - head);
      words[vector + IOVEC.len / WORD] = length[slot]! + head;
      vector += IOVEC.octets / WORD;
    }
    const sent = libcSendmmsg(fd, headers, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? -errno() : sent;
  }

  /** Writes the 64-bit address of pool octet `at` as two words. */
  #pointAt(words: Uint32Array, vector: number, at: number): void {
    const low = this.#baseLow + at;
    if (low < TWO_32) {
      words[vector] = low;
      words[vector + 1] = this.#baseHigh;
    } else {
      words[vector] = low - TWO_32;
      words[vector + 1] = this.#baseHigh + 1;
    }
  }
}
