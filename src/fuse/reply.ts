/** Replies and notifications, written into a buffer that is used again and again. */
import { encodeName, nameOctets } from "./names.ts";
import {
  type Attributes,
  blankAttributes,
  type DirectoryList,
  type Entry,
  type OpenFile,
  type Totals,
} from "./file-system.ts";
import { OUT_HEADER } from "./protocol.ts";

const HIGH = 2 ** 32;
const START = OUT_HEADER.octets;
/** struct fuse_attr, fuse_entry_out, fuse_attr_out, fuse_open_out. */
export const ATTR_OCTETS = 88;
export const ENTRY_OUT_OCTETS = 128;
const ATTR_OUT_OCTETS = 16 + ATTR_OCTETS;
const OPEN_OUT_OCTETS = 16;
/** struct fuse_dirent without its name; records begin at multiples of 8. */
const DIRENT_OCTETS = 24;

/** A reply under construction. The body begins at 16, after the header. */
export class FuseReply {
  readonly octets: Uint8Array;
  readonly #view: DataView;
  /** Octets of header and body together. */
  length: number = START;

  constructor(octets: Uint8Array) {
    this.octets = octets;
    this.#view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  }

  /** Octets that a body may have. */
  get room(): number {
    return this.octets.length - START;
  }

  /**
   * Writes the header in front of a body.
   * @param outcome 0, or a negative errno, of which a reply has no body.
   * @param dataOctets of data that is sent behind the buffer.
   */
  head(unique: number, outcome: number, dataOctets = 0): void {
    if (outcome < 0) this.length = START;
    this.#view.setUint32(OUT_HEADER.length, this.length + dataOctets, true);
    this.#view.setInt32(OUT_HEADER.error, outcome, true);
    this.#put64(OUT_HEADER.unique, unique);
  }

  #put64(at: number, value: number): void {
    const high = Math.floor(value / HIGH);
    this.#view.setUint32(at, value - high * HIGH, true);
    this.#view.setUint32(at + 4, high, true);
  }

  /** No body. */
  empty(): void {
    this.length = START;
  }

  /** Appends a 32-bit field. */
  u32(value: number): void {
    this.#view.setUint32(this.length, value, true);
    this.length += 4;
  }

  u16(value: number): void {
    this.#view.setUint16(this.length, value, true);
    this.length += 2;
  }

  /** Appends a 64-bit field. */
  u64(value: number): void {
    this.#put64(this.length, value);
    this.length += 8;
  }

  /** Appends octets; the caller has seen that they fit. */
  data(octets: Uint8Array): void {
    this.octets.set(octets, this.length);
    this.length += octets.length;
  }

  /** Appends a string, as octets of a name. */
  text(text: string): void {
    this.length += encodeName(text, this.octets, this.length);
  }

  /** struct fuse_entry_out. */
  entry(entry: Entry): void {
    const at = this.length;
    this.#put64(at, entry.node);
    this.#put64(at + 8, entry.generation);
    this.#ttl(at + 16, at + 32, entry.nameTtl);
    this.#ttl(at + 24, at + 36, entry.attributesTtl);
    this.#attributes(at + 40, entry.attributes);
    this.length = at + ENTRY_OUT_OCTETS;
  }

  /** struct fuse_attr_out. */
  attributes(attributes: Attributes, ttl: number): void {
    const at = this.length;
    this.#ttl(at, at + 8, ttl);
    this.#view.setUint32(at + 12, 0, true);
    this.#attributes(at + 16, attributes);
    this.length = at + ATTR_OUT_OCTETS;
  }

  /** Seconds, and nanoseconds elsewhere. The kernel takes the largest number as "for ever". */
  #ttl(secondsAt: number, nanosecondsAt: number, ttl: number): void {
    const view = this.#view;
    if (!(ttl < HIGH)) {
      view.setUint32(secondsAt, 0xffff_ffff, true);
      view.setUint32(secondsAt + 4, 0xffff_ffff, true);
      view.setUint32(nanosecondsAt, 0, true);
      return;
    }
    const seconds = Math.floor(ttl);
    view.setUint32(secondsAt, seconds, true);
    view.setUint32(secondsAt + 4, 0, true);
    view.setUint32(nanosecondsAt, (ttl - seconds) * 1e9, true);
  }

  #attributes(at: number, attributes: Attributes): void {
    const view = this.#view;
    this.#put64(at, attributes.inode);
    this.#put64(at + 8, attributes.size);
    this.#put64(at + 16, attributes.blocks);
    this.#put64(at + 24, attributes.atime);
    this.#put64(at + 32, attributes.mtime);
    this.#put64(at + 40, attributes.ctime);
    view.setUint32(at + 48, attributes.atimeNs, true);
    view.setUint32(at + 52, attributes.mtimeNs, true);
    view.setUint32(at + 56, attributes.ctimeNs, true);
    view.setUint32(at + 60, attributes.mode, true);
    view.setUint32(at + 64, attributes.links, true);
    view.setUint32(at + 68, attributes.uid, true);
    view.setUint32(at + 72, attributes.gid, true);
    view.setUint32(at + 76, attributes.device, true);
    view.setUint32(at + 80, attributes.blockSize, true);
    view.setUint32(at + 84, 0, true);
  }

  /** struct fuse_open_out. */
  opened(file: OpenFile): void {
    const at = this.length;
    this.#put64(at, file.handle);
    this.#view.setUint32(at + 8, file.flags, true);
    this.#view.setUint32(at + 12, 0, true);
    this.length = at + OPEN_OUT_OCTETS;
  }

  /** struct fuse_kstatfs. */
  totals(totals: Totals): void {
    this.u64(totals.blocks);
    this.u64(totals.blocksFree);
    this.u64(totals.blocksAvailable);
    this.u64(totals.files);
    this.u64(totals.filesFree);
    this.u32(totals.blockSize);
    this.u32(totals.nameOctetsMax);
    this.u32(totals.blockSize);
    this.octets.fill(0, this.length, this.length + 28);
    this.length += 28;
  }

  /** struct fuse_dirent, or fuse_direntplus with an entry in front; false: no room before `end`. */
  directoryEntry(
    end: number,
    entry: Entry | undefined,
    name: string,
    inode: number,
    type: number,
    next: number,
  ): boolean {
    const octets = nameOctets(name);
    const start = entry === undefined ? this.length : this.length + ENTRY_OUT_OCTETS;
    const after = start + ((DIRENT_OCTETS + octets + 7) & ~7);
    if (after > end) return false;
    if (entry !== undefined) this.entry(entry);
    this.#put64(start, inode);
    this.#put64(start + 8, next);
    this.#view.setUint32(start + 16, octets, true);
    this.#view.setUint32(start + 20, (type >> 12) & 0xf, true);
    const nameEnd = start + DIRENT_OCTETS + encodeName(name, this.octets, start + DIRENT_OCTETS);
    this.octets.fill(0, nameEnd, after);
    this.length = after;
    return true;
  }
}

/** An entry with every field zero. */
export function blankEntry(): Entry {
  return { node: 0, generation: 0, nameTtl: 0, attributesTtl: 0, attributes: blankAttributes() };
}

/** A list that writes into a reply. */
export class ReplyDirectoryList implements DirectoryList {
  readonly entry: Entry = blankEntry();
  readonly #reply: FuseReply;
  #end = 0;
  #wantsEntries = false;

  constructor(reply: FuseReply) {
    this.#reply = reply;
  }

  get wantsEntries(): boolean {
    return this.#wantsEntries;
  }

  /** A new list of at most `octets`. */
  begin(octets: number, wantsEntries: boolean): void {
    this.#reply.empty();
    this.#end = START + Math.min(octets, this.#reply.room);
    this.#wantsEntries = wantsEntries;
    this.entry.node = 0;
  }

  add(name: string, inode: number, type: number, next: number): boolean {
    const entry = this.#wantsEntries ? this.entry : undefined;
    const fits = this.#reply.directoryEntry(this.#end, entry, name, inode, type, next);
    this.entry.node = 0;
    return fits;
  }
}
