/**
 * Ethernet, IPv4 and IPv6 addresses and prefixes: octets <-> text. An address is its octets in
 * network order (6, 4 or 16 of them); text exists only at the edges. Text readers answer undefined
 * for anything that is not exactly one address: no blanks, no zone, no leading zeros in decimal
 * parts.
 */
import { readU16, writeU16 } from "./bytes.ts";
import { V2Error } from "./errors.ts";

/** 6 octets, IEEE 802 EUI-48. */
export type MacAddress = Uint8Array;
/** 4 octets. */
export type Ipv4Address = Uint8Array;
/** 16 octets. */
export type Ipv6Address = Uint8Array;

export const MAC_OCTETS = 6;
export const IPV4_OCTETS = 4;
export const IPV6_OCTETS = 16;

/** Reads "02:00:00:0a:00:01" or the same with dashes; one or two digits per octet. */
export function parseMac(text: string): MacAddress | undefined {
  const parts = text.split(text.includes("-") ? "-" : ":");
  if (parts.length !== MAC_OCTETS) return undefined;
  const address = new Uint8Array(MAC_OCTETS);
  for (const [at, part] of parts.entries()) {
    if (!/^[0-9a-fA-F]{1,2}$/.test(part)) return undefined;
    address[at] = Number.parseInt(part, 16);
  }
  return address;
}

/** Lower case, colons: "02:00:00:0a:00:01". */
export function printMac(address: MacAddress): string {
  return Array.from(address, (octet) => octet.toString(16).padStart(2, "0")).join(":");
}

/**
 * Reads dotted decimal with exactly four parts (RFC 6943 §3.1.1 "strict"): octal look-alikes are
 * refused.
 */
export function parseIpv4(text: string): Ipv4Address | undefined {
  const parts = text.split(".");
  if (parts.length !== IPV4_OCTETS) return undefined;
  const address = new Uint8Array(IPV4_OCTETS);
  for (const [at, part] of parts.entries()) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return undefined;
    address[at] = Number(part);
  }
  return address;
}

/** "10.77.0.2" */
export function printIpv4(address: Ipv4Address): string {
  return address.join(".");
}

/** Reads every form of RFC 4291 §2.2: groups, one "::", a dotted IPv4 tail. */
export function parseIpv6(text: string): Ipv6Address | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1]!, true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const address = new Uint8Array(IPV6_OCTETS);
  for (const [index, group] of head.entries()) writeU16(address, 2 * index, group);
  const tailAt = IPV6_OCTETS - 2 * tail.length;
  for (const [index, group] of tail.entries()) writeU16(address, tailAt + 2 * index, group);
  return address;
}

function parseGroups(text: string, mayEndDotted: boolean): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (part.includes(".") && mayEndDotted && index === parts.length - 1) {
      const dotted = parseIpv4(part);
      if (dotted === undefined) return undefined;
      groups.push(readU16(dotted, 0), readU16(dotted, 2));
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else return undefined;
  }
  return groups;
}

/**
 * The one text of RFC 5952: lower case, no leading zeros, the longest run of two or more zero
 * groups (the first of equals) as "::", IPv4-mapped addresses with a dotted tail (§5).
 */
export function printIpv6(address: Ipv6Address): string {
  if (isIpv4Mapped(address)) return `::ffff:${printIpv4(address.subarray(12))}`;
  const groups = Array.from({ length: 8 }, (_, index) => readU16(address, 2 * index));
  let longestAt = 8;
  let longest = 1;
  for (let at = 0; at < 8; at++) {
    let end = at;
    while (end < 8 && groups[end] === 0) end++;
    if (end - at > longest) {
      longest = end - at;
      longestAt = at;
    }
  }
  const print = (part: number[]) => part.map((group) => group.toString(16)).join(":");
  if (longestAt === 8) return print(groups);
  return `${print(groups.slice(0, longestAt))}::${print(groups.slice(longestAt + longest))}`;
}

/** Reads an IPv4 or IPv6 address; the result's length tells which. */
export function parseAddress(text: string): Ipv4Address | Ipv6Address | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

/** Prints 4 octets as IPv4, 16 as IPv6. */
export function printAddress(address: Uint8Array): string {
  return address.length === IPV4_OCTETS ? printIpv4(address) : printIpv6(address);
}

/** An address in its network: "10.77.0.2/24" keeps the host part. */
export interface Prefix {
  /** 4 or 16 octets. */
  readonly address: Uint8Array;
  /** Leading bits that name the network: 0 … 32 or 0 … 128. */
  readonly lengthBits: number;
}

/** Reads "ADDRESS/BITS"; without "/BITS" all bits count. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf("/");
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const bits = slash < 0 ? `${8 * address.length}` : text.slice(slash + 1);
  if (!/^(0|[1-9][0-9]{0,2})$/.test(bits) || Number(bits) > 8 * address.length) return undefined;
  return { address, lengthBits: Number(bits) };
}

/** "10.77.0.2/24" */
export function printPrefix(prefix: Prefix): string {
  return `${printAddress(prefix.address)}/${prefix.lengthBits}`;
}

/** True when `address` is of the same family and its leading bits are the prefix's. */
export function prefixContains(prefix: Prefix, address: Uint8Array): boolean {
  if (address.length !== prefix.address.length) return false;
  const whole = prefix.lengthBits >>> 3;
  for (let at = 0; at < whole; at++) if (address[at] !== prefix.address[at]) return false;
  const rest = prefix.lengthBits & 7;
  return (
    rest === 0 || ((address[whole]! ^ prefix.address[whole]!) & (0xff00 >>> rest) & 0xff) === 0
  );
}

/** The prefix's address with every host bit 0. */
export function networkOf(prefix: Prefix): Uint8Array {
  return prefix.address.map((octet, at) => octet & maskOctet(prefix.lengthBits, at));
}

/** The prefix's address with every host bit 1: the directed broadcast of an IPv4 network. */
export function broadcastOf(prefix: Prefix): Uint8Array {
  return prefix.address.map((octet, at) => octet | (~maskOctet(prefix.lengthBits, at) & 0xff));
}

/** The mask of a prefix length: `netmaskOf(24)` is 255.255.255.0. */
export function netmaskOf(lengthBits: number): Ipv4Address {
  if (!Number.isInteger(lengthBits) || lengthBits < 0 || lengthBits > 32) {
    throw new V2Error("PREFIX_LENGTH", `an IPv4 prefix has no length ${lengthBits}`, {
      remedy: "Give a length from 0 to 32.",
    });
  }
  return Uint8Array.from({ length: IPV4_OCTETS }, (_, at) => maskOctet(lengthBits, at));
}

function maskOctet(lengthBits: number, at: number): number {
  const bits = Math.min(8, Math.max(0, lengthBits - 8 * at));
  return (0xff00 >>> bits) & 0xff;
}

/** The group bit of an Ethernet address: multicast or broadcast (IEEE 802 §8.2.2). */
export function isGroupMac(address: MacAddress): boolean {
  return (address[0]! & 1) === 1;
}

/** ff:ff:ff:ff:ff:ff */
export function isBroadcastMac(address: MacAddress): boolean {
  return address.length === MAC_OCTETS && address.every((octet) => octet === 0xff);
}

/** 224.0.0.0/4 or ff00::/8. */
export function isMulticast(address: Uint8Array): boolean {
  return address.length === IPV4_OCTETS ? address[0]! >>> 4 === 14 : address[0] === 0xff;
}

/** 0.0.0.0 or "::". */
export function isUnspecified(address: Uint8Array): boolean {
  return address.every((octet) => octet === 0);
}

/** 169.254.0.0/16 (RFC 3927) or fe80::/10 (RFC 4291 §2.5.6). */
export function isLinkLocal(address: Uint8Array): boolean {
  if (address.length === IPV4_OCTETS) return address[0] === 169 && address[1] === 254;
  return address[0] === 0xfe && (address[1]! & 0xc0) === 0x80;
}

/** ::ffff:0:0/96, RFC 4291 §2.5.5.2. */
export function isIpv4Mapped(address: Ipv6Address): boolean {
  for (let at = 0; at < 10; at++) if (address[at] !== 0) return false;
  return address[10] === 0xff && address[11] === 0xff;
}

/** The Ethernet group an IP multicast address is sent to: RFC 1112 §6.4, RFC 2464 §7. */
export function multicastMac(group: Uint8Array): MacAddress {
  if (group.length === IPV4_OCTETS) {
    return Uint8Array.of(0x01, 0x00, 0x5e, group[1]! & 0x7f, group[2]!, group[3]!);
  }
  return Uint8Array.of(0x33, 0x33, group[12]!, group[13]!, group[14]!, group[15]!);
}

/**
 * ff02::1:ffXX:XXXX, where a neighbour listens for questions about its address: RFC 4291 §2.7.1.
 */
export function solicitedNodeGroup(address: Ipv6Address): Ipv6Address {
  const group = new Uint8Array(IPV6_OCTETS);
  group.set([0xff, 0x02]);
  group.set([0x01, 0xff, address[13]!, address[14]!, address[15]!], 11);
  return group;
}

/** fe80:: with the modified EUI-64 identifier of an Ethernet address: RFC 4291 appendix A. */
export function linkLocalOf(mac: MacAddress): Ipv6Address {
  const address = new Uint8Array(IPV6_OCTETS);
  address.set([0xfe, 0x80]);
  address.set([mac[0]! ^ 2, mac[1]!, mac[2]!, 0xff, 0xfe, mac[3]!, mac[4]!, mac[5]!], 8);
  return address;
}

/**
 * A MAC address that belongs to a name: always the same one, unicast, locally administered (first
 * octet 02), the other 40 bits a hash of the name. Two of 1000 names collide with a chance of 1 in
 * 2 million.
 */
export function macFromName(name: string): Uint8Array {
  const mac = new Uint8Array(6);
  const low = mixedHash(name, 0x811c9dc5);
  const high = mixedHash(name, 0x01000193);
  mac.set([2, high & 255, low >>> 24, (low >>> 16) & 255, (low >>> 8) & 255, low & 255]);
  return mac;
}

/**
 * FNV-1a over UTF-16 units, then a finalizer so that names differing in one digit differ
 * everywhere.
 */
function mixedHash(text: string, seed: number): number {
  let hash = seed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
