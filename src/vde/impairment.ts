/**
 * What a bad cable does to the frames of a port: a stage is asked what becomes of each frame, a
 * line keeps those that are under way. Whoever carries the frames (a data plane, a simulation)
 * gives the time and comes back when the next one is due. Another kind of stage is another class,
 * one more kind of settings and one line in `stageOf`.
 */
import { Rng, TimeHeap } from "../base/index.ts";

/** A frame that arrives, and when. */
export interface Delivery {
  readonly frame: Uint8Array;
  readonly atMs: number;
}

/** Delays, drops, doubles or changes frames; keeps no clock and no timer. */
export interface ImpairmentStage {
  /**
   * @param frame the stage's own, to be changed and passed on.
   * @returns what arrives at the other side: nothing, the frame, or several, in any order.
   */
  pass(frame: Uint8Array, nowMs: number): readonly Delivery[];
}

/** The impairment of a port, as plain data. */
export interface ImpairmentSettings {
  /** Each frame arrives so much later. */
  readonly delayMs: number;
  /** Share of frames that never arrive, 0 … 1. */
  readonly loss: number;
  /** Same seed, same losses. */
  readonly seed: number;
}

/** Longest delay. */
export const IMPAIRMENT_DELAY_MS_MAX = 60_000;

/** A fixed delay, and losses independent of each other. */
export class DelayAndLoss implements ImpairmentStage {
  readonly #settings: ImpairmentSettings;
  readonly #rng: Rng;

  constructor(settings: ImpairmentSettings, seed: number = settings.seed) {
    this.#settings = settings;
    this.#rng = new Rng(seed);
  }

  pass(frame: Uint8Array, nowMs: number): readonly Delivery[] {
    const { delayMs, loss } = this.#settings;
    if (loss > 0 && this.#rng.unit() < loss) return [];
    return [{ frame, atMs: nowMs + delayMs }];
  }
}

/**
 * The stage that settings ask for. @param lane cables and directions that share settings but not
 * their luck.
 */
export function stageOf(settings: ImpairmentSettings, lane: number): ImpairmentStage {
  return new DelayAndLoss(settings, settings.seed * LANES + lane);
}

/** Lanes of one seed; the seed's low 32 bits are left whole. */
const LANES = 1 << 20;

/** Frames and octets under way in one line at most. */
export const LINE_FRAMES_MAX = 4096;
const LINE_OCTETS_MAX = 64 * 1024 * 1024;

interface UnderWay<T> extends Delivery {
  readonly rider: T;
}

/** Frames between a stage and their arrival, the earliest first; equals in the order they came. */
export class DelayLine<T> {
  stage: ImpairmentStage;
  /** Frames that the stage let go nowhere, and that found the line full. */
  lost = 0;
  overflowed = 0;
  readonly #underWay = new TimeHeap<UnderWay<T>>();
  #octets = 0;

  constructor(stage: ImpairmentStage) {
    this.stage = stage;
  }

  /** Frames under way. */
  get size(): number {
    return this.#underWay.size;
  }

  /** When the next frame arrives; infinite: none is under way. */
  get nextMs(): number {
    return this.#underWay.first?.atMs ?? Number.POSITIVE_INFINITY;
  }

  /** @param rider comes out with every delivery of this frame. */
  push(frame: Uint8Array, rider: T, nowMs: number): void {
    const deliveries = this.stage.pass(frame, nowMs);
    if (deliveries.length === 0) this.lost++;
    for (const delivery of deliveries) {
      const octets = this.#octets + delivery.frame.length;
      if (this.#underWay.size >= LINE_FRAMES_MAX || octets > LINE_OCTETS_MAX) {
        this.overflowed++;
        continue;
      }
      this.#octets = octets;
      this.#underWay.push({ ...delivery, rider });
    }
  }

  /** The next frame that has arrived by now, which stays; undefined: none. */
  peek(nowMs: number): (Delivery & { readonly rider: T }) | undefined {
    const next = this.#underWay.first;
    return next === undefined || next.atMs > nowMs ? undefined : next;
  }

  /** Takes out what `peek` gave. */
  shift(): void {
    this.#octets -= this.#underWay.shift()?.frame.length ?? 0;
  }
}
