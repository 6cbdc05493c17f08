/** Open files of a description by paths: their content while somebody has them open. */
import { type Awaitable, copyOctets, ERRNO, type VirtualFiles } from "../base/index.ts";
import { after, isPromise } from "./awaitable.ts";
import { Draft } from "./draft.ts";
import type { Caller } from "./file-system.ts";
import type { PathNode } from "./path-nodes.ts";

/** One opening of a file or directory. */
export interface OpenNode {
  readonly node: PathNode;
  /** Content as it was at the first read: one opening sees one version. */
  content: Awaitable<Uint8Array> | undefined;
  /** Names of a directory, as they were at its start. */
  names: readonly string[] | undefined;
}

export const OPEN_FILES_MAX = 1 << 16;

export class OpenFiles {
  readonly #files: VirtualFiles;
  readonly #byHandle = new Map<number, OpenNode>();
  /** Files that are written, or open without a name; shared by all their openings. */
  readonly #drafts = new Map<PathNode, Awaitable<Draft>>();
  readonly #openings = new Map<PathNode, number>();
  #nextHandle = 1;

  constructor(files: VirtualFiles) {
    this.#files = files;
  }

  /** @returns the handle, or -1 when too many are open. */
  add(node: PathNode): number {
    if (this.#byHandle.size >= OPEN_FILES_MAX) return -1;
    const handle = this.#nextHandle++;
    this.#byHandle.set(handle, { node, content: undefined, names: undefined });
    this.#openings.set(node, (this.#openings.get(node) ?? 0) + 1);
    return handle;
  }

  get(handle: number): OpenNode | undefined {
    return this.#byHandle.get(handle);
  }

  /** Ends an opening; with the last one the content goes. */
  delete(handle: number): void {
    const node = this.#byHandle.get(handle)?.node;
    if (node === undefined) return;
    this.#byHandle.delete(handle);
    const left = (this.#openings.get(node) ?? 1) - 1;
    if (left > 0) this.#openings.set(node, left);
    else {
      this.#openings.delete(node);
      this.#drafts.delete(node);
    }
  }

  /** The draft of a file, if it is written at the moment. */
  draft(node: PathNode): Draft | undefined {
    const draft = this.#drafts.get(node);
    return draft === undefined || isPromise(draft) ? undefined : draft;
  }

  /** Whole content as the description gives it. */
  content(path: string, caller: Caller): Awaitable<Uint8Array> {
    if (this.#files.read === undefined) return new Uint8Array(0);
    return after(this.#files.read(path, caller), (content) =>
      typeof content === "string" ? new TextEncoder().encode(content) : content,
    );
  }

  read(
    node: PathNode,
    offset: number,
    count: number,
    handle: number,
    caller: Caller,
  ): Awaitable<Uint8Array | number> {
    const draft = this.#drafts.get(node);
    if (draft !== undefined) return after(draft, (known) => known.read(offset, count));
    if (this.#files.readAt !== undefined) {
      return after(this.#files.readAt(node.path, offset, count, caller), (piece) =>
        piece.length > count ? piece.subarray(0, count) : piece,
      );
    }
    const file = this.#byHandle.get(handle);
    if (file === undefined) return -ERRNO.EBADF;
    file.content ??= this.#snapshot(file, caller);
    return after(file.content, (content) =>
      content.subarray(Math.min(offset, content.length), Math.min(offset + count, content.length)),
    );
  }

  /** Read once; a failed read is tried again by the next one. */
  #snapshot(file: OpenNode, caller: Caller): Awaitable<Uint8Array> {
    const content = this.content(file.node.path, caller);
    if (!isPromise(content)) return content;
    return content.then(
      (octets) => (file.content = octets),
      (error: unknown) => {
        file.content = undefined;
        throw error;
      },
    );
  }

  /** The draft of a file, begun with its content if need be. */
  #begin(node: PathNode, size: number, caller: Caller): Awaitable<Draft> {
    const known = this.#drafts.get(node);
    if (known !== undefined) return known;
    if (size === 0) {
      const empty = new Draft(new Uint8Array(0));
      this.#drafts.set(node, empty);
      return empty;
    }
    const begun = after(this.content(node.path, caller), (content) => {
      const draft = new Draft(content);
      this.#drafts.set(node, draft);
      return draft;
    });
    if (!isPromise(begun)) return begun;
    this.#drafts.set(node, begun);
    begun.catch(() => this.#drafts.delete(node));
    return begun;
  }

  write(
    node: PathNode,
    offset: number,
    data: Uint8Array,
    _handle: number,
    caller: Caller,
  ): Awaitable<number> {
    if (this.#files.writeAt !== undefined && !node.isRemoved) {
      return after(this.#files.writeAt(node.path, data, offset, caller), () => data.length);
    }
    if (offset + data.length > DRAFT_OCTETS_MAX) return -ERRNO.EFBIG;
    return after(this.#begin(node, -1, caller), (draft) => {
      draft.write(offset, data);
      return data.length;
    });
  }

  /** Cuts or extends a file, open or not. Returns 0 or a negative errno. */
  resize(node: PathNode, size: number, caller: Caller): Awaitable<number> {
    const files = this.#files;
    if (files.truncate !== undefined && !node.isRemoved && !this.#drafts.has(node)) {
      return after(files.truncate(node.path, size, caller), () => 0);
    }
    if (files.write === undefined && !node.isRemoved) return -ERRNO.EPERM;
    if (size > DRAFT_OCTETS_MAX) return -ERRNO.EFBIG;
    return after(this.#begin(node, size, caller), (draft) => {
      draft.resize(size);
      if (this.#openings.has(node)) return 0;
      return after(this.save(node, caller), (result) => {
        this.#drafts.delete(node);
        return result;
      });
    });
  }

  /** Gives what was written to the description. */
  save(node: PathNode, caller: Caller): Awaitable<number> {
    const draft = this.draft(node);
    if (draft === undefined || !draft.isDirty || node.isRemoved) return 0;
    if (this.#files.write === undefined) return 0;
    draft.isDirty = false;
    const saved = copyOctets(draft.content);
    try {
      const written = this.#files.write(node.path, saved, caller);
      if (!isPromise(written)) return 0;
      return Promise.resolve(written).then(
        () => 0,
        (error: unknown) => {
          draft.isDirty = true;
          throw error;
        },
      );
    } catch (error) {
      draft.isDirty = true;
      throw error;
    }
  }

  /** A file is about to lose its name: whoever has it open keeps its content. */
  keep(node: PathNode | undefined, caller: Caller): Awaitable<unknown> {
    if (node === undefined || !this.#openings.has(node) || this.#drafts.has(node)) return undefined;
    if (!node.isFile) return undefined;
    const files = this.#files;
    if (files.readAt === undefined) return this.#begin(node, -1, caller);
    return after(files.stat(node.path, caller), (found) => {
      const size = found?.size ?? 0;
      if (size > KEPT_OCTETS_MAX) return undefined;
      return after(files.readAt!(node.path, 0, size, caller), (content) => {
        this.#drafts.set(node, new Draft(copyOctets(content)));
        return undefined;
      });
    });
  }
}

/** Longest file that is held in memory while it is written; larger ones need `writeAt`: EFBIG. */
const DRAFT_OCTETS_MAX = 2 ** 30;
/** A larger file that is removed while it is open ends there, if its description gives pieces. */
const KEPT_OCTETS_MAX = 64 << 20;
