/** From a request to the file system's function, and from its outcome to the body of a reply. */
import { ERRNO } from "../base/index.ts";
import type { Exchange } from "./exchange.ts";
import { type FileSystem, unchangeable } from "./file-system.ts";
import { FSYNC_DATA_ONLY, GETATTR_HANDLE, NAME_OCTETS_MAX, OPCODE } from "./protocol.ts";

/** 0 or a count, data, a string; or a negative errno. */
export type Answer = number | Uint8Array | string;

const NO_HANDLE = -1;

/** Asks the file system. The request has been checked by `take`. */
export function call(files: FileSystem, x: Exchange): Answer | Promise<Answer> {
  const { request } = x;
  const { node } = request;
  if (request.firstNameOctets > NAME_OCTETS_MAX && hasName(request.opcode)) {
    return -ERRNO.ENAMETOOLONG;
  }
  switch (request.opcode) {
    case OPCODE.lookup:
      return files.lookup(node, request.name, x.entry, x);
    case OPCODE.getattr: {
      const handle = (request.u32(0) & GETATTR_HANDLE) !== 0 ? request.u64(8) : NO_HANDLE;
      return files.getattr(node, x.attributes, handle, x);
    }
    case OPCODE.setattr:
      return files.setattr?.(node, x.change, x.attributes, x) ?? unchangeable(files);
    case OPCODE.read:
      return files.read?.(node, request.offset, request.size, request.handle, x) ?? -ERRNO.EIO;
    case OPCODE.write:
      return files.write?.(node, request.offset, request.data, request.handle, x) ?? -ERRNO.EROFS;
    case OPCODE.readdir:
    case OPCODE.readdirplus:
      x.list.begin(request.size, request.opcode === OPCODE.readdirplus);
      return files.readdir?.(node, request.offset, x.list, request.handle, x) ?? -ERRNO.ENOTDIR;
    case OPCODE.statfs:
      return files.statfs?.(node, x.totals, x) ?? 0;
    case OPCODE.access:
      return files.access?.(node, request.u32(0), x) ?? -ERRNO.ENOSYS;
    case OPCODE.readlink:
      return files.readlink?.(node, x) ?? -ERRNO.EINVAL;
    case OPCODE.ioctl:
      return -ERRNO.ENOTTY;
    case OPCODE.destroy:
      files.destroy?.();
      return 0;
    default:
      return (
        callOnOpenFile(files, x) ??
        callOnDirectory(files, x) ??
        callOnMore(files, x) ??
        -ERRNO.ENOSYS
      );
  }
}

/** Does the first name of this opcode name an entry of a directory? */
function hasName(opcode: number): boolean {
  switch (opcode) {
    case OPCODE.lookup:
    case OPCODE.symlink:
    case OPCODE.mknod:
    case OPCODE.mkdir:
    case OPCODE.unlink:
    case OPCODE.rmdir:
    case OPCODE.rename:
    case OPCODE.rename2:
    case OPCODE.link:
    case OPCODE.create:
      return true;
    default:
      return false;
  }
}

type MaybeAnswer = Answer | Promise<Answer> | undefined;

function callOnOpenFile(files: FileSystem, x: Exchange): MaybeAnswer {
  const { request } = x;
  const { node } = request;
  const dataOnly = (flags: number): boolean => (flags & FSYNC_DATA_ONLY) !== 0;
  x.opened.handle = 0;
  x.opened.flags = 0;
  switch (request.opcode) {
    case OPCODE.open:
      return files.open?.(node, request.u32(0), x.opened, x);
    case OPCODE.opendir:
      return files.opendir?.(node, request.u32(0), x.opened, x);
    case OPCODE.create:
      return files.create?.(
        node,
        request.name,
        request.u32(4),
        request.u32(0),
        x.entry,
        x.opened,
        x,
      );
    case OPCODE.flush:
      return files.flush?.(node, request.handle, x);
    case OPCODE.release:
      return files.release?.(node, request.handle, x) ?? 0;
    case OPCODE.releasedir:
      return files.releasedir?.(node, request.handle) ?? 0;
    case OPCODE.fsync:
      return files.fsync?.(node, request.handle, dataOnly(request.u32(8)), x);
    case OPCODE.fsyncdir:
      return files.fsyncdir?.(node, request.handle, dataOnly(request.u32(8)), x);
    default:
      return undefined;
  }
}

function callOnDirectory(files: FileSystem, x: Exchange): MaybeAnswer {
  const { request } = x;
  const { node } = request;
  switch (request.opcode) {
    case OPCODE.mknod:
      return (
        files.mknod?.(node, request.name, request.u32(0), request.u32(4), x.entry, x) ??
        unchangeable(files)
      );
    case OPCODE.mkdir:
      return files.mkdir?.(node, request.name, request.u32(0), x.entry, x) ?? unchangeable(files);
    case OPCODE.symlink:
      return (
        files.symlink?.(node, request.name, request.secondName, x.entry, x) ?? unchangeable(files)
      );
    case OPCODE.link:
      return files.link?.(request.u64(0), node, request.name, x.entry, x) ?? unchangeable(files);
    case OPCODE.unlink:
      return files.unlink?.(node, request.name, x) ?? unchangeable(files);
    case OPCODE.rmdir:
      return files.rmdir?.(node, request.name, x) ?? unchangeable(files);
    case OPCODE.rename:
    case OPCODE.rename2: {
      if (request.secondNameOctets > NAME_OCTETS_MAX) return -ERRNO.ENAMETOOLONG;
      const flags = request.opcode === OPCODE.rename2 ? request.u32(8) : 0;
      const { name, secondName } = request;
      return (
        files.rename?.(node, name, request.u64(0), secondName, flags, x) ?? unchangeable(files)
      );
    }
    default:
      return undefined;
  }
}

function callOnMore(files: FileSystem, x: Exchange): MaybeAnswer {
  const { request } = x;
  const { node } = request;
  switch (request.opcode) {
    case OPCODE.setxattr:
      return files.setxattr?.(node, request.name, request.value, request.u32(4), x);
    case OPCODE.getxattr:
      return files.getxattr?.(node, request.name, x);
    case OPCODE.listxattr:
      return files.listxattr?.(node, x);
    case OPCODE.removexattr:
      return files.removexattr?.(node, request.name, x);
    case OPCODE.lseek:
      return files.lseek?.(node, request.u64(8), request.u32(16), request.handle, x);
    case OPCODE.fallocate: {
      const length = request.u64(16);
      return files.fallocate?.(node, request.u32(24), request.u64(8), length, request.handle, x);
    }
    case OPCODE.copyFileRange: {
      const from = { node, handle: request.handle, offset: request.u64(8) };
      const to = { node: request.u64(16), handle: request.u64(24), offset: request.u64(32) };
      return files.copyFileRange?.(from, to, request.u64(40), x);
    }
    default:
      return undefined;
  }
}

/** From here on data is sent from where it lies instead of being copied into the reply. */
const COPIED_OCTETS_MAX = 8192;

/**
 * Writes the body of the reply.
 * @returns 0 or a negative errno for the header; or data to be sent behind the reply.
 */
export function encode(x: Exchange, answer: Answer): number | Uint8Array {
  const { reply, request } = x;
  if (typeof answer === "number" && answer < 0) return answer;
  const { opcode } = request;
  if (opcode !== OPCODE.readdir && opcode !== OPCODE.readdirplus) reply.empty();
  if (typeof answer === "string") {
    if (answer.length * 3 > reply.room) return -ERRNO.ENAMETOOLONG;
    reply.text(answer);
    return 0;
  }
  if (typeof answer !== "number") return encodeData(x, answer);
  switch (opcode) {
    case OPCODE.lookup:
    case OPCODE.mknod:
    case OPCODE.mkdir:
    case OPCODE.symlink:
    case OPCODE.link:
      reply.entry(x.entry);
      return 0;
    case OPCODE.getattr:
    case OPCODE.setattr:
      reply.attributes(x.attributes, answer);
      return 0;
    case OPCODE.create:
      reply.entry(x.entry);
      reply.opened(x.opened);
      return 0;
    case OPCODE.open:
    case OPCODE.opendir:
      reply.opened(x.opened);
      return 0;
    case OPCODE.write:
    case OPCODE.copyFileRange:
      reply.u32(answer);
      reply.u32(0);
      return 0;
    case OPCODE.statfs:
      reply.totals(x.totals);
      return 0;
    case OPCODE.lseek:
      reply.u64(answer);
      return 0;
    default:
      return 0;
  }
}

function encodeData({ reply, request }: Exchange, data: Uint8Array): number | Uint8Array {
  const { opcode } = request;
  if (opcode === OPCODE.getxattr || opcode === OPCODE.listxattr) {
    const size = request.u32(0);
    // A size of 0 asks how long the value is (struct fuse_getxattr_out).
    if (size === 0) {
      reply.u32(data.length);
      reply.u32(0);
      return 0;
    }
    if (data.length > size) return -ERRNO.ERANGE;
  } else if (data.length > request.size) return -ERRNO.EIO;
  if (data.length > COPIED_OCTETS_MAX) return data;
  reply.data(data);
  return 0;
}
