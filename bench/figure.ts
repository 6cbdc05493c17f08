/** What a benchmark says: one measured quantity, ours beside the peer's, from the same run. */

/** One figure; its JSON line is read by scripts, so `bench`, `case` and `metric` stay stable. */
export interface Figure {
  readonly bench: string;
  readonly case: string;
  readonly metric: string;
  /** Median of our runs, in the unit that `metric` names; elapsed times in seconds. */
  readonly ours: number;
  readonly peer: number;
  readonly peerName: string;
  /** Above 1 we are better: ours/peer for a rate, peer/ours for a cost. */
  readonly ratio: number;
  readonly runs: number;
}

/** What every benchmark exports as `run`. */
export type RunBenchmark = (options: { readonly runs: number }) => Promise<readonly Figure[]>;

/** Middle value; of an even number of values the mean of the two middle ones. NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle]!;
  return (sorted[middle - 1]! + sorted[middle]!) / 2;
}

interface Named {
  readonly bench: string;
  readonly case: string;
  readonly metric: string;
  readonly peerName: string;
}

function figure(
  name: Named,
  ours: readonly number[],
  peer: readonly number[],
  ratioOf: (ours: number, peer: number) => number,
): Figure {
  const { bench, case: caseName, metric, peerName } = name;
  const [a, b] = [median(ours), median(peer)];
  const runs = Math.min(ours.length, peer.length);
  return { bench, case: caseName, metric, ours: a, peer: b, peerName, ratio: ratioOf(a, b), runs };
}

/** A cost (elapsed time, latency): less is better. */
export function costFigure(name: Named, ours: readonly number[], peer: readonly number[]): Figure {
  return figure(name, ours, peer, (a, b) => b / a);
}

/** A rate (frames per second): more is better. */
export function rateFigure(name: Named, ours: readonly number[], peer: readonly number[]): Figure {
  return figure(name, ours, peer, (a, b) => a / b);
}
