/** What looks at the frames of a switch's cables (switch-taps.ts), as its neighbours know it. */
import type { TapScope } from "../vde/index.ts";

/** Something that looks at frames. */
export interface FrameTap {
  /** `slots[from … from + count)` came by a port, or left by it. */
  see(slots: Int32Array, from: number, count: number, port: number, isOut: boolean): void;
}

/** Frames to be copied into a ring (capture-ring.ts). */
export interface SwitchCapture {
  /** Unique in the life of the switch. */
  readonly id: number;
  readonly memory: SharedArrayBuffer;
  readonly scope: TapScope;
}
