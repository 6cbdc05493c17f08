/**
 * DHCP for IPv4: RFC 2131 §2 (the BOOTP message), RFC 2132 (options), RFC 3396 (long options in
 * pieces), RFC 3442 (classless routes). Offsets from the start of the UDP payload.
 */
import {
  copyOctets,
  IPV4_OCTETS,
  type Ipv4Address,
  readU32,
  writeU16,
  writeU32,
} from "../base/index.ts";
import { requireRoom } from "./room.ts";

export const DHCP_PORT = { server: 67, client: 68 } as const;
export const DHCP_TYPE = {
  discover: 1,
  offer: 2,
  request: 3,
  decline: 4,
  acknowledge: 5,
  refuse: 6,
  release: 7,
  inform: 8,
} as const;
/** RFC 2132. */
export const DHCP_OPTION = {
  netmask: 1,
  routers: 3,
  servers: 6,
  hostName: 12,
  domain: 15,
  mtu: 26,
  requestedAddress: 50,
  lease: 51,
  overload: 52,
  type: 53,
  serverIdentifier: 54,
  parameters: 55,
  renewal: 58,
  rebinding: 59,
  clientIdentifier: 61,
  classlessRoutes: 121,
} as const;

const AT = {
  operation: 0,
  hardwareType: 1,
  hardwareOctets: 2,
  transaction: 4,
  flags: 10,
  clientAddress: 12,
  yourAddress: 16,
  hardware: 28,
  serverName: 44,
  file: 108,
  magic: 236,
  options: 240,
} as const;
const MAGIC = 0x6382_5363;
const BROADCAST = 0x8000;
/** RFC 1542 §2.1: shorter ones are dropped by old relays. */
const OCTETS_MIN = 300;
const PAD = 0;
const END = 255;

/** What a message says; options by number, pieces of one put together. */
export interface Dhcp {
  readonly isRequest: boolean;
  /** 32 bits. */
  readonly transaction: number;
  readonly wantsBroadcast: boolean;
  readonly clientAddress: Ipv4Address;
  readonly yourAddress: Ipv4Address;
  /** 6 octets. */
  readonly mac: Uint8Array;
  readonly options: ReadonlyMap<number, Uint8Array>;
}

/** undefined: too short, no DHCP, or not for Ethernet. An option over the end ends them. */
export function parseDhcp(octets: Uint8Array): Dhcp | undefined {
  if (octets.length < AT.options || readU32(octets, AT.magic) !== MAGIC) return undefined;
  if (octets[AT.hardwareType] !== 1 || octets[AT.hardwareOctets] !== 6) return undefined;
  const operation = octets[AT.operation]!;
  if (operation !== 1 && operation !== 2) return undefined;
  const options = new Map<number, Uint8Array>();
  readOptions(octets.subarray(AT.options), options);
  // RFC 2131 §4.1: the fields of names may hold options, too.
  const overload = options.get(DHCP_OPTION.overload)?.[0] ?? 0;
  if ((overload & 1) !== 0) readOptions(octets.subarray(AT.file, AT.magic), options);
  if ((overload & 2) !== 0) readOptions(octets.subarray(AT.serverName, AT.file), options);
  return {
    isRequest: operation === 1,
    transaction: readU32(octets, AT.transaction),
    wantsBroadcast: (octets[AT.flags]! & 0x80) !== 0,
    clientAddress: copyOctets(octets, AT.clientAddress, AT.clientAddress + IPV4_OCTETS),
    yourAddress: copyOctets(octets, AT.yourAddress, AT.yourAddress + IPV4_OCTETS),
    mac: copyOctets(octets, AT.hardware, AT.hardware + 6),
    options,
  };
}

function readOptions(octets: Uint8Array, into: Map<number, Uint8Array>): void {
  for (let at = 0; at < octets.length && octets[at] !== END; ) {
    if (octets[at] === PAD) {
      at++;
      continue;
    }
    const length = octets[at + 1] ?? 0;
    if (at + 2 + length > octets.length) return;
    const kind = octets[at]!;
    const before = into.get(kind) ?? new Uint8Array();
    const whole = new Uint8Array(before.length + length);
    whole.set(before);
    whole.set(octets.subarray(at + 2, at + 2 + length), before.length);
    into.set(kind, whole);
    at += 2 + length;
  }
}

/** Writes a message, filled up to 300 octets. @returns octets written. */
export function emitDhcp(message: Dhcp, into: Uint8Array): number {
  let total: number = AT.options + 1;
  for (const octets of message.options.values()) {
    total += octets.length + 2 * Math.max(1, Math.ceil(octets.length / 255));
  }
  total = Math.max(OCTETS_MIN, total);
  requireRoom("a DHCP message", into, total);
  into.fill(0, 0, total);
  into[AT.operation] = message.isRequest ? 1 : 2;
  into[AT.hardwareType] = 1;
  into[AT.hardwareOctets] = 6;
  writeU32(into, AT.transaction, message.transaction);
  writeU16(into, AT.flags, message.wantsBroadcast ? BROADCAST : 0);
  into.set(message.clientAddress, AT.clientAddress);
  into.set(message.yourAddress, AT.yourAddress);
  into.set(message.mac, AT.hardware);
  writeU32(into, AT.magic, MAGIC);
  let at: number = AT.options;
  for (const [kind, octets] of message.options) {
    for (let from = 0; from === 0 || from < octets.length; from += 255) {
      const part = octets.subarray(from, from + 255);
      into[at] = kind;
      into[at + 1] = part.length;
      into.set(part, at + 2);
      at += 2 + part.length;
    }
  }
  into[at] = END;
  return total;
}

/** A route of RFC 3442: prefix length, network, router. */
export interface ClasslessRoute {
  readonly lengthBits: number;
  readonly network: Ipv4Address;
  readonly router: Ipv4Address;
}

/** Reads option 121 up to the first nonsense. */
export function parseClasslessRoutes(octets: Uint8Array): ClasslessRoute[] {
  const routes: ClasslessRoute[] = [];
  for (let at = 0; at < octets.length; ) {
    const lengthBits = octets[at]!;
    const significant = Math.ceil(lengthBits / 8);
    const end = at + 1 + significant + IPV4_OCTETS;
    if (lengthBits > 32 || end > octets.length) break;
    const network = new Uint8Array(IPV4_OCTETS);
    network.set(octets.subarray(at + 1, at + 1 + significant));
    routes.push({ lengthBits, network, router: copyOctets(octets, end - IPV4_OCTETS, end) });
    at = end;
  }
  return routes;
}
