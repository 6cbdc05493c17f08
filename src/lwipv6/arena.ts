/**
 * The memory of stacks: one piece that holds frames on their way (a FramePool) and blocks for what
 * sockets have sent and received. One arena serves one stack or many; nothing in it moves.
 */
import { FramePool, framePoolOctets, V2Error } from "../base/index.ts";
import { sumOctets } from "../wire/index.ts";
import { vectorMemory, type VectorSums } from "./simd.ts";

/** Octets of a block of stream memory. */
export const BLOCK_OCTETS = 16_384;

/** From this length on the call into WebAssembly pays. */
const VECTOR_OCTETS = 48;

/** A sum of little-endian words as one of words in network order (RFC 1071 §2(B)). */
function swapped(sum: number): number {
  return ((sum & 0xff) << 8) | (sum >>> 8);
}

export interface ArenaOptions {
  /** Frames on their way at once (512). */
  readonly frames?: number;
  /** Blocks of 16 KiB for data that sockets hold (4096: 64 MiB of address space). */
  readonly blocks?: number;
}

/** Frames and blocks; address space is taken at once, memory as it is used. */
export class Arena {
  readonly pool: FramePool;
  /** All of it: frames and blocks. */
  readonly octets: Uint8Array;
  /** The same in words of the host's order. */
  readonly words: Uint32Array;
  readonly blockCount: number;
  readonly #sums: VectorSums | undefined;
  readonly #blocksAt: number;
  readonly #free: Int32Array;
  #freeCount: number;

  /** Throws V2Error ARENA for sizes that make no sense. */
  constructor(options: ArenaOptions = {}) {
    const { frames = 512, blocks = 4096 } = options;
    if (!(frames >= 1 && frames <= 16_384 && blocks >= 1 && blocks <= 65_536)) {
      throw new V2Error("ARENA", `an arena of ${frames} frames and ${blocks} blocks`, {
        remedy: "1 to 16384 frames, 1 to 65536 blocks.",
      });
    }
    this.#blocksAt = Math.ceil(framePoolOctets(frames) / BLOCK_OCTETS) * BLOCK_OCTETS;
    const { buffer: memory, sums } = vectorMemory(this.#blocksAt + blocks * BLOCK_OCTETS);
    this.#sums = sums;
    this.pool = new FramePool(frames, memory);
    this.octets = new Uint8Array(memory);
    this.words = new Uint32Array(memory);
    this.blockCount = blocks;
    this.#free = new Int32Array(blocks);
    for (let i = 0; i < blocks; i++) this.#free[i] = blocks - 1 - i;
    this.#freeCount = blocks;
  }

  /** Blocks that `takeBlock` can still give. */
  get freeBlocks(): number {
    return this.#freeCount;
  }

  /** A free block; -1: none left. */
  takeBlock(): number {
    return this.#freeCount === 0 ? -1 : this.#free[--this.#freeCount]!;
  }

  /** Gives a block back, once. */
  releaseBlock(block: number): void {
    this.#free[this.#freeCount++] = block;
  }

  /** Offset of a block's first octet in `octets`. */
  blockAt(block: number): number {
    return this.#blocksAt + block * BLOCK_OCTETS;
  }

  /** Sum of `octets[from … to)` as of `sumOctets`: add pieces of even length, fold once. */
  sum(from: number, to: number, initial = 0): number {
    if (this.#sums !== undefined && to - from >= VECTOR_OCTETS) {
      return initial + swapped(this.#sums.sum(from, to - from));
    }
    return sumOctets(this.octets, from, to, initial, this.words);
  }

  /** Copies `octets[from … from + length)` to `to` and gives the sum of what was copied. */
  copySum(from: number, to: number, length: number, initial = 0): number {
    if (this.#sums !== undefined && length >= VECTOR_OCTETS) {
      return initial + swapped(this.#sums.copySum(to, from, length));
    }
    this.octets.copyWithin(to, from, from + length);
    return sumOctets(this.octets, to, to + length, initial, this.words);
  }
}
