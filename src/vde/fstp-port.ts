/** One port in one VLAN as the spanning tree sees it, and the times of the protocol. */
import { type BridgeId, type Bpdu, BPDU_FLAG, BPDU_ROLE } from "../wire/index.ts";
import { PORT_COST, portIdOf, type Vector } from "./fstp-vector.ts";
import { PORT_STATE, type PortState } from "./vlans.ts";

/** A bridge speaks at every port this often, as vde_switch. */
export const HELLO_MS = 4000;
/** Three hellos did not come, and the third had a second to be late. */
export const INFO_MS = 3 * HELLO_MS + 1000;
/** A port where no BPDU was heard for this long has no bridge at its end. */
export const PEER_MS = 8 * HELLO_MS;
/**
 * A new port waits this long for a bridge before it forwards. Differs from vde_switch, which
 * forwards at once and so lets a new cable close a loop until the first BPDU went around it.
 */
export const PROBE_MS = 500;
/**
 * Where a bridge fell silent it is called this often: a cable that comes back by itself closes a
 * loop at most for so long.
 */
export const SEEK_MS = 250;
/** A bridge that does not agree: so long discarding, then so long learning. */
export const STEP_MS = HELLO_MS;
/** Changes of topology that come closer are announced together. */
export const CHANGE_HOLD_MS = 100;
/**
 * BPDUs that one port sends without a pause at most; then one each SENT_EVERY_MS, which says what
 * is true by then. Enough for a dead root's last news to be counted to ROOT_COST_MAX at once; and
 * whoever sends BPDUs without end does not get as many answers.
 */
export const SENT_AT_ONCE_MAX = 400;
export const SENT_EVERY_MS = 25;

const STATE_FLAGS = {
  [PORT_STATE.discarding]: 0,
  [PORT_STATE.learning]: BPDU_FLAG.learning,
  [PORT_STATE.forwarding]: BPDU_FLAG.learning | BPDU_FLAG.forwarding,
} as const;

export type PortRole = "root" | "designated" | "alternate" | "backup" | "edge";

/** State of one port; its tree (fstp-tree.ts) decides. All fields are set once, none is added. */
export class FstpPort {
  readonly number: number;
  readonly portId: number;
  isTagged: boolean;
  cost = PORT_COST;
  role: PortRole = "designated";
  state: PortState = PORT_STATE.forwarding;
  /** The best that was heard here and is better than what we say; undefined: we are designated. */
  info: Vector | undefined = undefined;
  infoMs = 0;
  /** Last bridge heard and when; "": none for PEER_MS. */
  peer: BridgeId = "";
  heardMs = Number.NEGATIVE_INFINITY;
  /** The last BPDU came from a port that claims to lead and lets nothing pass. */
  peerDiscards = false;
  /** When two bridges were last heard in turn: the segment is shared. */
  sharedMs = Number.NEGATIVE_INFINITY;
  /** When a designated port that waits takes its next step. */
  waitMs = Number.POSITIVE_INFINITY;
  /** When a bridge that fell silent is called (again). */
  seekMs = Number.POSITIVE_INFINITY;
  /** To be told of a change of topology when the hold is over. */
  owesChange = false;
  /** A BPDU was put off. */
  owesBpdu = false;
  /** What it may send now, and since when that is so. */
  allowance = SENT_AT_ONCE_MAX;
  allowedMs = 0;

  constructor(number: number, isTagged: boolean) {
    this.number = number;
    this.portId = portIdOf(number);
    this.isTagged = isTagged;
  }

  get isPeer(): boolean {
    return this.peer !== "";
  }

  /** More than one bridge at the other end: one agreement does not speak for all. */
  isShared(nowMs: number): boolean {
    return nowMs - this.sharedMs < PEER_MS;
  }

  /** Notes who speaks. @returns true when nobody did before. */
  heard(bridge: BridgeId, nowMs: number): boolean {
    const isNew = this.peer === "";
    if (!isNew && this.peer !== bridge && nowMs - this.heardMs < INFO_MS) this.sharedMs = nowMs;
    this.peer = bridge;
    this.heardMs = nowMs;
    this.seekMs = nowMs + INFO_MS;
    return isNew;
  }

  /** Forgets all that was heard, but not that somebody was. */
  forget(): void {
    this.info = undefined;
    this.peer = "";
    this.heardMs = Number.NEGATIVE_INFINITY;
    this.sharedMs = Number.NEGATIVE_INFINITY;
    this.peerDiscards = false;
    this.waitMs = Number.POSITIVE_INFINITY;
    this.owesChange = false;
    this.owesBpdu = false;
  }

  /** Whether another BPDU may leave now; if not, one is owed. */
  maySend(nowMs: number): boolean {
    const gained = Math.floor((nowMs - this.allowedMs) / SENT_EVERY_MS);
    if (gained > 0) {
      this.allowance = Math.min(SENT_AT_ONCE_MAX, this.allowance + gained);
      this.allowedMs += gained * SENT_EVERY_MS;
    }
    this.owesBpdu = this.allowance === 0;
    if (this.owesBpdu) return false;
    this.allowance--;
    return true;
  }

  /**
   * Flags of a BPDU to be sent here. A designated port that discards says what vde_switch says
   * then: alternate and proposal. What discards, and a root port whose other ports are in step,
   * agrees.
   */
  flags(isHello: boolean, isChange: boolean): number {
    const { role, state } = this;
    const isSubordinate = role === "root" || role === "alternate" || role === "backup";
    const isProposal = role !== "root" && state === PORT_STATE.discarding;
    const spoken = isProposal
      ? BPDU_ROLE.alternate | BPDU_FLAG.proposal
      : role === "root"
        ? BPDU_ROLE.root
        : BPDU_ROLE.designated;
    const agrees = isSubordinate || (isHello && state === PORT_STATE.forwarding);
    return (
      spoken |
      STATE_FLAGS[state] |
      (agrees ? BPDU_FLAG.agreement : 0) |
      (isChange ? BPDU_FLAG.topologyChange : 0)
    );
  }

  /** Earliest time at which something happens by itself. */
  nextMs(): number {
    let next = Math.min(this.waitMs, this.seekMs);
    if (this.info !== undefined) next = Math.min(next, this.infoMs + INFO_MS);
    if (this.isPeer) next = Math.min(next, this.heardMs + PEER_MS);
    if (this.owesBpdu) next = Math.min(next, this.allowedMs + SENT_EVERY_MS);
    return next;
  }
}

/** A claim to lead the segment: every BPDU but that of a root port. */
export function isClaim(bpdu: Bpdu): boolean {
  return (bpdu.flags & BPDU_FLAG.roleMask) !== BPDU_ROLE.root;
}

/** The sender's port lets frames pass. */
export function isForwarding(bpdu: Bpdu): boolean {
  return (bpdu.flags & BPDU_FLAG.forwarding) !== 0;
}

/** The sender follows us, or discards, and says so. */
export function isAgreement(bpdu: Bpdu): boolean {
  return (bpdu.flags & BPDU_FLAG.agreement) !== 0 && !(isClaim(bpdu) && isForwarding(bpdu));
}
