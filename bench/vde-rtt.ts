/**
 * The time of one frame through the switch and back, nothing else under way: our switch and
 * Debian's. `p50` is the median in microseconds, clients included.
 */
import { costFigure, type Figure } from "./figure.ts";
import { interleave, type Load, LoadBench, type LoadOptions, PEER } from "./vde-load.ts";

/** @throws V2Error without a C compiler or Debian's vde_switch. */
export async function run(options: LoadOptions): Promise<Figure[]> {
  const bench = await LoadBench.start();
  const time = (load: Load): number => load.medianRtt;
  try {
    const { ours, peer } = interleave(bench, "rtt", 64, 1, options);
    const name = { bench: "vde-rtt", case: "64", metric: "p50", peerName: PEER };
    return [costFigure(name, ours.map(time), peer.map(time))];
  } finally {
    await bench.close();
  }
}
