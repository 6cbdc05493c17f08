/** Names of a directory in memory, in the order in which they were made. */

/** One name. Its place in the order stays, whatever comes and goes around it. */
export interface Slot<N> {
  readonly place: number;
  name: string;
  node: N;
  isGone: boolean;
}

/** Places of names that are gone are given back when they are more than the others. */
const GONE_LEAST = 64;

export class RamDirectory<N> {
  readonly #byName = new Map<string, Slot<N>>();
  #order: Slot<N>[] = [];
  /** 1 and 2 are "." and "..". */
  #nextPlace = 3;

  get size(): number {
    return this.#byName.size;
  }

  get(name: string): N | undefined {
    return this.#byName.get(name)?.node;
  }

  /** Adds a name, or gives it another node. */
  set(name: string, node: N): void {
    const known = this.#byName.get(name);
    if (known !== undefined) {
      known.node = node;
      return;
    }
    const slot = { place: this.#nextPlace++, name, node, isGone: false };
    this.#byName.set(name, slot);
    this.#order.push(slot);
  }

  delete(name: string): void {
    const slot = this.#byName.get(name);
    if (slot === undefined) return;
    slot.isGone = true;
    this.#byName.delete(name);
    if (this.#order.length > GONE_LEAST + 2 * this.#byName.size) {
      this.#order = this.#order.filter((one) => !one.isGone);
    }
  }

  /** Names after a place, until `visit` returns false. */
  after(place: number, visit: (slot: Slot<N>) => boolean): void {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#order[middle]!.place <= place) low = middle + 1;
      else high = middle;
    }
    for (; low < this.#order.length; low++) {
      const slot = this.#order[low]!;
      if (!slot.isGone && !visit(slot)) return;
    }
  }
}
