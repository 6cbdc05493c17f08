/**
 * From a target to a Destination: which interface, which next hop, which source, how long a packet
 * may be (RFC 1122 §3.3.1, RFC 4861 §5.2).
 */
import { ERRNO } from "../../base/index.ts";
import { ANY_IPV4, type IpAddress } from "../address.ts";
import type { AddressBook, InterfaceAddress } from "../addresses.ts";
import { Destination, type NextHop } from "../destination.ts";
import type { Interface } from "../interface.ts";
import type { LinkLayer } from "../neighbour/link-layer.ts";
import type { PathMtus } from "./path-mtu.ts";
import type { Route, RoutingTable } from "../routes.ts";
import { selectSource } from "./source-selection.ts";

const LIMITED_BROADCAST = -1;
const IPV6_MTU_OCTETS_MIN = 1280;

/** Everything that decides about ways. */
export class Ways {
  readonly #addresses: AddressBook;
  readonly #routes: RoutingTable;
  readonly #mtus: PathMtus;
  readonly #link: LinkLayer;
  readonly #interfaces: readonly Interface[];
  #interfaceGeneration = 0;

  /** @param interfaces of the stack; the list grows and shrinks. */
  constructor(
    addresses: AddressBook,
    routes: RoutingTable,
    mtus: PathMtus,
    link: LinkLayer,
    interfaces: readonly Interface[],
  ) {
    this.#addresses = addresses;
    this.#routes = routes;
    this.#mtus = mtus;
    this.#link = link;
    this.#interfaces = interfaces;
  }

  /** Changes whenever an answer given earlier may be wrong. */
  get generation(): number {
    return (
      this.#addresses.generation +
      this.#routes.generation +
      this.#mtus.generation +
      this.#interfaceGeneration
    );
  }

  /** An interface came, went, or changed. */
  interfaceChanged(): void {
    this.#interfaceGeneration++;
  }

  /** See `IpSender.wayTo`. */
  to(target: IpAddress, source: IpAddress | undefined, index: number): Destination | number {
    if (source !== undefined && !source.isUnspecified && !this.isOurs(source)) {
      return -ERRNO.EADDRNOTAVAIL;
    }
    const given = source?.isUnspecified === true ? undefined : source;
    const local = this.#local(target, index);
    if (local !== undefined) {
      return this.#make(target, given ?? target, local, undefined, local.mtuOctets);
    }
    if (target.isUnspecified) return -ERRNO.ENETUNREACH;
    if (target.isMulticast || this.isBroadcast(target)) {
      return this.#toGroup(target, given, index);
    }
    const route = this.#routes.lookUp(
      target,
      (candidate) =>
        carries(candidate.interface, target) && this.#isUsable(candidate, index, given),
    );
    if (route === undefined) return -ERRNO.ENETUNREACH;
    return this.#byRoute(target, given, route);
  }

  /** The way of a packet of somebody else; undefined: none leads out of here. */
  onward(target: IpAddress): Destination | undefined {
    const route = this.#routes.lookUp(target, ({ interface: link }) => {
      return link.isUp && link.link.kind !== "loopback" && carries(link, target);
    });
    if (route === undefined) return undefined;
    const outgoing = route.interface;
    const hop = this.#link.hopTo(route.gateway ?? target, outgoing);
    // Routers do not keep path MTUs of others (RFC 1191 §3): the link's counts.
    const mtu = Math.min(outgoing.mtuOctets, route.mtuOctets ?? outgoing.mtuOctets);
    return this.#make(target, target, outgoing, hop, mtu);
  }

  /** 255.255.255.255 or the directed broadcast of a network of ours. */
  isBroadcast(target: IpAddress): boolean {
    if (!target.isIpv4) return false;
    if (target.w3 === LIMITED_BROADCAST) return true;
    return this.#addresses.all.some((entry) => entry.broadcast?.w3 === target.w3);
  }

  /** The best source for a packet to `target` that leaves by `outgoing`. */
  sourceFor(target: IpAddress, outgoing: Interface): InterfaceAddress | undefined {
    const usable = this.#addresses.all.filter((entry) => entry.isUsable);
    return selectSource(target, usable, outgoing);
  }

  #byRoute(target: IpAddress, given: IpAddress | undefined, route: Route): Destination | number {
    const outgoing = route.interface;
    const source = given ?? route.source ?? this.sourceFor(target, outgoing)?.address;
    if (source === undefined) return -ERRNO.EADDRNOTAVAIL;
    const hop = this.#link.hopTo(route.gateway ?? target, outgoing);
    const linkMtu = Math.min(outgoing.mtuOctets, route.mtuOctets ?? outgoing.mtuOctets);
    const mtu = Math.min(linkMtu, this.#mtus.of(target) ?? linkMtu);
    return this.#make(target, source, outgoing, hop, mtu);
  }

  /** A group or broadcast: on the interface given, of the source, of a route, or the first one. */
  #toGroup(target: IpAddress, given: IpAddress | undefined, index: number): Destination | number {
    const isUsable = (link: Interface): boolean =>
      link.isUp && (index === 0 || link.index === index) && carries(link, target);
    const owner = given === undefined ? undefined : this.#addresses.find(given)?.interface;
    const directed = this.#addresses.all.find((entry) => entry.broadcast?.w3 === target.w3);
    const outgoing =
      this.#interfaces.find((link) => index !== 0 && isUsable(link)) ??
      (directed !== undefined && target.isIpv4 ? directed.interface : undefined) ??
      (owner?.isUp === true ? owner : undefined) ??
      this.#routes.lookUp(target, (route) => isUsable(route.interface))?.interface ??
      this.#interfaces.find((link) => isUsable(link) && link.link.kind !== "loopback");
    if (outgoing === undefined || !isUsable(outgoing)) return -ERRNO.ENETUNREACH;
    // RFC 1122 §3.2.1.3: who has no address yet may ask everybody for one.
    const nobody = target.w3 === LIMITED_BROADCAST && index !== 0 ? ANY_IPV4 : undefined;
    const source = given ?? this.sourceFor(target, outgoing)?.address ?? nobody;
    if (source === undefined) return -ERRNO.EADDRNOTAVAIL;
    return this.#make(target, source, outgoing, undefined, outgoing.mtuOctets);
  }

  /** The loopback interface, when the target is this host. */
  #local(target: IpAddress, index: number): Interface | undefined {
    const loopback = this.#interfaces.find((link) => link.link.kind === "loopback" && link.isUp);
    if (loopback === undefined) return undefined;
    if (target.isLoopback && !target.isUnspecified) return loopback;
    const scope = this.#interfaces.find((link) => link.index === index);
    const entry = this.#addresses.find(target, target.isLinkLocal && scope ? scope : undefined);
    return entry?.isUsable === true ? loopback : undefined;
  }

  /** Packets may come from the address. */
  isOurs(address: IpAddress): boolean {
    if (address.isLoopback) return true;
    return this.#addresses.all.some((entry) => entry.isUsable && entry.address.equals(address));
  }

  #isUsable(route: Route, index: number, source: IpAddress | undefined): boolean {
    if (!route.interface.isUp) return false;
    if (index !== 0) return route.interface.index === index;
    // A link-local source says which link is meant (RFC 4007 §6).
    if (source?.isLinkLocal !== true || source.isIpv4) return true;
    return this.#addresses.find(source, route.interface) !== undefined;
  }

  #make(
    target: IpAddress,
    source: IpAddress,
    outgoing: Interface,
    nextHop: NextHop | undefined,
    mtuOctets: number,
  ): Destination {
    const isLocal = outgoing.link.kind === "loopback";
    const isGroup = !isLocal && (target.isMulticast || this.isBroadcast(target));
    return new Destination({
      source,
      target,
      interface: outgoing,
      nextHop,
      isLocal,
      isGroup,
      mtuOctets,
      generation: this.generation,
    });
  }
}

/** RFC 8200 §5: a link for IPv6 carries 1280 octets, others do not carry IPv6. */
function carries(link: Interface, target: IpAddress): boolean {
  return target.isIpv4 || link.mtuOctets >= IPV6_MTU_OCTETS_MIN;
}
