/**
 * Neighbour Discovery of hosts, RFC 4861: questions and answers about neighbours, and which message
 * may be believed. Duplicate detection and autoconfiguration have files of their own.
 */
import {
  type Icmp6,
  ICMP6_TYPE,
  Icmp6View,
  ND_HOP_LIMIT,
  type NdOption,
  parseIcmp6,
} from "../../wire/index.ts";
import { IpAddress } from "../address.ts";
import type { AddressBook, AddressSettings, InterfaceAddress } from "../addresses.ts";
import type { StackCore } from "../core.ts";
import type { GroupBook } from "../groups.ts";
import type { Interface } from "../interface.ts";
import type { RoutingTable } from "../routes.ts";
import type { Packet } from "../packet.ts";
import { Autoconfiguration } from "./autoconfiguration.ts";
import { DuplicateDetection } from "./duplicate-detection.ts";
import { ALL_NODES, sendNd, solicitedGroup } from "./nd-output.ts";
import type { Neighbour } from "./neighbour.ts";
import type { NeighbourTable, Solicitor } from "./table.ts";

type Solicitation = Extract<Icmp6, { kind: "neighbor-solicitation" }>;
type Advertisement = Extract<Icmp6, { kind: "neighbor-advertisement" }>;

export class NeighbourDiscovery implements Solicitor {
  /** Set once the table is made. */
  table: NeighbourTable | undefined;
  /** This host forwards: it says so, and does not listen to routers (RFC 4861 §6.2). */
  isRouter = false;
  onProbe4: ((entry: InterfaceAddress) => void) | undefined;
  onAnnounce4: ((entry: InterfaceAddress) => void) | undefined;
  onExpired: ((entry: InterfaceAddress) => void) | undefined;
  onAutoconfigured:
    | ((
        owner: Interface,
        address: IpAddress,
        bits: number,
        settings: Partial<AddressSettings>,
      ) => number)
    | undefined;
  readonly autoconfiguration: Autoconfiguration;
  readonly #core: StackCore;
  readonly #addresses: AddressBook;
  readonly #groups: GroupBook;
  readonly #duplicates: DuplicateDetection;

  constructor(core: StackCore, addresses: AddressBook, groups: GroupBook, routes: RoutingTable) {
    this.#core = core;
    this.#addresses = addresses;
    this.#groups = groups;
    this.#duplicates = new DuplicateDetection(core, addresses, {
      solicit: (entry, nonce) => this.#askForDuplicate(entry, nonce),
      probe4: (entry) => this.onProbe4?.(entry),
      unique: (entry) => this.#unique(entry),
      duplicate: (entry) => this.autoconfiguration.duplicate(entry),
    });
    this.autoconfiguration = new Autoconfiguration(core, addresses, routes, {
      addAddress: (owner, address, bits, settings) =>
        this.onAutoconfigured?.(owner, address, bits, settings) ?? 0,
      expired: (entry) => this.onExpired?.(entry),
      hear: (address, owner, mac) => this.table?.hear(address, owner, mac, true),
      times: (owner) => this.table!.timesOf(owner),
      spread: (ms) => this.table!.spread(ms),
    });
  }

  /** Link-local addresses are made, routers asked, if the interface wants it. */
  interfaceUp(owner: Interface): void {
    for (const entry of this.#addresses.of(owner)) this.addressAdded(entry);
    this.autoconfiguration.interfaceUp(owner);
  }

  interfaceDown(owner: Interface): void {
    this.#duplicates.interfaceDown(owner);
    this.autoconfiguration.interfaceDown(owner);
  }

  /** Joins the address' group, and looks whether somebody else has it when it is tentative. */
  addressAdded(entry: InterfaceAddress): void {
    const { interface: owner, address } = entry;
    if (!address.isIpv4 && !address.isLoopback && !this.#listens(entry)) {
      this.#groups.join(owner, solicitedGroup(address));
      this.#listening.add(entry);
    }
    if (entry.state === "tentative" && owner.isUp) this.#duplicates.begin(entry);
    this.autoconfiguration.addressAdded(entry);
  }

  addressRemoved(entry: InterfaceAddress): void {
    this.#duplicates.end(entry);
    this.autoconfiguration.addressRemoved(entry);
    if (this.#listening.delete(entry)) {
      this.#groups.leave(entry.interface, solicitedGroup(entry.address));
    }
  }

  /** Somebody else has an address of ours, as ARP found. */
  conflict(entry: InterfaceAddress): void {
    this.#duplicates.duplicate(entry);
  }

  readonly #listening = new Set<InterfaceAddress>();

  #listens(entry: InterfaceAddress): boolean {
    return this.#listening.has(entry);
  }

  solicit(neighbour: Neighbour, isUnicast: boolean): void {
    const { interface: owner, address } = neighbour;
    const source = this.#sourceFor(owner, address);
    if (source === undefined) return;
    const target = isUnicast ? address : solicitedGroup(address);
    const way = isUnicast ? { source, target, mac: neighbour.mac.slice() } : { source, target };
    const options: NdOption[] = [{ kind: "source-mac", mac: owner.link.mac! }];
    const message = { kind: "neighbor-solicitation", target: address.toOctets(), options } as const;
    sendNd(this.#core, owner, way, message);
  }

  /** An ICMPv6 message of types 130 to 143 whose checksum is right. */
  input(packet: Packet, type: number): void {
    const { pool, counters } = this.#core;
    const isNd = type >= ICMP6_TYPE.routerSolicitation && type <= ICMP6_TYPE.redirect;
    if (!isNd) return;
    // RFC 4861 §6.1, §7.1; RFC 6980: never in fragments.
    if (packet.hopLimit !== ND_HOP_LIMIT || packet.wasFragmented) {
      counters.count("nd.not-of-this-link");
      return;
    }
    const view = Icmp6View.over(pool.octets.subarray(packet.transportAt, packet.end));
    const source = packet.source();
    const target = packet.target();
    const addresses = { source: source.toOctets(), target: target.toOctets() };
    const message = view === undefined ? undefined : parseIcmp6(view, addresses);
    if (message === undefined) {
      counters.count("nd.malformed");
      return;
    }
    switch (message.kind) {
      case "neighbor-solicitation":
        this.#solicited(packet, source, message);
        break;
      case "neighbor-advertisement":
        this.#advertised(packet, message);
        break;
      case "router-advertisement":
        if (!this.isRouter) this.autoconfiguration.advertised(packet.interface, source, message);
        break;
      default:
        break;
    }
  }

  /** RFC 4861 §7.1.1 and §7.2.3. */
  #solicited(packet: Packet, source: IpAddress, message: Solicitation): void {
    const { counters } = this.#core;
    const owner = packet.interface;
    const asked = IpAddress.read(message.target, 0, 16);
    const mac = macOption(message.options, "source-mac");
    const isProbe = source.isUnspecified;
    const isToGroup = packet.isGroup && packet.target().equals(solicitedGroup(asked));
    if (asked.isMulticast || (isProbe && (!isToGroup || mac !== undefined))) {
      counters.count("nd.malformed");
      return;
    }
    const entry = this.#addresses.find(asked, owner);
    if (entry === undefined) return;
    if (entry.state === "tentative") {
      // Two hosts that want the same address ask at the same time (RFC 4862 §5.4.3, RFC 7527).
      if (isProbe) this.#duplicates.heard(entry, nonceOf(message.options));
      return;
    }
    if (!entry.isUsable) return;
    if (mac !== undefined && !isProbe && (mac[0]! & 1) === 0) this.table!.hear(source, owner, mac);
    this.#answer(packet, source, asked, mac);
  }

  #answer(packet: Packet, source: IpAddress, asked: IpAddress, mac: Uint8Array | undefined): void {
    const owner = packet.interface;
    const isProbe = source.isUnspecified;
    const message: Icmp6 = {
      kind: "neighbor-advertisement",
      target: asked.toOctets(),
      isRouter: this.isRouter,
      isSolicited: !isProbe,
      isOverride: true,
      options: owner.link.mac === undefined ? [] : [{ kind: "target-mac", mac: owner.link.mac }],
    };
    const known = isProbe ? undefined : (mac ?? this.table!.find(source, owner)?.mac.slice());
    if (isProbe || known === undefined) {
      sendNd(this.#core, owner, { source: asked, target: ALL_NODES }, message);
      return;
    }
    sendNd(this.#core, owner, { source: asked, target: source, mac: known }, message);
  }

  /** RFC 4861 §7.1.2 and §7.2.5. */
  #advertised(packet: Packet, message: Advertisement): void {
    const owner = packet.interface;
    const target = IpAddress.read(message.target, 0, 16);
    if (target.isMulticast || (packet.isGroup && message.isSolicited)) {
      this.#core.counters.count("nd.malformed");
      return;
    }
    const ours = this.#addresses.find(target, owner);
    if (ours !== undefined) {
      this.#core.counters.count("nd.conflict");
      if (ours.state === "tentative") this.#duplicates.duplicate(ours);
      return;
    }
    const known = this.table!.find(target, owner);
    // Nobody asked: nothing is learnt (RFC 4861 §7.2.5).
    if (known === undefined) return;
    const mac = macOption(message.options, "target-mac");
    if (mac !== undefined && (mac[0]! & 1) !== 0) return;
    const { isSolicited, isOverride, isRouter } = message;
    this.table!.learn(known, { mac, isSolicited, isOverride, isRouter });
  }

  #askForDuplicate(entry: InterfaceAddress, nonce: Uint8Array): void {
    const { interface: owner, address } = entry;
    const way = { source: new IpAddress(0, 0, 0, 0), target: solicitedGroup(address) };
    sendNd(this.#core, owner, way, {
      kind: "neighbor-solicitation",
      target: address.toOctets(),
      options: [{ kind: "other", octets: nonce }],
    });
  }

  /** Nobody else has it: it is ours, and routers learn of it (RFC 9131). */
  #unique(entry: InterfaceAddress): void {
    const { interface: owner, address } = entry;
    if (address.isIpv4) {
      this.onAnnounce4?.(entry);
      return;
    }
    this.autoconfiguration.addressReady(entry);
    if (address.isLinkLocal || owner.link.mac === undefined) return;
    const way = { source: address, target: ALL_ROUTERS_GROUP };
    sendNd(this.#core, owner, way, {
      kind: "neighbor-advertisement",
      target: address.toOctets(),
      isRouter: this.isRouter,
      isSolicited: false,
      isOverride: false,
      options: [{ kind: "target-mac", mac: owner.link.mac }],
    });
  }

  /** RFC 4861 §7.2.2: the address that the packet comes from would do; any of the link does too. */
  #sourceFor(owner: Interface, target: IpAddress): IpAddress | undefined {
    const usable = this.#addresses
      .of(owner)
      .filter((entry) => !entry.address.isIpv4 && entry.isUsable);
    const best =
      usable.find((entry) => entry.address.isLinkLocal === target.isLinkLocal) ?? usable[0];
    return best?.address;
  }
}

const ALL_ROUTERS_GROUP = IpAddress.parse("ff02::2");
/** RFC 3971 §5.3.2, used by RFC 7527. */
const NONCE_TYPE = 14;

function macOption(
  options: readonly NdOption[],
  kind: "source-mac" | "target-mac",
): Uint8Array | undefined {
  for (const option of options) if (option.kind === kind) return option.mac;
  return undefined;
}

function nonceOf(options: readonly NdOption[]): Uint8Array | undefined {
  for (const option of options) {
    if (option.kind === "other" && option.octets[0] === NONCE_TYPE) return option.octets;
  }
  return undefined;
}
