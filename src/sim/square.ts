/**
 * A network of switches with a station each, and what can be said of its spanning tree: whether
 * frames can go round, whether everybody reaches everybody, when it last changed.
 *
 *     const square = new Square({ seed: 1, switches: 5, edges: ringOf(5) });
 *     square.plugAll();
 *     square.simulation.runFor(5000);
 *     square.faults(); // [] when there is one tree for each connected part
 */
import { FramePool, writeU32 } from "../base/index.ts";
import { HELLO_MS, type SwitchOptions } from "../vde/index.ts";
import { type LinkFaults, SimLink } from "./link.ts";
import { Simulation } from "./simulation.ts";
import { Station } from "./station.ts";
import { SwitchNode } from "./switch-node.ts";
import type { Edge } from "./topology.ts";

/** Port of each switch where its station is. */
export const STATION_PORT = 1;
/** A frame and its tagged copy. */
const POOL_FRAMES = 4;

export interface SquareOptions {
  readonly seed: number;
  readonly switches: number;
  /** Cables between switches; each takes the next free port at both ends. */
  readonly edges: readonly Edge[];
  readonly faults?: LinkFaults;
  /** Without spanning tree: to see what it is good for. */
  readonly isFstpOff?: boolean;
  /** Priority by number of the switch (32768). */
  readonly priority?: (index: number) => number;
}

/** How often a broadcast was heard, over all broadcasts and stations. */
export interface Copies {
  /** Pairs of broadcast and station that heard nothing. */
  readonly missed: number;
  /** Copies beyond the first. */
  readonly extra: number;
  /** Most copies of one broadcast at one station. */
  readonly most: number;
}

/** Switches, stations and cables in one simulation. */
export class Square {
  readonly simulation: Simulation;
  readonly switches: readonly SwitchNode[];
  readonly stations: readonly Station[];
  /** Between switches, in the order of the edges. */
  readonly links: readonly SimLink[];
  /** When a port last changed its state, anywhere. */
  changedMs = 0;
  /** Number of the next broadcast. */
  broadcasts = 0;
  readonly #stationLinks: readonly SimLink[];

  constructor(options: SquareOptions) {
    const simulation = new Simulation(options.seed);
    this.simulation = simulation;
    const used = Array.from({ length: options.switches }, () => STATION_PORT);
    const ends = options.edges.map(([a, b]) => [a, b].map((n) => ({ n, port: ++used[n]! })));
    const ports = Math.max(...used);
    const pool = new FramePool(POOL_FRAMES);
    this.switches = used.map(
      (_, i) => new SwitchNode(simulation, `s${i}`, coreOf(i, ports, options), pool),
    );
    this.stations = used.map((_, i) => new Station(i));
    this.links = ends.map(
      ([a, b]) =>
        new SimLink(
          simulation,
          { node: this.switches[a!.n]!, port: a!.port },
          { node: this.switches[b!.n]!, port: b!.port },
          options.faults,
        ),
    );
    this.#stationLinks = this.stations.map(
      (node, i) =>
        new SimLink(simulation, { node, port: 0 }, { node: this.switches[i]!, port: STATION_PORT }),
    );
    for (const node of this.switches) {
      // Nobody says hello in step with the others.
      if (options.isFstpOff !== true) node.core.setFstp(true, -simulation.rng.below(HELLO_MS));
      node.onEvent = (event) => {
        if (event.kind === "status") this.changedMs = simulation.nowMs();
      };
    }
  }

  /** Plugs every cable, the stations' first, in order, `everyMs` after each other. */
  plugAll(everyMs = 0): void {
    [...this.#stationLinks, ...this.links].forEach((link, i) => {
      this.simulation.after(i * everyMs, () => link.plug());
    });
  }

  /** A broadcast of every station. @returns the number of the first. */
  broadcastAll(): number {
    const first = this.broadcasts;
    for (const station of this.stations) station.broadcast(this.broadcasts++);
    return first;
  }

  /** What was heard of the broadcasts from number `first` on, each made by `broadcastAll`. */
  copies(first = 0): Copies {
    let missed = 0;
    let extra = 0;
    let most = 0;
    for (let number = first; number < this.broadcasts; number++) {
      for (const station of this.stations) {
        const isOwn = number % this.stations.length === station.id;
        const heard = (station.heard.get(number) ?? 0) + (isOwn ? 1 : 0);
        if (heard === 0) missed++;
        else extra += heard - 1;
        most = Math.max(most, heard);
      }
    }
    return { missed, extra, most };
  }

  /**
   * What is wrong with the tree now: cables that close a loop for frames, and parts that are joined
   * by cables but not by forwarding ports. Empty when all is well.
   */
  faults(): string[] {
    const found: string[] = [];
    const cabled = new Parts(this.switches.length);
    const joined = new Parts(this.switches.length);
    for (const link of this.links) {
      if (!link.isUp) continue;
      const [a, b] = link.ends.map(({ node }) => this.switches.indexOf(node as SwitchNode)) as [
        number,
        number,
      ];
      cabled.join(a, b);
      const isOpen = link.ends.every(({ node, port }) => (node as SwitchNode).isOpen(port));
      if (isOpen && !joined.join(a, b)) found.push(`s${a} - s${b} closes a loop`);
    }
    for (const index of this.switches.keys()) {
      if (joined.of(index) !== joined.of(cabled.of(index))) {
        found.push(`s${index} is cut off from s${cabled.of(index)}`);
      }
      if (!this.switches[index]!.isOpen(STATION_PORT)) {
        found.push(`the station of s${index} is cut off`);
      }
    }
    return found;
  }

  /** Roots that switches of the network believe in: one for each connected part when stable. */
  roots(): Set<string> {
    const roots = new Set<string>();
    for (const { core } of this.switches) {
      for (const tree of core.fstp?.status(this.simulation.nowMs()).trees ?? [])
        roots.add(tree.root);
    }
    return roots;
  }
}

function coreOf(index: number, ports: number, options: SquareOptions): SwitchOptions {
  const address = Uint8Array.of(2, 0x53, 0, 0, 0, 0);
  writeU32(address, 2, index);
  const priority = options.priority?.(index);
  return { ports, fstp: { address, ...(priority === undefined ? {} : { priority }) } };
}

/** Which nodes are joined (union-find). */
class Parts {
  readonly #parent: number[];

  constructor(nodes: number) {
    this.#parent = Array.from({ length: nodes }, (_, i) => i);
  }

  /** The number that stands for the part of a node. */
  of(node: number): number {
    const parent = this.#parent;
    let at = node;
    while (parent[at] !== at) {
      parent[at] = parent[parent[at]!]!;
      at = parent[at]!;
    }
    return at;
  }

  /** @returns false: they were in one part already. */
  join(a: number, b: number): boolean {
    const [x, y] = [this.of(a), this.of(b)];
    if (x === y) return false;
    this.#parent[x] = y;
    return true;
  }
}
