/** Round-trip times and the retransmission timeout: RFC 6298, RFC 7323 §4, RFC 8985 §6.2. */

/** RFC 6298 §2.4 asks for a second; Linux and most others take 200 ms, and so do we. */
const RTO_MIN_MS = 200;
const RTO_MAX_MS = 120_000;
/** RFC 6298 §2.1. */
const RTO_INITIAL_MS = 1000;
const ALPHA = 1 / 8;
const BETA = 1 / 4;
/** The smallest time of the last ten seconds, as RFC 8985 §6.2 step 1 wants it. */
const MIN_WINDOW_MS = 10_000;

export class RoundTrip {
  /** 0: nothing is known yet. */
  smoothedMs = 0;
  variationMs = 0;
  /** Smallest of late. */
  minMs = Number.POSITIVE_INFINITY;
  #rtoMs = RTO_INITIAL_MS;
  #minAtMs = 0;
  #nextMinMs = Number.POSITIVE_INFINITY;
  /** Times the timer has run out since the last sample (RFC 6298 §5.5). */
  backoff = 0;

  /** The time to wait for an acknowledgment. */
  get timeoutMs(): number {
    return Math.min(RTO_MAX_MS, this.#rtoMs * 2 ** this.backoff);
  }

  /** A round trip that was measured, of data that was sent once. */
  sample(rttMs: number, nowMs: number): void {
    this.backoff = 0;
    if (this.smoothedMs === 0) {
      this.smoothedMs = Math.max(rttMs, 1e-3);
      this.variationMs = rttMs / 2;
    } else {
      this.variationMs += BETA * (Math.abs(this.smoothedMs - rttMs) - this.variationMs);
      this.smoothedMs += ALPHA * (rttMs - this.smoothedMs);
    }
    this.#rtoMs = Math.max(RTO_MIN_MS, this.smoothedMs + Math.max(1, 4 * this.variationMs));
    this.#noteMin(rttMs, nowMs);
  }

  /** RFC 6298 §5.7: a SYN was lost, so the first data waits for three seconds. */
  handshakeWasSlow(): void {
    if (this.smoothedMs === 0) this.#rtoMs = 3000;
  }

  #noteMin(rttMs: number, nowMs: number): void {
    if (rttMs <= this.minMs || nowMs - this.#minAtMs > MIN_WINDOW_MS) {
      this.minMs = rttMs <= this.minMs ? rttMs : Math.min(rttMs, this.#nextMinMs);
      this.#minAtMs = nowMs;
      this.#nextMinMs = Number.POSITIVE_INFINITY;
    } else this.#nextMinMs = Math.min(this.#nextMinMs, rttMs);
  }
}
