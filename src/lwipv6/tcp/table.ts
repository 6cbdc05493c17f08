/**
 * Connections by both their ends: an open-addressing table under a keyed hash, so that nobody can
 * choose ports that fall into one place. Looking up allocates nothing.
 */
import type { Packet } from "../packet.ts";
import type { SipHash } from "../siphash.ts";
import type { Ends, TcpConnection } from "./connection.ts";

const FEW = 16;

export class ConnectionTable {
  readonly #hash: SipHash;
  readonly #words = new Int32Array(9);
  #slots: (TcpConnection | undefined)[] = Array.from({ length: FEW });
  #count = 0;
  /** The last one found: packets come in trains. */
  #last: TcpConnection | undefined;

  constructor(hash: SipHash) {
    this.#hash = hash;
  }

  get count(): number {
    return this.#count;
  }

  /** All of them, in no order. */
  all(): TcpConnection[] {
    return this.#slots.filter((slot) => slot !== undefined);
  }

  /** The one that a packet with these ports is for. */
  find(packet: Packet, sourcePort: number, targetPort: number): TcpConnection | undefined {
    const last = this.#last;
    if (last !== undefined && isFor(last, packet, sourcePort, targetPort)) return last;
    const mask = this.#slots.length - 1;
    const { s0, s1, s2, s3, t0, t1, t2, t3 } = packet;
    let at = this.#place(t0, t1, t2, t3, s0, s1, s2, s3, targetPort, sourcePort) & mask;
    for (;;) {
      const one = this.#slots[at];
      if (one === undefined) return undefined;
      if (isFor(one, packet, sourcePort, targetPort)) {
        this.#last = one;
        return one;
      }
      at = (at + 1) & mask;
    }
  }

  /** The one with these ends. */
  findEnds(ends: Ends): TcpConnection | undefined {
    const mask = this.#slots.length - 1;
    for (let at = this.#placeOf(ends) & mask; ; at = (at + 1) & mask) {
      const one = this.#slots[at];
      if (one === undefined || isSame(one, ends)) return one;
    }
  }

  /** Adds one whose ends are not there yet. */
  add(connection: TcpConnection): void {
    if (2 * (this.#count + 1) > this.#slots.length) this.#resize(2 * this.#slots.length);
    this.#insert(connection);
    this.#count++;
  }

  /** @returns false: it was not there. */
  remove(connection: TcpConnection): boolean {
    if (this.#last === connection) this.#last = undefined;
    const mask = this.#slots.length - 1;
    let at = this.#placeOf(connection) & mask;
    while (this.#slots[at] !== connection) {
      if (this.#slots[at] === undefined) return false;
      at = (at + 1) & mask;
    }
    this.#count--;
    // Those behind it that the hole would hide move up (Knuth, 6.4 R).
    let hole = at;
    for (let next = (at + 1) & mask; ; next = (next + 1) & mask) {
      const one = this.#slots[next];
      if (one === undefined) break;
      const home = this.#placeOf(one) & mask;
      if (((next - home) & mask) >= ((next - hole) & mask)) {
        this.#slots[hole] = one;
        hole = next;
      }
    }
    this.#slots[hole] = undefined;
    if (this.#slots.length > FEW && 8 * this.#count < this.#slots.length) {
      this.#resize(this.#slots.length / 2);
    }
    return true;
  }

  #insert(connection: TcpConnection): void {
    const mask = this.#slots.length - 1;
    let at = this.#placeOf(connection) & mask;
    while (this.#slots[at] !== undefined) at = (at + 1) & mask;
    this.#slots[at] = connection;
  }

  #resize(length: number): void {
    const old = this.#slots;
    this.#slots = Array.from({ length });
    for (const one of old) if (one !== undefined) this.#insert(one);
  }

  #placeOf({ local, localPort, remote, remotePort }: Ends): number {
    return this.#place(
      local.w0,
      local.w1,
      local.w2,
      local.w3,
      remote.w0,
      remote.w1,
      remote.w2,
      remote.w3,
      localPort,
      remotePort,
    );
  }

  #place(
    l0: number,
    l1: number,
    l2: number,
    l3: number,
    r0: number,
    r1: number,
    r2: number,
    r3: number,
    localPort: number,
    remotePort: number,
  ): number {
    const words = this.#words;
    words[0] = (localPort << 16) | remotePort;
    words[1] = l3;
    words[2] = r3;
    // Of IPv4 the rest is always the same.
    if (l2 === 0xffff && l0 === 0 && l1 === 0) return this.#hash.hash(words, 3);
    words[3] = l0;
    words[4] = l1;
    words[5] = l2;
    words[6] = r0;
    words[7] = r1;
    words[8] = r2;
    return this.#hash.hash(words, 9);
  }
}

function isFor(
  one: TcpConnection,
  packet: Packet,
  sourcePort: number,
  targetPort: number,
): boolean {
  if (one.localPort !== targetPort || one.remotePort !== sourcePort) return false;
  const { local, remote } = one;
  return (
    remote.w3 === packet.s3 &&
    local.w3 === packet.t3 &&
    remote.w2 === packet.s2 &&
    local.w2 === packet.t2 &&
    remote.w1 === packet.s1 &&
    local.w1 === packet.t1 &&
    remote.w0 === packet.s0 &&
    local.w0 === packet.t0
  );
}

function isSame(one: TcpConnection, ends: Ends): boolean {
  return (
    one.localPort === ends.localPort &&
    one.remotePort === ends.remotePort &&
    one.local.equals(ends.local) &&
    one.remote.equals(ends.remote)
  );
}
