/**
 * TCP options: RFC 9293 §3.1, RFC 7323 (window scale, timestamps), RFC 2018 (selective
 * acknowledgment).
 */
import { readU16, readU32, V2Error, writeU16, writeU32 } from "../base/index.ts";

const KIND = {
  end: 0,
  none: 1,
  maximumSegment: 2,
  windowScale: 3,
  selectivePermitted: 4,
  selective: 5,
  timestamps: 8,
} as const;

/** Four blocks of 8 octets are the most that fit (RFC 2018 §3). */
export const SACK_BLOCKS_MAX = 4;
export const TCP_OPTIONS_OCTETS_MAX = 40;

/** Data received out of order: sequence numbers, `right` is the first one missing again. */
export interface SackBlock {
  readonly left: number;
  readonly right: number;
}

export type TcpOption =
  /** One octet of padding. */
  | { readonly kind: "nop" }
  | { readonly kind: "maximum-segment"; readonly octets: number }
  /** Windows are shifted left by this many bits: 0 … 14 make sense (RFC 7323 §2.3). */
  | { readonly kind: "window-scale"; readonly shift: number }
  | { readonly kind: "sack-permitted" }
  | { readonly kind: "sack"; readonly blocks: readonly SackBlock[] }
  | { readonly kind: "timestamps"; readonly value: number; readonly echo: number }
  /** Any other; `type` as registered with IANA, `octets` without type and length. */
  | { readonly kind: "other"; readonly type: number; readonly octets: Uint8Array };

/**
 * Reads the options of a header up to "end of options". undefined: an option runs over the end, or
 * a known one has the wrong length. `other` options are windows on `octets`.
 */
export function parseTcpOptions(octets: Uint8Array): TcpOption[] | undefined {
  const options: TcpOption[] = [];
  let at = 0;
  while (at < octets.length && octets[at] !== KIND.end) {
    if (octets[at] === KIND.none) {
      options.push({ kind: "nop" });
      at++;
      continue;
    }
    const lengthOctets = octets[at + 1] ?? 0;
    if (lengthOctets < 2 || at + lengthOctets > octets.length) return undefined;
    const option = parseOption(octets[at]!, octets.subarray(at + 2, at + lengthOctets));
    if (option === undefined) return undefined;
    options.push(option);
    at += lengthOctets;
  }
  return options;
}

function parseOption(type: number, body: Uint8Array): TcpOption | undefined {
  switch (type) {
    case KIND.maximumSegment:
      return body.length === 2 ? { kind: "maximum-segment", octets: readU16(body, 0) } : undefined;
    case KIND.windowScale:
      return body.length === 1 ? { kind: "window-scale", shift: body[0]! } : undefined;
    case KIND.selectivePermitted:
      return body.length === 0 ? { kind: "sack-permitted" } : undefined;
    case KIND.selective:
      return parseSack(body);
    case KIND.timestamps:
      if (body.length !== 8) return undefined;
      return { kind: "timestamps", value: readU32(body, 0), echo: readU32(body, 4) };
    default:
      return { kind: "other", type, octets: body };
  }
}

function parseSack(body: Uint8Array): TcpOption | undefined {
  if (body.length === 0 || body.length % 8 !== 0) return undefined;
  const blocks: SackBlock[] = [];
  for (let at = 0; at < body.length; at += 8) {
    blocks.push({ left: readU32(body, at), right: readU32(body, at + 4) });
  }
  return { kind: "sack", blocks };
}

/** Octets of the options on the wire, filled up to whole words. */
export function tcpOptionsOctets(options: readonly TcpOption[]): number {
  let total = 0;
  for (const option of options) total += optionOctets(option);
  return (total + 3) & ~3;
}

function optionOctets(option: TcpOption): number {
  switch (option.kind) {
    case "nop":
      return 1;
    case "maximum-segment":
      return 4;
    case "window-scale":
      return 3;
    case "sack-permitted":
      return 2;
    case "sack":
      return 2 + 8 * option.blocks.length;
    case "timestamps":
      return 10;
    default:
      return 2 + option.octets.length;
  }
}

/**
 * Writes the options, filled with "end of options" up to a whole word; the caller has seen that
 * they fit. Throws V2Error TCP_OPTIONS when they exceed 40 octets or a SACK has no or more than
 * four blocks.
 * @returns octets written.
 */
export function emitTcpOptions(options: readonly TcpOption[], into: Uint8Array): number {
  const totalOctets = tcpOptionsOctets(options);
  if (totalOctets > TCP_OPTIONS_OCTETS_MAX) {
    throw new V2Error("TCP_OPTIONS", `TCP options take ${totalOctets} octets, 40 are the most`, {
      remedy: "Send fewer options or SACK blocks.",
    });
  }
  let at = 0;
  for (const option of options) {
    emitOption(option, into, at);
    at += optionOctets(option);
  }
  into.fill(KIND.end, at, totalOctets);
  return totalOctets;
}

function emitOption(option: TcpOption, into: Uint8Array, at: number): void {
  // A "nop" has no length octet: writing one would touch the first octet of the payload behind it.
  if (option.kind !== "nop") into[at + 1] = optionOctets(option);
  switch (option.kind) {
    case "nop":
      into[at] = KIND.none;
      break;
    case "maximum-segment":
      into[at] = KIND.maximumSegment;
      writeU16(into, at + 2, option.octets);
      break;
    case "window-scale":
      into[at] = KIND.windowScale;
      into[at + 2] = option.shift;
      break;
    case "sack-permitted":
      into[at] = KIND.selectivePermitted;
      break;
    case "sack":
      into[at] = KIND.selective;
      emitSack(option.blocks, into, at + 2);
      break;
    case "timestamps":
      into[at] = KIND.timestamps;
      writeU32(into, at + 2, option.value);
      writeU32(into, at + 6, option.echo);
      break;
    case "other":
      into[at] = option.type;
      into.set(option.octets, at + 2);
      break;
  }
}

function emitSack(blocks: readonly SackBlock[], into: Uint8Array, from: number): void {
  if (blocks.length === 0) {
    throw new V2Error("TCP_OPTIONS", "a SACK option without blocks says nothing", {
      remedy: "Leave the option out.",
    });
  }
  let at = from;
  for (const block of blocks) {
    writeU32(into, at, block.left);
    writeU32(into, at + 4, block.right);
    at += 8;
  }
}

/** "mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7" */
export function printTcpOptions(options: readonly TcpOption[]): string {
  return options.map(printOption).join(",");
}

function printOption(option: TcpOption): string {
  switch (option.kind) {
    case "nop":
      return "nop";
    case "maximum-segment":
      return `mss ${option.octets}`;
    case "window-scale":
      return `wscale ${option.shift}`;
    case "sack-permitted":
      return "sackOK";
    case "sack":
      return printSack(option.blocks);
    case "timestamps":
      return `TS val ${option.value} ecr ${option.echo}`;
    default:
      return `unknown-${option.type}`;
  }
}

function printSack(blocks: readonly SackBlock[]): string {
  const edges = blocks.map((block) => `{${block.left}:${block.right}}`);
  return `sack ${blocks.length} ${edges.join("")}`;
}
