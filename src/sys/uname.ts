/** uname(2): struct new_utsname, six fields of 65 octets (linux/utsname.h). */
import { check, declare } from "./libc.ts";

const unameCall = declare<(buffer: Uint8Array) => number>("int uname(void *buffer)");

/** Octets of one field, with its NUL. */
export const UTSNAME_FIELD_OCTETS = 65;
/** Fields in their order. */
export const UTSNAME = { sysname: 0, nodename: 1, release: 2, version: 3, machine: 4, domain: 5 };
const FIELDS = 6;

/** The structure as the kernel fills it for us. */
export function utsname(): Uint8Array {
  const octets = new Uint8Array(FIELDS * UTSNAME_FIELD_OCTETS);
  check(unameCall(octets), "uname");
  return octets;
}
