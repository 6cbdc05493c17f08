/** uname(2) in the namespaces of the calling thread. */
import { check, declare } from "./libc.ts";

const unameCall = declare<(buffer: Uint8Array) => number>("int uname(void *buf)");

/** Six fields of 65 octets. */
const UTS_NAME_OCTETS = 390;

/** struct new_utsname. */
export function readUtsName(): Uint8Array {
  const buffer = new Uint8Array(UTS_NAME_OCTETS);
  check(unameCall(buffer), "uname");
  return buffer;
}
