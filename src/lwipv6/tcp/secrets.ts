/**
 * What a stranger must not guess: initial sequence numbers (RFC 9293 §3.4.1, RFC 6528), timestamps'
 * starts (RFC 7323 §7.1), local ports (RFC 6056 §3.3.4), SYN cookies (RFC 4987 §3.6).
 */
import type { IpAddress } from "../address.ts";
import type { StackCore } from "../core.ts";
import type { SipHash } from "../siphash.ts";
import type { Ends } from "./connection.ts";

/** RFC 9293 §3.4.1: the number grows by one in 4 µs. */
const TICKS_PER_MS = 250;
/** RFC 6335 §6: dynamic ports. */
export const PORT_FIRST = 32_768;
const PORT_LAST = 60_999;
const PORT_COUNT = PORT_LAST - PORT_FIRST + 1;
const PORT_COUNTERS = 1024;
/** Segment sizes that a cookie can say. */
const COOKIE_SEGMENTS = [536, 1220, 1440, 1460, 4312, 8960, 32_768, 65_495] as const;
/** A cookie's minute: it is believed for one to two of them. */
const COOKIE_PERIOD_MS = 64_000;

/** What a cookie remembers of a SYN. */
export interface Cookie {
  readonly peerSegment: number;
}

export class TcpSecrets {
  readonly #core: StackCore;
  readonly #sequence: SipHash;
  readonly #timestamp: SipHash;
  readonly #port: SipHash;
  readonly #cookie: SipHash;
  readonly #words = new Int32Array(11);
  /** RFC 6056 §3.3.4: counters of groups of peers. */
  readonly #counters: Uint32Array;

  constructor(core: StackCore) {
    const { random } = core;
    this.#core = core;
    this.#sequence = random.keyedHash();
    this.#timestamp = random.keyedHash();
    this.#port = random.keyedHash();
    this.#cookie = random.keyedHash();
    this.#counters = Uint32Array.from({ length: PORT_COUNTERS }, () => random.below(PORT_COUNT));
  }

  /** ISS of a new connection. */
  initialSequence(ends: Ends): number {
    const hash = this.#sequence.hash(this.#words, this.#load(ends));
    return (hash + Math.floor(this.#core.nowMs * TICKS_PER_MS)) | 0;
  }

  /** What is added to the clock of a connection's timestamps. */
  timestampOffset(ends: Ends): number {
    return (
      this.#timestamp.hash(this.#words, this.#load({ ...ends, localPort: 0, remotePort: 0 })) | 0
    );
  }

  /** A local port that is free. @returns 0: none is. */
  port(
    local: IpAddress,
    remote: IpAddress,
    remotePort: number,
    isFree: (port: number) => boolean,
  ): number {
    const ends = { local, localPort: 0, remote, remotePort, interfaceIndex: 0 };
    const offset = this.#port.hash(this.#words, this.#load(ends));
    const counter = this.#port.high % PORT_COUNTERS;
    // One step of chance, so that the counter cannot be read from outside.
    this.#counters[counter]! += 1 + this.#core.random.below(8);
    for (let tries = 0; tries < PORT_COUNT; tries++) {
      const port = PORT_FIRST + (((offset + this.#counters[counter]!) >>> 0) % PORT_COUNT);
      if (isFree(port)) return port;
      this.#counters[counter]!++;
    }
    return 0;
  }

  /** The sequence number that answers a SYN of which nothing is remembered. */
  makeCookie(ends: Ends, irs: number, peerSegment: number): number {
    let index = COOKIE_SEGMENTS.length - 1;
    while (index > 0 && COOKIE_SEGMENTS[index]! > peerSegment) index--;
    const period = Math.floor(this.#core.nowMs / COOKIE_PERIOD_MS);
    return this.#cookieOf(ends, irs, period, index);
  }

  /** The third segment of a handshake: is it the answer to a cookie? */
  readCookie(ends: Ends, irs: number, cookie: number): Cookie | undefined {
    const period = Math.floor(this.#core.nowMs / COOKIE_PERIOD_MS);
    const index = (cookie >>> 5) & 7;
    for (let age = 0; age < 2; age++) {
      if (this.#cookieOf(ends, irs, period - age, index) === cookie) {
        return { peerSegment: COOKIE_SEGMENTS[index]! };
      }
    }
    return undefined;
  }

  /** 24 bits of hash, 3 of segment size, 5 of time. */
  #cookieOf(ends: Ends, irs: number, period: number, index: number): number {
    const count = this.#load(ends);
    this.#words[count] = irs;
    this.#words[count + 1] = (period << 3) | index;
    const hash = this.#cookie.hash(this.#words, count + 2);
    return (hash & 0xffff_ff00) | (index << 5) | (period & 31);
  }

  #load(ends: Ends): number {
    const { local, remote } = ends;
    const words = this.#words;
    words[0] = local.w0;
    words[1] = local.w1;
    words[2] = local.w2;
    words[3] = local.w3;
    words[4] = remote.w0;
    words[5] = remote.w1;
    words[6] = remote.w2;
    words[7] = remote.w3;
    words[8] = (ends.localPort << 16) | ends.remotePort;
    return 9;
  }
}
