/**
 * File names as strings. A name on Linux is octets; where they are UTF-8 the string is what they
 * say. Every octet that is not stands as a lone surrogate, U+DC00 plus the octet, so that any name
 * survives both ways (the convention of PEP 383, "surrogateescape").
 */

const ESCAPE = 0xdc00;

/** Reads a name from `octets[from … to)`. */
export function decodeName(octets: Uint8Array, from = 0, to = octets.length): string {
  let text = "";
  for (let at = from; at < to; ) {
    const first = octets[at]!;
    if (first < 0x80) {
      text += String.fromCharCode(first);
      at++;
      continue;
    }
    const size = sequenceOctets(octets, at, to);
    if (size === 0) {
      text += String.fromCharCode(ESCAPE + first);
      at++;
      continue;
    }
    let point = first & (0xff >> (size + 1));
    for (let i = 1; i < size; i++) point = (point << 6) | (octets[at + i]! & 0x3f);
    text += String.fromCodePoint(point);
    at += size;
  }
  return text;
}

/** Octets of the well-formed sequence at `at` (Unicode, table 3-7), or 0. */
function sequenceOctets(octets: Uint8Array, at: number, to: number): number {
  const first = octets[at]!;
  const size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || at + size > to) return 0;
  const second = octets[at + 1]!;
  const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < least || second > most) return 0;
  for (let i = 2; i < size; i++) if ((octets[at + i]! & 0xc0) !== 0x80) return 0;
  return size;
}

/**
 * Writes a name at `at`. The caller has seen that there is room (`nameOctets`).
 * @returns octets written.
 */
export function encodeName(name: string, into: Uint8Array, at = 0): number {
  const start = at;
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    if (unit < 0x80) into[at++] = unit;
    else if (unit < 0x800) {
      into[at++] = 0xc0 | (unit >> 6);
      into[at++] = 0x80 | (unit & 0x3f);
    } else if (isEscape(unit)) into[at++] = unit - ESCAPE;
    else {
      const point = name.codePointAt(i)!;
      if (point > 0xffff) {
        i++;
        into[at++] = 0xf0 | (point >> 18);
        into[at++] = 0x80 | ((point >> 12) & 0x3f);
      } else into[at++] = 0xe0 | (point >> 12);
      into[at++] = 0x80 | ((point >> 6) & 0x3f);
      into[at++] = 0x80 | (point & 0x3f);
    }
  }
  return at - start;
}

/** Lone surrogates that `decodeName` makes; a low half of a pair is skipped with its high half. */
function isEscape(unit: number): boolean {
  return unit >= ESCAPE + 0x80 && unit <= ESCAPE + 0xff;
}

/** Octets that `encodeName` will write. */
export function nameOctets(name: string): number {
  let octets = name.length;
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    if (unit < 0x80 || isEscape(unit)) continue;
    if (unit < 0x800) octets++;
    else {
      octets += 2;
      // A pair is two units and four octets.
      if (name.codePointAt(i)! > 0xffff) i++;
    }
  }
  return octets;
}

/** A name in memory of its own. */
export function nameToOctets(name: string): Uint8Array {
  const octets = new Uint8Array(nameOctets(name));
  encodeName(name, octets);
  return octets;
}
