/**
 * Octets in network order (big-endian), at a numeric offset. Shifts, not DataView: measured about
 * four times faster per access here, and nothing to allocate. No bounds check: reading past the end
 * yields zeros, writing past the end is lost, so callers check the length once per header.
 */

/** Two octets at `at`, network order. */
export function readU16(octets: Uint8Array, at: number): number {
  return (octets[at]! << 8) | octets[at + 1]!;
}

/** Four octets at `at`, network order, as an unsigned number. */
export function readU32(octets: Uint8Array, at: number): number {
  return (
    ((octets[at]! << 24) | (octets[at + 1]! << 16) | (octets[at + 2]! << 8) | octets[at + 3]!) >>> 0
  );
}

/** Writes the low 16 bits of `value`, network order. */
export function writeU16(octets: Uint8Array, at: number, value: number): void {
  octets[at] = value >>> 8;
  octets[at + 1] = value;
}

/** Writes the low 32 bits of `value`, network order. */
export function writeU32(octets: Uint8Array, at: number, value: number): void {
  octets[at] = value >>> 24;
  octets[at + 1] = value >>> 16;
  octets[at + 2] = value >>> 8;
  octets[at + 3] = value;
}

/**
 * A copy in memory of its own, always a plain Uint8Array. Not `octets.slice`: of a Node Buffer,
 * which is a Uint8Array too, that is a window.
 */
export function copyOctets(octets: Uint8Array, from = 0, to = octets.length): Uint8Array {
  return new Uint8Array(octets.subarray(from, to));
}

/** Same length and same octets. */
export function equalOctets(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

/** Lower-case hexadecimal without separators: `toHex(Uint8Array.of(10, 255))` is "0aff". */
export function toHex(octets: Uint8Array): string {
  let text = "";
  for (const octet of octets) text += octet.toString(16).padStart(2, "0");
  return text;
}

/**
 * Reads hexadecimal; blanks and line ends between octets are skipped. undefined: not hexadecimal.
 */
export function fromHex(text: string): Uint8Array | undefined {
  const digits = text.replace(/\s+/g, "");
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) return undefined;
  const octets = new Uint8Array(digits.length / 2);
  for (let at = 0; at < octets.length; at++) {
    octets[at] = Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16);
  }
  return octets;
}
