/**
 * A million inputs for each parser that a switch shows to strangers, and a running switch under the
 * same fire: no crash, bounded memory. A failure names the input; `node build/fuzz/main.js` repeats
 * it. Alone in its process, for the memory measured; as one account, for its price.
 */
// runs as: user
// time limit: 300 s
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { fuzz } from "../../fuzz/fuzz.ts";
import { mutate } from "../../fuzz/mutate.ts";
import { VDE_TARGETS } from "../../fuzz/vde.ts";
import { Rng, toHex } from "../../src/base/index.ts";
import { openVdeAsync } from "../../src/plugs/index.ts";
import { emitRequest } from "../../src/vde/index.ts";
import { realBpdus } from "../real-bpdus.ts";
import { realFrames } from "../real-frames.ts";
import { MgmtClient } from "./console-peers.ts";
import { broadcast, framed, possessions, type Running, until, Workshop } from "./vde-peers.ts";

const TARGETS = ["vde-handshake", "vde-console-lines", "vde-fstp", "vde-switch"];
const WARM_INPUTS = 100_000;
const INPUTS = 1_000_000;
/** What the heap may grow by between the warm-up and the end. */
const GROWTH_OCTETS_MAX = 8 << 20;

const CLIENTS = 1000;
const CLIENTS_AT_ONCE = 10;
const HANDSHAKES = 10_000;
const LINES = 100_000;
const FRAMES = 100_000;
const WRITE_OCTETS = 16_384;
/** What the memory of the switch, garbage included, may grow by. */
const RESIDENT_GROWTH_MAX_KIB = 128 * 1024;
const SEED = 5;

/** Octets that are reachable. */
function heldOctets(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

for (const name of TARGETS) {
  test(`a million inputs for ${name} make it neither fail nor grow`, () => {
    const target = VDE_TARGETS.find((one) => one.name === name)!;
    const fire = (seed: number, count: number): void => {
      const { failure } = fuzz(target, { seed, count });
      const input = failure === undefined ? "" : toHex(failure.octets);
      assert.equal(failure, undefined, `${name}, seed ${seed}, fails on ${input}`);
    };
    fire(1, WARM_INPUTS);
    const before = heldOctets();
    fire(2, INPUTS - WARM_INPUTS);
    const growth = heldOctets() - before;
    assert.ok(growth <= GROWTH_OCTETS_MAX, `${growth} octets more`);
  });
}

function residentKib(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]);
}

/** Clients that come and go, some at once. */
async function visit(directory: string, clients: number): Promise<void> {
  for (let client = 0; client < clients; client += CLIENTS_AT_ONCE) {
    const group = Array.from({ length: CLIENTS_AT_ONCE }, () => openVdeAsync({ directory }));
    for (const end of await Promise.all(group)) end.close();
    await until(() => readdirSync(directory).join() === "ctl");
  }
}

/** Says one handshake and hears what comes, up to the end. */
async function shake(directory: string, octets: Uint8Array): Promise<void> {
  await new Promise((resolve) => {
    const socket = connect(`${directory}/ctl`);
    socket.on("error", () => undefined);
    socket.on("close", resolve);
    socket.resume();
    socket.end(octets);
  });
}

async function shakeMany(directory: string, rng: Rng): Promise<void> {
  const seeds = [
    emitRequest(`${directory}/ctl`, 0, "a"),
    emitRequest("/nonexistent/socket", 3, "user=x pid=1", true),
    emitRequest("", 0, ""),
  ];
  for (let count = 0; count < HANDSHAKES; count += CLIENTS_AT_ONCE) {
    const group = Array.from({ length: CLIENTS_AT_ONCE }, () => mutate(seeds, rng));
    await Promise.all(group.map((octets) => shake(directory, octets)));
  }
}

/** Commands that take arguments; what would end the session or the switch is none of them. */
const COMMANDS = [
  "help port\n",
  "ds/showinfo\n",
  "debug/add port/ep\ndebug/del port/ep\n",
  "hash/find 02:00:00:00:00:01 5\n",
  "hash/setexpire 100\n",
  "fstp/setedge 0 3 1\nfstp/bonus 5 3 200\nfstp/print 0\n",
  "port/create 3\nport/setvlan 3 5\nport/remove 3\n",
  "port/epclose 3 1\nport/setuser 3 NONE\nport/setgroup 3 ANY\n",
  "port/allprint 3\nport/allocatable 3 1\nport/resetcounter 3\n",
  "vlan/create 5\nvlan/addport 5 3\nvlan/delport 5 3\nvlan/print 5\nvlan/remove 5\n",
  "json ports\nmetrics\n# nothing\n\n",
].map((lines) => Buffer.from(lines));

/** Writes pieces made one after the other, as fast as they are taken. */
async function pour(
  into: NodeJS.WritableStream,
  pieces: number,
  make: () => Uint8Array,
): Promise<void> {
  let waiting: Uint8Array[] = [];
  let octets = 0;
  for (let piece = 1; piece <= pieces; piece++) {
    const made = make();
    waiting.push(made);
    octets += made.length;
    if (octets < WRITE_OCTETS && piece < pieces) continue;
    const whole = Buffer.concat(waiting);
    await new Promise((resolve) => into.write(whole, resolve));
    waiting = [];
    octets = 0;
  }
}

async function consoleFire(console: string, rng: Rng): Promise<void> {
  const socket = connect(console);
  let isClosed = false;
  socket.on("error", () => undefined);
  socket.on("close", () => (isClosed = true));
  let heard = "";
  socket.on("data", (octets: Buffer) => {
    heard = (heard + octets.toString("latin1")).slice(-4096);
  });
  const feed = Buffer.from("\n");
  await pour(socket, LINES, () => Buffer.concat([mutate(COMMANDS, rng), feed]));
  socket.write("load /nonexistent/end\n");
  // ENOENT, which none of the others answers: all before it is answered too.
  await until(() => heard.includes("1002 ") || isClosed);
  assert.ok(!isClosed, heard);
  socket.destroy();
}

/** A frame that was never sent before comes from one plug to another. */
async function passes(from: Running, to: Running): Promise<void> {
  const frame = framed(broadcast(333, 9));
  const timer = setInterval(() => from.child.stdin!.write(frame), 20);
  await until(() => to.output().includes(frame) || to.child.exitCode !== null);
  clearInterval(timer);
  assert.equal(to.child.exitCode, null, to.errors());
}

test("a running switch outlives a thousand clients and all of it by its sockets", async (t) => {
  const shop = new Workshop(t);
  const rng = new Rng(SEED);
  const mgmt = shop.path("mgmt");
  const { directory, running } = await shop.ourSwitch("--mgmt", mgmt, "--fstp");
  const pid = running.child.pid!;
  const { client } = await MgmtClient.open(mgmt);
  await visit(directory, CLIENTS_AT_ONCE);
  assert.match(await client.ask("port/print"), /1000 Success/);
  const before = possessions(pid);
  const beforeKib = residentKib(pid);

  await visit(directory, CLIENTS);
  assert.equal((await client.ask("port/print")).match(/Port/g), null, "no port is in use");
  await until(() => possessions(pid).descriptors <= before.descriptors);
  assert.deepEqual(possessions(pid), before, `after ${CLIENTS} clients`);

  await shakeMany(directory, rng);
  await until(() => readdirSync(directory).join() === "ctl");
  await until(() => possessions(pid).descriptors <= before.descriptors);
  assert.deepEqual(possessions(pid), before, `after ${HANDSHAKES} handshakes`);

  await consoleFire(mgmt, rng);

  const seeds = [...realFrames(), ...realBpdus()];
  const plug = shop.v2("plug", directory);
  await pour(plug.child.stdin!, FRAMES, () => framed(mutate(seeds, rng)));
  plug.child.stdin!.end();
  await plug.ended;

  assert.equal(running.child.exitCode, null, running.errors());
  const growthKib = residentKib(pid) - beforeKib;
  t.diagnostic(`memory of the switch: ${beforeKib} KiB, then ${growthKib} more`);
  assert.ok(growthKib <= RESIDENT_GROWTH_MAX_KIB, `${growthKib} KiB more`);
  assert.match(await client.ask("showinfo"), /uptime[^]*1000 Success/);
  await passes(shop.v2("plug", "--port=20", directory), shop.v2("plug", "--port=21", directory));
  client.close();
});
