/** Ports of a running switch whose cables are made worse from the console. */
// time limit: 60 s
import assert from "node:assert/strict";
import { test } from "node:test";
import { frame, Lan } from "./console-lan.ts";
import { framed, framesOf, has } from "./vde-peers.ts";

const NEEDS_PLUG = "needs vde_plug: apt install vdeplug";

test("a delay of a port is not undercut, on its way in and out, and ends when it is taken off", async (t) => {
  if (!has("vde_plug")) return t.skip(NEEDS_PLUG);
  const lan = await Lan.start(t);
  for (const port of [1, 2]) await lan.plug(port);
  await lan.tell("port/impair 1 delay=150.5");
  for (const [from, to] of [
    [1, 2],
    [2, 1],
  ] as const) {
    const sent = performance.now();
    lan.send(from, frame(from, 0, 100));
    await lan.hears(to, frame(from, 0, 100));
    assert.ok(performance.now() - sent >= 150.5);
  }
  assert.match(await lan.tell("impair/list"), /Port 0001 delay=150.5 loss=0 seed=1: lost 0/);
  await lan.tell("port/impair 1 delay=60000");
  lan.send(1, frame(1, 0, 110));
  await lan.shows("impair/list", /under way 1/);
  await lan.tell("port/impair 1 none");
  lan.send(1, frame(1, 0, 120));
  await lan.hears(2, frame(1, 0, 120));
  assert.ok(!lan.heard(2).includes(framed(frame(1, 0, 110))), "what was under way is lost");
  assert.doesNotMatch(await lan.tell("impair/list"), /Port/);
});

test("the same seed loses the same frames of a real port again", async (t) => {
  if (!has("vde_plug")) return t.skip(NEEDS_PLUG);
  const lan = await Lan.start(t);
  for (const port of [1, 2]) await lan.plug(port);
  const frames = Array.from({ length: 200 }, (_, i) => frame(1, 0, 60 + i));
  const lengths = async (seed: number): Promise<number[]> => {
    await lan.tell("port/impair 1 none", `port/impair 1 loss=30 seed=${seed}`);
    const before = lan.heard(2).length;
    // A few at a time: a crowd might be more than a station has room for, which is another loss.
    for (let sent = 0; ; ) {
      const lost = Number(/lost (\d+)/.exec(await lan.tell("impair/list"))?.[1]);
      const found = framesOf(lan.heard(2).subarray(before)).map(({ length }) => length);
      if (lost + found.length !== sent) continue;
      if (sent === frames.length) return found;
      for (const each of frames.slice(sent, sent + 20)) lan.send(1, each);
      sent += 20;
    }
  };
  const first = await lengths(5);
  assert.ok(first.length > 100 && first.length < 180, `${first.length}`);
  assert.deepEqual(await lengths(5), first);
  assert.notDeepEqual(await lengths(6), first);
});

test("an impairment that makes no sense is refused", async (t) => {
  const lan = await Lan.start(t);
  await lan.tell("port/create 1");
  for (const wrong of ["1", "1 delay", "1 delay=x", "1 loss=101", "1 delay=-1", "1 delay=60001"]) {
    await lan.refuse(`port/impair ${wrong}`, /1022 Invalid argument/);
  }
  await lan.refuse("port/impair 1 delay=1 color=3", /1022 Invalid argument/);
  await lan.refuse("port/impair 1 seed=1.5", /1022 Invalid argument/);
  await lan.refuse("port/impair 2 delay=1", /1006 No such device/);
  await lan.refuse("port/impair 4000 none", /1022 Invalid argument/);
  await lan.tell("port/impair 1 delay=1 loss=2.5 seed=7");
  assert.match(
    await lan.tell("json impairments"),
    /{"delayMs":1,"loss":0.025,"seed":7,"port":1,"lost":0,"overflowed":0,"underWay":0}/,
  );
  await lan.tell("port/remove 1", "port/create 1");
  assert.doesNotMatch(await lan.tell("impair/list"), /Port/, "it goes with its port");
});
