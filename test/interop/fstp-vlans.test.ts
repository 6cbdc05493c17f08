// time limit: 60 s
/** One spanning tree for each VLAN, over trunks between real switches, ours and Debian's. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { MgmtClient } from "./console-peers.ts";
import { type Make, Ring, type StationProcess } from "./fstp-ring.ts";
import { has, type Running } from "./vde-peers.ts";

const NEEDS = "needs vde_plug and vde_switch: apt install vde2 vdeplug";
const RED = 10;
const BLUE = 20;
const ACCESS_RED = 1;
const ACCESS_BLUE = 2;
/** Ports of the trunks to the next switch of the ring and to the one before. */
const NEXT = 3;
const BEFORE = 4;
const EVERY_MS = 10;

/** A ring of switches whose trunks carry two VLANs, with a station of each VLAN at each. */
class TrunkRing {
  readonly net = new Ring();
  readonly red: StationProcess[] = [];
  readonly blue: StationProcess[] = [];
  readonly #cables: Running[] = [];
  readonly #consoles: MgmtClient[] = [];

  async start(makes: readonly Make[]): Promise<void> {
    await this.net.start(makes);
    for (const i of makes.keys()) {
      this.#consoles.push((await MgmtClient.open(this.net.consolePath(i))).client);
    }
    for (const i of makes.keys()) {
      for (const port of [ACCESS_RED, ACCESS_BLUE, NEXT, BEFORE]) {
        await this.tell(i, `port/create ${port}`);
      }
      for (const vlan of [RED, BLUE]) await this.tell(i, `vlan/create ${vlan}`);
      await this.tell(i, `port/setvlan ${ACCESS_RED} ${RED}`);
      await this.tell(i, `port/setvlan ${ACCESS_BLUE} ${BLUE}`);
      for (const trunk of [NEXT, BEFORE]) {
        await this.tell(i, `port/setvlan ${trunk} 4095`);
        for (const vlan of [RED, BLUE]) await this.tell(i, `vlan/addport ${vlan} ${trunk}`);
      }
    }
    for (const i of makes.keys()) {
      this.red.push(this.net.station(i, ACCESS_RED));
      this.blue.push(this.net.station(i, ACCESS_BLUE));
      const make = i % 2 === 0 ? "debian" : "v2";
      this.#cables.push(this.net.cable(i, (i + 1) % makes.length, make, [NEXT, BEFORE]));
    }
  }

  /** Pulls the cable behind a switch. */
  async pull(index: number): Promise<void> {
    this.#cables[index]!.child.kill();
    await this.#cables[index]!.ended;
  }

  /** Runs a command that has to succeed. */
  async tell(index: number, command: string): Promise<void> {
    assert.match(await this.#consoles[index]!.ask(command), /1000 Success/, command);
  }

  /** Cables, by the number of the switch before them, whose both ends forward in a VLAN. */
  async open(vlan: number): Promise<number[]> {
    const forwarding: Set<number>[] = [];
    for (const i of this.net.switches.keys()) {
      const text = await this.#consoles[i]!.ask(`vlan/print ${vlan}`);
      const rows = text.matchAll(/Port (\d+) tagged=\d active=1 status=Forwarding/g);
      forwarding.push(new Set([...rows].map(([, port]) => Number(port))));
    }
    const { length } = forwarding;
    return [...forwarding.keys()].filter(
      (i) => forwarding[i]!.has(NEXT) && forwarding[(i + 1) % length]!.has(BEFORE),
    );
  }

  async close(): Promise<void> {
    for (const console of this.#consoles) console.close();
    await this.net.close();
  }

  /** Waits until exactly these cables carry a VLAN, twice in a row. */
  async carriedBy(vlan: number, cables: readonly number[]): Promise<void> {
    for (let times = 0; times < 2; ) {
      times = (await this.open(vlan)).join() === cables.join() ? times + 1 : 0;
    }
  }
}

/** Frames of a VLAN that flow until `stop`. @returns the number of the first and of the last. */
function flow(net: Ring, group: readonly StationProcess[]): { stop: () => number[] } {
  const rounds: number[] = [];
  const timer = setInterval(() => rounds.push(net.round(group)), EVERY_MS);
  return {
    stop: () => {
      clearInterval(timer);
      return rounds;
    },
  };
}

/** How often each station of a group heard each broadcast of a round, its own left out. */
function heardOf(group: readonly StationProcess[], first: number): number[] {
  return group.flatMap(({ heard }, to) =>
    [...group.keys()].filter((from) => from !== to).map((from) => heard.get(first + from) ?? 0),
  );
}

async function tryRing(t: TestContext, makes: readonly Make[]): Promise<void> {
  if (!has("vde_plug") || !has("vde_switch")) return t.skip(NEEDS);
  const ring = new TrunkRing();
  const { net, red, blue } = ring;
  t.after(() => ring.close());
  await ring.start(makes);
  const last = makes.length - 1;
  const all = [...makes.keys()];
  // The root is switch 0 in both VLANs; in the middle of the ring a cable rests.
  const resting = Math.floor(makes.length / 2);
  const whole = all.filter((i) => i !== resting);
  for (const group of [red, blue]) await net.connected(group);
  for (const vlan of [RED, BLUE]) await ring.carriedBy(vlan, whole);
  for (const group of [red, blue]) assert.equal(await net.copies(group), 1);

  // The cable behind the root stops to carry the one VLAN, told at both ends: told at one, the
  // other learns it by silence, after three hellos. The other VLAN must not notice.
  const blueFlow = flow(net, blue);
  await net.connected(blue);
  await ring.tell(0, `vlan/delport ${RED} ${NEXT}`);
  await ring.tell(1, `vlan/delport ${RED} ${BEFORE}`);
  t.diagnostic(`a VLAN found another way after ${(await net.connected(red)).toFixed(0)} ms`);
  await ring.carriedBy(RED, all.slice(1));
  assert.deepEqual(await ring.open(BLUE), whole, "the other VLAN has its tree of before");
  assert.equal(await net.copies(red), 1);
  await ring.tell(1, `vlan/addport ${RED} ${BEFORE}`);
  await ring.tell(0, `vlan/addport ${RED} ${NEXT}`);
  await ring.carriedBy(RED, whole);
  await net.connected(red);
  assert.deepEqual(await ring.open(BLUE), whole);
  const rounds = blueFlow.stop();
  await net.connected(blue);
  const counts = new Set(rounds.flatMap((first) => heardOf(blue, first)));
  assert.deepEqual([...counts], [1], `each of ${rounds.length} rounds arrived, once`);
  assert.equal(await net.copies(red), 1);

  // A pulled cable is one less for both.
  await ring.pull(last);
  t.diagnostic(`both after a pulled cable: ${(await net.connected(red)).toFixed(0)} ms`);
  for (const vlan of [RED, BLUE]) await ring.carriedBy(vlan, all.slice(0, last));
  for (const group of [red, blue]) assert.equal(await net.copies(group), 1);
  const strays = red.flatMap(({ heard }) => rounds.filter((first) => heard.has(first)));
  assert.deepEqual(strays, [], "no frame of one VLAN came out in the other");
}

for (const makes of [
  ["debian", "v2", "debian"],
  ["v2", "debian", "debian", "v2", "v2"],
] as const) {
  test(`each VLAN has its tree and heals alone in a ring of ${makes.join(", ")}`, async (t) => {
    await tryRing(t, makes);
  });
}
