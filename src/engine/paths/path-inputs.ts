/**
 * The arguments of a path call behind its path: numbers from its registers, and what they point to
 * in the caller's memory, copied once. Nothing of it is looked at again later.
 */
import { ERRNO } from "../../base/index.ts";
import { type GuestMemory, MemoryBlock, type CallRequest, O } from "../../sys/index.ts";
import type { PathShape } from "../../viewos/index.ts";

/** Flags that openat knows; it ignores others, openat2 refuses them (linux/fcntl.h). */
const OPEN_FLAGS_KNOWN = 0o37777703;
const OPEN_FLAGS_OF_PATH = O.DIRECTORY | O.NOFOLLOW | O.PATH | O.CLOEXEC;
const PERMISSIONS = 0o7777;
const OPEN_HOW_OCTETS = 24;
const PAGE = 4096;
/** XATTR_NAME_MAX with its NUL, XATTR_SIZE_MAX (linux/limits.h). */
const ATTRIBUTE_NAME_OCTETS = 256;
const ATTRIBUTE_OCTETS_MAX = 65536;
const SHORT_ID_NONE = 0xffff;
const ID_NONE = 0xffffffff;
const NANOSECONDS_PER_MICROSECOND = 1000;
const MICROSECONDS_MAX = 999_999;

export class PathInputs {
  /** Flags of open, rename, setxattr, mask of statx and of a watch. */
  flags = 0;
  mode = 0;
  /** RESOLVE_* that an openat2 asks for. */
  resolve = 0;
  uid = 0;
  gid = 0;
  device = 0;
  length = 0n;
  /** Two struct timespec; undefined: now. */
  times: Uint8Array | undefined;
  /** Target of a symbolic link, name of an attribute; ends in NUL. */
  readonly text = new MemoryBlock(PAGE);
  value = new MemoryBlock(0);
  /** Room that the caller gives for the result, and where. */
  size = 0;
  output = 0n;
  /** A second place for results. */
  output2 = 0n;

  /** Reads the arguments of a call. @returns 0 or the errno */
  read(request: CallRequest, shape: PathShape, memory: GuestMemory): number {
    const { rest } = shape;
    switch (shape.operation) {
      case "open":
        return this.#open(request, shape, memory);
      case "stat":
        this.output = request.argument(shape.call.name === "statx" ? rest + 2 : rest);
        this.flags = request.low(rest + 1);
        return 0;
      case "statfs":
        this.output = request.argument(shape.call.name === "statfs64" ? rest + 1 : rest);
        this.size = request.low(rest);
        // struct statfs64 with or without the octets that align it.
        if (shape.call.name !== "statfs64") return 0;
        return this.size === 84 || this.size === 88 ? 0 : ERRNO.EINVAL;
      case "access":
      case "chmod":
      case "mkdir":
        this.mode = request.low(rest);
        return 0;
      case "mknod":
        this.mode = request.low(rest);
        this.device = request.low(rest + 1);
        return 0;
      case "readlink":
        this.output = request.argument(rest);
        this.size = request.low(rest + 1) | 0;
        return this.size <= 0 ? ERRNO.EINVAL : 0;
      case "rename":
        this.flags = shape.call.name === "renameat2" ? request.low(rest) : 0;
        return 0;
      case "symlink":
        return this.#string(request, 0, memory, PAGE);
      case "chown":
        this.#owner(request, shape);
        return 0;
      case "truncate":
        return this.#truncate(request, shape);
      case "utimens":
        return this.#times(request, shape, memory);
      case "watch":
        this.flags = request.low(rest);
        return 0;
      case "handle":
        return this.#handle(request, rest, memory);
      case "getxattr":
      case "setxattr":
      case "listxattr":
      case "removexattr":
        return this.#attribute(request, shape, memory);
      default:
        return 0;
    }
  }

  #open(request: CallRequest, shape: PathShape, memory: GuestMemory): number {
    const { rest } = shape;
    this.resolve = 0;
    if (shape.call.name === "openat2") return this.#openHow(request, memory);
    const creat = shape.call.name === "creat";
    let flags = creat ? O.CREAT | O.WRONLY | O.TRUNC : request.low(rest) & OPEN_FLAGS_KNOWN;
    if ((flags & O.PATH) !== 0) flags &= OPEN_FLAGS_OF_PATH;
    else if (!shape.compatible) flags |= O.LARGEFILE;
    const makes = (flags & (O.CREAT | O.TMPFILE)) !== 0;
    this.flags = flags;
    this.mode = makes ? request.low(creat ? rest : rest + 1) & PERMISSIONS : 0;
    return 0;
  }

  /** struct open_how: flags, mode, resolve; what is behind it must be zero. */
  #openHow(request: CallRequest, memory: GuestMemory): number {
    const size = Number(request.argument(3));
    if (size < OPEN_HOW_OCTETS) return ERRNO.EINVAL;
    if (size > PAGE) return ERRNO.E2BIG;
    const how = memory.octets(request.pid, request.argument(2), size);
    if (how === undefined) return ERRNO.EFAULT;
    if (how.subarray(OPEN_HOW_OCTETS).some((octet) => octet !== 0)) return ERRNO.E2BIG;
    const view = new DataView(how.buffer);
    if ([4, 12, 20].some((at) => view.getUint32(at, true) !== 0)) return ERRNO.EINVAL;
    this.flags = view.getUint32(0, true);
    this.mode = view.getUint32(8, true);
    this.resolve = view.getUint32(16, true);
    return 0;
  }

  #string(request: CallRequest, index: number, memory: GuestMemory, limit: number): number {
    const length = memory.path(request.pid, request.argument(index), this.text, limit);
    if (length < 0) return -length === ERRNO.ENAMETOOLONG && limit < PAGE ? ERRNO.ERANGE : -length;
    return length > 0 ? 0 : limit < PAGE ? ERRNO.ERANGE : ERRNO.ENOENT;
  }

  #owner(request: CallRequest, shape: PathShape): void {
    const wide = (value: number): number =>
      shape.compatible && /^l?chown$/.test(shape.call.name)
        ? (value & SHORT_ID_NONE) === SHORT_ID_NONE
          ? ID_NONE
          : value & SHORT_ID_NONE
        : value;
    this.uid = wide(request.low(shape.rest));
    this.gid = wide(request.low(shape.rest + 1));
  }

  #truncate(request: CallRequest, shape: PathShape): number {
    const { rest } = shape;
    if (!shape.compatible) this.length = BigInt.asIntN(64, request.argument(rest));
    else if (shape.call.name === "truncate") this.length = BigInt(request.low(rest) | 0);
    else {
      const whole = (BigInt(request.low(rest + 1)) << 32n) | BigInt(request.low(rest));
      this.length = BigInt.asIntN(64, whole);
    }
    return this.length < 0n ? ERRNO.EINVAL : 0;
  }

  /** utime has seconds, utimes and futimesat microseconds, utimensat nanoseconds. */
  #times(request: CallRequest, shape: PathShape, memory: GuestMemory): number {
    const { name } = shape.call;
    const address = request.argument(shape.rest);
    this.times = undefined;
    if (address === 0n) return 0;
    const wide = !shape.compatible || name === "utimensat_time64";
    const word = wide ? 8 : 4;
    const words = name === "utime" ? 2 : 4;
    const raw = memory.octets(request.pid, address, words * word);
    if (raw === undefined) return ERRNO.EFAULT;
    const view = new DataView(raw.buffer);
    const at = (i: number): bigint =>
      wide ? view.getBigInt64(8 * i, true) : BigInt(view.getInt32(4 * i, true));
    const times = new BigInt64Array(4);
    for (let i = 0; i < 2; i++) {
      times[2 * i] = at(name === "utime" ? i : 2 * i);
      let fraction = name === "utime" ? 0n : at(2 * i + 1);
      if (name === "utimes" || name === "futimesat") {
        if (fraction < 0n || fraction > BigInt(MICROSECONDS_MAX)) return ERRNO.EINVAL;
        fraction *= BigInt(NANOSECONDS_PER_MICROSECOND);
      }
      times[2 * i + 1] = fraction;
    }
    this.times = new Uint8Array(times.buffer);
    return 0;
  }

  /** struct file_handle: octets of the handle, its type, the handle. */
  #handle(request: CallRequest, rest: number, memory: GuestMemory): number {
    const HANDLE_OCTETS_MAX = 128;
    this.output = request.argument(rest);
    this.output2 = request.argument(rest + 1);
    const head = memory.octets(request.pid, this.output, 4);
    if (head === undefined) return ERRNO.EFAULT;
    this.size = new DataView(head.buffer).getUint32(0, true);
    return this.size > HANDLE_OCTETS_MAX ? ERRNO.EINVAL : 0;
  }

  #attribute(request: CallRequest, shape: PathShape, memory: GuestMemory): number {
    const { operation, call } = shape;
    // In the *at calls the flags stand between the path and the rest.
    let at = call.name.endsWith("at") ? shape.rest + 1 : shape.rest;
    if (operation !== "listxattr") {
      const failure = this.#string(request, at++, memory, ATTRIBUTE_NAME_OCTETS);
      if (failure !== 0) return failure;
    }
    if (operation === "removexattr") return 0;
    const inMemory = call.name.endsWith("at") && operation !== "listxattr";
    if (inMemory) {
      // struct xattr_args: address u64, size u32, flags u32.
      if (request.low(at + 1) < 16) return ERRNO.EINVAL;
      const args = memory.octets(request.pid, request.argument(at), 16);
      if (args === undefined) return ERRNO.EFAULT;
      const view = new DataView(args.buffer);
      this.output = view.getBigUint64(0, true);
      this.size = view.getUint32(8, true);
      this.flags = view.getUint32(12, true);
    } else {
      this.output = request.argument(at);
      this.size = request.low(at + 1);
      this.flags = operation === "setxattr" ? request.low(at + 2) : 0;
    }
    if (operation !== "setxattr") {
      this.size = Math.min(this.size, ATTRIBUTE_OCTETS_MAX);
      return 0;
    }
    if (this.size > ATTRIBUTE_OCTETS_MAX) return ERRNO.E2BIG;
    this.value = new MemoryBlock(this.size);
    return memory.read(request.pid, this.output, this.value, this.size) ? 0 : ERRNO.EFAULT;
  }
}

/** errno of an attribute name that is empty or too long (xattr(7)). */
