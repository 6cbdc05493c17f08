/**
 * Arguments of a system call, as people and programs read them: paths and strings quoted, flags by
 * name, socket addresses. What lies in the caller's memory is captured first, once, while the
 * caller stands still; printing comes after.
 *
 * Sources: the manual pages of the calls, fcntl.h, sys/socket.h, linux/sched.h; the look of a line
 * is that of strace(1).
 */
import { quoteOctets, socketAddressText } from "./syscall-text.ts";
import { flagNames, type FlagKind } from "./syscall-flags.ts";

/** What an argument is. `address` and `bytes` are as long as the argument after them says. */
export type ArgumentKind =
  | FlagKind
  | "path"
  | "string"
  | "argv"
  | "address"
  | "bytes"
  | "dirfd"
  | "fd"
  | "int"
  | "id"
  | "pid"
  | "size"
  | "mode"
  | "hex"
  | "pointer";

/** A caller's memory. */
export interface ArgumentReader {
  /** The string at an address without its NUL; undefined when it cannot be read. */
  string(address: bigint, limit: number): Uint8Array | "too long" | undefined;
  /** Exactly that many octets; undefined when they cannot be read. */
  octets(address: bigint, length: number): Uint8Array | undefined;
}

/** What was found in memory for one argument: octets, the strings of an array, or nothing. */
export type Captured = Uint8Array | readonly (Uint8Array | undefined)[] | undefined;

/** The words of a call in its registers. */
export interface CallArguments {
  /** AUDIT_ARCH_*. */
  readonly arch: number;
  argument(index: number): bigint;
  /** Lower and upper 32 bits of an argument, unsigned. */
  low(index: number): number;
  high(index: number): number;
}

/** A value of an argument in JSON. */
export type ArgumentValue = string | number | null | readonly (string | null)[];

const STRING_OCTETS_MAX = 4096;
const ADDRESS_OCTETS_MAX = 128;
const BYTES_OCTETS_MAX = 256;
/** Strings of an argument vector that are read; the rest is told by an ellipsis. */
const VECTOR_STRINGS_MAX = 32;
const PAGE = 4096n;
const ARCH_64_BIT = 0x80000000;
const AT_FDCWD = -100;
const WORDS = 6;
/** Upper halves from here on do not fit into a JSON number. */
const SAFE_HIGH = 2 ** 21;

/** Reads what the arguments of a call point to; one entry per argument. */
export function captureArguments(
  kinds: readonly ArgumentKind[] | "words",
  call: CallArguments,
  reader: ArgumentReader,
): readonly Captured[] {
  if (kinds === "words") return [];
  return kinds.map((kind, index) => {
    if (kind === "path" || kind === "string") {
      if (isNull(call, index)) return undefined;
      const found = reader.string(call.argument(index), STRING_OCTETS_MAX);
      return found === "too long" ? undefined : found;
    }
    if (kind === "argv") return captureVector(call.argument(index), call.arch, reader);
    if (kind !== "address" && kind !== "bytes") return undefined;
    const length = call.low(index + 1);
    const limit = kind === "address" ? ADDRESS_OCTETS_MAX : BYTES_OCTETS_MAX;
    if (length === 0 || call.argument(index) === 0n) return undefined;
    return reader.octets(call.argument(index), Math.min(length, limit));
  });
}

/** The strings of a NULL-ended array of pointers, one more than will be printed. */
function captureVector(
  address: bigint,
  arch: number,
  reader: ArgumentReader,
): readonly (Uint8Array | undefined)[] | undefined {
  const width = (arch & ARCH_64_BIT) === 0 ? 4 : 8;
  const strings: (Uint8Array | undefined)[] = [];
  let at = address;
  while (strings.length <= VECTOR_STRINGS_MAX) {
    // Page by page: the array may end right before memory that is not mapped.
    const wanted = (VECTOR_STRINGS_MAX + 1 - strings.length) * width;
    const here = Number(PAGE - (at % PAGE));
    const length = Math.max(width, Math.min(wanted, here - (here % width)));
    const octets = reader.octets(at, length);
    if (octets === undefined) return strings.length === 0 ? undefined : strings;
    const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
    for (let offset = 0; offset < length; offset += width) {
      const pointer =
        width === 8 ? view.getBigUint64(offset, true) : BigInt(view.getUint32(offset, true));
      if (pointer === 0n) return strings;
      const found = reader.string(pointer, STRING_OCTETS_MAX);
      strings.push(found === "too long" ? undefined : found);
    }
    at += BigInt(length);
  }
  return strings;
}

function hexadecimal(call: CallArguments, index: number, zero = "0"): string {
  const high = call.high(index);
  const low = call.low(index);
  if (high === 0) return low === 0 ? zero : `0x${low.toString(16)}`;
  return `0x${high.toString(16)}${low.toString(16).padStart(8, "0")}`;
}

const isNull = (call: CallArguments, index: number): boolean =>
  call.low(index) === 0 && call.high(index) === 0;
const signed = (call: CallArguments, index: number): number => call.low(index) | 0;
const pointerText = (call: CallArguments, index: number): string =>
  hexadecimal(call, index, "NULL");
const decode = (octets: Uint8Array): string => new TextDecoder().decode(octets);

function vectorText(strings: readonly (Uint8Array | undefined)[]): string {
  const shown = strings.slice(0, VECTOR_STRINGS_MAX);
  const words = shown.map((octets) => (octets === undefined ? "?" : quoteOctets(octets)));
  return `[${[...words, ...(strings.length > shown.length ? ["..."] : [])].join(", ")}]`;
}

/** One argument as strace prints it. */
function argumentText(
  kind: ArgumentKind,
  call: CallArguments,
  index: number,
  captured: Captured,
): string {
  switch (kind) {
    case "path":
    case "string":
    case "bytes":
      return captured instanceof Uint8Array ? quoteOctets(captured) : pointerText(call, index);
    case "argv":
      return Array.isArray(captured)
        ? vectorText(captured as Uint8Array[])
        : pointerText(call, index);
    case "address":
      return captured instanceof Uint8Array
        ? socketAddressText(captured)
        : pointerText(call, index);
    case "dirfd":
      return signed(call, index) === AT_FDCWD ? "AT_FDCWD" : String(signed(call, index));
    case "fd":
    case "int":
    case "id":
    case "pid":
      return String(signed(call, index));
    case "size":
      return String(call.high(index) === 0 ? call.low(index) : call.argument(index));
    case "mode":
      return `0${(call.low(index) & 0xffff).toString(8)}`;
    case "pointer":
      return pointerText(call, index);
    case "hex":
      return hexadecimal(call, index);
    default:
      return flagNames(kind, call.low(index), call.arch);
  }
}

/** All arguments as text, in parentheses. A mode is printed only where open uses it. */
export function argumentsText(
  kinds: readonly ArgumentKind[] | "words",
  call: CallArguments,
  captured: readonly Captured[],
): string {
  if (kinds === "words") {
    const words = Array.from({ length: WORDS }, (_, index) => hexadecimal(call, index));
    return `(${words.join(", ")})`;
  }
  let text = "(";
  usedKinds(kinds, call).forEach((kind, index) => {
    if (index > 0) text += ", ";
    text += argumentText(kind, call, index, captured[index]);
  });
  return `${text})`;
}

const O_CREAT = 0o100;
/** O_TMPFILE without the O_DIRECTORY that it implies: the same on all architectures. */
const O_TMPFILE_BIT = 0o20000000;

/** open(2) takes a mode only when it may create; otherwise that register holds anything. */
function usedKinds(kinds: readonly ArgumentKind[], call: CallArguments): readonly ArgumentKind[] {
  const flags = kinds.indexOf("open-flags");
  if (flags === -1 || kinds[flags + 1] !== "mode") return kinds;
  const creates = (call.low(flags) & (O_CREAT | O_TMPFILE_BIT)) !== 0;
  return creates ? kinds : kinds.slice(0, flags + 1);
}

/** All arguments as JSON values: strings as such, numbers, flags and addresses as text. */
export function argumentValues(
  kinds: readonly ArgumentKind[] | "words",
  call: CallArguments,
  captured: readonly Captured[],
): ArgumentValue[] {
  if (kinds === "words") {
    return Array.from({ length: WORDS }, (_, index) => hexadecimal(call, index));
  }
  return usedKinds(kinds, call).map((kind, index) => {
    const found = captured[index];
    switch (kind) {
      case "path":
      case "string":
      case "bytes":
        if (found instanceof Uint8Array) return decode(found);
        return isNull(call, index) ? null : hexadecimal(call, index);
      case "argv":
        if (!Array.isArray(found)) return isNull(call, index) ? null : hexadecimal(call, index);
        return (found as (Uint8Array | undefined)[]).map((octets) =>
          octets === undefined ? null : decode(octets),
        );
      case "fd":
      case "int":
      case "id":
      case "pid":
        return signed(call, index);
      case "pointer":
        return isNull(call, index) ? null : hexadecimal(call, index);
      case "size":
        return call.high(index) >= SAFE_HIGH
          ? String(call.argument(index))
          : call.high(index) * 2 ** 32 + call.low(index);
      default:
        return argumentText(kind, call, index, found);
    }
  });
}
