import assert from "node:assert/strict";
import { test } from "node:test";
import { FramePool } from "../base/index.ts";
import { Bell } from "../sys/index.ts";
import { Switch, type SwitchOptions } from "../vde/index.ts";
import { DatagramEnd } from "./datagram-end.ts";
import { BATCH_FRAMES } from "./end.ts";
import { unixSocketPair } from "../sys/index.ts";
import { PATIENCE_MS, STUCK_MS } from "./switch-congestion.ts";
import { SwitchDataplane } from "./switch-dataplane.ts";

/**
 * A data plane driven by hand, with a clock that is moved, and stations at the far ends of cables.
 */
class Bench {
  nowMs = 0;
  readonly closed: number[] = [];
  readonly core: Switch;
  readonly plane: SwitchDataplane;
  readonly #bell = new Bell();
  readonly #pool = new FramePool(2 * BATCH_FRAMES);
  readonly #slots = Int32Array.from({ length: BATCH_FRAMES }, () => this.#pool.take());
  readonly #stations: DatagramEnd[] = [];

  constructor(options: SwitchOptions = {}) {
    this.core = new Switch(options);
    this.plane = new SwitchDataplane({
      switch: this.core,
      bell: this.#bell,
      clockMs: () => this.nowMs,
      onWake: () => undefined,
      onStation: () => undefined,
      onEndClosed: (id) => this.closed.push(id),
    });
  }

  /** Plugs a station into a port; cable ids count from 0. @returns its number, also its address. */
  plug(port: number): number {
    const [near, far] = unixSocketPair("datagram");
    const id = this.#stations.length;
    this.plane.add(id, port, new DatagramEnd({ scheme: "t", description: `${id}`, fd: near }));
    this.#stations.push(new DatagramEnd({ scheme: "t", description: `${id}`, fd: far }));
    return id;
  }

  /** A station sends `count` frames of 60 octets. @returns how many its socket took. */
  send(from: number, to: number | "all", count = 1): number {
    for (const slot of this.#slots) {
      const frame = this.#pool.octets.subarray(this.#pool.start[slot]).subarray(0, 60);
      frame.fill(0);
      frame.set(to === "all" ? [255, 255, 255, 255, 255, 255] : [2, 0, 0, 0, 0, to]);
      frame.set([2, 0, 0, 0, 0, from], 6);
      this.#pool.length[slot] = 60;
    }
    let sent = 0;
    while (sent < count) {
      const batch = Math.min(BATCH_FRAMES, count - sent);
      const taken = this.#stations[from]!.send(this.#pool, this.#slots, 0, batch);
      if (taken <= 0) break;
      sent += taken;
    }
    return sent;
  }

  /** Reads all that a station was sent. */
  receive(at: number): number {
    let received = 0;
    for (;;) {
      const count = this.#stations[at]!.receive(this.#pool, this.#slots, BATCH_FRAMES);
      if (count <= 0) return received;
      received += count;
    }
  }

  /** Runs until nothing happens any more. */
  settle(): void {
    for (let round = 0; round < 50; round++) this.plane.step(0);
  }

  /** Lets everybody be known. */
  introduce(): void {
    this.#stations.forEach((_, from) => this.send(from, "all"));
    this.settle();
    this.#stations.forEach((_, at) => this.receive(at));
  }

  /** Fills the cable of `to` from `from` until the switch reads no more. */
  fill(from: number, to: number): void {
    while (this.send(from, to, BATCH_FRAMES) > 0) this.settle();
  }

  counters(id: number) {
    return this.plane.counters().endpoints.find((e) => e.id === id)!;
  }

  close(): void {
    this.plane.close();
    for (const station of this.#stations) station.close();
    this.#bell.close();
  }
}

test("frames reach the station they are for, and all stations when it is unknown", () => {
  const bench = new Bench();
  const [a, b, c] = [bench.plug(1), bench.plug(2), bench.plug(3)];
  bench.send(a, b);
  bench.settle();
  assert.deepEqual([bench.receive(a), bench.receive(b), bench.receive(c)], [0, 1, 1]);
  bench.send(b, a, 5);
  bench.settle();
  assert.deepEqual([bench.receive(a), bench.receive(b), bench.receive(c)], [5, 0, 0]);
  bench.close();
});

test("all cables of one port get what is sent to the port", () => {
  const bench = new Bench();
  const [a, b, c] = [bench.plug(1), bench.plug(2), bench.plug(2)];
  bench.introduce();
  bench.send(a, b);
  bench.settle();
  assert.deepEqual([bench.receive(b), bench.receive(c)], [1, 1]);
  bench.close();
});

test("a full receiver makes its sender wait; nothing is lost when it reads again", () => {
  const bench = new Bench();
  const [a, b] = [bench.plug(1), bench.plug(2)];
  bench.introduce();
  const before = bench.counters(a).framesIn;
  bench.fill(a, b);
  assert.ok(bench.counters(a).timesPaused > 0);
  let received = 0;
  for (let round = 0; round < 20; round++) {
    received += bench.receive(b);
    bench.settle();
  }
  assert.equal(received, bench.counters(a).framesIn - before);
  assert.equal(bench.counters(b).droppedStuck + bench.counters(b).droppedFull, 0);
  bench.close();
});

test("a stuck receiver does not slow another pair, and costs its sender one deadline", () => {
  const bench = new Bench();
  const [a, stuck, c, d] = [bench.plug(1), bench.plug(2), bench.plug(3), bench.plug(4)];
  bench.introduce();
  bench.fill(a, stuck);
  bench.send(c, d, 100);
  bench.settle();
  assert.equal(bench.receive(d), 100, "the other pair goes on at once");
  bench.send(a, d, 10);
  bench.settle();
  bench.nowMs += PATIENCE_MS;
  bench.settle();
  assert.equal(bench.counters(stuck).isStuck, true);
  bench.settle();
  bench.send(a, d, 10);
  bench.settle();
  assert.ok(bench.receive(d) >= 10, "its sender reaches others again");
  assert.ok(bench.counters(stuck).droppedStuck > 0, "what was lost is counted");
  bench.close();
});

test("a stuck receiver gets frames again when it reads", () => {
  const bench = new Bench();
  const [a, b] = [bench.plug(1), bench.plug(2)];
  bench.introduce();
  bench.fill(a, b);
  bench.nowMs += PATIENCE_MS;
  bench.settle();
  bench.receive(b);
  bench.settle();
  assert.equal(bench.counters(b).isStuck, false);
  bench.receive(b);
  bench.send(a, b, 3);
  bench.settle();
  assert.equal(bench.receive(b), 3);
  bench.close();
});

test("a receiver that was stuck a moment ago is waited for a shorter time", () => {
  const bench = new Bench();
  const [a, b] = [bench.plug(1), bench.plug(2)];
  bench.introduce();
  bench.fill(a, b);
  bench.nowMs += PATIENCE_MS;
  bench.settle();
  bench.receive(b);
  bench.settle();
  bench.receive(b);
  bench.fill(a, b);
  assert.equal(bench.counters(b).isStuck, false);
  bench.nowMs += STUCK_MS;
  bench.settle();
  assert.equal(bench.counters(b).timesStuck, 2);
  bench.close();
});

test("a receiver that reads slowly is not stuck", () => {
  const bench = new Bench();
  const [a, b] = [bench.plug(1), bench.plug(2)];
  bench.introduce();
  bench.fill(a, b);
  for (let round = 0; round < 10; round++) {
    bench.receive(b);
    bench.nowMs += STUCK_MS - 1;
    bench.fill(a, b);
  }
  assert.equal(bench.counters(b).timesStuck, 0);
  bench.close();
});

test("a flood to a full cable makes nobody wait", () => {
  const bench = new Bench();
  const [a, full, c] = [bench.plug(1), bench.plug(2), bench.plug(3)];
  bench.introduce();
  let heard = 0;
  for (let round = 0; round < 40; round++) {
    assert.equal(bench.send(a, "all", BATCH_FRAMES), BATCH_FRAMES);
    bench.settle();
    heard += bench.receive(c);
  }
  assert.equal(heard, 40 * BATCH_FRAMES);
  assert.equal(bench.counters(a).timesPaused, 0);
  assert.ok(bench.counters(full).droppedFull > 0);
  bench.close();
});

test("pulling a cable that others wait for lets them go on and gives back every slot", () => {
  const bench = new Bench();
  const [a, b, c] = [bench.plug(1), bench.plug(2), bench.plug(3)];
  bench.introduce();
  const free = bench.plane.pool.freeCount;
  bench.fill(a, b);
  assert.ok(bench.plane.pool.freeCount < free);
  bench.plane.remove(b);
  bench.settle();
  assert.equal(bench.plane.pool.freeCount, free);
  bench.receive(c);
  bench.send(a, c, 2);
  bench.settle();
  assert.ok(bench.receive(c) >= 2);
  bench.close();
});

test("the stations of a port are forgotten with its last cable", () => {
  const bench = new Bench();
  const [a, b, c] = [bench.plug(1), bench.plug(2), bench.plug(3)];
  bench.introduce();
  bench.plane.remove(b);
  bench.send(a, b);
  bench.settle();
  assert.equal(bench.receive(c), 1, "it floods again");
  bench.close();
});

test("frames sent just before a cable is pulled still arrive", () => {
  const bench = new Bench();
  const [a, b] = [bench.plug(1), bench.plug(2)];
  bench.introduce();
  assert.equal(bench.send(a, b, 200), 200);
  bench.plane.remove(a);
  assert.equal(bench.receive(b), 200);
  bench.close();
});

test("frames of an impaired port arrive after its delay, on both ways, and give back all slots", () => {
  const bench = new Bench();
  const [a, b] = [bench.plug(1), bench.plug(2)];
  bench.introduce();
  const free = bench.plane.pool.freeCount;
  bench.plane.impair(1, { delayMs: 10, loss: 0, seed: 1 });
  bench.send(a, b, 200);
  bench.send(b, a, 200);
  bench.settle();
  assert.deepEqual([bench.receive(a), bench.receive(b)], [0, 0]);
  assert.equal(bench.plane.counters().impairments[0]!.underWay, 400);
  bench.nowMs += 9;
  bench.settle();
  assert.deepEqual([bench.receive(a), bench.receive(b)], [0, 0]);
  bench.nowMs += 1;
  let heard = [0, 0];
  for (let round = 0; round < 10; round++) {
    bench.settle();
    heard = [heard[0]! + bench.receive(a), heard[1]! + bench.receive(b)];
  }
  assert.deepEqual(heard, [200, 200]);
  bench.plane.impair(1, undefined);
  assert.equal(bench.plane.pool.freeCount, free);
  bench.send(a, b);
  bench.settle();
  assert.equal(bench.receive(b), 1, "at once");
  bench.close();
});

test("a cable plugged into an impaired port is impaired, and a pulled one leaves nothing", () => {
  const bench = new Bench();
  bench.plane.impair(2, { delayMs: 0, loss: 1, seed: 1 });
  const [a, b] = [bench.plug(1), bench.plug(2)];
  const free = bench.plane.pool.freeCount;
  bench.send(a, "all", 5);
  bench.settle();
  assert.equal(bench.receive(b), 0);
  assert.deepEqual(bench.plane.counters().impairments, [
    { port: 2, lost: 5, overflowed: 0, underWay: 0 },
  ]);
  bench.plane.impair(2, { delayMs: 5, loss: 0, seed: 1 });
  bench.send(a, "all", 5);
  bench.settle();
  bench.plane.remove(b);
  bench.nowMs += 5;
  bench.settle();
  assert.equal(bench.plane.pool.freeCount, free);
  bench.close();
});

test("an impaired port that does not read is stuck as any other, and reads on afterwards", () => {
  const bench = new Bench();
  const [a, b, c] = [bench.plug(1), bench.plug(2), bench.plug(3)];
  bench.introduce();
  bench.plane.impair(2, { delayMs: 5, loss: 0, seed: 1 });
  for (let round = 0; round < 200; round++) {
    bench.send(a, b, BATCH_FRAMES);
    bench.nowMs += 1;
    bench.settle();
  }
  assert.ok(bench.counters(b).timesStuck + bench.counters(b).droppedFull > 0);
  bench.send(a, c, 3);
  bench.settle();
  assert.ok(bench.receive(c) >= 3, "others are reached");
  let received = 0;
  for (let round = 0; round < 300; round++) {
    received += bench.receive(b);
    bench.nowMs += 10;
    bench.settle();
  }
  assert.ok(received > BATCH_FRAMES);
  const before = bench.counters(b).framesOut;
  bench.send(a, b, 3);
  bench.settle();
  bench.nowMs += 5;
  bench.settle();
  assert.equal(bench.receive(b), 3);
  assert.equal(bench.counters(b).framesOut, before + 3);
  bench.close();
});

test("a hub gives the target of a mirror each frame once", () => {
  const bench = new Bench({ isHub: true });
  const [a, , c] = [bench.plug(1), bench.plug(2), bench.plug(3)];
  bench.plane.apply({
    kind: "mirrors",
    mirrors: [{ id: 1, port: 1, target: 3, direction: "both" }],
  });
  bench.send(a, "all", 5);
  bench.settle();
  assert.equal(bench.receive(c), 5);
  bench.close();
});

test("a mirror's target that is full makes nobody wait; slots come back with the cable", () => {
  const bench = new Bench();
  const [a, b, full] = [bench.plug(1), bench.plug(2), bench.plug(3)];
  bench.introduce();
  const free = bench.plane.pool.freeCount;
  const mirrors = [{ id: 1, port: 1, target: 3, direction: "both" } as const];
  bench.plane.apply({ kind: "mirrors", mirrors });
  let heard = 0;
  for (let round = 0; round < 40; round++) {
    assert.equal(bench.send(a, b, BATCH_FRAMES), BATCH_FRAMES);
    bench.settle();
    heard += bench.receive(b);
  }
  assert.equal(heard, 40 * BATCH_FRAMES);
  assert.equal(bench.counters(a).timesPaused, 0);
  const [{ copied, droppedFull } = { copied: 0, droppedFull: 0 }] = bench.plane.counters().mirrors;
  assert.equal(copied + droppedFull, 40 * BATCH_FRAMES);
  assert.ok(droppedFull > 0);
  bench.plane.remove(full);
  bench.send(a, b);
  bench.settle();
  assert.equal(bench.plane.counters().mirrors[0]!.droppedAbsent, 1);
  bench.plane.apply({ kind: "mirrors", mirrors: [] });
  assert.equal(bench.plane.pool.freeCount, free);
  bench.close();
});

/** With the spanning tree on. */
function withTree(): Bench {
  const bench = new Bench({ fstp: { address: Uint8Array.of(2, 0, 0, 0, 0, 9) } });
  bench.core.setFstp(true, 0);
  return bench;
}

test("with the spanning tree a new port carries frames after its probe, and is asked first", () => {
  const bench = withTree();
  const [a, b] = [bench.plug(1), bench.plug(2)];
  bench.settle();
  assert.deepEqual([bench.receive(a), bench.receive(b)], [1, 1], "a BPDU each");
  bench.send(a, "all");
  bench.settle();
  assert.equal(bench.receive(b), 0);
  assert.equal(bench.plane.counters().droppedVlan, 1);
  bench.nowMs += 500;
  bench.settle();
  bench.send(a, "all");
  bench.settle();
  assert.equal(bench.receive(b), 1);
  const free = bench.plane.pool.freeCount;
  bench.nowMs += 60_000;
  bench.settle();
  assert.ok(bench.receive(a) > 0, "hellos");
  bench.plane.remove(b);
  bench.settle();
  assert.equal(bench.plane.pool.freeCount, free, "no slot is lost");
  bench.close();
});

test("a queue full of floods still takes the BPDUs that end a storm", () => {
  const bench = withTree();
  const [a, full] = [bench.plug(1), bench.plug(2)];
  bench.settle();
  bench.nowMs += 500;
  bench.settle();
  bench.nowMs = 3990;
  while (bench.counters(full).droppedFull === 0) {
    bench.send(a, "all", BATCH_FRAMES);
    bench.settle();
  }
  const before = bench.counters(full);
  bench.nowMs = 4000;
  bench.settle();
  const after = bench.counters(full);
  assert.equal(after.queued, before.queued + 1, "a hello");
  assert.equal(after.droppedFull, before.droppedFull);
  bench.close();
});
