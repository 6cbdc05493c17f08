/**
 * The extension headers of IPv6 packets for this host: RFC 8200 §4, RFC 5095, RFC 6946, RFC 7112,
 * RFC 8504 §5.3.
 */
import { readU16, readU32 } from "../../base/index.ts";
import { IP_PROTOCOL, IPV6_AT, IPV6_HEADER_OCTETS, Ipv6Walk } from "../../wire/index.ts";
import type { StackCore } from "../core.ts";
import type { Packet } from "../packet.ts";
import type { Complaints } from "./complaints.ts";
import type { FragmentView } from "./reassembly.ts";

/** Extension headers of one packet at most (RFC 8504 §5.3 allows a limit). */
const HEADERS_MAX = 8;
const FRAGMENT_HEADER_OCTETS = 8;
/** RFC 2711. */
const ROUTER_ALERT = 5;
const ROUTING_TYPE_0 = 0;
const TOTAL_OCTETS_MAX = 65_535;

export class ExtensionHeaders {
  readonly #core: StackCore;
  readonly #walk = new Ipv6Walk();
  #complaints: Complaints | undefined;

  constructor(core: StackCore) {
    this.#core = core;
  }

  /**
   * Walks the extension headers of a packet for this host. "ready": the handler's header is at
   * `packet.transportAt`; "fragment": `fragment` says which part it is; else it was dropped.
   */
  walk(
    packet: Packet,
    fragment: FragmentView,
    complaints: Complaints | undefined,
  ): "ready" | "fragment" | "dropped" {
    this.#complaints = complaints;
    const { octets } = this.#core.pool;
    let at = packet.networkAt + IPV6_HEADER_OCTETS;
    let nextHeaderAt = packet.networkAt + IPV6_AT.nextHeader;
    let protocol = octets[nextHeaderAt]!;
    for (let headers = 0; headers < HEADERS_MAX; headers++) {
      packet.protocol = protocol;
      packet.transportAt = at;
      switch (protocol) {
        case IP_PROTOCOL.hopByHop:
          // RFC 8200 §4.1: only directly after the IPv6 header.
          if (headers > 0) return this.#badHeader(packet, nextHeaderAt);
          break;
        case IP_PROTOCOL.targetOptions:
          break;
        case IP_PROTOCOL.routing:
          if (at + 8 <= packet.end && !this.#isRoutingSound(packet, at)) return "dropped";
          break;
        case IP_PROTOCOL.fragment: {
          const found = this.#fragment(packet, fragment, at, nextHeaderAt);
          if (found !== "atomic") return found;
          // RFC 6946: it is whole, whatever else is under way with its identification.
          packet.wasFragmented = true;
          nextHeaderAt = at;
          protocol = octets[at]!;
          at += FRAGMENT_HEADER_OCTETS;
          continue;
        }
        default:
          return "ready";
      }
      if (at + 8 > packet.end || at + 8 + 8 * octets[at + 1]! > packet.end) {
        this.#core.counters.count("ip6.extension-length");
        return "dropped";
      }
      const length = 8 + 8 * octets[at + 1]!;
      if (protocol !== IP_PROTOCOL.routing && !this.#areOptionsKnown(packet, at + 2, at + length)) {
        return "dropped";
      }
      nextHeaderAt = at;
      protocol = octets[at]!;
      at += length;
    }
    this.#core.counters.count("ip6.extension-count");
    return "dropped";
  }

  /** RFC 5095: type 0 with segments left is answered by an error; others are skipped when done. */
  #isRoutingSound(packet: Packet, at: number): boolean {
    const { octets } = this.#core.pool;
    const segmentsLeft = octets[at + 3]!;
    if (segmentsLeft === 0) return true;
    this.#core.counters.count(
      octets[at + 2] === ROUTING_TYPE_0 ? "ip6.routing-type-0" : "ip6.routing",
    );
    this.#complaints?.parameterProblem(packet, 0, at + 2 - packet.networkAt);
    return false;
  }

  /** RFC 8200 §4.2: the two highest bits of an unknown option say what to do. */
  #areOptionsKnown(packet: Packet, from: number, to: number): boolean {
    const { octets } = this.#core.pool;
    for (let at = from; at < to; ) {
      const type = octets[at]!;
      if (type === 0) {
        at++;
        continue;
      }
      const length = at + 1 < to ? octets[at + 1]! : 0xff;
      if (at + 2 + length > to) {
        this.#core.counters.count("ip6.option-length");
        return false;
      }
      const isKnown = type === 1 || type === ROUTER_ALERT;
      const action = type >>> 6;
      if (!isKnown && action !== 0) {
        this.#core.counters.count("ip6.option-unknown");
        const answers = action === 2 || (action === 3 && !packet.isGroup);
        if (answers) this.#complaints?.parameterProblem(packet, 2, at - packet.networkAt);
        return false;
      }
      at += 2 + length;
    }
    return true;
  }

  #badHeader(packet: Packet, at: number): "dropped" {
    this.#core.counters.count("ip6.next-header");
    this.#complaints?.parameterProblem(packet, 1, at - packet.networkAt);
    return "dropped";
  }

  #fragment(
    packet: Packet,
    fragment: FragmentView,
    at: number,
    nextHeaderAt: number,
  ): "atomic" | "fragment" | "dropped" {
    const { octets } = this.#core.pool;
    const { counters } = this.#core;
    if (at + 8 > packet.end) {
      counters.count("ip6.extension-length");
      return "dropped";
    }
    const field = readU16(octets, at + 2);
    fragment.identification = readU32(octets, at + 4);
    fragment.offsetOctets = field & 0xfff8;
    fragment.hasMore = (field & 1) !== 0;
    fragment.dataAt = at + FRAGMENT_HEADER_OCTETS;
    fragment.headersEnd = at;
    fragment.end = packet.end;
    fragment.protocol = octets[at]!;
    fragment.nextHeaderAt = nextHeaderAt;
    const isAtomic = fragment.offsetOctets === 0 && !fragment.hasMore;
    const length = fragment.end - fragment.dataAt;
    if (fragment.hasMore && length % 8 !== 0) {
      // RFC 8200 §4.5.
      this.#complaints?.parameterProblem(packet, 0, IPV6_AT.payloadLength);
      counters.count("fragment.length");
      return "dropped";
    }
    if (fragment.offsetOctets + length > TOTAL_OCTETS_MAX) {
      this.#complaints?.parameterProblem(packet, 0, at + 2 - packet.networkAt);
      counters.count("fragment.too-long");
      return "dropped";
    }
    if (fragment.offsetOctets === 0 && !this.#hasWholeChain(packet, fragment)) {
      // RFC 7112 §5.
      counters.count("fragment.header-chain");
      this.#complaints?.parameterProblem(packet, 3, at + 2 - packet.networkAt);
      return "dropped";
    }
    if (isAtomic) return "atomic";
    if (!packet.wasFragmented) return "fragment";
    // Fragments of fragments hide what they carry, and no sender makes them.
    counters.count("fragment.nested");
    return "dropped";
  }

  /** The first fragment holds every header up to that of the transport (RFC 7112 §5). */
  #hasWholeChain(packet: Packet, fragment: FragmentView): boolean {
    const walk = this.#walk;
    walk.walk(this.#core.pool.octets, fragment.protocol, fragment.dataAt, packet.end);
    if (!walk.isWhole) return false;
    const left = packet.end - walk.at;
    switch (walk.protocol) {
      case IP_PROTOCOL.tcp:
        return left >= 20;
      case IP_PROTOCOL.udp:
      case IP_PROTOCOL.icmp6:
        return left >= 8;
      default:
        return true;
    }
  }
}
