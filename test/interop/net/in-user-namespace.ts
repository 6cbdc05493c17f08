/**
 * Runs inside a user namespace (started by namespace-cable.test.ts through unshare(1)): two network
 * namespaces, a cable between them, and real programs at both sides. Prints one JSON object.
 *
 * Arguments: tap|veth, MTU.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { FramePool } from "../../../src/base/index.ts";
import type { NamespaceCableVia } from "../../../src/plugs/index.ts";
import {
  createNetworkNamespace,
  inNetworkNamespace,
  Netlink,
  PacketSocket,
  transmitOffloads,
} from "../../../src/sys/index.ts";
import type { PumpData } from "./pump.ts";

const via = process.argv[2] as NamespaceCableVia;
const mtu = Number(process.argv[3]);
const octets = Number(process.argv[4] ?? 16) * 1024 * 1024;
const left = createNetworkNamespace();
const right = createNetworkNamespace();
const stop = new SharedArrayBuffer(4);
const data: PumpData = {
  ends: [
    {
      namespace: { fd: left },
      addresses: ["10.77.0.1/24", "fd77::1/64"],
      macName: "left",
      mtu,
      via,
    },
    {
      namespace: { fd: right },
      addresses: ["10.77.0.2/24", "fd77::2/64"],
      gateway: "10.77.0.1",
      macName: "right",
      mtu,
      via,
    },
  ],
  stop,
};

/** A child lives in the namespaces of the thread that forks it. */
function start(namespace: number, argv: readonly string[]): ChildProcess {
  return inNetworkNamespace(namespace, () =>
    spawn(argv[0]!, argv.slice(1), { stdio: ["ignore", "pipe", "inherit"] }),
  );
}

async function run(namespace: number, argv: readonly string[]): Promise<string> {
  const child = start(namespace, argv);
  let text = "";
  child.stdout!.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`${argv.join(" ")} ended with ${code}: ${text}`);
  return text;
}

async function ping(address: string, ...options: readonly string[]): Promise<boolean> {
  const text = await run(left, ["ping", "-c", "3", "-i", "0.05", "-W", "2", ...options, address]);
  return text.includes("3 received");
}

const SERVER = `
const { createServer } = require("node:net");
const { createHash } = require("node:crypto");
const server = createServer((socket) => {
  const hash = createHash("sha256"); let octets = 0;
  socket.on("data", (chunk) => { hash.update(chunk); octets += chunk.length; });
  socket.on("end", () => { console.log(octets + " " + hash.digest("hex")); server.close(); });
}).listen(9000, "::", () => console.log("listening"));`;
const CLIENT = `
const { connect } = require("node:net");
const { createHash, randomBytes } = require("node:crypto");
const block = randomBytes(65536), hash = createHash("sha256");
let left = Number(process.argv[2]) / block.length; const started = performance.now();
const socket = connect(9000, process.argv[1], function push() {
  while (left > 0) {
    left--;
    hash.update(block);
    if (!socket.write(block)) return socket.once("drain", push);
  }
  socket.end();
});
socket.on("close", () => console.log(hash.digest("hex") + " " + (performance.now() - started)));`;

/** Sends random octets over TCP; @returns whether they arrived, and megabits per second. */
async function transfer(address: string): Promise<{ isEqual: boolean; megabitsPerSecond: number }> {
  const server = start(right, [process.execPath, "-e", SERVER]);
  let received = "";
  await new Promise<void>((resolve) => {
    server.stdout!.on("data", (chunk: Buffer) => {
      received += chunk.toString();
      if (received.includes("listening")) resolve();
    });
  });
  const sent = run(left, [process.execPath, "-e", CLIENT, address, String(octets)]);
  await once(server, "close");
  const [hash, milliseconds] = (await sent).trim().split(" ") as [string, string];
  return {
    isEqual: received.includes(`${octets} ${hash}`),
    megabitsPerSecond: Math.round((octets * 8) / Number(milliseconds) / 1000),
  };
}

/** Sends raw tagged frames from left to right; @returns those that arrived octet for octet. */
async function sendTagged(): Promise<number> {
  const [sender, receiver] = [left, right].map((namespace) =>
    inNetworkNamespace(namespace, () => {
      using netlink = new Netlink();
      return new PacketSocket(netlink.link("eth0").index, 8, 4096);
    }),
  ) as [PacketSocket, PacketSocket];
  const pool = new FramePool(16);
  const frames = ["81000007", "8100e007", "88a80007"].map((tag, i) => {
    const frame = new Uint8Array(100).fill(i + 1);
    frame.set([255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1]);
    frame.set(Buffer.from(`${tag}88b5`, "hex"), 12);
    return frame;
  });
  const slots = Int32Array.from(frames, () => pool.take());
  for (const [i, frame] of frames.entries()) {
    const slot = slots[i]!;
    pool.length[slot] = frame.length;
    pool.frame(slot).set(frame);
  }
  sender.send(pool, slots, 0, frames.length);
  const arrived: Uint8Array[] = [];
  for (let tries = 0; tries < 200 && arrived.length < frames.length; tries++) {
    const free = Int32Array.from({ length: 8 }, () => pool.take());
    const count = receiver.receive(pool, free, free.length);
    for (let i = 0; i < count; i++) arrived.push(pool.frame(free[i]!).slice());
    for (const slot of free) pool.release(slot);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  sender.close();
  receiver.close();
  return frames.filter((frame) => arrived.some((other) => Buffer.compare(frame, other) === 0))
    .length;
}

const worker = new Worker(new URL("pump.js", import.meta.url), { workerData: data });
await once(worker, "message");
const offloads = inNetworkNamespace(left, () => transmitOffloads("eth0"));
const links = inNetworkNamespace(right, () => {
  using netlink = new Netlink();
  return { links: netlink.links(), addresses: netlink.addresses().map((a) => a.text) };
});
const result: { [name: string]: unknown } = {
  ...links,
  offloads,
  ping4: await ping("10.77.0.2"),
  ping6: await ping("fd77::2"),
  pingLarge: await ping("10.77.0.2", "-M", "do", "-s", String(mtu - 28)),
  routes: await run(right, ["ip", "route"]),
  tcp4: await transfer("10.77.0.2"),
  tcp6: await transfer("fd77::2"),
};
result["tagged"] = await sendTagged();
const finished = once(worker, "message");
Atomics.store(new Int32Array(stop), 0, 1);
[result["pump"]] = await finished;
result["linksAfterClose"] = inNetworkNamespace(left, () => {
  using netlink = new Netlink();
  return netlink.links().map((link) => link.name);
});
writeSync(1, JSON.stringify(result));
