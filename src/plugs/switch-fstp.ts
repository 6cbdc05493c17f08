/** What the control plane may ask of a switch's spanning tree, and how the packet thread obeys. */
import type { FstpStatus, Switch } from "../vde/index.ts";

/** Plain data; VLANs and ports by number. */
export type FstpRequest =
  | { readonly kind: "status" }
  | { readonly kind: "setOn"; readonly isOn: boolean }
  | {
      readonly kind: "setEdge";
      readonly vlan: number;
      readonly port: number;
      readonly isEdge: boolean;
    }
  | {
      readonly kind: "setBonus";
      readonly vlan: number;
      readonly port: number;
      readonly cost: number;
    };

export interface FstpAnswer {
  /** False: a hub, which has no spanning tree, or no such VLAN. */
  readonly isDone: boolean;
  /** How it is afterwards; undefined: the switch has no identity. */
  readonly status: FstpStatus | undefined;
}

/** Obeys one request, in the packet thread. */
export function obeyFstp(core: Switch, request: FstpRequest, nowMs: number): FstpAnswer {
  const { fstp } = core;
  if (fstp === undefined) return { isDone: false, status: undefined };
  let isDone = true;
  if (request.kind === "setOn") isDone = core.setFstp(request.isOn, nowMs);
  else if (request.kind === "setEdge") {
    fstp.setEdge(request.vlan, request.port, request.isEdge, nowMs);
  } else if (request.kind === "setBonus") {
    isDone = fstp.setBonus(request.vlan, request.port, request.cost, nowMs);
  }
  return { isDone, status: fstp.status(nowMs) };
}
