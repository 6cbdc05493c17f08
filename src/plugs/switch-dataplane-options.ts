/** What a data plane is given, and whom it tells what. */
import type { Bell } from "../sys/index.ts";
import type { FstpEvent, StationChange, Switch } from "../vde/index.ts";

export interface DataplaneOptions {
  readonly switch: Switch;
  /** Rung by other threads to be looked at: `onWake` runs in the next round. */
  readonly bell: Bell;
  readonly onWake: () => void;
  /** A cable whose end closed by itself; it is no longer used, and the owner removes it. */
  readonly onEndClosed: (id: number) => void;
  /** Told of stations learned and forgotten, while somebody watches them. */
  readonly onStation: (change: StationChange) => void;
  /** What the spanning tree noticed. */
  readonly onFstpEvent?: (event: FstpEvent) => void;
  /** Monotonic milliseconds. */
  readonly clockMs: () => number;
}
