/**
 * Addresses and routers from router advertisements: RFC 4861 §6.3, RFC 4862 §5.5, RFC 7217,
 * RFC 8981, RFC 4191, RFC 8106. Everything has a limit and a lifetime.
 */
import { type Icmp6, LIFETIME_INFINITE, type NdOption } from "../../wire/index.ts";
import { type MacAddress, readU32 } from "../../base/index.ts";
import { IpAddress, IpPrefix } from "../address.ts";
import type { AddressBook, AddressSettings, InterfaceAddress } from "../addresses.ts";
import type { StackCore } from "../core.ts";
import type { Interface } from "../interface.ts";
import type { RoutingTable } from "../routes.ts";
import { Timer } from "../timer-wheel.ts";
import { InterfaceIds } from "./interface-id.ts";
import { ALL_ROUTERS, sendNd } from "./nd-output.ts";
import type { NeighbourTimes } from "./table.ts";

type Advertisement = Extract<Icmp6, { kind: "router-advertisement" }>;
type PrefixOption = Extract<NdOption, { kind: "prefix" }>;

/** RFC 4861 §10; RFC 7559: asked for ever, ever more rarely. */
const SOLICITATION_MS = 4000;
const SOLICITATION_MAX_MS = 3_600_000;
const SOLICITATION_DELAY_MS = 1000;
/** RFC 4862 §5.5.3 (e): a lifetime is not shortened below two hours by somebody unknown. */
const TWO_HOURS_MS = 7_200_000;
/** RFC 8981 §3.8. */
const TEMPORARY_VALID_MS = 2 * 86_400_000;
const TEMPORARY_PREFERRED_MS = 86_400_000;
const REGENERATE_ADVANCE_MS = 5000;
/** RFC 7217 §6: IDGEN_RETRIES. */
const RETRIES = 3;
/** Networks, routers and servers of one interface at most (RFC 6104, RFC 4861 §11). */
const PREFIXES_MAX = 16;
const ROUTERS_MAX = 8;
const SERVERS_MAX = 8;
/** Metrics of routes, by preference (RFC 4191 §2.1): high, medium, low. */
const METRIC = { high: 512, medium: 1024, low: 2048 } as const;
const ROUTE_INFORMATION = 24;
const IID_BITS = 64;

/** How an interface gets its addresses. */
export interface AutoconfigurationSettings {
  /** Router advertisements are listened to, and asked for. */
  readonly isOn: boolean;
  /** Temporary addresses are made too (RFC 8981). */
  readonly temporary: boolean;
}

/** What the machine needs done. */
export interface AutoconfigurationActions {
  addAddress(
    owner: Interface,
    address: IpAddress,
    bits: number,
    settings: Partial<AddressSettings>,
  ): number;
  expired(entry: InterfaceAddress): void;
  /** A router talks. */
  hear(address: IpAddress, owner: Interface, mac: MacAddress): void;
  times(owner: Interface): NeighbourTimes;
  spread(ms: number): number;
}

/** Name servers that routers tell (RFC 8106). */
export interface RouterServers {
  readonly address: IpAddress;
  untilMs: number;
}

interface Network {
  readonly prefix: IpPrefix;
  duplicates: number;
}

interface State {
  settings: AutoconfigurationSettings;
  readonly solicit: Timer;
  waitMs: number;
  readonly networks: Map<string, Network>;
  readonly servers: RouterServers[];
  linkLocalDuplicates: number;
  /** What routers say of hop limits; undefined: nothing. */
  hopLimit: number | undefined;
  isManaged: boolean;
  hasOther: boolean;
}

/** What routers say, of all interfaces of a stack. */
export class Autoconfiguration {
  /** A router was heard for the first time, or its flags changed: DHCPv6 may be wanted. */
  onFlags: ((owner: Interface, isManaged: boolean, hasOther: boolean) => void) | undefined;
  readonly #core: StackCore;
  readonly #addresses: AddressBook;
  readonly #routes: RoutingTable;
  readonly #actions: AutoconfigurationActions;
  readonly #ids: InterfaceIds;
  readonly #states = new Map<Interface, State>();
  /** When addresses and routes of routers end. */
  readonly #sweep = new Timer(() => this.#expire());

  constructor(
    core: StackCore,
    addresses: AddressBook,
    routes: RoutingTable,
    actions: AutoconfigurationActions,
  ) {
    this.#core = core;
    this.#addresses = addresses;
    this.#routes = routes;
    this.#actions = actions;
    this.#ids = new InterfaceIds(core);
  }

  /** Says how an interface is to be configured; takes effect when it is up. */
  configure(owner: Interface, settings: AutoconfigurationSettings): void {
    this.#state(owner).settings = settings;
    if (owner.isUp) this.interfaceUp(owner);
  }

  /** Name servers told by routers of a link. */
  serversOf(owner: Interface): readonly IpAddress[] {
    const servers = this.#states.get(owner)?.servers ?? [];
    return servers.filter((one) => one.untilMs > this.#core.nowMs).map((one) => one.address);
  }

  /** Hop limit that routers of the link recommend. */
  hopLimitOf(owner: Interface): number | undefined {
    return this.#states.get(owner)?.hopLimit;
  }

  interfaceUp(owner: Interface): void {
    const state = this.#states.get(owner);
    if (state?.settings.isOn !== true) return;
    const addresses = this.#addresses.of(owner);
    if (!addresses.some((entry) => entry.address.isLinkLocal && !entry.address.isIpv4)) {
      this.#addLinkLocal(owner, state);
    } else if (addresses.some((entry) => entry.isUsable)) this.#beginAsking(state);
  }

  interfaceDown(owner: Interface): void {
    const state = this.#states.get(owner);
    if (state === undefined) return;
    this.#core.timers.cancel(state.solicit);
    state.networks.clear();
    state.servers.length = 0;
    this.#routes.remove((route) => route.interface === owner && route.origin === "ra");
    for (const entry of this.#addresses.of(owner)) {
      if (entry.origin === "slaac" || entry.origin === "temporary") this.#actions.expired(entry);
    }
  }

  addressAdded(entry: InterfaceAddress): void {
    if (entry.validUntilMs !== Number.POSITIVE_INFINITY) this.#plan();
  }

  addressRemoved(_entry: InterfaceAddress): void {
    this.#plan();
  }

  /** An address turned out to be ours. */
  addressReady(entry: InterfaceAddress): void {
    const state = this.#states.get(entry.interface);
    if (state?.settings.isOn === true && entry.address.isLinkLocal) this.#beginAsking(state);
  }

  /** An address turned out to be somebody else's: another one is made (RFC 7217 §6). */
  duplicate(entry: InterfaceAddress): void {
    const owner = entry.interface;
    const state = this.#states.get(owner);
    if (state === undefined || entry.origin === "manual" || entry.origin === "dhcp") return;
    this.#actions.expired(entry);
    if (entry.origin === "link-local") {
      state.linkLocalDuplicates++;
      if (state.linkLocalDuplicates < RETRIES) this.#addLinkLocal(owner, state);
      return;
    }
    const network = state.networks.get(entry.prefix.toString());
    if (network === undefined) return;
    network.duplicates++;
    if (network.duplicates >= RETRIES) return;
    const { validUntilMs, preferredUntilMs } = entry;
    this.#addFor(owner, network, entry.origin, validUntilMs, preferredUntilMs);
  }

  /** A router advertisement; hop limit and checksum are right. RFC 4861 §6.1.2, §6.3.4. */
  advertised(owner: Interface, source: IpAddress, message: Advertisement): void {
    const state = this.#states.get(owner);
    if (state?.settings.isOn !== true) return;
    if (!source.isLinkLocal) {
      this.#core.counters.count("nd.router-not-local");
      return;
    }
    if (message.lifetimeSeconds > 0) this.#core.timers.cancel(state.solicit);
    if (message.hopLimit > 0) state.hopLimit = message.hopLimit;
    const times = this.#actions.times(owner);
    if (message.reachableMs > 0 && message.reachableMs <= 3_600_000) {
      times.reachableMs = this.#actions.spread(message.reachableMs);
    }
    if (message.retransmitMs > 0) times.retransmitMs = message.retransmitMs;
    this.#noteFlags(owner, state, message);
    this.#router(owner, source, IpPrefix.of(new IpAddress(0, 0, 0, 0), 0), {
      seconds: message.lifetimeSeconds,
      metric: METRIC.medium,
    });
    for (const option of message.options) this.#option(owner, state, source, option);
    this.#plan();
  }

  #noteFlags(owner: Interface, state: State, message: Advertisement): void {
    const { isManaged, hasOtherConfiguration: hasOther } = message;
    const isNews = isManaged !== state.isManaged || hasOther !== state.hasOther;
    state.isManaged = isManaged;
    state.hasOther = hasOther;
    if (isNews) this.onFlags?.(owner, isManaged, hasOther);
  }

  #option(owner: Interface, state: State, source: IpAddress, option: NdOption): void {
    switch (option.kind) {
      case "source-mac":
        if ((option.mac[0]! & 1) === 0) this.#actions.hear(source, owner, option.mac);
        break;
      case "mtu":
        // RFC 4861 §6.3.4: between what IPv6 needs and what the link carries.
        if (option.octets >= 1280 && option.octets <= owner.link.mtuOctets) {
          owner.mtuOctets = option.octets;
        }
        break;
      case "prefix":
        this.#prefix(owner, state, option);
        break;
      case "dns-servers":
        for (const server of option.servers) {
          this.#server(state, IpAddress.read(server, 0, 16), option.lifetimeSeconds);
        }
        break;
      case "other":
        if (option.octets[0] === ROUTE_INFORMATION) this.#routeOption(owner, source, option.octets);
        break;
      default:
        break;
    }
  }

  /** RFC 4191 §2.3. */
  #routeOption(owner: Interface, source: IpAddress, octets: Uint8Array): void {
    const bits = octets[2]!;
    const preference = (octets[3]! >>> 3) & 3;
    if (bits > 128 || preference === 2 || octets.length < 8 + Math.ceil(bits / 64) * 8) return;
    const whole = new Uint8Array(16);
    whole.set(octets.subarray(8, Math.min(octets.length, 24)));
    const prefix = new IpPrefix(IpAddress.read(whole, 0, 16), bits);
    const metric = preference === 1 ? METRIC.high : preference === 3 ? METRIC.low : METRIC.medium;
    this.#router(owner, source, prefix, { seconds: readU32(octets, 4), metric });
  }

  /** A route by a router, for a time; 0 ends it. */
  #router(
    owner: Interface,
    gateway: IpAddress,
    prefix: IpPrefix,
    life: { readonly seconds: number; readonly metric: number },
  ): void {
    this.#routes.remove(
      (route) =>
        route.origin === "ra" &&
        route.interface === owner &&
        route.prefix.toString() === prefix.toString() &&
        route.gateway?.equals(gateway) === true,
    );
    if (life.seconds === 0) return;
    const known = this.#routes.all.filter(
      (route) => route.origin === "ra" && route.interface === owner,
    );
    if (known.length >= ROUTERS_MAX) {
      this.#core.counters.count("nd.too-many-routers");
      return;
    }
    const untilMs = this.#until(life.seconds);
    const { metric } = life;
    this.#routes.add({ prefix, interface: owner, gateway, metric, origin: "ra", untilMs });
  }

  #prefix(owner: Interface, state: State, option: PrefixOption): void {
    const prefix = new IpPrefix(IpAddress.read(option.prefix, 0, 16), option.lengthBits);
    if (prefix.address.isLinkLocal || prefix.address.isMulticast) return;
    if (option.preferredSeconds > option.validSeconds) return;
    if (option.isOnLink) this.#onLink(owner, prefix, option.validSeconds);
    if (!option.isAutonomous || option.lengthBits !== IID_BITS) return;
    const key = prefix.toString();
    let network = state.networks.get(key);
    if (network === undefined) {
      if (option.validSeconds === 0) return;
      if (state.networks.size >= PREFIXES_MAX) {
        this.#core.counters.count("nd.too-many-prefixes");
        return;
      }
      network = { prefix, duplicates: 0 };
      state.networks.set(key, network);
      const valid = this.#until(option.validSeconds);
      const preferred = this.#until(option.preferredSeconds);
      this.#addFor(owner, network, "slaac", valid, preferred);
      if (state.settings.temporary) this.#addTemporary(owner, network, valid, preferred);
      return;
    }
    this.#renew(owner, network, option);
  }

  #onLink(owner: Interface, prefix: IpPrefix, seconds: number): void {
    this.#routes.remove(
      (route) =>
        route.origin === "ra" &&
        route.gateway === undefined &&
        route.interface === owner &&
        route.prefix.toString() === prefix.toString(),
    );
    if (seconds === 0) return;
    const untilMs = this.#until(seconds);
    this.#routes.add({ prefix, interface: owner, metric: 256, origin: "ra", untilMs });
  }

  /** RFC 4862 §5.5.3 (e). */
  #renew(owner: Interface, network: Network, option: PrefixOption): void {
    const { nowMs } = this.#core;
    const valid = this.#until(option.validSeconds);
    const preferred = this.#until(option.preferredSeconds);
    for (const entry of this.#addresses.of(owner)) {
      if (entry.origin !== "slaac" || entry.prefix.toString() !== network.prefix.toString())
        continue;
      const left = entry.validUntilMs - nowMs;
      if (option.validSeconds * 1000 > TWO_HOURS_MS || valid > entry.validUntilMs) {
        entry.validUntilMs = valid;
      } else if (left > TWO_HOURS_MS) entry.validUntilMs = nowMs + TWO_HOURS_MS;
      entry.preferredUntilMs = Math.min(preferred, entry.validUntilMs);
      if (entry.isUsable) entry.state = entry.preferredUntilMs > nowMs ? "preferred" : "deprecated";
      this.#addresses.changed(entry);
    }
  }

  #addFor(
    owner: Interface,
    network: Network,
    origin: "slaac" | "temporary",
    validUntilMs: number,
    preferredUntilMs: number,
  ): void {
    const { prefix, duplicates } = network;
    const address =
      origin === "slaac"
        ? this.#ids.stable(prefix.address, owner, duplicates)
        : this.#ids.temporary(prefix.address);
    this.#actions.addAddress(owner, address, IID_BITS, {
      origin,
      state: "tentative",
      validUntilMs,
      preferredUntilMs,
    });
  }

  /** RFC 8981 §3.4: shorter lived than the network, at a random distance. */
  #addTemporary(owner: Interface, network: Network, valid: number, preferred: number): void {
    const { nowMs, random } = this.#core;
    const spread = random.unit() * 0.4 * TEMPORARY_PREFERRED_MS;
    const preferredUntilMs = Math.min(preferred, nowMs + TEMPORARY_PREFERRED_MS - spread);
    if (preferredUntilMs - nowMs <= REGENERATE_ADVANCE_MS) return;
    const validUntilMs = Math.min(valid, nowMs + TEMPORARY_VALID_MS);
    this.#addFor(owner, network, "temporary", validUntilMs, preferredUntilMs);
  }

  #server(state: State, address: IpAddress, seconds: number): void {
    const untilMs = this.#until(seconds);
    const known = state.servers.find((one) => one.address.equals(address));
    if (known !== undefined) known.untilMs = untilMs;
    else if (seconds > 0 && state.servers.length < SERVERS_MAX) {
      state.servers.push({ address, untilMs });
    }
  }

  #addLinkLocal(owner: Interface, state: State): void {
    const prefix = IpAddress.parse("fe80::");
    const address = this.#ids.stable(prefix, owner, state.linkLocalDuplicates);
    this.#actions.addAddress(owner, address, IID_BITS, {
      origin: "link-local",
      state: "tentative",
    });
  }

  #beginAsking(state: State): void {
    if (state.solicit.isSet) return;
    state.waitMs = SOLICITATION_MS;
    const delay = this.#core.random.unit() * SOLICITATION_DELAY_MS;
    this.#core.timers.set(state.solicit, this.#core.nowMs + delay);
  }

  #solicit(owner: Interface, state: State): void {
    const source = this.#addresses
      .of(owner)
      .find((entry) => entry.address.isLinkLocal && !entry.address.isIpv4 && entry.isUsable);
    const { mac } = owner.link;
    sendNd(
      this.#core,
      owner,
      { source: source?.address ?? new IpAddress(0, 0, 0, 0), target: ALL_ROUTERS },
      {
        kind: "router-solicitation",
        options: source !== undefined && mac !== undefined ? [{ kind: "source-mac", mac }] : [],
      },
    );
    const jitter = 0.9 + 0.2 * this.#core.random.unit();
    this.#core.timers.set(state.solicit, this.#core.nowMs + state.waitMs * jitter);
    state.waitMs = Math.min(SOLICITATION_MAX_MS, 2 * state.waitMs);
  }

  /** Sets the timer to the next end of a lifetime. */
  #plan(): void {
    let next = Number.POSITIVE_INFINITY;
    for (const entry of this.#addresses.all) {
      next = Math.min(next, entry.validUntilMs);
      if (entry.state === "preferred") next = Math.min(next, entry.preferredUntilMs);
    }
    for (const route of this.#routes.all) next = Math.min(next, route.untilMs ?? next);
    if (next === Number.POSITIVE_INFINITY) this.#core.timers.cancel(this.#sweep);
    else this.#core.timers.set(this.#sweep, next);
  }

  #expire(): void {
    const { nowMs } = this.#core;
    this.#routes.remove((route) => (route.untilMs ?? Number.POSITIVE_INFINITY) <= nowMs);
    for (const entry of this.#addresses.all.slice()) {
      if (entry.validUntilMs <= nowMs) {
        this.#states.get(entry.interface)?.networks.delete(entry.prefix.toString());
        this.#actions.expired(entry);
      } else if (entry.preferredUntilMs <= nowMs && entry.state === "preferred") {
        entry.state = "deprecated";
        this.#addresses.changed(entry);
        if (entry.origin === "temporary") this.#replace(entry);
      }
    }
    this.#plan();
  }

  /** The next temporary address of a network (RFC 8981 §3.6). */
  #replace(entry: InterfaceAddress): void {
    const owner = entry.interface;
    const network = this.#states.get(owner)?.networks.get(entry.prefix.toString());
    const stable = this.#addresses
      .of(owner)
      .find((one) => one.origin === "slaac" && one.prefix.toString() === entry.prefix.toString());
    if (network === undefined || stable === undefined) return;
    this.#addTemporary(owner, network, stable.validUntilMs, stable.preferredUntilMs);
  }

  #until(seconds: number): number {
    if (seconds === LIFETIME_INFINITE) return Number.POSITIVE_INFINITY;
    return this.#core.nowMs + seconds * 1000;
  }

  #state(owner: Interface): State {
    let state = this.#states.get(owner);
    if (state === undefined) {
      const made: State = {
        settings: { isOn: false, temporary: false },
        solicit: new Timer(() => this.#solicit(owner, made)),
        waitMs: SOLICITATION_MS,
        networks: new Map(),
        servers: [],
        linkLocalDuplicates: 0,
        hopLimit: undefined,
        isManaged: false,
        hasOther: false,
      };
      state = made;
      this.#states.set(owner, state);
    }
    return state;
  }
}
