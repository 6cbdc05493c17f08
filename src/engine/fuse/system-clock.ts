/** The host's clock as a value. */
import type { Clock } from "../../base/index.ts";

/** Date.now() has no fractions: a smaller difference is no step of the clock. */
const STEP_MS = 2;

/** Monotonic time, and wall time finer than a microsecond that follows a clock that is set. */
export function systemClock(): Clock {
  let originMs = performance.timeOrigin;
  return {
    nowMs: () => performance.now(),
    wallNs(): bigint {
      let wallMs = originMs + performance.now();
      if (Math.abs(Date.now() - wallMs) > STEP_MS) {
        originMs = Date.now() - performance.now();
        wallMs = originMs + performance.now();
      }
      return BigInt(Math.round(wallMs * 1e6));
    },
  };
}
