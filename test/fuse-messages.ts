/** Messages as a kernel sends them, for tests of src/fuse. */
import { type FuseWire, IN_HEADER, nameToOctets, OUT_HEADER } from "../src/fuse/index.ts";

/** Little-endian fields one after another: `u32(1)`, `u64(2n)`, names with their NUL. */
export function u32(...values: readonly number[]): Uint8Array {
  const octets = new Uint8Array(4 * values.length);
  const view = new DataView(octets.buffer);
  values.forEach((value, i) => view.setUint32(4 * i, value, true));
  return octets;
}

export function u64(...values: readonly number[]): Uint8Array {
  const octets = new Uint8Array(8 * values.length);
  const view = new DataView(octets.buffer);
  values.forEach((value, i) => view.setBigUint64(8 * i, BigInt(value), true));
  return octets;
}

export function cstring(text: string): Uint8Array {
  return concat(nameToOctets(text), Uint8Array.of(0));
}

export function concat(...pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

export interface Asked {
  readonly opcode: number;
  readonly unique?: number;
  readonly node?: number;
}

/** A request with its header; uid 1000, gid 100, pid 42. */
export function message(asked: Asked, ...body: readonly Uint8Array[]): Uint8Array {
  const content = concat(...body);
  const header = concat(
    u32(IN_HEADER.octets + content.length, asked.opcode),
    u64(asked.unique ?? 2, asked.node ?? 1),
    u32(1000, 100, 42, 0),
  );
  return concat(header, content);
}

/** A reply taken apart. */
export interface Told {
  readonly unique: number;
  readonly error: number;
  readonly body: Uint8Array;
}

/** A device that keeps what it is sent. */
export class RecordingWire implements FuseWire {
  readonly told: Told[] = [];

  send(octets: Uint8Array, length: number): void {
    this.#keep(octets.slice(0, length));
  }

  sendWith(octets: Uint8Array, length: number, data: Uint8Array): void {
    this.#keep(concat(octets.subarray(0, length), data));
  }

  #keep(octets: Uint8Array): void {
    const view = new DataView(octets.buffer);
    const length = view.getUint32(OUT_HEADER.length, true);
    if (length !== octets.length) throw new Error(`length ${length} of ${octets.length} octets`);
    const error = view.getInt32(OUT_HEADER.error, true);
    const unique = Number(view.getBigUint64(OUT_HEADER.unique, true));
    this.told.push({ unique, error, body: octets.slice(OUT_HEADER.octets) });
  }
}
