/**
 * Bridge protocol data units as the fast spanning tree of VDE speaks them: a rapid BPDU of IEEE
 * 802.1D-2004 §9.3.3 in an 802.3 frame with LLC 42 42 03, 53 octets, or 57 with an 802.1Q tag in
 * front of the length. Offsets are from the length field.
 *
 * Differs from IEEE 802.1D, as vde_switch does (recorded from vde2 2.3.2, test/fixtures/bpdu.txt):
 * the four times are whole seconds in little-endian order; role 1 is Root, and role 2 together with
 * the proposal bit is a port that discards; the frame is not padded to 60 octets.
 */
import {
  fromHex,
  MAC_OCTETS,
  type MacAddress,
  readU16,
  readU32,
  toHex,
  writeU16,
  writeU32,
} from "../base/index.ts";
import { ETHERNET_AT } from "./ethernet.ts";
import { emitAddress, requireField, requireRoom } from "./room.ts";
import { emitTagControl, parseTagControl, tagControlAt, VLAN_TAG_OCTETS } from "./vlan.ts";

/** Bridge group address, IEEE 802.1D-2004 table 7-10. */
export const BPDU_ADDRESS: MacAddress = Uint8Array.of(0x01, 0x80, 0xc2, 0, 0, 0);
/** Untagged; a tag adds four. */
export const BPDU_FRAME_OCTETS = 53;
/** The last octet, "version 1 length", may be missing, as vde_switch takes it. */
const BPDU_FRAME_OCTETS_MIN = 51;

/** From the 802.3 length field. */
const AT = {
  length: 0,
  llc: 2,
  protocol: 5,
  version: 7,
  type: 8,
  flags: 9,
  root: 10,
  rootCost: 18,
  bridge: 22,
  port: 30,
  age: 32,
  maxAge: 34,
  hello: 36,
  forwardDelay: 38,
  version1Length: 40,
} as const;

/** Octets after the length field. */
const LENGTH_FIELD = 0x27;
const LLC = [0x42, 0x42, 0x03] as const;
const RAPID = 2;
export const BRIDGE_ID_OCTETS = 8;

/** Flags of a rapid BPDU; the role is in the two bits of `roleMask`. */
export const BPDU_FLAG = {
  topologyChange: 0x01,
  proposal: 0x02,
  roleMask: 0x0c,
  learning: 0x10,
  forwarding: 0x20,
  agreement: 0x40,
  topologyChangeAck: 0x80,
} as const;

/** What `flags & BPDU_FLAG.roleMask` means between VDE switches. */
export const BPDU_ROLE = { unknown: 0, root: 0x04, alternate: 0x08, designated: 0x0c } as const;

/**
 * Identity of a bridge: priority (two octets) and address, as 16 lower-case hexadecimal digits, so
 * that the order of strings is the order of bridges: the lowest is the best.
 */
export type BridgeId = string;

/** @param priority 0 … 65535. Throws V2Error FIELD_RANGE or ADDRESS_LENGTH. */
export function bridgeId(priority: number, address: MacAddress): BridgeId {
  const octets = new Uint8Array(BRIDGE_ID_OCTETS);
  requireField("bridge priority", priority, 0xffff);
  writeU16(octets, 0, priority);
  emitAddress(address, MAC_OCTETS, octets, 2);
  return toHex(octets);
}

/** A BPDU's meaning. */
export interface Bpdu {
  readonly source: MacAddress;
  /** VLAN of the 802.1Q tag; undefined: untagged. */
  readonly vlan: number | undefined;
  /** Bits of BPDU_FLAG. */
  readonly flags: number;
  readonly root: BridgeId;
  /** What the way from the sender to the root costs. */
  readonly rootCost: number;
  readonly bridge: BridgeId;
  /** Port identifier of the sender, 0 … 65535. */
  readonly port: number;
  readonly ageS: number;
  readonly maxAgeS: number;
  readonly helloS: number;
  readonly forwardDelayS: number;
}

/** A frame sent to the bridge group address, as it lies in memory. */
export class BpduView {
  readonly octets: Uint8Array;
  /** Tag control information; -1: untagged. */
  readonly tagControl: number;
  /** Where the 802.3 length is. */
  readonly #at: number;

  private constructor(octets: Uint8Array, tagControl: number) {
    this.octets = octets;
    this.tagControl = tagControl;
    this.#at = ETHERNET_AT.etherType + (tagControl < 0 ? 0 : VLAN_TAG_OCTETS);
  }

  /** undefined: shorter than a BPDU, or for another address. */
  static over(octets: Uint8Array): BpduView | undefined {
    if (!isBpduAddress(octets, 0)) return undefined;
    const tagControl = tagControlAt(octets, 0, octets.length);
    const tagOctets = tagControl < 0 ? 0 : VLAN_TAG_OCTETS;
    return octets.length < BPDU_FRAME_OCTETS_MIN + tagOctets
      ? undefined
      : new BpduView(octets, tagControl);
  }

  get version(): number {
    return this.octets[this.#at + AT.version]!;
  }
  get type(): number {
    return this.octets[this.#at + AT.type]!;
  }
  get flags(): number {
    return this.octets[this.#at + AT.flags]!;
  }
  get root(): BridgeId {
    return this.#bridge(AT.root);
  }
  get rootCost(): number {
    return readU32(this.octets, this.#at + AT.rootCost);
  }
  get bridge(): BridgeId {
    return this.#bridge(AT.bridge);
  }
  get port(): number {
    return readU16(this.octets, this.#at + AT.port);
  }
  /** One of the four times, seconds. */
  seconds(which: "age" | "maxAge" | "hello" | "forwardDelay"): number {
    const at = this.#at + AT[which];
    return this.octets[at]! | ((this.octets[at + 1] ?? 0) << 8);
  }

  /** What makes it unusable for us: another protocol, version or type of BPDU. */
  problem(): "not-bpdu" | "version" | undefined {
    const { octets } = this;
    const at = this.#at;
    const isBpdu =
      LLC.every((octet, i) => octets[at + AT.llc + i] === octet) &&
      readU16(octets, at + AT.protocol) === 0;
    if (!isBpdu) return "not-bpdu";
    return this.version === RAPID && this.type === RAPID ? undefined : "version";
  }

  #bridge(field: number): BridgeId {
    const at = this.#at + field;
    return toHex(this.octets.subarray(at, at + BRIDGE_ID_OCTETS));
  }
}

/** Whether the frame at `start` is for the bridge group address; it may be short. */
export function isBpduAddress(octets: Uint8Array, start: number): boolean {
  for (let i = 0; i < MAC_OCTETS; i++) if (octets[start + i] !== BPDU_ADDRESS[i]) return false;
  return true;
}

/** undefined: `view.problem()` says why. */
export function parseBpdu(view: BpduView): Bpdu | undefined {
  if (view.problem() !== undefined) return undefined;
  const { flags, root, rootCost, bridge, port } = view;
  return {
    source: view.octets.slice(ETHERNET_AT.source, ETHERNET_AT.source + MAC_OCTETS),
    vlan: view.tagControl < 0 ? undefined : parseTagControl(view.tagControl).id,
    flags,
    root,
    rootCost,
    bridge,
    port,
    ageS: view.seconds("age"),
    maxAgeS: view.seconds("maxAge"),
    helloS: view.seconds("hello"),
    forwardDelayS: view.seconds("forwardDelay"),
  };
}

/** Writes the whole frame. @returns octets written: 53, or 57 with a tag. */
export function emitBpdu(bpdu: Bpdu, into: Uint8Array): number {
  const tagOctets = bpdu.vlan === undefined ? 0 : VLAN_TAG_OCTETS;
  requireRoom("a BPDU", into, BPDU_FRAME_OCTETS + tagOctets);
  requireField("BPDU flags", bpdu.flags, 0xff);
  requireField("root path cost", bpdu.rootCost, 0xffff_ffff);
  requireField("port identifier", bpdu.port, 0xffff);
  into.set(BPDU_ADDRESS, ETHERNET_AT.target);
  emitAddress(bpdu.source, MAC_OCTETS, into, ETHERNET_AT.source);
  if (bpdu.vlan !== undefined) {
    requireField("VLAN", bpdu.vlan, 0xfff);
    writeU16(into, ETHERNET_AT.etherType, 0x8100);
    const control = emitTagControl({ priority: 0, isDropEligible: false, id: bpdu.vlan });
    writeU16(into, ETHERNET_AT.etherType + 2, control);
  }
  const at = ETHERNET_AT.etherType + tagOctets;
  writeU16(into, at + AT.length, LENGTH_FIELD);
  into.set(LLC, at + AT.llc);
  writeU16(into, at + AT.protocol, 0);
  into[at + AT.version] = RAPID;
  into[at + AT.type] = RAPID;
  into[at + AT.flags] = bpdu.flags;
  emitBridge(bpdu.root, into, at + AT.root);
  writeU32(into, at + AT.rootCost, bpdu.rootCost);
  emitBridge(bpdu.bridge, into, at + AT.bridge);
  writeU16(into, at + AT.port, bpdu.port);
  emitSeconds(bpdu.ageS, into, at + AT.age);
  emitSeconds(bpdu.maxAgeS, into, at + AT.maxAge);
  emitSeconds(bpdu.helloS, into, at + AT.hello);
  emitSeconds(bpdu.forwardDelayS, into, at + AT.forwardDelay);
  into[at + AT.version1Length] = 0;
  return BPDU_FRAME_OCTETS + tagOctets;
}

/** "FSTP designated forwarding, root 8000.02:…:01 cost 0, bridge 8000.02:…:02 port 8001" */
export function printBpdu(view: BpduView): string {
  const problem = view.problem();
  if (problem !== undefined) return `BPDU, ${problem}`;
  const { flags } = view;
  const role = ROLE_NAME[(flags & BPDU_FLAG.roleMask) >>> 2]!;
  const words = [
    role,
    (flags & BPDU_FLAG.forwarding) !== 0 ? "forwarding" : "discarding",
    ...((flags & BPDU_FLAG.proposal) !== 0 ? ["proposal"] : []),
    ...((flags & BPDU_FLAG.agreement) !== 0 ? ["agreement"] : []),
    ...((flags & BPDU_FLAG.topologyChange) !== 0 ? ["topology change"] : []),
  ];
  const port = view.port.toString(16).padStart(4, "0");
  return (
    `FSTP ${words.join(" ")}, root ${printBridgeId(view.root)} cost ${view.rootCost}, ` +
    `bridge ${printBridgeId(view.bridge)} port ${port}`
  );
}

/** "8000.02:00:00:00:00:01": priority and address. */
export function printBridgeId(id: BridgeId): string {
  return `${id.slice(0, 4)}.${id.slice(4).replaceAll(/(..)(?=.)/g, "$1:")}`;
}

const ROLE_NAME = ["unknown", "root", "alternate", "designated"] as const;

function emitBridge(id: BridgeId, into: Uint8Array, at: number): void {
  emitAddress(fromHex(id) ?? new Uint8Array(0), BRIDGE_ID_OCTETS, into, at);
}

/** Differs from IEEE 802.1D §9.3.3: little-endian whole seconds, not 1/256 s in network order. */
function emitSeconds(seconds: number, into: Uint8Array, at: number): void {
  requireField("BPDU seconds", seconds, 0xffff);
  into[at] = seconds;
  into[at + 1] = seconds >>> 8;
}
