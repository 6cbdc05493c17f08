/**
 * Commands out of a stream of octets: a line each, however the stream is cut. vde_switch takes what
 * one read gives it as one command; here two lines in one write are two commands.
 */

/** Octets of a command at most; vde_switch cuts at 128. */
export const LINE_OCTETS_MAX = 4096;

/** Cuts a stream into lines; holds at most one unfinished line. */
export class LineSplitter {
  /** Lines that were too long and thrown away. */
  refused = 0;
  readonly #decoder = new TextDecoder();
  #parts: Uint8Array[] = [];
  #length = 0;
  #isSkipping = false;

  /** Whether a line has begun and not ended. */
  get isMidLine(): boolean {
    return this.#length > 0 || this.#isSkipping;
  }

  /** @returns the lines that are now complete, without what ended them. */
  push(octets: Uint8Array): string[] {
    const lines: string[] = [];
    let from = 0;
    for (;;) {
      const end = octets.indexOf(0x0a, from);
      if (end < 0) break;
      this.#keep(octets.subarray(from, end));
      const line = this.take();
      if (line !== undefined) lines.push(line);
      from = end + 1;
    }
    this.#keep(octets.subarray(from));
    return lines;
  }

  /** The line begun so far, as at the end of the stream; undefined: it was too long. */
  take(): string | undefined {
    const isSkipped = this.#isSkipping;
    const octets = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      octets.set(part, at);
      at += part.length;
    }
    this.#parts = [];
    this.#length = 0;
    this.#isSkipping = false;
    if (!isSkipped) return cleanLine(this.#decoder.decode(octets));
    this.refused++;
    return undefined;
  }

  #keep(octets: Uint8Array): void {
    if (octets.length === 0 || this.#isSkipping) return;
    if (this.#length + octets.length > LINE_OCTETS_MAX) {
      this.#isSkipping = true;
      this.#parts = [];
      this.#length = 0;
      return;
    }
    this.#parts.push(octets.slice());
    this.#length += octets.length;
  }
}

/** A line as a command: it ends at a NUL octet, as in C, and before a carriage return. */
export function cleanLine(line: string): string {
  const end = line.indexOf("\0");
  return (end < 0 ? line : line.slice(0, end)).replace(/\r$/, "");
}
