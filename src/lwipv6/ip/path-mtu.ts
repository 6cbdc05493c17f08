/**
 * The longest packets that pass on the way to single targets: RFC 1191, RFC 8201. What routers say
 * only makes it smaller, never below what every link must carry, and is forgotten after a while.
 */
import type { IpAddress } from "../address.ts";
import type { StackCore } from "../core.ts";

/** RFC 1191 §6.3, RFC 8201 §4: a larger one may be tried after ten minutes. */
const FORGET_MS = 600_000;
/** Linux' net.ipv4.route.min_pmtu: smaller claims are attacks more often than links (RFC 5927). */
const MIN_IPV4_OCTETS = 552;
/** RFC 8200 §5; smaller claims are ignored (RFC 8201 §4). */
const MIN_IPV6_OCTETS = 1280;

interface Entry {
  readonly mtuOctets: number;
  readonly untilMs: number;
}

export class PathMtus {
  /** Changes when a path's MTU does. */
  generation = 0;
  readonly #core: StackCore;
  readonly #entries = new Map<string, Entry>();

  constructor(core: StackCore) {
    this.#core = core;
  }

  /** For one target; undefined: as its link. */
  of(target: IpAddress): number | undefined {
    if (this.#entries.size === 0) return undefined;
    const key = target.toString();
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.untilMs > this.#core.nowMs) return entry.mtuOctets;
    this.#entries.delete(key);
    return undefined;
  }

  /**
   * A router says that packets to `target` must not be longer.
   * @param nowOctets what was thought so far.
   * @returns what is to be thought now; `nowOctets`: nothing changes.
   */
  reduce(target: IpAddress, mtuOctets: number, nowOctets: number): number {
    const isIpv4 = target.isIpv4;
    if (!isIpv4 && mtuOctets < MIN_IPV6_OCTETS) {
      this.#core.counters.count("pmtu.too-small");
      return nowOctets;
    }
    const octets = isIpv4 ? Math.max(MIN_IPV4_OCTETS, mtuOctets) : mtuOctets;
    if (octets >= nowOctets) return nowOctets;
    const key = target.toString();
    if (!this.#entries.has(key) && this.#entries.size >= this.#core.limits.destinations) {
      const oldest = this.#entries.keys().next();
      if (oldest.done !== true) this.#entries.delete(oldest.value);
    }
    this.#entries.delete(key);
    this.#entries.set(key, { mtuOctets: octets, untilMs: this.#core.nowMs + FORGET_MS });
    this.generation++;
    return octets;
  }
}
