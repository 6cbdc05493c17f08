/** INIT: what the kernel offers, what is taken of it (struct fuse_init_in, fuse_init_out). */
import { ERRNO } from "../base/index.ts";
import type { FuseReply } from "./reply.ts";
import type { FuseRequest } from "./request.ts";
import { FUSE_MINOR, FUSE_MINOR_LEAST, FUSE_VERSION, INIT } from "./protocol.ts";

const PAGE_OCTETS = 4096;

export interface SessionOptions {
  /** The most that one read or write carries; default 1 MiB. */
  readonly dataOctetsMax?: number;
  /**
   * The page cache collects writes. Only where nobody changes files behind the mount's back; size
   * and mtime of open files are then the kernel's.
   */
  readonly writeback?: boolean;
  /** Files change behind the mount's back: a new mtime or size empties the page cache of a file. */
  readonly changesOutside?: boolean;
  /** open is missing on purpose: answered ENOSYS once, then opening costs no request. */
  readonly noOpen?: boolean;
  readonly noOpendir?: boolean;
}

export const DATA_OCTETS_MAX = 1 << 20;
/** Reads ahead and writes behind that may be under way at once. */
const BACKGROUND_MAX = 64;

/** What was agreed. */
export interface Session {
  readonly minor: number;
  readonly flags: number;
  readonly dataOctetsMax: number;
}

/** Flags that we want; the kernel's offer limits them. */
function wanted(options: SessionOptions): number {
  let flags =
    INIT.asyncRead |
    INIT.bigWrites |
    INIT.asyncDirectIo |
    INIT.parallelDirectoryOperations |
    INIT.readdirplus |
    INIT.readdirplusAuto |
    INIT.maxPages |
    INIT.cacheSymlinks |
    INIT.initExtension;
  if (options.writeback === true) flags |= INIT.writebackCache;
  flags |= options.changesOutside === true ? INIT.autoInvalidateData : INIT.explicitInvalidateData;
  // O_TRUNC comes as a SETATTR: with no-open there is no OPEN that could do it.
  if (options.noOpen === true) flags |= INIT.noOpen;
  if (options.noOpendir === true) flags |= INIT.noOpendir;
  return flags;
}

/**
 * Answers INIT into `reply`.
 * @returns what was agreed; "again" when the kernel has to ask with an older version; or a negative
 *   errno for a kernel that is too old.
 */
export function negotiate(
  request: FuseRequest,
  reply: FuseReply,
  options: SessionOptions,
): Session | "again" | number {
  const major = request.u32(0);
  const kernelMinor = request.u32(4);
  if (major < FUSE_VERSION || (major === FUSE_VERSION && kernelMinor < FUSE_MINOR_LEAST)) {
    return -ERRNO.EPROTO;
  }
  reply.empty();
  if (major > FUSE_VERSION) {
    reply.u32(FUSE_VERSION);
    reply.u32(FUSE_MINOR);
    for (let i = 0; i < 14; i++) reply.u32(0);
    return "again";
  }
  const minor = Math.min(kernelMinor, FUSE_MINOR);
  const flags = (wanted(options) & request.u32(12)) >>> 0;
  const asked = options.dataOctetsMax ?? DATA_OCTETS_MAX;
  // Without max_pages a message is 32 pages at most (FUSE_DEFAULT_MAX_PAGES_PER_REQ).
  const dataOctetsMax = (flags & INIT.maxPages) === 0 ? Math.min(asked, 32 * PAGE_OCTETS) : asked;
  reply.u32(FUSE_VERSION);
  reply.u32(minor);
  reply.u32(Math.max(request.u32(8), dataOctetsMax)); // read-ahead
  reply.u32(flags);
  reply.u16(BACKGROUND_MAX);
  reply.u16((BACKGROUND_MAX * 3) / 4); // when the kernel calls us congested
  reply.u32(dataOctetsMax);
  reply.u32(1); // times are exact to the nanosecond
  reply.u16(dataOctetsMax / PAGE_OCTETS);
  reply.u16(0); // no DAX
  for (let i = 0; i < 8; i++) reply.u32(0);
  return { minor, flags, dataOctetsMax };
}
