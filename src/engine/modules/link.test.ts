import assert from "node:assert/strict";
import { once } from "node:events";
import { createConnection, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { MessageChannel } from "node:worker_threads";
import { V2Error } from "../../base/index.ts";
import { type Link, LINK_LINE_OCTETS_MAX, type LinkHandler, portLink, socketLink } from "./link.ts";

/** Two links joined by a socket, and what closes them. */
async function overSocket(one: LinkHandler, other: LinkHandler) {
  const path = join(tmpdir(), `v2-link-${process.pid}-${Math.trunc(performance.now() * 1000)}`);
  const server = createServer().listen(path);
  await once(server, "listening");
  const client = createConnection(path);
  const [served] = (await once(server, "connection")) as [Socket];
  const links: [Link, Link] = [socketLink(client, one), socketLink(served, other)];
  const close = (): void => {
    client.destroy();
    served.destroy();
    server.close();
  };
  return { links, client, [Symbol.dispose]: close };
}

const echo: LinkHandler = (_, { value }) => value;
const silent: LinkHandler = () => {};

test("both sides ask, and octets arrive as octets", async () => {
  using made = await overSocket(echo, (op) => `${op}!`);
  const [one, other] = made.links;
  const value = { octets: Uint8Array.of(0, 255, 10), buffer: Buffer.from("hi"), none: null };
  assert.deepEqual(await other.ask("any", { value }), {
    octets: Uint8Array.of(0, 255, 10),
    buffer: Uint8Array.of(0x68, 0x69),
    none: null,
  });
  assert.deepEqual(await Promise.all([one.ask("a"), one.ask("b")]), ["a!", "b!"]);
  assert.equal(await other.ask("nothing", {}), undefined);
});

test("an error arrives with its code and remedy, whatever was thrown", async () => {
  const errors: { readonly [op: string]: unknown } = {
    known: new V2Error("EACCES", "no", { remedy: "ask" }),
    text: "only text",
    nothing: undefined,
  };
  using made = await overSocket(silent, (op) => {
    throw errors[op];
  });
  const [one] = made.links;
  await assert.rejects(one.ask("known"), { code: "EACCES", message: "no", remedy: "ask" });
  await assert.rejects(one.ask("text"), { code: "FAILED", message: "only text" });
  await assert.rejects(one.ask("nothing"), { code: "FAILED" });
});

test("what is too long fails alone; the link goes on", async () => {
  const huge = "x".repeat(LINK_LINE_OCTETS_MAX);
  using made = await overSocket(silent, (op) => (op === "huge" ? huge : "small"));
  const [one] = made.links;
  await assert.rejects(one.ask("huge"), { code: "EFBIG" });
  await assert.rejects(one.ask("small", { huge }), { code: "EFBIG" });
  assert.equal(await one.ask("small"), "small");
});

test("a question that is taken back aborts its answer", async () => {
  const { port1, port2 } = new MessageChannel();
  const aborted = new Promise<void>((resolve) => {
    portLink(port2, (_op, _args, signal) => {
      signal.addEventListener("abort", () => resolve());
      return new Promise(() => {});
    });
  });
  const controller = new AbortController();
  portLink(port1, silent)
    .ask("wait", {}, controller.signal)
    .catch(() => {});
  controller.abort();
  await aborted;
  port1.close();
});

test("nonsense ends the link, and what waits fails", async () => {
  using made = await overSocket(silent, () => new Promise(() => {}));
  const [one, other] = made.links;
  const waiting = assert.rejects(one.ask("wait"), { code: "ENOTCONN" });
  made.client.write("nonsense\n");
  await waiting;
  await assert.rejects(one.ask("again"), { code: "ENOTCONN" });
  await assert.rejects(other.ask("again"), { code: "ENOTCONN" });
});
