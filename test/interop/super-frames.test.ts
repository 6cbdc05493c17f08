// time limit: 240 s
/**
 * TCP through cables that carry super-frames and cables that do not, in every mixture: what comes
 * back from an echo must be what was sent, whoever cuts the segments.
 */
import assert from "node:assert/strict";
import { accessSync, constants } from "node:fs";
import { test, type TestContext } from "node:test";
import { has, type Running, until, V2, Workshop } from "./vde-peers.ts";

const OCTETS = 6 << 20;

const SERVER = `
const { createServer } = require("node:net");
createServer({ allowHalfOpen: true }, (s) => { s.pipe(s); s.on("error", () => {}); })
  .listen(9000, "::", () => console.log("listening"));`;
const CLIENT = `
const { connect } = require("node:net");
const { createHash, randomBytes } = require("node:crypto");
const block = randomBytes(1 << 16), sent = createHash("sha256"), got = createHash("sha256");
let left = ${OCTETS} / block.length;
const socket = connect(9000, process.argv[1], function push() {
  while (left > 0) {
    left--;
    sent.update(block);
    if (!socket.write(block)) return socket.once("drain", push);
  }
  socket.end();
});
socket.on("data", (octets) => got.update(octets));
socket.on("error", (error) => { console.log(error.message); process.exit(1); });
socket.on("end", () => {
  console.log(sent.digest("hex") === got.digest("hex") ? "equal" : "differs");
});`;

function missing(): string | undefined {
  if (!has("vde_plug2tap")) return "needs vde_plug2tap: apt install vde2";
  if (!has("ip") || !has("unshare")) return "needs ip and unshare: apt install iproute2 util-linux";
  try {
    accessSync("/dev/net/tun", constants.R_OK | constants.W_OK);
  } catch {
    return "needs /dev/net/tun: chmod 666 /dev/net/tun";
  }
  return undefined;
}

/** A host behind Debian's vde_plug2tap that echoes; 10.88.0.2 and fd88::2. */
async function debianHost(shop: Workshop, directory: string): Promise<Running> {
  const script = `vde_plug2tap -s ${directory} tap0 & plug=$!
    until ip link show tap0 2> /dev/null; do sleep 0.05; done
    ip addr add 10.88.0.2/24 dev tap0; ip addr add fd88::2/64 dev tap0 nodad
    ip link set tap0 up; "$0" -e "$1" & echo=$!
    read end; kill $plug $echo; wait $plug`;
  const words = ["-Urn", "sh", "-c", script, process.execPath, SERVER];
  const host = shop.start("unshare", words);
  await until(() => host.output().includes("listening") || host.child.exitCode !== null);
  return host;
}

/** A view of ours that echoes, with the same addresses. */
async function ourHost(shop: Workshop, directory: string, via: string): Promise<Running> {
  const net = `${directory},ip=10.88.0.2/24,ip=fd88::2/64,via=${via}`;
  const host = shop.v2("view", "--net", net, "--", process.execPath, "-e", SERVER);
  await until(() => host.output().includes("listening") || host.child.exitCode !== null);
  return host;
}

/** Sends through the echo from a view, over IPv4 and IPv6. */
async function echoes(shop: Workshop, directory: string, via: string): Promise<void> {
  for (const address of ["10.88.0.2", "fd88::2"]) {
    const net = `${directory},ip=10.88.0.1/24,ip=fd88::1/64,via=${via}`;
    const words = ["view", "--net", net, "--", process.execPath, "-e", CLIENT, address];
    const view = shop.v2(...words);
    assert.equal(await view.ended, 0, `${address}: ${view.output().toString()}${view.errors()}`);
    assert.equal(view.output().toString(), "equal\n", address);
  }
}

interface Status {
  readonly counters: {
    readonly superFramesCut: number;
    readonly superFramesLost: number;
    readonly endpoints: readonly { readonly framesIn: number; readonly octetsIn: number }[];
  };
}

/** What our switch says of itself when asked by a signal. */
async function statusOf(running: Running): Promise<Status> {
  const before = running.output().length;
  running.child.kill("SIGUSR2");
  await until(() => running.output().subarray(before).includes("\n"));
  return JSON.parse(running.output().subarray(before).toString()) as Status;
}

for (const via of ["tap", "veth"]) {
  test(`a view by ${via} and Debian's plug2tap on our switch: the switch cuts`, async (t) => {
    const reason = missing();
    if (reason !== undefined) return t.skip(reason);
    const shop = new Workshop(t);
    const { directory, running } = await shop.ourSwitch("--json");
    const host = await debianHost(shop, directory);
    assert.equal(host.child.exitCode, null, host.errors());
    await echoes(shop, directory, via);
    const { counters } = await statusOf(running);
    assert.ok(counters.superFramesCut > 100, `${counters.superFramesCut} super-frames cut`);
    assert.equal(counters.superFramesLost, 0);
    host.child.stdin!.end("\n");
    await host.ended;
    return undefined;
  });

  test(`a view by ${via} and Debian's plug2tap on Debian's switch: our plug cuts`, async (t) => {
    const reason = missing();
    if (reason !== undefined) return t.skip(reason);
    const shop = new Workshop(t);
    const { directory } = await shop.debianSwitch();
    const host = await debianHost(shop, directory);
    assert.equal(host.child.exitCode, null, host.errors());
    await echoes(shop, directory, via);
    host.child.stdin!.end("\n");
    await host.ended;
    return undefined;
  });

  test(`two views by ${via} on our switch: nobody cuts`, async (t: TestContext) => {
    const reason = missing();
    if (reason !== undefined) return t.skip(reason);
    const shop = new Workshop(t);
    const { directory, running } = await shop.ourSwitch("--json");
    const host = await ourHost(shop, directory, via);
    assert.equal(host.child.exitCode, null, host.errors());
    await echoes(shop, directory, via);
    const { counters } = await statusOf(running);
    assert.equal(counters.superFramesCut, 0);
    const [echo] = counters.endpoints;
    assert.ok(echo!.octetsIn / echo!.framesIn > 3000, "frames are longer than the MTU");
    host.child.kill("SIGTERM");
    await host.ended;
    return undefined;
  });
}

test("a persistent TAP is left as it was found: it gives no super-frames", async (t) => {
  const reason = missing();
  if (reason !== undefined) return t.skip(reason);
  const shop = new Workshop(t);
  const { directory } = await shop.ourSwitch();
  const sys = new URL("../../src/sys/index.js", import.meta.url).href;
  const look = `import { transmitOffloads } from "${sys}";
    const gives = (name) => transmitOffloads(name).tcpSegmentation;
    while (!gives("own")) await new Promise((resolve) => setTimeout(resolve, 20));
    console.log("kept gives super-frames: " + gives("kept"));`;
  // A plug that is told to end has opened its interface before it does.
  const script = `ip tuntap add mode tap name kept; ip link set kept up
    "$0" "$1" plug "$2" tap://kept & kept=$!
    until ip link show kept | grep -q LOWER_UP; do sleep 0.05; done
    kill $kept; wait $kept
    "$0" "$1" plug "$2" tap://own & own=$!
    until ip link show own 2> /dev/null; do sleep 0.05; done
    "$0" --input-type=module -e "$3"; kill $own; wait $own`;
  const words = ["-Urn", "sh", "-c", script, process.execPath, V2, directory, look];
  const host = shop.start("unshare", words);
  await host.ended;
  assert.match(host.output().toString(), /^kept gives super-frames: false$/m, host.errors());
  return undefined;
});
