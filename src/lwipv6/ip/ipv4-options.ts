/** IPv4 options: RFC 791 §3.1, RFC 1122 §3.2.1.8, RFC 7126. They are skipped, not obeyed. */
import { IPV4_AT } from "../../wire/index.ts";

const END = 0;
const NOTHING = 1;
const LOOSE_SOURCE_ROUTE = 0x83;
const STRICT_SOURCE_ROUTE = 0x89;
/** Options with this bit are repeated in every fragment. */
const COPIED = 0x80;
const OPTION_OCTETS_MIN = 2;

/** What `checkOptions` found, when no option is at fault. */
export const OPTIONS = {
  sound: -1,
  /** A source route lets strangers choose a packet's way (RFC 7126 §4.3): it is dropped. */
  sourceRoute: -2,
} as const;

/** @returns one of OPTIONS, or the offset in the header of the octet at fault. */
export function checkOptions(octets: Uint8Array, at: number, headerOctets: number): number {
  for (let i = IPV4_AT.options as number; i < headerOctets; ) {
    const kind = octets[at + i]!;
    if (kind === END) return OPTIONS.sound;
    if (kind === LOOSE_SOURCE_ROUTE || kind === STRICT_SOURCE_ROUTE) return OPTIONS.sourceRoute;
    const length = optionOctets(octets, at, i, headerOctets);
    if (length === 0) return i;
    i += length;
  }
  return OPTIONS.sound;
}

/** In a fragment that is not the first, options that are for the first only become padding. */
export function dropUncopied(octets: Uint8Array, at: number, headerOctets: number): void {
  for (let i = IPV4_AT.options as number; i < headerOctets; ) {
    const kind = octets[at + i]!;
    const length = optionOctets(octets, at, i, headerOctets);
    if (kind === END || length === 0) return;
    if ((kind & COPIED) === 0) octets.fill(NOTHING, at + i, at + i + length);
    i += length;
  }
}

/** 0: it does not end within the header. */
function optionOctets(octets: Uint8Array, at: number, i: number, headerOctets: number): number {
  if (octets[at + i]! <= NOTHING) return 1;
  if (i + 1 >= headerOctets) return 0;
  const length = octets[at + i + 1]!;
  return length < OPTION_OCTETS_MIN || i + length > headerOctets ? 0 : length;
}
