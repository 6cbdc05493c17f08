/**
 * The longest packets that pass on the way to single targets: RFC 1191, RFC 8201. What routers say
 * only makes it smaller, never below what every link must carry, and is forgotten after a while.
 */
import type { IpAddress } from "../address.ts";
import type { StackCore } from "../core.ts";
import { Timer } from "../timer-wheel.ts";

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
  readonly #timer = new Timer(() => this.#forgetOld());

  constructor(core: StackCore) {
    this.#core = core;
  }

  /** Targets whose path is narrower than its link. */
  get count(): number {
    return this.#entries.size;
  }

  /** For one target; undefined: as its link. */
  of(target: IpAddress): number | undefined {
    if (this.#entries.size === 0) return undefined;
    return this.#entries.get(target.toString())?.mtuOctets;
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
    const key = target.toString();
    const known = Math.min(nowOctets, this.#entries.get(key)?.mtuOctets ?? nowOctets);
    if (octets >= known) return known;
    if (!this.#entries.has(key) && this.#entries.size >= this.#core.limits.destinations) {
      const oldest = this.#entries.keys().next();
      if (oldest.done !== true) this.#entries.delete(oldest.value);
    }
    this.#entries.delete(key);
    const untilMs = this.#core.nowMs + FORGET_MS;
    this.#entries.set(key, { mtuOctets: octets, untilMs });
    if (!this.#timer.isSet) this.#core.timers.set(this.#timer, untilMs);
    this.generation++;
    return octets;
  }

  /** The entries stand in the order of their ends: each is new or was put last again. */
  #forgetOld(): void {
    for (const [key, { untilMs }] of this.#entries) {
      if (untilMs > this.#core.nowMs) {
        this.#core.timers.set(this.#timer, untilMs);
        break;
      }
      this.#entries.delete(key);
    }
    this.generation++;
  }
}
