/** Writing into the memory of another process: process_vm_writev(2). */
import { addressOf, declare } from "./libc.ts";

const writevCall = declare<
  (
    pid: number,
    local: BigUint64Array,
    localCount: number,
    remote: BigUint64Array,
    remoteCount: number,
    flags: number,
  ) => number
>(
  "long process_vm_writev(int pid, void *local, unsigned long n, void *remote, unsigned long m, unsigned long flags)",
);

/** Writes octets at an address; false when not all of it may be written. */
export function writeGuestMemory(pid: number, address: bigint, octets: Uint8Array): boolean {
  const local = new BigUint64Array([addressOf(octets), BigInt(octets.length)]);
  const remote = new BigUint64Array([address, BigInt(octets.length)]);
  return writevCall(pid, local, 1, remote, 1, 0) === octets.length;
}
