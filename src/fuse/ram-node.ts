/** Nodes of a file system in memory. */
import type { Attributes } from "./file-system.ts";
import { nameToOctets } from "./names.ts";
import { MODE } from "./protocol.ts";
import { RamContent } from "./ram-content.ts";
import { RamDirectory } from "./ram-directory.ts";

/** A file, directory or link in memory. */
export class RamNode {
  readonly id: number;
  mode: number;
  uid: number;
  gid: number;
  readonly device: number;
  links = 1;
  lookups = 0;
  parent: RamNode | undefined;
  readonly directory: RamDirectory<RamNode> | undefined;
  readonly content: RamContent | undefined;
  target = "";
  xattrs: Map<string, Uint8Array> | undefined;
  atime = 0;
  atimeNs = 0;
  mtime = 0;
  mtimeNs = 0;
  ctime = 0;
  ctimeNs = 0;

  constructor(id: number, mode: number, uid: number, gid: number, device: number) {
    this.id = id;
    this.mode = mode;
    this.uid = uid;
    this.gid = gid;
    this.device = device;
    const type = mode & MODE.type;
    if (type === MODE.directory) this.directory = new RamDirectory();
    if (type === MODE.file) this.content = new RamContent();
  }
}

/** Why a node cannot be used: thrown, and told to the caller as its errno. */
export class RamError extends Error {
  readonly code: string;
  constructor(code: "ESTALE" | "ENOTDIR" | "EINVAL" | "ENOSPC" | "EEXIST") {
    super(code);
    this.code = code;
  }
}

/** What stat(2) says of a node. */
export function fillAttributes(node: RamNode, into: Attributes): void {
  const { content } = node;
  into.inode = node.id;
  into.mode = node.mode;
  into.links = node.links;
  into.uid = node.uid;
  into.gid = node.gid;
  into.device = node.device;
  into.size = content?.size ?? directorySize(node);
  if (node.target !== "") into.size = nameToOctets(node.target).length;
  into.blocks = content === undefined ? 0 : Math.ceil(content.octets / 512);
  into.blockSize = 4096;
  into.atime = node.atime;
  into.atimeNs = node.atimeNs;
  into.mtime = node.mtime;
  into.mtimeNs = node.mtimeNs;
  into.ctime = node.ctime;
  into.ctimeNs = node.ctimeNs;
}

/** As in tmpfs: not 0, which some programs take for "nothing to read". */
function directorySize(node: RamNode): number {
  return node.directory === undefined ? 0 : 20 * (node.directory.size + 2);
}

/** Is `node` that directory, or below it? */
export function isWithin(node: RamNode, directory: RamNode): boolean {
  for (let at: RamNode | undefined = node; at !== undefined; at = at.parent) {
    if (at === directory) return true;
  }
  return false;
}
