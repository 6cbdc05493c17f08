/** A stack as a node of the simulation: its interfaces are ports, its clock is the simulation's. */
import { FRAME_OCTETS_MAX, type FramePool, macFromName } from "../base/index.ts";
import { type Interface, type Link, Stack, type StackOptions } from "../lwipv6/index.ts";
import type { SimLink, SimNode } from "./link.ts";
import type { Simulation } from "./simulation.ts";

const ETHERNET_MTU_OCTETS = 1500;

export interface StackNodeOptions extends Partial<StackOptions> {
  /** Names the node, its cards and its secret. */
  readonly name: string;
  /** Of the first cable (1500). */
  readonly mtuOctets?: number;
}

/** One cable of the node. */
class Port implements Link {
  readonly kind = "ethernet";
  readonly mac: Uint8Array;
  readonly mtuOctets: number;
  readonly offload = false;
  link: SimLink | undefined;
  readonly #node: StackNode;

  constructor(node: StackNode, name: string, mtuOctets: number) {
    this.#node = node;
    this.mac = macFromName(name);
    this.mtuOctets = mtuOctets;
  }

  send(pool: FramePool, slots: Int32Array, from: number, count: number): number {
    for (let i = from; i < from + count; i++) {
      const slot = slots[i]!;
      this.link?.send(this.#node, pool.frame(slot));
    }
    return count;
  }
}

/** A stack that lives in a simulation; `eth0` is its first interface, up and without addresses. */
export class StackNode implements SimNode {
  readonly stack: Stack;
  readonly name: string;
  readonly #simulation: Simulation;
  readonly #ports: { readonly port: Port; readonly interface: Interface }[] = [];
  readonly #slots = new Int32Array(1);
  readonly #mtuOctets: number;
  /** When the stack is to be polled; Infinity: never. */
  #pollMs = Number.POSITIVE_INFINITY;

  constructor(simulation: Simulation, options: StackNodeOptions) {
    this.#simulation = simulation;
    this.name = options.name;
    this.#mtuOctets = options.mtuOctets ?? ETHERNET_MTU_OCTETS;
    const secret = new Uint8Array(16);
    for (let i = 0; i < 16; i++) secret[i] = simulation.rng.below(256);
    this.stack = new Stack({
      arena: { frames: 256, blocks: 1024 },
      nowMs: simulation.nowMs(),
      secret,
      ...options,
    });
    this.addPort();
  }

  /** `eth0`. */
  get eth0(): Interface {
    return this.#ports[0]!.interface;
  }

  /** One port more, for another cable. */
  addPort(): Interface {
    const name = `eth${this.#ports.length}`;
    const port = new Port(this, `${this.name}:${name}`, this.#mtuOctets);
    const added = this.stack.addInterface(port, name);
    this.#ports.push({ port, interface: added });
    this.stack.setUp(added);
    return added;
  }

  receive(port: number, frame: Uint8Array): void {
    if (frame.length > FRAME_OCTETS_MAX) return;
    const { pool } = this.stack.core;
    const slot = pool.take();
    if (slot < 0) return;
    pool.octets.set(frame, pool.start[slot]);
    pool.length[slot] = frame.length;
    this.#slots[0] = slot;
    this.stack.input(this.#ports[port]!.interface, this.#slots, 1, this.#simulation.nowMs());
    this.schedule();
  }

  plugged(port: number, link: SimLink): void {
    this.#ports[port]!.port.link = link;
  }

  pulled(port: number): void {
    this.#ports[port]!.port.link = undefined;
  }

  /** Lets the stack do something now: a call of a socket, a setting. */
  act<T>(what: (stack: Stack) => T): T {
    this.stack.poll(this.#simulation.nowMs());
    const result = what(this.stack);
    this.stack.flush();
    this.schedule();
    return result;
  }

  /** Looks when the stack is due next; after calls that may have set timers. */
  schedule(): void {
    const nextMs = this.stack.core.timers.nextMs();
    if (nextMs >= this.#pollMs || nextMs === Number.POSITIVE_INFINITY) return;
    this.#pollMs = nextMs;
    this.#simulation.at(nextMs, () => {
      if (this.#pollMs !== nextMs) return;
      this.#pollMs = Number.POSITIVE_INFINITY;
      this.stack.poll(this.#simulation.nowMs());
      this.schedule();
    });
  }
}
