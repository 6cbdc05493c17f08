/** Small parts of file systems that are described by paths. */
import type { AttributeChange, Attributes } from "./file-system.ts";
import type { PathNode } from "./path-nodes.ts";
import { CHANGE, MODE } from "./protocol.ts";
import { splitTime, type VirtualChange } from "../base/index.ts";

/** An answer of the description that cannot be right. */
export class NodeError extends Error {
  readonly code: string;
  constructor(code: "ENOENT" | "ESTALE" | "ENFILE" | "EINVAL") {
    super(code);
    this.code = code;
  }
}

/** Not 0, which some programs take for "nothing to read". */
export const DIRECTORY_OCTETS = 4096;
/** Fields of a change that are about the size alone. */
export const RESIZING = CHANGE.size | CHANGE.handle;
/** What libfuse says too where a number is not known; 0 would hide the name from some programs. */
export const UNKNOWN_INODE = 0xffff_ffff;

/** Inode of a name in a list. */
export function inodeHint(node: PathNode | undefined): number {
  return node?.inode ?? UNKNOWN_INODE;
}

/** Foreign: a description may list anything. */
export function isName(name: unknown): name is string {
  return typeof name === "string" && name !== "" && !name.includes("/") && !name.includes("\0");
}

/** The one time that a description gives is all three. */
export function setTimes(attributes: Attributes, ms: number): void {
  const { seconds, nanoseconds } = splitTime(ms);
  attributes.atime = attributes.mtime = attributes.ctime = seconds;
  attributes.atimeNs = attributes.mtimeNs = attributes.ctimeNs = nanoseconds;
}

/** The fields of a change that count, in the words of a description. */
export function wished(change: AttributeChange): VirtualChange {
  const { fields } = change;
  return {
    ...((fields & CHANGE.mode) === 0 ? {} : { mode: change.mode & MODE.permissions }),
    ...((fields & CHANGE.uid) === 0 ? {} : { uid: change.uid }),
    ...((fields & CHANGE.gid) === 0 ? {} : { gid: change.gid }),
    ...((fields & CHANGE.atime) === 0
      ? {}
      : { atimeMs: change.atime * 1000 + change.atimeNs / 1e6 }),
    ...((fields & CHANGE.mtime) === 0
      ? {}
      : { mtimeMs: change.mtime * 1000 + change.mtimeNs / 1e6 }),
  };
}
