/**
 * ICMP errors that this host sends, and redirects: RFC 792, RFC 1122 §3.2.2, RFC 1812 §4.3 and
 * §5.2.7, RFC 4443 §2.4 and §3, RFC 4861 §8.2. About what none may be sent, and how many.
 */
import { readU16, writeU32 } from "../../base/index.ts";
import {
  ICMP6_TYPE,
  ICMP_AT,
  ICMP_HEADER_OCTETS,
  ICMP_TYPE,
  IP_PROTOCOL,
  IPV4_AT,
  IPV4_HEADER_OCTETS_MIN,
  IPV6_AT,
  IPV6_HEADER_OCTETS,
  Ipv6Walk,
  ND_HOP_LIMIT,
  UNREACHABLE6_CODE,
  UNREACHABLE_CODE,
} from "../../wire/index.ts";
import type { IpAddress } from "../address.ts";
import type { AddressBook } from "../addresses.ts";
import type { StackCore } from "../core.ts";
import type { Destination } from "../destination.ts";
import { takePacketSlot } from "../headroom.ts";
import type { Packet } from "../packet.ts";
import type { Complaints } from "./complaints.ts";
import { IcmpLimit } from "./icmp-limit.ts";
import { sendIcmp } from "./icmp-output.ts";
import type { Ip } from "./ip.ts";

/** RFC 1812 §4.3.2.3: as much of the packet as fits into 576 octets. */
const QUOTE_IPV4_OCTETS = 576 - IPV4_HEADER_OCTETS_MIN - ICMP_HEADER_OCTETS;
/** RFC 4443 §2.4(c): as much as fits into the smallest MTU. */
const QUOTE_IPV6_OCTETS = 1280 - IPV6_HEADER_OCTETS - ICMP_HEADER_OCTETS;
/** RFC 1812 §4.3.2.5: internetwork control. */
const CONTROL_CLASS = 0xc0;
/** RFC 4443 §3.1. */
const BEYOND_SCOPE = 2;
/** RFC 792: for the host only. */
const REDIRECT_HOST = 1;

interface ErrorMessage {
  readonly type: number;
  readonly code: number;
  readonly rest: number;
}

/** The errors that a stack sends. */
export class IcmpErrors implements Complaints {
  readonly #core: StackCore;
  readonly #ip: Ip;
  readonly #addresses: AddressBook;
  readonly #limit: IcmpLimit;
  readonly #walk = new Ipv6Walk();

  constructor(core: StackCore, ip: Ip, addresses: AddressBook) {
    this.#core = core;
    this.#ip = ip;
    this.#addresses = addresses;
    this.#limit = new IcmpLimit(core);
    ip.complaints = this;
  }

  protocolUnreachable(packet: Packet): void {
    this.#core.counters.count("ip.unknown-protocol");
    if (packet.isIpv4) this.#unreachable(packet, UNREACHABLE_CODE.protocol, 0);
    else {
      // RFC 8200 §4: "unrecognized next header", with the place of the octet that names it.
      const rest = this.#placeOfProtocol(packet);
      this.#send(packet, { type: ICMP6_TYPE.parameterProblem, code: 1, rest });
    }
  }

  /** Nobody listens on the port of a UDP packet (RFC 1122 §4.1.3.1). */
  portUnreachable(packet: Packet): void {
    this.#unreachable(packet, UNREACHABLE_CODE.port, UNREACHABLE6_CODE.port);
  }

  tooBig(packet: Packet, mtuOctets: number): void {
    const rest = mtuOctets;
    if (packet.isIpv4) {
      const code = UNREACHABLE_CODE.fragmentationNeeded;
      this.#send(packet, { type: ICMP_TYPE.unreachable, code, rest });
    } else this.#send(packet, { type: ICMP6_TYPE.packetTooBig, code: 0, rest });
  }

  timeExceeded(packet: Packet): void {
    this.#timeExceeded(packet, 0);
  }

  noRoute(packet: Packet): void {
    this.#unreachable(packet, UNREACHABLE_CODE.network, UNREACHABLE6_CODE.noRoute);
  }

  beyondScope(packet: Packet): void {
    if (!packet.isIpv4) this.#unreachable(packet, 0, BEYOND_SCOPE);
  }

  /** A neighbour did not answer: its packet cannot be delivered (RFC 4861 §7.2.2, RFC 1812). */
  hostUnreachable(packet: Packet): void {
    this.#unreachable(packet, UNREACHABLE_CODE.host, UNREACHABLE6_CODE.address);
  }

  parameterProblem(packet: Packet, code: number, pointer: number): void {
    if (packet.isIpv4) {
      const rest = (pointer << 24) >>> 0;
      this.#send(packet, { type: ICMP_TYPE.parameterProblem, code, rest });
    } else this.#send(packet, { type: ICMP6_TYPE.parameterProblem, code, rest: pointer });
  }

  /** Time for a datagram's fragments is over (RFC 792, RFC 4443 §3.3). */
  reassemblyTimeout(packet: Packet): void {
    this.#timeExceeded(packet, 1);
  }

  betterHop(packet: Packet, way: Destination): void {
    const { nextHop } = way;
    const source = packet.source();
    const ours = this.#addresses.of(packet.interface);
    const isNeighbour = ours.some((entry) => entry.isUsable && entry.prefix.contains(source));
    if (nextHop === undefined || !isNeighbour) return;
    if (packet.isIpv4) {
      const rest = nextHop.address.w3;
      this.#send(packet, { type: ICMP_TYPE.redirect, code: REDIRECT_HOST, rest });
      return;
    }
    // RFC 4861 §8.2: between link-local addresses, or to a target that is on the link itself.
    const from = ours.find((entry) => entry.isUsable && entry.address.isLinkLocal);
    const isKnown = nextHop.address.isLinkLocal || nextHop.address.equals(way.target);
    if (from !== undefined && isKnown) this.#redirect6(packet, way, nextHop.address, from.address);
  }

  #redirect6(packet: Packet, way: Destination, hop: IpAddress, from: IpAddress): void {
    if (!this.#mayComplain(packet, false)) return;
    const { pool } = this.#core;
    const slot = takePacketSlot(this.#core);
    if (slot < 0) return;
    const { octets } = pool;
    const at = pool.start[slot]!;
    const quoteAt = at + ICMP_HEADER_OCTETS + 2 * 16 + ICMP_HEADER_OCTETS;
    const room = QUOTE_IPV6_OCTETS - 2 * 16 - ICMP_HEADER_OCTETS;
    const quote = Math.min(packet.end - packet.networkAt, room) & ~7;
    octets.fill(0, at, quoteAt);
    octets[at] = ICMP6_TYPE.redirect;
    hop.writeWhole(octets, at + ICMP_HEADER_OCTETS);
    way.target.writeWhole(octets, at + ICMP_HEADER_OCTETS + 16);
    // Option "redirected header": its type, its length in units of 8 octets, 6 octets reserved.
    octets[quoteAt - 8] = 4;
    octets[quoteAt - 7] = 1 + quote / 8;
    octets.copyWithin(quoteAt, packet.networkAt, packet.networkAt + quote);
    pool.length[slot] = quoteAt + quote - at;
    this.#core.counters.count("icmp.redirect-sent");
    const back = this.#ip.wayTo(packet.source(), from, packet.interface.index);
    sendIcmp(this.#core, this.#ip, slot, back, { hopLimit: ND_HOP_LIMIT });
  }

  #unreachable(packet: Packet, code4: number, code6: number): void {
    if (packet.isIpv4) this.#send(packet, { type: ICMP_TYPE.unreachable, code: code4, rest: 0 });
    else this.#send(packet, { type: ICMP6_TYPE.unreachable, code: code6, rest: 0 });
  }

  #timeExceeded(packet: Packet, code: number): void {
    const type = packet.isIpv4 ? ICMP_TYPE.timeExceeded : ICMP6_TYPE.timeExceeded;
    this.#send(packet, { type, code, rest: 0 });
  }

  /** RFC 1122 §3.2.2, RFC 4443 §2.4(e): about what no error may be sent. */
  #mayComplain(packet: Packet, isAboutGroupAllowed: boolean): boolean {
    if ((packet.isGroup || packet.isLinkGroup) && !isAboutGroupAllowed) return false;
    const source = packet.source();
    if (source.isUnspecified || source.isMulticast) return false;
    if (packet.isIpv4 && packet.s3 >>> 28 >= 0xe) return false;
    if (this.#isError(packet)) return false;
    return this.#limit.take(source);
  }

  /** The packet is an ICMP error, or an ICMP message that cannot be told. */
  #isError(packet: Packet): boolean {
    const { octets } = this.#core.pool;
    if (packet.isIpv4) {
      const field = readU16(octets, packet.networkAt + IPV4_AT.fragment);
      if ((field & 0x1fff) !== 0) return true;
      if (packet.protocol !== IP_PROTOCOL.icmp) return false;
      const type = octets[packet.transportAt]!;
      return type !== ICMP_TYPE.echoRequest && type !== ICMP_TYPE.echoReply;
    }
    const walk = this.#walk;
    const at = packet.networkAt + IPV6_HEADER_OCTETS;
    walk.walk(octets, octets[packet.networkAt + IPV6_AT.nextHeader]!, at, packet.end);
    if (walk.protocol !== IP_PROTOCOL.icmp6 || walk.fragmentOffsetOctets > 0) return false;
    const isShort = walk.at >= packet.end;
    return isShort || octets[walk.at]! < 128 || octets[walk.at] === ICMP6_TYPE.redirect;
  }

  #send(packet: Packet, message: ErrorMessage): void {
    // RFC 4443 §2.4(e): packet-too-big, and parameter problem of code 2, also about groups.
    const isAllowed =
      !packet.isIpv4 &&
      (message.type === ICMP6_TYPE.packetTooBig ||
        (message.type === ICMP6_TYPE.parameterProblem && message.code === 2));
    if (!this.#mayComplain(packet, isAllowed)) return;
    const { pool } = this.#core;
    const slot = takePacketSlot(this.#core);
    if (slot < 0) return;
    const { octets } = pool;
    const at = pool.start[slot]!;
    const from = packet.networkAt;
    const quoteMax = packet.isIpv4 ? QUOTE_IPV4_OCTETS : QUOTE_IPV6_OCTETS;
    const quote = Math.min(packet.end - from, quoteMax);
    octets[at] = message.type;
    octets[at + 1] = message.code;
    writeU32(octets, at + ICMP_AT.rest, message.rest);
    octets.copyWithin(at + ICMP_HEADER_OCTETS, from, from + quote);
    pool.length[slot] = ICMP_HEADER_OCTETS + quote;
    const isRedirect = packet.isIpv4 && message.type === ICMP_TYPE.redirect;
    this.#core.counters.count(isRedirect ? "icmp.redirect-sent" : "icmp.error-sent");
    const trafficClass = packet.isIpv4 ? CONTROL_CLASS : 0;
    sendIcmp(this.#core, this.#ip, slot, this.#wayBack(packet), { trafficClass });
  }

  /** From the address that was meant, if it is ours. */
  #wayBack(packet: Packet): Destination | number {
    const peer = packet.source();
    const isLoop = packet.interface.link.kind === "loopback";
    const scope = peer.isLinkLocal && !isLoop ? packet.interface.index : 0;
    const from = packet.isGroup ? undefined : packet.target();
    const way = this.#ip.wayTo(peer, from, scope);
    return typeof way === "number" ? this.#ip.wayTo(peer, undefined, scope) : way;
  }

  /** Offset in the packet of the octet that names its protocol. */
  #placeOfProtocol(packet: Packet): number {
    const { octets } = this.#core.pool;
    let at = packet.networkAt + IPV6_HEADER_OCTETS;
    let place: number = packet.networkAt + IPV6_AT.nextHeader;
    while (at < packet.transportAt) {
      const isFragment = octets[place] === IP_PROTOCOL.fragment;
      place = at;
      at += isFragment ? 8 : 8 + 8 * octets[at + 1]!;
    }
    return place - packet.networkAt;
  }
}
