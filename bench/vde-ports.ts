/** What 200 cables that say nothing cost two that do. */
import type { Figure } from "./figure.ts";
import { LoadBench, type LoadOptions, shareFigures } from "./vde-load.ts";

const IDLE = 200;

/** @throws V2Error without a C compiler or Debian's vde_switch. */
export async function run(options: LoadOptions): Promise<Figure[]> {
  const bench = await LoadBench.start(IDLE + 8);
  try {
    const name = { bench: "vde-ports", case: String(IDLE) };
    return shareFigures(bench, name, { mode: "window", without: 0, with: IDLE }, options);
  } finally {
    await bench.close();
  }
}
