/**
 * Looking into the traffic of a running switch: captures that the switch makes itself, asked for on
 * its console, by v2 capture and by Wireshark's protocol, and mirror ports; tshark reads all.
 */
// time limit: 120 s
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { frame, Lan } from "./console-lan.ts";
import { managedSwitch } from "./vde-consoles.ts";
import { framed, has, type Running, until, V2 } from "./vde-peers.ts";

const NEEDS = "needs tshark: apt install tshark";
const NEEDS_PLUG = "needs vde_plug: apt install vdeplug";

/** Fields of each frame of a capture, with commas between. */
function fields(path: string, ...names: string[]): string[] {
  const words = ["-r", path, "-T", "fields", "-E", "separator=,"];
  const { stdout } = spawnSync("tshark", [...words, ...names.flatMap((name) => ["-e", name])], {
    encoding: "utf8",
  });
  return stdout.split("\n").filter((line) => line !== "");
}

test("a capture started on the console has both ways of a port, and only those", async (t) => {
  if (!has("tshark")) return t.skip(NEEDS);
  if (!has("vde_plug")) return t.skip(NEEDS_PLUG);
  const lan = await Lan.start(t);
  for (const port of [1, 2, 3]) await lan.plug(port);
  const before = frame(1, 0, 90);
  lan.send(1, before);
  await lan.hears(2, before);
  const file = lan.shop.path("port 2.pcapng");
  assert.match(await lan.tell(`capture/start ${file} port 2`), /Capture 0001/);
  await lan.refuse(`capture/start ${file}`, /1017 File exists/);
  lan.send(1, frame(1, 0, 100));
  await lan.hears(2, frame(1, 0, 100));
  lan.send(2, frame(2, 1, 110));
  await lan.hears(1, frame(2, 1, 110));
  lan.send(3, frame(3, 1, 120));
  await lan.hears(1, frame(3, 1, 120));
  const told = await lan.tell("capture/stop 1");
  assert.match(told, /port 2 both: written 2 dropped slow=0 unread=0/);
  const names = ["frame.len", "frame.interface_name", "frame.packet_flags_direction"];
  assert.deepEqual(fields(file, ...names), ["100,port 2,0x02", "110,port 2,0x01"].map(direction));
  await lan.refuse("capture/stop 1", /1002 No such file/);
  lan.send(1, frame(1, 0, 130));
  await lan.hears(2, frame(1, 0, 130));
  assert.equal(fields(file, "frame.len").length, 2, "a capture that is over gets nothing more");
});

/** tshark prints the direction as a number; its form differs between versions. */
function direction(line: string): string {
  return line.replace(/0x0*([12])$/, "0x0000000$1");
}

test("a capture of a VLAN has its frames with the tags they had on the wire", async (t) => {
  if (!has("tshark")) return t.skip(NEEDS);
  if (!has("vde_plug")) return t.skip(NEEDS_PLUG);
  const lan = await Lan.start(t);
  for (const port of [1, 2, 3]) await lan.plug(port);
  await lan.tell("vlan/create 10", "port/setvlan 1 10", "vlan/addport 10 2");
  const file = lan.shop.path("vlan.pcapng");
  await lan.tell(`capture/start ${file} vlan 10 both`);
  lan.send(1, frame(1, 0, 100));
  await lan.hears(2, frame(1, 0, 104, 10));
  lan.send(3, frame(3, 0, 120));
  await lan.hears(2, frame(3, 0, 120));
  await lan.tell("capture/stop 1");
  assert.deepEqual(fields(file, "frame.interface_name", "frame.len", "vlan.id"), [
    "port 1,100,",
    "port 2,104,10",
  ]);
});

test("v2 capture gets both ways of a port from inside the switch, filtered, and tells", async (t) => {
  if (!has("tshark")) return t.skip(NEEDS);
  if (!has("vde_plug")) return t.skip(NEEDS_PLUG);
  const lan = await Lan.start(t);
  for (const port of [1, 2]) await lan.plug(port);
  const file = lan.shop.path("inside.pcapng");
  const words = ["--port", "1", "--host", "02:00:00:00:00:01", "-c", "2", "-w", file];
  const capture = lan.shop.v2("capture", ...words, lan.directory);
  await until(() => capture.errors().includes("captures port 1"));
  lan.send(2, frame(2, 0, 90));
  await lan.hears(1, frame(2, 0, 90));
  lan.send(2, frame(2, 1, 100));
  lan.send(1, frame(1, 2, 110));
  await lan.hears(2, frame(1, 2, 110));
  lan.send(1, frame(1, 2, 120));
  assert.equal(await capture.ended, 0, capture.errors());
  assert.match(capture.errors(), /2 frames written, 0 dropped/);
  assert.deepEqual(fields(file, "frame.len").sort(), ["100", "110"]);
  assert.doesNotMatch(await lan.tell("capture/list"), /Capture/, "the switch forgets it");
});

test("v2 capture ends with its switch, and says what such a capture needs", async (t) => {
  if (!has("vde_plug")) return t.skip(NEEDS_PLUG);
  if (!has("vde_switch")) return t.skip("needs vde_switch: apt install vde2");
  const lan = await Lan.start(t);
  await lan.plug(1);
  const file = lan.shop.path("all.pcapng");
  const all = lan.shop.v2("capture", "--all", "-w", file, lan.console);
  await until(() => all.errors().includes("captures all"));
  for (const wrong of [
    ["--vlan", "9"],
    ["--port", "4000"],
  ]) {
    const refused = lan.shop.v2("capture", ...wrong, "-w", lan.shop.path("x"), lan.console);
    assert.equal(await refused.ended, 1);
    assert.match(refused.errors(), /No such device|Invalid argument/);
  }
  lan.send(1, frame(1, 0, 100));
  await lan.shows("capture/list", /written 1 /);
  lan.running.child.kill("SIGTERM");
  assert.equal(await all.ended, 0, all.errors());
  assert.match(all.errors(), /1 frames written, 0 dropped/);
  const debian = await managedSwitch(lan.shop, "debian");
  const never = lan.shop.v2("capture", "--all", "-w", lan.shop.path("y"), debian.console);
  assert.equal(await never.ended, 69, never.errors());
  assert.match(never.errors(), /captures nothing itself/);
});

test("a reader that stops reading, or is killed, disturbs nobody and is told as losses", async (t) => {
  if (!has("vde_plug")) return t.skip(NEEDS_PLUG);
  const lan = await Lan.start(t);
  for (const port of [1, 2]) await lan.plug(port);
  const slow = lan.shop.v2("capture", "--all", lan.directory);
  await until(() => slow.errors().includes("captures all"));
  const fifo = lan.shop.path("fifo");
  assert.equal(spawnSync("mkfifo", [fifo]).status, 0);
  await lan.tell(`capture/start ${fifo} port 2 out`);
  await lan.refuse(`capture/start ${lan.shop.path("fifo")} once`, /1017 File exists/);
  slow.child.kill("SIGSTOP");
  // More than the pipes and the ring of the capture hold; the switch itself throws them away.
  const big = frame(1, 1, 9000);
  for (let sent = 0; sent < 6000; sent++) {
    lan.send(1, big);
    if (sent % 50 !== 0) continue;
    const mark = frame(1, 2, 60 + sent / 50);
    lan.send(1, mark);
    await lan.hears(2, mark);
  }
  const listed = await lan.shows("capture/list", /slow=[1-9]/);
  assert.match(listed, /port 2 out: written 0 dropped slow=0 unread=[1-9]\d+/, "nobody reads it");
  slow.child.kill("SIGKILL");
  await slow.ended;
  await lan.tell("capture/stop 2");
  const more = frame(1, 2, 500);
  lan.send(1, more);
  await lan.hears(2, more);
  await lan.shows("capture/list", /^(?!.*Capture)/s);
  assert.match(lan.running.errors(), /capture of all: '.*' takes no more/);
});

test("v2 capture ends when told to, also while the reader of its FIFO or pipe stalls", async (t) => {
  if (!has("vde_plug")) return t.skip(NEEDS_PLUG);
  const lan = await Lan.start(t);
  for (const port of [1, 2]) await lan.plug(port);
  // As a path that is opened, and as the standard output that a shell opened, which may block.
  const [named, given] = ["named", "given"].map((name) => {
    const fifo = lan.shop.path(name);
    assert.equal(spawnSync("mkfifo", [fifo]).status, 0);
    lan.shop.start("sh", ["-c", `exec sleep 60 < ${fifo}`]);
    if (name === "named") return lan.shop.v2("capture", "--all", "-w", fifo, lan.console);
    const words = [process.execPath, V2, "capture", "--all", lan.console];
    return lan.shop.start("sh", ["-c", `exec "$@" > ${fifo}`, "sh", ...words]);
  }) as [Running, Running];
  for (const one of [named, given]) await until(() => one.errors().includes("captures all"));
  // More than the pipes hold, and less than the ring of the switch.
  for (let sent = 0; sent < 40; sent++) lan.send(1, frame(1, 2, 9000));
  await lan.shows("capture/list", /written 40 .*written 40 /s);
  const startMs = performance.now();
  for (const { child } of [named, given]) child.kill("SIGTERM");
  for (const one of [named, given]) {
    assert.equal(await one.ended, 0, one.errors());
    const written = Number(/: (\d+) frames written/.exec(one.errors())?.[1]);
    assert.ok(written < 40, `${written} frames of 40 written, which nobody read`);
  }
  assert.ok(performance.now() - startMs < 10_000, "it waits for a reader that stalls");
});

test("Wireshark's protocol captures a VLAN of a switch with a console", async (t) => {
  if (!has("tshark")) return t.skip(NEEDS);
  if (!has("vde_plug")) return t.skip(NEEDS_PLUG);
  const lan = await Lan.start(t);
  for (const port of [1, 2]) await lan.plug(port);
  const fifo = lan.shop.path("fifo");
  assert.equal(spawnSync("mkfifo", [fifo]).status, 0);
  const words = ["--capture", "--extcap-interface", `vde:${lan.directory}`, "--fifo", fifo];
  const more = ["--port", "0", "--vlan", "0", "--direction", "out"];
  const capture = lan.shop.v2("extcap", ...words, ...more, "--extcap-version=4.0");
  const reader = lan.shop.start("sh", ["-c", `cat ${fifo} > ${lan.shop.path("read.pcapng")}`]);
  await until(() => capture.errors().includes("captures vlan 0"));
  lan.send(1, frame(1, 0, 100));
  await lan.hears(2, frame(1, 0, 100));
  const path = lan.shop.path("read.pcapng");
  await until(() => readFileSync(path).includes(frame(1, 0, 100)));
  capture.child.kill("SIGTERM");
  assert.equal(await capture.ended, 0, capture.errors());
  await reader.ended;
  assert.deepEqual(fields(path, "frame.interface_name", "frame.len"), ["port 2,100"]);
  const asked = lan.shop.v2("extcap", "--extcap-config", "--extcap-interface", "vde:/x");
  assert.equal(await asked.ended, 0);
  assert.match(asked.output().toString(), /^arg \{number=2\}\{call=--direction\}/m);
});

test("a mirror gives a port copies of both ways of another, as on the wire, and nothing else", async (t) => {
  if (!has("tshark")) return t.skip(NEEDS);
  if (!has("vde_plug")) return t.skip(NEEDS_PLUG);
  const lan = await Lan.start(t);
  for (const port of [1, 2, 3, 4]) await lan.plug(port);
  await lan.tell("vlan/create 10", "port/setvlan 1 10", "vlan/addport 10 2", "port/mirror 2 4");
  const watch = lan.shop.path("monitor.pcapng");
  await lan.tell(`capture/start ${watch} port 4 out`);
  lan.send(1, frame(1, 0, 100));
  await lan.hears(4, frame(1, 0, 104, 10));
  lan.send(2, frame(2, 0, 114, 10));
  await lan.hears(1, frame(2, 0, 110));
  lan.send(3, frame(3, 0, 120));
  await lan.hears(2, frame(3, 0, 120));
  await lan.shows(
    "mirror/list",
    /Mirror of port 2 both to port 4: copied 3 dropped full=0 absent=0/,
  );
  await lan.tell("capture/stop 1");
  assert.deepEqual(fields(watch, "eth.src", "frame.len", "vlan.id"), [
    "02:00:00:00:00:01,104,10",
    "02:00:00:00:00:02,114,10",
    "02:00:00:00:00:03,120,",
  ]);
  // A target is out of the traffic: what its station says goes nowhere.
  lan.send(4, frame(4, 0, 130));
  await lan.shows("json ports", /"port":4,[^{]*[^}]*}[^}]*"suspended":1/);
  assert.ok(!lan.heard(3).includes(framed(frame(4, 0, 130))));
  assert.doesNotMatch(await lan.tell("port/print 4"), /SUSPENDED|mirror/);
  await lan.tell("port/unmirror 2");
  lan.send(4, frame(4, 0, 140));
  await lan.hears(3, frame(4, 0, 140));
});

test("a mirror of a VLAN copies what enters; one that goes in a circle is refused", async (t) => {
  if (!has("vde_plug")) return t.skip(NEEDS_PLUG);
  const lan = await Lan.start(t);
  for (const port of [1, 2, 3]) await lan.plug(port);
  await lan.tell("vlan/mirror 0 3 in");
  for (const port of [1, 2]) lan.send(port, frame(port, 0, 100));
  for (const port of [1, 2]) await lan.hears(3, frame(port, 0, 100));
  assert.equal(lan.heard(3).length, 2 * 102, "each once");
  await lan.refuse("port/mirror 3 2", /1016 Device or resource busy/);
  await lan.tell("port/mirror 1 3 out");
  await lan.refuse("port/mirror 2 1", /1016 Device or resource busy/);
  await lan.refuse("port/mirror 2 2", /1022 Invalid argument/);
  await lan.refuse("port/mirror 2", /1022 Invalid argument/);
  await lan.refuse("port/mirror 2 3 sideways", /1022 Invalid argument/);
  await lan.refuse("port/mirror 9 3", /1006 No such device/);
  await lan.refuse("vlan/mirror 9 3", /1006 No such device/);
  await lan.refuse("vlan/unmirror 0 2", /1002 No such file/);
  await lan.tell("vlan/unmirror 0 3");
  assert.match(await lan.tell("json mirrors"), /\[{"port":1,"direction":"out","target":3,/);
});

test("a mirror's target that does not read makes nobody wait, and its losses are counted", async (t) => {
  if (!has("vde_plug")) return t.skip(NEEDS_PLUG);
  const lan = await Lan.start(t);
  for (const port of [1, 2, 3]) await lan.plug(port);
  lan.send(2, frame(2, 0, 100));
  await lan.hears(1, frame(2, 0, 100));
  await lan.tell("port/mirror 1 3");
  lan.stop(3);
  for (let round = 0; round < 40; round++) {
    for (let sent = 0; sent < 100; sent++) lan.send(1, frame(1, 2, 1000));
    const mark = frame(1, 2, 200 + round);
    lan.send(1, mark);
    await lan.hears(2, mark);
  }
  await lan.shows("mirror/list", /dropped full=\d+ absent=\d*[1-9]|dropped full=[1-9]/);
  const metrics = await lan.tell("metrics");
  assert.match(
    metrics,
    /vde_mirror_dropped_frames_total{source="port 1",target="3",reason="full"}/,
  );
  assert.match(metrics, /vde_port_dropped_frames_total{port="2",reason="full"} 0\n/);
  assert.match(metrics, /vde_port_dropped_frames_total{port="2",reason="stuck"} 0\n/);
  lan.goOn(3);
});
