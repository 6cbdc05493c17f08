/**
 * A bell between threads of one process: eventfd(2). Who waits in poll(2) hears it; ringing it more
 * than once before it is heard is the same as once.
 */
import { readSync, writeSync } from "node:fs";
import { check, declare } from "./libc.ts";

const eventfdCall = declare<(value: number, flags: number) => number>(
  "int eventfd(unsigned int initval, int flags)",
);
/** EFD_CLOEXEC | EFD_NONBLOCK (sys/eventfd.h). */
const FLAGS = 0o2004000;
const OCTETS = 8;

/** A new bell: a descriptor that any thread of the process may use. */
export function makeBell(): number {
  return check(eventfdCall(0, FLAGS), "eventfd");
}

/** So many tokens, which any process that has the descriptor may take by reading, one at a time. */
export function makeTokens(count: number): number {
  const EFD_SEMAPHORE = 1;
  return check(eventfdCall(count, FLAGS | EFD_SEMAPHORE), "eventfd");
}

/** Wakes whoever waits for the bell. */
export function ringBell(bell: number): void {
  const one = new Uint8Array(OCTETS);
  one[0] = 1;
  writeSync(bell, one);
}

/** Hears the bell: it is silent until it is rung again. False when it had not rung. */
export function hearBell(bell: number): boolean {
  try {
    return readSync(bell, new Uint8Array(OCTETS)) === OCTETS;
  } catch {
    return false;
  }
}
