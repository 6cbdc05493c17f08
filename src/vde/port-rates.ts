/** Traffic of ports per second, from two readings of a switch's counters. */
import type { PortReport, TrafficReport } from "./console-report.ts";

/** Traffic in one direction. */
export interface Rate {
  readonly framesPerSecond: number;
  readonly bitsPerSecond: number;
}

/** A port in the last interval; `in` is from the cable into the switch. */
export interface PortRate {
  readonly port: number;
  readonly isActive: boolean;
  readonly untaggedVlan: number;
  readonly in: Rate;
  readonly out: Rate;
  /** Frames lost at the port since it exists; undefined: the switch does not count them. */
  readonly drops: number | undefined;
  readonly dropsPerSecond: number | undefined;
  readonly description: string;
}

const ZERO: TrafficReport = { frames: 0, octets: 0 };

/**
 * Rates between two readings. A counter that went back (reset, or another cable in the port) counts
 * from zero.
 * @param elapsedMs time between the readings, above 0.
 */
export function portRates(
  before: readonly PortReport[],
  after: readonly PortReport[],
  elapsedMs: number,
): readonly PortRate[] {
  const earlier = new Map(before.map((report) => [report.port, report]));
  return after.map((now) => {
    const then = earlier.get(now.port);
    const drops = dropsOf(now);
    const droppedBefore = then === undefined ? drops : dropsOf(then);
    return {
      port: now.port,
      isActive: now.isActive,
      untaggedVlan: now.untaggedVlan,
      // A port that was not there has no interval to speak of.
      in: rate(then === undefined ? now.in : then.in, now.in, elapsedMs),
      out: rate(then === undefined ? now.out : then.out, now.out, elapsedMs),
      drops,
      dropsPerSecond:
        drops === undefined ? undefined : perSecond(droppedBefore ?? 0, drops, elapsedMs),
      description: now.endpoints.map(({ description }) => description).join(", "),
    };
  });
}

function dropsOf(port: PortReport): number | undefined {
  const known = port.endpoints.flatMap(({ drops }) => drops ?? []);
  return known.length === 0 ? undefined : known.reduce((sum, drops) => sum + drops, 0);
}

function rate(
  before: TrafficReport | undefined,
  after: TrafficReport | undefined,
  elapsedMs: number,
): Rate {
  const [then, now] = [before ?? ZERO, after ?? ZERO];
  return {
    framesPerSecond: perSecond(then.frames, now.frames, elapsedMs),
    bitsPerSecond: 8 * perSecond(then.octets, now.octets, elapsedMs),
  };
}

function perSecond(before: number, after: number, elapsedMs: number): number {
  const count = after < before ? after : after - before;
  return (count * 1000) / elapsedMs;
}
