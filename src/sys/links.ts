/**
 * Looking at paths that are octets, not text: one character per octet (latin1), so that every name
 * that a file can have is kept. Sources: readlink(2), faccessat(2).
 */
import { ERRNO } from "../base/index.ts";
import { declare, errno } from "./libc.ts";

const readlinkCall = declare<(path: Uint8Array, buffer: Uint8Array, size: number) => number>(
  "long readlink(void *path, void *buffer, unsigned long size)",
);
const accessCall = declare<(path: Uint8Array, mode: number) => number>(
  "int access(void *path, int mode)",
);

/** PATH_MAX with its NUL. */
const PATH_OCTETS_MAX = 4096;
const X_OK = 1;

/** Octets of a path, one per character. */
export function pathOctets(path: string): Uint8Array {
  return Buffer.from(path, "latin1");
}

/** A path of octets, one character each. */
export function pathText(octets: Uint8Array): string {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString("latin1");
}

/** Reads links; its two buffers are used again and again. */
export class LinkReader {
  readonly #path = Buffer.alloc(PATH_OCTETS_MAX + 1);
  readonly #text = Buffer.alloc(PATH_OCTETS_MAX);

  /** Where a link leads; undefined when there is no link. */
  read(path: string): string | undefined {
    if (!this.#put(path)) return undefined;
    const length = readlinkCall(this.#path, this.#text, PATH_OCTETS_MAX);
    return length < 0 ? undefined : this.#text.toString("latin1", 0, length);
  }

  /** 0 when that is a directory whose entries may be reached, else the errno. */
  directory(path: string): number {
    if (!this.#put(path.endsWith("/") ? path : `${path}/`)) return ERRNO.ENAMETOOLONG;
    return accessCall(this.#path, X_OK) === 0 ? 0 : errno();
  }

  #put(path: string): boolean {
    if (path.length > PATH_OCTETS_MAX) return false;
    this.#path[this.#path.write(path, 0, "latin1")] = 0;
    return true;
  }
}
