/**
 * The Internet layer: packets of both families in and out, RFC 791, RFC 8200, RFC 1122 §3. What is
 * for this host goes to the handler of its protocol, the rest is forwarded or dropped.
 */
import { ERRNO, OFFLOAD, readU16 } from "../../base/index.ts";
import {
  completeChecksum,
  IP_PROTOCOL,
  IPV4_AT,
  IPV4_HEADER_OCTETS_MIN,
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
import type { SipHash } from "../siphash.ts";
import { FilterHooks } from "./filter.ts";
import type { Complaints } from "./complaints.ts";
import { ExtensionHeaders } from "./extension-headers.ts";
import { Fragmenter } from "./fragmenter.ts";
import { prependIpv4, prependIpv6 } from "../ip-header.ts";
import { readPacketHeader } from "./packet-header.ts";
import { HeaderInput } from "./header-input.ts";
import { checkOptions, OPTIONS } from "./ipv4-options.ts";
import { type FragmentView, Reassembler } from "./reassembly.ts";
import type { Ways } from "./ways.ts";

const MORE_FRAGMENTS = 0x2000;
const FRAGMENT_OFFSET = 0x1fff;
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
  /** Raw sockets hear of errors after the handler. */
  onReport: ((error: PacketError) => void) | undefined;
  readonly #core: StackCore;
  readonly #ways: Ways;
  readonly #link: LinkLayer;
  readonly #addresses: AddressBook;
  readonly #groups: GroupBook;
  readonly #handlers: (TransportHandler | undefined)[] = Array.from({ length: 256 });
  readonly #headers: HeaderInput;
  readonly #extensions: ExtensionHeaders;
  readonly #flowHash: SipHash;
  readonly #flowWords = new Int32Array(9);
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
    this.#headers = new HeaderInput(core, parts.addresses);
    this.#flowHash = core.random.keyedHash();
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
    this.onReport?.(error);
  }

  flowLabel(destination: Destination, sourcePort: number, targetPort: number): number {
    if (destination.isIpv4) return 0;
    const words = this.#flowWords;
    const { source, target } = destination;
    words[0] = source.w0;
    words[1] = source.w1;
    words[2] = source.w2;
    words[3] = source.w3;
    words[4] = target.w0;
    words[5] = target.w1;
    words[6] = target.w2;
    words[7] = target.w3;
    words[8] = (sourcePort << 16) | targetPort;
    // RFC 6437 §3: zero would say that there is none.
    return Math.max(1, this.#flowHash.hash(words, words.length) >>> 12);
  }

  send(slot: number, destination: Destination, protocol: number, options: SendOptions): number {
    const { pool } = this.#core;
    const { isIpv4 } = destination;
    const header = isIpv4 ? IPV4_HEADER_OCTETS_MIN : IPV6_HEADER_OCTETS;
    const total = pool.length[slot]! + header;
    const fits = total <= destination.mtuOctets || pool.offload[slot]! > OFFLOAD.checksum;
    const isTooLong = total > TOTAL_OCTETS_MAX + (isIpv4 ? 0 : IPV6_HEADER_OCTETS);
    if ((!fits && options.dontFragment) || isTooLong) {
      pool.release(slot);
      return -ERRNO.EMSGSIZE;
    }
    if (isIpv4) {
      // RFC 6864 §4.1: what is never cut needs no identification.
      const { source, target } = destination;
      const identification = options.dontFragment
        ? 0
        : this.fragmenter.identification4(source, target);
      prependIpv4(pool, slot, destination, protocol, options, identification);
    } else prependIpv6(pool, slot, destination, protocol, options);
    if (!this.#passesOut(slot, destination, true)) return -ERRNO.EPERM;
    if (destination.isGroup) {
      if (options.multicastLoop) this.#loopGroup(slot, destination);
      if (options.hopLimit === 0) {
        pool.release(slot);
        return 0;
      }
    }
    return fits ? this.transmit(slot, destination) : this.#sendFragments(slot, destination);
  }

  /**
   * Sends on a whole IP packet of somebody else, which is in `slot`.
   * @returns 0 or a negative errno.
   */
  sendOn(slot: number, destination: Destination): number {
    const { pool } = this.#core;
    const isSuper = pool.offload[slot]! > OFFLOAD.checksum;
    const fits = isSuper || pool.length[slot]! <= destination.mtuOctets;
    if (!this.#passesOut(slot, destination, false)) return -ERRNO.EPERM;
    return fits ? this.transmit(slot, destination) : this.#sendFragments(slot, destination);
  }

  /** Through the hooks of the way out. @returns false: dropped. */
  #passesOut(slot: number, destination: Destination, isOwn: boolean): boolean {
    const { hooks } = this;
    if (!hooks.has("output") && !hooks.has("postrouting")) return true;
    const { pool } = this.#core;
    const packet = this.#outgoing;
    readPacketHeader(pool, slot, destination.interface, packet);
    const isSent =
      (!isOwn || hooks.passes("output", packet)) && hooks.passes("postrouting", packet);
    if (isSent) return true;
    this.#core.counters.count("filter.dropped");
    pool.release(slot);
    return false;
  }

  /** To the link, as it is. @returns 0 */
  transmit(slot: number, destination: Destination): number {
    this.#link.send(slot, destination.interface, destination.nextHop, destination.target);
    return 0;
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

  /** Who is in the group on this host gets a copy (RFC 1112 §6.1). */
  #loopGroup(slot: number, destination: Destination): void {
    const { target, interface: outgoing } = destination;
    if (outgoing.link.kind === "loopback") return;
    const { w0, w1, w2, w3 } = target;
    if (target.isMulticast && !this.#groups.isMember(outgoing, w0, w1, w2, w3)) return;
    const { pool } = this.#core;
    const copy = pool.take();
    if (copy < 0) return;
    pool.copy(slot, copy);
    this.onLoop?.(copy, outgoing);
  }

  /** Takes such a copy, a bare IP packet, as if it had come in; the slot is the callee's. */
  onLoop: ((slot: number, from: Interface) => void) | undefined;

  /** An IPv4 packet whose place the link layer has found. */
  input4(packet: Packet): void {
    if (!this.#headers.read4(packet)) return;
    const header = packet.transportAt - packet.networkAt;
    if (header > IPV4_HEADER_OCTETS_MIN && !this.#areOptionsSound(packet, header)) return;
    this.#route(packet);
  }

  /** An IPv6 packet whose place the link layer has found. */
  input6(packet: Packet): void {
    if (this.#headers.read6(packet)) this.#route(packet);
  }

  #areOptionsSound(packet: Packet, header: number): boolean {
    const found = checkOptions(this.#core.pool.octets, packet.networkAt, header);
    if (found === OPTIONS.sound) return true;
    this.#core.counters.count(found === OPTIONS.sourceRoute ? "ip4.source-route" : "ip4.options");
    if (found >= 0) this.complaints?.parameterProblem(packet, 0, found);
    return false;
  }

  #route(packet: Packet): void {
    if (this.hooks.has("prerouting") && !this.hooks.passes("prerouting", packet)) {
      this.#core.counters.count("filter.dropped");
      return;
    }
    if (this.#isForUs(packet)) this.#localOrDrop(packet);
    else if (this.forwarder !== undefined) this.forwarder.forward(packet);
    else this.#core.counters.count("ip.not-for-us");
  }

  /** RFC 1122 §3.3.6: what was sent to all on a link is for one only by mistake, or malice. */
  #localOrDrop(packet: Packet): void {
    if (packet.isLinkGroup && !packet.isGroup) this.#core.counters.count("ip.link-group");
    else this.#local(packet);
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
    this.#headers.refill(packet);
    this.#local(packet);
    pool.release(slot);
    packet.slot = last;
    packet.networkAt = networkAt;
    packet.end = end;
    return false;
  }
}

/** RFC 3128: ports, numbers, flags. */
const TINY_OCTETS = 16;
