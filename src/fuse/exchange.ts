/** One request on its way to its reply: the buffers, and the values that the file system fills. */
import {
  type AttributeChange,
  type Attributes,
  blankAttributes,
  type Caller,
  type Entry,
  type OpenFile,
  type Totals,
} from "./file-system.ts";
import { blankEntry, FuseReply, ReplyDirectoryList } from "./reply.ts";
import { FuseRequest } from "./request.ts";

/** Room beside the data of the largest write: header, fields, names. */
export const OVERHEAD_OCTETS = 4096;

/** SETATTR's fields, read from the request (struct fuse_setattr_in). */
class RequestedChange implements AttributeChange {
  readonly #request: FuseRequest;

  constructor(request: FuseRequest) {
    this.#request = request;
  }

  get fields(): number {
    return this.#request.u32(0);
  }
  get handle(): number {
    return this.#request.u64(8);
  }
  get size(): number {
    return this.#request.u64(16);
  }
  get atime(): number {
    return this.#request.s64(32);
  }
  get mtime(): number {
    return this.#request.s64(40);
  }
  get atimeNs(): number {
    return this.#request.u32(56);
  }
  get mtimeNs(): number {
    return this.#request.u32(60);
  }
  get mode(): number {
    return this.#request.u32(68);
  }
  get uid(): number {
    return this.#request.u32(76);
  }
  get gid(): number {
    return this.#request.u32(80);
  }
}

/** Everything that one request needs, used again for the next one. */
export class Exchange implements Caller {
  readonly request: FuseRequest;
  readonly reply: FuseReply;
  readonly entry: Entry = blankEntry();
  readonly attributes: Attributes = blankAttributes();
  readonly opened: OpenFile = { handle: 0, flags: 0 };
  readonly totals: Totals = {
    blockSize: 4096,
    blocks: 0,
    blocksFree: 0,
    blocksAvailable: 0,
    files: 0,
    filesFree: 0,
    nameOctetsMax: 255,
  };
  readonly change: AttributeChange;
  readonly list: ReplyDirectoryList;
  /** The caller has its EINTR; a late answer is thrown away. */
  isInterrupted = false;
  #abort: AbortController | undefined;

  /** @param dataOctetsMax the most that one read or write carries. */
  constructor(dataOctetsMax: number) {
    this.request = new FuseRequest(new Uint8Array(dataOctetsMax + OVERHEAD_OCTETS));
    this.reply = new FuseReply(new Uint8Array(dataOctetsMax + OVERHEAD_OCTETS));
    this.change = new RequestedChange(this.request);
    this.list = new ReplyDirectoryList(this.reply);
  }

  get uid(): number {
    return this.request.uid;
  }

  get gid(): number {
    return this.request.gid;
  }

  get pid(): number {
    return this.request.pid;
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    return this.#abort.signal;
  }

  /** The caller does not wait any longer. */
  interrupt(): void {
    this.isInterrupted = true;
    this.#abort?.abort();
  }

  /** Ready for the next request. */
  reset(): void {
    this.isInterrupted = false;
    this.#abort = undefined;
  }
}
