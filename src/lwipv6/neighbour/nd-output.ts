/** Sending Neighbour Discovery messages: RFC 4861 §4, always with hop limit 255. */
import {
  type Icmp6,
  emitIcmp6,
  IP_PROTOCOL,
  IPV6_HEADER_OCTETS,
  ND_HOP_LIMIT,
} from "../../wire/index.ts";
import { ETHER_TYPE, ETHERNET_AT, ETHERNET_HEADER_OCTETS } from "../../wire/index.ts";
import { type MacAddress, multicastMac, solicitedNodeGroup } from "../../base/index.ts";
import { writeU16 } from "../../base/index.ts";
import { IpAddress } from "../address.ts";
import type { StackCore } from "../core.ts";
import { type SendOptions, USUAL_OPTIONS } from "../destination.ts";
import { takePacketSlot } from "../headroom.ts";
import type { Interface } from "../interface.ts";
import { writeIpv6 } from "../ip-header.ts";

/** ff02::1, ff02::2 */
export const ALL_NODES = IpAddress.parse("ff02::1");
export const ALL_ROUTERS = IpAddress.parse("ff02::2");

const ND_OPTIONS: SendOptions = { ...USUAL_OPTIONS, hopLimit: ND_HOP_LIMIT, dontFragment: true };

/** Octets of the longest message made here. */
const ROOM_OCTETS = 1200;

/** The group in which the owner of an address listens for questions about it (RFC 4291 §2.7.1). */
export function solicitedGroup(address: IpAddress): IpAddress {
  return IpAddress.read(solicitedNodeGroup(address.toOctets()), 0, 16);
}

/**
 * Sends an ICMPv6 message on a link.
 * @param mac of the receiver; undefined: `target` is a group.
 */
export function sendNd(
  core: StackCore,
  owner: Interface,
  way: { readonly source: IpAddress; readonly target: IpAddress; readonly mac?: MacAddress },
  message: Icmp6,
): void {
  const { pool } = core;
  const slot = takePacketSlot(core);
  if (slot < 0) return;
  const { octets } = pool;
  const at = pool.start[slot]!;
  const { source, target } = way;
  const addresses = { source: source.toOctets(), target: target.toOctets() };
  const length = emitIcmp6(message, octets.subarray(at, at + ROOM_OCTETS), addresses);
  const networkAt = at - IPV6_HEADER_OCTETS;
  writeIpv6(octets, networkAt, length, way, IP_PROTOCOL.icmp6, ND_OPTIONS);
  pool.start[slot] = networkAt;
  pool.length[slot] = IPV6_HEADER_OCTETS + length;
  if (owner.link.kind === "ethernet") {
    const frameAt = networkAt - ETHERNET_HEADER_OCTETS;
    octets.set(way.mac ?? multicastMac(target.toOctets()), frameAt);
    octets.set(owner.link.mac!, frameAt + ETHERNET_AT.source);
    writeU16(octets, frameAt + ETHERNET_AT.etherType, ETHER_TYPE.ipv6);
    pool.start[slot] = frameAt;
    pool.length[slot] += ETHERNET_HEADER_OCTETS;
  }
  owner.transmit(slot);
}
