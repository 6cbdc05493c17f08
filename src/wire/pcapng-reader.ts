/**
 * Reading pcapng (draft-ietf-opsawg-pcapng), tolerantly: both byte orders, several sections,
 * unknown blocks and options stepped over. A file that breaks off gives everything before the break
 * and then a `problem`.
 */
import type { CaptureProblem, CaptureRecord } from "./capture-record.ts";
import {
  type CaptureDirection,
  PCAPNG_BLOCK,
  PCAPNG_BYTE_ORDER,
  PCAPNG_DIRECTION,
  PCAPNG_OPTION,
} from "./pcapng.ts";

const BLOCK_OCTETS_MIN = 12;
const BODY = 8;
const PACKET = {
  interface: 0,
  timeHigh: 4,
  timeLow: 8,
  captured: 12,
  original: 16,
  data: 20,
} as const;
const SECTION = { order: 8, major: 12, options: 24 } as const;

/** Unit of time where if_tsresol says nothing. */
const MICROSECONDS = 6;

/** An interface of the section being read. */
interface Timing {
  readonly snapOctets: number;
  readonly ticksPerSecond: bigint;
  readonly offsetSeconds: bigint;
}

type Options = ReadonlyMap<number, readonly Uint8Array[]>;

/** Records of a file that begins with a section header block. */
export function readPcapng(octets: Uint8Array): Generator<CaptureRecord> {
  return new Reader(octets).records();
}

class Reader {
  readonly #octets: Uint8Array;
  readonly #fields: DataView;
  readonly #text = new TextDecoder("utf-8", { ignoreBOM: true });
  #isLittle = true;
  #interfaces: Timing[] = [];
  /** Interfaces of the sections before. */
  #interfaceBase = 0;

  constructor(octets: Uint8Array) {
    this.#octets = octets;
    this.#fields = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  }

  *records(): Generator<CaptureRecord> {
    let at = 0;
    while (at < this.#octets.length) {
      const refusal = this.#refusal(at);
      if (refusal !== undefined) {
        yield problem(at, refusal);
        return;
      }
      const lengthOctets = this.#u32(at + 4);
      const record = this.#block(this.#u32(at), at, at + lengthOctets - 4);
      if (record !== undefined) yield record;
      if (record?.kind === "problem") return;
      at += lengthOctets;
    }
  }

  /** Why there is no whole block at `at`; learns the byte order from a section header. */
  #refusal(at: number): CaptureProblem | undefined {
    if (at + BLOCK_OCTETS_MIN > this.#octets.length) return "cut in the middle of a record";
    // The section's type reads the same in both orders; it decides the order of all that follows.
    const isSection = this.#fields.getUint32(at, true) === PCAPNG_BLOCK.section;
    if (isSection && !this.#learnOrder(at)) return "not a capture";
    const lengthOctets = this.#u32(at + 4);
    if (lengthOctets < BLOCK_OCTETS_MIN || lengthOctets % 4 !== 0) {
      return "length of a record makes no sense";
    }
    return at + lengthOctets > this.#octets.length ? "cut in the middle of a record" : undefined;
  }

  #learnOrder(at: number): boolean {
    const order = at + SECTION.order;
    this.#isLittle = this.#fields.getUint32(order, true) === PCAPNG_BYTE_ORDER;
    return this.#isLittle || this.#fields.getUint32(order, false) === PCAPNG_BYTE_ORDER;
  }

  /** undefined: nothing to tell. `end` is that of the body, before the second length. */
  #block(type: number, at: number, end: number): CaptureRecord | undefined {
    switch (type) {
      case PCAPNG_BLOCK.section:
        if (end - at < SECTION.options) return badLength(at);
        if (this.#u16(at + SECTION.major) !== 1) return problem(at, "version not known");
        this.#interfaceBase += this.#interfaces.length;
        this.#interfaces = [];
        return undefined;
      case PCAPNG_BLOCK.interface:
        return this.#interface(at, end);
      case PCAPNG_BLOCK.enhancedPacket:
        return this.#enhancedPacket(at, end);
      case PCAPNG_BLOCK.simplePacket:
        return this.#simplePacket(at, end);
      case PCAPNG_BLOCK.statistics:
        return this.#statistics(at, end);
      default:
        return undefined;
    }
  }

  #interface(at: number, end: number): CaptureRecord {
    const body = at + BODY;
    if (body + 8 > end) return badLength(at);
    const options = this.#options(body + 8, end);
    const offset = options.get(PCAPNG_OPTION.interfaceTimeOffset)?.[0];
    const snapOctets = this.#u32(body + 4);
    this.#interfaces.push({
      snapOctets,
      ticksPerSecond: ticksPerSecond(
        options.get(PCAPNG_OPTION.interfaceTimeResolution)?.[0]?.[0] ?? MICROSECONDS,
      ),
      offsetSeconds: offset?.length === 8 ? BigInt.asIntN(64, this.#big(offset)) : 0n,
    });
    const name = this.#textOf(options, PCAPNG_OPTION.interfaceName);
    const description = this.#textOf(options, PCAPNG_OPTION.interfaceDescription);
    return {
      kind: "interface",
      id: this.#interfaceBase + this.#interfaces.length - 1,
      linkType: this.#u16(body),
      snapOctets,
      ...(name === undefined ? {} : { name }),
      ...(description === undefined ? {} : { description }),
    };
  }

  #enhancedPacket(at: number, end: number): CaptureRecord {
    const body = at + BODY;
    if (body + PACKET.data > end) return badLength(at);
    const captured = this.#u32(body + PACKET.captured);
    const data = body + PACKET.data;
    if (data + captured > end) return badLength(at);
    const timing = this.#interfaces[this.#u32(body + PACKET.interface)];
    if (timing === undefined) return problem(at, "frame of an interface not described");
    const options = this.#options(data + ((captured + 3) & ~3), end);
    const flags = options.get(PCAPNG_OPTION.packetFlags)?.[0];
    const direction = flags?.length === 4 ? this.#direction(flags) : undefined;
    return {
      kind: "frame",
      interfaceId: this.#interfaceBase + this.#u32(body + PACKET.interface),
      timeNs: timeOf(timing, this.#u32(body + PACKET.timeHigh), this.#u32(body + PACKET.timeLow)),
      octets: this.#octets.subarray(data, data + captured),
      originalOctets: this.#u32(body + PACKET.original),
      ...(direction === undefined ? {} : { direction }),
      comments: (options.get(PCAPNG_OPTION.comment) ?? []).map((text) => this.#text.decode(text)),
    };
  }

  #simplePacket(at: number, end: number): CaptureRecord {
    const body = at + BODY;
    if (body + 4 > end) return badLength(at);
    const timing = this.#interfaces[0];
    if (timing === undefined) return problem(at, "frame of an interface not described");
    const originalOctets = this.#u32(body);
    const snapOctets = timing.snapOctets || originalOctets;
    const captured = Math.min(originalOctets, snapOctets, end - body - 4);
    return {
      kind: "frame",
      interfaceId: this.#interfaceBase,
      octets: this.#octets.subarray(body + 4, body + 4 + captured),
      originalOctets,
      comments: [],
    };
  }

  #statistics(at: number, end: number): CaptureRecord {
    const body = at + BODY;
    if (body + 12 > end) return badLength(at);
    const options = this.#options(body + 12, end);
    const received = options.get(PCAPNG_OPTION.statisticsReceived)?.[0];
    const dropped = options.get(PCAPNG_OPTION.statisticsDropped)?.[0];
    return {
      kind: "statistics",
      interfaceId: this.#interfaceBase + this.#u32(body),
      ...(received?.length === 8 ? { received: this.#big(received) } : {}),
      ...(dropped?.length === 8 ? { dropped: this.#big(dropped) } : {}),
    };
  }

  /** Options up to their end; one that runs over the block ends the list. */
  #options(from: number, end: number): Options {
    const options = new Map<number, Uint8Array[]>();
    let at = from;
    while (at + 4 <= end) {
      const code = this.#u16(at);
      const lengthOctets = this.#u16(at + 2);
      if (code === PCAPNG_OPTION.end || at + 4 + lengthOctets > end) break;
      const value = this.#octets.subarray(at + 4, at + 4 + lengthOctets);
      const same = options.get(code);
      if (same === undefined) options.set(code, [value]);
      else same.push(value);
      at += 4 + ((lengthOctets + 3) & ~3);
    }
    return options;
  }

  #direction(flags: Uint8Array): CaptureDirection | undefined {
    const at = flags.byteOffset - this.#octets.byteOffset;
    const bits = this.#u32(at) & 3;
    if (bits === PCAPNG_DIRECTION.inbound) return "inbound";
    return bits === PCAPNG_DIRECTION.outbound ? "outbound" : undefined;
  }

  #textOf(options: Options, code: number): string | undefined {
    const value = options.get(code)?.[0];
    return value === undefined ? undefined : this.#text.decode(value);
  }

  #u16(at: number): number {
    return this.#fields.getUint16(at, this.#isLittle);
  }

  #u32(at: number): number {
    return this.#fields.getUint32(at, this.#isLittle);
  }

  #big(value: Uint8Array): bigint {
    return this.#fields.getBigUint64(value.byteOffset - this.#octets.byteOffset, this.#isLittle);
  }
}

/** §4.2, if_tsresol: 10^-n seconds, or with the top bit 2^-n. */
function ticksPerSecond(resolution: number): bigint {
  const exponent = BigInt(resolution & 0x7f);
  return (resolution & 0x80) === 0 ? 10n ** exponent : 2n ** exponent;
}

function timeOf(timing: Timing, high: number, low: number): bigint {
  const ticks = (BigInt(high) << 32n) | BigInt(low);
  const sinceOffset = (ticks * 1_000_000_000n) / timing.ticksPerSecond;
  return sinceOffset + timing.offsetSeconds * 1_000_000_000n;
}

function problem(at: number, text: CaptureProblem): CaptureRecord {
  return { kind: "problem", at, text };
}

function badLength(at: number): CaptureRecord {
  return problem(at, "length of a record makes no sense");
}
