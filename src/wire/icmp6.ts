/**
 * ICMPv6, RFC 4443, and Neighbour Discovery, RFC 4861 §4. Offsets from the start of the message.
 * The checksum covers the IPv6 addresses, so parse and emit ask for them.
 */
import { copyOctets, readU16, readU32, writeU16, writeU32 } from "../base/index.ts";
import { IPV6_OCTETS, type Ipv6Address, printIpv6 } from "../base/index.ts";
import {
  type AddressPair,
  checksumOf,
  pseudoHeaderSum,
  sumIsRight,
  sumOctets,
} from "./checksum.ts";
import { printPort } from "./icmp.ts";
import { IP_PROTOCOL, type WireProblem } from "./ip-protocol.ts";
import { Ipv6View } from "./ipv6.ts";
import { emitNdOptions, type NdOption, ndOptionsOctets, parseNdOptions } from "./nd-options.ts";
import { emitAddress, requireField, requireRoom } from "./room.ts";

export const ICMP6_AT = { type: 0, code: 1, checksum: 2, rest: 4, payload: 8 } as const;
export const ICMP6_HEADER_OCTETS = 8;

export const ICMP6_TYPE = {
  unreachable: 1,
  packetTooBig: 2,
  timeExceeded: 3,
  parameterProblem: 4,
  echoRequest: 128,
  echoReply: 129,
  multicastQuery: 130,
  routerSolicitation: 133,
  routerAdvertisement: 134,
  neighborSolicitation: 135,
  neighborAdvertisement: 136,
  redirect: 137,
  multicastReport2: 143,
} as const;

/** Codes of "destination unreachable", RFC 4443 §3.1. */
export const UNREACHABLE6_CODE = { noRoute: 0, administrative: 1, address: 3, port: 4 } as const;

/** Neighbour Discovery is believed only with this hop limit: it cannot have crossed a router. */
export const ND_HOP_LIMIT = 255;

const ND_AT = { target: 8, targetOptions: 24, advertisementOptions: 16 } as const;
const NA_ROUTER = 0x8000_0000;
const NA_SOLICITED = 0x4000_0000;
const NA_OVERRIDE = 0x2000_0000;
const RA_MANAGED = 0x80;
const RA_OTHER = 0x40;

/** A message as it lies in memory. */
export class Icmp6View {
  readonly octets: Uint8Array;

  private constructor(octets: Uint8Array) {
    this.octets = octets;
  }

  /** undefined: shorter than 8 octets. */
  static over(octets: Uint8Array): Icmp6View | undefined {
    return octets.length < ICMP6_HEADER_OCTETS ? undefined : new Icmp6View(octets);
  }

  get type(): number {
    return this.octets[ICMP6_AT.type]!;
  }
  get code(): number {
    return this.octets[ICMP6_AT.code]!;
  }
  /** The four octets after the checksum, whose meaning the type decides. */
  get rest(): number {
    return readU32(this.octets, ICMP6_AT.rest);
  }
  /** A window. */
  get payload(): Uint8Array {
    return this.octets.subarray(ICMP6_AT.payload);
  }
  /** The address a neighbour message is about; undefined: the message is too short for one. */
  get ndTarget(): Ipv6Address | undefined {
    if (this.octets.length < ND_AT.targetOptions) return undefined;
    return this.octets.subarray(ND_AT.target, ND_AT.target + IPV6_OCTETS);
  }

  /**
   * What makes the message unusable; undefined: nothing. Neighbour Discovery is strict about
   * length, code and options (RFC 4861 §6.1, §7.1); its hop limit of 255 is the IPv6 layer's to
   * check.
   * @param addresses of the IPv6 packet.
   */
  problem(addresses: AddressPair): WireProblem | undefined {
    const { octets } = this;
    const pseudo = pseudoHeaderSum(addresses, IP_PROTOCOL.icmp6, octets.length);
    if (!sumIsRight(sumOctets(octets, 0, octets.length, pseudo))) return "checksum";
    const optionsAt = ND_OPTIONS_AT[this.type];
    if (optionsAt === undefined) return undefined;
    if (this.code !== 0) return "code";
    if (octets.length < optionsAt) return "total-length";
    return parseNdOptions(octets.subarray(optionsAt)) === undefined ? "options" : undefined;
  }
}

/**
 * What a message says; addresses are copies, payload and `about` are windows on the parsed octets.
 */
export type Icmp6 =
  | {
      readonly kind: "echo-request" | "echo-reply";
      readonly identifier: number;
      readonly sequence: number;
      readonly payload: Uint8Array;
    }
  | {
      readonly kind: "unreachable" | "time-exceeded";
      readonly code: number;
      /** The start of the packet the error is about. */
      readonly about: Uint8Array;
    }
  | { readonly kind: "packet-too-big"; readonly mtuOctets: number; readonly about: Uint8Array }
  | {
      readonly kind: "parameter-problem";
      readonly code: number;
      /** Offset of the octet at fault. */
      readonly pointer: number;
      readonly about: Uint8Array;
    }
  | { readonly kind: "router-solicitation"; readonly options: readonly NdOption[] }
  | {
      readonly kind: "router-advertisement";
      readonly hopLimit: number;
      /** Addresses by DHCPv6. */
      readonly isManaged: boolean;
      /** Other configuration by DHCPv6. */
      readonly hasOtherConfiguration: boolean;
      /** 0: not a default router. */
      readonly lifetimeSeconds: number;
      /** 0: unspecified. */
      readonly reachableMs: number;
      /** 0: unspecified. */
      readonly retransmitMs: number;
      readonly options: readonly NdOption[];
    }
  | {
      readonly kind: "neighbor-solicitation";
      readonly target: Ipv6Address;
      readonly options: readonly NdOption[];
    }
  | {
      readonly kind: "neighbor-advertisement";
      readonly target: Ipv6Address;
      readonly isRouter: boolean;
      readonly isSolicited: boolean;
      readonly isOverride: boolean;
      readonly options: readonly NdOption[];
    }
  | {
      readonly kind: "other";
      readonly type: number;
      readonly code: number;
      readonly rest: number;
      readonly payload: Uint8Array;
    };

/** undefined: `view.problem(addresses)` says why. */
export function parseIcmp6(view: Icmp6View, addresses: AddressPair): Icmp6 | undefined {
  if (view.problem(addresses) !== undefined) return undefined;
  const { type, code, rest, payload } = view;
  switch (type) {
    case ICMP6_TYPE.unreachable:
      return { kind: "unreachable", code, about: payload };
    case ICMP6_TYPE.timeExceeded:
      return { kind: "time-exceeded", code, about: payload };
    case ICMP6_TYPE.packetTooBig:
      return { kind: "packet-too-big", mtuOctets: rest, about: payload };
    case ICMP6_TYPE.parameterProblem:
      return { kind: "parameter-problem", code, pointer: rest, about: payload };
    case ICMP6_TYPE.routerSolicitation:
    case ICMP6_TYPE.routerAdvertisement:
    case ICMP6_TYPE.neighborSolicitation:
    case ICMP6_TYPE.neighborAdvertisement:
      return parseNd(view);
    case ICMP6_TYPE.echoRequest:
    case ICMP6_TYPE.echoReply:
      if (code !== 0) break;
      return {
        kind: type === ICMP6_TYPE.echoRequest ? "echo-request" : "echo-reply",
        identifier: rest >>> 16,
        sequence: rest & 0xffff,
        payload,
      };
  }
  return { kind: "other", type, code, rest, payload };
}

function parseNd(view: Icmp6View): Icmp6 | undefined {
  const { octets, rest } = view;
  const optionsAt = ND_OPTIONS_AT[view.type]!;
  const options = parseNdOptions(octets.subarray(optionsAt));
  if (options === undefined) return undefined;
  if (view.type === ICMP6_TYPE.routerSolicitation) return { kind: "router-solicitation", options };
  if (view.type === ICMP6_TYPE.routerAdvertisement) {
    const flags = octets[ICMP6_AT.rest + 1]!;
    return {
      kind: "router-advertisement",
      hopLimit: octets[ICMP6_AT.rest]!,
      isManaged: (flags & RA_MANAGED) !== 0,
      hasOtherConfiguration: (flags & RA_OTHER) !== 0,
      lifetimeSeconds: readU16(octets, ICMP6_AT.rest + 2),
      reachableMs: readU32(octets, ICMP6_AT.payload),
      retransmitMs: readU32(octets, ICMP6_AT.payload + 4),
      options,
    };
  }
  const target = copyOctets(octets, ND_AT.target, ND_AT.target + IPV6_OCTETS);
  if (view.type === ICMP6_TYPE.neighborSolicitation) {
    return { kind: "neighbor-solicitation", target, options };
  }
  return {
    kind: "neighbor-advertisement",
    target,
    isRouter: (rest & NA_ROUTER) !== 0,
    isSolicited: (rest & NA_SOLICITED) !== 0,
    isOverride: (rest & NA_OVERRIDE) !== 0,
    options,
  };
}

const ND_OPTIONS_AT: { readonly [type: number]: number } = {
  [ICMP6_TYPE.routerSolicitation]: ICMP6_AT.payload,
  [ICMP6_TYPE.routerAdvertisement]: ND_AT.advertisementOptions,
  [ICMP6_TYPE.neighborSolicitation]: ND_AT.targetOptions,
  [ICMP6_TYPE.neighborAdvertisement]: ND_AT.targetOptions,
};

/** Writes header, checksum and body. @returns octets written. */
export function emitIcmp6(icmp: Icmp6, into: Uint8Array, addresses: AddressPair): number {
  const type = typeOf(icmp);
  const totalOctets = octetsOf(icmp, type);
  requireRoom("an ICMPv6 message", into, totalOctets);
  emitBody(icmp, into);
  into[ICMP6_AT.type] = type;
  into[ICMP6_AT.code] = "code" in icmp ? icmp.code : 0;
  writeU16(into, ICMP6_AT.checksum, 0);
  const pseudo = pseudoHeaderSum(addresses, IP_PROTOCOL.icmp6, totalOctets);
  writeU16(into, ICMP6_AT.checksum, checksumOf(sumOctets(into, 0, totalOctets, pseudo)));
  return totalOctets;
}

function typeOf(icmp: Icmp6): number {
  return icmp.kind === "other" ? icmp.type : TYPE_OF_KIND[icmp.kind];
}

const TYPE_OF_KIND = {
  unreachable: ICMP6_TYPE.unreachable,
  "packet-too-big": ICMP6_TYPE.packetTooBig,
  "time-exceeded": ICMP6_TYPE.timeExceeded,
  "parameter-problem": ICMP6_TYPE.parameterProblem,
  "echo-request": ICMP6_TYPE.echoRequest,
  "echo-reply": ICMP6_TYPE.echoReply,
  "router-solicitation": ICMP6_TYPE.routerSolicitation,
  "router-advertisement": ICMP6_TYPE.routerAdvertisement,
  "neighbor-solicitation": ICMP6_TYPE.neighborSolicitation,
  "neighbor-advertisement": ICMP6_TYPE.neighborAdvertisement,
} as const;

function octetsOf(icmp: Icmp6, type: number): number {
  if ("options" in icmp) return ND_OPTIONS_AT[type]! + ndOptionsOctets(icmp.options);
  return ICMP6_HEADER_OCTETS + ("payload" in icmp ? icmp.payload : icmp.about).length;
}

function emitBody(icmp: Icmp6, into: Uint8Array): void {
  if ("payload" in icmp) into.set(icmp.payload, ICMP6_AT.payload);
  if ("about" in icmp) into.set(icmp.about, ICMP6_AT.payload);
  if ("options" in icmp) {
    emitNdOptions(icmp.options, into.subarray(ND_OPTIONS_AT[TYPE_OF_KIND[icmp.kind]]));
  }
  if ("target" in icmp) emitAddress(icmp.target, IPV6_OCTETS, into, ND_AT.target);
  if (icmp.kind === "router-advertisement") {
    writeU32(into, ICMP6_AT.payload, icmp.reachableMs);
    writeU32(into, ICMP6_AT.payload + 4, icmp.retransmitMs);
  }
  writeU32(into, ICMP6_AT.rest, restOf(icmp));
}

function restOf(icmp: Icmp6): number {
  switch (icmp.kind) {
    case "echo-request":
    case "echo-reply":
      requireField("ICMPv6 identifier", icmp.identifier, 0xffff);
      requireField("ICMPv6 sequence", icmp.sequence, 0xffff);
      return icmp.identifier * 0x1_0000 + icmp.sequence;
    case "packet-too-big":
      return icmp.mtuOctets;
    case "parameter-problem":
      return icmp.pointer;
    case "neighbor-advertisement":
      return (
        (icmp.isRouter ? NA_ROUTER : 0) +
        (icmp.isSolicited ? NA_SOLICITED : 0) +
        (icmp.isOverride ? NA_OVERRIDE : 0)
      );
    case "router-advertisement": {
      requireField("router lifetime", icmp.lifetimeSeconds, 0xffff);
      const flags = (icmp.isManaged ? RA_MANAGED : 0) | (icmp.hasOtherConfiguration ? RA_OTHER : 0);
      return icmp.hopLimit * 0x100_0000 + flags * 0x1_0000 + icmp.lifetimeSeconds;
    }
    case "other":
      return icmp.rest;
    default:
      return 0;
  }
}

/**
 * "ICMP6, neighbor solicitation, who has fe80::1, length 32".
 * @param lengthOctets of the message as IPv6 says it, when the capture holds less.
 */
export function printIcmp6(view: Icmp6View, lengthOctets = view.octets.length): string {
  return `ICMP6, ${printMeaning(view)}, length ${lengthOctets}`;
}

function printMeaning(view: Icmp6View): string {
  const { type, rest } = view;
  const target = view.ndTarget === undefined ? "[cut]" : printIpv6(view.ndTarget);
  switch (type) {
    case ICMP6_TYPE.unreachable:
      return `destination unreachable, ${printUnreachable(view)}`;
    case ICMP6_TYPE.packetTooBig:
      return `packet too big, mtu ${rest}`;
    case ICMP6_TYPE.timeExceeded:
      return `time exceeded in-${view.code === 1 ? "reassembly" : "transit"}`;
    case ICMP6_TYPE.parameterProblem:
      return `parameter problem, code ${view.code}, octet ${rest}`;
    case ICMP6_TYPE.echoRequest:
      return `echo request, id ${rest >>> 16}, seq ${rest & 0xffff}`;
    case ICMP6_TYPE.echoReply:
      return `echo reply, id ${rest >>> 16}, seq ${rest & 0xffff}`;
    case ICMP6_TYPE.multicastQuery:
      return "multicast listener query";
    case ICMP6_TYPE.routerSolicitation:
      return "router solicitation";
    case ICMP6_TYPE.routerAdvertisement:
      return "router advertisement";
    case ICMP6_TYPE.neighborSolicitation:
      return `neighbor solicitation, who has ${target}`;
    case ICMP6_TYPE.neighborAdvertisement:
      return `neighbor advertisement, tgt is ${target}`;
    case ICMP6_TYPE.redirect:
      return `redirect, to ${target}`;
    case ICMP6_TYPE.multicastReport2:
      return `multicast listener report v2, ${rest & 0xffff} group record(s)`;
    default:
      return `type-#${type}`;
  }
}

function printUnreachable(view: Icmp6View): string {
  const about = Ipv6View.over(view.payload);
  const target = about === undefined ? "[cut]" : printIpv6(about.target);
  switch (view.code) {
    case UNREACHABLE6_CODE.noRoute:
      return `unreachable route ${target}`;
    case UNREACHABLE6_CODE.administrative:
      return `unreachable prohibited ${target}`;
    case UNREACHABLE6_CODE.address:
      return `unreachable address ${target}`;
    case UNREACHABLE6_CODE.port: {
      if (about === undefined) return "unreachable port";
      const { protocol, at } = about.walk;
      return `unreachable port, ${target} ${printPort(protocol, about.octets.subarray(at))}`;
    }
    default:
      return `unreachable code-#${view.code}`;
  }
}
