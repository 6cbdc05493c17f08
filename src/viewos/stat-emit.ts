/**
 * What stat(2) and statx(2) write about a file that a module makes up: struct stat of x86_64,
 * struct statx (linux/stat.h).
 */
import { splitTime, type VirtualStat } from "../base/index.ts";

const TYPE_BITS = { file: 0o100000, directory: 0o040000, link: 0o120000 } as const;
const STAT_OCTETS = 144;
const STATX_OCTETS = 256;
const BLOCK = 4096;
const SECTOR = 512;
/** STATX_BASIC_STATS: every field that struct stat has, too. */
const BASIC_STATS = 0x7ff;
/** Stands for the file system of made-up files: none that the kernel gives (major 0, minor 0). */
const DEVICE = 0;

interface Facts {
  readonly mode: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  readonly inode: number;
  readonly size: number;
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** The same path has the same number (FNV-1a). */
function inodeOf(path: string): number {
  let hash = 0x811c9dc5;
  for (const octet of new TextEncoder().encode(path)) {
    hash = Math.imul(hash ^ octet, 0x01000193) >>> 0;
  }
  return hash + 2;
}

function factsOf(path: string, stat: VirtualStat): Facts {
  const { type = "file", size = 0, uid = 0, gid = 0, mtimeMs = 0 } = stat;
  const permissions = { file: 0o644, directory: 0o755, link: 0o777 }[type];
  return {
    mode: TYPE_BITS[type] | ((stat.mode ?? permissions) & 0o7777),
    links: type === "directory" ? 2 : 1,
    uid,
    gid,
    inode: stat.inode ?? inodeOf(path),
    size,
    ...splitTime(mtimeMs),
  };
}

/** struct stat of x86_64. */
export function emitStat(path: string, stat: VirtualStat): Uint8Array {
  const facts = factsOf(path, stat);
  const view = new DataView(new ArrayBuffer(STAT_OCTETS));
  const double = (at: number, value: number): void => view.setBigUint64(at, BigInt(value), true);
  double(0, DEVICE);
  double(8, facts.inode);
  double(16, facts.links);
  view.setUint32(24, facts.mode, true);
  view.setUint32(28, facts.uid, true);
  view.setUint32(32, facts.gid, true);
  double(48, facts.size);
  double(56, BLOCK);
  double(64, Math.ceil(facts.size / SECTOR));
  for (const at of [72, 88, 104]) {
    view.setBigInt64(at, BigInt(facts.seconds), true);
    double(at + 8, facts.nanoseconds);
  }
  return new Uint8Array(view.buffer);
}

/** struct statx. */
export function emitStatx(path: string, stat: VirtualStat): Uint8Array {
  const facts = factsOf(path, stat);
  const view = new DataView(new ArrayBuffer(STATX_OCTETS));
  const word = (at: number, value: number): void => view.setUint32(at, value, true);
  const double = (at: number, value: number): void => view.setBigUint64(at, BigInt(value), true);
  word(0, BASIC_STATS);
  word(4, BLOCK);
  word(16, facts.links);
  word(20, facts.uid);
  word(24, facts.gid);
  view.setUint16(28, facts.mode, true);
  double(32, facts.inode);
  double(40, facts.size);
  double(48, Math.ceil(facts.size / SECTOR));
  for (const at of [64, 96, 112]) {
    view.setBigInt64(at, BigInt(facts.seconds), true);
    word(at + 8, facts.nanoseconds);
  }
  return new Uint8Array(view.buffer);
}
