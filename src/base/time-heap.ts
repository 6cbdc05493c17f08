/** What is due at some time, the earliest first; equals in the order they came. */

/** Something with its time, in milliseconds. */
export interface Due {
  readonly atMs: number;
}

interface Kept<T> {
  readonly order: number;
  readonly entry: T;
}

/** A binary heap: an entry is not before its parent. `push` and `shift` take logarithmic time. */
export class TimeHeap<T extends Due> {
  readonly #heap: Kept<T>[] = [];
  #order = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** The earliest, which stays; undefined: there is none. */
  get first(): T | undefined {
    return this.#heap[0]?.entry;
  }

  push(entry: T): void {
    const heap = this.#heap;
    const kept = { order: this.#order++, entry };
    let at = heap.length;
    heap.push(kept);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(kept, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = kept;
  }

  /** Takes the earliest out. */
  shift(): T | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || first === last) return first?.entry;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first.entry;
  }
}

function isBefore(a: Kept<Due>, b: Kept<Due>): boolean {
  return a.entry.atMs < b.entry.atMs || (a.entry.atMs === b.entry.atMs && a.order < b.order);
}
