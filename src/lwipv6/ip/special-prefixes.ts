/**
 * Addresses that may not stand in a packet on a wire, or may not go from one link to another: the
 * columns "source", "destination" and "forwardable" of RFC 6890 and its registries, RFC 1122
 * §3.2.1.3, RFC 4291 §2.5. Prefixes for documentation, benchmarks and private use are treated as
 * any other, so that a network for practice can use them. Addresses are given in words.
 */

const MAPPED = 0xffff;

function isMapped(w0: number, w1: number, w2: number): boolean {
  return w0 === 0 && w1 === 0 && w2 === MAPPED;
}

/** ::1 or :: */
function isLowest(w0: number, w1: number, w2: number, w3: number): boolean {
  return w0 === 0 && w1 === 0 && w2 === 0 && (w3 === 0 || w3 === 1);
}

/** 0.0.0.0 may be a source, of a host that has no address yet; 0.0.0.0/8 else may not. */
export function isSource4(bits: number): boolean {
  if (bits === 0) return true;
  const first = bits >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}

/** Groups and 255.255.255.255 may be targets, the rest of 240.0.0.0/4 may not. */
export function isTarget4(bits: number): boolean {
  const first = bits >>> 24;
  return first !== 0 && first !== 127 && (first < 240 || bits === -1);
}

/** :: may be a source; ::1, groups and mapped addresses (RFC 4942 §2.2) may not. */
export function isSource6(w0: number, w1: number, w2: number, w3: number): boolean {
  if (w0 >>> 24 === 0xff || isMapped(w0, w1, w2)) return false;
  return w3 === 0 || !isLowest(w0, w1, w2, w3);
}

/** ::, ::1 and mapped addresses may not be targets. */
export function isTarget6(w0: number, w1: number, w2: number, w3: number): boolean {
  return !isMapped(w0, w1, w2) && !isLowest(w0, w1, w2, w3);
}

/**
 * A unicast address whose packets may go from link to link: neither link-local nor unspecified.
 * What may not stand in a packet at all was refused before.
 */
export function isForwardable(w0: number, w1: number, w2: number, w3: number): boolean {
  if (isMapped(w0, w1, w2)) return w3 >>> 24 !== 0 && w3 >>> 16 !== 0xa9fe && w3 >>> 28 < 0xe;
  return w0 >>> 22 !== 0x3fa && w0 >>> 24 !== 0xff && !isLowest(w0, w1, w2, w3);
}
