/**
 * Plugins of a running switch as a user loads them: the example of this repository, files of their
 * own folder, start files, and what tcpdump makes of a dump.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { readCapture } from "../../src/wire/index.ts";
import { MgmtClient } from "./console-peers.ts";
import { broadcast, framed, has, type Running, until, V2, Workshop } from "./vde-peers.ts";

const EXAMPLE = fileURLToPath(new URL("../../../examples/plugins/talkers.mjs", import.meta.url));

/** A switch with a console whose user's home is a folder of the workshop. */
async function switchAtHome(shop: Workshop, ...words: string[]): Promise<Switch> {
  const [directory, socket] = [shop.path("lan"), shop.path("mgmt")];
  const argv = ["switch", "-s", directory, "-M", socket, "--nostdin", ...words];
  const running = shop.start("env", [`HOME=${shop.place}`, process.execPath, V2, ...argv]);
  const { client } = await MgmtClient.open(socket);
  return { running, directory, ask: async (line) => await client.ask(line) };
}

interface Switch {
  readonly running: Running;
  readonly directory: string;
  readonly ask: (line: string) => Promise<string>;
}

/** Plugs two cables in and sends frames from one to the other. */
async function talk(shop: Workshop, { directory }: Switch, lengths: number[]): Promise<void> {
  const [from, to] = [shop.v2("plug", directory), shop.v2("plug", directory)];
  // The first frames may come before the other cable is plugged in.
  const hello = framed(broadcast(64, 9));
  while (!to.output().includes(hello)) {
    from.child.stdin!.write(hello);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  for (const length of lengths) from.child.stdin!.write(framed(broadcast(length)));
  await until(() => to.output().includes(framed(broadcast(lengths.at(-1)!))));
}

test("the example of this repository lists who talks", async (t) => {
  const shop = new Workshop(t);
  const lan = await switchAtHome(shop);
  assert.match(await lan.ask(`plugin/add ${EXAMPLE}`), /^1000 /);
  assert.match(await lan.ask("debug/add talkers"), /^1000 /);
  await talk(shop, lan, [100, 200]);
  const events = await lan.ask("port/print 1");
  assert.match(events, /3701 talkers\/new 02:00:00:00:00:01 at port \d\n/);
  assert.match(await lan.ask("talkers/print"), /\n02:00:00:00:00:01 300\n/);
  assert.match(await lan.ask("plugin/list"), /\ntalkers +octets sent by each station\n/);
});

test("a plugin of the user's own folder is found by its name, before one that is built in", async (t) => {
  const shop = new Workshop(t);
  mkdirSync(shop.path(".vde2/plugins"), { recursive: true });
  copyFileSync(EXAMPLE, shop.path(".vde2/plugins/talkers.mjs"));
  const mine = 'export default { name: "mine", help: "my own dump", commands: [] };';
  writeFileSync(shop.path(".vde2/plugins/dump.mjs"), mine);
  const lan = await switchAtHome(shop);
  assert.match(await lan.ask("plugin/add talkers"), /^1000 /);
  assert.match(await lan.ask("plugin/add dump"), /^1000 /);
  assert.match(await lan.ask("plugin/list mine"), /\nmine +my own dump\n/);
});

test("a file of the folder where the switch was started is loaded only by a path", async (t) => {
  const shop = new Workshop(t);
  copyFileSync(EXAMPLE, shop.path("near.mjs"));
  const lan = await switchAtHome(shop);
  assert.match(await lan.ask("plugin/add near"), /^1002 /);
  assert.match(await lan.ask("plugin/add ./near"), /^1000 /);
});

test("a start file of vde_switch that dumps packets writes what tcpdump reads", async (t) => {
  if (!has("tcpdump")) return t.skip("needs tcpdump: apt install tcpdump");
  const shop = new Workshop(t);
  writeFileSync(
    shop.path("rc"),
    "plugin/add pdump.so\npdump/filename all.cap\npdump/buffered 1\npdump/active 1\n",
  );
  const lan = await switchAtHome(shop, "-f", shop.path("rc"));
  await talk(shop, lan, [60, 1500, 9000]);
  lan.running.child.kill("SIGTERM");
  await lan.running.ended;
  const file = shop.path("all.cap");
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const { stdout } = spawnSync("tcpdump", ["-e", "-n", "-r", file], { encoding: "utf8" });
  for (const length of [60, 1500, 9000]) {
    const seen = stdout.split("\n").filter((line) => line.includes(`, length ${length}: `));
    assert.equal(seen.length, 2, `in and out of ${length} octets:\n${stdout}`);
  }
});

test("a dump shows a tagged frame with its tag, in and out", async (t) => {
  const shop = new Workshop(t);
  const lan = await switchAtHome(shop);
  for (const line of ["plugin/add pdump", "vlan/create 5", "port/create 1", "port/create 2"]) {
    assert.match(await lan.ask(line), /^1000 /);
  }
  for (const line of ["vlan/addport 5 1", "vlan/addport 5 2", "pdump/active 1"]) {
    assert.match(await lan.ask(line), /1000 Success\n/);
  }
  const [from, to] = [
    shop.v2("plug", "--port", "1", lan.directory),
    shop.v2("plug", "--port", "2", lan.directory),
  ];
  const tagged = Buffer.from(broadcast(100));
  tagged.set([0x81, 0x00, 0x60, 0x05], 12);
  while (!to.output().includes(framed(tagged))) {
    from.child.stdin!.write(framed(tagged));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.match(await lan.ask("pdump/active 0"), /1000 Success\n/);
  const records = [...readCapture(readFileSync(shop.path("vde_dump.cap")))];
  const frames = records.filter((record) => record.kind === "frame");
  assert.ok(frames.length >= 2);
  for (const { octets } of frames) assert.deepEqual(Buffer.from(octets), tagged);
});

test("a plugin that throws at every frame leaves the LAN as it was", async (t) => {
  const shop = new Workshop(t);
  const text =
    'export default { name: "bad", help: "", commands: [], frame: () => { throw new Error("no"); } };';
  writeFileSync(shop.path("bad.mjs"), text);
  const lan = await switchAtHome(shop);
  assert.match(await lan.ask("plugin/add ./bad.mjs"), /^1000 /);
  await talk(shop, lan, [100, 200, 300]);
  assert.match(await lan.ask("metrics"), /\nvde_plugin_failures_total [1-9]\d*\n/);
  assert.equal(lan.running.errors().trim(), "v2 switch: plugin 'bad' failed: no");
  assert.equal(lan.running.child.exitCode, null);
});
