/**
 * What a broadcast storm, with one receiver that never reads, leaves of the rate of another pair:
 * at 20 000 frames per second, and from a sender that never waits (`storm`), which also takes the
 * pair a good part of the processor.
 */
import type { Figure } from "./figure.ts";
import { LoadBench, type LoadOptions, shareFigures } from "./vde-load.ts";

const NO_STORM = -1;
const AS_MANY_AS_IT_CAN = 0;
const STORMS = { "20000": 20_000, storm: AS_MANY_AS_IT_CAN };

/** @throws V2Error without a C compiler or Debian's vde_switch. */
export async function run(options: LoadOptions): Promise<Figure[]> {
  const bench = await LoadBench.start();
  try {
    return Object.entries(STORMS).flatMap(([name, rate]) =>
      shareFigures(
        bench,
        { bench: "vde-flood", case: name },
        { mode: "flood", without: NO_STORM, with: rate },
        options,
      ),
    );
  } finally {
    await bench.close();
  }
}
