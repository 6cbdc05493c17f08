/**
 * The C library through koffi: the one place where a function of it is declared. Calls return what
 * the manual page says; after a -1, `errno()` on the same thread tells why. Pointers are Buffers or
 * typed arrays (the kernel writes into them) or addresses as BigInt.
 */
import { createRequire } from "node:module";
import type koffiModule from "koffi";
import { ERRNO, errnoName, errnoText, EXIT, V2Error } from "../base/index.ts";

/** Memory handed to the kernel: an array of ours, an address, or a null pointer. */
export type Pointer = Uint8Array | bigint | null;

function loadKoffi(): typeof koffiModule {
  try {
    return createRequire(import.meta.url)("koffi") as typeof koffiModule;
  } catch (cause) {
    throw new V2Error("KOFFI_MISSING", "the native interface 'koffi' cannot be loaded", {
      remedy: "run 'npm ci'; on a platform without a prebuilt koffi this command is not available",
      exitCode: EXIT.unavailable,
      cause,
    });
  }
}

const koffi = loadKoffi();
const library = koffi.load("libc.so.6");

/** Declares a C library function by prototype; used by the files of src/sys only. */
export function declare<F extends (...args: never[]) => unknown>(prototype: string): F {
  return library.func(prototype) as unknown as F;
}

/** Declares syscall(2) with the argument types of one system call that has no wrapper. */
export function declareSyscall<F extends (...args: never[]) => unknown>(
  number: number,
  argumentTypes: readonly string[],
): F {
  const call = library.func("syscall", "long", ["long", ...argumentTypes]) as unknown as (
    ...args: unknown[]
  ) => number;
  return ((...args: unknown[]) => call(number, ...args)) as unknown as F;
}

/** errno of the last call made through koffi on this thread. */
export function errno(): number {
  return koffi.errno();
}

/** Address of an array's first octet; valid as long as the array is reachable. */
export function addressOf(memory: Uint8Array): bigint {
  return koffi.address(memory);
}

/** Memory that the kernel has mapped, as it is: nothing of it is copied, and nobody unmaps it. */
export function mappedMemory(address: bigint, octets: number): ArrayBuffer {
  return koffi.view(address, octets);
}

/**
 * Turns a failed call into a V2Error that names call, subject and reason.
 * @param result what the call returned; anything but -1 is passed through.
 */
export function check(result: number, call: string, subject = "", remedy?: string): number {
  if (result !== -1) return result;
  const number = errno();
  const of = subject === "" ? "" : ` ${subject}`;
  throw new V2Error(errnoName(number), `${call}${of}: ${errnoText(number)}`, {
    ...(remedy === undefined ? {} : { remedy }),
    exitCode: number === ERRNO.EPERM || number === ERRNO.EACCES ? EXIT.noPermission : EXIT.failed,
  });
}
