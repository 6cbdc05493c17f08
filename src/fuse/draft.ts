/** Content of a file that is being written: octets that grow. */

export class Draft {
  #room: Uint8Array;
  #size: number;
  #isOurs = false;
  /** Differs from what the description has. */
  isDirty = false;

  constructor(content: Uint8Array) {
    this.#room = content;
    this.#size = content.length;
  }

  get size(): number {
    return this.#size;
  }

  /** A window of the content. */
  read(offset: number, count: number): Uint8Array {
    return this.#room.subarray(Math.min(offset, this.#size), Math.min(offset + count, this.#size));
  }

  /** All of it: a window. */
  get content(): Uint8Array {
    return this.#room.subarray(0, this.#size);
  }

  write(offset: number, data: Uint8Array): void {
    this.#own(Math.max(this.#size, offset + data.length));
    this.#room.set(data, offset);
  }

  /** Cuts, or extends by zeros. */
  resize(size: number): void {
    const before = this.#size;
    this.#own(size);
    if (size < before) this.#room.fill(0, size, Math.min(before, this.#room.length));
  }

  /** Memory of our own for `size` octets: what was given to the constructor stays as it was. */
  #own(size: number): void {
    this.isDirty = true;
    const kept = Math.min(size, this.#size);
    if (!this.#isOurs || size > this.#room.length) {
      const grows = this.#isOurs && size > this.#room.length;
      const room = new Uint8Array(grows ? Math.max(size, 2 * this.#room.length) : size);
      room.set(this.#room.subarray(0, kept));
      this.#room = room;
      this.#isOurs = true;
    }
    this.#size = Math.max(size, kept);
  }
}
