/** A host that sends numbered broadcasts and counts how often it hears each of the others'. */
import { readU32, writeU32 } from "../base/index.ts";
import type { SimLink, SimNode } from "./link.ts";

const FRAME_OCTETS = 60;
/** Type of the frames: for local experiments (IEEE 802 §9.2.4). */
const EXPERIMENT = [0x88, 0xb5] as const;
const NUMBER_AT = 14;

/** One host, with one cable. */
export class Station implements SimNode {
  /** Octets 3 to 6 of its address. */
  readonly id: number;
  /** Copies heard, by number of the broadcast. */
  readonly heard = new Map<number, number>();
  #link: SimLink | undefined;

  constructor(id: number) {
    this.id = id;
  }

  /** Sends a broadcast with a number that is unique in the simulation. */
  broadcast(number: number): void {
    const frame = new Uint8Array(FRAME_OCTETS);
    frame.fill(0xff, 0, 6);
    frame[6] = 2;
    writeU32(frame, 8, this.id);
    frame.set(EXPERIMENT, 12);
    writeU32(frame, NUMBER_AT, number);
    this.#link?.send(this, frame);
  }

  receive(_port: number, frame: Uint8Array): void {
    if (frame[12] !== EXPERIMENT[0] || frame[13] !== EXPERIMENT[1]) return;
    const number = readU32(frame, NUMBER_AT);
    this.heard.set(number, (this.heard.get(number) ?? 0) + 1);
  }

  plugged(_port: number, link: SimLink): void {
    this.#link = link;
  }

  pulled(): void {
    this.#link = undefined;
  }
}
