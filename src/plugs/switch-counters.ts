/** What a switch counted, and the settings of its packet path: plain data between its threads. */
import type { DropCounts, Switch } from "../vde/index.ts";
import type { Segmenter } from "./segmenting-end.ts";
import type { SwitchEndpoint } from "./switch-endpoint.ts";
import type { MirrorCounters } from "./switch-taps.ts";
import type { ImpairmentCounters } from "./switch-impairments.ts";

/** Settings of the packet path that are not the switch's; what is left out stays. */
export interface DataplaneTuning {
  readonly ageingMs?: number;
  readonly watchesStations?: boolean;
  /** Frames that may wait for a cable, at most QUEUE_FRAMES. */
  readonly queue?: { readonly id: number; readonly frames: number };
}

/** Counters of one cable. */
export interface EndpointCounters {
  readonly id: number;
  readonly port: number;
  readonly description: string;
  readonly framesIn: number;
  readonly octetsIn: number;
  readonly framesOut: number;
  readonly octetsOut: number;
  readonly droppedStuck: number;
  readonly droppedFull: number;
  readonly timesPaused: number;
  readonly timesStuck: number;
  readonly queued: number;
  readonly isStuck: boolean;
}

/** Counters of a switch. */
export interface SwitchCounters {
  readonly endpoints: readonly EndpointCounters[];
  readonly droppedShort: number;
  readonly droppedOwnPort: number;
  /** Not for the VLANs of their ports. */
  readonly droppedVlan: number;
  readonly droppedSuspended: number;
  readonly truncated: number;
  /** Super-frames cut for cables that do not carry them. */
  readonly superFramesCut: number;
  /** Super-frames of which all or a part was lost: they made no sense, or no slot was free. */
  readonly superFramesLost: number;
  readonly stations: number;
  readonly stationsRefused: number;
  readonly stationsMoved: number;
  /** Frames the switch dropped, by the port they came by; a port without drops may be missing. */
  readonly portDrops: readonly DropCounts[];
  readonly mirrors: readonly MirrorCounters[];
  /** Of the ports that are impaired. */
  readonly impairments: readonly ImpairmentCounters[];
}

/**
 * A snapshot for another thread, but for what taps and impairments count. @param truncated frames
 * longer than a slot.
 */
export function countersOf(
  core: Switch,
  endpoints: readonly SwitchEndpoint[],
  truncated: number,
  segmenter: Segmenter,
): Omit<SwitchCounters, "mirrors" | "impairments"> {
  const { drops, table } = core;
  return {
    endpoints: endpoints.map((e) => ({
      id: e.id,
      port: e.port,
      description: e.end.description,
      framesIn: e.framesIn,
      octetsIn: e.octetsIn,
      framesOut: e.framesOut,
      octetsOut: e.octetsOut,
      droppedStuck: e.droppedStuck,
      droppedFull: e.droppedFull,
      timesPaused: e.timesPaused,
      timesStuck: e.timesStuck,
      queued: e.queued,
      isStuck: e.isStuck,
    })),
    droppedShort: drops.short,
    droppedOwnPort: drops.ownPort,
    droppedVlan: drops.vlan,
    droppedSuspended: drops.suspended,
    truncated,
    superFramesCut: segmenter.cut,
    superFramesLost: segmenter.malformed + segmenter.unkept,
    stations: table.count,
    stationsRefused: table.refused,
    stationsMoved: table.moved,
    portDrops: Array.from({ length: drops.portCount }, (_, port) => drops.ofPort(port)),
  };
}
