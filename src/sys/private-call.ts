/** Calls that no kernel has, and a view answers. */
import { ERRNO } from "../base/index.ts";
import { declare, errno } from "./libc.ts";

const syscall = declare<(number: number) => number>("long syscall(long number)");

/**
 * syscall(2) of a number without arguments, which comes to a descriptor.
 * @returns the descriptor, or -errno: -ENOSYS where nobody answers
 */
export function callForDescriptor(number: number): number {
  for (;;) {
    const result = syscall(number);
    if (result !== -1) return result;
    // The server that was about to answer was killed; its successor answers the next call.
    if (errno() !== ERRNO.EINTR) return -errno();
  }
}
