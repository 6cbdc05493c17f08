/**
 * ICMP for both families: echo, errors sent and errors received. RFC 792, RFC 1122 §3.2.2,
 * RFC 4443, RFC 5927.
 */
import { ERRNO, readU16, readU32, writeU16, writeU32 } from "../../base/index.ts";
import {
  checksumOf,
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
  sumIsRight,
  UNREACHABLE6_CODE,
  UNREACHABLE_CODE,
} from "../../wire/index.ts";
import { IpAddress } from "../address.ts";
import type { StackCore } from "../core.ts";
import { type Destination, sumOfAddress } from "../destination.ts";
import { takePacketSlot } from "../headroom.ts";
import type { Packet, PacketError, TransportHandler } from "../packet.ts";
import { IcmpLimit } from "./icmp-limit.ts";
import type { Complaints } from "./complaints.ts";
import type { Ip } from "./ip.ts";
import type { PathMtus } from "./path-mtu.ts";

/** RFC 1812 §4.3.2.3: as much of the packet as fits into 576 octets. */
const QUOTE_IPV4_OCTETS = 576 - IPV4_HEADER_OCTETS_MIN - ICMP_HEADER_OCTETS;
/** RFC 4443 §2.4(c): as much as fits into the smallest MTU. */
const QUOTE_IPV6_OCTETS = 1280 - IPV6_HEADER_OCTETS - ICMP_HEADER_OCTETS;
const HOP_LIMIT = 64;

/** An ICMPv6 message that Neighbour Discovery or multicast listening wants. */
export type Icmp6Handler = (packet: Packet, type: number) => void;

interface ErrorMessage {
  readonly type: number;
  readonly code: number;
  readonly rest: number;
}

/** The one ICMP layer of a stack. */
export class Icmp implements Complaints {
  /** Messages of types 130 to 143. */
  onNeighbourMessage: Icmp6Handler | undefined;
  /** IPv4 redirects: target, better router, who says so. */
  onRedirect: ((target: IpAddress, gateway: IpAddress, packet: Packet) => void) | undefined;
  readonly #core: StackCore;
  readonly #ip: Ip;
  readonly #mtus: PathMtus;
  readonly #limit: IcmpLimit;
  readonly #walk = new Ipv6Walk();

  constructor(core: StackCore, ip: Ip, mtus: PathMtus) {
    this.#core = core;
    this.#ip = ip;
    this.#mtus = mtus;
    this.#limit = new IcmpLimit(core);
    ip.complaints = this;
    const v4: TransportHandler = { input: (packet) => this.#input4(packet) };
    const v6: TransportHandler = { input: (packet) => this.#input6(packet) };
    ip.setHandler(IP_PROTOCOL.icmp, v4);
    ip.setHandler(IP_PROTOCOL.icmp6, v6);
  }

  protocolUnreachable(packet: Packet): void {
    this.#core.counters.count("ip.unknown-protocol");
    if (packet.isIpv4) {
      this.#send4(packet, {
        type: ICMP_TYPE.unreachable,
        code: UNREACHABLE_CODE.protocol,
        rest: 0,
      });
    } else {
      // RFC 8200 §4: "unrecognized next header", with the place of the octet that names it.
      const pointer = this.#placeOfProtocol(packet);
      this.#send6(packet, { type: ICMP6_TYPE.parameterProblem, code: 1, rest: pointer });
    }
  }

  /** Nobody listens on the port of a UDP packet (RFC 1122 §4.1.3.1). */
  portUnreachable(packet: Packet): void {
    if (packet.isIpv4) {
      this.#send4(packet, { type: ICMP_TYPE.unreachable, code: UNREACHABLE_CODE.port, rest: 0 });
    } else {
      const code = UNREACHABLE6_CODE.port;
      this.#send6(packet, { type: ICMP6_TYPE.unreachable, code, rest: 0 });
    }
  }

  tooBig(packet: Packet, mtuOctets: number): void {
    if (packet.isIpv4) {
      const code = UNREACHABLE_CODE.fragmentationNeeded;
      this.#send4(packet, { type: ICMP_TYPE.unreachable, code, rest: mtuOctets });
    } else this.#send6(packet, { type: ICMP6_TYPE.packetTooBig, code: 0, rest: mtuOctets });
  }

  timeExceeded(packet: Packet): void {
    if (packet.isIpv4) this.#send4(packet, { type: ICMP_TYPE.timeExceeded, code: 0, rest: 0 });
    else this.#send6(packet, { type: ICMP6_TYPE.timeExceeded, code: 0, rest: 0 });
  }

  noRoute(packet: Packet): void {
    if (packet.isIpv4) {
      this.#send4(packet, { type: ICMP_TYPE.unreachable, code: UNREACHABLE_CODE.network, rest: 0 });
    } else {
      const code = UNREACHABLE6_CODE.noRoute;
      this.#send6(packet, { type: ICMP6_TYPE.unreachable, code, rest: 0 });
    }
  }

  /** A neighbour did not answer: its packet cannot be delivered (RFC 4861 §7.2.2, RFC 1812). */
  hostUnreachable(packet: Packet): void {
    if (packet.isIpv4) {
      this.#send4(packet, { type: ICMP_TYPE.unreachable, code: UNREACHABLE_CODE.host, rest: 0 });
    } else {
      const code = UNREACHABLE6_CODE.address;
      this.#send6(packet, { type: ICMP6_TYPE.unreachable, code, rest: 0 });
    }
  }

  parameterProblem(packet: Packet, code: number, pointer: number): void {
    if (packet.isIpv4) {
      const rest = (pointer << 24) >>> 0;
      this.#send4(packet, { type: ICMP_TYPE.parameterProblem, code, rest });
    } else this.#send6(packet, { type: ICMP6_TYPE.parameterProblem, code, rest: pointer });
  }

  /** Time for a datagram's fragments is over (RFC 792, RFC 4443 §3.3). */
  reassemblyTimeout(packet: Packet): void {
    const type = packet.isIpv4 ? ICMP_TYPE.timeExceeded : ICMP6_TYPE.timeExceeded;
    const message = { type, code: 1, rest: 0 };
    if (packet.isIpv4) this.#send4(packet, message);
    else this.#send6(packet, message);
  }

  #input4(packet: Packet): void {
    const { octets } = this.#core.pool;
    const { counters } = this.#core;
    const at = packet.transportAt;
    if (packet.transportOctets < ICMP_HEADER_OCTETS) {
      counters.count("icmp.short");
      return;
    }
    if (!packet.isChecksumKnown && !sumIsRight(this.#core.arena.sum(at, packet.end))) {
      counters.count("icmp.checksum");
      return;
    }
    const type = octets[at]!;
    const code = octets[at + 1]!;
    switch (type) {
      case ICMP_TYPE.echoRequest:
        this.#echo(packet, ICMP_TYPE.echoReply);
        break;
      case ICMP_TYPE.unreachable:
      case ICMP_TYPE.timeExceeded:
      case ICMP_TYPE.parameterProblem:
        this.#error4(packet, type, code);
        break;
      case ICMP_TYPE.redirect:
        this.#redirect(packet);
        break;
      case ICMP_TYPE.echoReply:
        break;
      default:
        // RFC 6633: source quench is ignored, and so is what RFC 6918 has retired.
        counters.count("icmp.ignored");
    }
  }

  #input6(packet: Packet): void {
    const { octets } = this.#core.pool;
    const { counters } = this.#core;
    const at = packet.transportAt;
    if (packet.isIpv4 || packet.transportOctets < ICMP_HEADER_OCTETS) {
      counters.count("icmp6.short");
      return;
    }
    if (!packet.isChecksumKnown && !this.#isSum6Right(packet)) {
      counters.count("icmp6.checksum");
      return;
    }
    const type = octets[at]!;
    const code = octets[at + 1]!;
    switch (type) {
      case ICMP6_TYPE.echoRequest:
        this.#echo(packet, ICMP6_TYPE.echoReply);
        break;
      case ICMP6_TYPE.echoReply:
        break;
      case ICMP6_TYPE.unreachable:
      case ICMP6_TYPE.packetTooBig:
      case ICMP6_TYPE.timeExceeded:
      case ICMP6_TYPE.parameterProblem:
        this.#error6(packet, type, code);
        break;
      default:
        if (type >= ICMP6_TYPE.multicastQuery && type <= ICMP6_TYPE.multicastReport2) {
          this.onNeighbourMessage?.(packet, type);
        } else counters.count("icmp6.ignored");
    }
  }

  #isSum6Right(packet: Packet): boolean {
    const length = packet.transportOctets;
    const pseudo =
      sumOfWords(packet.s0, packet.s1, packet.s2, packet.s3) +
      sumOfWords(packet.t0, packet.t1, packet.t2, packet.t3) +
      length +
      IP_PROTOCOL.icmp6;
    return sumIsRight(this.#core.arena.sum(packet.transportAt, packet.end, pseudo));
  }

  /** RFC 1122 §3.2.2.6, RFC 4443 §4.2: what was sent comes back. */
  #echo(packet: Packet, replyType: number): void {
    const { pool, counters } = this.#core;
    const { octets } = pool;
    // RFC 1122 allows to be silent about broadcasts; an answer to everybody is an amplifier.
    if (packet.isIpv4 && packet.isGroup) {
      counters.count("icmp.group-echo");
      return;
    }
    const slot = takePacketSlot(this.#core);
    if (slot < 0) return;
    const at = pool.start[slot]!;
    const length = packet.transportOctets;
    octets.copyWithin(at, packet.transportAt, packet.end);
    pool.length[slot] = length;
    octets[at] = replyType;
    const source = packet.isGroup ? undefined : packet.target();
    const scope = packet.interface.link.kind === "loopback" ? 0 : packet.interface.index;
    const peer = packet.source();
    const way = this.#ip.wayTo(peer, source, peer.isLinkLocal ? scope : 0);
    this.#emit(slot, way, packet.trafficClass, Math.min(length, 0xffff_ffff));
  }

  /** Fills the checksum in and sends. */
  #emit(slot: number, way: Destination | number, trafficClass: number, length: number): void {
    const { pool } = this.#core;
    if (typeof way === "number") {
      this.#core.counters.count("icmp.no-way-back");
      pool.release(slot);
      return;
    }
    const at = pool.start[slot]!;
    const protocol = way.isIpv4 ? IP_PROTOCOL.icmp : IP_PROTOCOL.icmp6;
    const pseudo = way.isIpv4 ? 0 : way.addressSum + length + protocol;
    writeU16(pool.octets, at + ICMP_AT.checksum, 0);
    const sum = this.#core.arena.sum(at, at + length, pseudo);
    writeU16(pool.octets, at + ICMP_AT.checksum, checksumOf(sum));
    this.#ip.send(slot, way, protocol, {
      hopLimit: HOP_LIMIT,
      trafficClass,
      dontFragment: false,
      flowLabel: 0,
    });
  }

  /** RFC 1122 §3.2.2: about what no error may be sent. */
  #mayComplain(packet: Packet, isAboutGroupAllowed: boolean): boolean {
    if (packet.interface.link.kind === "loopback" && packet.source().isUnspecified) return false;
    const isGroup = packet.isGroup || packet.isLinkGroup;
    if (isGroup && !isAboutGroupAllowed) return false;
    const source = packet.source();
    if (source.isUnspecified || source.isMulticast) return false;
    if (packet.isIpv4 && (packet.s3 === -1 || packet.s3 >>> 28 >= 0xe)) return false;
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
    return walk.at >= packet.end || octets[walk.at]! < 128 || octets[walk.at] === 137;
  }

  #send4(packet: Packet, message: ErrorMessage): void {
    if (!this.#mayComplain(packet, false)) return;
    const peer = packet.source();
    const target = packet.target();
    const way = this.#wayBack(peer, target, packet);
    this.#complain(packet, message, QUOTE_IPV4_OCTETS, way);
  }

  #send6(packet: Packet, message: ErrorMessage): void {
    // RFC 4443 §2.4(e): packet-too-big, and parameter problem of code 2, also about groups.
    const isAllowed =
      message.type === ICMP6_TYPE.packetTooBig ||
      (message.type === ICMP6_TYPE.parameterProblem && message.code === 2);
    if (!this.#mayComplain(packet, isAllowed)) return;
    const way = this.#wayBack(packet.source(), packet.target(), packet);
    this.#complain(packet, message, QUOTE_IPV6_OCTETS, way);
  }

  /** From the address that was meant, if it is ours. */
  #wayBack(peer: IpAddress, target: IpAddress, packet: Packet): Destination | number {
    const isLoop = packet.interface.link.kind === "loopback";
    const scope = peer.isLinkLocal && !isLoop ? packet.interface.index : 0;
    const from = packet.isGroup ? undefined : target;
    const way = this.#ip.wayTo(peer, from, scope);
    return typeof way === "number" ? this.#ip.wayTo(peer, undefined, scope) : way;
  }

  #complain(
    packet: Packet,
    message: ErrorMessage,
    quoteMax: number,
    way: Destination | number,
  ): void {
    const { pool } = this.#core;
    const slot = takePacketSlot(this.#core);
    if (slot < 0) return;
    const { octets } = pool;
    const at = pool.start[slot]!;
    const quote = Math.min(packet.end - packet.networkAt, quoteMax);
    octets[at] = message.type;
    octets[at + 1] = message.code;
    writeU32(octets, at + ICMP_AT.rest, message.rest);
    const from = packet.networkAt;
    octets.copyWithin(at + ICMP_HEADER_OCTETS, from, from + quote);
    pool.length[slot] = ICMP_HEADER_OCTETS + quote;
    this.#core.counters.count("icmp.error-sent");
    this.#emit(slot, way, packet.isIpv4 ? 0xc0 : 0, ICMP_HEADER_OCTETS + quote);
  }

  #placeOfProtocol(packet: Packet): number {
    const { octets } = this.#core.pool;
    let at = packet.networkAt + IPV6_HEADER_OCTETS;
    let place: number = packet.networkAt + IPV6_AT.nextHeader;
    while (at < packet.transportAt) {
      place = at;
      at += 8 + 8 * octets[at + 1]!;
    }
    return place - packet.networkAt;
  }

  #error4(packet: Packet, type: number, code: number): void {
    const { octets } = this.#core.pool;
    const at = packet.transportAt + ICMP_HEADER_OCTETS;
    if (packet.end - at < IPV4_HEADER_OCTETS_MIN + 8 || octets[at]! >>> 4 !== 4) {
      this.#core.counters.count("icmp.quote");
      return;
    }
    const header = (octets[at]! & 0xf) * 4;
    const isFirst = (readU16(octets, at + IPV4_AT.fragment) & 0x1fff) === 0;
    if (header < IPV4_HEADER_OCTETS_MIN || at + header + 8 > packet.end || !isFirst) {
      this.#core.counters.count("icmp.quote");
      return;
    }
    const isPtb = type === ICMP_TYPE.unreachable && code === UNREACHABLE_CODE.fragmentationNeeded;
    const claimed = readU16(octets, packet.transportAt + ICMP_AT.rest + 2);
    const total = readU16(octets, at + IPV4_AT.totalLength);
    this.#hand(packet, {
      ...meaning4(type, code),
      source: IpAddress.read(octets, at + IPV4_AT.source, 4),
      target: IpAddress.read(octets, at + IPV4_AT.target, 4),
      protocol: octets[at + IPV4_AT.protocol]!,
      at: at + header,
      // RFC 1191 §5: a router of old says no MTU; the next plateau below the packet is taken.
      mtuOctets: isPtb ? (claimed > 0 ? claimed : plateauBelow(total)) : 0,
      type,
      code,
    });
  }

  #error6(packet: Packet, type: number, code: number): void {
    const { octets } = this.#core.pool;
    const at = packet.transportAt + ICMP_HEADER_OCTETS;
    const isLong = packet.end - at >= IPV6_HEADER_OCTETS;
    if (!isLong || octets[at]! >>> 4 !== 6) {
      this.#core.counters.count("icmp6.quote");
      return;
    }
    const walk = this.#walk;
    const next = octets[at + IPV6_AT.nextHeader]!;
    walk.walk(octets, next, at + IPV6_HEADER_OCTETS, packet.end);
    if (!walk.isWhole || walk.fragmentOffsetOctets > 0 || walk.at + 8 > packet.end) {
      this.#core.counters.count("icmp6.quote");
      return;
    }
    const isPtb = type === ICMP6_TYPE.packetTooBig;
    this.#hand(packet, {
      ...meaning6(type, code),
      source: IpAddress.read(octets, at + IPV6_AT.source, 16),
      target: IpAddress.read(octets, at + IPV6_AT.target, 16),
      protocol: walk.protocol,
      at: walk.at,
      mtuOctets: isPtb ? readU32(octets, packet.transportAt + ICMP_AT.rest) : 0,
      type,
      code,
    });
  }

  /** To the transport, which alone can tell whether it sent the packet (RFC 5927 §4). */
  #hand(packet: Packet, error: Omit<PacketError, "octets" | "end" | "reporter">): void {
    const { octets } = this.#core.pool;
    // An error about a packet that did not come from here is somebody's guess.
    const isOurs = typeof this.#ip.wayTo(error.target, error.source, 0) !== "number";
    if (!isOurs && !error.source.isLinkLocal) {
      this.#core.counters.count("icmp.not-ours");
      return;
    }
    this.#core.counters.count("icmp.error-received");
    this.#ip.report({ ...error, octets, end: packet.end, reporter: packet.source() });
  }

  /** A transport believes a packet-too-big: the path's MTU is less now (RFC 8201 §4). */
  reducePathMtu(target: IpAddress, mtuOctets: number, nowOctets: number): number {
    return this.#mtus.reduce(target, mtuOctets, nowOctets);
  }

  #redirect(packet: Packet): void {
    const { octets } = this.#core.pool;
    const at = packet.transportAt + ICMP_HEADER_OCTETS;
    if (packet.end - at < IPV4_HEADER_OCTETS_MIN + 8) return;
    const gateway = IpAddress.read(octets, packet.transportAt + ICMP_AT.rest, 4);
    const target = IpAddress.read(octets, at + IPV4_AT.target, 4);
    this.onRedirect?.(target, gateway, packet);
  }
}

function sumOfWords(w0: number, w1: number, w2: number, w3: number): number {
  return sumOfAddress(new IpAddress(w0, w1, w2, w3));
}

interface Meaning {
  readonly kind: PacketError["kind"];
  readonly errno: number;
  readonly isHard: boolean;
}

/** RFC 1122 §4.2.3.9: protocol and port unreachable are hard errors. */
function meaning4(type: number, code: number): Meaning {
  if (type === ICMP_TYPE.timeExceeded) {
    return { kind: "time-exceeded", errno: ERRNO.EHOSTUNREACH, isHard: false };
  }
  if (type === ICMP_TYPE.parameterProblem) {
    return { kind: "parameter-problem", errno: ERRNO.EPROTO, isHard: false };
  }
  switch (code) {
    case UNREACHABLE_CODE.protocol:
      return { kind: "unreachable", errno: ERRNO.ENOPROTOOPT, isHard: true };
    case UNREACHABLE_CODE.port:
      return { kind: "unreachable", errno: ERRNO.ECONNREFUSED, isHard: true };
    case UNREACHABLE_CODE.fragmentationNeeded:
      return { kind: "packet-too-big", errno: ERRNO.EMSGSIZE, isHard: false };
    case UNREACHABLE_CODE.network:
      return { kind: "unreachable", errno: ERRNO.ENETUNREACH, isHard: false };
    default:
      return { kind: "unreachable", errno: ERRNO.EHOSTUNREACH, isHard: false };
  }
}

function meaning6(type: number, code: number): Meaning {
  switch (type) {
    case ICMP6_TYPE.packetTooBig:
      return { kind: "packet-too-big", errno: ERRNO.EMSGSIZE, isHard: false };
    case ICMP6_TYPE.timeExceeded:
      return { kind: "time-exceeded", errno: ERRNO.EHOSTUNREACH, isHard: false };
    case ICMP6_TYPE.parameterProblem:
      return { kind: "parameter-problem", errno: ERRNO.EPROTO, isHard: code === 1 };
    default:
      break;
  }
  switch (code) {
    case UNREACHABLE6_CODE.noRoute:
      return { kind: "unreachable", errno: ERRNO.ENETUNREACH, isHard: false };
    case UNREACHABLE6_CODE.administrative:
      return { kind: "unreachable", errno: ERRNO.EACCES, isHard: true };
    case UNREACHABLE6_CODE.port:
      return { kind: "unreachable", errno: ERRNO.ECONNREFUSED, isHard: true };
    default:
      return { kind: "unreachable", errno: ERRNO.EHOSTUNREACH, isHard: false };
  }
}

/** RFC 1191 §7.1. */
const PLATEAUS = [32_000, 17_914, 8166, 4352, 2002, 1492, 1006, 508, 296];

function plateauBelow(octets: number): number {
  return PLATEAUS.find((plateau) => plateau < octets) ?? 68;
}
