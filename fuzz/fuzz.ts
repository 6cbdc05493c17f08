/** Fires mutated inputs at a target up to a count or a time, and keeps the first that fails. */
import { Rng } from "../src/base/index.ts";
import { mutate } from "./mutate.ts";
import type { FuzzTarget } from "./target.ts";

export interface FuzzOptions {
  readonly seed: number;
  readonly count: number;
  /** Asked now and then; true ends the run early. */
  readonly isOver?: () => boolean;
}

export interface FuzzResult {
  /** Inputs tried. */
  readonly count: number;
  /** The input that failed, before the target touched it. */
  readonly failure?: { readonly octets: Uint8Array; readonly error: unknown };
}

const INPUTS_BETWEEN_CLOCKS = 256;

/** Same seed, same inputs. */
export function fuzz(target: FuzzTarget, options: FuzzOptions): FuzzResult {
  const rng = new Rng(options.seed);
  const seeds = target.seeds();
  for (let count = 0; count < options.count; count++) {
    if (count % INPUTS_BETWEEN_CLOCKS === 0 && options.isOver?.()) return { count };
    // The seeds as they are come first: they must pass.
    const octets = count < seeds.length ? seeds[count]!.slice() : mutate(seeds, rng);
    const kept = octets.slice();
    try {
      target.run(octets);
    } catch (error) {
      return { count: count + 1, failure: { octets: kept, error } };
    }
  }
  return { count: options.count };
}
