/**
 * What a switch tells about itself while it runs: the debug categories of its console. Each has a
 * path, by which it is switched on, and a tag of nine bits, printed in octal (`3021 port/+ 03`).
 */

export interface EventCategory {
  readonly path: string;
  readonly tag: number;
  readonly help: string;
}

/** The categories in the order of the console's list; plugins append theirs. */
export const EVENT_CATEGORIES: readonly EventCategory[] = [
  { path: "hash/+", tag: 0o11, help: "hash: new element" },
  { path: "hash/-", tag: 0o12, help: "hash: discarded element" },
  { path: "fstp/status", tag: 0o44, help: "fstp: status change" },
  { path: "fstp/root", tag: 0o45, help: "fstp: rootswitch/port change" },
  { path: "fstp/+", tag: 0o41, help: "fstp: port becomes active" },
  { path: "fstp/-", tag: 0o42, help: "fstp: port becomes inactive" },
  { path: "port/+", tag: 0o21, help: "new port" },
  { path: "port/-", tag: 0o22, help: "closed port" },
  { path: "port/descr", tag: 0o23, help: "set port description" },
  { path: "port/ep/+", tag: 0o31, help: "new endpoint" },
  { path: "port/ep/-", tag: 0o32, help: "closed endpoint" },
];

/** Something happened: the path of its category and the text for people. */
export interface SwitchEvent {
  readonly category: string;
  readonly text: string;
}

/** A frame's source was learned at a port, or forgotten. */
export interface StationChange {
  readonly isNew: boolean;
  /** Six octets as a number below 2^48. */
  readonly address: number;
  readonly vlan: number;
  readonly port: number;
}

/** "02:00:00:00:00:01" of an address below 2^48. */
export function printMac(address: number): string {
  const digits = address.toString(16).padStart(12, "0");
  return digits.replace(/..(?!$)/g, "$&:");
}

/** The event of a station; the VLAN is printed as vde_switch does, low octet first. */
export function stationEvent(change: StationChange): SwitchEvent {
  const hex = (octet: number): string => octet.toString(16).padStart(2, "0");
  const vlan = `${hex(change.vlan & 0xff)}:${hex(change.vlan >>> 8)}`;
  return {
    category: change.isNew ? "hash/+" : "hash/-",
    text: `${printMac(change.address)} VLAN ${vlan} Port ${change.port}`,
  };
}
