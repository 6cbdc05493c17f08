/** Packets for others: RFC 1812 §5.2 and §5.3, RFC 8200 §3, as far as a small router needs it. */
import { OFFLOAD, readU16, writeU16 } from "../../base/index.ts";
import { IPV4_AT, IPV6_AT, TCP_AT, updateChecksum } from "../../wire/index.ts";
import type { StackCore } from "../core.ts";
import type { Destination } from "../destination.ts";
import { takePacketSlot } from "../headroom.ts";
import type { Packet } from "../packet.ts";
import type { Forwarder, Ip } from "./ip.ts";
import { isForwardable } from "./special-prefixes.ts";
import type { Ways } from "./ways.ts";

/** Ways to targets that were forwarded to last, by a cheap hash; a power of two. */
const WAYS_KEPT = 256;
const DONT_FRAGMENT = 0x4000;

export class PacketForwarder implements Forwarder {
  readonly #core: StackCore;
  readonly #ip: Ip;
  readonly #ways: Ways;
  readonly #kept: (Destination | undefined)[] = Array.from({ length: WAYS_KEPT });

  constructor(core: StackCore, ip: Ip, ways: Ways) {
    this.#core = core;
    this.#ip = ip;
    this.#ways = ways;
  }

  forward(packet: Packet): void {
    const { counters } = this.#core;
    if (!this.#mayGoOn(packet)) return;
    if (packet.hopLimit <= 1) {
      counters.count("forward.time-exceeded");
      this.#ip.complaints?.timeExceeded(packet);
      return;
    }
    const way = this.#wayOf(packet);
    if (way === undefined) {
      counters.count("forward.no-route");
      this.#ip.complaints?.noRoute(packet);
      return;
    }
    // RFC 2644: everybody on a link is not asked by somebody who is not there.
    if (packet.isIpv4 && this.#ways.isBroadcast(way.target)) {
      counters.count("forward.broadcast");
      return;
    }
    const { hooks } = this.#ip;
    if (hooks.has("forward") && !hooks.passes("forward", packet)) {
      counters.count("filter.dropped");
      return;
    }
    if (!this.#fits(packet, way)) {
      counters.count("forward.too-big");
      this.#ip.complaints?.tooBig(packet, way.mtuOctets);
      return;
    }
    if (way.interface === packet.interface) this.#ip.complaints?.betterHop(packet, way);
    this.#send(packet, way);
  }

  /** RFC 1812 §5.3.4 and §4.2.2.11, RFC 4291 §2.5.6: some packets stay on their link. */
  #mayGoOn(packet: Packet): boolean {
    const { s0, s1, s2, s3, t0, t1, t2, t3 } = packet;
    const isAlone = !packet.isGroup && !packet.isLinkGroup;
    if (isAlone && isForwardable(t0, t1, t2, t3)) {
      if (isForwardable(s0, s1, s2, s3)) return true;
      this.#ip.complaints?.beyondScope(packet);
    }
    this.#core.counters.count("forward.not-routable");
    return false;
  }

  #wayOf(packet: Packet): Destination | undefined {
    const { t0, t1, t2, t3 } = packet;
    const mixed = t3 ^ t2 ^ t1 ^ t0;
    const at = (mixed ^ (mixed >>> 8) ^ (mixed >>> 16)) & (WAYS_KEPT - 1);
    const kept = this.#kept[at];
    if (kept !== undefined && kept.generation === this.#ways.generation) {
      const { w0, w1, w2, w3 } = kept.target;
      if (w3 === t3 && w2 === t2 && w1 === t1 && w0 === t0) return kept;
    }
    const way = this.#ways.onward(packet.target());
    if (way !== undefined) this.#kept[at] = way;
    return way;
  }

  /**
   * The packet goes through as it is, or may be cut on the way. A super-segment stands for packets
   * that go through if its segments do.
   */
  #fits(packet: Packet, way: Destination): boolean {
    const { pool } = this.#core;
    const { octets } = pool;
    const { slot, networkAt } = packet;
    const isCuttable =
      packet.isIpv4 && (readU16(octets, networkAt + IPV4_AT.fragment) & DONT_FRAGMENT) === 0;
    if (pool.offload[slot]! <= OFFLOAD.checksum) {
      return isCuttable || packet.end - networkAt <= way.mtuOctets;
    }
    const tcpAt = pool.checksumFrom[slot]!;
    const headers = tcpAt - networkAt + (octets[tcpAt + TCP_AT.headerLength]! >>> 4) * 4;
    if (headers + pool.segmentOctets[slot]! <= way.mtuOctets) return true;
    if (!isCuttable) return false;
    // Smaller segments are as good as fragments of larger ones, and better to lose.
    pool.segmentOctets[slot] = way.mtuOctets - headers;
    return headers < way.mtuOctets;
  }

  #send(packet: Packet, way: Destination): void {
    const { pool, counters } = this.#core;
    const slot = takePacketSlot(this.#core);
    if (slot < 0) return;
    const { octets } = pool;
    const at = pool.start[slot]!;
    const from = packet.networkAt;
    octets.copyWithin(at, from, packet.end);
    pool.length[slot] = packet.end - from;
    const offload = pool.offload[packet.slot]!;
    pool.offload[slot] = offload;
    if (offload !== OFFLOAD.none) {
      pool.checksumFrom[slot] = pool.checksumFrom[packet.slot]! - from + at;
      pool.checksumOffset[slot] = pool.checksumOffset[packet.slot]!;
      pool.segmentOctets[slot] = pool.segmentOctets[packet.slot]!;
    }
    if (packet.isIpv4) this.#lowerLife(octets, at, packet);
    else octets[at + IPV6_AT.hopLimit]!--;
    counters.count("forward.forwarded");
    this.#ip.sendOn(slot, way);
  }

  /** RFC 1624: the checksum follows without reading the header again. */
  #lowerLife(octets: Uint8Array, at: number, packet: Packet): void {
    const before = (packet.hopLimit << 8) | packet.protocol;
    octets[at + IPV4_AT.timeToLive]!--;
    const sumAt = at + IPV4_AT.checksum;
    const checksum = (octets[sumAt]! << 8) | octets[sumAt + 1]!;
    writeU16(octets, sumAt, updateChecksum(checksum, before, before - 0x100));
  }
}
