/**
 * From IP packets to frames and back: Ethernet headers (RFC 894, RFC 2464), groups (RFC 1112 §6.4),
 * bare IP links, and ARP packets, which never leave this layer.
 */
import { readU16, writeU16 } from "../../base/index.ts";
import { ETHER_TYPE, ETHERNET_AT, ETHERNET_HEADER_OCTETS } from "../../wire/index.ts";
import type { IpAddress } from "../address.ts";
import type { StackCore } from "../core.ts";
import type { NextHop } from "../destination.ts";
import type { Interface } from "../interface.ts";
import type { Packet } from "../packet.ts";
import type { Arp } from "./arp.ts";
import { Neighbour } from "./neighbour.ts";
import type { NeighbourTable } from "./table.ts";

/** What a frame turned out to hold. */
export type FrameKind = "ipv4" | "ipv6" | "none";

export class LinkLayer {
  readonly #core: StackCore;
  readonly #table: NeighbourTable;
  readonly #arp: Arp;

  constructor(core: StackCore, table: NeighbourTable, arp: Arp) {
    this.#core = core;
    this.#table = table;
    this.#arp = arp;
  }

  /** Who is asked for on the way to `address` on a link; undefined where nobody needs to be. */
  hopTo(address: IpAddress, owner: Interface): NextHop | undefined {
    return owner.link.kind === "ethernet" ? this.#table.obtain(address, owner) : undefined;
  }

  /** A hop that was given by `hopTo` is still the right one. */
  isFresh(hop: NextHop | undefined): boolean {
    return !(hop instanceof Neighbour) || !hop.isGone;
  }

  /** The next hop answers (RFC 4861 §7.3.1). */
  confirm(hop: NextHop | undefined): void {
    if (hop instanceof Neighbour) this.#table.confirm(hop);
  }

  /**
   * Sends the IP packet in `slot`, which is the layer's from now on.
   * @param hop of `hopTo`; undefined on an Ethernet: `target` is a group or the broadcast address.
   */
  send(slot: number, owner: Interface, hop: NextHop | undefined, target: IpAddress): void {
    if (hop instanceof Neighbour) this.#table.send(slot, hop);
    else if (owner.link.kind === "ethernet") this.#sendGroup(slot, owner, target);
    else owner.transmit(slot);
  }

  /**
   * Looks at a frame that came in: sets where the IP packet starts and the frame ends. Frames for
   * other cards and ARP packets are done with here.
   */
  input(packet: Packet): FrameKind {
    const { pool } = this.#core;
    const { octets } = pool;
    const start = pool.start[packet.slot]!;
    packet.end = start + pool.length[packet.slot]!;
    packet.isLinkGroup = false;
    if (packet.interface.link.kind !== "ethernet") {
      packet.networkAt = start;
      const version = packet.end > start ? octets[start]! >>> 4 : 0;
      return version === 4 ? "ipv4" : version === 6 ? "ipv6" : "none";
    }
    if (packet.end - start < ETHERNET_HEADER_OCTETS) {
      this.#core.counters.count("ethernet.short");
      return "none";
    }
    packet.isLinkGroup = (octets[start]! & 1) !== 0;
    if (!packet.isLinkGroup && !isFor(octets, start, packet.interface)) return "none";
    packet.networkAt = start + ETHERNET_HEADER_OCTETS;
    switch (readU16(octets, start + ETHERNET_AT.etherType)) {
      case ETHER_TYPE.ipv4:
        return "ipv4";
      case ETHER_TYPE.ipv6:
        return "ipv6";
      case ETHER_TYPE.arp:
        this.#arp.input(packet);
        return "none";
      default:
        this.#core.counters.count("ethernet.unknown-type");
        return "none";
    }
  }

  /** To a multicast group or to everybody: the card's address follows from the target. */
  #sendGroup(slot: number, owner: Interface, target: IpAddress): void {
    const { pool } = this.#core;
    const { octets } = pool;
    const at = pool.start[slot]! - ETHERNET_HEADER_OCTETS;
    const bits = target.w3;
    if (!target.isIpv4) {
      writeU16(octets, at, 0x3333);
      octets[at + 2] = bits >>> 24;
      octets[at + 3] = bits >>> 16;
    } else if (target.isMulticast) {
      writeU16(octets, at, 0x0100);
      octets[at + 2] = 0x5e;
      octets[at + 3] = (bits >>> 16) & 0x7f;
    } else {
      octets.fill(0xff, at, at + 4);
    }
    const isBroadcast = target.isIpv4 && !target.isMulticast;
    writeU16(octets, at + 4, isBroadcast ? 0xffff : bits & 0xffff);
    octets.set(owner.link.mac!, at + ETHERNET_AT.source);
    const type = target.isIpv4 ? ETHER_TYPE.ipv4 : ETHER_TYPE.ipv6;
    writeU16(octets, at + ETHERNET_AT.etherType, type);
    pool.start[slot] = at;
    pool.length[slot]! += ETHERNET_HEADER_OCTETS;
    owner.transmit(slot);
  }
}

function isFor(octets: Uint8Array, start: number, owner: Interface): boolean {
  const mac = owner.link.mac!;
  for (let i = 0; i < mac.length; i++) if (octets[start + i] !== mac[i]) return false;
  return true;
}
