/**
 * Who looks at the frames of a switch: captures and mirrors, each at the cables of the ports it
 * watches. A cable that nobody watches has no taps, and the packet path asks only that, once a
 * batch. What a tap sees is what is on the wire: tags included, on the way in before the switch
 * decides, on the way out after the cable took it. A tap never makes anybody wait; what it cannot
 * take is dropped and counted.
 */
import type { FramePool } from "../base/index.ts";
import { type Mirror, type Switch, type TapScope, watchesPort, wireVlan } from "../vde/index.ts";
import { captureFrame, wallMs } from "./capture.ts";
import { CaptureRing } from "./capture-ring.ts";
import type { FrameTap, SwitchCapture } from "./frame-tap.ts";
import { FLOOD_QUEUE_FRAMES, type SwitchEndpoint } from "./switch-endpoint.ts";

/** What a mirror did. Copies that the target did not get, by reason. */
export interface MirrorCounters {
  readonly id: number;
  readonly copied: number;
  /** As many as may wait for the target waited, or no memory was free. */
  readonly droppedFull: number;
  /** The target had no cable, or one that takes nothing any more. */
  readonly droppedAbsent: number;
}

/** What taps need of the packet path. */
export interface TapHost {
  readonly switch: Switch;
  readonly pool: FramePool;
  /** Slots to be left free for others. */
  readonly reserve: number;
  /** The cables of a port. */
  readonly cables: (port: number) => readonly SwitchEndpoint[];
  /** The cable is to be written to in this round. */
  readonly markDirty: (endpoint: SwitchEndpoint) => void;
}

/** The taps of one switch; used by its packet thread. */
export class SwitchTaps {
  readonly #host: TapHost;
  readonly #captures = new Map<number, CaptureTap>();
  #mirrors: readonly MirrorTap[] = [];

  constructor(host: TapHost) {
    this.#host = host;
  }

  addCapture(capture: SwitchCapture): void {
    this.#captures.set(capture.id, new CaptureTap(this.#host, capture));
  }

  removeCapture(id: number): void {
    this.#captures.delete(id);
  }

  /** Takes over a list of mirrors; those that are still the same go on counting. */
  setMirrors(mirrors: readonly Mirror[]): void {
    const old = new Map(this.#mirrors.map((tap) => [tap.mirror.id, tap]));
    this.#mirrors = mirrors.map((mirror) => new MirrorTap(this.#host, mirror, old.get(mirror.id)));
  }

  /** Gives a cable the taps of its port, after it was plugged in or anything changed. */
  install(endpoint: SwitchEndpoint): void {
    const { port } = endpoint;
    endpoint.tapsIn = this.#of(port, false);
    // All cables of a port get what leaves it; the oldest speaks for them.
    endpoint.tapsOut = this.#host.cables(port)[0] === endpoint ? this.#of(port, true) : undefined;
  }

  counters(): readonly MirrorCounters[] {
    return this.#mirrors.map(({ mirror, copied, droppedFull, droppedAbsent }) => {
      return { id: mirror.id, copied, droppedFull, droppedAbsent };
    });
  }

  #of(port: number, isOut: boolean): readonly FrameTap[] | undefined {
    const captures = [...this.#captures.values()].filter((tap) => {
      return watchesPort(tap.scope, port, isOut);
    });
    // Copies are not copied again.
    const isTarget = this.#mirrors.some(({ mirror }) => mirror.target === port);
    const mirrors = isTarget
      ? []
      : this.#mirrors.filter(({ mirror }) => watchesPort(mirror, port, isOut));
    return captures.length + mirrors.length === 0 ? undefined : [...captures, ...mirrors];
  }
}

/** Shows a batch to the taps of a cable. */
export function showFrames(
  taps: readonly FrameTap[],
  slots: Int32Array,
  from: number,
  count: number,
  port: number,
  isOut: boolean,
): void {
  for (let i = 0; i < taps.length; i++) taps[i]!.see(slots, from, count, port, isOut);
}

/** Whether the frame in a slot belongs to the VLAN that is watched, if one is. */
function isOfVlan(host: TapHost, scope: TapScope, slot: number, port: number): boolean {
  if (scope.vlan === undefined) return true;
  const { pool } = host;
  const start = pool.start[slot]!;
  const length = pool.length[slot]!;
  return wireVlan(host.switch.vlans, port, pool.octets, start, length) === scope.vlan;
}

class CaptureTap implements FrameTap {
  readonly scope: TapScope;
  readonly #host: TapHost;
  readonly #ring: CaptureRing;

  constructor(host: TapHost, { scope, memory }: SwitchCapture) {
    this.#host = host;
    this.scope = scope;
    this.#ring = new CaptureRing(memory);
  }

  see(slots: Int32Array, from: number, count: number, port: number, isOut: boolean): void {
    const timeMs = wallMs();
    for (let i = from; i < from + count; i++) {
      const slot = slots[i]!;
      if (!isOfVlan(this.#host, this.scope, slot, port)) continue;
      captureFrame(this.#ring, this.#host.pool, slot, port, isOut, timeMs);
    }
  }
}

class MirrorTap implements FrameTap {
  readonly mirror: Mirror;
  copied: number;
  droppedFull: number;
  droppedAbsent: number;
  readonly #host: TapHost;

  constructor(host: TapHost, mirror: Mirror, before: MirrorTap | undefined) {
    this.#host = host;
    this.mirror = mirror;
    this.copied = before?.copied ?? 0;
    this.droppedFull = before?.droppedFull ?? 0;
    this.droppedAbsent = before?.droppedAbsent ?? 0;
  }

  see(slots: Int32Array, from: number, count: number, port: number, isOut: boolean): void {
    // A hub repeats everything to the target anyway.
    if (this.#host.switch.isHub) return;
    const targets = this.#host.cables(this.mirror.target);
    for (let i = from; i < from + count; i++) {
      const slot = slots[i]!;
      if (!isOfVlan(this.#host, this.mirror, slot, port)) continue;
      if (targets.length === 0) this.droppedAbsent++;
      else this.#copy(slot, targets, isOut);
    }
  }

  #copy(slot: number, targets: readonly SwitchEndpoint[], isOut: boolean): void {
    const { pool, reserve } = this.#host;
    if (pool.freeCount <= reserve) {
      this.droppedFull++;
      return;
    }
    let copy = slot;
    // What comes in is still to lose its tag or be padded; what has left stays as it is.
    if (isOut) pool.retain(slot);
    else {
      copy = pool.take();
      pool.copy(slot, copy);
    }
    for (let i = 0; i < targets.length; i++) this.#give(copy, targets[i]!);
    pool.release(copy);
  }

  /** Queues a copy as a flood is queued: nobody waits for it. */
  #give(slot: number, target: SwitchEndpoint): void {
    if (target.isStuck || target.isClosed) this.droppedAbsent++;
    else if (target.queued >= Math.min(target.queueFrames, FLOOD_QUEUE_FRAMES)) this.droppedFull++;
    else {
      this.#host.pool.retain(slot);
      target.push(slot);
      this.#host.markDirty(target);
      this.copied++;
    }
  }
}
