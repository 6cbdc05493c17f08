/**
 * The Internet checksum, RFC 1071, its incremental update, RFC 1624, and the pseudo headers of
 * RFC 768, RFC 9293 §3.1 and RFC 8200 §8.1.
 *
 * A sum is an ordinary number, congruent modulo 65535 to the sum of the 16-bit words in network
 * order; sums of even-length pieces are added with `+` and folded once at the end. Exact below
 * 2^53, which is more than 2^20 frames of 64 KiB.
 */
import { readU16 } from "../base/index.ts";

/**
 * From this length on, a view of 32-bit words pays for its making (about 100 ns): below, pairs of
 * octets are added one by one.
 */
const WORDS_FROM_OCTETS = 192;

const HOST_IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/**
 * Sum of `octets[from … to)` as 16-bit words in network order, an odd last octet padded with zero.
 * @param initial a sum to go on from (a pseudo header, the even-length piece before).
 * @param words all of the memory behind `octets`, as words; where one is at hand nothing is made.
 */
export function sumOctets(
  octets: Uint8Array,
  from: number,
  to: number,
  initial = 0,
  words?: Uint32Array,
): number {
  if (to - from >= WORDS_FROM_OCTETS) {
    const { buffer } = octets;
    const all = words ?? new Uint32Array(buffer, 0, buffer.byteLength >>> 2);
    return initial + sumWords(octets, all, from, to);
  }
  return initial + sumPairs(octets, from, to);
}

function sumPairs(octets: Uint8Array, from: number, to: number): number {
  let sum = 0;
  let at = from;
  for (; at + 1 < to; at += 2) sum += (octets[at]! << 8) | octets[at + 1]!;
  if (at < to) sum += octets[at]! << 8;
  return sum;
}

/**
 * The same over aligned 32-bit words in the host's order. RFC 1071 §2(B): the sum does not depend
 * on the order of octets but for a final swap; an odd start swaps once more.
 */
function sumWords(octets: Uint8Array, words: Uint32Array, from: number, to: number): number {
  const memoryFrom = octets.byteOffset + from;
  const head = (4 - (memoryFrom % 4)) % 4;
  const wordCount = (to - from - head) >>> 2;
  let even = 0;
  let odd = 0;
  let at = (memoryFrom + head) >>> 2;
  const end = at + wordCount;
  for (; at + 3 < end; at += 4) {
    even += words[at]! + words[at + 1]!;
    odd += words[at + 2]! + words[at + 3]!;
  }
  for (; at < end; at++) even += words[at]!;
  const middle = foldSum(even + odd);
  const wordsStartOdd = head % 2 === 1;
  const isSwapped = HOST_IS_LITTLE_ENDIAN !== wordsStartOdd;
  let sum = isSwapped ? ((middle & 0xff) << 8) | (middle >>> 8) : middle;
  const edge = from + head;
  const tail = edge + 4 * wordCount;
  for (let left = from; left < edge; left++)
    sum += (left - from) % 2 ? octets[left]! : octets[left]! << 8;
  for (let right = tail; right < to; right++) {
    sum += (right - from) % 2 ? octets[right]! : octets[right]! << 8;
  }
  return sum;
}

/** Folds a sum into 16 bits with end-around carry; 0 only for a sum of 0. */
export function foldSum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x1_0000);
  return folded;
}

/** What goes into a checksum field, for a sum taken with that field as zero: 0 … 65535. */
export function checksumOf(sum: number): number {
  return ~foldSum(sum) & 0xffff;
}

/** True when a sum taken over everything, the checksum field included, says "undamaged". */
export function sumIsRight(sum: number): boolean {
  return foldSum(sum) === 0xffff;
}

/**
 * A checksum after one 16-bit word it covers changed from `before` to `after`, without reading the
 * rest: RFC 1624 equation 3. For 32-bit fields call it once per half. For UDP over IPv4 a stored
 * checksum of 0 means "none" and must not be updated.
 */
export function updateChecksum(checksum: number, before: number, after: number): number {
  return ~foldSum((~checksum & 0xffff) + (~before & 0xffff) + after) & 0xffff;
}

/** The network addresses a transport checksum covers: both of 4, or both of 16 octets. */
export interface AddressPair {
  readonly source: Uint8Array;
  readonly target: Uint8Array;
}

/**
 * Sum of the pseudo header of TCP, UDP and ICMPv6.
 * @param lengthOctets upper-layer header and data.
 */
export function pseudoHeaderSum(
  addresses: AddressPair,
  protocol: number,
  lengthOctets: number,
): number {
  const { source, target } = addresses;
  let sum = protocol + (lengthOctets & 0xffff) + (lengthOctets >>> 16);
  for (let at = 0; at < source.length; at += 2) sum += readU16(source, at);
  for (let at = 0; at < target.length; at += 2) sum += readU16(target, at);
  return sum;
}
