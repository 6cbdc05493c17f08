/**
 * What a bridge says about its way to the root, and which of two ways is better. Priority vectors
 * of IEEE 802.1D-2004 §17.5; the lower is the better.
 */
import type { BridgeId } from "../wire/index.ts";

/** Cost of every port unless a bonus says otherwise, as vde_switch (IEEE: a link of 1 Mb/s). */
export const PORT_COST = 20_000_000;
/**
 * A bonus leaves at least this much of a cost, because only growing costs end old news; each bonus
 * lets it go round longer.
 */
export const PORT_COST_MIN = 200_000;
/**
 * Ways that cost more do not exist: a hundred hops. News of a root that is gone goes round, dearer
 * at each hop, until this is reached; IEEE 802.1D counts to 40 hops instead, in a field (age) that
 * vde_switch uses otherwise.
 */
export const ROOT_COST_MAX = 100 * PORT_COST;

/** A way to the root through the sender. */
export interface Vector {
  readonly root: BridgeId;
  /** From the sender on. */
  readonly cost: number;
  readonly bridge: BridgeId;
  /** Port identifier of the sender, as in its BPDUs. */
  readonly portId: number;
}

/** Negative: `a` is the better way; 0: the same. */
export function compareVectors(a: Vector, b: Vector): number {
  if (a.root !== b.root) return a.root < b.root ? -1 : 1;
  if (a.cost !== b.cost) return a.cost - b.cost;
  if (a.bridge !== b.bridge) return a.bridge < b.bridge ? -1 : 1;
  return a.portId - b.portId;
}

/**
 * The port identifier that vde_switch sends for a port: its number shifted by four bits, with the
 * top bit set, and its low octet (recorded: port 1 is 8001, port 20 is 8114).
 */
export function portIdOf(port: number): number {
  return 0x8000 | ((port << 4) & 0x7f00) | (port & 0xff);
}
