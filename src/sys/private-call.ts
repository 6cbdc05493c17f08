/** Calls that no kernel has, and a view answers. */
import { declare, errno } from "./libc.ts";

const syscall = declare<(number: number) => number>("long syscall(long number)");

/**
 * syscall(2) of a number without arguments, which comes to a descriptor.
 * @returns the descriptor, or -errno: -ENOSYS where nobody answers
 */
export function callForDescriptor(number: number): number {
  const result = syscall(number);
  return result === -1 ? -errno() : result;
}
