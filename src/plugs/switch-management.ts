/**
 * A running switch behind the interface of its console (vde/management.ts): the model decides, the
 * packet thread is told, names come from the system's accounts.
 */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { ERRNO, type ErrnoName } from "../base/index.ts";
import { Accounts } from "../sys/index.ts";
import {
  type CableTraffic,
  type CaptureManagement,
  type FstpManagement,
  type ImpairmentManagement,
  type MirrorManagement,
  PORT_STATE,
  type PluginManagement,
  type PluginPort,
  type PortInfo,
  type PortSettings,
  PortTrafficBook,
  type StationInfo,
  stationEvent,
  type SwitchEvent,
  type SwitchInfo,
  type SwitchManagement,
  type SwitchModel,
  type TableSettings,
  type VlanInfo,
} from "../vde/index.ts";
import type { SwitchCounters } from "./switch-counters.ts";
import { PortDropBook } from "./port-drop-book.ts";
import { QUEUE_FRAMES } from "./switch-endpoint.ts";
import type { SwitchThread } from "./switch-thread.ts";

/** Longest file of commands, octets. */
const SCRIPT_OCTETS_MAX = 256 * 1024;
/** Largest table. */
const TABLE_SIZE_MAX = 1 << 20;
/** A table holds at least this many stations, whatever size is shown. */
const STATIONS_MIN = 4096;
const SECOND_MS = 1000;
/** Listeners that watch stations. */
const STATION_CATEGORIES = ["hash/+", "hash/-"];

export interface ManagementOptions {
  readonly model: SwitchModel;
  readonly thread: SwitchThread;
  readonly fstp: FstpManagement;
  readonly mirrors: MirrorManagement;
  readonly captures: CaptureManagement;
  readonly impairments: ImpairmentManagement;
  /** `settle`: they see what was copied for them until now. */
  readonly plugins: PluginManagement & { readonly settle: () => void };
  readonly info: () => SwitchInfo;
  /** Pulls a cable that is plugged in. */
  readonly closeEndpoint: (id: number) => void;
  readonly tableSize: number;
  readonly log: (line: string) => void;
}

export class ThreadManagement implements SwitchManagement {
  readonly #options: ManagementOptions;
  readonly #model: SwitchModel;
  readonly #accounts = new Accounts();
  readonly #traffic = new PortTrafficBook();
  readonly #drops = new PortDropBook();
  readonly #listeners = new Map<(event: SwitchEvent) => void, ReadonlySet<string>>();
  readonly #queues = new Map<number, number>();
  #queueFrames = QUEUE_FRAMES;
  #watchesStations = false;
  #table: TableSettings;

  constructor(options: ManagementOptions) {
    this.#options = options;
    this.#model = options.model;
    this.#table = {
      size: this.#powerOfTwo(options.tableSize),
      ageingSeconds: 2,
      expireSeconds: 100,
      minPersistenceSeconds: 3,
    };
    options.thread.onStation = (change) => this.tell(stationEvent(change));
  }

  get fstp(): FstpManagement {
    return this.#options.fstp;
  }

  get plugins(): PluginManagement {
    return this.#options.plugins;
  }

  get mirrors(): MirrorManagement {
    return this.#options.mirrors;
  }

  get captures(): CaptureManagement {
    return this.#options.captures;
  }

  get impairments(): ImpairmentManagement {
    return this.#options.impairments;
  }

  info(): SwitchInfo {
    return this.#options.info();
  }

  /** Passes an event on to those who listen to its category. */
  tell(event: SwitchEvent): void {
    for (const [listener, categories] of this.#listeners) {
      if (categories.has(event.category)) listener(event);
    }
  }

  /** Whether somebody listens to events of a category. */
  isHeard(category: string): boolean {
    for (const categories of this.#listeners.values()) if (categories.has(category)) return true;
    return false;
  }

  /** Who sits at a port; nobody when there is no such port. */
  portUser(port: number): PluginPort {
    const found = this.#model.port(port);
    return {
      user: this.#userName(found?.currentUser),
      description: found?.endpoints[0]?.description ?? "",
    };
  }

  listen(listener: (event: SwitchEvent) => void, categories: ReadonlySet<string>): void {
    if (categories.size === 0) this.#listeners.delete(listener);
    else this.#listeners.set(listener, new Set(categories));
    const watches = [...this.#listeners.values()].some((wanted) =>
      STATION_CATEGORIES.some((category) => wanted.has(category)),
    );
    if (watches === this.#watchesStations) return;
    this.#watchesStations = watches;
    void this.#options.thread.tune({ watchesStations: watches });
  }

  /** A cable was plugged in and carries frames. */
  plugged(id: number): void {
    if (this.#queueFrames !== QUEUE_FRAMES) void this.#tuneQueue(id, this.#queueFrames);
  }

  /** A cable is gone; `counters` just before, undefined when the packet thread had ended. */
  unplugged(id: number, counters: SwitchCounters | undefined): void {
    this.#queues.delete(id);
    if (counters === undefined) return;
    this.#traffic.closed(id, cablesOf(counters));
    this.#drops.closed(id, counters);
  }

  portSettings(): PortSettings {
    const { portsMax, isHub } = this.#model;
    return { ports: portsMax, isHub, queueFrames: this.#queueFrames };
  }

  async ports(): Promise<readonly PortInfo[]> {
    const counters = await this.#options.thread.counters();
    // Frames that are counted have been seen by plugins, and their events told.
    this.#options.plugins.settle();
    const cables = cablesOf(counters);
    const known = new Map(counters.endpoints.map((endpoint) => [endpoint.id, endpoint]));
    return this.#model.ports().map((port) => ({
      port: port.port,
      untaggedVlan: this.#model.vlans.untaggedVlan(port.port),
      isAllocatable: port.isAllocatable,
      isSuspended: port.isSuspended,
      currentUser: this.#userName(port.currentUser),
      user: this.#userName(port.user),
      group:
        port.group === undefined
          ? undefined
          : (this.#accounts.groupName(port.group) ?? String(port.group)),
      traffic: this.#traffic.read(port.port, cables),
      drops: this.#drops.read(port.port, counters),
      endpoints: port.endpoints.map(({ id, module, description }) => {
        const endpoint = known.get(id);
        return {
          id,
          module,
          description,
          queued: endpoint?.queued ?? 0,
          queueFrames: this.#queues.get(id) ?? QUEUE_FRAMES,
          dropped: (endpoint?.droppedFull ?? 0) + (endpoint?.droppedStuck ?? 0),
        };
      }),
    }));
  }

  async setPorts(ports: number): Promise<number> {
    return this.#model.setPorts(ports);
  }

  async setHub(isHub: boolean): Promise<number> {
    if (isHub) await this.fstp.setOn(false);
    return this.#model.setHub(isHub);
  }

  async setPortVlan(port: number, vlan: number): Promise<number> {
    return this.#settled(this.#model.setPortVlan(port, vlan));
  }

  async createPort(port: number): Promise<number> {
    return this.#model.createPort(port);
  }

  async removePort(port: number): Promise<number> {
    const error = this.#model.removePort(port);
    if (error !== 0) return error;
    this.#traffic.removed(port);
    await this.impairments.forget(port);
    return 0;
  }

  async setAllocatable(port: number, isAllocatable: boolean): Promise<number> {
    return this.#model.setAllocatable(port, isAllocatable);
  }

  async setUser(port: number, who: string): Promise<number> {
    const user = this.#who(who, (name) => this.#accounts.userId(name));
    return user === null ? this.#badName(port) : this.#model.setUser(port, user);
  }

  async setGroup(port: number, who: string): Promise<number> {
    const group = this.#who(who, (name) => this.#accounts.groupId(name));
    return group === null ? this.#badName(port) : this.#model.setGroup(port, group);
  }

  async closeEndpoint(port: number, id: number): Promise<number> {
    if (port < 0 || port > this.#model.portsMax) return ERRNO.EINVAL;
    if (this.#model.endpoint(id)?.port !== port) return ERRNO.ENXIO;
    this.#options.closeEndpoint(id);
    return this.#settled(0);
  }

  async resetCounters(port: number | undefined): Promise<number> {
    if (port !== undefined && (port < 0 || port > this.#model.portsMax)) return ERRNO.EINVAL;
    const cables = cablesOf(await this.#options.thread.counters());
    for (const known of this.#model.ports()) {
      if (port === undefined || port === known.port) this.#traffic.reset(known.port, cables);
    }
    return 0;
  }

  async setDefaultQueue(frames: number): Promise<number> {
    if (frames < 0) return ERRNO.EINVAL;
    this.#queueFrames = Math.min(frames, QUEUE_FRAMES);
    return 0;
  }

  async setQueue(port: number, id: number, frames: number): Promise<number> {
    if (frames < 0 || port < 0 || port > this.#model.portsMax) return ERRNO.EINVAL;
    if (this.#model.endpoint(id)?.port !== port) return ERRNO.ENXIO;
    await this.#tuneQueue(id, Math.min(frames, QUEUE_FRAMES));
    return 0;
  }

  async suspendPort(port: number, isSuspended: boolean): Promise<number> {
    return this.#settled(this.#model.setSuspended(port, isSuspended));
  }

  async vlans(): Promise<readonly VlanInfo[]> {
    const { vlans } = this.#model;
    return vlans.vlans().map((vlan) => ({
      vlan,
      members: this.#model.members(vlan).map(({ port, endpoints }) => {
        const isActive = endpoints.length > 0;
        const isTagged = vlans.untaggedVlan(port) !== vlan;
        const state = vlans.state(vlan, port);
        if (state === PORT_STATE.discarding)
          return { port, isTagged, isActive, state: "Discarding" };
        const forwards = isActive && state === PORT_STATE.forwarding;
        return { port, isTagged, isActive, state: forwards ? "Forwarding" : "Learning" };
      }),
    }));
  }

  async createVlan(vlan: number): Promise<number> {
    return this.#model.createVlan(vlan);
  }

  async removeVlan(vlan: number): Promise<number> {
    return this.#model.removeVlan(vlan);
  }

  async addVlanPort(vlan: number, port: number): Promise<number> {
    return this.#settled(this.#model.addVlanPort(vlan, port));
  }

  async removeVlanPort(vlan: number, port: number): Promise<number> {
    return this.#settled(this.#model.removeVlanPort(vlan, port));
  }

  tableSettings(): TableSettings {
    return this.#table;
  }

  async stations(): Promise<readonly StationInfo[]> {
    return (await this.#options.thread.stations()).map(({ address, vlan, port, ageMs }) => {
      return { address, vlan, port, ageSeconds: Math.floor(ageMs / SECOND_MS) };
    });
  }

  async setTableSize(wanted: number): Promise<number> {
    if (wanted < 1 || wanted > TABLE_SIZE_MAX) return ERRNO.EINVAL;
    const size = this.#powerOfTwo(wanted);
    this.#table = { ...this.#table, size };
    await this.#options.thread.change({
      kind: "tableSize",
      entriesMax: Math.max(size, STATIONS_MIN),
    });
    return 0;
  }

  async setAgeing(seconds: number): Promise<number> {
    this.#table = { ...this.#table, ageingSeconds: seconds };
    await this.#options.thread.tune({ ageingMs: Math.max(seconds, 1) * SECOND_MS });
    return 0;
  }

  async setExpire(seconds: number): Promise<number> {
    this.#table = { ...this.#table, expireSeconds: seconds };
    await this.#options.thread.change({ kind: "expire", expireMs: seconds * SECOND_MS });
    return 0;
  }

  async setMinPersistence(seconds: number): Promise<number> {
    this.#table = { ...this.#table, minPersistenceSeconds: seconds };
    const minPersistenceMs = seconds * SECOND_MS;
    await this.#options.thread.change({ kind: "minPersistence", minPersistenceMs });
    return 0;
  }

  async readScript(path: string): Promise<readonly string[] | number> {
    try {
      // Never waits for the other side of a FIFO.
      const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
      try {
        const status = await file.stat();
        if (status.isDirectory()) return ERRNO.EISDIR;
        if (!status.isFile()) return ERRNO.EINVAL;
        if (status.size > SCRIPT_OCTETS_MAX) return ERRNO.EFBIG;
        const lines = (await file.readFile("utf8")).split("\n");
        if (lines.at(-1) === "") lines.pop();
        return lines;
      } finally {
        await file.close();
      }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      return ERRNO[code as ErrnoName] ?? ERRNO.EIO;
    }
  }

  /** Answers after the packet thread has done what was asked before, its events included. */
  async #settled(error: number): Promise<number> {
    if (error === 0) await this.#options.thread.tune({});
    return error;
  }

  async #tuneQueue(id: number, frames: number): Promise<void> {
    this.#queues.set(id, frames);
    await this.#options.thread.tune({ queue: { id, frames } });
  }

  #powerOfTwo(wanted: number): number {
    const size = 2 ** Math.ceil(Math.log2(wanted));
    if (size !== wanted) {
      this.#options.log(`Hash size must be a power of 2. ${wanted} rounded to ${size}`);
    }
    return size;
  }

  #userName(user: number | undefined): string | undefined {
    return user === undefined ? undefined : (this.#accounts.userName(user) ?? String(user));
  }

  /** @returns undefined: no restriction; null: no such name. */
  #who(text: string, find: (name: string) => number | undefined): number | undefined | null {
    const id = find(text);
    if (id !== undefined) return id;
    const digits = /^\d+/.exec(text)?.[0];
    if (digits !== undefined) return Number(digits) >>> 0;
    return text === "NONE" || text === "ANY" ? undefined : null;
  }

  /** An unknown port is told before an unknown name. */
  #badName(port: number): number {
    const { portsMax } = this.#model;
    const isUnknown = port >= 0 && port <= portsMax && this.#model.port(port) === undefined;
    return isUnknown ? ERRNO.ENXIO : ERRNO.EINVAL;
  }
}

function cablesOf(counters: SwitchCounters): readonly CableTraffic[] {
  return counters.endpoints;
}
