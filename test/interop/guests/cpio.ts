/**
 * Writer of the archive that a Linux kernel unpacks into its first root file system. Format:
 * cpio "newc" as in Documentation/driver-api/early-userspace/buffer-format.rst of the kernel:
 * "070701" and 13 fields of 8 hexadecimal digits, the name with a zero octet, the data; name and
 * data each padded to a multiple of 4 octets.
 */

/** One member; the mode holds the file type (stat(2), `S_IFMT`). */
export interface Member {
  readonly name: string;
  readonly mode: number;
  readonly data?: Uint8Array;
  /** Major and minor number of a device node. */
  readonly device?: readonly [number, number];
}

export const DIRECTORY = 0o040_755;
export const PROGRAM = 0o100_755;
export const FILE = 0o100_644;
export const CHARACTER_DEVICE = 0o020_600;

const ALIGNMENT = 4;
/** The name of the last, empty member. */
const TRAILER = "TRAILER!!!";

/** The archive of these members; a directory stands before what is in it. */
export function archive(members: readonly Member[]): Buffer {
  const pieces: Buffer[] = [];
  const all = [...members, { name: TRAILER, mode: 0 }];
  for (const [index, member] of all.entries()) {
    pieces.push(padded(head(member, index + 1)), padded(Buffer.from(member.data ?? [])));
  }
  return Buffer.concat(pieces);
}

function head(member: Member, inode: number): Buffer {
  const name = Buffer.from(`${member.name}\0`);
  const [major, minor] = member.device ?? [0, 0];
  const links = 1;
  const owner = [0, 0];
  const times = 0;
  const holder = [0, 0];
  const checksum = 0;
  const fields = [inode, member.mode, ...owner, links, times, member.data?.length ?? 0];
  fields.push(...holder, major, minor, name.length, checksum);
  const digits = fields.map((field) => field.toString(16).padStart(8, "0")).join("");
  return Buffer.concat([Buffer.from(`070701${digits}`), name]);
}

function padded(octets: Buffer): Buffer {
  const rest = -octets.length & (ALIGNMENT - 1);
  return rest === 0 ? octets : Buffer.concat([octets, Buffer.alloc(rest)]);
}
