/**
 * Names below /proc, written into one buffer again and again: `123/cwd`, `self/fd/7`. They are
 * relative to a descriptor of the host's process file system.
 */

/** PROC_SUPER_MAGIC of linux/magic.h: the process file system. */
export const PROC_MAGIC = 0x9fa0;

const ZERO = 0x30;
const ROOM = 64;

/** Builds names that end in NUL; each is good until the next one is asked for. */
export class ProcPaths {
  readonly #octets = new Uint8Array(ROOM);
  #end = 0;

  /** `PID/NAME` */
  of(pid: number, name: string): Uint8Array {
    this.#end = 0;
    this.#number(pid);
    this.#text("/");
    this.#text(name);
    return this.#ended();
  }

  /** `PID/fd/N` */
  descriptor(pid: number, fd: number): Uint8Array {
    this.#end = 0;
    this.#number(pid);
    this.#text("/fd/");
    this.#number(fd);
    return this.#ended();
  }

  /** `self/fd/N`: one of our own descriptors. */
  own(fd: number): Uint8Array {
    this.#end = 0;
    this.#text("self/fd/");
    this.#number(fd);
    return this.#ended();
  }

  #ended(): Uint8Array {
    this.#octets[this.#end] = 0;
    return this.#octets;
  }

  #text(text: string): void {
    for (let i = 0; i < text.length; i++) this.#octets[this.#end++] = text.charCodeAt(i);
  }

  #number(value: number): void {
    let digits = 1;
    for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++;
    this.#end += digits;
    for (let at = this.#end - 1, rest = value; at >= this.#end - digits; at--) {
      this.#octets[at] = ZERO + (rest % 10);
      rest = Math.floor(rest / 10);
    }
  }
}
