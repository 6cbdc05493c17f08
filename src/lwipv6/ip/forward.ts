/** Packets for others: RFC 1812 §5.2 and §5.3, RFC 8200 §3, as far as a small router needs it. */
import { OFFLOAD, writeU16 } from "../../base/index.ts";
import { IPV4_AT, IPV6_AT, updateChecksum } from "../../wire/index.ts";
import type { StackCore } from "../core.ts";
import type { Destination } from "../destination.ts";
import { takePacketSlot } from "../headroom.ts";
import type { Packet } from "../packet.ts";
import type { Forwarder, Ip } from "./ip.ts";
import type { Ways } from "./ways.ts";

export class PacketForwarder implements Forwarder {
  readonly #core: StackCore;
  readonly #ip: Ip;
  readonly #ways: Ways;

  constructor(core: StackCore, ip: Ip, ways: Ways) {
    this.#core = core;
    this.#ip = ip;
    this.#ways = ways;
  }

  forward(packet: Packet): void {
    const { counters } = this.#core;
    // RFC 1812 §5.3.4 and §4.2.2.11; RFC 4291 §2.5.6: such packets stay on their link.
    const target = packet.target();
    const source = packet.source();
    const isLinkOnly = target.isLinkLocal || source.isLinkLocal || source.isUnspecified;
    if (packet.isGroup || packet.isLinkGroup || isLinkOnly || target.isLoopback) {
      counters.count("forward.not-routable");
      return;
    }
    if (packet.hopLimit <= 1) {
      counters.count("forward.time-exceeded");
      this.#ip.complaints?.timeExceeded(packet);
      return;
    }
    const way = this.#ways.onward(target);
    if (way === undefined) {
      counters.count("forward.no-route");
      this.#ip.complaints?.noRoute(packet);
      return;
    }
    const { hooks } = this.#ip;
    if (hooks.has("forward") && !hooks.passes("forward", packet)) {
      counters.count("filter.dropped");
      return;
    }
    const { pool } = this.#core;
    const isSuper = pool.offload[packet.slot]! > OFFLOAD.checksum;
    const length = packet.end - packet.networkAt;
    // A super-segment stands for packets that fit if its segments do.
    const headers = packet.transportAt - packet.networkAt + TCP_HEADER_OCTETS_MAX;
    const longest = isSuper ? packet.segmentOctets + headers : length;
    const isTooLong = longest > way.mtuOctets;
    if (isTooLong && (isSuper || this.#ip.mayNotFragment(packet))) {
      counters.count("forward.too-big");
      this.#ip.complaints?.tooBig(packet, way.mtuOctets);
      return;
    }
    this.#send(packet, way);
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
    this.#ip.sendPacket(slot, way);
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

const TCP_HEADER_OCTETS_MAX = 60;
