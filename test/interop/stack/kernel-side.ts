/**
 * Runs inside a network namespace of its own (started by stack-kernel.test.ts): a stack on a TAP
 * device, the kernel's TCP at its other end, and real octets between them, counted and hashed.
 * Prints one JSON object: what was done, and what did not come out right.
 *
 * Arguments: MTU, "offload" or "plain", seed of the impairments or 0 for none.
 */
import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { AF, ANY_IPV6, IpAddress, SO, SOCK, SOL, waiting } from "../../../src/lwipv6/index.ts";
import { StackHost, StackStream, TapEnd } from "../../../src/plugs/index.ts";

const [mtuText = "1500", kind = "plain", most = "1000000"] = process.argv.slice(2);
const mtu = Number(mtuText);
const OCTETS = Number(most);
const KERNEL = { 4: "10.99.0.1", 6: "fd99::1" } as const;
const STACK = { 4: "10.99.0.2", 6: "fd99::2" } as const;
const PORT = 7000;
const done: string[] = [];
const wrong: string[] = [];

function ip(...words: string[]): void {
  const { status, stderr } = spawnSync("ip", words, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${words.join(" ")}: ${stderr}`);
}

const end = new TapEnd("tap0", kind === "offload");
ip("link", "set", "lo", "up");
ip("addr", "add", `${KERNEL[4]}/24`, "dev", "tap0");
if (mtu >= 1280) ip("-6", "addr", "add", `${KERNEL[6]}/64`, "dev", "tap0", "nodad");
ip("link", "set", "tap0", "mtu", String(mtu), "up");
const six = mtu >= 1280 ? `,ip=${STACK[6]}/64` : "";
const host = await StackHost.open(`ip=${STACK[4]}/24${six},mtu=${mtu}`, { end, name: "stack" });
const { sockets } = host;
const families = mtu >= 1280 ? ([4, 6] as const) : ([4] as const);

const hash = (octets: Uint8Array): string => createHash("sha256").update(octets).digest("hex");

/** Everything up to the end; the other direction stays open. */
async function readAll(stream: Duplex): Promise<Buffer> {
  const parts: Buffer[] = [];
  stream.on("data", (part: Buffer) => parts.push(part));
  await once(stream, "end");
  return Buffer.concat(parts);
}

async function check(name: string, isRight: () => Promise<boolean>): Promise<void> {
  done.push(name);
  try {
    if (!(await isRight())) wrong.push(name);
  } catch (error) {
    wrong.push(`${name}: ${(error as Error).message}`);
  }
}

async function stackConnect(to: string, port: number): Promise<StackStream> {
  const fd = sockets.socket(AF.inet6, SOCK.stream);
  await waiting.connect(sockets, fd, { address: IpAddress.parse(to), port });
  return new StackStream(sockets, fd);
}

function stackListen(port: number, backlog: number): number {
  const fd = sockets.socket(AF.inet6, SOCK.stream);
  sockets.bind(fd, { address: ANY_IPV6, port });
  sockets.listen(fd, backlog);
  return fd;
}

/** A server of the kernel that answers everything it has read with its hash, after the end. */
async function kernelServer(handle: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, handle).listen(PORT, "::");
  await once(server, "listening");
  return server;
}

function answerHash(socket: Socket): void {
  void readAll(socket).then((octets) => socket.end(hash(octets)));
}

const echo = await kernelServer(answerHash);
const listener = stackListen(PORT, 128);
void (async () => {
  for (;;) {
    const stream = new StackStream(sockets, await waiting.accept(sockets, listener));
    stream.on("error", () => {});
    void readAll(stream).then(
      (octets) => stream.end(hash(octets)),
      () => {},
    );
  }
})();

for (const family of families) {
  const data = randomBytes(OCTETS);
  await check(
    `IPv${family}: ${OCTETS} octets to the kernel, and a hash back after the end`,
    async () => {
      const stream = await stackConnect(KERNEL[family], PORT);
      stream.end(data);
      return (await readAll(stream)).toString() === hash(data);
    },
  );
  await check(
    `IPv${family}: ${OCTETS} octets from the kernel, and a hash back after the end`,
    async () => {
      const socket = connect({ port: PORT, host: STACK[family], allowHalfOpen: true });
      socket.end(data);
      return (await readAll(socket)).toString() === hash(data);
    },
  );
  for (const count of [8, 64]) {
    const part = data.subarray(0, Math.floor(OCTETS / count));
    await check(`IPv${family}: ${count} connections at once, both ways`, async () => {
      const all = Array.from({ length: count }, async (_, i) => {
        const isOurs = i % 2 === 0;
        const stream = isOurs
          ? await stackConnect(KERNEL[family], PORT)
          : connect({ port: PORT, host: STACK[family], allowHalfOpen: true });
        stream.end(part);
        return (await readAll(stream)).toString() === hash(part);
      });
      return (await Promise.all(all)).every(Boolean);
    });
  }
  await check(`IPv${family}: a port where nobody listens refuses, on both sides`, async () => {
    const ours = await stackConnect(KERNEL[family], 9).then(
      () => "connected",
      (error: { code?: string }) => error.code,
    );
    const theirs = connect({ port: 9, host: STACK[family] });
    const [error] = (await once(theirs, "error")) as [{ code?: string }];
    return ours === "ECONNREFUSED" && error.code === "ECONNREFUSED";
  });
  await check(`IPv${family}: a connection closed without waiting (linger 0) is reset`, async () => {
    const fd = sockets.socket(AF.inet6, SOCK.stream);
    const server = createServer().listen(PORT + 1, "::");
    await once(server, "listening");
    const accepted = once(server, "connection") as Promise<[Socket]>;
    await waiting.connect(sockets, fd, {
      address: IpAddress.parse(KERNEL[family]),
      port: PORT + 1,
    });
    const [socket] = await accepted;
    sockets.setOption(fd, SOL.socket, SO.linger, 0);
    sockets.close(fd);
    const [error] = (await once(socket, "error")) as [{ code?: string }];
    server.close();
    return error.code === "ECONNRESET";
  });
  await check(
    `IPv${family}: datagrams of every length, in fragments where they must be`,
    async () => {
      const fd = sockets.socket(AF.inet6, SOCK.datagram);
      sockets.bind(fd, { address: ANY_IPV6, port: 5353 });
      const socket = createSocket(family === 4 ? "udp4" : "udp6");
      for (const octets of [0, 1, mtu - 100, mtu + 1, 20_000].filter((length) => length < 65_507)) {
        const sent = randomBytes(octets);
        socket.send(sent, 5353, STACK[family]);
        const into = new Uint8Array(65_536);
        const signal = AbortSignal.timeout(5000);
        const { count, from } = await waiting.receiveFrom(sockets, fd, into, signal);
        if (count !== octets || hash(into.subarray(0, count)) !== hash(sent)) return false;
        const back = once(socket, "message", { signal }) as Promise<[Buffer]>;
        sockets.send(fd, into, 0, from, 0, count);
        if (hash((await back)[0]) !== hash(sent)) return false;
      }
      socket.close();
      sockets.close(fd);
      return true;
    },
  );
}
const shorts = Number(process.argv[5] ?? 500);
await check(`${shorts} short connections, one after the other`, async () => {
  for (let i = 0; i < shorts; i++) {
    const stream = await stackConnect(KERNEL[4], PORT);
    stream.end("x");
    if ((await readAll(stream)).toString() !== hash(Buffer.from("x"))) return false;
  }
  return true;
});
echo.close();
const counters = Object.fromEntries(host.stack.core.counters.all());
process.stdout.write(`${JSON.stringify({ done, wrong, counters })}\n`);
process.exit(0);
