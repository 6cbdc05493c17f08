/**
 * Octets of a caller's memory as text: quoted strings, socket addresses (unix(7), ip(7), ipv6(7)).
 */
import { printIpv4, printIpv6 } from "../base/index.ts";

const ESCAPES: { readonly [character: string]: string } = {
  "\n": "\\n",
  "\t": "\\t",
  "\r": "\\r",
  '"': '\\"',
  "\\": "\\\\",
};

/** Characters that would move a terminal's cursor, or turn its writing around. */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const UNPRINTABLE = /[\x00-\x1f"\\\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

const UNPRINTABLE_OCTET = /[^\x20-\x7e]|["\\]/g;

/** Nothing to escape: the octets as text; undefined otherwise. Most strings of most programs. */
function plainText(octets: Uint8Array): string | undefined {
  let text = "";
  for (const octet of octets) {
    if (octet < 0x20 || octet > 0x7e || octet === 0x22 || octet === 0x5c) return undefined;
    text += String.fromCharCode(octet);
  }
  return text;
}

/** A string in quotes: UTF-8 as it is, anything else with the escapes of C. */
export function quoteOctets(octets: Uint8Array): string {
  let text = plainText(octets);
  if (text !== undefined) return `"${text}"`;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(octets);
  } catch {
    // Not UTF-8: octet by octet.
    text = String.fromCharCode(...octets);
    return `"${text.replace(UNPRINTABLE_OCTET, escaped)}"`;
  }
  return `"${text.replace(UNPRINTABLE, escaped)}"`;
}

function octal(character: string): string {
  return `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`;
}

function escaped(character: string): string {
  const known = ESCAPES[character];
  if (known !== undefined) return known;
  const code = character.charCodeAt(0);
  return code < 0x100 ? octal(character) : `\\u${code.toString(16)}`;
}

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;

/** A struct sockaddr of its given length: family first, in the machine's order. */
export function socketAddressText(octets: Uint8Array): string {
  if (octets.length < 2) return quoteOctets(octets);
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  const family = view.getUint16(0, true);
  if (family === AF_UNIX) return `{AF_UNIX, ${unixName(octets.subarray(2))}}`;
  if (family === AF_INET && octets.length >= 8) {
    return `{AF_INET, ${printIpv4(octets.subarray(4, 8))}:${view.getUint16(2)}}`;
  }
  if (family === AF_INET6 && octets.length >= 24) {
    return `{AF_INET6, [${printIpv6(octets.subarray(8, 24))}]:${view.getUint16(2)}}`;
  }
  return `{family ${family}, ${quoteOctets(octets.subarray(2))}}`;
}

/** A name in the file system ends at its NUL; an abstract one begins with it. */
function unixName(name: Uint8Array): string {
  if (name[0] === 0) return `@${quoteOctets(name.subarray(1))}`;
  const end = name.indexOf(0);
  return quoteOctets(end === -1 ? name : name.subarray(0, end));
}
