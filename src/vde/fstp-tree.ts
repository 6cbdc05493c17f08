/**
 * The spanning tree of one VLAN at one bridge: who is root, which role each port has, and which
 * ports may forward. After IEEE 802.1D-2004 §17, in the BPDUs of vde_switch.
 *
 * Why no loop stands: vectors get worse along every forwarding cable away from the root. A
 * designated port with a bridge at its other end forwards only after that bridge agreed, that is,
 * said that its own vector is worse and that its other ports are in step; it stops when our vector
 * gets worse. A root port forwards at once, after the others were stopped. Everything else that was
 * heard discards. Sent BPDUs and changes of state are actions of the owner; time comes in.
 */
import { type Bpdu, BPDU_FLAG, type BridgeId } from "../wire/index.ts";
import {
  CHANGE_HOLD_MS,
  FstpPort,
  INFO_MS,
  isAgreement,
  isClaim,
  isForwarding,
  PEER_MS,
  type PortRole,
  PROBE_MS,
  SEEK_MS,
  STEP_MS,
} from "./fstp-port.ts";
import { compareVectors, PORT_COST_MIN, ROOT_COST_MAX, type Vector } from "./fstp-vector.ts";
import { PORT_STATE, type PortState } from "./vlans.ts";

/** What a tree asks of its owner. */
export interface TreeActions {
  /** Sends a BPDU with these flags and the tree's present vector. */
  readonly send: (tree: FstpTree, port: FstpPort, flags: number, nowMs: number) => void;
  readonly setState: (vlan: number, port: number, state: PortState) => void;
  /** Stations of the VLAN may have moved: forget them. */
  readonly flush: (vlan: number) => void;
  /** A bridge is heard at a port for the first time, or no more. */
  readonly peer: (vlan: number, port: number, isActive: boolean) => void;
  /** Another root, or another way to it. */
  readonly root: (vlan: number, rootPort: number, root: BridgeId) => void;
}

/** No bridge is designated above a root (as vde_switch shows it). */
const NOBODY: BridgeId = "ffffffffffffffff";

/** One VLAN's tree at this bridge. */
export class FstpTree {
  readonly vlan: number;
  readonly bridge: BridgeId;
  readonly ports = new Map<number, FstpPort>();
  root: BridgeId;
  rootCost = 0;
  /** 0: this bridge is the root. */
  rootPort = 0;
  /** Bridge at the other end of the root port. */
  designated: BridgeId = NOBODY;
  bonusPort = 0;
  bonusCost = 0;
  /** Topology changes noticed here or heard of. */
  changes = 0;
  /** BPDUs put off because a port had sent too many. */
  held = 0;
  readonly #actions: TreeActions;
  #isOn = false;
  #changeHoldMs = Number.NEGATIVE_INFINITY;
  #owesChange = false;

  constructor(vlan: number, bridge: BridgeId, actions: TreeActions) {
    this.vlan = vlan;
    this.bridge = bridge;
    this.root = bridge;
    this.#actions = actions;
  }

  /** Begins to speak. Ports keep forwarding until a bridge is heard. */
  start(nowMs: number): void {
    this.#isOn = true;
    for (const port of this.ports.values()) this.#send(port, nowMs);
  }

  /** Falls silent: every port forwards, nothing is remembered but edge ports and bonus. */
  stop(): void {
    this.#isOn = false;
    for (const port of this.ports.values()) {
      if (port.isPeer) this.#actions.peer(this.vlan, port.number, false);
      port.forget();
      port.seekMs = Number.POSITIVE_INFINITY;
      if (port.role !== "edge") port.role = "designated";
      this.#setState(port, PORT_STATE.forwarding);
    }
    this.#owesChange = false;
    this.#become(this.bridge, 0, 0, NOBODY);
  }

  /** A port joins the VLAN (again). It forwards when it is agreed with, or nobody answers. */
  add(number: number, isTagged: boolean, isEdge: boolean, nowMs: number): void {
    this.remove(number, nowMs);
    const port = new FstpPort(number, isTagged);
    this.ports.set(number, port);
    if (isEdge) {
      port.role = "edge";
      return;
    }
    if (!this.#isOn) return;
    this.#setState(port, PORT_STATE.discarding);
    port.waitMs = nowMs + PROBE_MS;
    this.#send(port, nowMs);
  }

  /** A port leaves the VLAN, or its last cable was pulled. */
  remove(number: number, nowMs: number): void {
    const port = this.ports.get(number);
    if (port === undefined) return;
    this.ports.delete(number);
    this.#setState(port, PORT_STATE.forwarding);
    if (port.isPeer) this.#actions.peer(this.vlan, number, false);
    if (this.#isOn) this.#update(nowMs);
  }

  /** An edge port speaks to no bridge and always forwards. @returns false: no such port. */
  setEdge(number: number, isEdge: boolean, nowMs: number): boolean {
    const port = this.ports.get(number);
    if (port === undefined) return false;
    if ((port.role === "edge") === isEdge) return true;
    if (port.isPeer) this.#actions.peer(this.vlan, number, false);
    port.forget();
    port.seekMs = Number.POSITIVE_INFINITY;
    port.role = isEdge ? "edge" : "designated";
    this.#setState(port, PORT_STATE.forwarding);
    if (this.#isOn) this.#update(nowMs);
    return true;
  }

  /** Makes the way through one port cheaper by `cost`. */
  setBonus(port: number, cost: number, nowMs: number): void {
    this.bonusPort = port;
    this.bonusCost = cost;
    if (this.#isOn) this.#update(nowMs);
  }

  /** @returns false: not for us to use (no such port, an edge port, our own echo). */
  receive(number: number, bpdu: Bpdu, nowMs: number): boolean {
    const port = this.ports.get(number);
    if (port === undefined || port.role === "edge" || !this.#isOn) return false;
    if (bpdu.bridge === this.bridge && bpdu.port === port.portId) return false;
    if (port.heard(bpdu.bridge, nowMs)) {
      this.#actions.peer(this.vlan, number, true);
      if (port.state !== PORT_STATE.forwarding) port.waitMs = nowMs + STEP_MS;
    }
    port.peerDiscards = isClaim(bpdu) && !isForwarding(bpdu);
    this.#learn(port, bpdu, nowMs);
    const isTold = this.#update(nowMs);
    if (port.role === "designated") this.#answerInferior(port, bpdu, nowMs);
    else if (port.peerDiscards && port.info?.bridge === bpdu.bridge && !isTold) {
      // The leader of the segment waits for our agreement. Nobody else is answered: two ports that
      // only listen would go on for ever.
      this.#send(port, nowMs);
    }
    const isInTree = port.role === "root" || port.role === "designated";
    if (isInTree && (bpdu.flags & BPDU_FLAG.topologyChange) !== 0) this.#change(port, nowMs);
    return true;
  }

  /** Says hello at every port. */
  hello(nowMs: number): void {
    for (const port of this.ports.values()) {
      // A port that is no use must not speak for a segment where another one leads.
      if (port.info !== undefined && port.role !== "root" && port.isShared(nowMs)) continue;
      this.#send(port, nowMs, true);
    }
  }

  /** Does what is due. */
  poll(nowMs: number): void {
    if (!this.#isOn) return;
    let isStale = false;
    for (const port of this.ports.values()) {
      if (port.info === undefined || nowMs < port.infoMs + INFO_MS) continue;
      port.info = undefined;
      isStale = true;
    }
    if (isStale) this.#update(nowMs);
    for (const port of this.ports.values()) {
      if (port.isPeer && nowMs >= port.heardMs + PEER_MS) this.#peerGone(port);
      if (nowMs >= port.waitMs) this.#step(port, nowMs);
      if (port.owesBpdu || nowMs >= port.seekMs) this.#seek(port, nowMs);
    }
    if (this.#owesChange && nowMs >= this.#changeHoldMs) this.#tellChange(nowMs);
  }

  /** When `poll` has something to do, hellos apart. */
  nextMs(): number {
    let next = this.#owesChange ? this.#changeHoldMs : Number.POSITIVE_INFINITY;
    if (this.#isOn) for (const port of this.ports.values()) next = Math.min(next, port.nextMs());
    return next;
  }

  /** What the way to the root through a port adds. */
  costOf(port: FstpPort): number {
    const bonus = port.number === this.bonusPort ? this.bonusCost : 0;
    return Math.max(PORT_COST_MIN, port.cost - bonus);
  }

  /** Keeps what was said if it may be better than what we say ourselves. */
  #learn(port: FstpPort, bpdu: Bpdu, nowMs: number): void {
    const { root, rootCost: cost, bridge, port: portId } = bpdu;
    const { info } = port;
    const isSame = info !== undefined && info.bridge === bridge && info.portId === portId;
    if (!isClaim(bpdu)) {
      // The sender leads here no more; and what a follower says is our own news on its way back.
      if (isSame) port.info = undefined;
      return;
    }
    const said: Vector = { root, cost, bridge, portId };
    if (info !== undefined && !isSame && compareVectors(said, info) >= 0) return;
    port.info = said;
    port.infoMs = nowMs;
  }

  /** What we say at a port. */
  #ours(port: FstpPort): Vector {
    return { root: this.root, cost: this.rootCost, bridge: this.bridge, portId: port.portId };
  }

  /** Elects root and roles anew. @returns whether every port was told. */
  #update(nowMs: number): boolean {
    const before: Vector = { root: this.root, cost: this.rootCost, bridge: "", portId: 0 };
    const isMoved = this.#elect();
    const isWorse = compareVectors({ ...before, root: this.root, cost: this.rootCost }, before) > 0;
    const changed: FstpPort[] = [];
    for (const port of this.ports.values()) {
      if (port.role === "edge") continue;
      const role = this.#roleOf(port);
      const isNew = role !== port.role;
      port.role = role;
      if (isNew) changed.push(port);
      if (role === "designated") {
        port.info = undefined;
        if ((isNew || isWorse) && port.isPeer) this.#block(port, nowMs);
      } else if (role !== "root") {
        this.#setState(port, PORT_STATE.discarding);
        port.waitMs = Number.POSITIVE_INFINITY;
      }
    }
    // Only now that everything else is in step.
    const rootPort = this.ports.get(this.rootPort);
    if (rootPort !== undefined) this.#open(rootPort, nowMs);
    const told = isMoved ? this.ports.values() : changed;
    for (const port of told) this.#send(port, nowMs);
    return isMoved;
  }

  /** Finds the best way to the best root. @returns whether it is another one. */
  #elect(): boolean {
    let best: Vector = { root: this.bridge, cost: 0, bridge: NOBODY, portId: 0 };
    let rootPort = 0;
    for (const port of this.ports.values()) {
      const { info } = port;
      if (info === undefined || info.bridge === this.bridge) continue;
      const cost = info.cost + this.costOf(port);
      if (cost > ROOT_COST_MAX) continue;
      const way: Vector = { ...info, cost };
      const order = compareVectors(way, best);
      if (order > 0 || (order === 0 && port.number > rootPort)) continue;
      best = way;
      rootPort = port.number;
    }
    return this.#become(best.root, best.cost, rootPort, best.bridge);
  }

  #become(root: BridgeId, cost: number, rootPort: number, designated: BridgeId): boolean {
    const isMoved = root !== this.root || cost !== this.rootCost || rootPort !== this.rootPort;
    const isTold = root !== this.root || rootPort !== this.rootPort;
    this.root = root;
    this.rootCost = cost;
    this.rootPort = rootPort;
    this.designated = designated;
    if (isTold) this.#actions.root(this.vlan, rootPort, root);
    return isMoved;
  }

  #roleOf(port: FstpPort): PortRole {
    if (port.number === this.rootPort) return "root";
    const { info } = port;
    if (info === undefined || compareVectors(info, this.#ours(port)) >= 0) return "designated";
    return info.bridge === this.bridge ? "backup" : "alternate";
  }

  /** A designated port heard what is worse than what we say there. */
  #answerInferior(port: FstpPort, bpdu: Bpdu, nowMs: number): void {
    const { root, rootCost: cost, bridge, port: portId } = bpdu;
    const isWorse = compareVectors({ root, cost, bridge, portId }, this.#ours(port)) > 0;
    if (root === this.root && isWorse && isAgreement(bpdu)) {
      if (!port.isShared(nowMs)) this.#open(port, nowMs);
      return;
    }
    if (!isClaim(bpdu) && root === this.root) return;
    // Both ends claim to lead and the other one forwards: stop until it heard us (a "dispute").
    if (isClaim(bpdu) && isForwarding(bpdu)) this.#block(port, nowMs);
    this.#send(port, nowMs);
  }

  /** A designated port waits: for an agreement, or for the time to pass. */
  #block(port: FstpPort, nowMs: number): void {
    this.#setState(port, PORT_STATE.discarding);
    port.waitMs = nowMs + STEP_MS;
  }

  /** A port with a bridge at its end forwards from now on. */
  #open(port: FstpPort, nowMs: number): void {
    if (port.owesBpdu) return this.#mute(port, nowMs);
    port.waitMs = Number.POSITIVE_INFINITY;
    if (port.state === PORT_STATE.forwarding) return;
    this.#setState(port, PORT_STATE.forwarding);
    this.#change(undefined, nowMs);
  }

  /** The wait of a designated port is over. */
  #step(port: FstpPort, nowMs: number): void {
    if (port.isPeer && port.state === PORT_STATE.discarding) {
      this.#setState(port, PORT_STATE.learning);
      port.waitMs = nowMs + STEP_MS;
      this.#send(port, nowMs);
    } else if (port.isPeer) {
      this.#open(port, nowMs);
    } else {
      port.waitMs = Number.POSITIVE_INFINITY;
      this.#setState(port, PORT_STATE.forwarding);
    }
  }

  /** Sends what was put off, or calls a bridge that fell silent. */
  #seek(port: FstpPort, nowMs: number): void {
    if (nowMs >= port.seekMs) port.seekMs = nowMs + SEEK_MS;
    const wasMute = port.owesBpdu;
    this.#send(port, nowMs);
    if (wasMute && !port.owesBpdu && port.role === "root") this.#open(port, nowMs);
  }

  /**
   * A port whose BPDU was put off lets nothing pass: the bridge at its end goes by old news, and
   * what it opens meanwhile may close a loop.
   */
  #mute(port: FstpPort, nowMs: number): void {
    if (port.role === "designated") this.#block(port, nowMs);
    else this.#setState(port, PORT_STATE.discarding);
  }

  /** No BPDU for so long: no bridge is there, so nobody needs to agree. */
  #peerGone(port: FstpPort): void {
    port.forget();
    this.#actions.peer(this.vlan, port.number, false);
    port.waitMs = port.heardMs;
  }

  /** The topology changed: here (no `from`), or somewhere behind the port `from`. */
  #change(from: FstpPort | undefined, nowMs: number): void {
    this.changes++;
    this.#actions.flush(this.vlan);
    for (const port of this.ports.values()) if (port !== from) port.owesChange = true;
    this.#owesChange = true;
    if (nowMs >= this.#changeHoldMs) this.#tellChange(nowMs);
  }

  #tellChange(nowMs: number): void {
    this.#owesChange = false;
    this.#changeHoldMs = nowMs + CHANGE_HOLD_MS;
    for (const port of this.ports.values()) {
      if (!port.owesChange) continue;
      port.owesChange = false;
      // A peer that discards is no part of the tree; told, vde_switch would pass it on and around.
      if (!port.isPeer || port.peerDiscards || port.state !== PORT_STATE.forwarding) continue;
      this.#send(port, nowMs, false, true);
    }
  }

  #send(port: FstpPort, nowMs: number, isHello = false, isChange = false): void {
    if (port.role === "edge" || !this.#isOn) return;
    if (port.maySend(nowMs)) {
      this.#actions.send(this, port, port.flags(isHello, isChange), nowMs);
      return;
    }
    this.held++;
    if (port.isPeer) this.#mute(port, nowMs);
  }

  #setState(port: FstpPort, state: PortState): void {
    if (port.state === state) return;
    port.state = state;
    this.#actions.setState(this.vlan, port.number, state);
  }
}
