/**
 * Memory in an anonymous file (memfd_create(2)), mapped: who holds a descriptor of the file sees
 * what is written, also after the writer was killed.
 */
import { fstatSync, ftruncateSync } from "node:fs";
import { check, declare, mappedMemory } from "./libc.ts";
import { closeDescriptor } from "./session-socket.ts";

const memfdCreate = declare<(name: string, flags: number) => number>(
  "int memfd_create(const char *name, unsigned int flags)",
);
const mmapCall = declare<
  (a: null, octets: number, protection: number, flags: number, fd: number, at: number) => bigint
>("void *mmap(void *address, size_t octets, int protection, int flags, int fd, long at)");
const munmapCall = declare<(address: bigint, octets: number) => number>(
  "int munmap(uintptr_t address, size_t octets)",
);

const MFD_CLOEXEC = 1;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

/** A mapped file; `close` it, and touch its memory no more after that. */
export class SharedMemory {
  readonly descriptor: number;
  readonly octets: Uint8Array;
  readonly view: DataView;
  /** A pointer for calls that are declared with `uintptr_t`. */
  readonly address: number;
  readonly #start: bigint;

  /** @param descriptor of the file, which is mapped as long as it is; taken over */
  constructor(descriptor: number) {
    this.descriptor = descriptor;
    const length = fstatSync(descriptor).size;
    this.#start = mmapCall(null, length, PROT_READ_WRITE, MAP_SHARED, descriptor, 0);
    if (this.#start === MAP_FAILED) check(-1, "mmap");
    const buffer = mappedMemory(this.#start, length);
    this.octets = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.address = Number(this.#start);
  }

  /** A new file. @param length in octets; they are zero */
  static make(name: string, length: number): SharedMemory {
    const descriptor = check(memfdCreate(name, MFD_CLOEXEC), "memfd_create", name);
    ftruncateSync(descriptor, length);
    return new SharedMemory(descriptor);
  }

  /** Unmaps the memory; the file stays. */
  unmap(): void {
    munmapCall(this.#start, this.octets.length);
  }

  /** Unmaps the memory and closes the file. */
  close(): void {
    this.unmap();
    closeDescriptor(this.descriptor);
  }
}
