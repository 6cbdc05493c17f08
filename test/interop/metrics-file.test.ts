/** The file of counters that a switch keeps for a collector. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { test } from "node:test";
import { broadcast, framed, until, Workshop } from "./vde-peers.ts";

/** A line of the format: a comment, or a name with labels and a number. */
const LINE = /^(# (HELP|TYPE) \w+ .+|[a-z_]+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? \d+(\.\d+)?)$/;

test("the file of metrics is renewed, is whole at any time, and has the last counters at the end", async (t) => {
  const shop = new Workshop(t);
  const folder = shop.path("collector");
  mkdirSync(folder);
  const file = `${folder}/lan.prom`;
  const words = ["--metrics-file", file, "--metrics-interval", "1"];
  const { running, directory } = await shop.ourSwitch(...words);
  assert.ok(existsSync(file), "it is there when the switch is ready");
  const [source, sink] = [shop.v2("plug", directory), shop.v2("plug", directory)];
  const text = (): string => readFileSync(file, "utf8");
  await until(() => text().includes('vde_port_cables{port="2"} 1\n'));
  // A frame without a known VLAN is dropped, and that is said.
  const tagged = broadcast(80);
  tagged.set([0x81, 0, 0, 9], 12);
  source.child.stdin!.write(framed(tagged));
  source.child.stdin!.write(framed(broadcast(100)));
  await until(() => sink.output().includes(framed(broadcast(100))));
  await until(() => /port_in_frames_total{port="\d"} 2\n/.test(text()));
  assert.match(text(), /vde_port_dropped_frames_total{port="\d",reason="vlan"} 1\n/);
  for (const line of text().trimEnd().split("\n")) assert.match(line, LINE);
  source.child.stdin!.write(framed(broadcast(200)));
  await until(() => sink.output().includes(framed(broadcast(200))));
  running.child.kill("SIGTERM");
  assert.equal(await running.ended, 0, running.errors());
  assert.match(text(), /port_in_frames_total{port="\d"} 3\n/);
  assert.deepEqual(readdirSync(folder), ["lan.prom"]);
});

test("a file of metrics that cannot be written ends the start, and is told later", async (t) => {
  const shop = new Workshop(t);
  const start = (...words: string[]) => shop.v2("switch", "-s", shop.path("lan"), ...words);
  const nowhere = start("--metrics-file", shop.path("no/where.prom"));
  assert.equal(await nowhere.ended, 1);
  assert.match(nowhere.errors(), /metrics file .*no\/where\.prom/);
  const never = start("--metrics-file", shop.path("x"), "--metrics-interval", "0");
  assert.equal(await never.ended, 1);
  const folder = shop.path("folder");
  mkdirSync(folder);
  const words = ["--metrics-file", `${folder}/x.prom`, "--metrics-interval", "1"];
  const { running } = await shop.ourSwitch(...words);
  rmSync(folder, { recursive: true });
  await until(() => running.errors().includes("x.prom"));
  mkdirSync(folder);
  await until(() => existsSync(`${folder}/x.prom`));
});
