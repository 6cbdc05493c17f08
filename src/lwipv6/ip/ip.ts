/**
 * The Internet layer: packets of both families in and out, RFC 791, RFC 8200, RFC 1122 §3. What is
 * for this host goes to the handler of its protocol, the rest is forwarded or dropped.
 */
import { ERRNO, OFFLOAD, readU16, readU32 } from "../../base/index.ts";
import {
  completeChecksum,
  foldSum,
  IP_PROTOCOL,
  IPV4_AT,
  IPV4_HEADER_OCTETS_MIN,
  IPV6_AT,
  IPV6_HEADER_OCTETS,
} from "../../wire/index.ts";
import type { IpAddress } from "../address.ts";
import type { AddressBook } from "../addresses.ts";
import type { StackCore } from "../core.ts";
import type { Destination, IpSender, SendOptions } from "../destination.ts";
import type { GroupBook } from "../groups.ts";
import { takePacketSlot } from "../headroom.ts";
import type { Interface } from "../interface.ts";
import type { LinkLayer } from "../neighbour/link-layer.ts";
import type { Packet, PacketError, TransportHandler } from "../packet.ts";
import { FilterHooks } from "./filter.ts";
import type { Complaints } from "./complaints.ts";
import { ExtensionHeaders } from "./extension-headers.ts";
import { Fragmenter } from "./fragmenter.ts";
import { prependIpv4, prependIpv6 } from "../ip-header.ts";
import { readPacketHeader } from "./packet-header.ts";
import { type FragmentView, Reassembler } from "./reassembly.ts";
import type { Ways } from "./ways.ts";

const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;
const FRAGMENT_OFFSET = 0x1fff;
const VERSION_4 = 4;
const VERSION_6 = 6;
/** RFC 791: loose and strict source route. */
const SOURCE_ROUTE_OPTIONS = [0x83, 0x89];
const TOTAL_OCTETS_MAX = 65_535;

/** What forwarding needs beyond the layer itself. */
export interface Forwarder {
  forward(packet: Packet): void;
}

export class Ip implements IpSender {
  readonly hooks = new FilterHooks();
  readonly reassembler: Reassembler;
  readonly fragmenter: Fragmenter;
  /** Set by the ICMP layer. */
  complaints: Complaints | undefined;
  /** Set while the stack forwards. */
  forwarder: Forwarder | undefined;
  /** A raw socket takes packets of a protocol that has no handler. */
  isWanted: (packet: Packet) => boolean = () => false;
  /** Raw sockets see every packet for this host before its handler does. */
  onDeliver: ((packet: Packet) => void) | undefined;
  readonly #core: StackCore;
  readonly #ways: Ways;
  readonly #link: LinkLayer;
  readonly #addresses: AddressBook;
  readonly #groups: GroupBook;
  readonly #handlers: (TransportHandler | undefined)[] = Array.from({ length: 256 });
  readonly #extensions: ExtensionHeaders;
  readonly #fragment: FragmentView = {
    identification: 0,
    offsetOctets: 0,
    hasMore: false,
    dataAt: 0,
    end: 0,
    headersEnd: 0,
    protocol: 0,
    nextHeaderAt: 0,
  };
  /** For hooks on the way out. */
  readonly #outgoing: Packet;

  constructor(
    core: StackCore,
    parts: {
      readonly ways: Ways;
      readonly link: LinkLayer;
      readonly addresses: AddressBook;
      readonly groups: GroupBook;
      readonly scratch: Packet;
    },
  ) {
    this.#core = core;
    this.#ways = parts.ways;
    this.#link = parts.link;
    this.#addresses = parts.addresses;
    this.#groups = parts.groups;
    this.#outgoing = parts.scratch;
    this.#extensions = new ExtensionHeaders(core);
    this.reassembler = new Reassembler(core);
    this.fragmenter = new Fragmenter(core);
  }

  get generation(): number {
    return this.#ways.generation;
  }

  wayTo(
    target: IpAddress,
    source: IpAddress | undefined,
    interfaceIndex: number,
  ): Destination | number {
    return this.#ways.to(target, source, interfaceIndex);
  }

  takeSlot(): number {
    return takePacketSlot(this.#core);
  }

  confirm(destination: Destination): void {
    this.#link.confirm(destination.nextHop);
  }

  setHandler(protocol: number, handler: TransportHandler): void {
    this.#handlers[protocol] = handler;
  }

  /** An ICMP error for whoever sent the packet that it is about. */
  report(error: PacketError): void {
    this.#handlers[error.protocol]?.error?.(error);
  }

  send(slot: number, destination: Destination, protocol: number, options: SendOptions): number {
    const { pool } = this.#core;
    const { source, target, isIpv4 } = destination;
    const { dontFragment } = options;
    const header = isIpv4 ? IPV4_HEADER_OCTETS_MIN : IPV6_HEADER_OCTETS;
    const total = pool.length[slot]! + header;
    const isSuper = pool.offload[slot]! > OFFLOAD.checksum;
    const fits = total <= destination.mtuOctets || isSuper;
    if ((!fits && dontFragment) || total > TOTAL_OCTETS_MAX + (isIpv4 ? 0 : IPV6_HEADER_OCTETS)) {
      pool.release(slot);
      return -ERRNO.EMSGSIZE;
    }
    if (!isIpv4) prependIpv6(pool, slot, destination, protocol, options);
    else {
      const isAtomic = dontFragment && fits;
      const identification = isAtomic ? 0 : this.fragmenter.identification4(source, target);
      prependIpv4(pool, slot, destination, protocol, options, identification);
    }
    return this.#dispatch(slot, destination, fits);
  }

  /**
   * Sends a whole IP packet, made by somebody else (a raw socket, a forwarder), which is in `slot`.
   * @returns 0 or a negative errno.
   */
  sendPacket(slot: number, destination: Destination): number {
    const fits = this.#core.pool.length[slot]! <= destination.mtuOctets;
    return this.#dispatch(slot, destination, fits);
  }

  /** Through the hooks of the way out, and cut if need be. */
  #dispatch(slot: number, destination: Destination, fits: boolean): number {
    const { pool } = this.#core;
    const { hooks } = this;
    if (hooks.has("output") || hooks.has("postrouting")) {
      const packet = this.#outgoing;
      readPacketHeader(pool, slot, destination.interface, packet);
      if (!hooks.passes("output", packet) || !hooks.passes("postrouting", packet)) {
        this.#core.counters.count("filter.dropped");
        pool.release(slot);
        return -ERRNO.EPERM;
      }
    }
    if (destination.target.isMulticast) this.#loopGroup(slot, destination);
    if (fits) {
      this.transmit(slot, destination);
      return 0;
    }
    return this.#sendFragments(slot, destination);
  }

  /** To the link, as it is. */
  transmit(slot: number, destination: Destination): void {
    this.#link.send(slot, destination.interface, destination.nextHop, destination.target);
  }

  #sendFragments(slot: number, destination: Destination): number {
    const { pool } = this.#core;
    if (pool.offload[slot] === OFFLOAD.checksum) completeChecksum(pool, slot);
    const result = this.fragmenter.cut(slot, destination.mtuOctets, (part) =>
      this.transmit(part, destination),
    );
    pool.release(slot);
    return result;
  }

  /** Members on this host get a copy (RFC 1112 §6.1: IP_MULTICAST_LOOP's default). */
  #loopGroup(slot: number, destination: Destination): void {
    const { target, interface: outgoing } = destination;
    if (!this.loopsGroups || outgoing.link.kind === "loopback") return;
    if (!this.#groups.isMember(outgoing, target.w0, target.w1, target.w2, target.w3)) return;
    const { pool } = this.#core;
    const copy = pool.take();
    if (copy < 0) return;
    pool.copy(slot, copy);
    this.onLoop?.(copy, outgoing);
  }

  /** Copies of what is sent to groups come back to this host. */
  loopsGroups = true;
  /** Takes such a copy, a bare IP packet, as if it had come in; the slot is the callee's. */
  onLoop: ((slot: number, from: Interface) => void) | undefined;

  /** An IPv4 packet whose place the link layer has found. */
  input4(packet: Packet): void {
    const { octets } = this.#core.pool;
    const at = packet.networkAt;
    packet.isIpv4 = true;
    packet.wasFragmented = false;
    const problem = this.#problem4(octets, at, packet.end);
    if (problem !== undefined) {
      this.#core.counters.count(problem);
      packet.interface.counters.inDropped++;
      return;
    }
    const header = (octets[at]! & 0xf) * 4;
    packet.end = at + readU16(octets, at + IPV4_AT.totalLength);
    packet.transportAt = at + header;
    this.#fill4(packet);
    if (!this.#isSource4Sound(packet)) {
      this.#core.counters.count("ip4.martian");
      return;
    }
    if (header > IPV4_HEADER_OCTETS_MIN && this.#hasSourceRoute(octets, at, header)) {
      this.#core.counters.count("ip4.source-route");
      return;
    }
    this.#route(packet);
  }

  /** An IPv6 packet whose place the link layer has found. */
  input6(packet: Packet): void {
    const { octets } = this.#core.pool;
    const at = packet.networkAt;
    packet.isIpv4 = false;
    packet.wasFragmented = false;
    const { counters } = this.#core;
    const isLong = packet.end - at >= IPV6_HEADER_OCTETS;
    if (!isLong || octets[at]! >>> 4 !== VERSION_6) {
      counters.count("ip6.header");
      return;
    }
    const end = at + IPV6_HEADER_OCTETS + readU16(octets, at + IPV6_AT.payloadLength);
    if (end > packet.end) {
      counters.count("ip6.length");
      return;
    }
    packet.end = end;
    this.#fill6(packet);
    if (packet.s0 >>> 24 === 0xff || this.#isForeignLoopback6(packet)) {
      counters.count("ip6.martian");
      return;
    }
    this.#route(packet);
  }

  #problem4(octets: Uint8Array, at: number, end: number): string | undefined {
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

  /** RFC 1122 §3.2.1.3, RFC 6890: no packet may come from such an address. */
  #isSource4Sound(packet: Packet): boolean {
    const bits = packet.s3;
    if (bits >>> 28 === 0xe || bits === -1) return false;
    if (this.#addresses.isBroadcast(bits, packet.interface)) return false;
    const isLoopback = bits >>> 24 === 127 || packet.t3 >>> 24 === 127;
    return !isLoopback || packet.interface.link.kind === "loopback";
  }

  #isForeignLoopback6(packet: Packet): boolean {
    if (packet.interface.link.kind === "loopback") return false;
    const isMapped = (w0: number, w1: number, w2: number): boolean =>
      w0 === 0 && w1 === 0 && w2 === 0xffff;
    // A mapped address on the wire would pass for an IPv4 one (RFC 4942 §2.2).
    if (isMapped(packet.s0, packet.s1, packet.s2) || isMapped(packet.t0, packet.t1, packet.t2)) {
      return true;
    }
    const isLoopback = (w0: number, w1: number, w2: number, w3: number): boolean =>
      w3 === 1 && w0 === 0 && w1 === 0 && w2 === 0;
    return (
      isLoopback(packet.s0, packet.s1, packet.s2, packet.s3) ||
      isLoopback(packet.t0, packet.t1, packet.t2, packet.t3)
    );
  }

  #hasSourceRoute(octets: Uint8Array, at: number, header: number): boolean {
    for (let i = IPV4_AT.options; i < header; ) {
      const kind = octets[at + i]!;
      if (kind === 0) return false;
      if (SOURCE_ROUTE_OPTIONS.includes(kind)) return true;
      const length = kind === 1 ? 1 : octets[at + i + 1]!;
      if (length === 0 || i + length > header) return false;
      i += length;
    }
    return false;
  }

  #route(packet: Packet): void {
    if (this.hooks.has("prerouting") && !this.hooks.passes("prerouting", packet)) {
      this.#core.counters.count("filter.dropped");
      return;
    }
    if (this.#isForUs(packet)) this.#local(packet);
    else if (this.forwarder !== undefined) this.forwarder.forward(packet);
    else this.#core.counters.count("ip.not-for-us");
  }

  #isForUs(packet: Packet): boolean {
    const { t0, t1, t2, t3, interface: owner, isIpv4 } = packet;
    if (owner.link.kind === "loopback") return true;
    if (packet.isGroup) {
      const isMulticast = isIpv4 ? t3 >>> 28 === 0xe : true;
      return !isMulticast || this.#groups.isMember(owner, t0, t1, t2, t3);
    }
    return this.#addresses.findWords(t0, t1, t2, t3, owner) !== undefined;
  }

  /** For this host: extension headers, fragments, then the handler. */
  #local(packet: Packet): void {
    if (packet.isIpv4 ? !this.#local4(packet) : !this.#local6(packet)) return;
    if (this.hooks.has("input") && !this.hooks.passes("input", packet)) {
      this.#core.counters.count("filter.dropped");
      return;
    }
    this.onDeliver?.(packet);
    const handler = this.#handlers[packet.protocol];
    if (handler !== undefined) handler.input(packet);
    else if (packet.protocol !== IP_PROTOCOL.none && !this.isWanted(packet))
      this.complaints?.protocolUnreachable(packet);
  }

  #local4(packet: Packet): boolean {
    const { octets } = this.#core.pool;
    const at = packet.networkAt;
    const field = readU16(octets, at + IPV4_AT.fragment);
    if ((field & (MORE_FRAGMENTS | FRAGMENT_OFFSET)) === 0) return true;
    if (packet.wasFragmented) return true;
    const fragment = this.#fragment;
    fragment.identification = readU16(octets, at + IPV4_AT.identification);
    fragment.offsetOctets = (field & FRAGMENT_OFFSET) * 8;
    fragment.hasMore = (field & MORE_FRAGMENTS) !== 0;
    fragment.dataAt = packet.transportAt;
    fragment.headersEnd = packet.transportAt;
    fragment.end = packet.end;
    fragment.protocol = packet.protocol;
    // RFC 3128: a first fragment without the whole TCP header hides what it is.
    const isTiny = fragment.offsetOctets === 0 && packet.transportOctets < TINY_OCTETS;
    if (packet.protocol === IP_PROTOCOL.tcp && (isTiny || fragment.offsetOctets === 8)) {
      this.#core.counters.count("fragment.tiny");
      return false;
    }
    return this.#reassemble(packet);
  }

  #local6(packet: Packet): boolean {
    const found = this.#extensions.walk(packet, this.#fragment, this.complaints);
    return found === "fragment" ? this.#reassemble(packet) : found === "ready";
  }

  /** Takes a fragment; a datagram that is whole now is delivered at once. */
  #reassemble(packet: Packet): false {
    const slot = this.reassembler.take(packet, this.#fragment);
    if (slot < 0) return false;
    const { pool } = this.#core;
    const { slot: last, networkAt, end } = packet;
    packet.slot = slot;
    packet.networkAt = pool.start[slot]!;
    packet.end = packet.networkAt + pool.length[slot]!;
    packet.wasFragmented = true;
    packet.isChecksumKnown = false;
    packet.segmentOctets = 0;
    if (packet.isIpv4) {
      const header = (pool.octets[packet.networkAt]! & 0xf) * 4;
      packet.transportAt = packet.networkAt + header;
    }
    this.#local(packet);
    pool.release(slot);
    packet.slot = last;
    packet.networkAt = networkAt;
    packet.end = end;
    return false;
  }

  /** May a packet of this host's own be cut on its way? For ICMP: the field as it came. */
  mayNotFragment(packet: Packet): boolean {
    if (!packet.isIpv4) return true;
    const field = readU16(this.#core.pool.octets, packet.networkAt + IPV4_AT.fragment);
    return (field & DONT_FRAGMENT) !== 0;
  }
}

/** RFC 3128: ports, numbers, flags. */
const TINY_OCTETS = 16;
