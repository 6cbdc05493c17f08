/** Large pages for memory that the kernel copies into and out of all the time. */
import { addressOf, declare } from "./libc.ts";

const libcMadvise = declare<(address: bigint, octets: bigint, advice: number) => number>(
  "int madvise(uintptr_t addr, size_t length, int advice)",
);

const MADV_HUGEPAGE = 14;
const PAGE_OCTETS = 4096n;

/**
 * Asks for pages of 2 MiB under an array (madvise(2), MADV_HUGEPAGE): fewer translations to look up
 * for frames that lie far apart. Advice only: a kernel without such pages is no error.
 * @param octets from the start of the array; more than it has means all of it.
 */
export function adviseHugePages(memory: Uint8Array, octets = memory.length): void {
  const start = addressOf(memory);
  const end = start + BigInt(Math.min(octets, memory.length));
  const first = ((start + PAGE_OCTETS - 1n) / PAGE_OCTETS) * PAGE_OCTETS;
  const last = (end / PAGE_OCTETS) * PAGE_OCTETS;
  if (last > first) libcMadvise(first, last - first, MADV_HUGEPAGE);
}
