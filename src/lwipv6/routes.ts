/**
 * The routing table: of all routes whose prefix contains the target, the longest prefix decides,
 * then the smallest metric, then the older route (RFC 1812 §5.2.4.3).
 */
import { ERRNO } from "../base/index.ts";
import type { IpAddress, IpPrefix } from "./address.ts";
import type { Interface } from "./interface.ts";

/** rtnetlink(7): who made a route. */
export type RouteOrigin = "kernel" | "static" | "ra" | "dhcp" | "redirect";

export interface Route {
  readonly prefix: IpPrefix;
  readonly interface: Interface;
  /** undefined: the target is on the link. */
  readonly gateway?: IpAddress | undefined;
  /** Less is better. */
  readonly metric: number;
  readonly origin: RouteOrigin;
  /** Source for whoever has none (RFC 6724 leaves it to the route). */
  readonly source?: IpAddress | undefined;
  /** Of a router advertisement; Infinity: for ever. */
  readonly untilMs?: number | undefined;
  /** RFC 1191: of the path behind it, when less than the link's. */
  readonly mtuOctets?: number | undefined;
}

/** All routes, the longest prefix first. */
export class RoutingTable {
  /** Changes with every route that comes or goes. */
  generation = 0;
  readonly #routes: Route[] = [];
  readonly #limit: number;
  readonly #listeners: ((route: Route, isGone: boolean) => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  get all(): readonly Route[] {
    return this.#routes;
  }

  onChange(listener: (route: Route, isGone: boolean) => void): void {
    this.#listeners.push(listener);
  }

  /** @returns 0, -EEXIST for the same prefix, gateway, interface and metric, -ENOBUFS when full. */
  add(route: Route): number {
    if (this.find(route) !== undefined) return -ERRNO.EEXIST;
    if (this.#routes.length >= this.#limit) return -ERRNO.ENOBUFS;
    let at = 0;
    while (at < this.#routes.length && !isBetter(route, this.#routes[at]!)) at++;
    this.#routes.splice(at, 0, route);
    this.#changed(route, false);
    return 0;
  }

  /** The route that says the same. */
  find(like: Route): Route | undefined {
    return this.#routes.find(
      (route) =>
        route.prefix.lengthBits === like.prefix.lengthBits &&
        route.prefix.address.equals(like.prefix.address) &&
        route.interface === like.interface &&
        route.metric === like.metric &&
        isSameGateway(route.gateway, like.gateway),
    );
  }

  /** Removes every route for which `isMeant`. @returns how many. */
  remove(isMeant: (route: Route) => boolean): number {
    let removed = 0;
    for (let at = this.#routes.length - 1; at >= 0; at--) {
      const route = this.#routes[at]!;
      if (!isMeant(route)) continue;
      this.#routes.splice(at, 1);
      this.#changed(route, true);
      removed++;
    }
    return removed;
  }

  /**
   * The best route to a target.
   * @param isUsable says which routes count: those of interfaces that are up, or of one interface.
   */
  lookUp(target: IpAddress, isUsable: (route: Route) => boolean): Route | undefined {
    return this.#routes.find((route) => route.prefix.contains(target) && isUsable(route));
  }

  #changed(route: Route, isGone: boolean): void {
    this.generation++;
    for (const listener of this.#listeners) listener(route, isGone);
  }
}

/** The one stands before the other: equal ones keep their order. */
function isBetter(a: Route, b: Route): boolean {
  if (a.prefix.lengthBits !== b.prefix.lengthBits) {
    return a.prefix.lengthBits > b.prefix.lengthBits;
  }
  return a.metric < b.metric;
}

function isSameGateway(a: IpAddress | undefined, b: IpAddress | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b);
}
