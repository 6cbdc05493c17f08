/**
 * The learning switch: decides where each frame goes. It knows no sockets and no clock; whoever
 * carries the frames (plugs/switch-dataplane.ts, a test, a simulation) asks it with a batch and the
 * time. Ports count from 1; port 0 is the management port: it is never given out and a hub does not
 * flood it.
 *
 * Inside the switch frames are untagged: a tag is taken off when a frame enters and put on when it
 * leaves by a tagged port. As long as every port is in VLAN 0 nothing is decided per frame but
 * whether it has a tag. A hub repeats frames with their tags.
 *
 * The spanning tree (fstp.ts) is told of ports and VLANs and sets the states of their members in
 * the table of VLANs; while it is on, BPDUs end here. Off, it costs a frame one comparison.
 */
import type { FramePool } from "../base/index.ts";
import {
  insertVlanTag,
  isBpduAddress,
  stripVlanTag,
  tagControlAt,
  VLAN_TAG_OCTETS,
} from "../wire/index.ts";
import { MacTable, type MacTableOptions } from "./mac-table.ts";
import { DROPPED, SwitchDrops } from "./drops.ts";
import { Fstp, type FstpEvent, type FstpOptions } from "./fstp.ts";
import type { Mirror } from "./mirrors.ts";
import { PORT_STATE, VLAN_DEFAULT, VLAN_NONE, type VlanChange, VlanTable } from "./vlans.ts";

/** To every port but the one it came from. */
export const FLOOD = -1;
/** To nobody; the reason is counted. */
export const DROP = -2;

/** Shorter cannot hold two addresses and a type. */
export const FRAME_OCTETS_MIN = 14;
/**
 * Shortest frame on a wire less its checksum (IEEE 802.3 §4A.4.2); shorter ones are padded with
 * zeros.
 */
export const FRAME_OCTETS_PADDED = 60;

/** Ports of a switch unless said otherwise, as vde_switch. */
export const PORTS_DEFAULT = 32;
export const PORTS_MAX = 4096;

export interface SwitchOptions extends MacTableOptions {
  /** Highest port number (32). */
  readonly ports?: number;
  /** Repeats every frame everywhere and learns nothing (false). */
  readonly isHub?: boolean;
  /** A hub for datagrams of any form: short ones are neither dropped nor padded (false). */
  readonly isBus?: boolean;
  /** Identity in the spanning tree; without it there is none, and BPDUs are ordinary frames. */
  readonly fstp?: FstpOptions;
}

/** What a switch says by itself, to whoever carries its frames. */
export interface SwitchOutlet {
  /** Sends a frame of the switch's own out of a port, as it is; valid until the call returns. */
  readonly send: (port: number, frame: Uint8Array) => void;
  readonly event?: (event: FstpEvent) => void;
}

/** A change of a running switch, from the control plane to the packet path. Plain data. */
export type SwitchChange =
  | { readonly kind: "vlan"; readonly change: VlanChange }
  | { readonly kind: "ports"; readonly ports: number }
  | { readonly kind: "hub"; readonly isHub: boolean }
  | { readonly kind: "flushPort"; readonly port: number }
  | { readonly kind: "flushVlan"; readonly vlan: number }
  /** All there are. */
  | { readonly kind: "mirrors"; readonly mirrors: readonly Mirror[] }
  /** A new, empty table. */
  | { readonly kind: "tableSize"; readonly entriesMax: number }
  | { readonly kind: "expire"; readonly expireMs: number }
  | { readonly kind: "minPersistence"; readonly minPersistenceMs: number };

/** Whether frames to this address are for many: the group bit (IEEE 802 §8.2.2). */
const GROUP_BIT = 1;
/** Where the type of a frame stands; a C-tag's is 0x8100. */
const TYPE_AT = 12;
const TAG_TYPE_HIGH = 0x81;
const VLAN_MASK = 0xfff;
/** The forwarding decisions of one switch; the table ages by the time it is told. */
export class Switch {
  readonly vlans: VlanTable;
  readonly drops = new SwitchDrops();
  readonly #options: SwitchOptions;
  #ports: number;
  #table: MacTable;
  #isHub: boolean;
  readonly #isBus: boolean;
  /** The spanning tree; undefined: the switch has no identity. */
  readonly fstp: Fstp | undefined;
  /** Who sends for the switch; set by the owner before cables are plugged in. */
  outlet: SwitchOutlet = { send: () => undefined };
  /** Ports with a cable. */
  readonly #plugged = new Set<number>();
  /** BPDUs are taken out of the path. */
  #takesBpdus = false;

  constructor(options: SwitchOptions = {}) {
    this.#options = options;
    this.#ports = options.ports ?? PORTS_DEFAULT;
    this.#isBus = options.isBus ?? false;
    this.#isHub = options.isHub ?? this.#isBus;
    this.#table = new MacTable(options);
    this.vlans = new VlanTable(this.#ports);
    if (options.fstp === undefined) return;
    this.fstp = new Fstp(options.fstp, {
      send: (port, frame) => this.outlet.send(port, frame),
      setState: (vlan, port, state) => this.vlans.apply({ kind: "state", vlan, port, state }),
      flush: (vlan) => this.#table.forgetVlan(vlan),
      event: (event) => this.outlet.event?.(event),
    });
    this.fstp.addVlan(VLAN_DEFAULT, 0);
  }

  /** Switches the spanning tree on or off. @returns false: a hub has none. */
  setFstp(isOn: boolean, nowMs: number): boolean {
    if (this.fstp === undefined || (isOn && this.#isHub)) return false;
    this.fstp.setOn(isOn, nowMs);
    this.#takesBpdus = isOn;
    return true;
  }

  /** The first cable of a port was plugged in. */
  portUp(port: number, nowMs: number): void {
    this.#plugged.add(port);
    this.#syncFstp(nowMs);
  }

  /** The last cable of a port was pulled: its stations are gone. */
  portDown(port: number, nowMs: number): void {
    this.#table.forgetPort(port);
    this.#plugged.delete(port);
    this.#syncFstp(nowMs, port);
  }

  /** Tells the spanning tree which ports with a cable are in which VLANs. */
  #syncFstp(nowMs: number, pulled?: number): void {
    const { fstp, vlans } = this;
    if (fstp === undefined) return;
    const known = vlans.vlans();
    for (const vlan of fstp.vlans()) if (!vlans.exists(vlan)) fstp.removeVlan(vlan);
    for (const vlan of known) fstp.addVlan(vlan, nowMs);
    const ports = pulled === undefined ? this.#plugged : [...this.#plugged, pulled];
    for (const port of ports) {
      const isPlugged = this.#plugged.has(port) && !vlans.isSuspended(port);
      for (const vlan of known) {
        const isMember = isPlugged && vlans.isMember(vlan, port);
        const isTagged = vlans.untaggedVlan(port) !== vlan;
        const wanted = isMember ? (isTagged ? "tagged" : "untagged") : undefined;
        if (fstp.membership(vlan, port) === wanted) continue;
        if (wanted === undefined) fstp.removePort(vlan, port, nowMs);
        else fstp.addPort(vlan, port, isTagged, nowMs);
      }
    }
  }

  /** Highest port number. */
  get ports(): number {
    return this.#ports;
  }

  get isHub(): boolean {
    return this.#isHub;
  }

  get table(): MacTable {
    return this.#table;
  }

  /** Whether `decideBatch` says a tag for each frame: a VLAN is in use, and this is no hub. */
  get usesVlans(): boolean {
    return !this.#isHub && !this.#isBus && !this.vlans.isPlain;
  }

  /** Changes the running switch. */
  apply(change: SwitchChange, nowMs: number): void {
    switch (change.kind) {
      case "vlan":
        this.vlans.apply(change.change);
        this.#syncFstp(nowMs);
        break;
      case "ports":
        this.#ports = change.ports;
        this.vlans.apply(change);
        break;
      case "hub":
        if (change.isHub) this.setFstp(false, nowMs);
        this.#isHub = change.isHub;
        break;
      case "flushPort":
        this.#table.forgetPort(change.port);
        break;
      case "flushVlan":
        this.#table.forgetVlan(change.vlan);
        break;
      case "mirrors":
        // Nothing is decided by them: whoever carries the frames makes the copies.
        break;
      case "tableSize":
        this.#resizeTable(change.entriesMax);
        break;
      case "expire":
        this.#table.expireMs = change.expireMs;
        break;
      case "minPersistence":
        this.#table.minPersistenceMs = change.minPersistenceMs;
        break;
    }
  }

  #resizeTable(entriesMax: number): void {
    const old = this.#table;
    old.clear();
    const { expireMs, minPersistenceMs } = old;
    this.#table = new MacTable({ ...this.#options, entriesMax, expireMs, minPersistenceMs });
    this.#table.onChange = old.onChange;
    this.#table.moved = old.moved;
    this.#table.refused = old.refused;
  }

  /**
   * Decides for the frames in `slots[0 … count)`, all received at `port`, pads short ones and takes
   * tags off.
   * @param targets receives for each frame a port, FLOOD or DROP.
   * @param controls receives for each frame that is not dropped the 16 bits of its tag: the VLAN,
   *   and the priority if it came with one. To be used if `usesVlans` afterwards.
   */
  decideBatch(
    pool: FramePool,
    slots: Int32Array,
    count: number,
    port: number,
    nowMs: number,
    targets: Int32Array,
    controls: Int32Array,
  ): void {
    if (this.#isBus) {
      targets.fill(FLOOD, 0, count);
      return;
    }
    let usesVlans = this.usesVlans;
    for (let i = 0; i < count; i++) {
      const slot = slots[i]!;
      const length = pool.length[slot]!;
      if (length < FRAME_OCTETS_MIN) {
        this.drops.count(DROPPED.short, port);
        targets[i] = DROP;
        continue;
      }
      const start = pool.start[slot]!;
      if (this.#takesBpdus && isBpduAddress(pool.octets, start)) {
        this.#takeBpdu(pool.frame(slot), port, nowMs);
        targets[i] = DROP;
        // It may have stopped ports, or let the last one go.
        usesVlans = this.usesVlans;
        continue;
      }
      if (length < FRAME_OCTETS_PADDED) pad(pool, slot);
      if (usesVlans || (pool.octets[start + TYPE_AT] === TAG_TYPE_HIGH && !this.#isHub)) {
        const control = this.#enter(pool, slot, port);
        controls[i] = control;
        targets[i] = control < 0 ? DROP : this.#decideVlan(pool, slot, port, nowMs, control);
      } else {
        controls[i] = VLAN_DEFAULT;
        targets[i] = this.decide(pool.octets, start, port, nowMs);
      }
    }
  }

  /** A BPDU belongs to the VLAN of its tag or of its port. */
  #takeBpdu(frame: Uint8Array, port: number, nowMs: number): void {
    const control = tagControlAt(frame, 0, frame.length);
    const vlan = control < 0 ? this.vlans.untaggedVlan(port) : control & VLAN_MASK;
    this.fstp!.receive(port, vlan, frame, nowMs);
  }

  /** Takes the tag off. @returns its 16 bits, those of the port's VLAN, or -1: not admitted. */
  #enter(pool: FramePool, slot: number, port: number): number {
    if (this.vlans.isSuspended(port)) {
      this.drops.count(DROPPED.suspended, port);
      return -1;
    }
    const start = pool.start[slot]!;
    const control = tagControlAt(pool.octets, start, pool.length[slot]!);
    if (control < 0) {
      const vlan = this.vlans.untaggedVlan(port);
      if (vlan !== VLAN_NONE) return vlan;
      this.drops.count(DROPPED.vlan, port);
      return -1;
    }
    if (!this.vlans.isMember(control & VLAN_MASK, port)) {
      this.drops.count(DROPPED.vlan, port);
      return -1;
    }
    pool.start[slot] = stripVlanTag(pool.octets, start);
    pool.length[slot]! -= VLAN_TAG_OCTETS;
    if (pool.length[slot]! < FRAME_OCTETS_PADDED) pad(pool, slot);
    return control;
  }

  #decideVlan(pool: FramePool, slot: number, port: number, nowMs: number, control: number): number {
    const vlan = control & VLAN_MASK;
    const state = this.vlans.state(vlan, port);
    if (state === PORT_STATE.discarding) {
      this.drops.count(DROPPED.vlan, port);
      return DROP;
    }
    const target = this.decide(pool.octets, pool.start[slot]!, port, nowMs, vlan);
    if (state === PORT_STATE.learning && target !== DROP) {
      this.drops.count(DROPPED.vlan, port);
      return DROP;
    }
    return target;
  }

  /**
   * Decides for one untagged frame of at least 14 octets that starts at `octets[start]`.
   * @returns a port, FLOOD or DROP.
   */
  decide(
    octets: Uint8Array,
    start: number,
    port: number,
    nowMs: number,
    vlan: number = VLAN_DEFAULT,
  ): number {
    if (this.#isHub) return FLOOD;
    const source = octets[start + 6]!;
    if ((source & GROUP_BIT) === 0) {
      this.#table.learn(
        (source << 8) | octets[start + 7]!,
        (octets[start + 8]! << 24) |
          (octets[start + 9]! << 16) |
          (octets[start + 10]! << 8) |
          octets[start + 11]!,
        vlan,
        port,
        nowMs,
      );
    }
    const target = octets[start]!;
    if ((target & GROUP_BIT) !== 0) return FLOOD;
    const found = this.#table.lookUp(
      (target << 8) | octets[start + 1]!,
      (octets[start + 2]! << 24) |
        (octets[start + 3]! << 16) |
        (octets[start + 4]! << 8) |
        octets[start + 5]!,
      vlan,
      nowMs,
    );
    if (found === port) {
      this.drops.count(DROPPED.ownPort, port);
      return DROP;
    }
    return found;
  }
}

/** Lengthens a short frame with zeros. */
function pad(pool: FramePool, slot: number): void {
  const start = pool.start[slot]!;
  pool.octets.fill(0, start + pool.length[slot]!, start + FRAME_OCTETS_PADDED);
  pool.length[slot] = FRAME_OCTETS_PADDED;
}

/** Puts a tag on a frame that nobody else holds; the pool has room in front of it. */
export function tagFrame(pool: FramePool, slot: number, control: number): void {
  pool.start[slot] = insertVlanTag(pool.octets, pool.start[slot]!, control);
  pool.length[slot]! += VLAN_TAG_OCTETS;
}

/**
 * A copy of a frame, with a tag, in a slot of its own. @returns the slot, or -1 when none is free.
 */
export function copyTagged(pool: FramePool, slot: number, control: number): number {
  const copy = pool.take();
  if (copy < 0) return -1;
  pool.copy(slot, copy);
  tagFrame(pool, copy, control);
  return copy;
}
