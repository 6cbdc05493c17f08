/** Transmission Control Protocol segments, RFC 9293 §3.1. Offsets from the start of the header. */
import { readU16, readU32, writeU16, writeU32 } from "../base/index.ts";
import {
  type AddressPair,
  checksumOf,
  pseudoHeaderSum,
  sumIsRight,
  sumOctets,
} from "./checksum.ts";
import { IP_PROTOCOL, type WireProblem } from "./ip-protocol.ts";
import { requireField, requireRoom } from "./room.ts";
import {
  emitTcpOptions,
  parseTcpOptions,
  printTcpOptions,
  type TcpOption,
  tcpOptionsOctets,
} from "./tcp-options.ts";

export const TCP_AT = {
  sourcePort: 0,
  targetPort: 2,
  sequence: 4,
  acknowledgment: 8,
  headerLength: 12,
  flags: 13,
  window: 14,
  checksum: 16,
  urgent: 18,
  options: 20,
} as const;

export const TCP_HEADER_OCTETS_MIN = 20;

/** Bits of the flags octet. */
export const TCP_FLAG = {
  fin: 0x01,
  syn: 0x02,
  rst: 0x04,
  psh: 0x08,
  ack: 0x10,
  urg: 0x20,
  /** RFC 3168. */
  ece: 0x40,
  cwr: 0x80,
} as const;

/** A segment as it lies in memory. */
export class TcpView {
  readonly octets: Uint8Array;

  private constructor(octets: Uint8Array) {
    this.octets = octets;
  }

  /** undefined: shorter than 20 octets. */
  static over(octets: Uint8Array): TcpView | undefined {
    return octets.length < TCP_HEADER_OCTETS_MIN ? undefined : new TcpView(octets);
  }

  get sourcePort(): number {
    return readU16(this.octets, TCP_AT.sourcePort);
  }
  get targetPort(): number {
    return readU16(this.octets, TCP_AT.targetPort);
  }
  get sequence(): number {
    return readU32(this.octets, TCP_AT.sequence);
  }
  get acknowledgment(): number {
    return readU32(this.octets, TCP_AT.acknowledgment);
  }
  /** As the segment says: 0 … 60. */
  get headerOctets(): number {
    return (this.octets[TCP_AT.headerLength]! >>> 4) * 4;
  }
  /** TCP_FLAG bits. */
  get flags(): number {
    return this.octets[TCP_AT.flags]!;
  }
  /** Before window scaling. */
  get window(): number {
    return readU16(this.octets, TCP_AT.window);
  }
  get checksum(): number {
    return readU16(this.octets, TCP_AT.checksum);
  }
  get urgentPointer(): number {
    return readU16(this.octets, TCP_AT.urgent);
  }
  /** A window, not a copy. */
  get optionOctets(): Uint8Array {
    return this.octets.subarray(TCP_AT.options, Math.max(TCP_AT.options, this.headerOctets));
  }
  /** A window, not a copy. */
  get payload(): Uint8Array {
    return this.octets.subarray(Math.max(TCP_AT.options, this.headerOctets));
  }

  /**
   * What makes the segment unusable; undefined: nothing. Its end is the end of the octets given.
   * @param addresses of the IP packet; without them the checksum is not looked at.
   */
  problem(addresses?: AddressPair): WireProblem | undefined {
    const problem = frameProblem(this, addresses);
    if (problem !== undefined) return problem;
    return parseTcpOptions(this.optionOctets) === undefined ? "options" : undefined;
  }
}

/** A segment's meaning; payload and unknown options are windows on the parsed octets. */
export interface Tcp {
  readonly sourcePort: number;
  readonly targetPort: number;
  readonly sequence: number;
  readonly acknowledgment: number;
  /** TCP_FLAG bits. */
  readonly flags: number;
  /** Before window scaling. */
  readonly window: number;
  readonly urgentPointer: number;
  readonly options: readonly TcpOption[];
  readonly payload: Uint8Array;
}

/** Everything but the options. */
function frameProblem(view: TcpView, addresses?: AddressPair): WireProblem | undefined {
  const { headerOctets, octets } = view;
  if (headerOctets < TCP_HEADER_OCTETS_MIN || headerOctets > octets.length) return "header-length";
  if (addresses === undefined) return undefined;
  const pseudo = pseudoHeaderSum(addresses, IP_PROTOCOL.tcp, octets.length);
  return sumIsRight(sumOctets(octets, 0, octets.length, pseudo)) ? undefined : "checksum";
}

/** undefined: `view.problem(addresses)` says why. Reserved bits are dropped. */
export function parseTcp(view: TcpView, addresses?: AddressPair): Tcp | undefined {
  if (frameProblem(view, addresses) !== undefined) return undefined;
  const options = parseTcpOptions(view.optionOctets);
  if (options === undefined) return undefined;
  return {
    sourcePort: view.sourcePort,
    targetPort: view.targetPort,
    sequence: view.sequence,
    acknowledgment: view.acknowledgment,
    flags: view.flags,
    window: view.window,
    urgentPointer: view.urgentPointer,
    options,
    payload: view.payload,
  };
}

/** Writes header, options, checksum and payload. @returns octets written. */
export function emitTcp(tcp: Tcp, into: Uint8Array, addresses: AddressPair): number {
  const headerOctets = TCP_HEADER_OCTETS_MIN + tcpOptionsOctets(tcp.options);
  const totalOctets = headerOctets + tcp.payload.length;
  requireRoom("a TCP segment", into, totalOctets);
  requireField("TCP source port", tcp.sourcePort, 0xffff);
  requireField("TCP target port", tcp.targetPort, 0xffff);
  requireField("TCP window", tcp.window, 0xffff);
  into.set(tcp.payload, headerOctets);
  emitTcpOptions(tcp.options, into.subarray(TCP_AT.options));
  writeU16(into, TCP_AT.sourcePort, tcp.sourcePort);
  writeU16(into, TCP_AT.targetPort, tcp.targetPort);
  writeU32(into, TCP_AT.sequence, tcp.sequence);
  writeU32(into, TCP_AT.acknowledgment, tcp.acknowledgment);
  into[TCP_AT.headerLength] = (headerOctets / 4) << 4;
  into[TCP_AT.flags] = tcp.flags;
  writeU16(into, TCP_AT.window, tcp.window);
  writeU16(into, TCP_AT.checksum, 0);
  writeU16(into, TCP_AT.urgent, tcp.urgentPointer);
  const pseudo = pseudoHeaderSum(addresses, IP_PROTOCOL.tcp, totalOctets);
  writeU16(into, TCP_AT.checksum, checksumOf(sumOctets(into, 0, totalOctets, pseudo)));
  return totalOctets;
}

/**
 * "Flags [S], seq 1, win 64240, options [mss 1460], length 0". Sequence numbers are absolute: a
 * printer of single frames remembers no connection.
 * @param lengthOctets of the segment as IP says it, when the capture holds less.
 */
export function printTcp(view: TcpView, lengthOctets = view.octets.length): string {
  const { headerOctets, sequence } = view;
  if (headerOctets < TCP_HEADER_OCTETS_MIN) return `TCP, bad header length ${headerOctets}`;
  const payloadOctets = Math.max(0, lengthOctets - headerOctets);
  const parts = [`Flags [${printTcpFlags(view.flags)}]`];
  const takesSequence = view.flags & (TCP_FLAG.syn | TCP_FLAG.fin | TCP_FLAG.rst);
  if (payloadOctets > 0) parts.push(`seq ${sequence}:${(sequence + payloadOctets) >>> 0}`);
  else if (takesSequence) parts.push(`seq ${sequence}`);
  if (view.flags & TCP_FLAG.ack) parts.push(`ack ${view.acknowledgment}`);
  parts.push(`win ${view.window}`);
  if (view.flags & TCP_FLAG.urg) parts.push(`urg ${view.urgentPointer}`);
  if (view.optionOctets.length > 0) {
    const options = parseTcpOptions(view.optionOctets);
    parts.push(`options [${options === undefined ? "broken" : printTcpOptions(options)}]`);
  }
  parts.push(`length ${payloadOctets}`);
  return parts.join(", ");
}

/** One sign per flag, "." for ACK: "S", "S.", "P.", "none". */
export function printTcpFlags(flags: number): string {
  const signs = [
    [TCP_FLAG.fin, "F"],
    [TCP_FLAG.syn, "S"],
    [TCP_FLAG.rst, "R"],
    [TCP_FLAG.psh, "P"],
    [TCP_FLAG.ack, "."],
    [TCP_FLAG.urg, "U"],
    [TCP_FLAG.ece, "E"],
    [TCP_FLAG.cwr, "W"],
  ] as const;
  let text = "";
  for (const [flag, sign] of signs) if (flags & flag) text += sign;
  return text || "none";
}
