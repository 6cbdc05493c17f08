/**
 * Options of Neighbour Discovery messages: RFC 4861 §4.6 (addresses, prefix, MTU), RFC 8106 §5.1
 * (recursive DNS servers). Each is a multiple of 8 octets long, its second octet says of how many.
 */
import { copyOctets, readU32, V2Error, writeU32 } from "../base/index.ts";
import { IPV6_OCTETS, type Ipv6Address, MAC_OCTETS, type MacAddress } from "../base/index.ts";
import { emitAddress } from "./room.ts";

const TYPE = { sourceMac: 1, targetMac: 2, prefix: 3, mtu: 5, dnsServers: 25 } as const;

const ON_LINK = 0x80;
const AUTONOMOUS = 0x40;

/** "For ever" in a lifetime. */
export const LIFETIME_INFINITE = 0xffff_ffff;

export type NdOption =
  | { readonly kind: "source-mac" | "target-mac"; readonly mac: MacAddress }
  | {
      readonly kind: "prefix";
      readonly prefix: Ipv6Address;
      readonly lengthBits: number;
      readonly isOnLink: boolean;
      /** Hosts may make addresses of it (SLAAC). */
      readonly isAutonomous: boolean;
      readonly validSeconds: number;
      readonly preferredSeconds: number;
    }
  | { readonly kind: "mtu"; readonly octets: number }
  | {
      readonly kind: "dns-servers";
      readonly lifetimeSeconds: number;
      readonly servers: readonly Ipv6Address[];
    }
  /** `octets` are the whole option, type and length included. */
  | { readonly kind: "other"; readonly octets: Uint8Array };

/**
 * Reads options to the end. undefined: an option of length 0 or over the end, which RFC 4861 §4.6
 * says to discard with its whole message. A known type with an odd shape is `other`.
 */
export function parseNdOptions(octets: Uint8Array): NdOption[] | undefined {
  const options: NdOption[] = [];
  let at = 0;
  while (at < octets.length) {
    const lengthOctets = 8 * (octets[at + 1] ?? 0);
    if (lengthOctets === 0 || at + lengthOctets > octets.length) return undefined;
    options.push(parseOption(octets.subarray(at, at + lengthOctets)));
    at += lengthOctets;
  }
  return options;
}

function parseOption(octets: Uint8Array): NdOption {
  const type = octets[0]!;
  if ((type === TYPE.sourceMac || type === TYPE.targetMac) && octets.length === 8) {
    const kind = type === TYPE.sourceMac ? "source-mac" : "target-mac";
    return { kind, mac: copyOctets(octets, 2, 2 + MAC_OCTETS) };
  }
  if (type === TYPE.prefix && octets.length === 32 && octets[2]! <= 128) {
    return {
      kind: "prefix",
      prefix: copyOctets(octets, 16, 16 + IPV6_OCTETS),
      lengthBits: octets[2]!,
      isOnLink: (octets[3]! & ON_LINK) !== 0,
      isAutonomous: (octets[3]! & AUTONOMOUS) !== 0,
      validSeconds: readU32(octets, 4),
      preferredSeconds: readU32(octets, 8),
    };
  }
  if (type === TYPE.mtu && octets.length === 8) return { kind: "mtu", octets: readU32(octets, 4) };
  if (type === TYPE.dnsServers && octets.length >= 24 && octets.length % 16 === 8) {
    const servers: Ipv6Address[] = [];
    for (let at = 8; at < octets.length; at += IPV6_OCTETS) {
      servers.push(copyOctets(octets, at, at + IPV6_OCTETS));
    }
    return { kind: "dns-servers", lifetimeSeconds: readU32(octets, 4), servers };
  }
  return { kind: "other", octets };
}

/** Octets of the options on the wire. */
export function ndOptionsOctets(options: readonly NdOption[]): number {
  let total = 0;
  for (const option of options) total += optionOctets(option);
  return total;
}

function optionOctets(option: NdOption): number {
  switch (option.kind) {
    case "source-mac":
    case "target-mac":
    case "mtu":
      return 8;
    case "prefix":
      return 32;
    case "dns-servers":
      return 8 + IPV6_OCTETS * option.servers.length;
    default:
      return option.octets.length;
  }
}

/**
 * Writes the options; the caller has seen that they fit. Throws V2Error ND_OPTION for one whose
 * length field cannot be right.
 * @returns octets written.
 */
export function emitNdOptions(options: readonly NdOption[], into: Uint8Array): number {
  let at = 0;
  for (const option of options) {
    const lengthOctets = optionOctets(option);
    emitOption(option, into.subarray(at, at + lengthOctets));
    at += lengthOctets;
  }
  return at;
}

function emitOption(option: NdOption, into: Uint8Array): void {
  into.fill(0);
  switch (option.kind) {
    case "source-mac":
    case "target-mac":
      into[0] = option.kind === "source-mac" ? TYPE.sourceMac : TYPE.targetMac;
      emitAddress(option.mac, MAC_OCTETS, into, 2);
      break;
    case "prefix":
      into[0] = TYPE.prefix;
      into[2] = option.lengthBits;
      into[3] = (option.isOnLink ? ON_LINK : 0) | (option.isAutonomous ? AUTONOMOUS : 0);
      writeU32(into, 4, option.validSeconds);
      writeU32(into, 8, option.preferredSeconds);
      emitAddress(option.prefix, IPV6_OCTETS, into, 16);
      break;
    case "mtu":
      into[0] = TYPE.mtu;
      writeU32(into, 4, option.octets);
      break;
    case "dns-servers":
      into[0] = TYPE.dnsServers;
      writeU32(into, 4, option.lifetimeSeconds);
      for (const [index, server] of option.servers.entries()) {
        emitAddress(server, IPV6_OCTETS, into, 8 + IPV6_OCTETS * index);
      }
      break;
    case "other":
      requireWhole(option.octets);
      into.set(option.octets);
      return;
  }
  into[1] = into.length / 8;
}

function requireWhole(octets: Uint8Array): void {
  if (octets.length > 0 && octets.length === 8 * octets[1]!) return;
  throw new V2Error(
    "ND_OPTION",
    `option ${octets[0]} has ${octets.length} octets, its length says else`,
    {
      remedy: "Give it a whole number of 8 octets and set its second octet to match.",
    },
  );
}
