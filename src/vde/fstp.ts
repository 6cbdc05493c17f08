/**
 * FSTP, the fast spanning tree of VDE: one tree per VLAN (fstp-tree.ts), one bridge identity, one
 * hello timer. Sans I/O: BPDUs and the time come in, actions go out. The owner calls `poll` when
 * `nextMs` has come.
 */
import { V2Error } from "../base/index.ts";
import {
  BPDU_FRAME_OCTETS,
  BpduView,
  type BridgeId,
  bridgeId,
  emitBpdu,
  type MacAddress,
  parseBpdu,
  VLAN_ID_MAX,
  VLAN_TAG_OCTETS,
} from "../wire/index.ts";
import { type FstpPort, HELLO_MS, type PortRole } from "./fstp-port.ts";
import { FstpTree, type TreeActions } from "./fstp-tree.ts";
import type { PortState } from "./vlans.ts";

/** Priority of a bridge unless said otherwise; the lowest becomes root. */
export const PRIORITY_DEFAULT = 0x8000;
/**
 * Sent in every BPDU, as vde_switch sends it; nobody acts on it: silence (INFO_MS) and the cost end
 * old news.
 */
const MAX_AGE_S = (10 * HELLO_MS) / 1000;
const AGE_S_MAX = 0xffff;

export interface FstpOptions {
  /** Address of the switch: second half of its identity, source of its BPDUs. */
  readonly address: MacAddress;
  /** First half of its identity, 0 … 65535 (32768). */
  readonly priority?: number;
}

/** What is worth a line on the debug console. */
export type FstpEvent =
  | {
      readonly kind: "peer";
      readonly vlan: number;
      readonly port: number;
      readonly isActive: boolean;
    }
  | {
      readonly kind: "status";
      readonly vlan: number;
      readonly port: number;
      readonly state: PortState;
    }
  | {
      readonly kind: "root";
      readonly vlan: number;
      readonly port: number;
      readonly root: BridgeId;
    };

/** What the owner does for the protocol. */
export interface FstpActions {
  /** Sends a whole frame out of a port; it is valid until the call returns. */
  readonly send: (port: number, frame: Uint8Array) => void;
  /** From now on the port learns and forwards in this VLAN as the state says. */
  readonly setState: (vlan: number, port: number, state: PortState) => void;
  /** Forgets the stations of a VLAN. */
  readonly flush: (vlan: number) => void;
  readonly event?: (event: FstpEvent) => void;
}

/** BPDUs counted by what became of them. */
export interface FstpCounters {
  received: number;
  sent: number;
  /** Neither version nor type of ours, or cut. */
  bad: number;
  /** For a VLAN or port that is not there, an edge port, or our own echo. */
  unused: number;
}

/** One port of a tree, for listings. */
export interface FstpPortStatus {
  readonly port: number;
  readonly isTagged: boolean;
  readonly cost: number;
  readonly role: PortRole;
  readonly state: PortState;
  /** A bridge was heard there lately. */
  readonly isPeer: boolean;
}

/** One tree, for listings. */
export interface FstpTreeStatus {
  readonly vlan: number;
  readonly isRoot: boolean;
  readonly root: BridgeId;
  readonly designated: BridgeId;
  /** 0: this bridge is the root. */
  readonly rootPort: number;
  readonly rootCost: number;
  /** Since the root was last heard of; since ever when this bridge is the root. */
  readonly ageS: number;
  readonly bonusPort: number;
  readonly bonusCost: number;
  readonly changes: number;
  /** BPDUs put off because a port had sent too many. */
  readonly held: number;
  readonly ports: readonly FstpPortStatus[];
}

/** Everything, for listings. Plain data. */
export interface FstpStatus {
  readonly isOn: boolean;
  readonly bridge: BridgeId;
  readonly counters: Readonly<FstpCounters>;
  readonly trees: readonly FstpTreeStatus[];
}

/** The protocol at one switch. */
export class Fstp {
  readonly address: MacAddress;
  readonly priority: number;
  readonly bridge: BridgeId;
  readonly counters: FstpCounters = { received: 0, sent: 0, bad: 0, unused: 0 };
  readonly #actions: FstpActions;
  readonly #treeActions: TreeActions;
  readonly #trees = new Map<number, FstpTree>();
  readonly #edges = new Set<string>();
  readonly #frame = new Uint8Array(BPDU_FRAME_OCTETS + VLAN_TAG_OCTETS);
  #isOn = false;
  #helloMs = Number.POSITIVE_INFINITY;
  #nextMs = Number.POSITIVE_INFINITY;

  /** Throws V2Error FIELD_RANGE or ADDRESS_LENGTH for an impossible identity. */
  constructor(options: FstpOptions, actions: FstpActions) {
    this.address = options.address.slice();
    this.priority = options.priority ?? PRIORITY_DEFAULT;
    this.bridge = bridgeId(this.priority, this.address);
    this.#actions = actions;
    this.#treeActions = {
      send: (tree, port, flags, nowMs) => this.#send(tree, port, flags, nowMs),
      setState: (vlan, port, state) => {
        actions.setState(vlan, port, state);
        actions.event?.({ kind: "status", vlan, port, state });
      },
      flush: actions.flush,
      peer: (vlan, port, isActive) => actions.event?.({ kind: "peer", vlan, port, isActive }),
      root: (vlan, port, root) => actions.event?.({ kind: "root", vlan, port, root }),
    };
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** When `poll` is due, on the clock of `nowMs`; infinite while off. */
  get nextMs(): number {
    return this.#nextMs;
  }

  /** Switches the protocol on or off; off, every port forwards and BPDUs are ordinary frames. */
  setOn(isOn: boolean, nowMs: number): void {
    if (isOn === this.#isOn) return;
    this.#isOn = isOn;
    this.#helloMs = isOn ? nowMs + HELLO_MS : Number.POSITIVE_INFINITY;
    for (const tree of this.#trees.values()) {
      if (isOn) tree.start(nowMs);
      else tree.stop();
    }
    this.#schedule();
  }

  /** A VLAN comes to be; nothing happens when it is there. Throws V2Error VLAN_RANGE. */
  addVlan(vlan: number, nowMs: number): void {
    if (this.#trees.has(vlan)) return;
    if (!Number.isInteger(vlan) || vlan < 0 || vlan > VLAN_ID_MAX) {
      throw new V2Error("VLAN_RANGE", `VLAN ${vlan} is not from 0 to ${VLAN_ID_MAX}`, {
        remedy: "VLAN identifiers have twelve bits; the last one is reserved.",
      });
    }
    const tree = new FstpTree(vlan, this.bridge, this.#treeActions);
    this.#trees.set(vlan, tree);
    if (this.#isOn) tree.start(nowMs);
  }

  /**
   * A port with a cable becomes a member of a VLAN, or changes between tagged and untagged. Throws
   * V2Error VLAN_RANGE.
   */
  addPort(vlan: number, port: number, isTagged: boolean, nowMs: number): void {
    this.addVlan(vlan, nowMs);
    this.#trees.get(vlan)!.add(port, isTagged, this.#edges.has(edgeKey(vlan, port)), nowMs);
    this.#schedule();
  }

  /** VLANs that have a tree. */
  vlans(): number[] {
    return [...this.#trees.keys()];
  }

  /** How a port is a member of a VLAN's tree; undefined: it is none. */
  membership(vlan: number, port: number): "tagged" | "untagged" | undefined {
    const member = this.#trees.get(vlan)?.ports.get(port);
    if (member === undefined) return undefined;
    return member.isTagged ? "tagged" : "untagged";
  }

  /** A port leaves a VLAN, or its last cable is pulled. */
  removePort(vlan: number, port: number, nowMs: number): void {
    this.#trees.get(vlan)?.remove(port, nowMs);
    this.#schedule();
  }

  /** A VLAN is no more. */
  removeVlan(vlan: number): void {
    this.#trees.delete(vlan);
    this.#schedule();
  }

  /**
   * An edge port speaks to no bridge and always forwards; that is remembered for a port that is not
   * plugged in.
   */
  setEdge(vlan: number, port: number, isEdge: boolean, nowMs: number): void {
    if (isEdge) this.#edges.add(edgeKey(vlan, port));
    else this.#edges.delete(edgeKey(vlan, port));
    this.#trees.get(vlan)?.setEdge(port, isEdge, nowMs);
    this.#schedule();
  }

  /** Makes the way through one port of a VLAN cheaper. @returns false: no such VLAN. */
  setBonus(vlan: number, port: number, cost: number, nowMs: number): boolean {
    const tree = this.#trees.get(vlan);
    tree?.setBonus(port, cost, nowMs);
    this.#schedule();
    return tree !== undefined;
  }

  /**
   * Takes a frame that came for the bridge group address; any octets will do.
   * @param vlan where the frame belongs, by its tag or its port.
   */
  receive(port: number, vlan: number, octets: Uint8Array, nowMs: number): void {
    this.counters.received++;
    const view = BpduView.over(octets);
    const bpdu = view === undefined ? undefined : parseBpdu(view);
    if (bpdu === undefined) {
      this.counters.bad++;
      return;
    }
    const tree = this.#trees.get(vlan);
    if (tree === undefined || !tree.receive(port, bpdu, nowMs)) this.counters.unused++;
    this.#schedule();
  }

  /** Does what is due by now. @returns when it wants to be called again. */
  poll(nowMs: number): number {
    if (nowMs < this.#nextMs) return this.#nextMs;
    for (const tree of this.#trees.values()) tree.poll(nowMs);
    if (nowMs >= this.#helloMs) {
      for (const tree of this.#trees.values()) tree.hello(nowMs);
      // A late hello does not make the next one early.
      this.#helloMs = nowMs + HELLO_MS;
    }
    this.#schedule();
    return this.#nextMs;
  }

  status(nowMs: number): FstpStatus {
    const { isOn, bridge, counters } = this;
    const trees = [...this.#trees.values()].map((tree) => treeStatus(tree, nowMs));
    trees.sort((a, b) => a.vlan - b.vlan);
    return { isOn, bridge, counters: { ...counters }, trees };
  }

  #schedule(): void {
    let next = this.#helloMs;
    for (const tree of this.#trees.values()) next = Math.min(next, tree.nextMs());
    this.#nextMs = next;
  }

  #send(tree: FstpTree, port: FstpPort, flags: number, nowMs: number): void {
    const length = emitBpdu(
      {
        source: this.address,
        vlan: port.isTagged ? tree.vlan : undefined,
        flags,
        root: tree.root,
        rootCost: tree.rootCost,
        bridge: this.bridge,
        port: port.portId,
        ageS: tree.rootPort === 0 ? 0 : Math.min(AGE_S_MAX, ageS(tree, nowMs)),
        maxAgeS: MAX_AGE_S,
        helloS: HELLO_MS / 1000,
        forwardDelayS: 0,
      },
      this.#frame,
    );
    this.counters.sent++;
    this.#actions.send(port.number, this.#frame.subarray(0, length));
  }
}

function edgeKey(vlan: number, port: number): string {
  return `${vlan}/${port}`;
}

/** Whole seconds since the root was heard of. */
function ageS(tree: FstpTree, nowMs: number): number {
  const since = tree.ports.get(tree.rootPort)?.infoMs ?? 0;
  return Math.max(0, Math.floor((nowMs - since) / 1000));
}

function treeStatus(tree: FstpTree, nowMs: number): FstpTreeStatus {
  const { vlan, root, designated, rootPort, rootCost, bonusPort, bonusCost, changes, held } = tree;
  const ports = [...tree.ports.values()].map((port) => ({
    port: port.number,
    isTagged: port.isTagged,
    cost: port.cost,
    role: port.role,
    state: port.state,
    isPeer: port.isPeer,
  }));
  ports.sort((a, b) => a.port - b.port);
  return {
    vlan,
    isRoot: rootPort === 0,
    root,
    designated,
    rootPort,
    rootCost,
    ageS: ageS(tree, nowMs),
    bonusPort,
    bonusCost,
    changes,
    held,
    ports,
  };
}
