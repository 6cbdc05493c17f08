/** Clients and switches that are killed while frames flow, and requests that cannot be met. */
// time limit: 180 s
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Rng } from "../../src/base/index.ts";
import { managedSwitch } from "./vde-consoles.ts";
import {
  broadcast,
  framed,
  has,
  isOver,
  possessions,
  type Running,
  until,
  Workshop,
} from "./vde-peers.ts";

const NEEDS = "needs vde_plug: apt install vdeplug";
const CLIENT_ROUNDS = 48;
const SWITCH_ROUNDS = 12;
const SEED = 3;
const TALK_MS = 5;
/** sun_path, unix(7), without the zero octet at its end. */
const NAME_OCTETS_MAX = 107;
/** Longest name of the switch in its directory: "/4096.1048576". */
const OWN_NAME_OCTETS = 13;

/** Broadcasts from a station until its process ends. */
function talk(plug: Running, station: number): void {
  const frame = framed(broadcast(100, station));
  const timer = setInterval(() => plug.child.stdin!.write(frame), TALK_MS);
  void plug.ended.then(() => clearInterval(timer));
}

/** Sends a frame that was never sent before until it comes out at the other. */
async function passes(from: Running, to: Running, number: number): Promise<void> {
  const frame = framed(broadcast(200 + number, 1));
  const timer = setInterval(() => from.child.stdin!.write(frame), TALK_MS);
  try {
    await until(() => to.output().includes(frame) || isOver(from) || isOver(to));
  } finally {
    clearInterval(timer);
  }
  assert.ok(to.output().includes(frame), `${from.errors()}${to.errors()}`);
}

/**
 * Debian's plug has a name of its own, ".PID-N", until it is plugged in; killed before that, on a
 * busy machine, it leaves it behind.
 */
const isClients = (name: string): boolean => name.startsWith(".");

/** The names that a switch made. */
function namesIn(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => !isClients(name))
    .sort();
}

test(`${CLIENT_ROUNDS} clients killed while frames flow leave the switch as it was`, async (t) => {
  if (!has("vde_plug")) return t.skip(NEEDS);
  const shop = new Workshop(t);
  const rng = new Rng(SEED);
  const { directory, console, running } = await managedSwitch(shop, "ours");
  const pid = running.child.pid!;
  const [a, b] = [shop.v2("plug", directory), shop.v2("plug", directory)];
  await passes(a, b, 0);
  const { sockets } = possessions(pid);
  // A client that came and went opened what the switch opens once.
  const early = shop.start("vde_plug", [directory]);
  await until(() => namesIn(directory).length === 4);
  early.child.kill("SIGKILL");
  await until(() => namesIn(directory).length === 3 && possessions(pid).sockets === sockets);
  const names = namesIn(directory);
  const before = possessions(pid);

  const startClient = (): Running => {
    const isOurs = rng.below(4) === 0;
    const client = isOurs ? shop.v2("plug", directory) : shop.start("vde_plug", [directory]);
    talk(client, 2 + rng.below(200));
    return client;
  };
  const clients = Array.from({ length: 4 }, startClient);
  for (let round = 1; round <= CLIENT_ROUNDS; round++) {
    // Some die in their handshake, some in full flow, some before they are a client.
    for (let frames = rng.below(3); frames > 0; frames--) await passes(b, a, round * 4 + frames);
    const victim = rng.below(clients.length);
    clients[victim]!.child.kill("SIGKILL");
    await clients[victim]!.ended;
    clients[victim] = startClient();
    await passes(a, b, round * 4);
  }
  for (const client of clients) client.child.kill("SIGKILL");
  await Promise.all(clients.map(({ ended }) => ended));
  await until(() => namesIn(directory).length <= names.length);
  assert.deepEqual(namesIn(directory), names);
  const after = (): typeof before => possessions(pid);
  await until(() => after().descriptors <= before.descriptors);
  assert.deepEqual(after(), before);
  const listing = shop.v2("vdecmd", "-s", console, "port/print");
  assert.equal(await listing.ended, 0);
  const ports =
    listing
      .output()
      .toString()
      .match(/^Port \d+/gm) ?? [];
  const endpoints =
    listing
      .output()
      .toString()
      .match(/endpoint ID/g) ?? [];
  assert.deepEqual([ports.length, endpoints.length], [2, 2], listing.output().toString());
  await passes(a, b, 1000);
});

test(`cables that reconnect survive ${SWITCH_ROUNDS} switches killed while frames flow`, async (t) => {
  if (!has("vde_plug")) return t.skip(NEEDS);
  const shop = new Workshop(t);
  const rng = new Rng(SEED);
  let { running, directory } = await shop.ourSwitch();
  const plug = (): Running => shop.v2("plug", "--reconnect", directory);
  const [a, b] = [plug(), plug()];
  talk(a, 7);
  await passes(a, b, 0);
  for (let round = 1; round <= SWITCH_ROUNDS; round++) {
    const others = [shop.v2("plug", directory), shop.start("vde_plug", [directory])];
    for (const [i, other] of others.entries()) talk(other, 10 + i);
    for (let frames = rng.below(4); frames > 0; frames--) await passes(a, b, round * 4 + frames);
    running.child.kill("SIGKILL");
    await running.ended;
    ({ running } = await shop.ourSwitch());
    await passes(a, b, round * 4);
    // A cable that does not reconnect ends with its switch, ours and Debian's; unless it came late.
    for (const other of others) other.child.kill("SIGKILL");
    await Promise.all(others.map(({ ended }) => ended));
  }
  await until(() => namesIn(directory).length === 3);
  for (const name of readdirSync(directory).filter(isClients)) rmSync(join(directory, name));
  for (const { child, ended } of [a, b]) {
    child.kill("SIGTERM");
    await ended;
  }
  running.child.kill("SIGTERM");
  assert.equal(await running.ended, 0);
  assert.equal(existsSync(directory), false, "no name of any of them is left");
});

test("a plugged cable without --reconnect ends when its switch is killed", async (t) => {
  if (!has("vde_plug")) return t.skip(NEEDS);
  const shop = new Workshop(t);
  const { running, directory } = await shop.ourSwitch();
  const [a, b] = [shop.v2("plug", directory), shop.start("vde_plug", [directory])];
  await passes(a, b, 1);
  running.child.kill("SIGKILL");
  await Promise.all([a.ended, b.ended]);
});

test("a port that the switch does not have is refused at once, to our client and Debian's", async (t) => {
  if (!has("vde_plug")) return t.skip(NEEDS);
  const shop = new Workshop(t);
  const { directory } = await shop.ourSwitch("--numports", "4");
  for (const port of ["5", "4096", "65535"]) {
    const ours = shop.v2("plug", "--port", port, directory);
    assert.notEqual(await ours.ended, 0);
    assert.match(ours.errors(), /refused the cable/);
    const debians = shop.start("vde_plug", ["--port", port, directory]);
    assert.notEqual(await debians.ended, 0, debians.errors());
  }
  assert.deepEqual(readdirSync(directory), ["ctl"]);
  const last = shop.start("vde_plug", ["--port", "4", directory]);
  await until(() => readdirSync(directory).some((name) => name.startsWith("004.")) || isOver(last));
  assert.ok(!isOver(last), last.errors());
});

test("a directory or management socket with too long a name is refused in words", async (t) => {
  const shop = new Workshop(t);
  const long = shop.path("x".repeat(100));
  const socket = shop.path("lan");
  for (const words of [
    ["switch", "--nostdin", "--sock", long],
    ["switch", "--nostdin", "--sock", socket, "--mgmt", long],
    ["plug", long],
    ["view", "--net", `${long},ip=10.0.0.1/24`, "--", "true"],
  ]) {
    const running = shop.v2(...words);
    assert.notEqual(await running.ended, 0, words.join(" "));
    assert.match(running.errors(), /107/, "what there is room for");
    assert.ok(running.errors().includes(long), "and says which name");
    assert.ok(!running.errors().includes("    at "), "without a stack of our own");
  }
  assert.deepEqual(readdirSync(shop.place), [], "nothing is left of them");
});

test("the longest directory that is taken works for our clients and Debian's", async (t) => {
  if (!has("vde_plug")) return t.skip(NEEDS);
  const shop = new Workshop(t);
  const room = NAME_OCTETS_MAX - OWN_NAME_OCTETS - shop.place.length - "//ours".length;
  const parent = shop.path("p".repeat(room));
  mkdirSync(parent);
  const directory = `${parent}/ours`;
  const running = shop.v2("switch", "--sock", directory, "--nostdin", "--ready-fd=1");
  await until(() => running.output().length > 0 || isOver(running));
  assert.equal(running.errors(), "");
  const [a, b] = [shop.v2("plug", directory), shop.start("vde_plug", [directory])];
  await passes(a, b, 1);
  const longer = shop.v2("switch", "--sock", `${directory}x`, "--nostdin");
  assert.notEqual(await longer.ended, 0);
});
