/**
 * The memory of one recvmmsg(2) or sendmmsg(2) call: an mmsghdr, an iovec and perhaps a control
 * buffer for each frame, laid out once and only patched afterwards (LP64: x86_64, aarch64).
 */
import { addressOf } from "./libc.ts";

/** Offsets in struct mmsghdr. */
const HEADER = { octets: 64, iovec: 16, iovecCount: 24, control: 32, controlLength: 40, flags: 48 };
const HEADER_LENGTH = 56;
const IOVEC_OCTETS = 16;
/** struct cmsghdr in front of the control data. */
const CONTROL_HEADER_OCTETS = 16;
const TWO_TO_32 = 0x1_0000_0000;

export class MessageBatch {
  /** The mmsghdr array, to be handed to the kernel. */
  readonly headers: Uint8Array;
  /** Control buffers of all frames; a frame's data starts at `controlData(index)`. */
  readonly control: DataView;
  readonly #view: DataView;
  /** Kept here because the kernel knows only its address. */
  readonly #iovecs: Uint8Array;
  readonly #iovecView: DataView;
  readonly #controlOctets: number;
  readonly #controlDataOctets: number;

  /** @param controlData octets of one control message to be received with each frame; 0: none. */
  constructor(frames: number, controlData: number) {
    this.headers = new Uint8Array(frames * HEADER.octets);
    this.#view = new DataView(this.headers.buffer);
    this.#iovecs = new Uint8Array(frames * IOVEC_OCTETS);
    this.#iovecView = new DataView(this.#iovecs.buffer);
    this.#controlDataOctets = controlData;
    this.#controlOctets =
      controlData === 0 ? 0 : CONTROL_HEADER_OCTETS + Math.ceil(controlData / 8) * 8;
    const control = new Uint8Array(Math.max(1, frames * this.#controlOctets));
    this.control = new DataView(control.buffer);
    const iovecsAt = addressOf(this.#iovecs);
    const controlAt = addressOf(control);
    for (let i = 0; i < frames; i++) {
      const at = i * HEADER.octets;
      this.#view.setBigUint64(at + HEADER.iovec, iovecsAt + BigInt(i * IOVEC_OCTETS), true);
      this.#view.setUint32(at + HEADER.iovecCount, 1, true);
      if (controlData === 0) continue;
      const own = controlAt + BigInt(i * this.#controlOctets);
      this.#view.setBigUint64(at + HEADER.control, own, true);
    }
  }

  /** Points message `index` at a frame's memory, by address and room (or length) in octets. */
  prepare(index: number, address: number, octets: number): void {
    const at = index * IOVEC_OCTETS;
    // setUint32 takes the value modulo 2^32.
    this.#iovecView.setUint32(at, address % TWO_TO_32, true);
    this.#iovecView.setUint32(at + 4, address / TWO_TO_32, true);
    this.#iovecView.setUint32(at + 8, octets, true);
    this.#view.setUint32(index * HEADER.octets + HEADER.controlLength, this.#controlOctets, true);
  }

  /** Octets the kernel moved for message `index`. */
  length(index: number): number {
    return this.#view.getUint32(index * HEADER.octets + HEADER_LENGTH, true);
  }

  /** MSG_* flags the kernel set for message `index`. */
  flags(index: number): number {
    return this.#view.getUint32(index * HEADER.octets + HEADER.flags, true);
  }

  /** True when message `index` came with all of its control data. */
  hasControl(index: number): boolean {
    const length = this.#view.getUint32(index * HEADER.octets + HEADER.controlLength, true);
    return length >= CONTROL_HEADER_OCTETS + this.#controlDataOctets;
  }

  /** Offset in `control` of the control data of message `index`. */
  controlData(index: number): number {
    return index * this.#controlOctets + CONTROL_HEADER_OCTETS;
  }
}
