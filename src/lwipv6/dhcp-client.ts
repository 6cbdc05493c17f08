/**
 * A DHCP client for one interface: RFC 2131 §4.4, with renewal, rebinding, declining what somebody
 * else has, and release.
 */
import { readU16, readU32, writeU16 } from "../base/index.ts";
import {
  checksumOf,
  type Dhcp,
  DHCP_OPTION,
  DHCP_PORT,
  DHCP_TYPE,
  emitDhcp,
  IP_PROTOCOL,
  parseClasslessRoutes,
  parseDhcp,
  UDP_AT,
  UDP_HEADER_OCTETS,
} from "../wire/index.ts";
import { ANY_IPV4, IpAddress, IpPrefix } from "./address.ts";
import type { InterfaceAddress } from "./addresses.ts";
import { sumOfAddress, USUAL_OPTIONS } from "./destination.ts";
import { takePacketSlot } from "./headroom.ts";
import type { Interface } from "./interface.ts";
import { prependIpv4 } from "./ip-header.ts";
import type { Stack } from "./stack.ts";
import { Timer } from "./timer-wheel.ts";
import type { UdpSocket } from "./udp-socket.ts";

const EVERYBODY = IpAddress.ipv4(-1);
/** RFC 2131 §4.1: 4, 8, 16, 32, 64 seconds, each a second more or less. */
const WAIT_FIRST_MS = 4000;
const WAIT_MAX_MS = 64_000;
/** RFC 2131 §4.4.5: a renewal is repeated after half of what is left, but not sooner. */
const RENEW_MIN_MS = 60_000;
/** RFC 2131 §3.1 step 5: after a decline. */
const DECLINE_WAIT_MS = 10_000;
const REQUESTS_MAX = 4;
const MESSAGE_OCTETS = 576;

/** What a server gave. */
export interface DhcpLease {
  readonly address: IpAddress;
  readonly lengthBits: number;
  readonly server: IpAddress;
  readonly routers: readonly IpAddress[];
  readonly nameServers: readonly IpAddress[];
  readonly domain: string | undefined;
  /** On the stack's clock. */
  readonly untilMs: number;
}

type State = "init" | "selecting" | "requesting" | "bound" | "renewing" | "rebinding" | "ended";

/** One client; it begins at once. */
export class DhcpClient {
  /** Called when a lease begins, changes or ends (undefined). */
  onLease: ((lease: DhcpLease | undefined) => void) | undefined;
  lease: DhcpLease | undefined;
  state: State = "init";
  readonly #stack: Stack;
  readonly #owner: Interface;
  readonly #socket: UdpSocket;
  readonly #timer = new Timer(() => this.#expire());
  readonly #buffer = new Uint8Array(1500);
  #transaction = 0;
  #waitMs = WAIT_FIRST_MS;
  #requests = 0;
  #offer: { readonly address: IpAddress; readonly server: IpAddress } | undefined;
  #entry: InterfaceAddress | undefined;
  #renewMs = 0;
  #rebindMs = 0;

  /** @param owner an Ethernet interface that is up. */
  constructor(stack: Stack, owner: Interface) {
    this.#stack = stack;
    this.#owner = owner;
    const socket = stack.udp.socket(true);
    if (typeof socket === "number") throw new Error("no socket is left");
    this.#socket = socket;
    socket.options.broadcast = true;
    socket.options.reuseAddress = true;
    socket.bind(ANY_IPV4, DHCP_PORT.client, owner.index);
    socket.onReady = () => this.#receive();
    stack.addresses.onChange((entry) => this.#addressChanged(entry));
    this.#begin();
  }

  /** Gives the address back, and ends (RFC 2131 §4.4.6). */
  release(): void {
    if (this.lease !== undefined) this.#send(DHCP_TYPE.release);
    this.close();
  }

  /** Ends without a word; the address goes. */
  close(): void {
    this.#stack.core.timers.cancel(this.#timer);
    this.state = "ended";
    this.#drop();
    this.#socket.close();
    this.#stack.flush();
  }

  #begin(): void {
    this.state = "selecting";
    this.#offer = undefined;
    this.#transaction = this.#stack.core.random.u32();
    this.#waitMs = WAIT_FIRST_MS;
    this.#send(DHCP_TYPE.discover);
    this.#waitAgain();
  }

  #wait(ms: number): void {
    const { timers, nowMs } = this.#stack.core;
    timers.set(this.#timer, nowMs + ms);
  }

  #waitAgain(): void {
    this.#wait(this.#waitMs + 2000 * this.#stack.core.random.unit() - 1000);
    this.#waitMs = Math.min(WAIT_MAX_MS, 2 * this.#waitMs);
  }

  #expire(): void {
    const { nowMs } = this.#stack.core;
    switch (this.state) {
      case "init":
        this.#begin();
        break;
      case "selecting":
        this.#send(DHCP_TYPE.discover);
        this.#waitAgain();
        break;
      case "requesting":
        if (this.#requests >= REQUESTS_MAX) this.#begin();
        else this.#request();
        break;
      default:
        this.#extend(nowMs);
    }
  }

  /** RFC 2131 §4.4.5: first the server that gave it is asked, then everybody. */
  #extend(nowMs: number): void {
    const { lease } = this;
    if (lease === undefined || nowMs >= lease.untilMs) {
      this.#drop();
      this.#begin();
      return;
    }
    this.state = nowMs >= this.#rebindMs ? "rebinding" : "renewing";
    this.#send(DHCP_TYPE.request);
    const next = this.state === "renewing" ? this.#rebindMs : lease.untilMs;
    const left = next - nowMs;
    this.#wait(Math.min(left, Math.max(RENEW_MIN_MS, left / 2)));
  }

  #request(): void {
    this.#requests++;
    this.#send(DHCP_TYPE.request);
    this.#waitAgain();
  }

  #receive(): void {
    for (;;) {
      const info = this.#socket.receive(this.#buffer, 0, this.#buffer.length);
      if (typeof info === "number") return;
      const length = Math.min(info.length, this.#buffer.length);
      const message = parseDhcp(this.#buffer.subarray(0, length));
      if (message === undefined) this.#stack.core.counters.count("dhcp.malformed");
      else this.#take(message);
    }
  }

  #take(message: Dhcp): void {
    const isOurs =
      !message.isRequest &&
      message.transaction === this.#transaction &&
      message.mac.every((octet, i) => octet === this.#owner.link.mac![i]);
    if (!isOurs) {
      this.#stack.core.counters.count("dhcp.not-ours");
      return;
    }
    const type = message.options.get(DHCP_OPTION.type)?.[0];
    const server = addressOf(message.options.get(DHCP_OPTION.serverIdentifier));
    const address = IpAddress.read(message.yourAddress, 0, 4);
    if (type === DHCP_TYPE.offer && this.state === "selecting" && server !== undefined) {
      if (address.isUnspecified || address.isMulticast || address.w3 === -1) return;
      this.#offer = { address, server };
      this.state = "requesting";
      this.#requests = 0;
      this.#waitMs = WAIT_FIRST_MS;
      this.#request();
      return;
    }
    const isAsking = ["requesting", "renewing", "rebinding"].includes(this.state);
    if (!isAsking) return;
    if (type === DHCP_TYPE.acknowledge) this.#bind(message, address, server);
    else if (type === DHCP_TYPE.refuse) {
      this.#drop();
      this.#begin();
    }
  }

  #bind(message: Dhcp, address: IpAddress, server: IpAddress | undefined): void {
    const { options } = message;
    const { nowMs } = this.#stack.core;
    const seconds = numberOf(options.get(DHCP_OPTION.lease)) ?? 0;
    const from = server ?? this.lease?.server ?? this.#offer?.server;
    if (seconds <= 0 || from === undefined || address.isUnspecified) return;
    const leaseMs = seconds * 1000;
    const renew = numberOf(options.get(DHCP_OPTION.renewal)) ?? seconds / 2;
    const rebind = numberOf(options.get(DHCP_OPTION.rebinding)) ?? (seconds * 7) / 8;
    this.#rebindMs = nowMs + Math.min(rebind, seconds) * 1000;
    this.#renewMs = nowMs + Math.min(renew * 1000, this.#rebindMs - nowMs);
    const lease: DhcpLease = {
      address,
      lengthBits: bitsOf(options.get(DHCP_OPTION.netmask)),
      server: from,
      routers: addressesOf(options.get(DHCP_OPTION.routers)),
      nameServers: addressesOf(options.get(DHCP_OPTION.servers)),
      domain: textOf(options.get(DHCP_OPTION.domain)),
      untilMs: nowMs + leaseMs,
    };
    const isSame = this.lease?.address.equals(address) === true;
    if (!isSame) this.#drop();
    this.state = "bound";
    this.lease = lease;
    if (isSame && this.#entry !== undefined) this.#entry.validUntilMs = lease.untilMs;
    else this.#configure(lease, options.get(DHCP_OPTION.classlessRoutes));
    this.#wait(this.#renewMs - nowMs);
    this.onLease?.(lease);
  }

  /** The address is probed for before it is used (RFC 2131 §3.1 step 5, RFC 5227). */
  #configure(lease: DhcpLease, classless: Uint8Array | undefined): void {
    const stack = this.#stack;
    const owner = this.#owner;
    stack.addAddress(owner, lease.address, lease.lengthBits, {
      origin: "dhcp",
      state: "tentative",
    });
    this.#entry = stack.addresses.find(lease.address, owner);
    // RFC 3442: where there are classless routes, routers do not count.
    const routes = classless === undefined ? [] : parseClasslessRoutes(classless);
    for (const { lengthBits, network, router } of routes) {
      const gateway = IpAddress.read(router, 0, 4);
      const prefix = IpPrefix.of(IpAddress.read(network, 0, 4), lengthBits);
      const isOnLink = gateway.isUnspecified;
      const way = isOnLink ? {} : { gateway };
      stack.routes.add({ prefix, interface: owner, metric: METRIC, origin: "dhcp", ...way });
    }
    if (classless !== undefined) return;
    const prefix = IpPrefix.of(ANY_IPV4, 0);
    for (const gateway of lease.routers.slice(0, 1)) {
      stack.routes.add({ prefix, gateway, interface: owner, metric: METRIC, origin: "dhcp" });
    }
  }

  #drop(): void {
    const owner = this.#owner;
    this.#stack.routes.remove((route) => route.interface === owner && route.origin === "dhcp");
    const entry = this.#entry;
    this.#entry = undefined;
    const had = this.lease !== undefined;
    this.lease = undefined;
    if (entry !== undefined) this.#stack.deleteAddress(entry);
    if (had) this.onLease?.(undefined);
  }

  /** Somebody else has the address: the server is told (RFC 2131 §3.1 step 5). */
  #addressChanged(entry: InterfaceAddress): void {
    if (entry !== this.#entry || entry.state !== "duplicated") return;
    this.#send(DHCP_TYPE.decline);
    this.#drop();
    this.state = "init";
    this.#wait(DECLINE_WAIT_MS);
  }

  #send(type: number): void {
    const { lease } = this;
    const offer = this.#offer;
    const isExtending = this.state === "renewing" || this.state === "rebinding";
    const options = new Map<number, Uint8Array>([[DHCP_OPTION.type, Uint8Array.of(type)]]);
    const mac = this.#owner.link.mac!;
    options.set(DHCP_OPTION.clientIdentifier, Uint8Array.of(1, ...mac));
    const isAboutLease = type === DHCP_TYPE.release || type === DHCP_TYPE.decline;
    if ((type === DHCP_TYPE.request && !isExtending) || isAboutLease) {
      const server = lease?.server ?? offer?.server;
      const address = lease?.address ?? offer?.address;
      if (server !== undefined) options.set(DHCP_OPTION.serverIdentifier, server.toOctets());
      if (address !== undefined && type !== DHCP_TYPE.release) {
        options.set(DHCP_OPTION.requestedAddress, address.toOctets());
      }
    }
    if (!isAboutLease) options.set(DHCP_OPTION.parameters, WANTED);
    const hasAddress = isExtending || type === DHCP_TYPE.release;
    const own = hasAddress && lease !== undefined ? lease.address : ANY_IPV4;
    const message: Dhcp = {
      isRequest: true,
      transaction: this.#transaction,
      wantsBroadcast: !hasAddress,
      clientAddress: own.toOctets(),
      yourAddress: new Uint8Array(4),
      mac,
      options,
    };
    const isToServer = this.state === "renewing" || type === DHCP_TYPE.release;
    if (isToServer && lease !== undefined) {
      const octets = new Uint8Array(MESSAGE_OCTETS);
      const length = emitDhcp(message, octets);
      this.#socket.send(octets, 0, length, lease.server, DHCP_PORT.server);
    } else this.#broadcast(message, own);
  }

  /** To everybody, from an address that may be none: no way of the routing table. */
  #broadcast(message: Dhcp, source: IpAddress): void {
    const { core } = this.#stack;
    const { pool } = core;
    const slot = takePacketSlot(core);
    if (slot < 0) return;
    const { octets } = pool;
    const at = pool.start[slot]!;
    const bodyAt = at + UDP_HEADER_OCTETS;
    const length =
      UDP_HEADER_OCTETS + emitDhcp(message, octets.subarray(bodyAt, bodyAt + MESSAGE_OCTETS));
    writeU16(octets, at + UDP_AT.sourcePort, DHCP_PORT.client);
    writeU16(octets, at + UDP_AT.targetPort, DHCP_PORT.server);
    writeU16(octets, at + UDP_AT.length, length);
    writeU16(octets, at + UDP_AT.checksum, 0);
    const pseudo = sumOfAddress(source) + sumOfAddress(EVERYBODY) + IP_PROTOCOL.udp + length;
    writeU16(octets, at + UDP_AT.checksum, checksumOf(core.arena.sum(at, at + length, pseudo)));
    pool.length[slot] = length;
    const ends = { source, target: EVERYBODY };
    prependIpv4(pool, slot, ends, IP_PROTOCOL.udp, USUAL_OPTIONS, readU16(octets, at));
    this.#stack.sendToGroup(slot, this.#owner, EVERYBODY);
  }
}

/** As static routes of other programs: behind those that were set by hand. */
const METRIC = 100;
const WANTED = Uint8Array.of(
  DHCP_OPTION.netmask,
  DHCP_OPTION.classlessRoutes,
  DHCP_OPTION.routers,
  DHCP_OPTION.servers,
  DHCP_OPTION.domain,
);

function addressesOf(octets: Uint8Array = new Uint8Array()): IpAddress[] {
  const list: IpAddress[] = [];
  for (let at = 0; at + 4 <= octets.length; at += 4) list.push(IpAddress.read(octets, at, 4));
  return list;
}

function addressOf(octets: Uint8Array | undefined): IpAddress | undefined {
  return addressesOf(octets)[0];
}

function numberOf(octets: Uint8Array | undefined): number | undefined {
  return octets?.length === 4 ? readU32(octets, 0) : undefined;
}

/** Printable ASCII only: names go to people and to files (RFC 2132 §3.17). */
function textOf(octets: Uint8Array | undefined): string | undefined {
  if (octets === undefined) return undefined;
  const text = String.fromCharCode(...octets.subarray(0, 255)).split("\0")[0]!;
  return /^[\x21-\x7e]+$/.test(text) ? text : undefined;
}

/** Length of a netmask; without one, or with nonsense, a single host. */
function bitsOf(mask: Uint8Array | undefined): number {
  const bits = numberOf(mask);
  if (bits === undefined) return 32;
  const length = Math.clz32(~bits);
  return length === 32 || bits << length === 0 ? length : 32;
}
