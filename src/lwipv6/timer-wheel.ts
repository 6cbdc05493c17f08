/**
 * Timers of a stack: a hierarchical wheel (Varghese and Lauck 1987). Setting, moving and cancelling
 * take constant time and allocate nothing; a `Timer` is made once by its owner and lives in one of
 * the wheel's rings while it is set.
 */

/** Milliseconds of one slot of the innermost level. */
const TICK_MS = 1;
const SLOT_BITS = 8;
const SLOTS = 1 << SLOT_BITS;
const LEVELS = 4;
/** The farthest time a timer can be set to; what is later waits there and is placed anew. */
const HORIZON_TICKS = 2 ** (SLOT_BITS * LEVELS) - 1;

/** What happens at a time; its owner keeps it and sets it again and again. */
export class Timer {
  /** When it is due, on the stack's clock; Infinity: not set. */
  atMs = Number.POSITIVE_INFINITY;
  readonly fire: () => void;
  /** Of the ring it is in; itself: in none. */
  next: Timer = this;
  previous: Timer = this;
  /** Level and slot it is in, level * SLOTS + slot; -1: in none. */
  place = -1;

  /** @param fire called when the time has come; the timer is not set any more then. */
  constructor(fire: () => void) {
    this.fire = fire;
  }

  get isSet(): boolean {
    return this.atMs !== Number.POSITIVE_INFINITY;
  }
}

function nothing(): void {
  // The head of a ring never fires.
}

/** All timers of one stack. */
export class TimerWheel {
  /** Timers that are set. */
  count = 0;
  readonly #rings: Timer[] = Array.from({ length: LEVELS * SLOTS }, () => new Timer(nothing));
  /** One bit for each ring that is not empty. */
  readonly #filled = new Int32Array((LEVELS * SLOTS) / 32);
  /** Timers that are due now, in order. */
  readonly #due: Timer[] = [];
  /** All ticks before this one are over. */
  #tick = 0;

  /** @param nowMs where the clock stands. */
  constructor(nowMs: number) {
    this.#tick = Math.floor(nowMs / TICK_MS);
  }

  /** Sets or moves a timer; a time that has passed is due at the next `advance`. */
  set(timer: Timer, atMs: number): void {
    if (timer.isSet) this.#unlink(timer);
    else this.count++;
    timer.atMs = atMs;
    this.#place(timer);
  }

  /** Sets the timer unless it is set to an earlier time. */
  setEarlier(timer: Timer, atMs: number): void {
    if (atMs < timer.atMs) this.set(timer, atMs);
  }

  cancel(timer: Timer): void {
    if (!timer.isSet) return;
    this.#unlink(timer);
    timer.atMs = Number.POSITIVE_INFINITY;
    this.count--;
  }

  /** Fires every timer that is due at `nowMs`, the earliest first, also those set meanwhile. */
  advance(nowMs: number): void {
    const target = Math.floor(nowMs / TICK_MS);
    for (;;) {
      if (this.count === 0) {
        this.#tick = Math.max(this.#tick, target);
        return;
      }
      this.#collect(this.#tick & (SLOTS - 1), nowMs);
      this.#fireDue();
      if (this.#tick >= target) {
        if (this.#hasDue(nowMs)) continue;
        return;
      }
      this.#step(target);
    }
  }

  /** When the next timer is due, in milliseconds of the stack's clock; Infinity: none is set. */
  nextMs(): number {
    if (this.count === 0) return Number.POSITIVE_INFINITY;
    let earliest = Number.POSITIVE_INFINITY;
    for (let level = 0; level < LEVELS; level++) {
      const from = Math.floor(this.#tick / SLOTS ** level) & (SLOTS - 1);
      const slot = this.#firstFilled(level, from);
      if (slot < 0) continue;
      const head = this.#rings[level * SLOTS + slot]!;
      for (let timer = head.next; timer !== head; timer = timer.next) {
        if (timer.atMs < earliest) earliest = timer.atMs;
      }
    }
    return earliest;
  }

  #hasDue(nowMs: number): boolean {
    const head = this.#rings[this.#tick & (SLOTS - 1)]!;
    for (let timer = head.next; timer !== head; timer = timer.next) {
      if (timer.atMs <= nowMs) return true;
    }
    return false;
  }

  /** Takes what is due out of a slot of the innermost level. */
  #collect(slot: number, nowMs: number): void {
    const head = this.#rings[slot]!;
    for (let timer = head.next; timer !== head; ) {
      const { next } = timer;
      if (timer.atMs <= nowMs) {
        this.#unlink(timer);
        // It stays "set" until it is its turn, so that another one that fires first can cancel it.
        this.#due.push(timer);
      }
      timer = next;
    }
  }

  #fireDue(): void {
    const due = this.#due;
    if (due.length > 1) due.sort(byTime);
    for (const timer of due) {
      if (!timer.isSet || timer.place >= 0) continue;
      timer.atMs = Number.POSITIVE_INFINITY;
      this.count--;
      timer.fire();
    }
    due.length = 0;
  }

  /** Goes on to the next tick that may have something, `target` at most. */
  #step(target: number): void {
    const slot = this.#tick & (SLOTS - 1);
    const next = slot + 1 < SLOTS ? this.#nextFilled(slot + 1) : SLOTS;
    this.#tick = Math.min(target, this.#tick - slot + next);
    if ((this.#tick & (SLOTS - 1)) === 0) this.#cascade(1);
  }

  /** The first filled slot of the innermost level from `from` on; SLOTS: none. */
  #nextFilled(from: number): number {
    for (let slot = from; slot < SLOTS; ) {
      const bits = this.#filled[slot >>> 5]! >>> (slot & 31);
      if (bits !== 0) return slot + 31 - Math.clz32(bits & -bits);
      slot = (slot | 31) + 1;
    }
    return SLOTS;
  }

  /** Distributes the slot of an outer level that begins now over the inner ones. */
  #cascade(level: number): void {
    if (level === LEVELS) return;
    const slot = Math.floor(this.#tick / SLOTS ** level) & (SLOTS - 1);
    if (slot === 0) this.#cascade(level + 1);
    const head = this.#rings[level * SLOTS + slot]!;
    for (let timer = head.next; timer !== head; ) {
      const { next } = timer;
      this.#unlink(timer);
      this.#place(timer);
      timer = next;
    }
  }

  /** The first filled slot of a level, going round from `from`; -1: none. */
  #firstFilled(level: number, from: number): number {
    for (let i = 0; i < SLOTS; ) {
      const slot = (from + i) & (SLOTS - 1);
      const bit = level * SLOTS + slot;
      const bits = this.#filled[bit >>> 5]! >>> (bit & 31);
      const run = 32 - (bit & 31);
      if (bits !== 0) {
        const found = i + 31 - Math.clz32(bits & -bits);
        return found < SLOTS ? (from + found) & (SLOTS - 1) : -1;
      }
      i += run;
    }
    // The word that `from` lies in was looked at from `from` on only.
    for (let slot = from & ~31; slot < from; slot++) {
      const bit = level * SLOTS + slot;
      if ((this.#filled[bit >>> 5]! >>> (bit & 31)) & 1) return slot;
    }
    return -1;
  }

  #place(timer: Timer): void {
    const wanted = Math.floor(timer.atMs / TICK_MS);
    const ahead = Math.min(Math.max(0, wanted - this.#tick), HORIZON_TICKS);
    const tick = this.#tick + ahead;
    let level = 0;
    while (level < LEVELS - 1 && differsAbove(tick, this.#tick, level + 1)) level++;
    const slot = Math.floor(tick / SLOTS ** level) & (SLOTS - 1);
    const place = level * SLOTS + slot;
    const head = this.#rings[place]!;
    timer.place = place;
    timer.previous = head.previous;
    timer.next = head;
    head.previous.next = timer;
    head.previous = timer;
    this.#filled[place >>> 5]! |= 1 << (place & 31);
  }

  #unlink(timer: Timer): void {
    const { place } = timer;
    if (place < 0) return;
    timer.previous.next = timer.next;
    timer.next.previous = timer.previous;
    timer.next = timer;
    timer.previous = timer;
    timer.place = -1;
    const head = this.#rings[place]!;
    if (head.next === head) this.#filled[place >>> 5]! &= ~(1 << (place & 31));
  }
}

/** Two ticks do not share the slot of level `level` that they lie in. */
function differsAbove(a: number, b: number, level: number): boolean {
  const span = SLOTS ** level;
  return Math.floor(a / span) !== Math.floor(b / span);
}

function byTime(a: Timer, b: Timer): number {
  return a.atMs - b.atMs;
}
