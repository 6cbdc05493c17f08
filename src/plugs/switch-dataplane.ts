/**
 * The packet path of a switch: waits for any cable, reads a batch, asks the switch (vde/switch.ts),
 * appends each frame's slot to the queues of its targets, writes each queue with one call.
 *
 * Backpressure instead of loss: frames for a cable that takes no more wait, and the cable they came
 * from is not read until they left. Three rules keep one bad receiver from harming others: a flood
 * never waits, a wait has a deadline (then the cable is stuck and drops until it is writable
 * again), and every queue is bounded. Runs on a thread of its own that may block; nothing is
 * allocated per frame.
 */
import type { FramePool } from "../base/index.ts";
import { Epoll, READY } from "../sys/index.ts";
import {
  copyTagged,
  DROP,
  DROPPED,
  FLOOD,
  type ImpairmentSettings,
  LEAVES,
  PORTS_MAX,
  type Switch,
  type SwitchChange,
  tagFrame,
} from "../vde/index.ts";
import { DatagramBatches } from "./datagram-end.ts";
import { BATCH_FRAMES, type CableEnd, END_CLOSED, READ_FRAMES } from "./end.ts";
import { unwatchEndpoint, watchEndpoint, watchRoom } from "./endpoint-watch.ts";
import { Congestion, STUCK_MS } from "./switch-congestion.ts";
import { countersOf, type DataplaneTuning, type SwitchCounters } from "./switch-counters.ts";
import { Segmenter, SegmentingEnd } from "./segmenting-end.ts";
import { StormControl } from "./storm-control.ts";
import type { DataplaneOptions } from "./switch-dataplane-options.ts";
import { FLOOD_QUEUE_FRAMES, QUEUE_FRAMES, SwitchEndpoint } from "./switch-endpoint.ts";
import { SwitchImpairments } from "./switch-impairments.ts";
import type { SwitchCapture } from "./frame-tap.ts";
import { switchPool } from "./switch-pool.ts";
import { showFrames, SwitchTaps } from "./switch-taps.ts";

/** Kept free for reading, whatever the queues hold. */
const RESERVED_FRAMES = 2 * BATCH_FRAMES;
/** How often expired stations are swept out; look-ups ignore them in between. */
const AGEING_MS = 2000;
/** Batches read from a cable that is pulled: more than a socket's buffer holds. */
const LAST_BATCHES = 64;
const WAKE_TOKEN = -1;
const VLAN_MASK = 0xfff;

/** The cables of one switch and the loop that serves them; used by one thread. */
export class SwitchDataplane {
  readonly pool: FramePool;
  /** Shared by all ends made for this thread. */
  readonly batches: DatagramBatches;
  readonly #segmenter: Segmenter;
  readonly #options: DataplaneOptions;
  readonly #switch: Switch;
  readonly #epoll = new Epoll();
  readonly #taps: SwitchTaps;
  readonly #storms = new StormControl(this.#epoll);
  readonly #endpoints = new Map<number, SwitchEndpoint>();
  /** By port number: its cables; all of them get what is sent to the port. */
  readonly #ports: SwitchEndpoint[][];
  /** All cables, for floods. */
  #all: SwitchEndpoint[] = [];
  readonly #spare = new Int32Array(BATCH_FRAMES);
  readonly #targets = new Int32Array(BATCH_FRAMES);
  /** Tags of the frames of a batch, when VLANs are in use. */
  readonly #controls = new Int32Array(BATCH_FRAMES);
  readonly #dirty: SwitchEndpoint[] = [];
  readonly #congestion: Congestion;
  readonly #impairments: SwitchImpairments;
  /** Of a queue whose deadline has passed; one function, not one a round. */
  readonly #flushLate = (target: SwitchEndpoint): void =>
    this.#flush(target, this.#options.clockMs());
  #isStopped = false;
  #nextAgeingMs: number;
  #ageingMs = AGEING_MS;

  constructor(options: DataplaneOptions) {
    this.#options = options;
    this.#switch = options.switch;
    this.pool = switchPool(options.switch.ports);
    this.batches = new DatagramBatches(this.pool);
    this.#segmenter = new Segmenter(this.pool, RESERVED_FRAMES);
    this.#ports = Array.from({ length: PORTS_MAX + 1 }, () => []);
    this.#taps = new SwitchTaps({
      switch: this.#switch,
      pool: this.pool,
      reserve: RESERVED_FRAMES,
      cables: (port) => this.#ports[port]!,
      markDirty: (endpoint) => this.#markDirty(endpoint),
    });
    this.#congestion = new Congestion(this.#epoll, this.pool);
    this.#impairments = new SwitchImpairments({
      pool: this.pool,
      clockMs: options.clockMs,
      read: (endpoint, nowMs) => this.#read(endpoint, nowMs),
      pushOut: (endpoint, nowMs) => this.#pushOut(endpoint, nowMs),
    });
    for (let i = 0; i < BATCH_FRAMES; i++) this.#spare[i] = this.pool.take();
    this.#epoll.add(options.bell.fd, WAKE_TOKEN, READY.readable);
    this.#nextAgeingMs = options.clockMs() + AGEING_MS;
    options.switch.outlet = {
      send: (port, frame) => this.#sendOwn(port, frame),
      event: (event) => options.onFstpEvent?.(event),
    };
  }

  /** Plugs an end into a port. @param id unique among the cables of this switch, not negative. */
  add(id: number, port: number, plain: CableEnd): void {
    const end = plain.offload === true ? plain : new SegmentingEnd(plain, this.#segmenter);
    const endpoint = new SwitchEndpoint(id, port, end);
    this.#endpoints.set(id, endpoint);
    this.#ports[port]!.push(endpoint);
    this.#taps.install(endpoint);
    this.#impairments.plugged(endpoint);
    this.#all = [...this.#endpoints.values()];
    watchEndpoint(this.#epoll, endpoint);
    if (this.#ports[port]!.length === 1) this.#switch.portUp(port, this.#options.clockMs());
  }

  /** Changes the running switch. */
  apply(change: SwitchChange): void {
    this.#switch.apply(change, this.#options.clockMs());
    if (change.kind !== "mirrors") return;
    this.#taps.setMirrors(change.mirrors);
    this.#installTaps();
  }

  /** Impairs the cables of a port, those plugged in later too; undefined: no longer. */
  impair(port: number, settings: ImpairmentSettings | undefined): void {
    this.#impairments.set(port, settings, this.#ports[port]!);
  }

  /** Begins to copy frames into the ring of a capture. */
  addCapture(capture: SwitchCapture): void {
    this.#taps.addCapture(capture);
    this.#installTaps();
  }

  /** The capture's ring gets no more frames. */
  removeCapture(id: number): void {
    this.#taps.removeCapture(id);
    this.#installTaps();
  }

  #installTaps(): void {
    for (const endpoint of this.#all) this.#taps.install(endpoint);
  }

  /** Seconds between two sweeps of the table, and whether stations are told of. */
  tune(tuning: DataplaneTuning): void {
    const { ageingMs, watchesStations, queue } = tuning;
    if (ageingMs !== undefined) {
      this.#ageingMs = ageingMs;
      this.#nextAgeingMs = Math.min(this.#nextAgeingMs, this.#options.clockMs() + ageingMs);
    }
    if (watchesStations !== undefined) {
      this.#switch.table.onChange = watchesStations ? this.#options.onStation : undefined;
    }
    const endpoint = queue === undefined ? undefined : this.#endpoints.get(queue.id);
    if (endpoint !== undefined) endpoint.queueFrames = Math.min(queue!.frames, QUEUE_FRAMES);
  }

  /**
   * Pulls a cable: closes its end, drops what waited for it, forgets its stations if it was the
   * last.
   */
  remove(id: number): void {
    const endpoint = this.#endpoints.get(id);
    if (endpoint === undefined) return;
    this.#readLast(endpoint);
    this.#detach(endpoint);
    this.#impairments.pulled(endpoint);
    this.#endpoints.delete(id);
    const cables = this.#ports[endpoint.port]!;
    cables.splice(cables.indexOf(endpoint), 1);
    this.#all = [...this.#endpoints.values()];
    for (const other of this.#all) {
      const at = other.waiters.indexOf(endpoint);
      if (at >= 0) other.waiters.splice(at, 1);
    }
    if (cables.length === 0) this.#switch.portDown(endpoint.port, this.#options.clockMs());
    else this.#taps.install(cables[0]!);
    endpoint.end.close();
  }

  /** Carries frames until `stop`; blocks the thread. */
  run(): void {
    while (!this.#isStopped) this.step(this.#patienceMs());
  }

  /** How long a round may wait: for the next sweep, the spanning tree, or a delayed frame. */
  #patienceMs(): number {
    const patienceMs = Math.min(AGEING_MS, this.#ageingMs);
    const { fstp } = this.#switch;
    let nextMs = fstp?.isOn === true ? fstp.nextMs : Number.POSITIVE_INFINITY;
    if (this.#impairments.isActive) nextMs = Math.min(nextMs, this.#impairments.nextMs());
    if (nextMs === Number.POSITIVE_INFINITY) return patienceMs;
    return Math.max(0, Math.min(patienceMs, Math.ceil(nextMs - this.#options.clockMs())));
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Pulls every cable and frees the descriptors of the data plane. */
  close(): void {
    for (const id of this.#endpoints.keys()) this.remove(id);
    this.#epoll.close();
  }

  /** One round: waits at most `timeoutMs`, then moves what is there. */
  step(timeoutMs: number): void {
    const isStormy = this.#storms.isActive;
    const patienceMs = isStormy ? 1 : this.#congestion.count > 0 ? STUCK_MS : timeoutMs;
    const events = this.#epoll.wait(Math.min(patienceMs, timeoutMs));
    const nowMs = this.#options.clockMs();
    if (isStormy) this.#storms.wake(nowMs);
    // First: after a long sleep no frame may pass by what was true before it.
    this.#switch.fstp?.poll(nowMs);
    let isWoken = false;
    for (let event = 0; event < events; event++) {
      const token = this.#epoll.token(event);
      if (token === WAKE_TOKEN) {
        isWoken = true;
        continue;
      }
      const endpoint = this.#endpoints.get(token)!;
      const ready = this.#epoll.ready(event);
      if ((ready & READY.writable) !== 0) this.#writable(endpoint, nowMs);
      if ((ready & ~READY.writable) !== 0) this.#read(endpoint, nowMs);
    }
    if (this.#congestion.count > 0) this.#congestion.checkDeadlines(nowMs, this.#flushLate);
    if (this.#impairments.isActive) this.#impairments.poll(nowMs);
    if (nowMs >= this.#nextAgeingMs) {
      this.#switch.table.age(nowMs);
      this.#nextAgeingMs = nowMs + this.#ageingMs;
    }
    if (isWoken) {
      this.#options.bell.silence();
      this.#options.onWake();
    }
    if (this.#dirty.length > 0) this.#flushDirty(nowMs);
  }

  counters(): SwitchCounters {
    const { truncated } = this.batches;
    return {
      ...countersOf(this.#switch, this.#all, truncated, this.#segmenter),
      mirrors: this.#taps.counters(),
      impairments: this.#impairments.counters(),
    };
  }

  #read(source: SwitchEndpoint, nowMs: number): void {
    if (source.isClosed) return;
    const { pool } = this;
    const spare = this.#spare;
    const targets = this.#targets;
    const received = source.end.receive(pool, spare, READ_FRAMES);
    if (received === 0) return;
    if (received === END_CLOSED) {
      this.#closed(source);
      return;
    }
    source.framesIn += received;
    for (let i = 0; i < received; i++) source.octetsIn += pool.length[spare[i]!]!;
    if (source.tapsIn !== undefined) {
      showFrames(source.tapsIn, spare, 0, received, source.port, false);
    }
    this.#switch.decideBatch(pool, spare, received, source.port, nowMs, targets, this.#controls);
    const usesVlans = this.#switch.usesVlans;
    let floods = 0;
    for (let i = 0; i < received; i++) {
      const target = targets[i]!;
      if (target === FLOOD) floods++;
      const slot = spare[i]!;
      if (usesVlans && target !== DROP) {
        this.#spreadVlan(slot, target, source.port, this.#controls[i]!);
      } else if (target >= 0) this.#forward(slot, target);
      else if (target === FLOOD) this.#flood(slot, source.port);
      else if (target === DROP) pool.release(slot);
    }
    this.#flushDirty(nowMs, source);
    if (!this.#switch.isHub) this.#storms.account(source, floods, received - floods, nowMs);
    for (let i = 0; i < received; i++) spare[i] = pool.take();
  }

  /** Writes what was queued; `source` waits for cables that took no more of its frames. */
  #flushDirty(nowMs: number, source?: SwitchEndpoint): void {
    for (let i = 0; i < this.#dirty.length; i++) {
      const target = this.#dirty[i]!;
      target.isDirty = false;
      if (!target.isCongested && !target.isClosed) this.#flush(target, nowMs);
      if (source !== undefined && target.isOwed && target.isCongested) {
        this.#congestion.pause(source, target);
      }
      target.isOwed = false;
    }
    this.#dirty.length = 0;
  }

  /**
   * Queues a frame of the switch's own for a port. Floods leave room in each queue, so that a storm
   * does not keep out the BPDUs that end it.
   */
  #sendOwn(port: number, frame: Uint8Array): void {
    const slot = this.pool.take();
    if (slot < 0) return;
    this.pool.octets.set(frame, this.pool.start[slot]);
    this.pool.length[slot] = frame.length;
    for (const target of this.#ports[port]!) {
      if (target.isStuck || target.isClosed) target.droppedStuck++;
      else if (target.queued === QUEUE_FRAMES) target.droppedFull++;
      else {
        this.pool.retain(slot);
        target.push(slot);
        this.#markDirty(target);
      }
    }
    this.pool.release(slot);
  }

  /**
   * A station that sends and leaves at once is heard to its last frame, if nobody makes it wait.
   */
  #readLast(source: SwitchEndpoint): void {
    const nowMs = this.#options.clockMs();
    for (let batch = 0; batch < LAST_BATCHES && source.blockedBy === 0; batch++) {
      const before = source.framesIn;
      this.#read(source, nowMs);
      if (source.framesIn === before) return;
    }
  }

  /** Hands a slot to the cables of one port; the reader's reference goes with it. */
  #forward(slot: number, port: number): void {
    const cables = this.#ports[port]!;
    for (let i = 0; i < cables.length; i++) {
      const target = cables[i]!;
      if (target.isStuck || target.isClosed) {
        target.droppedStuck++;
        continue;
      }
      if (target.queued >= target.queueFrames || this.pool.freeCount < RESERVED_FRAMES) {
        target.droppedFull++;
        target.isOwed = true;
        this.#markDirty(target);
        continue;
      }
      this.pool.retain(slot);
      target.push(slot);
      target.isOwed = true;
      this.#markDirty(target);
    }
    this.pool.release(slot);
  }

  /** Hands an untagged frame of a VLAN on as its target ports want it: with a tag or without. */
  #spreadVlan(slot: number, target: number, fromPort: number, control: number): void {
    const { pool } = this;
    const { vlans } = this.#switch;
    const vlan = control & VLAN_MASK;
    if (target >= 0) {
      const leaves = vlans.leaves(vlan, target);
      if (leaves === LEAVES.tagged) tagFrame(pool, slot, control);
      if (leaves !== LEAVES.not) this.#forward(slot, target);
      else {
        this.#switch.drops.count(DROPPED.vlan, fromPort);
        pool.release(slot);
      }
      return;
    }
    // Tagged ports get a copy: the frame itself is shared by the others.
    if (vlans.hasTagged(vlan)) {
      const copy = pool.freeCount > RESERVED_FRAMES ? copyTagged(pool, slot, control) : -1;
      if (copy >= 0) this.#flood(copy, fromPort, vlan, LEAVES.tagged);
      else this.#switch.drops.count(DROPPED.vlan, fromPort);
    }
    this.#flood(slot, fromPort, vlan, LEAVES.untagged);
  }

  /**
   * Hands a slot to every cable of other ports; nobody waits for these.
   * @param vlan only to ports that this VLAN leaves as `leaves` says; -1: to all.
   */
  #flood(slot: number, fromPort: number, vlan = -1, leaves: number = LEAVES.untagged): void {
    const all = this.#all;
    const { isHub, vlans } = this.#switch;
    for (let i = 0; i < all.length; i++) {
      const target = all[i]!;
      if (target.port === fromPort || (isHub && target.port === 0) || target.isClosed) continue;
      if (vlan >= 0 && vlans.leaves(vlan, target.port) !== leaves) continue;
      if (target.isStuck) {
        target.droppedStuck++;
        continue;
      }
      if (
        target.queued >= Math.min(target.queueFrames, FLOOD_QUEUE_FRAMES) ||
        this.pool.freeCount < RESERVED_FRAMES
      ) {
        target.droppedFull++;
        continue;
      }
      this.pool.retain(slot);
      target.push(slot);
      this.#markDirty(target);
    }
    this.pool.release(slot);
  }

  #markDirty(target: SwitchEndpoint): void {
    if (target.isDirty) return;
    target.isDirty = true;
    this.#dirty.push(target);
  }

  /** Writes a queue as far as it goes; afterwards it is empty, or the cable congested or closed. */
  #flush(target: SwitchEndpoint, nowMs: number): void {
    const { end, ring } = target;
    while (target.queued > 0) {
      const run = Math.min(target.queued, QUEUE_FRAMES - target.head, BATCH_FRAMES);
      const sent = end.send(this.pool, ring, target.head, run);
      if (sent === END_CLOSED) {
        this.#closed(target);
        return;
      }
      if (sent === 0) break;
      if (target.tapsOut !== undefined) {
        showFrames(target.tapsOut, ring, target.head, sent, target.port, true);
      }
      this.#left(target, sent);
    }
    const isFull = target.queued > 0 || end.hasBacklog === true;
    if (isFull && !target.isCongested) {
      this.#congestion.begin(target, nowMs);
    } else if (!isFull && target.isCongested) {
      this.#congestion.relieve(target);
    }
  }

  /** Counts and frees the first `sent` frames of a queue. */
  #left(target: SwitchEndpoint, sent: number): void {
    const { ring } = target;
    const { length } = this.pool;
    let octets = 0;
    for (let i = 0; i < sent; i++) {
      const slot = ring[target.head + i]!;
      octets += length[slot]!;
      this.pool.release(slot);
    }
    target.head = (target.head + sent) & (QUEUE_FRAMES - 1);
    target.queued -= sent;
    target.framesOut += sent;
    target.octetsOut += octets;
    target.progressFrames += sent;
    target.progressOctets += octets;
  }

  #writable(target: SwitchEndpoint, nowMs: number): void {
    if (target.isClosed) return;
    if (target.isStuck) {
      target.isStuck = false;
      watchRoom(this.#epoll, target, false);
    }
    // A stream keeps the rest of a frame; an empty send pushes it out.
    if (target.end.hasBacklog === true && target.queued === 0) this.#pushOut(target, nowMs);
    else if (target.isCongested) this.#flush(target, nowMs);
  }

  /** Lets an end send what it holds itself. */
  #pushOut(target: SwitchEndpoint, nowMs: number): void {
    if (target.end.send(this.pool, target.ring, 0, 0) === END_CLOSED) this.#closed(target);
    else this.#flush(target, nowMs);
  }

  /** The end says that its peer is gone. */
  #closed(endpoint: SwitchEndpoint): void {
    if (endpoint.isClosed) return;
    this.#detach(endpoint);
    this.#options.onEndClosed(endpoint.id);
  }

  /** Takes an endpoint out of the path: no events, no queue, nobody waits for it. */
  #detach(endpoint: SwitchEndpoint): void {
    if (endpoint.isClosed) return;
    endpoint.isClosed = true;
    endpoint.dropQueue(this.pool);
    if (endpoint.isCongested) this.#congestion.relieve(endpoint);
    unwatchEndpoint(this.#epoll, endpoint);
  }
}
