/**
 * Address Resolution Protocol, RFC 826, with what RFC 5227 adds: probes before an address is used,
 * announcements after, one defence against a conflict.
 */
import { MAC_OCTETS, type MacAddress } from "../../base/index.ts";
import {
  ARP_OCTETS,
  ArpView,
  type Arp as ArpMessage,
  emitArp,
  ETHER_TYPE,
  ETHERNET_HEADER_OCTETS,
} from "../../wire/index.ts";
import { writeU16 } from "../../base/index.ts";
import { IpAddress } from "../address.ts";
import type { AddressBook, InterfaceAddress } from "../addresses.ts";
import type { StackCore } from "../core.ts";
import type { Interface } from "../interface.ts";
import type { Packet } from "../packet.ts";
import type { Neighbour } from "./neighbour.ts";
import type { NeighbourTable, Solicitor } from "./table.ts";

const BROADCAST = new Uint8Array(MAC_OCTETS).fill(0xff);
const NOBODY = new Uint8Array(MAC_OCTETS);
const UNSPECIFIED = new Uint8Array(4);
/** RFC 5227 §2.4(c): a second conflict within this time is not defended against. */
const DEFEND_INTERVAL_MS = 10_000;

export class Arp implements Solicitor {
  /** Set once the table is made, which needs a solicitor itself. */
  table: NeighbourTable | undefined;
  /** Somebody else has an address of ours. */
  onConflict: ((address: InterfaceAddress) => void) | undefined;
  readonly #core: StackCore;
  readonly #addresses: AddressBook;
  readonly #defended = new Map<InterfaceAddress, number>();

  constructor(core: StackCore, addresses: AddressBook) {
    this.#core = core;
    this.#addresses = addresses;
  }

  solicit(neighbour: Neighbour, isUnicast: boolean): void {
    const owner = neighbour.interface;
    const source = this.#sourceFor(owner, neighbour.address);
    if (source === undefined) return;
    this.#send(owner, isUnicast ? neighbour.mac : BROADCAST, {
      operation: "request",
      senderMac: owner.link.mac!,
      senderIp: source.toOctets(),
      targetMac: NOBODY,
      targetIp: neighbour.address.toOctets(),
    });
  }

  /** Asks whether somebody has an address that we would like to use (RFC 5227 §2.1.1). */
  probe(entry: InterfaceAddress): void {
    this.#send(entry.interface, BROADCAST, {
      operation: "request",
      senderMac: entry.interface.link.mac!,
      senderIp: UNSPECIFIED,
      targetMac: NOBODY,
      targetIp: entry.address.toOctets(),
    });
  }

  /** Says that an address is ours (RFC 5227 §2.3). */
  announce(entry: InterfaceAddress): void {
    this.#send(entry.interface, BROADCAST, {
      operation: "request",
      senderMac: entry.interface.link.mac!,
      senderIp: entry.address.toOctets(),
      targetMac: NOBODY,
      targetIp: entry.address.toOctets(),
    });
  }

  /** A frame with the ARP type. */
  input(packet: Packet): void {
    const { pool, counters } = this.#core;
    const view = ArpView.over(pool.octets.subarray(packet.networkAt, packet.end));
    if (view === undefined || view.problem !== undefined) {
      counters.count("arp.malformed");
      return;
    }
    const owner = packet.interface;
    const { senderMac } = view;
    if ((senderMac[0]! & 1) !== 0) {
      counters.count("arp.group-sender");
      return;
    }
    const sender = IpAddress.read(view.senderIp, 0, 4);
    const target = IpAddress.read(view.targetIp, 0, 4);
    if (isSame(senderMac, owner.link.mac!)) return;
    if (this.#isConflict(owner, sender, target)) return;
    if (sender.isUnspecified || sender.isMulticast) {
      // A probe: it is answered, and tells nothing about its sender.
      this.#answer(packet, view, target);
      return;
    }
    this.#learn(owner, sender, target, view);
    this.#answer(packet, view, target);
  }

  /** RFC 826: a known sender is noted; an unknown one only when it asks for us. */
  #learn(owner: Interface, sender: IpAddress, target: IpAddress, view: ArpView): void {
    const table = this.table!;
    const mac = view.senderMac;
    const known = table.find(sender, owner);
    const isOurs = this.#ours(owner, target) !== undefined;
    if (known !== undefined) {
      const isSolicited = view.operation === 2 && isOurs;
      table.learn(known, { mac, isSolicited, isOverride: true });
    } else if (isOurs && view.operation === 1 && this.#isOnLink(owner, sender)) {
      table.hear(sender, owner, mac);
    }
  }

  #answer(packet: Packet, view: ArpView, target: IpAddress): void {
    if (view.operation !== 1) return;
    const owner = packet.interface;
    if (this.#ours(owner, target)?.isUsable !== true) return;
    this.#send(owner, view.senderMac, {
      operation: "reply",
      senderMac: owner.link.mac!,
      senderIp: target.toOctets(),
      targetMac: view.senderMac,
      targetIp: view.senderIp,
    });
  }

  /** RFC 5227 §2.1.1 and §2.4: somebody uses, or wants, an address of ours. */
  #isConflict(owner: Interface, sender: IpAddress, target: IpAddress): boolean {
    const used = this.#ours(owner, sender);
    const wanted = sender.isUnspecified ? this.#ours(owner, target) : undefined;
    const entry = used ?? (wanted?.state === "tentative" ? wanted : undefined);
    if (entry === undefined) return false;
    this.#core.counters.count("arp.conflict");
    if (entry.state === "tentative") {
      this.onConflict?.(entry);
      return true;
    }
    const last = this.#defended.get(entry) ?? Number.NEGATIVE_INFINITY;
    if (this.#core.nowMs - last >= DEFEND_INTERVAL_MS) {
      this.#defended.set(entry, this.#core.nowMs);
      this.announce(entry);
    }
    return true;
  }

  #ours(owner: Interface, address: IpAddress): InterfaceAddress | undefined {
    return this.#addresses.find(address, owner);
  }

  #isOnLink(owner: Interface, address: IpAddress): boolean {
    return this.#addresses
      .of(owner)
      .some((entry) => entry.address.isIpv4 && entry.prefix.contains(address));
  }

  /** An address of the same network, or any of the interface. */
  #sourceFor(owner: Interface, target: IpAddress): IpAddress | undefined {
    const usable = this.#addresses
      .of(owner)
      .filter((entry) => entry.address.isIpv4 && entry.isUsable);
    return (usable.find((entry) => entry.prefix.contains(target)) ?? usable[0])?.address;
  }

  #send(owner: Interface, to: MacAddress, message: ArpMessage): void {
    const { pool } = this.#core;
    const slot = pool.take();
    if (slot < 0) return;
    const at = pool.start[slot]!;
    const { octets } = pool;
    octets.set(to, at);
    octets.set(message.senderMac, at + MAC_OCTETS);
    writeU16(octets, at + 2 * MAC_OCTETS, ETHER_TYPE.arp);
    const body = at + ETHERNET_HEADER_OCTETS;
    emitArp(message, octets.subarray(body, body + ARP_OCTETS));
    pool.length[slot] = ETHERNET_HEADER_OCTETS + ARP_OCTETS;
    owner.transmit(slot);
  }
}

function isSame(a: MacAddress, b: MacAddress): boolean {
  for (let i = 0; i < MAC_OCTETS; i++) if (a[i] !== b[i]) return false;
  return true;
}
