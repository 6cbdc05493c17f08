/** Drops of ports out of the counters of their cables: a port keeps those of its gone cables. */
import type { PortDrops } from "../vde/index.ts";
import type { SwitchCounters } from "./switch-counters.ts";

const NONE = { short: 0, ownPort: 0, vlan: 0, suspended: 0 } as const;

/** What each port dropped since the switch started. */
export class PortDropBook {
  /** By port: of cables that are gone. */
  readonly #gone = new Map<number, { full: number; stuck: number }>();

  /** @param counters of the switch, now. */
  read(port: number, counters: SwitchCounters): PortDrops {
    let { full, stuck } = this.#gone.get(port) ?? { full: 0, stuck: 0 };
    for (const cable of counters.endpoints) {
      if (cable.port !== port) continue;
      full += cable.droppedFull;
      stuck += cable.droppedStuck;
    }
    return { ...(counters.portDrops[port] ?? NONE), full, stuck };
  }

  /** A cable is gone. @param counters just before, its own included. */
  closed(id: number, counters: SwitchCounters): void {
    const cable = counters.endpoints.find((endpoint) => endpoint.id === id);
    if (cable === undefined) return;
    const { full, stuck } = this.#gone.get(cable.port) ?? { full: 0, stuck: 0 };
    this.#gone.set(cable.port, {
      full: full + cable.droppedFull,
      stuck: stuck + cable.droppedStuck,
    });
  }
}
