/**
 * Cutting packets that do not fit, RFC 791 §2.3 and RFC 8200 §4.5, and the identifications by which
 * fragments find each other: not guessable (RFC 7739), and not repeated soon (RFC 6864 §4.3).
 */
import { ERRNO, readU16, writeU16, writeU32 } from "../../base/index.ts";
import {
  checksumOf,
  IP_PROTOCOL,
  IPV4_AT,
  IPV6_AT,
  IPV6_HEADER_OCTETS,
  sumOctets,
} from "../../wire/index.ts";
import type { IpAddress } from "../address.ts";
import type { StackCore } from "../core.ts";
import { takePacketSlot } from "../headroom.ts";
import type { SipHash } from "../siphash.ts";
import { dropUncopied } from "./ipv4-options.ts";

const FRAGMENT_HEADER_OCTETS = 8;
const MORE_FRAGMENTS = 0x2000;
const DONT_FRAGMENT = 0x4000;
const COUNTERS = 1024;

export class Fragmenter {
  readonly #core: StackCore;
  readonly #hash: SipHash;
  readonly #words = new Int32Array(8);
  /** Identifications used, by hash of the two addresses (RFC 7739 §5.3). */
  readonly #used = new Uint32Array(COUNTERS);

  constructor(core: StackCore) {
    this.#core = core;
    this.#hash = core.random.keyedHash();
  }

  /** For the next IPv4 packet between two addresses that may be cut: 16 bits. */
  identification4(source: IpAddress, target: IpAddress): number {
    return this.#next(source, target) & 0xffff;
  }

  /**
   * Cuts the IP packet in `slot`, which stays the caller's, and gives each part's slot to `emit`.
   * @returns 0, -EMSGSIZE where it may not be cut or the path is too narrow, -ENOBUFS.
   */
  cut(slot: number, mtuOctets: number, emit: (slot: number) => void): number {
    const { pool } = this.#core;
    const isIpv4 = pool.octets[pool.start[slot]!]! >>> 4 === 4;
    return isIpv4 ? this.#cut4(slot, mtuOctets, emit) : this.#cut6(slot, mtuOctets, emit);
  }

  #cut4(slot: number, mtuOctets: number, emit: (slot: number) => void): number {
    const { pool } = this.#core;
    const { octets } = pool;
    const at = pool.start[slot]!;
    const header = (octets[at]! & 0xf) * 4;
    const field = readU16(octets, at + IPV4_AT.fragment);
    const dataOctets = pool.length[slot]! - header;
    const partOctets = (mtuOctets - header) & ~7;
    if ((field & DONT_FRAGMENT) !== 0 || partOctets < 8) return -ERRNO.EMSGSIZE;
    const first = (field & 0x1fff) * 8;
    if (!this.#hasRoom(dataOctets / partOctets)) return -ERRNO.ENOBUFS;
    for (let from = 0; from < dataOctets; from += partOctets) {
      const length = Math.min(partOctets, dataOctets - from);
      const part = this.#part(slot, header, header + from, length, 0);
      if (part < 0) return part;
      const partAt = pool.start[part]!;
      if (first + from > 0) dropUncopied(octets, partAt, header);
      const isLast = from + length === dataOctets;
      const more = isLast ? field & MORE_FRAGMENTS : MORE_FRAGMENTS;
      writeU16(octets, partAt + IPV4_AT.totalLength, header + length);
      writeU16(octets, partAt + IPV4_AT.fragment, more | ((first + from) >>> 3));
      writeU16(octets, partAt + IPV4_AT.checksum, 0);
      const sum = checksumOf(sumOctets(octets, partAt, partAt + header));
      writeU16(octets, partAt + IPV4_AT.checksum, sum);
      emit(part);
    }
    return 0;
  }

  /** Only packets without extension headers are cut: those are the ones this host makes. */
  #cut6(slot: number, mtuOctets: number, emit: (slot: number) => void): number {
    const { pool } = this.#core;
    const { octets } = pool;
    const at = pool.start[slot]!;
    const dataOctets = pool.length[slot]! - IPV6_HEADER_OCTETS;
    const partOctets = (mtuOctets - IPV6_HEADER_OCTETS - FRAGMENT_HEADER_OCTETS) & ~7;
    if (partOctets < 8) return -ERRNO.EMSGSIZE;
    if (!this.#hasRoom(dataOctets / partOctets)) return -ERRNO.ENOBUFS;
    const identification = this.#identification6(at);
    const protocol = octets[at + IPV6_AT.nextHeader]!;
    for (let from = 0; from < dataOctets; from += partOctets) {
      const length = Math.min(partOctets, dataOctets - from);
      const part = this.#part(
        slot,
        IPV6_HEADER_OCTETS,
        IPV6_HEADER_OCTETS + from,
        length,
        FRAGMENT_HEADER_OCTETS,
      );
      if (part < 0) return part;
      const partAt = pool.start[part]!;
      const fragmentAt = partAt + IPV6_HEADER_OCTETS;
      writeU16(octets, partAt + IPV6_AT.payloadLength, FRAGMENT_HEADER_OCTETS + length);
      octets[partAt + IPV6_AT.nextHeader] = IP_PROTOCOL.fragment;
      octets[fragmentAt] = protocol;
      octets[fragmentAt + 1] = 0;
      writeU16(octets, fragmentAt + 2, from | (from + length < dataOctets ? 1 : 0));
      writeU32(octets, fragmentAt + 4, identification);
      emit(part);
    }
    return 0;
  }

  /** All parts find a slot: some without the others are of no use. */
  #hasRoom(parts: number): boolean {
    const isEnough = this.#core.pool.freeCount >= Math.ceil(parts);
    if (!isEnough) this.#core.counters.count("pool.exhausted");
    return isEnough;
  }

  /** A slot with the headers, `gap` free octets, and `length` octets of data. */
  #part(slot: number, header: number, from: number, length: number, gap: number): number {
    const { pool } = this.#core;
    const part = takePacketSlot(this.#core);
    if (part < 0) return -ERRNO.ENOBUFS;
    const at = pool.start[slot]!;
    const to = pool.start[part]!;
    pool.octets.copyWithin(to, at, at + header);
    pool.octets.copyWithin(to + header + gap, at + from, at + from + length);
    pool.length[part] = header + gap + length;
    return part;
  }

  #identification6(at: number): number {
    const { octets } = this.#core.pool;
    const view = new DataView(octets.buffer, octets.byteOffset + at + IPV6_AT.source, 32);
    for (let i = 0; i < 8; i++) this.#words[i] = view.getInt32(4 * i);
    return this.#nextOf(8);
  }

  #next(source: IpAddress, target: IpAddress): number {
    this.#words[0] = source.w3;
    this.#words[1] = target.w3;
    return this.#nextOf(2);
  }

  #nextOf(count: number): number {
    const base = this.#hash.hash(this.#words, count);
    const at = this.#hash.high % COUNTERS;
    this.#used[at]!++;
    return (base + this.#used[at]!) >>> 0;
  }
}
