/**
 * A cable of the simulation, with the faults of real ones: delay, jitter (which reorders), loss,
 * duplicates, a bounded number of frames under way, and two ways to break: pulled, so that both
 * ends notice, or silent, so that nobody does.
 */
import { V2Error } from "../base/index.ts";
import type { Simulation } from "./simulation.ts";

/** Where a link ends. */
export interface SimNode {
  /** A frame arrives; it is the node's to keep. */
  receive(port: number, frame: Uint8Array): void;
  /** A cable was plugged into this port; frames sent go into `link`. */
  plugged(port: number, link: SimLink): void;
  /** It was pulled. */
  pulled(port: number): void;
}

export interface LinkFaults {
  /** 0.1 ms */
  readonly delayMs?: number;
  /** Added to the delay: 0 up to this (0). */
  readonly jitterMs?: number;
  /** Share of frames lost, 0 … 1 (0). */
  readonly loss?: number;
  /** Share of frames that arrive twice, 0 … 1 (0). */
  readonly duplicates?: number;
  /** Frames under way in one direction at most (256); more are lost. */
  readonly framesMax?: number;
}

const DELAY_MS = 0.1;
const FRAMES_MAX = 256;

/** One end: a port of a node. */
export interface LinkEnd {
  readonly node: SimNode;
  readonly port: number;
}

/** What became of the frames of a link. */
export interface LinkCounters {
  delivered: number;
  lost: number;
  duplicated: number;
  /** Refused because too many were under way. */
  overflowed: number;
}

/** A cable and the frames under way in it; `plug` and `pull` are its two ends at once. */
export class SimLink {
  readonly ends: readonly [LinkEnd, LinkEnd];
  readonly counters: LinkCounters = { delivered: 0, lost: 0, duplicated: 0, overflowed: 0 };
  faults: Required<LinkFaults>;
  readonly #simulation: Simulation;
  readonly #underWay: [number, number] = [0, 0];
  #state: "up" | "pulled" | "silent" = "pulled";
  /** Frames of an earlier plugging do not arrive. */
  #plugging = 0;

  /** The link is not plugged in yet. Throws V2Error LINK_FAULTS for impossible faults. */
  constructor(simulation: Simulation, a: LinkEnd, b: LinkEnd, faults: LinkFaults = {}) {
    this.#simulation = simulation;
    this.ends = [a, b];
    this.faults = {
      delayMs: DELAY_MS,
      jitterMs: 0,
      loss: 0,
      duplicates: 0,
      framesMax: FRAMES_MAX,
      ...faults,
    };
    const { loss, duplicates, delayMs, jitterMs } = this.faults;
    const isSound = [loss, duplicates].every((share) => share >= 0 && share <= 1);
    if (!isSound || delayMs < 0 || jitterMs < 0) {
      throw new V2Error("LINK_FAULTS", `impossible faults: ${JSON.stringify(faults)}`, {
        remedy: "Shares go from 0 to 1, times are not negative.",
      });
    }
  }

  /** Frames can pass. */
  get isUp(): boolean {
    return this.#state === "up";
  }

  /** Plugs both ends in, or ends a silence. */
  plug(): void {
    const wasPulled = this.#state === "pulled";
    this.#state = "up";
    if (!wasPulled) return;
    this.#plugging++;
    for (const { node, port } of this.ends) node.plugged(port, this);
  }

  /** Pulls both ends; what was under way is lost. */
  pull(): void {
    if (this.#state === "pulled") return;
    this.#state = "pulled";
    this.#plugging++;
    for (const { node, port } of this.ends) node.pulled(port);
  }

  /** Loses everything from now on, and neither end is told. */
  silence(): void {
    if (this.#state === "up") this.#state = "silent";
  }

  /** A copy of the frame sets out from one end to the other. */
  send(from: SimNode, frame: Uint8Array): void {
    if (this.#state !== "up") {
      this.counters.lost++;
      return;
    }
    const direction = from === this.ends[0].node ? 0 : 1;
    const { rng } = this.#simulation;
    if (this.faults.loss > 0 && rng.unit() < this.faults.loss) {
      this.counters.lost++;
      return;
    }
    this.#depart(direction, frame);
    if (this.faults.duplicates > 0 && rng.unit() < this.faults.duplicates) {
      this.counters.duplicated++;
      this.#depart(direction, frame);
    }
  }

  #depart(direction: 0 | 1, frame: Uint8Array): void {
    const { delayMs, jitterMs, framesMax } = this.faults;
    if (this.#underWay[direction] >= framesMax) {
      this.counters.overflowed++;
      return;
    }
    this.#underWay[direction]++;
    const plugging = this.#plugging;
    const copy = frame.slice();
    const jitter = jitterMs === 0 ? 0 : this.#simulation.rng.unit() * jitterMs;
    this.#simulation.after(delayMs + jitter, () => {
      this.#underWay[direction]--;
      if (plugging !== this.#plugging || this.#state !== "up") {
        this.counters.lost++;
        return;
      }
      this.counters.delivered++;
      const { node, port } = this.ends[1 - direction]!;
      node.receive(port, copy);
    });
  }
}
