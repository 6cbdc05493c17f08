/** A switch (vde/switch.ts) as a node of the simulation: the same core that carries real frames. */
import { FramePool } from "../base/index.ts";
import {
  copyTagged,
  DROP,
  FLOOD,
  type FstpEvent,
  type ImpairmentSettings,
  type ImpairmentStage,
  LEAVES,
  PORT_STATE,
  stageOf,
  Switch,
  type SwitchOptions,
  VLAN_DEFAULT,
} from "../vde/index.ts";
import type { SimLink, SimNode } from "./link.ts";
import type { Simulation } from "./simulation.ts";

const VLAN_MASK = 0xfff;

/** One switch; `core` is the switch itself. */
export class SwitchNode implements SimNode {
  readonly name: string;
  readonly core: Switch;
  /** By port: its cable. */
  readonly links = new Map<number, SimLink>();
  /** Told about changes of the spanning tree. */
  onEvent: (event: FstpEvent) => void = () => undefined;
  /** By port: the stages of the two directions. */
  readonly #impaired = new Map<number, { enter: ImpairmentStage; leave: ImpairmentStage }>();
  readonly #simulation: Simulation;
  readonly #pool: FramePool;
  /** When `poll` is already going to be called. */
  #pollMs = Number.POSITIVE_INFINITY;
  #isOn = true;

  /** @param pool may be shared by all nodes: a frame is in it only while it is switched. */
  constructor(simulation: Simulation, name: string, options: SwitchOptions, pool: FramePool) {
    this.#simulation = simulation;
    this.#pool = pool;
    this.name = name;
    this.core = new Switch(options);
    this.core.outlet = {
      send: (port, frame) => this.#send(port, frame),
      event: (event) => this.onEvent(event),
    };
    this.#schedule();
  }

  /** Impairs a port in both directions, as the data plane of a real switch does. */
  impair(port: number, settings: ImpairmentSettings): void {
    const [enter, leave] = [stageOf(settings, 2 * port), stageOf(settings, 2 * port + 1)];
    this.#impaired.set(port, { enter, leave });
  }

  receive(port: number, frame: Uint8Array): void {
    const stage = this.#impaired.get(port)?.enter;
    this.#pass(stage, frame, (arrived) => this.#receive(port, arrived));
  }

  #pass(
    stage: ImpairmentStage | undefined,
    frame: Uint8Array,
    arrive: (frame: Uint8Array) => void,
  ): void {
    if (stage === undefined) {
      arrive(frame);
      return;
    }
    for (const delivery of stage.pass(frame.slice(), this.#simulation.nowMs())) {
      this.#simulation.at(delivery.atMs, () => arrive(delivery.frame));
    }
  }

  #receive(port: number, frame: Uint8Array): void {
    if (!this.#isOn) return;
    const nowMs = this.#simulation.nowMs();
    // Old news is forgotten before the first frame after a long sleep is forwarded by it.
    this.core.fstp?.poll(nowMs);
    this.#carry(port, frame, nowMs);
    this.#schedule();
  }

  /** Whether the spanning tree lets frames of a VLAN pass a port. */
  isOpen(port: number, vlan = VLAN_DEFAULT): boolean {
    return this.core.vlans.state(vlan, port) === PORT_STATE.forwarding;
  }

  /** What a data plane does with a batch, for one frame. */
  #carry(port: number, frame: Uint8Array, nowMs: number): void {
    const pool = this.#pool;
    const slot = pool.take();
    pool.octets.set(frame, pool.start[slot]);
    pool.length[slot] = frame.length;
    const [target, control] = [new Int32Array(1), new Int32Array(1)];
    this.core.decideBatch(pool, Int32Array.of(slot), 1, port, nowMs, target, control);
    const decided = target[0]!;
    if (decided !== DROP) {
      const targets = decided === FLOOD ? [...this.links.keys()] : [decided];
      for (const to of targets) if (to !== port) this.#leave(slot, to, control[0]!);
    }
    pool.release(slot);
  }

  /** Sends a frame on as the target port wants it: with a tag, without, or not at all. */
  #leave(slot: number, port: number, control: number): void {
    const { vlans, usesVlans } = this.core;
    const leaves = usesVlans ? vlans.leaves(control & VLAN_MASK, port) : LEAVES.untagged;
    if (leaves === LEAVES.untagged) this.#send(port, this.#pool.frame(slot));
    if (leaves !== LEAVES.tagged) return;
    const copy = copyTagged(this.#pool, slot, control);
    this.#send(port, this.#pool.frame(copy));
    this.#pool.release(copy);
  }

  plugged(port: number, link: SimLink): void {
    this.links.set(port, link);
    this.core.portUp(port, this.#simulation.nowMs());
    this.#schedule();
  }

  pulled(port: number): void {
    this.links.delete(port);
    this.core.portDown(port, this.#simulation.nowMs());
    this.#schedule();
  }

  /** A stopped process: it neither reads nor writes, and its cables stay plugged in. */
  freeze(): void {
    this.#isOn = false;
  }

  /** It goes on where it stopped; what came meanwhile is lost. */
  thaw(): void {
    this.#isOn = true;
    this.#pollMs = Number.POSITIVE_INFINITY;
    this.#schedule();
  }

  #send(port: number, frame: Uint8Array): void {
    const stage = this.#impaired.get(port)?.leave;
    this.#pass(stage, frame, (arrived) => this.links.get(port)?.send(this, arrived));
  }

  /** Keeps one event for the next time the core wants to be polled. */
  #schedule(): void {
    const { fstp } = this.core;
    if (fstp === undefined || fstp.nextMs >= this.#pollMs) return;
    const dueMs = fstp.nextMs;
    this.#pollMs = dueMs;
    this.#simulation.at(dueMs, () => {
      if (this.#pollMs !== dueMs) return;
      this.#pollMs = Number.POSITIVE_INFINITY;
      if (!this.#isOn) return;
      fstp.poll(this.#simulation.nowMs());
      this.#schedule();
    });
  }
}
