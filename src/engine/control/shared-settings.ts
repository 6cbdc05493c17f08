/**
 * What the main thread of a supervisor decides and its notify worker obeys: the worker waits in the
 * kernel and reads no messages, so the settings lie in memory that both share. Writing is seen by
 * the next call that the worker answers.
 */
import { V2Error } from "../../base/index.ts";

/** Settings as JSON at most; a change that does not fit is refused. */
const SETTINGS_OCTETS_MAX = 16_384;
/** Two numbers stand in front of the text: its version, odd while it is written, and its length. */
const VERSION = 0;
const LENGTH = 1;
const HEAD_OCTETS = 2 * Int32Array.BYTES_PER_ELEMENT;

/** A value that one thread writes and others read; the value is JSON. */
export class SharedSettings<T> {
  readonly memory: SharedArrayBuffer;
  readonly #head: Int32Array;
  readonly #text: Uint8Array;
  #seen = 0;
  #value: T;

  /**
   * @param initial the value as long as nothing was written
   * @param memory of another thread's settings; left out: new ones
   */
  constructor(initial: T, memory = new SharedArrayBuffer(HEAD_OCTETS + SETTINGS_OCTETS_MAX)) {
    this.memory = memory;
    this.#value = initial;
    this.#head = new Int32Array(memory, 0, 2);
    this.#text = new Uint8Array(memory, HEAD_OCTETS);
  }

  /** The value as last written. Costs one load while nothing changes. */
  get value(): T {
    for (;;) {
      const version = Atomics.load(this.#head, VERSION);
      if (version === this.#seen) return this.#value;
      const octets = this.#text.slice(0, Atomics.load(this.#head, LENGTH));
      // Again, when it is being written: that takes no longer than this loop.
      if (version % 2 === 1 || Atomics.load(this.#head, VERSION) !== version) continue;
      this.#value = JSON.parse(new TextDecoder().decode(octets)) as T;
      this.#seen = version;
    }
  }

  /** Replaces the value; one thread only may do so. Throws a V2Error when it does not fit. */
  write(value: T): void {
    const octets = new TextEncoder().encode(JSON.stringify(value));
    if (octets.length > SETTINGS_OCTETS_MAX) {
      throw new V2Error("TOO_MUCH", `the settings of a view fill ${SETTINGS_OCTETS_MAX} octets`, {
        remedy: "remove some: aliases (um_fsalias), debugged commands (vudebug)",
      });
    }
    Atomics.add(this.#head, VERSION, 1);
    this.#text.set(octets);
    Atomics.store(this.#head, LENGTH, octets.length);
    Atomics.add(this.#head, VERSION, 1);
  }
}
