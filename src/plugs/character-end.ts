/**
 * Ends on files that carry octets: a FIFO, a terminal, a serial line, a character device.
 *
 *   stream://PATH  stream://IN,OUT   each datagram behind its length in 16 bits (stream-end.ts)
 *   raw://PATH     raw://IN,OUT      one read, one datagram: the file has to keep the bounds
 *
 * IN is read, OUT is written; one PATH is both. A FIFO is opened for both directions, so that it
 * has no end of file when its other side closes, and nobody has to be there first.
 */
import { fstatSync } from "node:fs";
import { ERRNO, FRAME_OCTETS_MAX, type FramePool } from "../base/index.ts";
import {
  closeFd,
  isTransient,
  OPEN,
  openFd,
  readFd,
  setNonBlocking,
  setPacketMode,
  writeFd,
} from "../sys/index.ts";
import { type CableEnd, END_CLOSED } from "./end.ts";
import { StreamEnd } from "./stream-end.ts";

/** What a pipe keeps together (PIPE_BUF). */
const PIPE_PACKET_OCTETS = 4096;

/** Opens a `stream://` address. @throws V2Error with the errno's name. */
export function openStream(address: string): CableEnd {
  const [readFd, writeFd] = openFiles(address);
  return new StreamEnd({ description: `stream://${address}`, readFd, writeFd });
}

/** Opens a `raw://` address. @throws V2Error with the errno's name. */
export function openRaw(address: string): CableEnd {
  const [readFd, writeFd] = openFiles(address);
  return new RawEnd({ description: `raw://${address}`, readFd, writeFd });
}

/** @returns descriptors to read and to write; the same one for one path. */
function openFiles(address: string): readonly [number, number] {
  const comma = address.indexOf(",");
  const first = comma === -1 ? address : address.slice(0, comma);
  const reading = openFd(first, OPEN.readWrite | OPEN.nonBlock);
  if (comma === -1) return [reading, reading];
  try {
    return [reading, openFd(address.slice(comma + 1), OPEN.readWrite | OPEN.nonBlock)];
  } catch (error) {
    closeFd(reading);
    throw error;
  }
}

export interface RawEndOptions {
  readonly description: string;
  readonly readFd: number;
  readonly writeFd: number;
}

/** An end whose datagrams are single reads and writes of two descriptors, which it owns. */
export class RawEnd implements CableEnd {
  readonly scheme = "raw";
  readonly description: string;
  readonly receiveFd: number;
  readonly sendFd: number;
  /** Datagrams that the file cannot keep together: not sent. */
  oversize = 0;
  readonly #octetsMax: number;
  readonly #out = new Uint8Array(FRAME_OCTETS_MAX);
  readonly #in = new Uint8Array(FRAME_OCTETS_MAX);
  #isOpen = true;

  /** Takes over both descriptors (they may be one) and makes them non-blocking. */
  constructor({ description, readFd, writeFd }: RawEndOptions) {
    this.description = description;
    this.receiveFd = readFd;
    this.sendFd = writeFd;
    setNonBlocking(readFd);
    setNonBlocking(writeFd);
    const isPipe = fstatSync(writeFd).isFIFO() && setPacketMode(writeFd);
    this.#octetsMax = isPipe ? PIPE_PACKET_OCTETS : FRAME_OCTETS_MAX;
  }

  receive(pool: FramePool, slots: Int32Array, count: number): number {
    for (let i = 0; i < count; i++) {
      const octets = readFd(this.receiveFd, this.#in);
      if (octets <= 0) return i > 0 || (octets < 0 && isTransient(-octets)) ? i : END_CLOSED;
      const slot = slots[i]!;
      pool.octets.set(this.#in.subarray(0, octets), pool.start[slot]);
      pool.length[slot] = octets;
    }
    return count;
  }

  send(pool: FramePool, slots: Int32Array, from: number, count: number): number {
    for (let i = 0; i < count; i++) {
      const frame = pool.frame(slots[from + i]!);
      if (frame.length > this.#octetsMax) {
        this.oversize++;
        continue;
      }
      this.#out.set(frame);
      const octets = writeFd(this.sendFd, this.#out, frame.length);
      if (octets >= 0) continue;
      if (octets === -ERRNO.EMSGSIZE) this.oversize++;
      else return isTransient(-octets) ? i : END_CLOSED;
    }
    return count;
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeFd(this.receiveFd);
    if (this.sendFd !== this.receiveFd) closeFd(this.sendFd);
  }
}
