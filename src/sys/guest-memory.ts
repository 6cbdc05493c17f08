/** Memory of another process: process_vm_readv(2), process_vm_writev(2). */
import { ERRNO } from "../base/index.ts";
import { addressOf, declare } from "./libc.ts";

const readvCall = declare<
  (
    pid: number,
    local: Uint8Array,
    localCount: number,
    remote: Uint8Array,
    remoteCount: number,
    flags: number,
  ) => number
>(
  "long process_vm_readv(int pid, void *local, unsigned long n, void *remote, unsigned long m, unsigned long flags)",
);

const writevCall = declare<typeof readvCall>(
  "long process_vm_writev(int pid, void *local, unsigned long n, void *remote, unsigned long m, unsigned long flags)",
);

const PAGE = 4096;
const PAGE_BITS = 12;

/** Reads and writes memory of other processes; one buffer for strings, reused. */
export class GuestMemory {
  readonly #page = new Uint8Array(PAGE);
  readonly #local = new BigUint64Array([addressOf(this.#page), 0n]);
  readonly #remote = new BigUint64Array(2);
  readonly #other = new BigUint64Array(2);
  readonly #otherOctets = new Uint8Array(this.#other.buffer);
  readonly #localWords = new Uint32Array(this.#local.buffer);
  readonly #remoteWords = new Uint32Array(this.#remote.buffer);
  readonly #localOctets = new Uint8Array(this.#local.buffer);
  readonly #remoteOctets = new Uint8Array(this.#remote.buffer);

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
  path(pid: number, address: bigint, into: Uint8Array): number {
    const here = PAGE - Number(BigInt.asUintN(PAGE_BITS, address));
    let total = 0;
    while (total < into.length) {
      // Page by page: a string may end right before memory that is not mapped.
      const count = Math.min(total === 0 ? here : PAGE, into.length - total);
      const target = addressOf(into) + BigInt(total);
      const got = this.#transfer(readvCall, pid, address + BigInt(total), target, count);
      for (let at = total; at < total + got; at++) if (into[at] === 0) return at;
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

  /** Fills `into` from an address; false when not all of it can be read. */
  read(pid: number, address: bigint, into: Uint8Array): boolean {
    if (into.length === 0) return true;
    return this.#transfer(readvCall, pid, address, addressOf(into), into.length) === into.length;
  }

  /** Writes octets to an address; false when not all of them can be written there. */
  write(pid: number, address: bigint, from: Uint8Array, length = from.length): boolean {
    if (length === 0) return true;
    return this.#transfer(writevCall, pid, address, addressOf(from), length) === length;
  }

  #transfer(
    call: typeof readvCall,
    pid: number,
    address: bigint,
    local: bigint,
    length: number,
  ): number {
    this.#other[0] = local;
    this.#other[1] = BigInt(length);
    this.#remote[0] = address;
    this.#remoteWords[2] = length;
    return call(pid, this.#otherOctets, 1, this.#remoteOctets, 1, 0);
  }

  #read(pid: number, address: bigint, length: number): number {
    this.#localWords[2] = length;
    this.#remote[0] = address;
    this.#remoteWords[2] = length;
    return readvCall(pid, this.#localOctets, 1, this.#remoteOctets, 1, 0);
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
