/**
 * What stat and statfs write for 32-bit callers, made from what x86_64 writes. Fields that do not
 * fit are EOVERFLOW, as fs/stat.c and fs/statfs.c have it.
 *
 * Sources: struct stat and struct stat64 of arch/x86/include/uapi/asm/stat.h and
 * arch/x86/include/asm/compat.h; struct statfs of asm-generic/statfs.h; struct __old_kernel_stat.
 */

/** struct stat of x86_64. */
const STAT = {
  device: 0,
  inode: 8,
  links: 16,
  mode: 24,
  uid: 28,
  gid: 32,
  special: 40,
  size: 48,
  blockSize: 56,
  blocks: 64,
  /** Seconds and nanoseconds of access, change of content, change of status. */
  times: [72, 88, 104],
} as const;

const WORD_MAX = 0xffffffff;
const HALF_MAX = 0xffff;
/** What a 16-bit field shows of a user number that does not fit (the overflow uid). */
const OVERFLOW_ID = 65534;
/** Largest file that a 32-bit caller without large files may see (MAX_NON_LFS). */
const SIZE_MAX = 0x7fffffff;

/** Layouts that 32-bit callers ask for. */
export type OldLayout = "oldstat" | "stat" | "stat64" | "statfs" | "statfs64";

const OCTETS: { readonly [layout in OldLayout]: number } = {
  oldstat: 32,
  stat: 64,
  stat64: 96,
  statfs: 64,
  statfs64: 84,
};

const number64 = (view: DataView, at: number): number =>
  view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);

const shortId = (id: number): number => (id > HALF_MAX ? OVERFLOW_ID : id);

/**
 * The same in a 32-bit layout.
 * @param from struct stat or struct statfs of x86_64
 * @returns undefined when a field does not fit: EOVERFLOW
 */
export function inOldLayout(from: Uint8Array, layout: OldLayout): Uint8Array | undefined {
  const source = new DataView(from.buffer, from.byteOffset, from.length);
  const to = new Uint8Array(OCTETS[layout]);
  const target = new DataView(to.buffer);
  switch (layout) {
    case "oldstat":
      return writeOldStat(source, target) ? to : undefined;
    case "stat":
      return writeStat(source, target) ? to : undefined;
    case "stat64":
      writeStat64(source, target);
      return to;
    default:
      return writeStatfs(source, target, layout === "statfs64") ? to : undefined;
  }
}

function writeOldStat(source: DataView, target: DataView): boolean {
  const half = (at: number, value: number): void => target.setUint16(at, value & HALF_MAX, true);
  const inode = number64(source, STAT.inode);
  const links = number64(source, STAT.links);
  const size = number64(source, STAT.size);
  if (inode > HALF_MAX || links > HALF_MAX || size > SIZE_MAX) return false;
  half(0, source.getUint32(STAT.device, true));
  half(2, inode);
  half(4, source.getUint32(STAT.mode, true));
  half(6, links);
  half(8, shortId(source.getUint32(STAT.uid, true)));
  half(10, shortId(source.getUint32(STAT.gid, true)));
  half(12, source.getUint32(STAT.special, true));
  target.setUint32(16, size, true);
  STAT.times.forEach((at, i) => target.setUint32(20 + 4 * i, source.getUint32(at, true), true));
  return true;
}

function writeStat(source: DataView, target: DataView): boolean {
  const word = (to: number, from: number): void =>
    target.setUint32(to, source.getUint32(from, true), true);
  const inode = number64(source, STAT.inode);
  const links = number64(source, STAT.links);
  const size = number64(source, STAT.size);
  if (inode > WORD_MAX || links > HALF_MAX || size > SIZE_MAX) return false;
  word(0, STAT.device);
  word(4, STAT.inode);
  target.setUint16(8, source.getUint32(STAT.mode, true), true);
  target.setUint16(10, links, true);
  target.setUint16(12, shortId(source.getUint32(STAT.uid, true)), true);
  target.setUint16(14, shortId(source.getUint32(STAT.gid, true)), true);
  word(16, STAT.special);
  word(20, STAT.size);
  word(24, STAT.blockSize);
  word(28, STAT.blocks);
  STAT.times.forEach((at, i) => {
    word(32 + 8 * i, at);
    word(36 + 8 * i, at + 8);
  });
  return true;
}

function writeStat64(source: DataView, target: DataView): void {
  const word = (to: number, from: number): void =>
    target.setUint32(to, source.getUint32(from, true), true);
  const double = (to: number, from: number): void =>
    target.setBigUint64(to, source.getBigUint64(from, true), true);
  double(0, STAT.device);
  word(12, STAT.inode);
  word(16, STAT.mode);
  word(20, STAT.links);
  word(24, STAT.uid);
  word(28, STAT.gid);
  double(32, STAT.special);
  double(44, STAT.size);
  word(52, STAT.blockSize);
  double(56, STAT.blocks);
  STAT.times.forEach((at, i) => {
    word(64 + 8 * i, at);
    word(68 + 8 * i, at + 8);
  });
  double(88, STAT.inode);
}

/**
 * struct statfs of x86_64: type, block size, five counters, file system number (two words), then
 * name length, fragment size, flags.
 */
function writeStatfs(source: DataView, target: DataView, wide: boolean): boolean {
  target.setUint32(0, source.getUint32(0, true), true);
  target.setUint32(4, source.getUint32(8, true), true);
  for (let i = 0; i < 5; i++) {
    const count = source.getBigUint64(16 + 8 * i, true);
    if (wide) target.setBigUint64(8 + 8 * i, count, true);
    else if (count > BigInt(WORD_MAX) && count !== 0xffffffffffffffffn) return false;
    else target.setUint32(8 + 4 * i, Number(count & 0xffffffffn), true);
  }
  const behind = wide ? 48 : 28;
  target.setUint32(behind, source.getUint32(56, true), true);
  target.setUint32(behind + 4, source.getUint32(60, true), true);
  [64, 72, 80].forEach((at, i) =>
    target.setUint32(behind + 8 + 4 * i, source.getUint32(at, true), true),
  );
  return true;
}
