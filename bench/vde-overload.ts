/**
 * A sender that never waits and a receiver that always reads, one frame per call as VDE's own
 * clients, through our switch and Debian's: `received` frames per second, and the share of the
 * frames sent that was `loss` on the way.
 */
import { type Figure, median, rateFigure } from "./figure.ts";
import { interleave, type Load, LoadBench, type LoadOptions, PEER, received } from "./vde-load.ts";

const BATCH = 1;

/** @throws V2Error without a C compiler or Debian's vde_switch. */
export async function run(options: LoadOptions): Promise<Figure[]> {
  const loss = (load: Load): number => 1 - load.received / load.sent;
  const bench = await LoadBench.start();
  try {
    return [64, 1514].flatMap((octets) => {
      const loads = interleave(bench, "overload", octets, BATCH, options);
      const name = { bench: "vde-overload", case: String(octets), peerName: PEER };
      const [ours, peer] = [median(loads.ours.map(loss)), median(loads.peer.map(loss))];
      return [
        rateFigure(
          { ...name, metric: "received" },
          loads.ours.map(received),
          loads.peer.map(received),
        ),
        // What arrives, not what is lost, is compared: a loss of nothing has no ratio.
        {
          ...name,
          metric: "loss",
          ours,
          peer,
          ratio: (1 - ours) / (1 - peer),
          runs: options.runs,
        },
      ];
    });
  } finally {
    await bench.close();
  }
}
