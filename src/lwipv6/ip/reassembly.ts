/**
 * Putting fragments together: RFC 791 §3.2 in the manner of RFC 815, RFC 8200 §4.5. A datagram in
 * reassembly holds one slot, in which every fragment is copied to its place, and one octet for each
 * unit of 8, so that a fragment costs no more than its own length. Overlaps end the datagram
 * (RFC 5722, RFC 1858, RFC 3128), as do totals above 65535.
 */
import { IPV4_AT, IPV6_AT, IPV6_HEADER_OCTETS } from "../../wire/index.ts";
import { readU16, writeU16 } from "../../base/index.ts";
import type { StackCore } from "../core.ts";
import type { Interface } from "../interface.ts";
import type { Packet } from "../packet.ts";
import { Timer } from "../timer-wheel.ts";

/** RFC 1122 §3.3.2, RFC 8200 §4.5. */
const TIMEOUT_MS = 60_000;
/** Longest IP packet, both families. */
const TOTAL_OCTETS_MAX = 65_535;
const UNITS = 8192;
/** What is known of a unit of 8 octets: nothing, or its place in the fragment that it came with. */
const UNIT = { missing: 0, first: 1, inner: 2 } as const;
/** Room for the headers in front of the data; longer chains are not put together. */
const HEADERS_OCTETS_MAX = 256;

/** Bits of `ecnSeen`: congestion experienced, and the same beside "not ECN-capable". */
const ECN_CONGESTED = 1 << 3;
const ECN_MIXED = ECN_CONGESTED | 1;

/** One fragment, as the IP layer found it. */
export interface FragmentView {
  identification: number;
  /** Place of its data in the datagram. */
  offsetOctets: number;
  hasMore: boolean;
  /** First octet of its data in the arena, and the end. */
  dataAt: number;
  end: number;
  /**
   * Of the headers that are repeated in front of each: where they end (IPv6: the fragment header).
   */
  headersEnd: number;
  /** IPv6: the protocol of the data, and where the octet that names the fragment header stands. */
  protocol: number;
  nextHeaderAt: number;
}

class Reassembly {
  readonly key: string;
  readonly slot: number;
  /** First octet of the data in the arena. */
  readonly base: number;
  readonly units = new Uint8Array(UNITS);
  /** Units that have arrived. */
  filled = 0;
  /** Octets of data in all; -1: the last fragment is still to come. */
  total = -1;
  /** Headers of the first fragment stand before `base`; 0: it is still to come. */
  headerOctets = 0;
  /** Which ECN codepoints its fragments have: bit n for codepoint n. */
  ecnSeen = 0;
  /** Octets held. */
  octets = 0;
  isIpv4 = true;
  /** The interface that the fragments come by. */
  from: Interface | undefined;
  readonly timer: Timer;

  constructor(key: string, slot: number, base: number, expire: (self: Reassembly) => void) {
    this.key = key;
    this.slot = slot;
    this.base = base;
    this.timer = new Timer(() => expire(this));
  }
}

/** All datagrams of a stack that are not whole yet. */
export class Reassembler {
  /**
   * Time is over, and the first fragment had arrived: what there is of the packet is in `slot`,
   * which stays the reassembler's (RFC 792, RFC 4443 §3.3).
   */
  onTimeout: ((slot: number, from: Interface) => void) | undefined;
  readonly #core: StackCore;
  readonly #all = new Map<string, Reassembly>();
  #octets = 0;

  constructor(core: StackCore) {
    this.#core = core;
  }

  /** Datagrams in reassembly. */
  get count(): number {
    return this.#all.size;
  }

  /** Gives up what came by an interface. */
  forget(owner: Interface): void {
    for (const one of this.#all.values()) if (one.from === owner) this.#drop(one);
  }

  /** Gives everything up. */
  clear(): void {
    for (const one of this.#all.values()) this.#drop(one);
  }

  /**
   * Takes a fragment.
   * @returns the slot of the whole datagram, whose frame is an IP packet without fragmentation and
   *   whose slot is the caller's; -1: not whole, or refused.
   */
  take(packet: Packet, fragment: FragmentView): number {
    const { counters } = this.#core;
    const length = fragment.end - fragment.dataAt;
    const from = fragment.offsetOctets;
    if (length <= 0 || (fragment.hasMore && length % 8 !== 0)) {
      counters.count("fragment.length");
      return -1;
    }
    if (from + length > TOTAL_OCTETS_MAX) {
      counters.count("fragment.too-long");
      return -1;
    }
    const one = this.#find(packet, fragment);
    if (one === undefined) return -1;
    if (!this.#fits(one, from, length, fragment.hasMore)) return this.#refuse(one, "size");
    const taken = this.#place(one, fragment, from, length);
    if (taken === "duplicate") return -1;
    if (taken === "overlap") return this.#refuse(one, "overlap");
    if (!fragment.hasMore) one.total = from + length;
    one.ecnSeen |= 1 << (packet.trafficClass & 3);
    if (from === 0 && !this.#keepHeaders(one, packet, fragment))
      return this.#refuse(one, "headers");
    const units = one.total < 0 ? -1 : Math.ceil(one.total / 8);
    if (one.filled !== units || one.headerOctets === 0) return -1;
    if (one.headerOctets + one.total - (one.isIpv4 ? 0 : IPV6_HEADER_OCTETS) > TOTAL_OCTETS_MAX) {
      return this.#refuse(one, "size");
    }
    // RFC 3168 §5.3: a router may mark only what can be marked.
    if ((one.ecnSeen & ECN_MIXED) === ECN_MIXED) return this.#refuse(one, "ecn");
    this.#forget(one);
    this.#finish(one, (one.ecnSeen & ECN_CONGESTED) !== 0 ? 3 : packet.trafficClass & 3);
    counters.count("fragment.reassembled");
    return one.slot;
  }

  #find(packet: Packet, fragment: FragmentView): Reassembly | undefined {
    const key = keyOf(packet, fragment);
    const known = this.#all.get(key);
    if (known !== undefined) return known;
    const { limits, counters, pool, timers, nowMs } = this.#core;
    while (this.#all.size >= limits.reassemblies || this.#octets > limits.reassemblyOctets) {
      const oldest = this.#all.values().next();
      if (oldest.done === true) break;
      counters.count("fragment.evicted");
      this.#drop(oldest.value);
    }
    const slot = pool.take();
    if (slot < 0) {
      counters.count("pool.exhausted");
      return undefined;
    }
    const base = pool.start[slot]! + HEADERS_OCTETS_MAX;
    const one = new Reassembly(key, slot, base, (self) => this.#expire(self));
    one.isIpv4 = packet.isIpv4;
    one.from = packet.interface;
    this.#all.set(key, one);
    timers.set(one.timer, nowMs + TIMEOUT_MS);
    return one;
  }

  /** The end of a datagram may not move, and nothing may lie behind it. */
  #fits(one: Reassembly, from: number, length: number, hasMore: boolean): boolean {
    if (one.total >= 0) return hasMore ? from + length <= one.total : from + length === one.total;
    if (hasMore) return true;
    const endUnit = Math.ceil((from + length) / 8);
    for (let unit = endUnit; unit < UNITS && one.filled > 0; unit++) {
      if (one.units[unit] !== UNIT.missing) return false;
    }
    return true;
  }

  #place(
    one: Reassembly,
    fragment: FragmentView,
    from: number,
    length: number,
  ): "new" | "duplicate" | "overlap" {
    const { octets } = this.#core.pool;
    const first = from >>> 3;
    const end = Math.ceil((from + length) / 8);
    const { units } = one;
    let known = 0;
    for (let unit = first; unit < end; unit++) if (units[unit] !== UNIT.missing) known++;
    if (known > 0) {
      // RFC 8200 §4.5: an exact duplicate is no attack; it is left aside.
      if (known !== end - first || !isOneFragment(units, first, end)) return "overlap";
      for (let i = 0; i < length; i++) {
        if (octets[one.base + from + i] !== octets[fragment.dataAt + i]) return "overlap";
      }
      return "duplicate";
    }
    units.fill(UNIT.inner, first, end);
    units[first] = UNIT.first;
    one.filled += end - first;
    one.octets += length;
    this.#octets += length;
    octets.copyWithin(one.base + from, fragment.dataAt, fragment.end);
    return "new";
  }

  /** Copies the headers in front of the data, without what says "fragment". */
  #keepHeaders(one: Reassembly, packet: Packet, fragment: FragmentView): boolean {
    const { octets } = this.#core.pool;
    const headerOctets = fragment.headersEnd - packet.networkAt;
    if (headerOctets > HEADERS_OCTETS_MAX - 64) return false;
    const at = one.base - headerOctets;
    octets.copyWithin(at, packet.networkAt, fragment.headersEnd);
    if (!packet.isIpv4) {
      octets[at + fragment.nextHeaderAt - packet.networkAt] = fragment.protocol;
    }
    one.headerOctets = headerOctets;
    return true;
  }

  /** Makes the slot a packet that was never cut. */
  #finish(one: Reassembly, ecn: number): void {
    const { pool } = this.#core;
    const { octets } = pool;
    const at = one.base - one.headerOctets;
    pool.start[one.slot] = at;
    pool.length[one.slot] = one.headerOctets + one.total;
    if (one.isIpv4) {
      const total = one.headerOctets + one.total;
      writeU16(octets, at + IPV4_AT.totalLength, total);
      writeU16(octets, at + IPV4_AT.fragment, 0);
      octets[at + IPV4_AT.trafficClass] = (octets[at + IPV4_AT.trafficClass]! & 0xfc) | ecn;
    } else {
      const payload = one.headerOctets - IPV6_HEADER_OCTETS + one.total;
      writeU16(octets, at + IPV6_AT.payloadLength, payload);
      const word = readU16(octets, at);
      writeU16(octets, at, (word & ~0x30) | (ecn << 4));
    }
  }

  #refuse(one: Reassembly, why: string): -1 {
    this.#core.counters.count(`fragment.${why}`);
    this.#drop(one);
    return -1;
  }

  #expire(one: Reassembly): void {
    this.#core.counters.count("fragment.timeout");
    if (one.headerOctets > 0) {
      let units = 0;
      while (units < UNITS && one.units[units] !== UNIT.missing) units++;
      const { pool } = this.#core;
      pool.start[one.slot] = one.base - one.headerOctets;
      pool.length[one.slot] = one.headerOctets + 8 * units;
      if (one.from !== undefined) this.onTimeout?.(one.slot, one.from);
    }
    this.#drop(one);
  }

  #drop(one: Reassembly): void {
    this.#forget(one);
    this.#core.pool.release(one.slot);
  }

  #forget(one: Reassembly): void {
    this.#core.timers.cancel(one.timer);
    this.#all.delete(one.key);
    this.#octets -= one.octets;
  }
}

/** The units from `first` to `end` came as one fragment. */
function isOneFragment(units: Uint8Array, first: number, end: number): boolean {
  if (units[first] !== UNIT.first) return false;
  for (let unit = first + 1; unit < end; unit++) if (units[unit] === UNIT.first) return false;
  return end === UNITS || units[end] !== UNIT.inner;
}

/** RFC 791: source, target, protocol, identification; RFC 8200: without the protocol. */
function keyOf(packet: Packet, fragment: FragmentView): string {
  const { s0, s1, s2, s3, t0, t1, t2, t3 } = packet;
  const protocol = packet.isIpv4 ? fragment.protocol : -1;
  const { index } = packet.interface;
  const ends = `${s0},${s1},${s2},${s3},${t0},${t1},${t2},${t3}`;
  return `${ends},${protocol},${fragment.identification},${index}`;
}
