import assert from "node:assert/strict";
import { once } from "node:events";
import { Socket } from "node:net";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { V2Error } from "../../base/index.ts";
import { unixSocketPair } from "../../sys/index.ts";
import { CONTROL_LINE_OCTETS_MAX } from "../../viewos/index.ts";
import { ControlClient } from "./control-client.ts";
import { CONTROL_CONNECTIONS_MAX, ConnectionCount } from "./control-door.ts";
import { ControlServer } from "./control-server.ts";
import { SharedSettings } from "./shared-settings.ts";

const CALLER = { pid: 1, view: 1 };

function connected(server: ControlServer, count: ConnectionCount): ControlClient {
  assert.ok(count.take());
  const [ours, theirs] = unixSocketPair("stream", true);
  server.serve(theirs, CALLER);
  return new ControlClient(ours);
}

function rawSocket(server: ControlServer, count: ConnectionCount): Socket {
  assert.ok(count.take());
  const [ours, theirs] = unixSocketPair("stream", true);
  server.serve(theirs, CALLER);
  return new Socket({ fd: ours, readable: true, writable: true });
}

test("operations answer with values, with errors of their own, and with bugs", async () => {
  const count = new ConnectionCount();
  const server = new ControlServer(count);
  server.register("add", ({ a, b }) => Number(a) + Number(b));
  server.register("who", (_, { pid, view, connection }) => {
    return { pid, view, connected: !connection.aborted };
  });
  server.register("refuse", () => {
    throw new V2Error("EBUSY", "in use", { remedy: "wait" });
  });
  server.register("slip", () => Promise.reject(new TypeError("a slip")));
  server.register("nothing", () => undefined);
  server.register("ring", () => 1n);
  using client = connected(server, count);
  const answers = [client.ask("add", { a: 1, b: 2 }), client.ask("add", { a: 3, b: 4 })];
  assert.deepEqual(await Promise.all(answers), [3, 7]);
  assert.deepEqual(await client.ask("who"), { pid: 1, view: 1, connected: true });
  assert.equal(await client.ask("nothing"), null);
  await assert.rejects(client.ask("refuse"), { code: "EBUSY", message: "in use", remedy: "wait" });
  await assert.rejects(client.ask("slip"), { code: "BUG", message: "a slip" });
  await assert.rejects(client.ask("ring"), { code: "BUG" });
  await assert.rejects(client.ask("constructor"), { code: "NO_OPERATION" });
  assert.throws(() => server.register("add", () => 0), /twice/);
});

test("a slow operation holds up only the connection that asked for it", async () => {
  const count = new ConnectionCount();
  const server = new ControlServer(count);
  let finish = (): void => {};
  server.register("slow", () => new Promise<void>((resolve) => (finish = resolve)));
  server.register("fast", () => "fast");
  using first = connected(server, count);
  using second = connected(server, count);
  const slow = first.ask("slow");
  assert.equal(await second.ask("fast"), "fast");
  finish();
  await slow;
});

test("what waits fails when the server ends, and so does what is asked later", async () => {
  const count = new ConnectionCount();
  const server = new ControlServer(count);
  server.register("never", () => new Promise(() => {}));
  using client = connected(server, count);
  const waiting = assert.rejects(client.ask("never"), { code: "SUPERVISOR_GONE" });
  await new Promise((resolve) => setImmediate(resolve));
  server.close();
  await waiting;
  await assert.rejects(client.ask("never"), { code: "SUPERVISOR_GONE" });
});

test("nonsense is answered, a line without end ends the connection, and its place is free again", async () => {
  const count = new ConnectionCount();
  const server = new ControlServer(count);
  const socket = rawSocket(server, count).setEncoding("utf8");
  let text = "";
  socket.on("data", (piece: string) => (text += piece));
  socket.on("error", () => {});
  socket.write("hello\n");
  await once(socket, "data");
  assert.match(text, /^\{"id":0,"ok":false,"error":\{"code":"REQUEST"/);
  socket.write("x".repeat(CONTROL_LINE_OCTETS_MAX + 1));
  await once(socket, "close");
  assert.match(text, /LINE_TOO_LONG/);
  for (let i = 0; server.size > 0 && i < 1000; i++) await new Promise((r) => setImmediate(r));
  assert.equal(server.size, 0);
});

test("connections are counted up to their limit", () => {
  const count = new ConnectionCount();
  const other = new ConnectionCount(count.memory);
  for (let i = 0; i < CONTROL_CONNECTIONS_MAX; i++) assert.ok((i % 2 === 0 ? count : other).take());
  assert.equal(count.take() || other.take(), false);
  other.release();
  assert.deepEqual([count.take(), count.take()], [true, false]);
});

test("a client that hangs up in the middle of an operation leaves nothing behind", async () => {
  const count = new ConnectionCount();
  const server = new ControlServer(count);
  let finish = (): void => {};
  const asked = new Promise<void>((resolve) => {
    server.register("slow", () => {
      resolve();
      return new Promise<void>((done) => (finish = done));
    });
  });
  const socket = rawSocket(server, count);
  socket.write('{"id":1,"op":"slow"}\n{"id":2,"op":"slow"}\n');
  await asked;
  socket.destroy();
  finish();
  for (let i = 0; server.size > 0 && i < 1000; i++) await new Promise((r) => setImmediate(r));
  assert.equal(server.size, 0);
});

test("settings are read by another thread as they were last written, never in between", async () => {
  interface Pair {
    readonly first: number;
    readonly second: number;
    readonly filling: string;
  }
  const initial: Pair = { first: 0, second: 0, filling: "" };
  const settings = new SharedSettings(initial);
  const module = new URL("./shared-settings.js", import.meta.url).href;
  const reader = new Worker(
    `const { parentPort, workerData } = require("node:worker_threads");
     import(${JSON.stringify(module)}).then(({ SharedSettings }) => {
       const settings = new SharedSettings({ first: 0, second: 0 }, workerData);
       let last = 0, torn = 0;
       while (last < 2000) {
         const { first, second } = settings.value;
         if (first !== second || first < last) torn++;
         last = first;
       }
       parentPort.postMessage(torn);
     });`,
    { eval: true, workerData: settings.memory },
  );
  const verdict = once(reader, "message");
  await once(reader, "online");
  for (let i = 1; i <= 2000; i++) {
    settings.write({ first: i, second: i, filling: "x".repeat(i % 500) });
  }
  assert.deepEqual(await verdict, [0]);
  assert.throws(() => settings.write({ ...initial, filling: "x".repeat(20_000) }), {
    code: "TOO_MUCH",
  });
});
