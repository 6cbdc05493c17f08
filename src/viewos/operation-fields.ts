/**
 * From the registers and the captured memory of a call to the fields that a handler sees. Captured
 * once; nothing here reads the caller's memory again.
 */
import { printIpv4, printIpv6 } from "../base/index.ts";
import type { Operation, OperationFields, SocketAddress, UtsName } from "./operations.ts";
import type { CallArguments, Captured } from "./syscall-arguments.ts";
import type { Syscall } from "./syscalls.ts";

/** What must be asked of the system around a call. */
export interface CallPlace {
  /** Directory behind AT_FDCWD or a descriptor, or the file behind it. */
  directory(descriptor: number): string;
  /** The caller's root directory as the view sees it; "/" for most. */
  root(): string;
  /** Octets of the caller's memory, for what is no string. */
  octets(address: bigint, length: number): Uint8Array | undefined;
  /** What uname(2) says in the view. */
  names(): UtsName;
}

/** A call that has been taken: registers, and what they point to. */
export interface TakenCall extends CallArguments {
  readonly call: Syscall;
  readonly captured: readonly Captured[];
}

/** An absolute path without `.`, `..`, empty parts and final slash; names only, no links. */
export function absolutePath(directory: string, path: string): string {
  const parts: string[] = [];
  const whole = path.startsWith("/") ? path : `${directory}/${path}`;
  for (const part of whole.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

const FAMILIES: { readonly [number: number]: string } = {
  0: "unspec",
  1: "unix",
  2: "inet",
  10: "inet6",
  15: "key",
  16: "netlink",
  17: "packet",
  31: "bluetooth",
  38: "alg",
  40: "vsock",
  44: "xdp",
};

const TYPES: { readonly [number: number]: string } = {
  1: "stream",
  2: "dgram",
  3: "raw",
  4: "rdm",
  5: "seqpacket",
};

/** Name of an address family, or its number as text. */
export function familyName(family: number): string {
  return FAMILIES[family] ?? String(family);
}

/** Number of a family by name; undefined for a name that is none. */
export function familyNumber(name: string): number | undefined {
  const found = Object.entries(FAMILIES).find(([, known]) => known === name);
  if (found !== undefined) return Number(found[0]);
  return /^\d+$/.test(name) ? Number(name) : undefined;
}

const text = (octets: Captured): string =>
  octets instanceof Uint8Array ? new TextDecoder().decode(octets) : "";

/** struct sockaddr as fields (unix(7), ip(7), ipv6(7)). */
export function socketAddress(octets: Uint8Array): SocketAddress {
  if (octets.length < 2) return { family: "unspec" };
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  const family = familyName(view.getUint16(0, true));
  if (family === "unix") {
    const name = octets.subarray(2);
    if (name[0] === 0) return { family, path: `@${text(name.subarray(1))}` };
    const end = name.indexOf(0);
    return { family, path: text(end === -1 ? name : name.subarray(0, end)) };
  }
  if (family === "inet" && octets.length >= 8) {
    return { family, host: printIpv4(octets.subarray(4, 8)), port: view.getUint16(2) };
  }
  if (family === "inet6" && octets.length >= 24) {
    return { family, host: printIpv6(octets.subarray(8, 24)), port: view.getUint16(2) };
  }
  return { family };
}

/** Octets of one field of struct new_utsname, with its NUL. */
const UTS_FIELD = 65;
const UTS_NAMES = ["sysname", "nodename", "release", "version", "machine", "domainname"] as const;

/** Reads struct new_utsname. */
export function parseUtsName(octets: Uint8Array): UtsName {
  const fields = UTS_NAMES.map((name, index) => {
    const field = octets.subarray(index * UTS_FIELD, (index + 1) * UTS_FIELD);
    return [name, text(field.subarray(0, field.indexOf(0)))] as const;
  });
  return Object.fromEntries(fields) as unknown as UtsName;
}

/** Fields and their octets by the name of the call: uname has grown twice. */
const UTS_SHAPES: { readonly [call: string]: readonly [fields: number, octets: number] } = {
  oldolduname: [5, 9],
  olduname: [5, UTS_FIELD],
  uname: [UTS_NAMES.length, UTS_FIELD],
};

/** The structure that a call of the uname family fills; names that are too long are cut. */
export function emitUtsName(call: string, names: UtsName): Uint8Array {
  const [fields, octets] = UTS_SHAPES[call] ?? UTS_SHAPES["uname"]!;
  const memory = new Uint8Array(fields * octets);
  UTS_NAMES.slice(0, fields).forEach((name, index) => {
    const place = memory.subarray(index * octets, (index + 1) * octets - 1);
    new TextEncoder().encodeInto(names[name], place);
  });
  return memory;
}

const AT_FDCWD = -100;
const O_ACCMODE = 3;
const O_CREAT = 0o100;
const O_TRUNC = 0o1000;
const O_TMPFILE_BIT = 0o20000000;
/** Flags of creat(2). */
const CREAT_FLAGS = O_CREAT | O_TRUNC | 1;
/** struct open_how: flags u64, mode u64, resolve u64 (openat2(2)). */
const OPEN_HOW_OCTETS = 24;

/** Do these open flags change anything? O_PATH opens for nothing at all. */
export function opensForWriting(flags: number): boolean {
  return (flags & O_ACCMODE) !== 0 || (flags & (O_CREAT | O_TRUNC | O_TMPFILE_BIT)) !== 0;
}

/** Reads the fields of one call. */
class FieldReader {
  readonly #taken: TakenCall;
  readonly #place: CallPlace;

  constructor(taken: TakenCall, place: CallPlace) {
    this.#taken = taken;
    this.#place = place;
  }

  int(index: number): number {
    return this.#taken.low(index) | 0;
  }

  text(index: number): string {
    return text(this.#taken.captured[index]);
  }

  /** Index of the n-th argument of a kind; -1 when there is none. */
  index(kind: string, nth = 0): number {
    const kinds = this.#taken.call.arguments;
    if (kinds === "words") return -1;
    let seen = 0;
    return kinds.findIndex((found) => found === kind && seen++ === nth);
  }

  number(kind: string, nth = 0): number {
    const index = this.index(kind, nth);
    return index === -1 ? 0 : this.int(index);
  }

  /** The n-th path, absolute. */
  path(nth = 0): string {
    const index = this.index("path", nth);
    const kinds = this.#taken.call.arguments;
    if (index === -1) return this.#place.directory(this.number("fd"));
    const before = kinds[index - 1];
    const base = before === "dirfd" ? this.int(index - 1) : AT_FDCWD;
    const given = this.text(index);
    const root = this.#place.root();
    if (given.startsWith("/")) return absolutePath("/", `${root === "/" ? "" : root}/${given}`);
    return absolutePath(this.#place.directory(base), given);
  }

  argv(): readonly string[] {
    const found = this.#taken.captured[this.index("argv")];
    return Array.isArray(found) ? found.map((word) => text(word as Captured)) : [];
  }

  address(): SocketAddress {
    const found = this.#taken.captured[this.index("address")];
    return socketAddress(found instanceof Uint8Array ? found : new Uint8Array(0));
  }

  open(): OperationFields["open"] {
    const { call } = this.#taken;
    const path = this.path();
    let flags = this.number("open-flags");
    let mode = this.number("mode");
    if (call.name === "creat") flags = CREAT_FLAGS;
    if (call.name === "openat2") {
      const how = this.#place.octets(this.#taken.argument(2), OPEN_HOW_OCTETS);
      const view = new DataView((how ?? new Uint8Array(OPEN_HOW_OCTETS)).slice().buffer);
      flags = view.getUint32(0, true);
      mode = view.getUint32(8, true);
    }
    return { path, flags, mode: mode & 0o7777, write: opensForWriting(flags) };
  }

  socket(): OperationFields["socket"] {
    const type = this.int(1) & 0xf;
    return {
      family: familyName(this.int(0)),
      type: TYPES[type] ?? String(type),
      protocol: this.int(2),
    };
  }

  mount(): OperationFields["mount"] {
    const target = this.path();
    return {
      path: target,
      target,
      source: this.text(0),
      type: this.text(2),
      flags: this.int(3),
      options: this.text(4),
    };
  }

  names(): UtsName {
    return this.#place.names();
  }
}

type Readers = { readonly [O in Operation]: (read: FieldReader) => OperationFields[O] };

const path = (read: FieldReader): { readonly path: string } => ({ path: read.path() });
const withMode = (read: FieldReader): { readonly path: string; readonly mode: number } => ({
  path: read.path(),
  mode: read.number("mode") & 0xffff,
});
const twoPaths = (read: FieldReader): OperationFields["rename"] => ({
  path: read.path(0),
  newPath: read.path(1),
});

const READERS: Readers = {
  mount: (read) => read.mount(),
  umount: (read) => ({ path: read.path(), flags: read.number("umount-flags") }),
  sethostname: (read) => ({ name: read.text(0) }),
  setdomainname: (read) => ({ name: read.text(0) }),
  uname: (read) => ({ names: read.names() }),
  socket: (read) => read.socket(),
  setid: (read) => ({
    ids: [0, 1, 2]
      .map((nth) => read.index("id", nth))
      .filter((i) => i >= 0)
      .map((i) => read.int(i)),
  }),
  settime: (read) => ({ clock: read.index("int") === 0 ? read.int(0) : 0 }),
  mknod: (read) => ({ ...withMode(read), device: read.number("hex") }),
  chown: (read) => ({ path: read.path(), uid: read.number("id", 0), gid: read.number("id", 1) }),
  open: (read) => read.open(),
  stat: path,
  access: (read) => ({ path: read.path(), mode: read.number("access-mode") }),
  readlink: path,
  statfs: path,
  getxattr: path,
  setxattr: path,
  unlink: path,
  rmdir: path,
  mkdir: withMode,
  rename: twoPaths,
  link: twoPaths,
  symlink: (read) => ({ path: read.path(1), target: read.text(0) }),
  chmod: withMode,
  truncate: path,
  utimes: path,
  chdir: path,
  exec: (read) => ({ path: read.path(), argv: read.argv() }),
  connect: (read) => ({ addr: read.address() }),
  bind: (read) => ({ addr: read.address() }),
};

/** The fields that a handler of the operation sees. */
export function operationFields<O extends Operation>(
  operation: O,
  taken: TakenCall,
  place: CallPlace,
): OperationFields[O] {
  return READERS[operation](new FieldReader(taken, place));
}
