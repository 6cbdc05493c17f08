/**
 * A stack: interfaces, addresses, routes, protocols, sockets, put together. Frames and the time go
 * in, frames go out, and `poll` says when it wants to be called again; nothing else moves it.
 */
import { type Clock, ERRNO, OFFLOAD, V2Error } from "../base/index.ts";
import { IpAddress, IpPrefix } from "./address.ts";
import { AddressBook, type AddressSettings, InterfaceAddress } from "./addresses.ts";
import { Arena, type ArenaOptions } from "./arena.ts";
import { StackCore } from "./core.ts";
import { GroupBook } from "./groups.ts";
import { Interface, type Link } from "./interface.ts";
import { PacketForwarder } from "./ip/forward.ts";
import { Icmp } from "./ip/icmp.ts";
import { IcmpErrors } from "./ip/icmp-errors.ts";
import { Ip } from "./ip/ip.ts";
import { readPacketHeader } from "./ip/packet-header.ts";
import { PathMtus } from "./ip/path-mtu.ts";
import { type Route, RoutingTable } from "./routes.ts";
import { Ways } from "./ip/ways.ts";
import type { Limits } from "./limits.ts";
import { LoopbackLink } from "./loopback.ts";
import { Arp } from "./neighbour/arp.ts";
import { LinkLayer } from "./neighbour/link-layer.ts";
import { NeighbourDiscovery } from "./neighbour/discovery.ts";
import { NeighbourTable } from "./neighbour/table.ts";
import { Packet, type PacketError } from "./packet.ts";
import { Raw } from "./raw.ts";
import { Tcp } from "./tcp/tcp.ts";
import { Udp } from "./udp.ts";

export interface StackOptions {
  /** At least 16 octets that nobody can guess; the same secret and inputs give the same run. */
  readonly secret: Uint8Array;
  /** Where the clock stands (0). */
  readonly nowMs?: number;
  /** Read by calls of sockets; the times given to `input` and `poll` are of the same clock. */
  readonly clock?: Clock;
  /** Shared with other stacks, or its size; default: one of its own. */
  readonly arena?: Arena | ArenaOptions;
  readonly limits?: Partial<Limits>;
  /** Packets for others are forwarded (false). */
  readonly forwarding?: boolean;
}

/** Names of interfaces by kind: the ones LWIPv6 has always given. */
export type InterfacePrefix = "vd" | "tp" | "tn" | "sl" | "lo";

/** Loopback packets taken in one step at most, so that two sockets cannot keep a step for ever. */
const LOOPBACK_ROUNDS = 256;
const BATCH = 64;

/** One host: interfaces, addresses, routes, sockets; see the head of this file. */
export class Stack {
  readonly core: StackCore;
  readonly addresses: AddressBook;
  readonly routes: RoutingTable;
  readonly groups: GroupBook;
  readonly neighbours: NeighbourTable;
  readonly discovery: NeighbourDiscovery;
  readonly ip: Ip;
  readonly icmp: Icmp;
  /** What it tells others about their packets. */
  readonly icmpErrors: IcmpErrors;
  readonly tcp: Tcp;
  readonly udp: Udp;
  readonly raw: Raw;
  /** lo0 */
  readonly loopback: Interface;
  /** Called when something may be ready for somebody: after each step. */
  onStep: (() => void) | undefined;
  readonly #interfaces: Interface[] = [];
  readonly #ways: Ways;
  readonly #link: LinkLayer;
  readonly #arp: Arp;
  readonly #packet: Packet;
  readonly #loopbackLink = new LoopbackLink();
  readonly #looped = new Int32Array(BATCH);
  #nextIndex = 1;

  /** Throws V2Error SECRET or ARENA. */
  constructor(options: StackOptions) {
    const { arena } = options;
    this.core = new StackCore({
      arena: arena instanceof Arena ? arena : new Arena(arena),
      secret: options.secret,
      nowMs: options.nowMs ?? options.clock?.nowMs() ?? 0,
      clock: options.clock,
      ...(options.limits === undefined ? {} : { limits: options.limits }),
    });
    const { core } = this;
    const { limits } = core;
    this.addresses = new AddressBook(limits.addressesPerInterface);
    this.routes = new RoutingTable(limits.routes);
    this.groups = new GroupBook(limits.groupsPerInterface);
    this.loopback = this.#addLoopback();
    this.#packet = new Packet(this.loopback);
    this.#arp = new Arp(core, this.addresses);
    this.discovery = new NeighbourDiscovery(core, this.addresses, this.groups, this.routes);
    this.neighbours = new NeighbourTable(core, this.#arp, this.discovery);
    this.#arp.table = this.neighbours;
    this.discovery.table = this.neighbours;
    this.#link = new LinkLayer(core, this.neighbours, this.#arp);
    const mtus = new PathMtus(core);
    this.#ways = new Ways(this.addresses, this.routes, mtus, this.#link, this.#interfaces);
    const scratch = new Packet(this.loopback);
    const { addresses, groups } = this;
    const parts = { ways: this.#ways, link: this.#link, addresses, groups, scratch };
    this.ip = new Ip(core, parts);
    this.icmp = new Icmp(core, this.ip, mtus);
    this.icmpErrors = new IcmpErrors(core, this.ip, addresses);
    this.icmp.onNeighbourMessage = (packet, type) => this.discovery.input(packet, type);
    this.#wireErrors(scratch);
    this.tcp = new Tcp(core, this.ip, this.icmp);
    this.udp = new Udp(core, this.ip, this.icmpErrors, groups, this.#interfaces);
    this.raw = new Raw(core, this.ip);
    this.udp.onTooBig = (error) => this.#narrow(error);
    this.ip.onReport = (error) => {
      const isTooBig = error.kind === "packet-too-big";
      if (isTooBig && this.raw.hasSent(error.protocol, error.source)) this.#narrow(error);
    };
    this.ip.isWanted = ({ protocol, isIpv4 }) => this.raw.has(protocol, isIpv4);
    this.ip.onDeliver = (packet) => this.raw.deliver(packet);
    core.onSettle = () => this.#settle();
    this.setForwarding(options.forwarding ?? false);
    this.#setUpLoopback();
  }

  /** All interfaces, lo0 first. */
  get interfaces(): readonly Interface[] {
    return this.#interfaces;
  }

  /** By name or index. */
  interface(key: string | number): Interface | undefined {
    return this.#interfaces.find((one) => one.name === key || one.index === key);
  }

  /**
   * A new interface, which is down.
   * @param name or the prefix of one: "vd" gives vd0, vd1 …
   * @throws V2Error INTERFACE_NAME for a name in use, INTERFACE_MTU below 68 octets.
   */
  addInterface(link: Link, name: string): Interface {
    const full = /\d$/.test(name) ? name : this.#freeName(name);
    if (this.interface(full) !== undefined) {
      throw new V2Error("INTERFACE_NAME", `the stack has an interface ${full}`, {
        remedy: "Choose another name.",
      });
    }
    if (link.mtuOctets < 68) {
      throw new V2Error("INTERFACE_MTU", `${full}: an MTU of ${link.mtuOctets} octets`, {
        remedy: "At least 68 octets (RFC 791).",
      });
    }
    const { pool, limits } = this.core;
    const made = new Interface(full, this.#nextIndex++, link, pool, limits.packetsPerInterface);
    this.#interfaces.push(made);
    this.#ways.interfaceChanged();
    return made;
  }

  /** Takes an interface out, with its addresses, routes and neighbours. */
  removeInterface(owner: Interface): void {
    this.setDown(owner);
    for (const entry of this.addresses.of(owner)) this.deleteAddress(entry);
    this.routes.remove((route) => route.interface === owner);
    this.groups.forget(owner);
    this.ip.reassembler.forget(owner);
    const at = this.#interfaces.indexOf(owner);
    if (at > 0) this.#interfaces.splice(at, 1);
    this.#ways.interfaceChanged();
  }

  /** Frames may go in and out. */
  setUp(owner: Interface): void {
    if (owner.isUp) return;
    owner.isUp = true;
    this.#ways.interfaceChanged();
    this.discovery.interfaceUp(owner);
    this.flush();
  }

  setDown(owner: Interface): void {
    if (!owner.isUp) return;
    this.discovery.interfaceDown(owner);
    owner.isUp = false;
    owner.clear();
    this.neighbours.clear(owner);
    this.#ways.interfaceChanged();
  }

  /** Longest packet of an interface, at most its link's; IPv6 needs 1280. @returns 0 or -EINVAL. */
  setMtu(owner: Interface, mtuOctets: number): number {
    if (mtuOctets < 68 || mtuOctets > owner.link.mtuOctets) return -ERRNO.EINVAL;
    owner.mtuOctets = mtuOctets;
    this.#ways.interfaceChanged();
    return 0;
  }

  /**
   * Gives an interface an address, and the route to its network.
   * @param familyBits length of the network's prefix: 0 … 32 or 0 … 128.
   * @returns 0 or a negative errno: -EEXIST, -EINVAL, -ENOBUFS.
   */
  addAddress(
    owner: Interface,
    address: IpAddress,
    familyBits: number,
    settings: Partial<AddressSettings> = {},
  ): number {
    const most = address.isIpv4 ? 32 : 128;
    if (!(familyBits >= 0 && familyBits <= most) || address.isMulticast || address.isUnspecified) {
      return -ERRNO.EINVAL;
    }
    const lengthBits = address.isIpv4 ? 96 + familyBits : familyBits;
    const entry = new InterfaceAddress(owner, address, lengthBits, settings);
    const result = this.addresses.add(entry);
    if (result < 0) return result;
    const prefix = new IpPrefix(address, lengthBits);
    if (familyBits < most && (settings.origin ?? "manual") !== "temporary") {
      this.routes.add({ prefix, interface: owner, metric: KERNEL_METRIC, origin: "kernel" });
    }
    this.discovery.addressAdded(entry);
    if (address.isIpv4 && owner.isUp && owner.link.kind === "ethernet" && entry.isUsable) {
      this.#arp.announce(entry);
    }
    this.flush();
    return 0;
  }

  /** Takes an address away, and the route to its network if no other address needs it. */
  deleteAddress(entry: InterfaceAddress): void {
    if (!this.addresses.remove(entry)) return;
    this.discovery.addressRemoved(entry);
    const owner = entry.interface;
    const isShared = this.addresses
      .of(owner)
      .some((other) => other.prefix.toString() === entry.prefix.toString());
    if (isShared) return;
    this.routes.remove(
      (route) =>
        route.origin === "kernel" &&
        route.interface === owner &&
        route.prefix.lengthBits === entry.prefix.lengthBits &&
        route.prefix.address.equals(entry.prefix.address),
    );
  }

  /** @returns 0, -EEXIST, -ENOBUFS; -ENETUNREACH when the gateway is on no link of ours. */
  addRoute(route: Omit<Route, "interface"> & { readonly interface?: Interface }): number {
    const owner = route.interface ?? this.#interfaceFor(route.gateway);
    if (owner === undefined) return -ERRNO.ENETUNREACH;
    return this.routes.add({ ...route, interface: owner });
  }

  /** Packets for others are forwarded from now on, or dropped. */
  setForwarding(isOn: boolean): void {
    this.ip.forwarder = isOn ? new PacketForwarder(this.core, this.ip, this.#ways) : undefined;
    this.discovery.isRouter = isOn;
  }

  get isForwarding(): boolean {
    return this.ip.forwarder !== undefined;
  }

  /**
   * Frames came in on an interface: `slots[0 … count)` of the stack's pool, which are the stack's
   * from now on. Never throws for what is in them.
   */
  input(owner: Interface, slots: Int32Array, count: number, nowMs: number): void {
    const { core } = this;
    core.nowMs = nowMs;
    core.isInStep = true;
    for (let i = 0; i < count; i++) this.#frame(owner, slots[i]!);
    this.#endStep();
  }

  /** Lets everything happen that is due. @returns when to call again; Infinity: never. */
  poll(nowMs: number): number {
    const { core } = this;
    core.nowMs = nowMs;
    core.isInStep = true;
    core.timers.advance(nowMs);
    this.#endStep();
    return core.timers.nextMs();
  }

  /** A link that took less than it was given takes more now. */
  writable(owner: Interface): void {
    owner.flush();
    if (owner.room === 0) return;
    this.core.isInStep = true;
    this.tcp.linkWritable(owner);
    this.#endStep();
  }

  /** Sends the whole IP packet in `slot` to a group or to everybody on a link, past the routes. */
  sendToGroup(slot: number, owner: Interface, target: IpAddress): void {
    this.#link.send(slot, owner, undefined, target);
    this.flush();
  }

  /** Sends what waits, and takes in what was sent to ourselves. */
  flush(): void {
    this.core.settle();
  }

  /** Something waits that was left for the next step: poll again at once. */
  get hasBacklog(): boolean {
    return this.#loopbackLink.waiting > 0;
  }

  /** What a user's call has caused. */
  #settle(): void {
    this.core.isInStep = true;
    this.#endStep();
  }

  #endStep(): void {
    const { core, tcp } = this;
    for (let round = 0; round < LOOPBACK_ROUNDS; round++) {
      tcp.endBatch();
      this.udp.endBatch();
      this.raw.endBatch();
      for (const one of this.#interfaces) if (one.waiting > 0) one.flush();
      const count = this.#loopbackLink.take(this.#looped);
      for (let i = 0; i < count; i++) this.#frame(this.loopback, this.#looped[i]!);
      if (count === 0 && !tcp.unblock()) break;
    }
    core.isInStep = false;
    this.onStep?.();
  }

  #frame(owner: Interface, slot: number): void {
    const { pool } = this.core;
    const packet = this.#packet;
    const { counters } = owner;
    counters.inFrames++;
    counters.inOctets += pool.length[slot]!;
    if (owner.isUp) {
      const offload = pool.offload[slot]!;
      packet.slot = slot;
      packet.interface = owner;
      packet.isChecksumKnown = offload !== OFFLOAD.none;
      packet.segmentOctets = offload > OFFLOAD.checksum ? pool.segmentOctets[slot]! : 0;
      const kind = this.#link.input(packet);
      if (kind === "ipv4") this.ip.input4(packet);
      else if (kind === "ipv6") this.ip.input6(packet);
    } else counters.inDropped++;
    pool.release(slot);
  }

  #addLoopback(): Interface {
    const { pool, limits } = this.core;
    const index = this.#nextIndex++;
    const link = this.#loopbackLink;
    const made = new Interface("lo0", index, link, pool, limits.packetsPerInterface);
    this.#interfaces.push(made);
    return made;
  }

  #setUpLoopback(): void {
    this.loopback.isUp = true;
    this.addAddress(this.loopback, IpAddress.parse("127.0.0.1"), 8);
    this.addAddress(this.loopback, IpAddress.parse("::1"), 128);
  }

  /** Packets that waited for a neighbour in vain, and fragments whose rest never came. */
  #wireErrors(scratch: Packet): void {
    const { pool } = this.core;
    this.neighbours.onUndeliverable = (slot, neighbour) => {
      readPacketHeader(pool, slot, neighbour.interface, scratch);
      this.icmpErrors.hostUnreachable(scratch);
      pool.release(slot);
    };
    this.ip.reassembler.onTimeout = (slot, owner) => {
      readPacketHeader(pool, slot, owner, scratch);
      this.icmpErrors.reassemblyTimeout(scratch);
    };
    const looped = new Packet(this.loopback);
    this.ip.onLoop = (slot, owner) => {
      const packet = looped;
      readPacketHeader(pool, slot, owner, packet);
      packet.isLinkGroup = true;
      if (packet.isIpv4) this.ip.input4(packet);
      else this.ip.input6(packet);
      pool.release(slot);
    };
    this.#arp.onConflict = (entry) => this.discovery.conflict(entry);
    this.discovery.onProbe4 = (entry) => this.#arp.probe(entry);
    this.discovery.onAnnounce4 = (entry) => this.#arp.announce(entry);
    this.discovery.onExpired = (entry) => this.deleteAddress(entry);
    this.discovery.onAutoconfigured = (owner, address, bits, settings) =>
      this.addAddress(owner, address, bits, settings);
  }

  /** What is known of the path is in no datagram: whoever sent one asks again. */
  #narrow({ source, target, mtuOctets }: PacketError): void {
    const way = this.ip.wayTo(target, source, 0);
    if (typeof way !== "number") this.icmp.reducePathMtu(target, mtuOctets, way.mtuOctets);
  }

  #interfaceFor(gateway: IpAddress | undefined): Interface | undefined {
    if (gateway === undefined) return undefined;
    return this.addresses.all.find(
      (entry) => entry.interface !== this.loopback && entry.prefix.contains(gateway),
    )?.interface;
  }

  #freeName(prefix: string): string {
    for (let number = 0; ; number++) {
      const name = `${prefix}${number}`;
      if (this.interface(name) === undefined) return name;
    }
  }
}

/** Metric of routes that follow from addresses, as Linux gives IPv6 ones. */
const KERNEL_METRIC = 256;
