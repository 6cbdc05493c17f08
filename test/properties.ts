/** What the property tests share: one fixed seed, and arbitrary octets and addresses. */
import * as fc from "fast-check";

/** Fixed, so that a failure comes back; a failing case becomes a test of its own. */
export const PROPERTY = { seed: 20_261_122, numRuns: 300 } as const;

export const u8 = fc.nat(0xff);
export const u16 = fc.nat(0xffff);
export const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
export const mac = fc.uint8Array({ minLength: 6, maxLength: 6 });
export const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
export const ipv6 = fc.uint8Array({ minLength: 16, maxLength: 16 });
export const pair4 = record({ source: ipv4, target: ipv4 });
export const pair6 = record({ source: ipv6, target: ipv6 });
/** Foreign input of any kind. */
export const anyOctets = fc.uint8Array({ maxLength: 200 });
export const payload = fc.uint8Array({ maxLength: 600 });

/** True for every value, with the fixed seed. */
export function always<T>(arbitrary: fc.Arbitrary<T>, check: (value: T) => void): void {
  fc.assert(fc.property(arbitrary, check), PROPERTY);
}

/**
 * A plain object of arbitrary fields: fast-check's own has no prototype and so equals no literal.
 */
export function record<T>(fields: { [name in keyof T]: fc.Arbitrary<T[name]> }): fc.Arbitrary<T> {
  return fc.record(fields, { noNullPrototype: true }) as fc.Arbitrary<T>;
}
