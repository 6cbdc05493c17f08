/**
 * What every part of a stack has in common: its memory, its time, its timers, its secrets, its
 * limits and counters. Parts are given the core and the parts below them; none is global.
 */
import type { Clock, FramePool } from "../base/index.ts";
import type { Arena } from "./arena.ts";
import { DEFAULT_LIMITS, type Limits } from "./limits.ts";
import { SecretRandom } from "./siphash.ts";
import { TimerWheel } from "./timer-wheel.ts";

/** Privileged operations that a capability callback is asked about (capabilities(7)). */
export type Capability = "net-bind-service" | "net-broadcast" | "net-admin" | "net-raw";

/** What became of packets, by name, as a cheap dictionary: "ip4.header-checksum" → 3. */
export class Counters {
  readonly #values = new Map<string, number>();

  /** Counts one more. For what is rare: hot paths have fields of their own. */
  count(name: string): void {
    this.#values.set(name, (this.#values.get(name) ?? 0) + 1);
  }

  get(name: string): number {
    return this.#values.get(name) ?? 0;
  }

  /** Everything counted so far, names in alphabetical order. */
  all(): ReadonlyMap<string, number> {
    return new Map([...this.#values].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

export interface CoreOptions {
  readonly arena: Arena;
  /** At least 16 octets that nobody can guess; the same secret gives the same run. */
  readonly secret: Uint8Array;
  /** Where the clock stands, in milliseconds. */
  readonly nowMs: number;
  readonly limits?: Partial<Limits>;
  /** The clock that `nowMs` was read from. */
  readonly clock?: Clock | undefined;
}

/** The ground of one stack. */
export class StackCore {
  readonly arena: Arena;
  /** The arena's frames. */
  readonly pool: FramePool;
  readonly timers: TimerWheel;
  readonly random: SecretRandom;
  readonly limits: Limits;
  readonly counters = new Counters();
  /** Set by the stack: ends a user's call, so that frames leave; see `settle`. */
  onSettle: (() => void) | undefined;
  /** A step of the stack is under way, which settles at its end. */
  isInStep = false;
  /** Where calls of users read the time; without it they happen when the last step was. */
  clock: Clock | undefined;
  /** The stack's time in milliseconds with fractions; moved by `input`, `poll` and calls. */
  nowMs: number;

  constructor(options: CoreOptions) {
    this.arena = options.arena;
    this.pool = options.arena.pool;
    this.nowMs = options.nowMs;
    this.timers = new TimerWheel(options.nowMs);
    this.random = new SecretRandom(options.secret);
    this.clock = options.clock;
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
  }

  /** The beginning of a user's call: what it does happens now. */
  enter(): void {
    if (!this.isInStep && this.clock !== undefined) this.nowMs = this.clock.nowMs();
  }

  /** The end of a user's call: what it has caused happens, unless a step is under way anyhow. */
  settle(): void {
    if (!this.isInStep) this.onSettle?.();
  }
}
