/** Which of our addresses a packet comes from: RFC 6724 §5, and the order of targets, §6. */
import { IpAddress, IpPrefix } from "../address.ts";
import type { InterfaceAddress } from "../addresses.ts";
import type { Interface } from "../interface.ts";

/** RFC 6724 §2.1: precedence and label by prefix. */
const POLICY: readonly (readonly [prefix: IpPrefix, precedence: number, label: number])[] = (
  [
    ["::1", 128, 50, 0],
    ["::ffff:0:0", 96, 35, 4],
    ["2002::", 16, 30, 2],
    ["2001::", 32, 5, 5],
    ["3ffe::", 16, 1, 12],
    ["fec0::", 10, 1, 11],
    ["::", 96, 1, 3],
    ["fc00::", 7, 3, 13],
    ["::", 0, 40, 1],
  ] as const
).map(([text, bits, precedence, label]) => [
  new IpPrefix(IpAddress.parse(text), bits),
  precedence,
  label,
]);

/** Multicast scopes of RFC 4291 §2.7, given to unicast addresses by RFC 6724 §3.1. */
const SCOPE = { link: 2, site: 5, global: 14 } as const;

function policyOf(address: IpAddress): readonly [IpPrefix, number, number] {
  let best = POLICY.at(-1)!;
  for (const entry of POLICY) {
    if (entry[0].lengthBits > best[0].lengthBits && entry[0].contains(address)) best = entry;
  }
  return best;
}

/** RFC 6724 §3.1 and §3.2. */
export function scopeOf(address: IpAddress): number {
  if (address.isMulticast && !address.isIpv4) return (address.w0 >>> 16) & 0xf;
  if (address.isLinkLocal || address.isLoopback) return SCOPE.link;
  if (!address.isIpv4 && address.w0 >>> 22 === 0x3fb) return SCOPE.site;
  return SCOPE.global;
}

/** Leading bits that two addresses share. */
export function commonBits(a: IpAddress, b: IpAddress): number {
  const words = [a.w0 ^ b.w0, a.w1 ^ b.w1, a.w2 ^ b.w2, a.w3 ^ b.w3];
  const at = words.findIndex((word) => word !== 0);
  return at < 0 ? 128 : 32 * at + Math.clz32(words[at]!);
}

/**
 * The best source for a target.
 * @param candidates usable addresses of the stack.
 * @param outgoing the interface that the packet leaves by.
 */
export function selectSource(
  target: IpAddress,
  candidates: readonly InterfaceAddress[],
  outgoing: Interface,
): InterfaceAddress | undefined {
  let best: InterfaceAddress | undefined;
  for (const candidate of candidates) {
    if (candidate.address.isIpv4 !== target.isIpv4) continue;
    // RFC 6724 §4: link-local sources are of the outgoing link; others may be of any interface.
    if (candidate.interface !== outgoing && scopeOf(candidate.address) === SCOPE.link) continue;
    if (best === undefined || compareSources(candidate, best, target, outgoing) < 0) {
      best = candidate;
    }
  }
  return best;
}

/** Negative: `a` is better. The rules of RFC 6724 §5 in order. */
function compareSources(
  a: InterfaceAddress,
  b: InterfaceAddress,
  target: IpAddress,
  outgoing: Interface,
): number {
  const prefer = (isA: boolean, isB: boolean): number => Number(isB) - Number(isA);
  const sameLabel = (entry: InterfaceAddress): boolean =>
    policyOf(entry.address)[2] === policyOf(target)[2];
  return (
    prefer(a.address.equals(target), b.address.equals(target)) ||
    compareScopes(scopeOf(a.address), scopeOf(b.address), scopeOf(target)) ||
    prefer(a.state !== "deprecated", b.state !== "deprecated") ||
    prefer(a.interface === outgoing, b.interface === outgoing) ||
    prefer(sameLabel(a), sameLabel(b)) ||
    prefer(a.origin === "temporary", b.origin === "temporary") ||
    prefixMatch(b, target) - prefixMatch(a, target)
  );
}

/** Rule 2: the smaller scope, unless it is smaller than the target's. */
function compareScopes(a: number, b: number, target: number): number {
  if (a === b) return 0;
  return a < b ? (a < target ? 1 : -1) : b < target ? -1 : 1;
}

/** Rule 8, but not beyond the network's prefix (RFC 6724 §2.2). */
function prefixMatch(entry: InterfaceAddress, target: IpAddress): number {
  return Math.min(commonBits(entry.address, target), entry.prefix.lengthBits);
}

/** A target and the source a packet to it would have; undefined: it cannot be reached. */
export interface TargetChoice {
  readonly target: IpAddress;
  readonly source: InterfaceAddress | undefined;
}

/** Sorts targets by RFC 6724 §6, the best first; equals keep their order. */
export function sortTargets(choices: readonly TargetChoice[]): TargetChoice[] {
  return [...choices].sort(compareTargets);
}

function compareTargets(a: TargetChoice, b: TargetChoice): number {
  const prefer = (isA: boolean, isB: boolean): number => Number(isB) - Number(isA);
  const { source: sa } = a;
  const { source: sb } = b;
  if (sa === undefined || sb === undefined) return prefer(sa !== undefined, sb !== undefined);
  const isScopeSame = (choice: TargetChoice): boolean =>
    scopeOf(choice.target) === scopeOf(choice.source!.address);
  const isLabelSame = (choice: TargetChoice): boolean =>
    policyOf(choice.target)[2] === policyOf(choice.source!.address)[2];
  return (
    prefer(isScopeSame(a), isScopeSame(b)) ||
    prefer(sa.state !== "deprecated", sb.state !== "deprecated") ||
    prefer(isLabelSame(a), isLabelSame(b)) ||
    policyOf(b.target)[1] - policyOf(a.target)[1] ||
    scopeOf(a.target) - scopeOf(b.target) ||
    (a.target.isIpv4 === b.target.isIpv4
      ? commonBits(b.target, sb.address) - commonBits(a.target, sa.address)
      : 0)
  );
}
