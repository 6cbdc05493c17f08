/**
 * The IP header of a packet that came in: whether it is sound, and what it says. RFC 791 §3.1,
 * RFC 1122 §3.2.1, RFC 8200 §3. What is not sound is counted.
 */
import { readU16, readU32 } from "../../base/index.ts";
import {
  foldSum,
  IPV4_AT,
  IPV4_HEADER_OCTETS_MIN,
  IPV6_AT,
  IPV6_HEADER_OCTETS,
} from "../../wire/index.ts";
import type { AddressBook } from "../addresses.ts";
import type { StackCore } from "../core.ts";
import type { Packet } from "../packet.ts";
import { isSource4, isSource6, isTarget4, isTarget6 } from "./special-prefixes.ts";

const VERSION_4 = 4;
const VERSION_6 = 6;

export class HeaderInput {
  readonly #core: StackCore;
  readonly #addresses: AddressBook;

  constructor(core: StackCore, addresses: AddressBook) {
    this.#core = core;
    this.#addresses = addresses;
  }

  /** Fills `packet` from the header at `networkAt`. @returns false: it was counted and dropped. */
  read4(packet: Packet): boolean {
    const { octets } = this.#core.pool;
    const at = packet.networkAt;
    packet.isIpv4 = true;
    packet.wasFragmented = false;
    const problem = problem4(octets, at, packet.end);
    if (problem !== undefined) return this.#drop(packet, problem);
    packet.end = at + readU16(octets, at + IPV4_AT.totalLength);
    packet.transportAt = at + (octets[at]! & 0xf) * 4;
    this.#fill4(packet);
    if (packet.interface.link.kind === "loopback") return true;
    if (!isSource4(packet.s3) || !isTarget4(packet.t3)) return this.#drop(packet, "ip4.martian");
    if (this.#addresses.isBroadcast(packet.s3, packet.interface)) {
      return this.#drop(packet, "ip4.martian");
    }
    return true;
  }

  /** The same for IPv6; extension headers are looked at later. */
  read6(packet: Packet): boolean {
    const { octets } = this.#core.pool;
    const at = packet.networkAt;
    packet.isIpv4 = false;
    packet.wasFragmented = false;
    const isLong = packet.end - at >= IPV6_HEADER_OCTETS;
    if (!isLong || octets[at]! >>> 4 !== VERSION_6) return this.#drop(packet, "ip6.header");
    const end = at + IPV6_HEADER_OCTETS + readU16(octets, at + IPV6_AT.payloadLength);
    if (end > packet.end) return this.#drop(packet, "ip6.length");
    packet.end = end;
    this.#fill6(packet);
    if (packet.interface.link.kind === "loopback") return true;
    const { s0, s1, s2, s3, t0, t1, t2, t3 } = packet;
    if (!isSource6(s0, s1, s2, s3) || !isTarget6(t0, t1, t2, t3)) {
      return this.#drop(packet, "ip6.martian");
    }
    return true;
  }

  /** Fills `packet` from a header that was put together here. */
  refill(packet: Packet): void {
    if (packet.isIpv4) {
      const { octets } = this.#core.pool;
      packet.transportAt = packet.networkAt + (octets[packet.networkAt]! & 0xf) * 4;
      this.#fill4(packet);
    } else this.#fill6(packet);
  }

  #drop(packet: Packet, why: string): false {
    this.#core.counters.count(why);
    packet.interface.counters.inDropped++;
    return false;
  }

  #fill4(packet: Packet): void {
    const { octets } = this.#core.pool;
    const at = packet.networkAt;
    packet.protocol = octets[at + IPV4_AT.protocol]!;
    packet.hopLimit = octets[at + IPV4_AT.timeToLive]!;
    packet.trafficClass = octets[at + IPV4_AT.trafficClass]!;
    packet.s0 = 0;
    packet.s1 = 0;
    packet.s2 = 0xffff;
    packet.s3 = readU32(octets, at + IPV4_AT.source) | 0;
    packet.t0 = 0;
    packet.t1 = 0;
    packet.t2 = 0xffff;
    packet.t3 = readU32(octets, at + IPV4_AT.target) | 0;
    packet.isGroup =
      packet.t3 >>> 28 === 0xe ||
      packet.t3 === -1 ||
      this.#addresses.isBroadcast(packet.t3, packet.interface);
  }

  #fill6(packet: Packet): void {
    const { octets } = this.#core.pool;
    const at = packet.networkAt;
    packet.protocol = octets[at + IPV6_AT.nextHeader]!;
    packet.transportAt = at + IPV6_HEADER_OCTETS;
    packet.hopLimit = octets[at + IPV6_AT.hopLimit]!;
    packet.trafficClass = (readU16(octets, at) >>> 4) & 0xff;
    packet.s0 = readU32(octets, at + IPV6_AT.source) | 0;
    packet.s1 = readU32(octets, at + IPV6_AT.source + 4) | 0;
    packet.s2 = readU32(octets, at + IPV6_AT.source + 8) | 0;
    packet.s3 = readU32(octets, at + IPV6_AT.source + 12) | 0;
    packet.t0 = readU32(octets, at + IPV6_AT.target) | 0;
    packet.t1 = readU32(octets, at + IPV6_AT.target + 4) | 0;
    packet.t2 = readU32(octets, at + IPV6_AT.target + 8) | 0;
    packet.t3 = readU32(octets, at + IPV6_AT.target + 12) | 0;
    packet.isGroup = packet.t0 >>> 24 === 0xff;
  }
}

/** The name of what is wrong; undefined: nothing. */
function problem4(octets: Uint8Array, at: number, end: number): string | undefined {
  if (end - at < IPV4_HEADER_OCTETS_MIN) return "ip4.short";
  const first = octets[at]!;
  const header = (first & 0xf) * 4;
  if (first >>> 4 !== VERSION_4) return "ip4.version";
  if (header < IPV4_HEADER_OCTETS_MIN || at + header > end) return "ip4.header-length";
  const total = readU16(octets, at + IPV4_AT.totalLength);
  if (total < header || at + total > end) return "ip4.total-length";
  let sum = 0;
  for (let i = 0; i < header; i += 2) sum += readU16(octets, at + i);
  return foldSum(sum) === 0xffff ? undefined : "ip4.checksum";
}
