/**
 * How a running switch is managed: plain data out, errno values as results (0: done). The console,
 * a JSON console, metrics and tests ask the same interface; a server answers it (plugs).
 */
import type { DropCounts } from "./drops.ts";
import type { EventCategory, SwitchEvent } from "./events.ts";
import type { ImpairmentSettings } from "./impairment.ts";
import type { Mirror } from "./mirrors.ts";
import type { TapScope } from "./taps.ts";

/** 0, or the errno that says why not (base/errno.ts). */
export type Errno = number;

export interface SwitchInfo {
  readonly pid: number;
  /** "00:ff:…". */
  readonly mac: string;
  readonly uptimeSeconds: number;
  /** The management socket, when there is one. */
  readonly management: { readonly path: string; readonly mode: number } | undefined;
  /** Directory of the switch. */
  readonly directory: string;
  /** Mode of its sockets. */
  readonly mode: number;
}

export interface EndpointInfo {
  /** Unique in the life of the switch. */
  readonly id: number;
  /** What plugged it: "unix prog", "tuntap", or the scheme of a plug of our own. */
  readonly module: string;
  readonly description: string;
  /** Frames that wait to leave, and how many may. */
  readonly queued: number;
  readonly queueFrames: number;
  /** Frames that it did not take. */
  readonly dropped: number;
}

/** Frames and octets at a port since it was made or its counters were reset. */
export interface PortTraffic {
  readonly framesIn: number;
  readonly octetsIn: number;
  readonly framesOut: number;
  readonly octetsOut: number;
}

/** Frames of a port that went nowhere, by reason. */
export interface PortDrops extends DropCounts {
  /** Not sent out of the port: as many as may wait for its cables waited. */
  readonly full: number;
  /** Not sent out of the port: its cable takes nothing any more. */
  readonly stuck: number;
}

export interface PortInfo {
  readonly port: number;
  readonly untaggedVlan: number;
  readonly isAllocatable: boolean;
  /** Names, or numbers without a name; undefined: nobody, or no restriction. */
  readonly currentUser: string | undefined;
  readonly user: string | undefined;
  readonly group: string | undefined;
  readonly isSuspended: boolean;
  readonly traffic: PortTraffic;
  /** Since the port was made; `port/resetcounter` leaves them. */
  readonly drops: PortDrops;
  /** The newest first. */
  readonly endpoints: readonly EndpointInfo[];
}

export interface VlanMember {
  readonly port: number;
  readonly isTagged: boolean;
  readonly isActive: boolean;
  readonly state: "Discarding" | "Learning" | "Forwarding";
}

export interface VlanInfo {
  readonly vlan: number;
  readonly members: readonly VlanMember[];
}

export interface PortSettings {
  readonly ports: number;
  readonly isHub: boolean;
  /** Frames that may wait for a cable plugged in from now on. */
  readonly queueFrames: number;
}

export interface TableSettings {
  readonly size: number;
  readonly ageingSeconds: number;
  readonly expireSeconds: number;
  readonly minPersistenceSeconds: number;
}

export interface StationInfo {
  /** Six octets as a number below 2^48. */
  readonly address: number;
  readonly vlan: number;
  readonly port: number;
  readonly ageSeconds: number;
}

export interface FstpVlanInfo {
  readonly vlan: number;
  readonly isRootSwitch: boolean;
  /** Eight octets each, as "80:00:00:ff:…". */
  readonly root: string;
  readonly designated: string;
  readonly rootPort: number;
  readonly cost: number;
  readonly ageSeconds: number;
  readonly bonusPort: number;
  readonly bonusCost: number;
  readonly ports: readonly {
    readonly port: number;
    readonly isTagged: boolean;
    readonly cost: number;
    readonly role: string;
  }[];
}

/** The fast spanning tree of a switch. */
export interface FstpManagement {
  info(): { readonly mac: string; readonly priority: number; readonly isOn: boolean };
  setOn(isOn: boolean): Promise<Errno>;
  setEdge(vlan: number, port: number, isEdge: boolean): Promise<Errno>;
  setBonus(vlan: number, port: number, cost: number): Promise<Errno>;
  vlans(): Promise<readonly FstpVlanInfo[]>;
}

/** A word of the console that a plugin added. */
export interface PluginCommand {
  readonly path: string;
  readonly syntax: string;
  readonly help: string;
  /** Answers with lines of a data block. */
  readonly hasData: boolean;
  /** A heading of the help, not to be called. */
  readonly isMenu: boolean;
}

export interface PluginInfo {
  readonly name: string;
  readonly help: string;
  readonly commands: readonly PluginCommand[];
  readonly categories: readonly EventCategory[];
}

/** What plugins did not get, and what they did wrong. */
export interface PluginCounters {
  /** Copies of frames that came faster than plugins took them. */
  readonly framesDropped: number;
  /** Times a plugin threw. */
  readonly failures: number;
}

export interface PluginAnswer {
  readonly error: Errno;
  readonly lines: readonly string[];
}

/** Programs loaded into a switch. */
export interface PluginManagement {
  /** The same array until a plugin comes or goes. */
  list(): readonly PluginInfo[];
  /** Loads one by its name or the path of a file. */
  add(name: string): Promise<Errno>;
  /** Unloads the first whose name begins so. */
  remove(name: string): Promise<Errno>;
  run(path: string, argument: string): Promise<PluginAnswer>;
  counters(): PluginCounters;
}

/** A mirror and what it did. */
export interface MirrorInfo extends Mirror {
  /** Copies queued for the target. */
  readonly copied: number;
  /** Copies lost: too many waited for the target. */
  readonly droppedFull: number;
  /** Copies lost: the target had no cable, or one that takes nothing any more. */
  readonly droppedAbsent: number;
}

/** Ports and VLANs whose frames are copied to another port. */
export interface MirrorManagement {
  list(): Promise<readonly MirrorInfo[]>;
  /** Makes a mirror, or gives one that exists another direction. */
  add(scope: TapScope, target: number): Promise<Errno>;
  /** @param target undefined: whichever. */
  remove(scope: Pick<TapScope, "port" | "vlan">, target: number | undefined): Promise<Errno>;
}

/** A capture that runs, and what became of the frames it saw. */
export interface CaptureInfo {
  readonly id: number;
  /** File or FIFO. */
  readonly path: string;
  readonly scope: TapScope;
  readonly written: number;
  /** Lost because they came faster than they could be written. */
  readonly dropped: number;
  /** Lost because nobody read the FIFO, or the file took no more. */
  readonly unread: number;
}

/** Captures of a running switch. */
export interface CaptureManagement {
  list(): readonly CaptureInfo[];
  /**
   * @param isForOneReader of a FIFO: the capture ends when its first reader leaves.
   * @returns its number, or an errno below zero.
   */
  start(path: string, scope: TapScope, isForOneReader: boolean): Promise<number>;
  /** Ends it after what was seen is written. @returns what it did. */
  stop(id: number): Promise<CaptureInfo | Errno>;
}

/** How the frames of a port are impaired, and what became of those of its present cables. */
export interface ImpairmentInfo extends ImpairmentSettings {
  readonly port: number;
  readonly lost: number;
  /** Lost because too many were under way. */
  readonly overflowed: number;
  readonly underWay: number;
}

/** Ports whose cables are made worse on purpose. */
export interface ImpairmentManagement {
  list(): Promise<readonly ImpairmentInfo[]>;
  /** @param settings undefined: no longer; frames under way are lost. */
  set(port: number, settings: ImpairmentSettings | undefined): Promise<Errno>;
  /** The port was removed. */
  forget(port: number): Promise<void>;
}

export interface SwitchManagement {
  readonly fstp: FstpManagement;
  readonly plugins: PluginManagement;
  readonly mirrors: MirrorManagement;
  readonly captures: CaptureManagement;
  readonly impairments: ImpairmentManagement;
  info(): SwitchInfo;

  portSettings(): PortSettings;
  /** Ports that were made, in order of their numbers. */
  ports(): Promise<readonly PortInfo[]>;
  setPorts(ports: number): Promise<Errno>;
  setHub(isHub: boolean): Promise<Errno>;
  setPortVlan(port: number, vlan: number): Promise<Errno>;
  /** @param port 0: the lowest free number. @returns the number, or an errno below zero. */
  createPort(port: number): Promise<number>;
  removePort(port: number): Promise<Errno>;
  setAllocatable(port: number, isAllocatable: boolean): Promise<Errno>;
  /** @param who name, number, or "NONE" or "ANY" for no restriction. */
  setUser(port: number, who: string): Promise<Errno>;
  setGroup(port: number, who: string): Promise<Errno>;
  closeEndpoint(port: number, id: number): Promise<Errno>;
  /** @param port undefined: all. */
  resetCounters(port: number | undefined): Promise<Errno>;
  setDefaultQueue(frames: number): Promise<Errno>;
  setQueue(port: number, id: number, frames: number): Promise<Errno>;
  suspendPort(port: number, isSuspended: boolean): Promise<Errno>;

  vlans(): Promise<readonly VlanInfo[]>;
  createVlan(vlan: number): Promise<Errno>;
  removeVlan(vlan: number): Promise<Errno>;
  addVlanPort(vlan: number, port: number): Promise<Errno>;
  removeVlanPort(vlan: number, port: number): Promise<Errno>;

  tableSettings(): TableSettings;
  stations(): Promise<readonly StationInfo[]>;
  setTableSize(size: number): Promise<Errno>;
  setAgeing(seconds: number): Promise<Errno>;
  setExpire(seconds: number): Promise<Errno>;
  setMinPersistence(seconds: number): Promise<Errno>;

  /** Lines of a file of commands, or the errno why it cannot be read. */
  readScript(path: string): Promise<readonly string[] | Errno>;
  /**
   * Tells a listener of the events of these categories, and no longer of others; an empty set ends
   * it.
   */
  listen(listener: (event: SwitchEvent) => void, categories: ReadonlySet<string>): void;
}
