/**
 * Sequence numbers, RFC 9293 §3.4: 32 bits that wrap, held as signed numbers (`| 0`), so that the
 * difference of two of them says which is later.
 */

/** `a` comes before `b`. */
export function before(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

/** `a` comes after `b`. */
export function after(a: number, b: number): boolean {
  return ((a - b) | 0) > 0;
}

/** `a` is `b` or comes before it. */
export function notAfter(a: number, b: number): boolean {
  return ((a - b) | 0) <= 0;
}

/** `a` is `b` or comes after it. */
export function notBefore(a: number, b: number): boolean {
  return ((a - b) | 0) >= 0;
}

/** The later of two. */
export function later(a: number, b: number): number {
  return after(a, b) ? a : b;
}

/** The earlier of two. */
export function earlier(a: number, b: number): number {
  return before(a, b) ? a : b;
}
