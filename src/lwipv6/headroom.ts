/** Where packets that the stack makes itself start in their slots. */
import type { StackCore } from "./core.ts";

/**
 * Octets kept free in front of a transport header, besides the pool's own headroom: the IP header
 * (60 with options, 48 of IPv6 with a fragment header) and the Ethernet header.
 */
const HEADROOM_OCTETS = 96;

/** A free slot with room for all headers in front; -1: none is left. */
export function takePacketSlot(core: StackCore): number {
  const slot = core.pool.take();
  if (slot < 0) {
    core.counters.count("pool.exhausted");
    return -1;
  }
  core.pool.start[slot]! += HEADROOM_OCTETS;
  return slot;
}
