/**
 * One request of the kernel, read where it lies. A `FuseRequest` owns the buffer that the device is
 * read into and is used again and again; `take` checks the size of the message and the ends of its
 * names, after which every field of that opcode can be read. Octets from anywhere never throw.
 */
import { decodeName } from "./names.ts";
import { IN_HEADER, OPCODE } from "./protocol.ts";

/** Fixed octets after the header, and names (ended by NUL) after these. */
interface Shape {
  readonly octets: number;
  readonly names: number;
}

const shape = (octets: number, names = 0): Shape => ({ octets, names });

/** By opcode; what is not here carries nothing that we read. */
const SHAPES: ReadonlyMap<number, Shape> = new Map([
  [OPCODE.lookup, shape(0, 1)],
  [OPCODE.forget, shape(8)],
  [OPCODE.getattr, shape(16)],
  [OPCODE.setattr, shape(88)],
  [OPCODE.symlink, shape(0, 2)],
  [OPCODE.mknod, shape(16, 1)],
  [OPCODE.mkdir, shape(8, 1)],
  [OPCODE.unlink, shape(0, 1)],
  [OPCODE.rmdir, shape(0, 1)],
  [OPCODE.rename, shape(8, 2)],
  [OPCODE.link, shape(8, 1)],
  [OPCODE.open, shape(8)],
  [OPCODE.read, shape(40)],
  [OPCODE.write, shape(40)],
  [OPCODE.release, shape(24)],
  [OPCODE.fsync, shape(16)],
  [OPCODE.setxattr, shape(8, 1)],
  [OPCODE.getxattr, shape(8, 1)],
  [OPCODE.listxattr, shape(8)],
  [OPCODE.removexattr, shape(0, 1)],
  [OPCODE.flush, shape(24)],
  [OPCODE.init, shape(16)],
  [OPCODE.opendir, shape(8)],
  [OPCODE.readdir, shape(40)],
  [OPCODE.releasedir, shape(24)],
  [OPCODE.fsyncdir, shape(16)],
  [OPCODE.access, shape(8)],
  [OPCODE.create, shape(16, 1)],
  [OPCODE.interrupt, shape(8)],
  [OPCODE.ioctl, shape(32)],
  [OPCODE.poll, shape(24)],
  [OPCODE.batchForget, shape(8)],
  [OPCODE.fallocate, shape(32)],
  [OPCODE.readdirplus, shape(40)],
  [OPCODE.rename2, shape(16, 2)],
  [OPCODE.lseek, shape(24)],
  [OPCODE.copyFileRange, shape(56)],
]);
const NOTHING = shape(0);

/** Why a message is refused. */
export type RequestProblem =
  | "no header"
  | "wrong length"
  | "too short"
  | "name without end"
  | "bad name"
  | "too little data";

const HIGH = 2 ** 32;
const SLASH = 0x2f;

/** A message of the kernel, and the buffer that it was read into. */
export class FuseRequest {
  /** What the device is read into. */
  readonly octets: Uint8Array;
  readonly #view: DataView;
  #length = 0;
  #names = 0;
  /** Ends of the first and of the second name: where their NULs are. */
  #firstEnd = 0;
  #secondEnd = 0;

  /** @param octets room for the largest write of the mount, plus a page. */
  constructor(octets: Uint8Array) {
    this.octets = octets;
    this.#view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  }

  /**
   * Takes the message of `length` octets that was read into the buffer.
   * @returns what is wrong with it; undefined: all fields of its opcode can be read.
   */
  take(length: number): RequestProblem | undefined {
    this.#length = length;
    if (length < IN_HEADER.octets) return "no header";
    if (this.#view.getUint32(IN_HEADER.length, true) !== length) return "wrong length";
    const { octets, names } = SHAPES.get(this.opcode) ?? NOTHING;
    this.#names = IN_HEADER.octets + octets;
    if (length < this.#names) return "too short";
    if (names > 0) {
      this.#firstEnd = this.octets.indexOf(0, this.#names);
      if (this.#firstEnd < 0 || this.#firstEnd >= length) return "name without end";
      if (!this.#isName(this.#names, this.#firstEnd)) return "bad name";
    }
    if (names > 1) {
      this.#secondEnd = this.octets.indexOf(0, this.#firstEnd + 1);
      if (this.#secondEnd < 0 || this.#secondEnd >= length) return "name without end";
      // The second string of SYMLINK is a path.
      const isName = this.#isName(this.#firstEnd + 1, this.#secondEnd);
      if (!isName && this.opcode !== OPCODE.symlink) return "bad name";
    }
    return this.#dataFits() ? undefined : "too little data";
  }

  /** A name of an entry or an attribute: not empty, no slash within an entry's. */
  #isName(from: number, to: number): boolean {
    if (to === from) return false;
    const { opcode } = this;
    if (opcode >= OPCODE.setxattr && opcode <= OPCODE.removexattr) return true;
    for (let at = from; at < to; at++) if (this.octets[at] === SLASH) return false;
    return true;
  }

  #dataFits(): boolean {
    const room = this.#length - IN_HEADER.octets;
    switch (this.opcode) {
      case OPCODE.write:
        return room - 40 >= this.size;
      case OPCODE.setxattr:
        return this.#length - this.#firstEnd - 1 >= this.u32(0);
      case OPCODE.batchForget:
        return (room - 8) / 16 >= this.u32(0);
      default:
        return true;
    }
  }

  /** Octets of the message. */
  get length(): number {
    return this.#length;
  }

  get opcode(): number {
    return this.#view.getUint32(IN_HEADER.opcode, true);
  }

  /** Names the request in its reply; even, and below 2^53 for centuries. */
  get unique(): number {
    return this.#u64(IN_HEADER.unique);
  }

  get node(): number {
    return this.#u64(IN_HEADER.node);
  }

  get uid(): number {
    return this.#view.getUint32(IN_HEADER.uid, true);
  }

  get gid(): number {
    return this.#view.getUint32(IN_HEADER.gid, true);
  }

  /** Thread in the pid namespace of the mounter; 0: the kernel itself, or not visible there. */
  get pid(): number {
    return this.#view.getUint32(IN_HEADER.pid, true);
  }

  /** A 32-bit field, counted from the end of the header. */
  u32(at: number): number {
    return this.#view.getUint32(IN_HEADER.octets + at, true);
  }

  /** A 64-bit field, counted from the end of the header; exact below 2^53. */
  u64(at: number): number {
    return this.#u64(IN_HEADER.octets + at);
  }

  #u64(at: number): number {
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * HIGH;
  }

  /** A signed 64-bit field: times before 1970. */
  s64(at: number): number {
    const place = IN_HEADER.octets + at;
    return this.#view.getUint32(place, true) + this.#view.getInt32(place + 4, true) * HIGH;
  }

  /** The first name. */
  get name(): string {
    return decodeName(this.octets, this.#names, this.#firstEnd);
  }

  /** The second name, or the target of a symbolic link. */
  get secondName(): string {
    return decodeName(this.octets, this.#firstEnd + 1, this.#secondEnd);
  }

  get firstNameOctets(): number {
    return this.#firstEnd - this.#names;
  }

  get secondNameOctets(): number {
    return this.#secondEnd - this.#firstEnd - 1;
  }

  /** READ, WRITE, READDIR: open file, place, octets. */
  get handle(): number {
    return this.u64(0);
  }

  get offset(): number {
    return this.u64(8);
  }

  get size(): number {
    return this.u32(16);
  }

  /** Data of WRITE: a window of the buffer, gone with the next request. */
  get data(): Uint8Array {
    const start = IN_HEADER.octets + 40;
    return this.octets.subarray(start, start + this.size);
  }

  /** Value of SETXATTR: a window of the buffer. */
  get value(): Uint8Array {
    return this.octets.subarray(this.#firstEnd + 1, this.#firstEnd + 1 + this.u32(0));
  }
}
