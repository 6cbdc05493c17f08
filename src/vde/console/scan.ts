/**
 * Arguments of the console as the C library reads them, because scripts were written against it:
 * atoi(3), sscanf(3) with %i and %x. What cannot be read is a missing value, never an exception.
 */

/** Digits of the largest long; more overflow. */
const LONG_MAX = 0x7fff_ffff_ffff_ffffn;
const LONG_MIN = -LONG_MAX - 1n;

function toInt(text: string, base: "" | "0x" | "0o", isNegative: boolean): number {
  const value = text === "" ? 0n : BigInt(base + text);
  const signed = isNegative ? -value : value;
  const long = signed > LONG_MAX ? LONG_MAX : signed < LONG_MIN ? LONG_MIN : signed;
  return Number(BigInt.asIntN(32, long));
}

/** atoi(3): the number in front, 0 when there is none, wrapped to 32 bits. */
export function atoi(text: string): number {
  const match = /^[ \t\n\v\f\r]*([+-]?)(\d+)/.exec(text);
  return match === null ? 0 : toInt(match[2]!, "", match[1] === "-");
}

/** A number as %i reads it: decimal, 0x hexadecimal, 0 octal. */
const NUMBER = /^[ \t\n\v\f\r]*([+-]?)(?:0[xX]([\da-fA-F]*)|(0[0-7]*)|([1-9]\d*))/;

/**
 * sscanf(3) with `count` times %i, white space between.
 * @returns the numbers, fewer when the text does not have them, and what follows.
 */
export function scanIntegers(
  text: string,
  count: number,
): { readonly values: readonly number[]; readonly rest: string } {
  const values: number[] = [];
  let rest = text;
  while (values.length < count) {
    const match = NUMBER.exec(rest);
    if (match === null) break;
    const [all, sign, hex, octal, decimal] = match;
    if (hex !== undefined) values.push(toInt(hex, "0x", sign === "-"));
    else if (octal !== undefined) values.push(toInt(octal, "0o", sign === "-"));
    else values.push(toInt(decimal!, "", sign === "-"));
    rest = rest.slice(all.length);
  }
  return { values, rest };
}

/**
 * A MAC address of six hexadecimal numbers, all with ':' or all with '.', and an optional VLAN
 * behind it (0).
 * @returns the address below 2^48, or undefined.
 */
export function scanMac(
  text: string,
): { readonly address: number; readonly vlan: number } | undefined {
  const separator = text.includes(":") ? ":" : "\\.";
  const octet = "\\s*(?:0[xX])?([\\da-fA-F]{1,8})";
  const match = new RegExp(`^${Array(6).fill(octet).join(separator)}`).exec(text);
  if (match === null) return undefined;
  let address = 0;
  for (const digits of match.slice(1)) {
    address = address * 256 + (Number.parseInt(digits, 16) & 0xff);
  }
  const vlan = /^\s+([+-]?)(\d+)/.exec(text.slice(match[0].length));
  return { address, vlan: vlan === null ? 0 : toInt(vlan[2]!, "", vlan[1] === "-") };
}

/** The second word and all behind it, as "port/setuser PORT NAME" reads its name. */
export function secondWord(text: string): string {
  return /^ *[^ ]* *([^]*)$/.exec(text)![1]!;
}
