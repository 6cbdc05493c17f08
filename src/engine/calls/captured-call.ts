/**
 * A call that names files, as it was made: the words of its registers and its strings, copied out
 * of the caller's memory once. Whatever is decided about it and done for it comes from here.
 */
import { ERRNO } from "../../base/index.ts";
import { AT, type GuestMemory, MemoryBlock, type CallRequest } from "../../sys/index.ts";
import {
  followsLinks,
  type PathPlace,
  type PathShape,
  takesDescriptor,
} from "../../viewos/index.ts";

/** PATH_MAX of linux/limits.h: longest path with its NUL. */
const PATH_OCTETS = 4096;

/** One of the paths of a call. */
export interface CapturedPath {
  /** Ends in NUL. */
  readonly text: MemoryBlock;
  /** Without the NUL. */
  length: number;
  /** Descriptor of the caller where a relative path begins, or AT_FDCWD. */
  directory: number;
}

/** Names another file by an absolute path; false when that is too long. */
export function replacePath(place: CapturedPath, path: Uint8Array): boolean {
  if (path.length >= PATH_OCTETS) return false;
  place.text.octets.set(path);
  place.text.octets[path.length] = 0;
  place.length = path.length;
  place.directory = AT.FDCWD;
  return true;
}

function copyPath(from: CapturedPath, to: CapturedPath): void {
  to.text.octets.set(from.text.octets.subarray(0, from.length + 1));
  to.length = from.length;
  to.directory = from.directory;
}

export class CapturedPathCall {
  shape!: PathShape;
  pid = 0;
  /** AT_* flags of the call. */
  flags = 0;
  /** A symbolic link at the end of the path is followed. */
  follow = true;
  /** 0, or the errno that the call has earned before it could do anything. */
  errno = 0;
  readonly first: CapturedPath = { text: new MemoryBlock(PATH_OCTETS), length: 0, directory: 0 };
  readonly second: CapturedPath = { text: new MemoryBlock(PATH_OCTETS), length: 0, directory: 0 };

  /** Takes over a request; false when the call names no file after all. */
  read(request: CallRequest, shape: PathShape, memory: GuestMemory): boolean {
    this.shape = shape;
    this.pid = request.pid;
    this.flags = shape.flags === -1 ? 0 : request.low(shape.flags);
    this.errno = (this.flags & ~shape.known) === 0 || shape.flags === -1 ? 0 : ERRNO.EINVAL;
    this.follow = followsLinks(shape, this.flags);
    if (shape.first.path === -1) return true;
    const { path } = shape.first;
    // Without a path these are about a descriptor; registers do not change, so the kernel may act.
    const isNull = request.low(path) === 0 && request.high(path) === 0;
    const onDescriptor = shape.operation === "utimens" || (this.flags & AT.EMPTY_PATH) !== 0;
    if (isNull && onDescriptor && shape.first.directory !== -1) return false;
    this.#path(request, shape.first, this.first, memory);
    if (shape.second !== undefined) this.#path(request, shape.second, this.second, memory);
    return true;
  }

  /** The same in memory of its own, for whoever answers later. */
  copy(): CapturedPathCall {
    const copy = new CapturedPathCall();
    copy.shape = this.shape;
    copy.pid = this.pid;
    copy.flags = this.flags;
    copy.follow = this.follow;
    copy.errno = this.errno;
    copyPath(this.first, copy.first);
    copyPath(this.second, copy.second);
    return copy;
  }

  #path(request: CallRequest, place: PathPlace, into: CapturedPath, memory: GuestMemory): void {
    into.directory = place.directory === -1 ? AT.FDCWD : request.low(place.directory) | 0;
    const length = memory.path(request.pid, request.argument(place.path), into.text);
    into.length = Math.max(0, length);
    if (this.errno !== 0) return;
    if (length < 0) this.errno = -length;
    else if (length === 0 && !takesDescriptor(this.shape, this.flags)) this.errno = ERRNO.ENOENT;
  }
}
