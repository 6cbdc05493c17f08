/**
 * How much may be under way: RFC 5681 with RFC 6928's initial window and RFC 3465's counting of
 * octets, CUBIC (RFC 9438) and HyStart++ (RFC 9406). Windows in octets, times in milliseconds.
 */

/** One algorithm, for one connection. */
export interface Congestion {
  readonly name: "cubic" | "reno";
  /** Octets that may be under way. */
  window: number;
  /** Below it the window grows by what was acknowledged. */
  threshold: number;
  /** New data was acknowledged outside of recovery, while the window was used. */
  acknowledged(octets: number, rttMs: number, nowMs: number): void;
  /** Loss was found: the window that recovery ends with. @param flight octets under way. */
  reduce(flight: number, nowMs: number): number;
  /** The timer ran out: everything starts anew (RFC 5681 §3.1). */
  timedOut(flight: number, nowMs: number): void;
  /** Nothing was sent for a while (RFC 5681 §4.1, RFC 7661): the window is old news. */
  idle(nowMs: number): void;
}

/** RFC 6928 §2. */
export function initialWindow(segmentOctets: number): number {
  return Math.min(10 * segmentOctets, Math.max(2 * segmentOctets, 14_600));
}

const FOR_EVER = Number.POSITIVE_INFINITY;

/** RFC 5681. */
export class Reno implements Congestion {
  readonly name: "reno" | "cubic" = "reno";
  window: number;
  threshold = FOR_EVER;
  protected readonly segment: number;
  readonly #initial: number;
  readonly #slowStart: HyStart;
  #counted = 0;

  constructor(segmentOctets: number) {
    this.segment = segmentOctets;
    this.#initial = initialWindow(segmentOctets);
    this.window = this.#initial;
    this.#slowStart = new HyStart();
  }

  acknowledged(octets: number, rttMs: number, nowMs: number): void {
    if (this.window < this.threshold) {
      const growth = this.#slowStart.growth(octets, rttMs, this.segment);
      this.window = Math.min(this.window + growth, Math.max(this.threshold, this.window));
      if (this.#slowStart.isOver) this.threshold = this.window;
      return;
    }
    this.avoid(octets, rttMs, nowMs);
  }

  /** Congestion avoidance: a segment more for each window that was acknowledged. */
  protected avoid(octets: number, _rttMs: number, _nowMs: number): void {
    this.#counted += octets;
    if (this.#counted < this.window) return;
    this.#counted -= this.window;
    this.window += this.segment;
  }

  reduce(flight: number, _nowMs: number): number {
    this.threshold = Math.max(flight / 2, 2 * this.segment);
    this.#slowStart.end();
    return this.threshold;
  }

  timedOut(flight: number, nowMs: number): void {
    this.threshold = this.reduce(flight, nowMs);
    this.window = this.segment;
    this.#slowStart.restart();
  }

  idle(_nowMs: number): void {
    this.threshold = Math.max(this.threshold, (3 * this.window) / 4);
    this.window = Math.min(this.window, this.#initial);
    this.#slowStart.restart();
  }
}

const CUBIC_C = 0.4;
const CUBIC_BETA = 0.7;
/** RFC 9438 §4.3. */
const ALPHA_RENO = (3 * (1 - CUBIC_BETA)) / (1 + CUBIC_BETA);

/** RFC 9438. */
export class Cubic extends Reno {
  override readonly name = "cubic";
  /** In segments: the window where loss was found last. */
  #most = 0;
  /** Seconds from the start of the epoch until the window is there again. */
  #k = 0;
  #epochMs = -1;
  /** What Reno would have, in segments (RFC 9438 §4.3). */
  #renoWindow = 0;

  protected override avoid(octets: number, rttMs: number, nowMs: number): void {
    const { segment } = this;
    const window = this.window / segment;
    if (this.#epochMs < 0) this.#begin(window, nowMs);
    const seconds = (nowMs - this.#epochMs + rttMs) / 1000;
    const cubic = CUBIC_C * (seconds - this.#k) ** 3 + this.#most;
    const target = Math.min(Math.max(cubic, window), 1.5 * window);
    const alpha = this.#renoWindow >= this.#most ? 1 : ALPHA_RENO;
    this.#renoWindow += (alpha * octets) / this.window;
    const growth = Math.max((target - window) / window, 0) * (octets / segment);
    this.window = Math.max(this.window + growth * segment, this.#renoWindow * segment);
  }

  override reduce(flight: number, nowMs: number): number {
    const { segment } = this;
    const window = Math.min(this.window, Math.max(flight, 2 * segment)) / segment;
    // RFC 9438 §4.7: leave room for others when the window was smaller than last time.
    this.#most = window < this.#most ? (window * (1 + CUBIC_BETA)) / 2 : window;
    this.#epochMs = -1;
    super.reduce(flight, nowMs);
    this.threshold = Math.max(window * segment * CUBIC_BETA, 2 * segment);
    return this.threshold;
  }

  override timedOut(flight: number, nowMs: number): void {
    super.timedOut(flight, nowMs);
    this.#epochMs = -1;
  }

  override idle(nowMs: number): void {
    super.idle(nowMs);
    this.#epochMs = -1;
  }

  #begin(window: number, nowMs: number): void {
    this.#epochMs = nowMs;
    this.#most = Math.max(this.#most, window);
    this.#k = Math.cbrt((this.#most - window) / CUBIC_C);
    this.#renoWindow = window;
  }
}

/** RFC 9406 §4.3. */
const MIN_RTT_THRESH_MS = 4;
const MAX_RTT_THRESH_MS = 16;
const RTT_DIVISOR = 8;
const RTT_SAMPLES = 8;
const CSS_DIVISOR = 4;
const CSS_ROUNDS = 5;

/** Leaves slow start when round trips grow, before packets are lost: RFC 9406. */
class HyStart {
  isOver = false;
  #lastMinMs = FOR_EVER;
  #minMs = FOR_EVER;
  #samples = 0;
  #cssRounds = 0;
  #cssBaseMs = FOR_EVER;
  #roundOctets = 0;
  #roundAt = 0;

  /** Octets by which the window grows for `octets` acknowledged. */
  growth(octets: number, rttMs: number, segment: number): number {
    this.#roundOctets += octets;
    if (this.#roundOctets >= this.#roundAt) this.#newRound();
    this.#minMs = Math.min(this.#minMs, rttMs);
    this.#samples++;
    if (this.#cssBaseMs !== FOR_EVER) {
      if (this.#samples >= RTT_SAMPLES && this.#minMs < this.#cssBaseMs) {
        this.#cssBaseMs = FOR_EVER;
        this.#cssRounds = 0;
      }
      return octets / CSS_DIVISOR;
    }
    if (this.#samples >= RTT_SAMPLES && this.#lastMinMs !== FOR_EVER && segment > 0) {
      const share = this.#lastMinMs / RTT_DIVISOR;
      const threshold = Math.max(MIN_RTT_THRESH_MS, Math.min(share, MAX_RTT_THRESH_MS));
      if (this.#minMs >= this.#lastMinMs + threshold) {
        this.#cssBaseMs = this.#minMs;
        this.#cssRounds = 0;
      }
    }
    return octets;
  }

  end(): void {
    this.isOver = true;
  }

  restart(): void {
    this.isOver = false;
    this.#lastMinMs = FOR_EVER;
    this.#minMs = FOR_EVER;
    this.#cssBaseMs = FOR_EVER;
    this.#samples = 0;
    this.#roundOctets = 0;
    this.#roundAt = 0;
  }

  /** A round is as long as what was acknowledged in the rounds before, which is the window. */
  #newRound(): void {
    this.#roundAt = 2 * this.#roundOctets;
    this.#lastMinMs = this.#minMs;
    this.#minMs = FOR_EVER;
    this.#samples = 0;
    if (this.#cssBaseMs === FOR_EVER) return;
    this.#cssRounds++;
    if (this.#cssRounds >= CSS_ROUNDS) this.isOver = true;
  }
}
