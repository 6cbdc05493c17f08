/**
 * The checks that every `emit…` makes: what does not fit is the caller's mistake, not bad input.
 */
import { V2Error } from "../base/index.ts";

/** Throws V2Error SHORT_BUFFER when `into` cannot take `neededOctets`. */
export function requireRoom(what: string, into: Uint8Array, neededOctets: number): void {
  if (into.length >= neededOctets) return;
  throw new V2Error(
    "SHORT_BUFFER",
    `${what} takes ${neededOctets} octets, the buffer has ${into.length}`,
    { remedy: "Hand over a larger buffer." },
  );
}

/** Throws V2Error FIELD_RANGE: a value that its field on the wire cannot hold. */
export function requireField(what: string, value: number, max: number): void {
  if (Number.isInteger(value) && value >= 0 && value <= max) return;
  throw new V2Error("FIELD_RANGE", `${what} ${value} does not fit: 0 to ${max}`, {
    remedy: "Make the packet smaller or the field legal.",
  });
}

/**
 * Writes an address at `at`. Throws V2Error ADDRESS_LENGTH for one of another kind, which would
 * overwrite the fields behind it.
 */
export function emitAddress(
  address: Uint8Array,
  octets: number,
  into: Uint8Array,
  at: number,
): void {
  if (address.length !== octets) {
    throw new V2Error("ADDRESS_LENGTH", `an address of ${address.length} octets, not ${octets}`, {
      remedy: "Give an address of the right kind.",
    });
  }
  into.set(address, at);
}
