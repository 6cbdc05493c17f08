/**
 * What a switch knows of its ports: which exist, who may use them, which cables are in them, which
 * VLANs they belong to. Every command checks, changes this and tells the packet path (`changed`)
 * and whoever listens (`event`). Results are errno values. Behaviour of vde_switch 2.3.2.
 *
 * A port comes to be by a cable or by command and stays when its last cable leaves. Several cables
 * may share a port if they belong to one user; the superuser may join any.
 */
import { ERRNO } from "../base/index.ts";
import type { SwitchEvent } from "./events.ts";
import { type Mirror, MirrorTable } from "./mirrors.ts";
import { PORTS_DEFAULT, PORTS_MAX, type SwitchChange } from "./switch.ts";
import type { TapScope } from "./taps.ts";
import { VLAN_CREATE_MAX, VLAN_DEFAULT, VLAN_NONE, type VlanChange, VlanTable } from "./vlans.ts";

/** The user of the switch itself and of its own plugs, and whoever has an abstract name. */
export type User = number | undefined;

export interface ModelEndpoint {
  readonly id: number;
  readonly port: number;
  readonly module: string;
  readonly user: User;
  description: string;
}

export interface ModelPort {
  readonly port: number;
  isAllocatable: boolean;
  isSuspended: boolean;
  /** Who may plug in; undefined: everybody. */
  user: number | undefined;
  group: number | undefined;
  /** Owner of the cables in it. */
  currentUser: User;
  /** The newest first. */
  readonly endpoints: ModelEndpoint[];
}

export interface ModelOptions {
  readonly ports?: number;
  readonly isHub?: boolean;
  /** Told of every step of the packet path's configuration, in order. */
  readonly changed?: (change: SwitchChange) => void;
  readonly event?: (event: SwitchEvent) => void;
  /** Whether a user belongs to a group of the system. */
  readonly isMember?: (user: number, group: number) => boolean;
  /** Identity of the switch in events: eight octets as "80:00:00:ff:…". */
  readonly bridgeId?: string;
}

const ROOT = 0;

/** Ports, their cables, users and VLANs; see the head of this file. */
export class SwitchModel {
  readonly vlans: VlanTable;
  readonly mirrors = new MirrorTable();
  readonly #options: ModelOptions;
  readonly #ports = new Map<number, ModelPort>();
  readonly #endpoints = new Map<number, ModelEndpoint>();
  #portsMax: number;
  #isHub: boolean;

  constructor(options: ModelOptions = {}) {
    this.#options = options;
    this.#portsMax = options.ports ?? PORTS_DEFAULT;
    this.#isHub = options.isHub ?? false;
    this.vlans = new VlanTable(this.#portsMax);
  }

  /** Highest port number. */
  get portsMax(): number {
    return this.#portsMax;
  }

  get isHub(): boolean {
    return this.#isHub;
  }

  /** Ports that were made, in order of their numbers. */
  ports(): ModelPort[] {
    return [...this.#ports.values()].sort((a, b) => a.port - b.port);
  }

  port(port: number): ModelPort | undefined {
    return this.#ports.get(port);
  }

  endpoint(id: number): ModelEndpoint | undefined {
    return this.#endpoints.get(id);
  }

  endpoints(): ModelEndpoint[] {
    return [...this.#endpoints.values()];
  }

  /**
   * Finds a port for a cable and makes it if need be; `plug` must follow at once.
   * @param wanted 0: the lowest that is free and allocatable; -1: the management port 0.
   * @returns undefined: out of range, not for this user, or none left.
   */
  allocate(wanted: number, user: User): number | undefined {
    const number = wanted === -1 ? 0 : wanted === 0 ? this.#lowestFree() : wanted;
    if (number === undefined || number > this.#portsMax) return undefined;
    const port = this.#make(number);
    if (port.endpoints.length > 0) {
      return port.currentUser === user || user === ROOT ? number : undefined;
    }
    return this.#mayUse(port, user) ? number : undefined;
  }

  /** A cable is in the port that `allocate` gave. */
  plug(endpoint: ModelEndpoint): void {
    const port = this.#ports.get(endpoint.port)!;
    const { id } = endpoint;
    if (port.endpoints.length === 0) port.currentUser = endpoint.user;
    port.endpoints.unshift(endpoint);
    this.#endpoints.set(id, endpoint);
    this.#event("port/ep/+", `Port ${two(port.port)} FD ${blank2(id)}`);
    this.describe(id, endpoint.description);
  }

  /** What a cable calls itself. */
  describe(id: number, description: string): void {
    const endpoint = this.#endpoints.get(id);
    if (endpoint === undefined) return;
    endpoint.description = description;
    this.#event(
      "port/descr",
      `Port ${two(endpoint.port)} FD ${blank2(id)} -> "${endpoint.description}"`,
    );
  }

  /** The cable is gone. @returns false: it was not there. */
  unplug(id: number): boolean {
    const endpoint = this.#endpoints.get(id);
    if (endpoint === undefined) return false;
    this.#endpoints.delete(id);
    const port = this.#ports.get(endpoint.port)!;
    port.endpoints.splice(port.endpoints.indexOf(endpoint), 1);
    this.#event("port/ep/-", `Port ${two(port.port)} FD ${blank2(id)}`);
    if (port.endpoints.length > 0) return true;
    port.currentUser = undefined;
    this.#event("port/-", two(port.port));
    this.#changed({ kind: "flushPort", port: port.port });
    return true;
  }

  setPorts(ports: number): number {
    if (ports < 1 || ports > PORTS_MAX) return ERRNO.EINVAL;
    if (this.ports().some(({ port }) => port > ports)) return ERRNO.EADDRINUSE;
    this.#portsMax = ports;
    this.vlans.apply({ kind: "ports", ports });
    this.#changed({ kind: "ports", ports });
    return 0;
  }

  setHub(isHub: boolean): number {
    this.#isHub = isHub;
    this.#changed({ kind: "hub", isHub });
    return 0;
  }

  /** @param port 0: the lowest free one. @returns its number, or an errno below zero. */
  createPort(port: number): number {
    if (port < 0 || port > this.#portsMax) return -ERRNO.EINVAL;
    if (this.#ports.has(port)) return -ERRNO.EEXIST;
    const number = port === 0 ? this.#lowestFree() : port;
    if (number === undefined) return -ERRNO.ENOSPC;
    this.#make(number).isAllocatable = false;
    return number;
  }

  removePort(number: number): number {
    const port = this.#find(number);
    if (typeof port === "number") return port;
    if (port.endpoints.length > 0) return ERRNO.EADDRINUSE;
    this.#ports.delete(number);
    this.#unmirror((mirror) => mirror.port === number || mirror.target === number);
    this.#vlan({ kind: "reset", port: number });
    return 0;
  }

  setAllocatable(number: number, isAllocatable: boolean): number {
    return this.#with(number, (port) => {
      port.isAllocatable = isAllocatable;
    });
  }

  /** @param user undefined: no restriction. */
  setUser(number: number, user: number | undefined): number {
    return this.#with(number, (port) => {
      port.user = user;
    });
  }

  /** @param group undefined: no restriction. */
  setGroup(number: number, group: number | undefined): number {
    return this.#with(number, (port) => {
      port.group = group;
    });
  }

  /** A suspended port stays plugged but carries nothing. */
  setSuspended(number: number, isSuspended: boolean): number {
    return this.#with(number, (port) => {
      port.isSuspended = isSuspended;
      this.#settle(number);
    });
  }

  /** Copies what a port or a VLAN carries to another port, which then carries only copies. */
  mirror(scope: TapScope, target: number): number {
    const to = this.#find(target);
    const missing = typeof to === "number" ? to : this.#checkScope(scope);
    if (missing !== 0) return missing;
    const error = this.mirrors.add(scope, target);
    if (error !== 0) return error;
    this.#changed({ kind: "flushPort", port: target });
    this.#settle(target);
    this.#changed({ kind: "mirrors", mirrors: this.mirrors.list() });
    return 0;
  }

  /** @param target undefined: to whatever port. @returns 0, or ENOENT: there was no such mirror. */
  unmirror(scope: Pick<TapScope, "port" | "vlan">, target: number | undefined): number {
    return this.#unmirror((mirror) => {
      const isMeant = target === undefined || target === mirror.target;
      return isMeant && mirror.port === scope.port && mirror.vlan === scope.vlan;
    });
  }

  #unmirror(isMeant: (mirror: Mirror) => boolean): number {
    const targets = new Set(this.mirrors.list().map(({ target }) => target));
    const error = this.mirrors.remove(isMeant);
    if (error !== 0) return error;
    this.#changed({ kind: "mirrors", mirrors: this.mirrors.list() });
    for (const target of targets) this.#settle(target);
    return 0;
  }

  /** Whether a port carries traffic: it is not suspended and gets no copies. */
  #settle(port: number): void {
    const isSuspended = this.#ports.get(port)?.isSuspended === true || this.mirrors.isTarget(port);
    if (isSuspended === this.vlans.isSuspended(port)) return;
    this.#vlan({ kind: "suspend", port, isSuspended });
  }

  #checkScope({ port, vlan }: TapScope): number {
    if (port !== undefined) {
      const found = this.#find(port);
      return typeof found === "number" ? found : 0;
    }
    if (vlan === undefined || vlan < 0 || vlan > VLAN_CREATE_MAX) return ERRNO.EINVAL;
    return this.vlans.exists(vlan) ? 0 : ERRNO.ENXIO;
  }

  /** @param vlan VLAN_NONE: no untagged traffic. */
  setPortVlan(number: number, vlan: number): number {
    if (vlan < 0 || vlan > VLAN_NONE || number < 0 || number > this.#portsMax) return ERRNO.EINVAL;
    if (vlan !== VLAN_NONE && !this.vlans.exists(vlan)) return ERRNO.ENXIO;
    if (!this.#ports.has(number)) return ERRNO.ENXIO;
    const old = this.vlans.untaggedVlan(number);
    this.#changed({ kind: "flushPort", port: number });
    if (old !== VLAN_NONE) this.#changed({ kind: "flushVlan", vlan: old });
    if (vlan !== VLAN_NONE) this.#changed({ kind: "flushVlan", vlan });
    this.#vlan({ kind: "untagged", port: number, vlan });
    return 0;
  }

  createVlan(vlan: number): number {
    if (vlan < 1 || vlan > VLAN_CREATE_MAX) return ERRNO.EINVAL;
    if (this.vlans.exists(vlan)) return ERRNO.EEXIST;
    this.#vlan({ kind: "create", vlan });
    const id = `${hex2(vlan >>> 8)}:${hex2(vlan & 0xff)}`;
    this.#event("fstp/root", `Port 0000 VLAN ${id} -> ${this.#options.bridgeId ?? ""}`);
    return 0;
  }

  removeVlan(vlan: number): number {
    if (vlan < 0 || vlan >= VLAN_NONE) return ERRNO.EINVAL;
    if (!this.vlans.exists(vlan)) return ERRNO.ENXIO;
    // Differs from vde_switch, which lets VLAN 0 go while no port exists: the next port needs it.
    if (vlan === VLAN_DEFAULT || this.members(vlan).length > 0) return ERRNO.EADDRINUSE;
    this.#unmirror((mirror) => mirror.vlan === vlan);
    this.#vlan({ kind: "remove", vlan });
    return 0;
  }

  addVlanPort(vlan: number, port: number): number {
    const error = this.#checkMember(vlan, port);
    if (error !== 0) return error;
    this.#changed({ kind: "flushVlan", vlan });
    this.#vlan({ kind: "member", vlan, port, isMember: true });
    return 0;
  }

  removeVlanPort(vlan: number, port: number): number {
    const error = this.#checkMember(vlan, port);
    if (error !== 0) return error;
    if (this.vlans.untaggedVlan(port) === vlan) return ERRNO.EADDRINUSE;
    this.#changed({ kind: "flushVlan", vlan });
    this.#changed({ kind: "flushPort", port });
    this.#vlan({ kind: "member", vlan, port, isMember: false });
    return 0;
  }

  /** Ports that were made and belong to a VLAN. */
  members(vlan: number): ModelPort[] {
    return this.ports().filter(({ port }) => this.vlans.isMember(vlan, port));
  }

  /** Sets what a member port does with the frames of a VLAN (the spanning tree's decision). */
  setState(change: Extract<VlanChange, { kind: "state" }>): void {
    this.#vlan(change);
  }

  #checkMember(vlan: number, port: number): number {
    if (vlan < 0 || vlan > VLAN_CREATE_MAX || port < 0 || port > this.#portsMax) {
      return ERRNO.EINVAL;
    }
    return this.vlans.exists(vlan) && this.#ports.has(port) ? 0 : ERRNO.ENXIO;
  }

  #find(number: number): ModelPort | number {
    if (number < 0 || number > this.#portsMax) return ERRNO.EINVAL;
    return this.#ports.get(number) ?? ERRNO.ENXIO;
  }

  #with(number: number, change: (port: ModelPort) => void): number {
    const port = this.#find(number);
    if (typeof port === "number") return port;
    change(port);
    return 0;
  }

  #lowestFree(): number | undefined {
    for (let number = 1; number <= this.#portsMax; number++) {
      const port = this.#ports.get(number);
      if (port === undefined || (port.endpoints.length === 0 && port.isAllocatable)) return number;
    }
    return undefined;
  }

  #make(number: number): ModelPort {
    let port = this.#ports.get(number);
    if (port !== undefined) return port;
    port = {
      port: number,
      isAllocatable: true,
      isSuspended: false,
      user: undefined,
      group: undefined,
      currentUser: undefined,
      endpoints: [],
    };
    this.#ports.set(number, port);
    this.#event("port/+", two(number));
    return port;
  }

  #mayUse(port: ModelPort, user: User): boolean {
    if ((port.user === undefined && port.group === undefined) || user === ROOT) return true;
    if (user === undefined) return false;
    if (port.user === user) return true;
    return port.group !== undefined && this.#options.isMember?.(user, port.group) === true;
  }

  #vlan(change: VlanChange): void {
    this.vlans.apply(change);
    this.#changed({ kind: "vlan", change });
  }

  #changed(change: SwitchChange): void {
    this.#options.changed?.(change);
  }

  #event(category: string, text: string): void {
    this.#options.event?.({ category, text });
  }
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

function blank2(value: number): string {
  return String(value).padStart(2);
}

function hex2(value: number): string {
  return value.toString(16).padStart(2, "0");
}
