/**
 * Mount options as people write them (`ro,nosuid,size=4m`), as mount(2) wants them (flags and a
 * data string), and the mount SPEC of `v2 view --mount`. Sources: mount(2), mount(8),
 * linux/mount.h.
 */
import { EXIT, V2Error } from "../base/index.ts";

/** MS_* flags of mount(2). */
export const MS = {
  RDONLY: 0x1,
  NOSUID: 0x2,
  NODEV: 0x4,
  NOEXEC: 0x8,
  SYNCHRONOUS: 0x10,
  REMOUNT: 0x20,
  MANDLOCK: 0x40,
  DIRSYNC: 0x80,
  NOATIME: 0x400,
  NODIRATIME: 0x800,
  BIND: 0x1000,
  MOVE: 0x2000,
  REC: 0x4000,
  SILENT: 0x8000,
  POSIXACL: 0x10000,
  UNBINDABLE: 0x20000,
  PRIVATE: 0x40000,
  SLAVE: 0x80000,
  SHARED: 0x100000,
  RELATIME: 0x200000,
  I_VERSION: 0x800000,
  STRICTATIME: 0x1000000,
  LAZYTIME: 0x2000000,
} as const;

/** Option word → [flags to set, flags to clear]. */
const WORDS: { readonly [word: string]: readonly [set: number, clear: number] } = {
  ro: [MS.RDONLY, 0],
  rw: [0, MS.RDONLY],
  nosuid: [MS.NOSUID, 0],
  suid: [0, MS.NOSUID],
  nodev: [MS.NODEV, 0],
  dev: [0, MS.NODEV],
  noexec: [MS.NOEXEC, 0],
  exec: [0, MS.NOEXEC],
  sync: [MS.SYNCHRONOUS, 0],
  async: [0, MS.SYNCHRONOUS],
  dirsync: [MS.DIRSYNC, 0],
  remount: [MS.REMOUNT, 0],
  mand: [MS.MANDLOCK, 0],
  nomand: [0, MS.MANDLOCK],
  noatime: [MS.NOATIME, 0],
  atime: [0, MS.NOATIME],
  nodiratime: [MS.NODIRATIME, 0],
  diratime: [0, MS.NODIRATIME],
  relatime: [MS.RELATIME, 0],
  norelatime: [0, MS.RELATIME],
  strictatime: [MS.STRICTATIME, 0],
  nostrictatime: [0, MS.STRICTATIME],
  lazytime: [MS.LAZYTIME, 0],
  nolazytime: [0, MS.LAZYTIME],
  iversion: [MS.I_VERSION, 0],
  noiversion: [0, MS.I_VERSION],
  acl: [MS.POSIXACL, 0],
  user: [MS.NOSUID | MS.NODEV | MS.NOEXEC, 0],
  group: [MS.NOSUID | MS.NODEV, 0],
  silent: [MS.SILENT, 0],
  loud: [0, MS.SILENT],
  bind: [MS.BIND, 0],
  rbind: [MS.BIND | MS.REC, 0],
  move: [MS.MOVE, 0],
  private: [MS.PRIVATE, 0],
  rprivate: [MS.PRIVATE | MS.REC, 0],
  slave: [MS.SLAVE, 0],
  rslave: [MS.SLAVE | MS.REC, 0],
  shared: [MS.SHARED, 0],
  rshared: [MS.SHARED | MS.REC, 0],
  unbindable: [MS.UNBINDABLE, 0],
  runbindable: [MS.UNBINDABLE | MS.REC, 0],
  defaults: [0, 0],
};

export interface MountOptions {
  readonly flags: number;
  /** What is left for the file system itself: "size=4m,mode=0755". */
  readonly data: string;
}

/**
 * Splits a comma-separated option list into mount(2) flags and data, as mount(8) does.
 * A comma inside double quotes does not separate (SELinux contexts).
 */
export function parseMountOptions(text: string, flags = 0): MountOptions {
  const data: string[] = [];
  for (const word of text.match(/(?:[^,"]|"[^"]*"?)+/g) ?? []) {
    const known = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
    if (known === undefined) data.push(word);
    else flags = (flags | known[0]) & ~known[1];
  }
  return { flags: flags >>> 0, data: data.join(",") };
}

export interface MountSpec {
  readonly type: string;
  readonly source: string;
  readonly target: string;
  readonly flags: number;
  readonly data: string;
}

/**
 * Parses `TYPE:SOURCE:TARGET[:OPTIONS]`. `bind` (or `rbind`) is a type here; SOURCE may be empty
 * (`tmpfs::/mnt`); a backslash quotes a colon. Throws a V2Error (usage) that names the spec.
 */
export function parseMountSpec(spec: string): MountSpec {
  const parts = (spec.match(/(?:^|:)((?:[^:\\]|\\[^])*)/g) ?? []).map((part, index) =>
    (index > 0 || part.startsWith(":") ? part.replace(/^:/, "") : part).replace(/\\([^])/g, "$1"),
  );
  const [type = "", source = "", target = "", options = ""] = parts;
  const wrong = (reason: string): V2Error =>
    new V2Error("MOUNT_SPEC", `mount '${spec}': ${reason}`, {
      remedy:
        "write TYPE:SOURCE:TARGET[:OPTIONS], for example tmpfs::/mnt:size=4m or bind:/home/me/data:/mnt",
      exitCode: EXIT.usage,
    });
  if (parts.length < 3) throw wrong("a type, a source and a target are needed");
  if (parts.length > 4) throw wrong("too many colons (quote one with a backslash)");
  if (type === "") throw wrong("the type is empty");
  if (target === "") throw wrong("the target is empty");
  const bind = type === "bind" || type === "rbind";
  if (bind && source === "") throw wrong("a bind needs a source");
  const base = type === "bind" ? MS.BIND : type === "rbind" ? MS.BIND | MS.REC : 0;
  const { flags, data } = parseMountOptions(options, base);
  return { type: bind ? "none" : type, source: source === "" ? type : source, target, flags, data };
}

/**
 * Replaces the descriptor in FUSE mount data (`fd=7,rootmode=…`): the number in the caller's table
 * by the number in ours. Undefined when the data has no fd option.
 */
export function fuseDescriptor(data: string): number | undefined {
  const found = /(?:^|,)fd=(\d{1,9})(?=,|$)/.exec(data);
  return found === null ? undefined : Number(found[1]);
}

/** The same data with another descriptor number. */
export function withFuseDescriptor(data: string, descriptor: number): string {
  return data.replace(/(^|,)fd=\d{1,9}(?=,|$)/, `$1fd=${descriptor}`);
}

/**
 * FUSE mount data whose owner (`user_id=`, `group_id=`) is numbered as another user namespace does.
 * @param users ranges [first in the old one, first in the new one, count]; `groups` the same
 */
export function withFuseOwner(
  data: string,
  users: readonly (readonly number[])[],
  groups: readonly (readonly number[])[],
): string {
  return data.replace(/(?<=^|,)(user|group)_id=(\d{1,10})(?=,|$)/g, (option, kind, text) => {
    const id = Number(text);
    const ranges = kind === "user" ? users : groups;
    const range = ranges.find(([first = 0, , count = 0]) => id >= first && id < first + count);
    return range === undefined ? option : `${kind}_id=${id - range[0]! + range[1]!}`;
  });
}

/** True for the types that FUSE servers mount: fuse, fuseblk, fuse.sshfs … */
export function isFuseType(type: string): boolean {
  return /^fuse(blk)?(\.|$)/.test(type);
}
