/**
 * Captures of running switches, read by tshark, and the protocol by which Wireshark asks for them.
 */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { test, type TestContext } from "node:test";
import { type Running, until, V2, Workshop, broadcast, framed, has } from "./vde-peers.ts";

const NEEDS = "needs tshark: apt install tshark";
const NEEDS_PEERS = "needs vde_switch: apt install vde2";

/** Broadcasts of a length from station 1, again and again until the test ends. */
function talk(t: TestContext, plug: Running, length: number): void {
  const timer = setInterval(() => plug.child.stdin!.write(framed(broadcast(length))), 20);
  t.after(() => clearInterval(timer));
}

/** What tshark reads from a capture: source, length. */
function read(shop: Workshop, octets: Uint8Array): readonly string[] {
  const file = shop.path("read.pcapng");
  writeFileSync(file, octets);
  const words = [
    "-r",
    file,
    "-T",
    "fields",
    "-E",
    "separator=,",
    "-e",
    "eth.src",
    "-e",
    "frame.len",
  ];
  const { stdout } = spawnSync("tshark", words, { encoding: "utf8" });
  return stdout.trimEnd().split("\n");
}

for (const kind of ["ours", "debian"] as const) {
  test(`a capture of the switch ${kind} is read by tshark`, async (t) => {
    if (!has("tshark")) return t.skip(NEEDS);
    if (!has("vde_switch")) return t.skip(NEEDS_PEERS);
    const shop = new Workshop(t);
    const made = await (kind === "ours" ? shop.ourSwitch() : shop.debianSwitch());
    talk(t, shop.v2("plug", made.directory), 100);
    const capture = shop.v2("capture", "--count", "3", made.directory);
    assert.equal(await capture.ended, 0, capture.errors());
    assert.deepEqual(read(shop, capture.output()), Array(3).fill("02:00:00:00:00:01,100"));
    assert.match(capture.errors(), /3 frames written, 0 dropped/);
  });
}

test("a capture in the port of another cable sees what is sent to that cable", async (t) => {
  if (!has("tshark")) return t.skip(NEEDS);
  const shop = new Workshop(t);
  const { directory } = await shop.ourSwitch();
  const sink = shop.v2("plug", "--port", "5", directory);
  // The switch learns that station 2 is in port 5.
  const timer = setInterval(() => sink.child.stdin!.write(framed(broadcast(60, 2))), 20);
  t.after(() => clearInterval(timer));
  const source = shop.v2("plug", directory);
  await until(() => source.output().includes(framed(broadcast(60, 2))));
  const frame = broadcast(200, 1);
  frame.set([2, 0, 0, 0, 0, 2], 0);
  const sending = setInterval(() => source.child.stdin!.write(framed(frame)), 20);
  t.after(() => clearInterval(sending));
  const words = ["capture", "--count", "2", "--host", "02:00:00:00:00:02", `${directory}[5]`];
  const capture = shop.v2(...words);
  assert.equal(await capture.ended, 0, capture.errors());
  assert.deepEqual(read(shop, capture.output()), Array(2).fill("02:00:00:00:00:01,200"));
});

test("a filter keeps frames of other stations and types out", async (t) => {
  if (!has("tshark")) return t.skip(NEEDS);
  const shop = new Workshop(t);
  const { directory } = await shop.ourSwitch();
  talk(t, shop.v2("plug", directory), 100);
  const capture = (...words: string[]): Running => shop.v2("capture", ...words, directory);
  const none = capture("--type", "arp", "-w", shop.path("none.pcapng"));
  const some = capture("--type", "0x88b5", "--host", "02:00:00:00:00:01", "-c", "2");
  assert.equal(await some.ended, 0, some.errors());
  assert.equal(read(shop, some.output()).length, 2);
  none.child.kill("SIGINT");
  assert.equal(await none.ended, 0);
  assert.match(none.errors(), /0 frames written/);
});

test("a capture ends when its reader leaves, and with its switch", async (t) => {
  const shop = new Workshop(t);
  const { directory, running } = await shop.ourSwitch();
  talk(t, shop.v2("plug", directory), 100);
  const left = shop.v2("capture", directory);
  await until(() => left.output().length > 0);
  left.child.stdout!.destroy();
  assert.equal(await left.ended, 0);
  const file = shop.v2("capture", "-w", shop.path("lan.pcapng"), directory);
  await until(() => file.errors().includes("plugged"));
  running.child.kill("SIGTERM");
  assert.equal(await file.ended, 0);
});

test("what cannot be captured is said", async (t) => {
  const shop = new Workshop(t);
  const nowhere = shop.v2("capture", "-w", shop.path("x"), shop.path("nowhere"));
  assert.equal(await nowhere.ended, 1);
  assert.match(nowhere.errors(), /no switch at/);
  const { directory } = await shop.ourSwitch();
  const badHost = shop.v2("capture", "-w", shop.path("y"), "--host", "x", directory);
  assert.equal(await badHost.ended, 2);
  assert.match(badHost.errors(), /'x' is no MAC address/);
  const noFolder = shop.v2("capture", "-w", shop.path("no/such/file"), directory);
  assert.equal(await noFolder.ended, 1);
});

test("Wireshark's questions are answered: interfaces, link types, options", async (t) => {
  const shop = new Workshop(t);
  const { directory } = await shop.ourSwitch();
  const ask = async (...words: string[]): Promise<string> => {
    const asked = shop.v2("extcap", ...words, "--extcap-version=4.0");
    assert.equal(await asked.ended, 0, asked.errors());
    return asked.output().toString();
  };
  const name = `vde:${directory}`;
  const interfaces = await ask("--extcap-interfaces");
  assert.match(interfaces, /^extcap \{version=/);
  assert.ok(interfaces.includes(`interface {value=${name}}{display=VDE switch ${directory}}\n`));
  assert.equal(
    await ask("--extcap-dlts", "--extcap-interface", name),
    "dlt {number=1}{name=EN10MB}{display=Ethernet}\n",
  );
  assert.match(
    await ask("--extcap-config", "--extcap-interface", name),
    /^arg \{number=0\}\{call=--port\}.*\{type=integer\}/,
  );
  const foreign = shop.v2("extcap", "--extcap-dlts", "--extcap-interface", "eth0");
  assert.equal(await foreign.ended, 3);
});

test("a capture into the FIFO that Wireshark gives is read from its beginning", async (t) => {
  if (!has("tshark")) return t.skip(NEEDS);
  const shop = new Workshop(t);
  const { directory } = await shop.ourSwitch();
  talk(t, shop.v2("plug", directory), 100);
  const fifo = shop.path("fifo");
  spawnSync("mkfifo", [fifo]);
  const words = ["--capture", "--extcap-interface", `vde:${directory}`, "--fifo", fifo];
  const capture = shop.v2("extcap", ...words, "--extcap-capture-filter", "");
  const reader = shop.start("cat", [fifo]);
  await until(() => reader.output().length > 1000 || capture.child.exitCode !== null);
  reader.child.kill("SIGTERM");
  assert.equal(await capture.ended, 0, capture.errors());
  assert.equal(read(shop, reader.output())[0], "02:00:00:00:00:01,100");
});

test("tshark lists the switch as an interface and captures from it", async (t) => {
  if (!has("tshark")) return t.skip(NEEDS);
  // Wireshark looks for no programs of a user when root runs it; the protocol is tried above.
  if (process.getuid?.() === 0) return;
  const shop = new Workshop(t);
  const { directory } = await shop.ourSwitch();
  talk(t, shop.v2("plug", directory), 100);
  const env = { ...process.env, HOME: shop.place, XDG_CONFIG_HOME: shop.path("settings") };
  const installed = spawnSync(process.execPath, [V2, "extcap", "--install"], { env });
  assert.equal(installed.status, 0);
  assert.ok(existsSync(shop.path("settings/wireshark/extcap/v2-extcap")));
  const fields = ["-T", "fields", "-e", "eth.src", "-e", "frame.len", "-E", "separator=,"];
  const child = spawn("tshark", ["-i", `vde:${directory}`, "-c", "3", ...fields], { env });
  let [output, errors] = ["", ""];
  child.stderr.on("data", (octets: Buffer) => (errors += octets.toString()));
  child.stdout.on("data", (octets: Buffer) => (output += octets.toString()));
  const [code] = (await once(child, "close")) as [number];
  // Some installations of tshark start no extcap program: that is theirs to tell.
  if (code !== 0) return t.diagnostic(`tshark ended with ${code}: ${errors}`);
  assert.equal(output, "02:00:00:00:00:01,100\n".repeat(3));
});
