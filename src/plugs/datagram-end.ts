/** One frame per datagram on a connected, non-blocking socket: the data side of every VDE cable. */
import { BATCH_FRAMES, type CableEnd, END_CLOSED } from "./end.ts";
import { readVnetHeader, VNET_HEADER_OCTETS, writeVnetHeader } from "../wire/index.ts";
import { ERRNO, type FramePool } from "../base/index.ts";
import { closeFd, isTransient, MmsgBatch, receiveOctets } from "../sys/index.ts";

/**
 * Send buffer of data sockets. Between two unix sockets the sender's buffer is the only queue; the
 * default holds 278 short frames or 4 of 65 000 octets, this one ten times as many.
 */
export const SEND_BUFFER_OCTETS = 1 << 20;
/** The same where super-frames pass: some 60 of them. */
export const OFFLOAD_SEND_BUFFER_OCTETS = 1 << 22;

/** Message headers that the ends of one thread share, for the frames of one pool. */
export class DatagramBatches {
  readonly plain: MmsgBatch;
  /** With a header in front of each frame. */
  readonly offload: MmsgBatch;

  constructor(pool: FramePool) {
    this.plain = new MmsgBatch(pool, BATCH_FRAMES);
    this.offload = new MmsgBatch(pool, BATCH_FRAMES, VNET_HEADER_OCTETS);
  }

  /** Datagrams longer than a slot. */
  get truncated(): number {
    return this.plain.truncated + this.offload.truncated;
  }
}

export interface DatagramEndOptions {
  readonly scheme: string;
  readonly description: string;
  readonly fd: number;
  /** Closes with the end, and its end of file closes the end: the control stream of a VDE cable. */
  readonly controlFd?: number;
  /** Each datagram starts with a virtio-net header, as agreed on with the peer (false). */
  readonly offload?: boolean;
  /** Headers shared by the ends of one thread that use one pool; without it the end has its own. */
  readonly batches?: DatagramBatches;
}

/** An end on a connected datagram socket, which it owns. */
export class DatagramEnd implements CableEnd {
  readonly scheme: string;
  readonly description: string;
  readonly receiveFd: number;
  readonly sendFd: number;
  readonly hangUpFd?: number;
  readonly offload: boolean;
  /** Datagrams whose header makes no sense: not handed on. */
  malformed = 0;
  /** Frames longer than the socket's send buffer: not sent. */
  oversize = 0;
  readonly #controlFd: number;
  #batch: MmsgBatch | undefined;
  #batchPool: FramePool | undefined;
  /** Where octets go that a peer sends on a stream where nothing is to be said. */
  readonly #scratch = new Uint8Array(64);
  #isOpen = true;

  constructor(options: DatagramEndOptions) {
    this.scheme = options.scheme;
    this.description = options.description;
    this.receiveFd = options.fd;
    this.sendFd = options.fd;
    this.#controlFd = options.controlFd ?? -1;
    if (options.controlFd !== undefined) this.hangUpFd = options.controlFd;
    this.offload = options.offload === true;
    const { batches } = options;
    this.#batch = this.offload ? batches?.offload : batches?.plain;
  }

  receive(pool: FramePool, slots: Int32Array, count: number): number {
    const received = this.#batchOf(pool).receive(this.receiveFd, slots, count);
    if (received > 0) return this.offload ? this.#readHeaders(pool, slots, received) : received;
    if (received < 0 && isGone(-received)) return END_CLOSED;
    return this.#hasHungUp() ? END_CLOSED : 0;
  }

  send(pool: FramePool, slots: Int32Array, from: number, count: number): number {
    if (count === 0) return 0;
    if (this.offload) {
      for (let i = from; i < from + count; i++) writeVnetHeader(pool, slots[i]!);
    }
    const sent = this.#batchOf(pool).send(this.sendFd, slots, from, count);
    if (sent >= 0) return sent;
    if (sent === -ERRNO.EMSGSIZE) {
      this.oversize++;
      return 1;
    }
    return isTransient(-sent) ? 0 : END_CLOSED;
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeFd(this.receiveFd);
    closeFd(this.#controlFd);
  }

  #batchOf(pool: FramePool): MmsgBatch {
    if (this.#batch === undefined || (this.#batchPool ?? pool) !== pool) {
      const head = this.offload ? VNET_HEADER_OCTETS : 0;
      this.#batch = new MmsgBatch(pool, BATCH_FRAMES, head);
    }
    this.#batchPool = pool;
    return this.#batch;
  }

  /** Keeps the frames whose header makes sense, in front. @returns how many. */
  #readHeaders(pool: FramePool, slots: Int32Array, received: number): number {
    let kept = 0;
    for (let i = 0; i < received; i++) {
      const slot = slots[i]!;
      if (pool.length[slot] === 0 || !readVnetHeader(pool, slot)) {
        this.malformed++;
        continue;
      }
      slots[i] = slots[kept]!;
      slots[kept++] = slot;
    }
    return kept;
  }

  /** The control stream carries nothing, so anything but "not now" on it is its end. */
  #hasHungUp(): boolean {
    if (this.#controlFd === -1) return false;
    const octets = receiveOctets(this.#controlFd, this.#scratch);
    return octets === 0 || (octets < 0 && !isTransient(-octets));
  }
}

/** A reset of a datagram peer is news, not the end: the control stream decides that. */
function isGone(number: number): boolean {
  return !isTransient(number) && number !== ERRNO.ECONNRESET && number !== ERRNO.ECONNREFUSED;
}
