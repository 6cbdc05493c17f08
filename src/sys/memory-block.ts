/**
 * Memory that is handed to the kernel again and again. Its address is asked for once: for a call
 * that is made for every trapped call, an address costs a fifth of an array.
 */
import { addressOf } from "./libc.ts";

/** Octets that never move, and where they are. */
export class MemoryBlock {
  readonly octets: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  /** A pointer for calls that are declared with `uintptr_t`. */
  readonly address: number;

  /** @param length in octets; they are zero */
  constructor(length: number) {
    // Arrays without a buffer of their own may lie where the garbage collector moves them.
    const buffer = new ArrayBuffer(length);
    this.octets = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.address = Number(addressOf(this.octets));
  }

  /** A copy of octets, with a NUL behind them. */
  static of(octets: Uint8Array): MemoryBlock {
    const block = new MemoryBlock(octets.length + 1);
    block.octets.set(octets);
    return block;
  }
}
