/** One neighbour: a host on the link, the address of its card, and how sure we are of it. */
import { MAC_OCTETS, type MacAddress, writeU16 } from "../../base/index.ts";
import { ETHER_TYPE, ETHERNET_HEADER_OCTETS } from "../../wire/index.ts";
import type { IpAddress } from "../address.ts";
import type { NextHop } from "../destination.ts";
import type { Interface } from "../interface.ts";
import type { Timer } from "../timer-wheel.ts";

/** RFC 4861 §7.3.2, and UNREACHABLE of RFC 7048 §3. */
export type NeighbourState =
  | "incomplete"
  | "reachable"
  | "stale"
  | "delay"
  | "probe"
  | "unreachable"
  /** Set by hand; never asked for. */
  | "permanent";

/** One entry of the neighbour table. */
export class Neighbour implements NextHop {
  readonly address: IpAddress;
  readonly interface: Interface;
  /** The Ethernet header of frames to it. */
  readonly header = new Uint8Array(ETHERNET_HEADER_OCTETS);
  state: NeighbourState = "incomplete";
  /** It said that it is a router (ND only). */
  isRouter = false;
  /** Solicitations sent since the state was entered. */
  probes = 0;
  /** When it was last known to answer, on the stack's clock. */
  confirmedMs = Number.NEGATIVE_INFINITY;
  /** When a packet was last sent to it: the oldest goes first when the table is full. */
  usedMs = 0;
  /** Packets that wait for its address. */
  readonly waiting: number[] = [];
  /** It is not in the table any more: ask the table again. */
  isGone = false;
  readonly timer: Timer;

  constructor(address: IpAddress, owner: Interface, timer: Timer) {
    this.address = address;
    this.interface = owner;
    this.timer = timer;
    if (owner.link.mac !== undefined) this.header.set(owner.link.mac, MAC_OCTETS);
    writeU16(this.header, 2 * MAC_OCTETS, address.isIpv4 ? ETHER_TYPE.ipv4 : ETHER_TYPE.ipv6);
  }

  /** Its card's address; meaningless while incomplete. */
  get mac(): MacAddress {
    return this.header.subarray(0, MAC_OCTETS);
  }

  hasMac(mac: MacAddress): boolean {
    for (let i = 0; i < MAC_OCTETS; i++) if (this.header[i] !== mac[i]) return false;
    return true;
  }
}
