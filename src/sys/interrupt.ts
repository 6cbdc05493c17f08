/**
 * Ending a system call of another of our threads that blocks for good: a signal whose handler does
 * nothing, so that the call fails with EINTR. Sources: signal(7), sigaction(2), tgkill(2).
 */
import { check, declare } from "./libc.ts";

const dlsymCall = declare<(handle: null, name: string) => bigint>(
  "void *dlsym(void *handle, const char *name)",
);
const sigactionCall = declare<(signal: number, action: Uint8Array, old: null) => number>(
  "int sigaction(int signal, void *action, void *old)",
);
const tgkillCall = declare<(process: number, thread: number, signal: number) => number>(
  "int tgkill(int process, int thread, int signal)",
);
const gettidCall = declare<() => number>("int gettid()");

/** A real-time signal that neither the C library nor Node uses. */
const SIGNAL = 44;
/** struct sigaction of the C library: handler, mask, flags (none: no restart), restorer. */
const SIGACTION_OCTETS = 152;

/** Number of the calling thread. */
export function threadId(): number {
  return gettidCall();
}

/** Threads of this process can be interrupted from now on. */
export function allowInterrupts(): void {
  const action = new Uint8Array(SIGACTION_OCTETS);
  // A function of the C library that takes an int and has no effect serves as the handler.
  new DataView(action.buffer).setBigUint64(0, dlsymCall(null, "abs"), true);
  check(sigactionCall(SIGNAL, action, null), "sigaction");
}

/** A system call that blocks in that thread of ours fails with EINTR. */
export function interruptThread(thread: number): void {
  tgkillCall(process.pid, thread, SIGNAL);
}
