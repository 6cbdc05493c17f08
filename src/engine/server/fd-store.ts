/**
 * The server's side of the fd-store (launch/store-program.ts): what it puts there survives it. Any
 * thread of the server may use it. Nothing here fails: with the store gone, or full, a server goes
 * on without, and what is not there is not taken over by another one.
 */
import { fstatSync, readdirSync, readlinkSync } from "node:fs";
import {
  closeDescriptor,
  hearBell,
  makeTokens,
  ringBell,
  sendFds,
  sessionPair,
  setNonBlocking,
  waitWritable,
} from "../../sys/index.ts";
import { ERRNO } from "../../base/index.ts";
import { SYS_X86_64 as SYS } from "../../viewos/index.ts";
import { STORE, STORE_CALL_OCTETS, STORE_CALLS } from "../launch/store-program.ts";

/** Descriptors in the store at most. */
const KEPT_MAX = 4096;
const WORD_BITS = 32;
/** A store that takes nothing for so long is stopped, or hangs: it is used no more. */
const PATIENCE_MS = 1000;
/** New servers in a row at most that do not come as far as to take over. */
const TRIES_MAX = 3;
/** New servers at most that take over, but get no older than a minute. */
const TAKEOVERS_MAX = 32;
const EARNED_MS = 60_000;

type StoreCall = readonly [number: number, ...words: number[]];
const NOTHING: StoreCall = [SYS.getpid];

/**
 * Descriptors for a process that is to become a store, from `STORE.own` on. To be closed by the
 * caller when it has them.
 */
export function storeDescriptors(): readonly number[] {
  const [own, server] = sessionPair();
  return [own, server, makeTokens(TRIES_MAX), makeTokens(TAKEOVERS_MAX)];
}

/** The store of this process's parent, as one thread uses it. */
export class FdStore {
  /** Which numbers are taken, for the other threads. */
  readonly memory: SharedArrayBuffer;
  readonly #taken: Int32Array;
  #isLost = false;

  /** @param memory of another thread's; undefined: this is the first */
  constructor(memory?: SharedArrayBuffer) {
    this.memory = memory ?? new SharedArrayBuffer(KEPT_MAX / 8);
    this.#taken = new Int32Array(this.memory);
    if (memory === undefined) setNonBlocking(STORE.server);
  }

  /** Takes numbers for descriptors that are going to be kept; undefined when there are too few. */
  reserve(count: number): readonly number[] | undefined {
    const numbers: number[] = [];
    for (let index = 0; index < KEPT_MAX && numbers.length < count; index++) {
      if (this.#take(index)) numbers.push(STORE.kept + index);
    }
    if (numbers.length === count) return numbers;
    for (const number of numbers) this.#free(number);
    return undefined;
  }

  /**
   * Keeps copies of descriptors, `STORE_CALLS` at most, all or none: under reserved numbers, or in
   * the place of what was kept there.
   */
  put(numbers: readonly number[], descriptors: readonly number[]): void {
    const calls = numbers.map((number, i): StoreCall => [SYS.dup3, STORE.landing + i, number, 0]);
    this.#send(calls, descriptors);
  }

  /** `reserve` and `put`; undefined: they are not kept. */
  keep(descriptors: readonly number[]): readonly number[] | undefined {
    const numbers = this.reserve(descriptors.length);
    if (numbers !== undefined) this.put(numbers, descriptors);
    return numbers;
  }

  /** Forgets what is kept under some numbers, the first of them first. */
  drop(numbers: readonly number[]): void {
    for (let at = 0; at < numbers.length; at += STORE_CALLS) {
      const some = numbers.slice(at, at + STORE_CALLS);
      if (this.#send(some.map((number) => [SYS.close, number]))) some.forEach((n) => this.#free(n));
    }
  }

  /** Ends the store: nobody takes over. */
  end(): void {
    this.#send([[SYS.exit_group, 0]]);
  }

  /** Was this server started in the place of one that is gone? Asked before anything is opened. */
  static isResumed(session: number): boolean {
    return !fstatSync(session).isSocket();
  }

  /**
   * In a server that takes over, first of all: what the store has, by its numbers, which are ours
   * as well.
   */
  inherited(): ReadonlyMap<number, string> {
    const found = new Map<number, string>();
    for (const name of readdirSync("/proc/self/fd")) {
      const number = Number(name);
      if (number < STORE.kept || number >= STORE.kept + KEPT_MAX) continue;
      try {
        const target = readlinkSync(`/proc/self/fd/${number}`);
        if (isKept(target)) found.set(number, target);
      } catch {
        // It read the directory.
      }
    }
    return found;
  }

  /** Of what is inherited, that is used; all else is closed, here and in the store. */
  use(inherited: Iterable<number>, used: ReadonlySet<number>): void {
    for (const number of used) this.#take(number - STORE.kept);
    for (const number of inherited) if (!used.has(number)) closeDescriptor(number);
    const limits = [STORE.kept - 1, ...[...used].sort((a, b) => a - b), STORE.kept + KEPT_MAX];
    const gaps = limits.slice(1).flatMap((next, i): StoreCall[] => {
      const [first, last] = [limits[i]! + 1, next - 1];
      return first > last ? [] : [[SYS.close_range, first, last, 0]];
    });
    for (let at = 0; at < gaps.length; at += STORE_CALLS) {
      this.#send(gaps.slice(at, at + STORE_CALLS));
    }
  }

  /** This server has taken over: another one may try when it is killed. */
  hasTakenOver(): void {
    if (hearBell(STORE.credit)) ringBell(STORE.tries);
    setTimeout(() => ringBell(STORE.credit), EARNED_MS).unref();
  }

  #take(index: number): boolean {
    const bit = 1 << (index % WORD_BITS);
    return (Atomics.or(this.#taken, Math.floor(index / WORD_BITS), bit) & bit) === 0;
  }

  #free(number: number): void {
    const index = number - STORE.kept;
    Atomics.and(this.#taken, Math.floor(index / WORD_BITS), ~(1 << (index % WORD_BITS)));
  }

  /** @returns whether the store has been told */
  #send(calls: readonly StoreCall[], descriptors: readonly number[] = []): boolean {
    if (this.#isLost) return false;
    const octets = new Uint8Array(STORE_CALLS * STORE_CALL_OCTETS);
    const words = new BigInt64Array(octets.buffer);
    for (let i = 0; i < STORE_CALLS; i++) {
      const call = calls[i] ?? NOTHING;
      call.forEach((word, j) => (words[(i * STORE_CALL_OCTETS) / 8 + j] = BigInt(word)));
    }
    // Always as many, see store-program.ts.
    const all = Array.from({ length: STORE_CALLS }, (_, i) => descriptors[i] ?? STORE.tries);
    for (;;) {
      const sent = sendFds(STORE.server, octets, all);
      if (sent > 0) return true;
      if (sent === -ERRNO.EAGAIN && waitWritable(STORE.server, PATIENCE_MS)) continue;
      this.#isLost = true;
      return false;
    }
  }
}

/** Is it of the kinds that we keep? Node has none of them when it starts. */
function isKept(target: string): boolean {
  return /^(?:\/memfd:v2-|anon_inode:seccomp notify|socket:|mnt:|uts:)/.test(target);
}
