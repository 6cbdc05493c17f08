/**
 * Forwarding without loss: 64 frames in flight between two cables, in batches of 16, through our
 * switch and Debian's. `frames-per-second` is bounded by the one thread of the load program;
 * `cpu-per-frame` (microseconds of the switch) is not.
 */
import { costFigure, type Figure, rateFigure } from "./figure.ts";
import { cost, interleave, LoadBench, type LoadOptions, PEER, received } from "./vde-load.ts";

const BATCH = 16;

/** @throws V2Error without a C compiler or Debian's vde_switch. */
export async function run(options: LoadOptions): Promise<Figure[]> {
  const bench = await LoadBench.start();
  try {
    return [64, 1514].flatMap((octets) => {
      const { ours, peer } = interleave(bench, "window", octets, BATCH, options);
      const name = { bench: "vde-switch", case: String(octets), peerName: PEER };
      return [
        rateFigure(
          { ...name, metric: "frames-per-second" },
          ours.map(received),
          peer.map(received),
        ),
        costFigure({ ...name, metric: "cpu-per-frame" }, ours.map(cost), peer.map(cost)),
      ];
    });
  } finally {
    await bench.close();
  }
}
