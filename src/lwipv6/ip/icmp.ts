/**
 * ICMP messages that come in, of both families: echo, and errors about packets of ours. RFC 792,
 * RFC 1122 §3.2.2, RFC 4443, RFC 5927.
 */
import { readU16, readU32 } from "../../base/index.ts";
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
  sumIsRight,
  UNREACHABLE_CODE,
} from "../../wire/index.ts";
import { IpAddress } from "../address.ts";
import type { StackCore } from "../core.ts";
import { sumOfAddress } from "../destination.ts";
import { takePacketSlot } from "../headroom.ts";
import type { Packet, PacketError, TransportHandler } from "../packet.ts";
import { meaning4, meaning6, plateauBelow } from "./icmp-meaning.ts";
import { sendIcmp } from "./icmp-output.ts";
import type { Ip } from "./ip.ts";
import type { PathMtus } from "./path-mtu.ts";

/** An ICMPv6 message that Neighbour Discovery or multicast listening wants. */
export type Icmp6Handler = (packet: Packet, type: number) => void;

/** The one ICMP layer of a stack. */
export class Icmp {
  /** Messages of types 130 to 143. */
  onNeighbourMessage: Icmp6Handler | undefined;
  /** IPv4 redirects: target, better router, who says so. */
  onRedirect: ((target: IpAddress, gateway: IpAddress, packet: Packet) => void) | undefined;
  readonly #core: StackCore;
  readonly #ip: Ip;
  readonly #mtus: PathMtus;
  readonly #walk = new Ipv6Walk();

  constructor(core: StackCore, ip: Ip, mtus: PathMtus) {
    this.#core = core;
    this.#ip = ip;
    this.#mtus = mtus;
    const v4: TransportHandler = { input: (packet) => this.#input4(packet) };
    const v6: TransportHandler = { input: (packet) => this.#input6(packet) };
    ip.setHandler(IP_PROTOCOL.icmp, v4);
    ip.setHandler(IP_PROTOCOL.icmp6, v6);
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
      sumOfAddress(packet.source()) + sumOfAddress(packet.target()) + length + IP_PROTOCOL.icmp6;
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
    octets.copyWithin(at, packet.transportAt, packet.end);
    pool.length[slot] = packet.transportOctets;
    octets[at] = replyType;
    const source = packet.isGroup ? undefined : packet.target();
    const scope = packet.interface.link.kind === "loopback" ? 0 : packet.interface.index;
    const peer = packet.source();
    const way = this.#ip.wayTo(peer, source, peer.isLinkLocal ? scope : 0);
    const { trafficClass } = packet;
    sendIcmp(this.#core, this.#ip, slot, way, { trafficClass });
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
    // An error about a packet that did not come from here is somebody's guess: RFC 5927 §4.
    if (!error.source.equals(packet.target())) {
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
