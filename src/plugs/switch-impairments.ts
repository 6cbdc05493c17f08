/**
 * The impaired ports of a switch, in its packet thread: wraps the cables of such a port
 * (impaired-end.ts), knows when the next frame under way is due, and has it moved then. Without an
 * impaired port a round asks one question.
 */
import type { FramePool } from "../base/index.ts";
import type { ImpairmentSettings } from "../vde/index.ts";
import { ImpairedEnd } from "./impaired-end.ts";
import type { SwitchEndpoint } from "./switch-endpoint.ts";

/** Frames of a port's impairment, of the cables plugged in now. */
export interface ImpairmentCounters {
  readonly port: number;
  readonly lost: number;
  /** Lost because too many were under way. */
  readonly overflowed: number;
  readonly underWay: number;
}

export interface ImpairmentHost {
  readonly pool: FramePool;
  readonly clockMs: () => number;
  /** A frame from the cable has arrived: it is to be read. */
  readonly read: (endpoint: SwitchEndpoint, nowMs: number) => void;
  /** A frame for the cable has arrived: it is to be sent. */
  readonly pushOut: (endpoint: SwitchEndpoint, nowMs: number) => void;
}

interface ImpairedCable {
  readonly endpoint: SwitchEndpoint;
  readonly end: ImpairedEnd;
}

/** By port: its impairment and its cables. */
export class SwitchImpairments {
  readonly #host: ImpairmentHost;
  readonly #settings = new Map<number, ImpairmentSettings>();
  #cables: readonly ImpairedCable[] = [];

  constructor(host: ImpairmentHost) {
    this.#host = host;
  }

  /** Whether any cable is impaired. */
  get isActive(): boolean {
    return this.#cables.length > 0;
  }

  /**
   * @param settings undefined: none from now on; frames under way are lost then.
   * @param endpoints the cables of the port.
   */
  set(
    port: number,
    settings: ImpairmentSettings | undefined,
    endpoints: readonly SwitchEndpoint[],
  ): void {
    if (settings !== undefined) {
      this.#settings.set(port, settings);
      for (const endpoint of endpoints) this.plugged(endpoint);
      return;
    }
    this.#settings.delete(port);
    for (const { endpoint, end } of this.#cables) {
      if (endpoint.port !== port) continue;
      endpoint.end = end.inner;
      end.release();
    }
    this.#cables = this.#cables.filter(({ endpoint }) => endpoint.port !== port);
  }

  /** A cable is in a port; if the port is impaired, so is the cable. */
  plugged(endpoint: SwitchEndpoint): void {
    const settings = this.#settings.get(endpoint.port);
    if (settings === undefined) return;
    const known = this.#cables.find((cable) => cable.endpoint === endpoint);
    if (known !== undefined) {
      known.end.change(settings);
      return;
    }
    const { pool, clockMs } = this.#host;
    const { id: cable, end: inner } = endpoint;
    const end = new ImpairedEnd({ inner, pool, settings, cable, clockMs });
    endpoint.end = end;
    this.#cables = [...this.#cables, { endpoint, end }];
  }

  /** A cable is pulled. */
  pulled(endpoint: SwitchEndpoint): void {
    this.#cables = this.#cables.filter((cable) => cable.endpoint !== endpoint);
  }

  /** When the next frame arrives that can be moved; infinite: none is under way. */
  nextMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { endpoint, end } of this.#cables) {
      if (endpoint.isClosed) continue;
      if (endpoint.blockedBy === 0) next = Math.min(next, end.lineIn.nextMs);
      next = Math.min(next, end.nextOutMs);
    }
    return next;
  }

  /** Moves what has arrived. */
  poll(nowMs: number): void {
    for (const { endpoint, end } of this.#cables) {
      if (endpoint.isClosed) continue;
      // A source that waits for others is not read; its frames wait with it.
      if (endpoint.blockedBy === 0 && end.lineIn.nextMs <= nowMs) this.#host.read(endpoint, nowMs);
      if (end.nextOutMs <= nowMs) this.#host.pushOut(endpoint, nowMs);
    }
  }

  counters(): readonly ImpairmentCounters[] {
    return [...this.#settings.keys()].map((port) => {
      const lines = this.#cables
        .filter(({ endpoint }) => endpoint.port === port)
        .flatMap(({ end }) => [end.lineIn, end.lineOut]);
      const sum = (of: (line: (typeof lines)[number]) => number): number =>
        lines.reduce((total, line) => total + of(line), 0);
      return {
        port,
        lost: sum(({ lost }) => lost),
        overflowed: sum(({ overflowed }) => overflowed),
        underWay: sum(({ size }) => size),
      };
    });
  }
}
