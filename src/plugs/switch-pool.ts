/** The memory of a switch: slots for the frames of all its queues. */
import { FramePool } from "../base/index.ts";
import { adviseHugePages } from "../sys/index.ts";

/**
 * Slots of all queues together: a batch and a half for each port may wait. A slot costs 66 KiB of
 * address space but only the memory it used.
 */
const POOL_FRAMES_BASE = 1024;
const POOL_FRAMES_PER_PORT = 96;
const POOL_FRAMES_MAX = 8192;
/** Slots are used first to last: these are in use all the time, and lie on large pages. */
const HOT_OCTETS = 1 << 24;

/** Slots for a switch of that many ports. */
export function switchPool(ports: number): FramePool {
  const frames = Math.min(POOL_FRAMES_MAX, POOL_FRAMES_BASE + POOL_FRAMES_PER_PORT * ports);
  const pool = new FramePool(frames);
  adviseHugePages(pool.octets, HOT_OCTETS);
  return pool;
}
