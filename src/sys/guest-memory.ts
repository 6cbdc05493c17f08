/** Memory of another process: process_vm_readv(2), process_vm_writev(2). */
import { ERRNO } from "../base/index.ts";
import { declare } from "./libc.ts";
import { MemoryBlock } from "./memory-block.ts";

type Transfer = (
  pid: number,
  local: number,
  localCount: number,
  remote: number,
  remoteCount: number,
  flags: number,
) => number;
const readvCall = declare<Transfer>(
  "long process_vm_readv(int pid, uintptr_t local, unsigned long n, uintptr_t remote, unsigned long m, unsigned long flags)",
);
const writevCall = declare<Transfer>(
  "long process_vm_writev(int pid, uintptr_t local, unsigned long n, uintptr_t remote, unsigned long m, unsigned long flags)",
);

const PAGE = 4096;
const PAGE_BITS = 12;

/** Reads and writes memory of other processes; one buffer for strings, reused. */
export class GuestMemory {
  readonly #block = new MemoryBlock(PAGE);
  readonly #page = this.#block.octets;
  /** struct iovec: address and length, of ours and of theirs. */
  readonly #local = new MemoryBlock(16);
  readonly #remote = new MemoryBlock(16);
  readonly #localView = this.#local.view;
  readonly #remoteView = this.#remote.view;

  /**
   * The NUL-terminated string at an address, without its NUL, at most `limit` octets (with it).
   * @returns undefined when the memory cannot be read (EFAULT); "too long" when no NUL was found.
   */
  string(pid: number, address: bigint, limit: number): Uint8Array | "too long" | undefined {
    // Most strings end in their first page: this is the path of every traced call.
    const here = PAGE - Number(BigInt.asUintN(PAGE_BITS, address));
    const first = this.#read(pid, address, Math.min(here, limit));
    for (let end = 0; end < first; end++) {
      if (this.#page[end] === 0) return this.#page.slice(0, end);
    }
    if (first <= 0) return undefined;
    const parts: Uint8Array[] = [this.#page.slice(0, first)];
    let total = first;
    while (total < limit) {
      // Page by page: a string may end right before memory that is not mapped.
      const at = address + BigInt(total);
      const count = this.#read(pid, at, Math.min(PAGE - Number(at % BigInt(PAGE)), limit - total));
      if (count <= 0) return undefined;
      const end = this.#page.subarray(0, count).indexOf(0);
      parts.push(this.#page.slice(0, end === -1 ? count : end));
      total += count;
      if (end !== -1) return concatenate(parts);
    }
    return "too long";
  }

  /**
   * Copies the string at an address with its NUL.
   * @returns its length, or -EFAULT, or -ENAMETOOLONG when `into` holds no NUL
   */
  path(pid: number, address: bigint, into: MemoryBlock, limit = into.octets.length): number {
    const { octets } = into;
    const here = PAGE - Number(BigInt.asUintN(PAGE_BITS, address));
    this.#remoteView.setBigUint64(0, address, true);
    let total = 0;
    while (total < limit) {
      // Page by page: a string may end right before memory that is not mapped.
      const count = Math.min(total === 0 ? here : PAGE, limit - total);
      if (total > 0) this.#remoteView.setBigUint64(0, address + BigInt(total), true);
      const got = this.#transfer(readvCall, pid, into.address + total, count);
      for (let at = total; at < total + got; at++) if (octets[at] === 0) return at;
      if (got !== count) return -ERRNO.EFAULT;
      total += got;
    }
    return -ERRNO.ENAMETOOLONG;
  }

  /** Exactly `length` octets (4096 at most) at an address; undefined when they cannot be read. */
  octets(pid: number, address: bigint, length: number): Uint8Array | undefined {
    if (length === 0) return new Uint8Array(0);
    if (length > PAGE || this.#read(pid, address, length) !== length) return undefined;
    return this.#page.slice(0, length);
  }

  /** Fills the first `length` octets of `into` from an address; false when that cannot be read. */
  read(pid: number, address: bigint, into: MemoryBlock, length: number): boolean {
    if (length === 0) return true;
    this.#remoteView.setBigUint64(0, address, true);
    return this.#transfer(readvCall, pid, into.address, length) === length;
  }

  /** Writes the first `length` octets to an address; false when not all can be written there. */
  write(pid: number, address: bigint, from: MemoryBlock, length: number): boolean {
    if (length === 0) return true;
    this.#remoteView.setBigUint64(0, address, true);
    return this.#transfer(writevCall, pid, from.address, length) === length;
  }

  /** Writes octets of any array to an address; false when not all can be written there. */
  writeOctets(pid: number, address: bigint, octets: Uint8Array): boolean {
    return this.write(pid, address, MemoryBlock.of(octets), octets.length);
  }

  #read(pid: number, address: bigint, length: number): number {
    this.#remoteView.setBigUint64(0, address, true);
    return this.#transfer(readvCall, pid, this.#block.address, length);
  }

  #transfer(call: Transfer, pid: number, local: number, length: number): number {
    this.#localView.setUint32(0, local >>> 0, true);
    this.#localView.setUint32(4, Math.floor(local / 2 ** 32), true);
    this.#localView.setUint32(8, length, true);
    this.#remoteView.setUint32(8, length, true);
    return call(pid, this.#local.address, 1, this.#remote.address, 1, 0);
  }
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
