/** Internet Control Message Protocol for IPv4, RFC 792. Offsets from the start of the message. */
import { copyOctets, readU16, readU32, writeU16, writeU32 } from "../base/index.ts";
import { IPV4_OCTETS, type Ipv4Address, printIpv4 } from "../base/index.ts";
import { checksumOf, sumIsRight, sumOctets } from "./checksum.ts";
import { IP_PROTOCOL, type WireProblem } from "./ip-protocol.ts";
import { Ipv4View } from "./ipv4.ts";
import { requireField, requireRoom } from "./room.ts";
import { UDP_AT } from "./udp.ts";

export const ICMP_AT = { type: 0, code: 1, checksum: 2, rest: 4, payload: 8 } as const;
export const ICMP_HEADER_OCTETS = 8;

export const ICMP_TYPE = {
  echoReply: 0,
  unreachable: 3,
  redirect: 5,
  echoRequest: 8,
  timeExceeded: 11,
  parameterProblem: 12,
} as const;

/** Codes of "destination unreachable", RFC 792 and RFC 1122 §3.2.2.1. */
export const UNREACHABLE_CODE = {
  network: 0,
  host: 1,
  protocol: 2,
  port: 3,
  fragmentationNeeded: 4,
  sourceRouteFailed: 5,
  administrative: 13,
} as const;

/** A message as it lies in memory. */
export class IcmpView {
  readonly octets: Uint8Array;

  private constructor(octets: Uint8Array) {
    this.octets = octets;
  }

  /** undefined: shorter than 8 octets. */
  static over(octets: Uint8Array): IcmpView | undefined {
    return octets.length < ICMP_HEADER_OCTETS ? undefined : new IcmpView(octets);
  }

  get type(): number {
    return this.octets[ICMP_AT.type]!;
  }
  get code(): number {
    return this.octets[ICMP_AT.code]!;
  }
  /** The four octets after the checksum, whose meaning the type decides. */
  get rest(): number {
    return readU32(this.octets, ICMP_AT.rest);
  }
  /** A window: echo data, or the packet an error is about. */
  get payload(): Uint8Array {
    return this.octets.subarray(ICMP_AT.payload);
  }
  /** What makes the message unusable; undefined: nothing. */
  get problem(): WireProblem | undefined {
    return sumIsRight(sumOctets(this.octets, 0, this.octets.length)) ? undefined : "checksum";
  }
}

/** What a message says; payload and `about` are windows on the parsed octets. */
export type Icmp =
  | {
      readonly kind: "echo-request" | "echo-reply";
      readonly identifier: number;
      readonly sequence: number;
      readonly payload: Uint8Array;
    }
  | {
      readonly kind: "unreachable";
      readonly code: number;
      /** Largest packet that passes, for code fragmentationNeeded (RFC 1191 §4); else 0. */
      readonly nextMtuOctets: number;
      /** The start of the packet that could not be delivered: header and at least 8 octets. */
      readonly about: Uint8Array;
    }
  | { readonly kind: "time-exceeded"; readonly code: number; readonly about: Uint8Array }
  | {
      readonly kind: "redirect";
      readonly code: number;
      readonly gateway: Ipv4Address;
      readonly about: Uint8Array;
    }
  | {
      readonly kind: "parameter-problem";
      readonly code: number;
      /** Offset of the octet at fault. */
      readonly pointer: number;
      readonly about: Uint8Array;
    }
  | {
      readonly kind: "other";
      readonly type: number;
      readonly code: number;
      readonly rest: number;
      readonly payload: Uint8Array;
    };

/**
 * undefined: wrong checksum. Unused fields are dropped; an echo with a code other than 0 is
 * `other`.
 */
export function parseIcmp(view: IcmpView): Icmp | undefined {
  if (view.problem !== undefined) return undefined;
  const { octets, type, code, rest, payload } = view;
  switch (type) {
    case ICMP_TYPE.echoRequest:
    case ICMP_TYPE.echoReply:
      if (code !== 0) break;
      return {
        kind: type === ICMP_TYPE.echoRequest ? "echo-request" : "echo-reply",
        identifier: rest >>> 16,
        sequence: rest & 0xffff,
        payload,
      };
    case ICMP_TYPE.unreachable: {
      const nextMtuOctets = code === UNREACHABLE_CODE.fragmentationNeeded ? rest & 0xffff : 0;
      return { kind: "unreachable", code, nextMtuOctets, about: payload };
    }
    case ICMP_TYPE.timeExceeded:
      return { kind: "time-exceeded", code, about: payload };
    case ICMP_TYPE.redirect: {
      const gateway = copyOctets(octets, ICMP_AT.rest, ICMP_AT.rest + IPV4_OCTETS);
      return { kind: "redirect", code, gateway, about: payload };
    }
    case ICMP_TYPE.parameterProblem:
      return { kind: "parameter-problem", code, pointer: rest >>> 24, about: payload };
  }
  return { kind: "other", type, code, rest, payload };
}

/** Writes header, checksum and payload. @returns octets written. */
export function emitIcmp(icmp: Icmp, into: Uint8Array): number {
  const body = "payload" in icmp ? icmp.payload : icmp.about;
  const totalOctets = ICMP_HEADER_OCTETS + body.length;
  requireRoom("an ICMP message", into, totalOctets);
  into.set(body, ICMP_AT.payload);
  into[ICMP_AT.type] = typeOf(icmp);
  into[ICMP_AT.code] = "code" in icmp ? icmp.code : 0;
  writeU16(into, ICMP_AT.checksum, 0);
  writeU32(into, ICMP_AT.rest, restOf(icmp));
  writeU16(into, ICMP_AT.checksum, checksumOf(sumOctets(into, 0, totalOctets)));
  return totalOctets;
}

function typeOf(icmp: Icmp): number {
  switch (icmp.kind) {
    case "echo-request":
      return ICMP_TYPE.echoRequest;
    case "echo-reply":
      return ICMP_TYPE.echoReply;
    case "unreachable":
      return ICMP_TYPE.unreachable;
    case "time-exceeded":
      return ICMP_TYPE.timeExceeded;
    case "redirect":
      return ICMP_TYPE.redirect;
    case "parameter-problem":
      return ICMP_TYPE.parameterProblem;
    default:
      return icmp.type;
  }
}

function restOf(icmp: Icmp): number {
  switch (icmp.kind) {
    case "echo-request":
    case "echo-reply":
      requireField("ICMP identifier", icmp.identifier, 0xffff);
      requireField("ICMP sequence", icmp.sequence, 0xffff);
      return icmp.identifier * 0x1_0000 + icmp.sequence;
    case "unreachable":
      requireField("ICMP next MTU", icmp.nextMtuOctets, 0xffff);
      return icmp.nextMtuOctets;
    case "time-exceeded":
      return 0;
    case "redirect":
      return readU32(icmp.gateway, 0);
    case "parameter-problem":
      return icmp.pointer * 0x100_0000;
    default:
      return icmp.rest;
  }
}

/**
 * "ICMP echo request, id 1, seq 1, length 64", "ICMP 10.0.0.2 udp port 53 unreachable, length 36".
 * @param lengthOctets of the message as IP says it, when the capture holds less.
 */
export function printIcmp(view: IcmpView, lengthOctets = view.octets.length): string {
  return `ICMP ${printMeaning(view)}, length ${lengthOctets}`;
}

function printMeaning(view: IcmpView): string {
  const { type, code, rest } = view;
  switch (type) {
    case ICMP_TYPE.echoRequest:
      return `echo request, id ${rest >>> 16}, seq ${rest & 0xffff}`;
    case ICMP_TYPE.echoReply:
      return `echo reply, id ${rest >>> 16}, seq ${rest & 0xffff}`;
    case ICMP_TYPE.unreachable:
      return printUnreachable(view);
    case ICMP_TYPE.timeExceeded:
      return code === 1 ? "ip reassembly time exceeded" : "time exceeded in-transit";
    case ICMP_TYPE.redirect: {
      const about = Ipv4View.over(view.payload);
      const what = about === undefined ? "somewhere" : printIpv4(about.target);
      const gateway = view.octets.subarray(ICMP_AT.rest, ICMP_AT.rest + IPV4_OCTETS);
      return `redirect ${what} to ${code === 1 ? "host" : "net"} ${printIpv4(gateway)}`;
    }
    case ICMP_TYPE.parameterProblem:
      return `parameter problem - octet ${rest >>> 24}`;
    default:
      return `type-#${type}`;
  }
}

function printUnreachable(view: IcmpView): string {
  const about = Ipv4View.over(view.payload);
  if (about === undefined) return `unreachable - #${view.code}`;
  const target = printIpv4(about.target);
  switch (view.code) {
    case UNREACHABLE_CODE.network:
      return `net ${target} unreachable`;
    case UNREACHABLE_CODE.host:
      return `host ${target} unreachable`;
    case UNREACHABLE_CODE.protocol:
      return `${target} protocol ${about.protocol} unreachable`;
    case UNREACHABLE_CODE.port:
      return `${target} ${printPort(about.protocol, about.payload)} unreachable`;
    case UNREACHABLE_CODE.fragmentationNeeded: {
      const mtu = view.rest & 0xffff;
      return `${target} unreachable - need to frag${mtu === 0 ? "" : ` (mtu ${mtu})`}`;
    }
    case UNREACHABLE_CODE.administrative:
      return `host ${target} unreachable - admin prohibited`;
    default:
      return `${target} unreachable - #${view.code}`;
  }
}

/** "udp port 53" of the start of a UDP or TCP header; shared with ICMPv6. */
export function printPort(protocol: number, header: Uint8Array): string {
  if (header.length < UDP_AT.targetPort + 2) return `protocol ${protocol} port unknown`;
  const port = readU16(header, UDP_AT.targetPort);
  if (protocol === IP_PROTOCOL.udp) return `udp port ${port}`;
  if (protocol === IP_PROTOCOL.tcp) return `tcp port ${port}`;
  return `protocol ${protocol} port ${port}`;
}
