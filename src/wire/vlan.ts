/**
 * VLAN tags, IEEE 802.1Q §9: four octets between the source address and the EtherType.
 * `insertVlanTag` and `stripVlanTag` work in place: only the two addresses move, into or out of the
 * room in front of the frame (FRAME_HEADROOM_OCTETS of a pooled slot), the payload stays where it
 * is.
 */
import { readU16, V2Error, writeU16 } from "../base/index.ts";
import { ETHER_TYPE, ETHERNET_AT, ETHERNET_HEADER_OCTETS } from "./ethernet.ts";

const AT = { tagType: 12, control: 14, innerType: 16 } as const;

export const VLAN_TAG_OCTETS = 4;
/** Identifier 0: priority only, no VLAN; 4095 is reserved (IEEE 802.1Q table 9-2). */
export const VLAN_ID_MAX = 4094;

/** Tag control information taken apart. */
export interface VlanTag {
  /** 0 … 7, priority code point. */
  readonly priority: number;
  readonly isDropEligible: boolean;
  /** 0 … 4095. */
  readonly id: number;
}

/** Reads the 16 bits after a tag's type. */
export function parseTagControl(control: number): VlanTag {
  return {
    priority: control >>> 13,
    isDropEligible: (control & 0x1000) !== 0,
    id: control & 0xfff,
  };
}

/** The 16 bits after a tag's type. */
export function emitTagControl(tag: VlanTag): number {
  return ((tag.priority & 7) << 13) | (tag.isDropEligible ? 0x1000 : 0) | (tag.id & 0xfff);
}

/** "vlan 5, p 0" with ", DEI" for drop-eligible frames. */
export function printVlanTag(tag: VlanTag): string {
  return `vlan ${tag.id}, p ${tag.priority}${tag.isDropEligible ? ", DEI" : ""}`;
}

/** True for the types that start a tag: 802.1Q and 802.1ad. */
export function isTagType(etherType: number): boolean {
  return etherType === ETHER_TYPE.vlan || etherType === ETHER_TYPE.serviceVlan;
}

/**
 * Tag control information of the frame at `octets[start … start + length)`; -1: no 802.1Q tag, or
 * the frame ends inside it. A switch with C-VLANs asks this; S-tags count as payload.
 */
export function tagControlAt(octets: Uint8Array, start: number, length: number): number {
  if (length < ETHERNET_HEADER_OCTETS + VLAN_TAG_OCTETS) return -1;
  if (readU16(octets, start + AT.tagType) !== ETHER_TYPE.vlan) return -1;
  return readU16(octets, start + AT.control);
}

/**
 * Inserts a tag into the frame that starts at `start`.
 * @returns the new start, four octets lower; the frame is four octets longer.
 * Throws V2Error NO_HEADROOM when there are not four octets in front of the frame.
 */
export function insertVlanTag(
  octets: Uint8Array,
  start: number,
  control: number,
  tagType: number = ETHER_TYPE.vlan,
): number {
  const tagged = start - VLAN_TAG_OCTETS;
  if (tagged < 0) {
    throw new V2Error("NO_HEADROOM", `a tag needs 4 octets before the frame, there are ${start}`, {
      remedy: "Keep frames in pooled slots, which have room in front.",
    });
  }
  octets.copyWithin(tagged, start, start + ETHERNET_AT.etherType);
  writeU16(octets, tagged + AT.tagType, tagType);
  writeU16(octets, tagged + AT.control, control);
  return tagged;
}

/**
 * Removes the outermost tag of the frame that starts at `start`; the caller has seen that there is
 * one (`tagControlAt`).
 * @returns the new start, four octets higher; the frame is four octets shorter.
 */
export function stripVlanTag(octets: Uint8Array, start: number): number {
  const plain = start + VLAN_TAG_OCTETS;
  octets.copyWithin(plain, start, start + ETHERNET_AT.etherType);
  return plain;
}
