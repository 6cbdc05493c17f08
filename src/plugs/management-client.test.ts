import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connectSwitch } from "./management-client.ts";

const GREETING = "VDE switch V.2.3.2\nby somebody\n\nvde$ ";

/** A socket whose other side says what the test wants; the real switches are in test/interop. */
class Console implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "v2-mgmt-"));
  readonly path = join(this.folder, "mgmt");
  readonly heard: string[] = [];
  readonly #server: Server;
  peer: Socket | undefined;

  constructor(answer: (command: string) => string, greeting = GREETING) {
    this.#server = createServer((socket) => {
      this.peer = socket;
      socket.on("error", () => undefined);
      socket.write(greeting);
      socket.on("data", (octets) => {
        const text = octets.toString();
        this.heard.push(text);
        socket.write(answer(text.trimEnd()));
      });
    }).listen(this.path);
  }

  async listening(): Promise<this> {
    if (!this.#server.listening) await once(this.#server, "listening");
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.peer?.destroy();
    this.#server.close();
    await once(this.#server, "close");
    rmSync(this.folder, { recursive: true });
  }
}

const OK = "1000 Success\n\nvde$ ";

test("one command is on its way at a time, replies come in order", async () => {
  await using lan = await new Console((command) =>
    command === "bad"
      ? "1017 File exists\n\nvde$ "
      : `0000 DATA END WITH '.'\n${command}\n.\n${OK}`,
  ).listening();
  await using client = await connectSwitch(lan.path);
  assert.deepEqual(client.banner, ["VDE switch V.2.3.2", "by somebody"]);
  const replies = await Promise.all([client.command("a"), client.command("bad"), client.ask("b")]);
  assert.deepEqual(replies[0].data, ["a"]);
  assert.equal(replies[1].errno, 17);
  assert.deepEqual(replies[2], ["b"]);
  assert.deepEqual(lan.heard, ["a\n", "bad\n", "b\n"]);
});

test("a command that has to succeed throws what the switch said", async () => {
  await using lan = await new Console(() => "1017 File exists\n\nvde$ ").listening();
  await using client = await connectSwitch(lan.path);
  await assert.rejects(client.ask("port/create 1"), { code: "EEXIST", message: /File exists/ });
});

test("giving up a command leaves the session in step", async () => {
  let arrived: () => void = () => undefined;
  const slowCame = new Promise<void>((resolve) => (arrived = resolve));
  await using lan = await new Console((command) => {
    if (command !== "slow") return `0000 DATA END WITH '.'\n${command}\n.\n${OK}`;
    arrived();
    return "";
  }).listening();
  await using client = await connectSwitch(lan.path);
  const abort = new AbortController();
  const slow = client.command("slow", { signal: abort.signal });
  const unsent = client.command("unsent", { signal: abort.signal });
  const next = client.ask("next");
  await slowCame;
  abort.abort(new Error("enough"));
  await assert.rejects(slow, /enough/);
  await assert.rejects(unsent, /enough/);
  lan.peer!.write(OK);
  assert.deepEqual(await next, ["next"]);
  assert.deepEqual(lan.heard, ["slow\n", "next\n"]);
});

test("a switch that goes fails what waits, and what comes after", async () => {
  await using lan = await new Console(() => "9999 END OF SESSION").listening();
  await using client = await connectSwitch(lan.path);
  const logout = client.command("logout");
  const behind = client.command("showinfo");
  assert.equal((await logout).errno, undefined);
  await assert.rejects(behind, { code: "SESSION_OVER" });
  await client.ended;
  await assert.rejects(client.command("showinfo"), { code: "SESSION_OVER" });
});

test("debug lines are an iterable, on while somebody listens", async () => {
  await using lan = await new Console((command) =>
    command.startsWith("debug/add") ? `${OK}3021 port/+ 03\n3011 hash/+ x\n3022 port/- 03\n` : OK,
  ).listening();
  const seen: string[] = [];
  await using client = await connectSwitch(lan.path);
  for await (const { path, tag, text } of client.events("port")) {
    seen.push(`${tag} ${path} ${text}`);
    if (seen.length === 2) break;
  }
  assert.deepEqual(seen, ["17 port/+ 03", "18 port/- 03"]);
  assert.deepEqual(lan.heard, ["debug/add port\n", "debug/del port\n"]);
});

test("waiting for debug lines ends by the signal, and with the session", async () => {
  await using lan = await new Console(() => OK).listening();
  await using client = await connectSwitch(lan.path);
  const abort = new AbortController();
  const first = client.events("port", { signal: abort.signal }).next();
  await client.command("x");
  abort.abort();
  assert.equal((await first).done, true);
  const second = client.events("port").next();
  await client.command("x");
  await client.close();
  assert.equal((await second).done, true);
});

test("nobody at the socket is said with the remedy", async () => {
  await assert.rejects(connectSwitch("/nonexistent/mgmt"), {
    code: "NO_CONSOLE",
    message: /'\/nonexistent\/mgmt': No such file/,
    remedy: /--mgmt/,
  });
});

test("a peer that closes before any prompt is no console", async () => {
  await using lan = await new Console(() => "", "hello\n").listening();
  const attempt = connectSwitch(lan.path);
  while (lan.peer === undefined) await new Promise((resolve) => setImmediate(resolve));
  lan.peer.end();
  await assert.rejects(attempt, { code: "NO_ANSWER" });
});

test("a signal ends connecting and the session", async () => {
  await using lan = await new Console(() => "").listening();
  const abort = new AbortController();
  await using client = await connectSwitch(lan.path, { signal: abort.signal });
  const reply = client.command("never");
  abort.abort(new Error("enough"));
  await assert.rejects(reply, /enough/);
  await assert.rejects(connectSwitch(lan.path, { signal: abort.signal }), /enough/);
});
