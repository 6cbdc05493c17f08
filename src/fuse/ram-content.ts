/** Content of a file in memory: pieces of up to 1 MiB, and nothing where nothing was written. */

const PIECE_OCTETS = 1 << 20;
const PIECE_LEAST = 4096;

export class RamContent {
  readonly #pieces = new Map<number, Uint8Array>();
  #scratch: Uint8Array | undefined;
  size = 0;
  /** Memory that the pieces take. */
  octets = 0;

  /** Up to `count` octets from `offset`: a window, good until the next call. */
  read(offset: number, count: number): Uint8Array {
    const end = Math.min(offset + count, this.size);
    if (offset >= end) return NOTHING;
    const index = Math.floor(offset / PIECE_OCTETS);
    const start = offset - index * PIECE_OCTETS;
    const octets = end - offset;
    const piece = this.#pieces.get(index);
    if (piece !== undefined && start + octets <= piece.length) {
      return piece.subarray(start, start + octets);
    }
    return this.#gather(offset, octets);
  }

  /** Over holes and borders of pieces: a copy. */
  #gather(offset: number, octets: number): Uint8Array {
    if (this.#scratch === undefined || this.#scratch.length < octets) {
      this.#scratch = new Uint8Array(octets);
    }
    const into = this.#scratch.subarray(0, octets).fill(0);
    for (const [index, from, to] of spans(offset, offset + octets)) {
      const piece = this.#pieces.get(index);
      if (piece === undefined) continue;
      const base = index * PIECE_OCTETS;
      into.set(piece.subarray(from, Math.min(to, piece.length)), base + from - offset);
    }
    return into;
  }

  /** Octets of memory that writing there would take more, at the least. */
  growth(offset: number, count: number): number {
    return Math.max(0, offset + count - Math.max(this.size, this.octets));
  }

  write(offset: number, data: Uint8Array): void {
    const end = offset + data.length;
    let at = 0;
    for (const [index, from, to] of spans(offset, end)) {
      this.#piece(index, to).set(data.subarray(at, at + to - from), from);
      at += to - from;
    }
    if (end > this.size) this.size = end;
  }

  /** Memory for a piece up to `octets`. */
  #piece(index: number, octets: number): Uint8Array {
    const piece = this.#pieces.get(index);
    if (piece !== undefined && piece.length >= octets) return piece;
    const room = new Uint8Array(roomFor(octets));
    if (piece !== undefined) room.set(piece);
    this.octets += room.length - (piece?.length ?? 0);
    this.#pieces.set(index, room);
    return room;
  }

  /** Cuts, or extends by a hole. */
  resize(size: number): void {
    if (size < this.size) this.clear(size, Number.POSITIVE_INFINITY);
    this.size = size;
  }

  /** Zeros; whole pieces go. */
  clear(from: number, end: number): void {
    // A hole may be terabytes long: what exists is looked through, not what does not.
    for (const [index, piece] of this.#pieces) {
      const base = index * PIECE_OCTETS;
      const start = Math.max(from - base, 0);
      const stop = Math.min(end - base, piece.length);
      if (start >= stop) continue;
      if (start === 0 && stop === piece.length) {
        this.#pieces.delete(index);
        this.octets -= piece.length;
      } else piece.fill(0, start, stop);
    }
  }

  /** Takes memory for a range, as fallocate(2) does. */
  reserve(from: number, end: number): void {
    for (const [index, , to] of spans(from, end)) this.#piece(index, to);
  }

  /** SEEK_DATA or SEEK_HOLE from `offset`, which is below the size; -1: no data follows. */
  seek(offset: number, wantsData: boolean): number {
    const pieces = Math.ceil(this.size / PIECE_OCTETS);
    const first = Math.floor(offset / PIECE_OCTETS);
    if (!wantsData) {
      let index = first;
      while (index < pieces && this.#pieces.has(index)) index++;
      return Math.min(Math.max(offset, index * PIECE_OCTETS), this.size);
    }
    let next = Number.POSITIVE_INFINITY;
    for (const index of this.#pieces.keys()) if (index >= first && index < next) next = index;
    return next < pieces ? Math.max(offset, next * PIECE_OCTETS) : -1;
  }
}

const NOTHING = new Uint8Array(0);

/** A power of two, so that a growing file is copied seldom. */
function roomFor(octets: number): number {
  let room = PIECE_LEAST;
  while (room < octets) room *= 2;
  return room;
}

/** The pieces of a range: number, and where it begins and ends within. */
function* spans(from: number, end: number): Generator<readonly [number, number, number]> {
  for (let at = from; at < end; ) {
    const index = Math.floor(at / PIECE_OCTETS);
    const base = index * PIECE_OCTETS;
    const stop = Math.min(end, base + PIECE_OCTETS);
    yield [index, at - base, stop - base];
    at = stop;
  }
}
