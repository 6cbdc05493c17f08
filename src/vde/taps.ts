/**
 * What a capture or a mirror watches: a port, a VLAN or everything, what enters the switch, what
 * leaves it, or both. "In" and "out" are the switch's: a frame enters by one port and leaves by
 * others.
 */
import { tagControlAt } from "../wire/index.ts";
import type { VlanTable } from "./vlans.ts";

export type TapDirection = "in" | "out" | "both";

/** A port or a VLAN, not both; neither: every port. */
export interface TapScope {
  readonly port?: number;
  readonly vlan?: number;
  readonly direction: TapDirection;
}

const VLAN_MASK = 0xfff;

/** Whether frames in one direction at a port are to be looked at. */
export function watchesPort(scope: TapScope, port: number, isOut: boolean): boolean {
  if (scope.port !== undefined && scope.port !== port) return false;
  return scope.direction === "both" || (scope.direction === "out") === isOut;
}

/** The VLAN of a frame as it is on the wire at a port: that of its tag, or the port's own. */
export function wireVlan(
  vlans: VlanTable,
  port: number,
  octets: Uint8Array,
  start: number,
  length: number,
): number {
  const control = tagControlAt(octets, start, length);
  return control < 0 ? vlans.untaggedVlan(port) : control & VLAN_MASK;
}

/** "port 3", "vlan 5" or "all". */
export function printScope({ port, vlan }: TapScope): string {
  if (port !== undefined) return `port ${port}`;
  return vlan === undefined ? "all" : `vlan ${vlan}`;
}

/** Whether two scopes are of the same port or VLAN, whatever their directions. */
export function isSamePlace(a: TapScope, b: TapScope): boolean {
  return a.port === b.port && a.vlan === b.vlan;
}
