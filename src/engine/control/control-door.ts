/**
 * Where control connections come in: at the notify worker, which answers the private call of guests
 * and takes the sockets of clients outside. The main thread serves them. Both count: a guest that
 * opens connections in a loop fills no table of the supervisor.
 */
import { writeSync } from "node:fs";
import { ERRNO } from "../../base/index.ts";
import { closeDescriptor, unixSocketPair } from "../../sys/index.ts";
import { controlLine } from "../../viewos/index.ts";
import type { Answer } from "../calls/answer.ts";
import type { GroundId } from "../calls/grounds.ts";

/** Connections of a supervisor at once, those included that the main thread has yet to see. */
export const CONTROL_CONNECTIONS_MAX = 64;

/** What a client outside reads when there are as many connections as there may be. */
const BUSY = controlLine({
  id: 0,
  ok: false,
  error: {
    code: "BUSY",
    message: `the view has ${CONTROL_CONNECTIONS_MAX} control connections already`,
    remedy: "try again when one of them has ended",
  },
});

/** How many connections are open, counted by both threads. */
export class ConnectionCount {
  readonly memory: SharedArrayBuffer;
  readonly #open: Int32Array;

  /** @param memory of another thread's count; left out: a new count. */
  constructor(memory = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#open = new Int32Array(memory);
  }

  /** Counts one more; false when there are as many as there may be. */
  take(): boolean {
    if (Atomics.add(this.#open, 0, 1) < CONTROL_CONNECTIONS_MAX) return true;
    this.release();
    return false;
  }

  /** Counts one less. */
  release(): void {
    Atomics.sub(this.#open, 0, 1);
  }
}

/**
 * Hands on a connected socket and the process behind it.
 * @param asked the view that was asked for by its name; undefined: the one of the process
 */
type ControlServe = (descriptor: number, pid: number, asked?: GroundId) => void;

/** Lets control connections in. */
export class ControlDoor {
  readonly #count: ConnectionCount;
  readonly #serve: ControlServe;

  /** @param serve hands a connected socket to the main thread. */
  constructor(count: ConnectionCount, serve: ControlServe) {
    this.#count = count;
    this.#serve = serve;
  }

  /** The private call of a guest: it gets one end of a socket pair. */
  call(pid: number): Answer {
    if (!this.#count.take()) return { kind: "done", errno: ERRNO.EUSERS };
    try {
      const [theirs, ours] = unixSocketPair("stream", true);
      this.#serve(ours, pid);
      return { kind: "descriptor", descriptor: theirs, closeOnExec: true };
    } catch {
      this.#count.release();
      return { kind: "done", errno: ERRNO.ENFILE };
    }
  }

  /** A socket that a client outside has sent, to the view whose name it came by. */
  take(descriptor: number, pid: number, asked: GroundId | undefined): void {
    if (this.#count.take()) this.#serve(descriptor, pid, asked);
    else {
      try {
        writeSync(descriptor, BUSY);
      } catch {
        // It is gone already.
      }
      closeDescriptor(descriptor);
    }
  }
}
