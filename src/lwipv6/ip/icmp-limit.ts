/**
 * How many ICMP errors are sent: RFC 4443 §2.4(f), RFC 1812 §4.3.2.8. A bucket for each group of
 * peers, chosen by a keyed hash, so that one peer cannot see from its own errors what others get
 * (a single bucket tells ports apart from outside: "SAD DNS", 2020).
 */
import type { IpAddress } from "../address.ts";
import type { StackCore } from "../core.ts";
import type { SipHash } from "../siphash.ts";

const BUCKETS = 256;
/**
 * Of the burst, a bucket is filled to a random share at least this large (RFC 4443 asks for none).
 */
const JITTER = 0.25;

export class IcmpLimit {
  readonly #core: StackCore;
  readonly #hash: SipHash;
  readonly #words = new Int32Array(4);
  readonly #tokens: Float64Array;
  readonly #filledMs: Float64Array;

  constructor(core: StackCore) {
    this.#core = core;
    this.#hash = core.random.keyedHash();
    const { icmpErrorBurst } = core.limits;
    this.#tokens = new Float64Array(BUCKETS).fill(icmpErrorBurst);
    this.#filledMs = new Float64Array(BUCKETS).fill(core.nowMs);
  }

  /** One error to `peer` may be sent now. */
  take(peer: IpAddress): boolean {
    const { limits, nowMs, random } = this.#core;
    this.#words[0] = peer.w0;
    this.#words[1] = peer.w1;
    // Hosts of one IPv6 network share a bucket: addresses there cost nothing.
    this.#words[2] = peer.isIpv4 ? peer.w2 : 0;
    this.#words[3] = peer.isIpv4 ? peer.w3 : 0;
    const at = this.#hash.hash(this.#words, 4) % BUCKETS;
    const gained = ((nowMs - this.#filledMs[at]!) / 1000) * limits.icmpErrorsPerSecond;
    const most = limits.icmpErrorBurst * (1 - JITTER * random.unit());
    this.#tokens[at] = Math.min(most, this.#tokens[at]! + gained);
    this.#filledMs[at] = nowMs;
    if (this.#tokens[at] < 1) {
      this.#core.counters.count("icmp.rate-limited");
      return false;
    }
    this.#tokens[at]--;
    return true;
  }
}
