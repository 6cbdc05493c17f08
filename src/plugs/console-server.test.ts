/** The console of a real switch, by its management socket and by sessions without one. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { V2Error } from "../base/index.ts";
import { bindUnix, closeFd, unixSocket } from "../sys/index.ts";
import { ConsoleSession, LineSplitter, PROMPT } from "../vde/index.ts";
import { ConsoleServer } from "./console-server.ts";
import { openVdeAsync } from "./vde-end.ts";
import { VdeServer } from "./vde-server.ts";

interface Bench {
  readonly server: VdeServer;
  readonly place: string;
  readonly console: ConsoleServer;
  readonly path: string;
  readonly shutdowns: () => number;
}

async function withConsole(body: (bench: Bench) => Promise<void>): Promise<void> {
  const place = mkdtempSync(join(tmpdir(), "v2-console-"));
  const server = await VdeServer.start({ directory: join(place, "lan") });
  const path = join(place, "mgmt");
  let shutdowns = 0;
  const { management } = server;
  const console = await ConsoleServer.start({ management, path, shutdown: () => shutdowns++ });
  try {
    await body({ server, place, console, path, shutdowns: () => shutdowns });
  } finally {
    await console.close();
    await server.close();
    rmSync(place, { recursive: true, force: true });
  }
}

/** One session: what it heard, and waiting for it. */
class Session {
  readonly socket: Socket;
  #heard = "";
  isClosed = false;

  constructor(path: string) {
    this.socket = connect(path);
    this.socket.on("data", (octets: Buffer) => {
      this.#heard += octets.toString();
    });
    this.socket.on("close", () => {
      this.isClosed = true;
    });
    this.socket.on("error", () => undefined);
  }

  /** All up to and with the first `text`; it is forgotten. */
  async hears(text: string): Promise<string> {
    while (!this.#heard.includes(text)) {
      assert.ok(!this.isClosed, `closed, heard: ${this.#heard}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const end = this.#heard.indexOf(text) + text.length;
    const found = this.#heard.slice(0, end);
    this.#heard = this.#heard.slice(end);
    return found;
  }

  async ask(line: string): Promise<string> {
    this.socket.write(`${line}\n`);
    return await this.hears(PROMPT);
  }

  async closed(): Promise<void> {
    while (!this.isClosed) await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

async function open(path: string): Promise<Session> {
  const session = new Session(path);
  await session.hears(PROMPT);
  return session;
}

test("a session has a greeting, answers, and ends by logout", async () => {
  await withConsole(async ({ path }) => {
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const session = await open(path);
    assert.equal(await session.ask("port/create 3"), `1000 Success\n${PROMPT}`);
    session.socket.write("logout\nport/create 4\n");
    await session.closed();
    const other = await open(path);
    assert.doesNotMatch(await other.ask("port/allprint"), /Port 0004/, "nothing after logout");
    other.socket.destroy();
  });
});

test("a client that closes its side gets the answers to what it said before", async () => {
  await withConsole(async ({ path }) => {
    const session = await open(path);
    session.socket.end("port/create 3\nshowinfo");
    assert.match(await session.hears("uptime"), /1000 Success/);
    await session.closed();
  });
});

test("a line without an end is a command when nothing follows, and none while it comes", async () => {
  await withConsole(async ({ path }) => {
    const session = await open(path);
    session.socket.write("port/create 3");
    assert.equal(await session.hears(PROMPT), `1000 Success\n${PROMPT}`);
    for (const octet of "port/create 4\n") {
      await new Promise((resolve) => session.socket.write(octet, resolve));
    }
    assert.equal(await session.hears(PROMPT), `1000 Success\n${PROMPT}`);
    // A line of which the rest waits behind commands that are still to be run.
    const many = "port/create 5\n".repeat(5000);
    session.socket.write(`${many}port/create 6\nshowin`);
    await new Promise((resolve) => session.socket.write("fo\n", resolve));
    assert.doesNotMatch(await session.hears("uptime"), /not implemented/);
    session.socket.destroy();
  });
});

test("shutdown ends its session and tells the owner once", async () => {
  await withConsole(async ({ path, shutdowns }) => {
    const session = await open(path);
    session.socket.write("shutdown\nshutdown\n");
    await session.hears("9999 END OF SESSION");
    await session.closed();
    assert.equal(shutdowns(), 1);
  });
});

test("events go to those who asked for them, and no longer after they left", async () => {
  await withConsole(async ({ path, server }) => {
    const [watcher, other] = [await open(path), await open(path)];
    assert.match(await watcher.ask("debug/add port"), /1000/);
    const end = await openVdeAsync({ directory: server.directory, description: "me" });
    assert.match(await watcher.hears("me"), /3021 port\/\+ 01\n3031 port\/ep\/\+ Port 01 FD/);
    end.close();
    await watcher.hears("3022 port/- 01\n");
    assert.match(await other.ask("debug/list port"), /port\/\+ +021 OFF/);
    assert.equal(await other.ask(""), PROMPT, "it heard nothing of all that");
    await watcher.ask("debug/del");
    await other.ask("port/create 9");
    assert.equal(await watcher.ask(""), PROMPT);
    watcher.socket.destroy();
    other.socket.destroy();
  });
});

test("a session that does not read is read no further, and keeps no other waiting", async () => {
  await withConsole(async ({ path, console }) => {
    const slow = await open(path);
    slow.socket.pause();
    await new Promise((resolve) => slow.socket.write("help\n".repeat(20_000), resolve));
    const other = await open(path);
    for (let i = 1; i <= 20; i++) assert.match(await other.ask(`port/create ${i}`), /1000/);
    assert.equal(console.refusals.slow, 0, "it is not read further: nothing piles up");
    slow.socket.destroy();
    other.socket.destroy();
  });
});

test("events that a session does not read are dropped and counted, and it can go on", async () => {
  await withConsole(async ({ path, console, server }) => {
    const slow = await open(path);
    await slow.ask("debug/add port/+");
    slow.socket.pause();
    const { management } = server;
    for (let i = 0; i < 200_000 && console.refusals.events === 0; i++) {
      await management.createPort(7);
      await management.removePort(7);
      // Lets the socket write, as a busy switch would.
      if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(console.refusals.events > 0);
    slow.socket.resume();
    slow.socket.write("port/showinfo\n");
    await slow.hears("Numports=32");
    assert.equal(console.refusals.slow, 0);
    slow.socket.destroy();
  });
});

test("a dead switch's socket is taken over, a living one's and a file are not", async () => {
  const place = mkdtempSync(join(tmpdir(), "v2-console-"));
  const server = await VdeServer.start({ directory: join(place, "lan") });
  const { management } = server;
  const start = (path: string): Promise<ConsoleServer> =>
    ConsoleServer.start({ management, path, mode: 0o660, shutdown: () => undefined });
  const isTaken = (error: unknown): boolean =>
    error instanceof V2Error && error.code === "EADDRINUSE";
  try {
    const stale = join(place, "stale");
    const fd = unixSocket("stream");
    bindUnix(fd, stale);
    closeFd(fd);
    const console = await start(stale);
    assert.equal(statSync(stale).mode & 0o777, 0o660);
    await assert.rejects(start(stale), isTaken);
    writeFileSync(join(place, "file"), "mine");
    await assert.rejects(start(join(place, "file")), isTaken);
    await console.close();
    assert.equal(existsSync(stale), false);
  } finally {
    await server.close();
    rmSync(place, { recursive: true, force: true });
  }
});

test("the switch as JSON and as metrics says what its listings say", async () => {
  await withConsole(async ({ path, server }) => {
    const end = await openVdeAsync({ directory: server.directory, description: 'a "quoted" name' });
    const session = await open(path);
    const line = (reply: string): string => reply.split("\n")[1]!;
    const ports = JSON.parse(line(await session.ask("json ports"))) as {
      port: number;
      endpoints: { description: string }[];
    }[];
    assert.equal(ports[0]!.port, 1);
    assert.match(ports[0]!.endpoints[0]!.description, /^a "quoted" name/);
    const all = JSON.parse(line(await session.ask("json"))) as { vlans: { vlan: number }[] };
    assert.equal(all.vlans[0]!.vlan, 0);
    assert.match(await session.ask("json toString"), /1022 Invalid/);
    assert.match(await session.ask("metrics"), /\nvde_port_in_frames_total\{port="1"\} 0\n/);
    session.socket.destroy();
    end.close();
  });
});

/** What one command may answer: a block or not, events, and one result. */
const REPLY =
  /^(?:3\d{3} .*\n)*(?:0000 DATA END WITH '\.'\n(?:.*\n)*?\.\n)?(?:3\d{3} .*\n)*1\d{3} .+\n$/;

test("any octets are answered in the console's form, and the switch goes on", async () => {
  await withConsole(async ({ server }) => {
    const { management } = server;
    const word = fc.constantFrom(
      ..."help showinfo ds/showinfo debug/list debug/add debug/del plugin/add hash/print".split(
        " ",
      ),
      ..."hash/find hash/setsize port/create port/remove port/print port/allprint".split(" "),
      ..."port/setvlan port/setnumports port/sethub port/epclose vlan/create vlan/remove".split(
        " ",
      ),
      ..."vlan/addport vlan/delport vlan/print fstp/print fstp/bonus port/setuser".split(" "),
    );
    const rest = fc.stringMatching(/^[-+ 0-9a-fx:.]{0,12}$/);
    const line = fc.oneof(
      fc.tuple(word, rest).map(([path, text]) => Buffer.from(`${path} ${text}\n`)),
      fc.uint8Array({ maxLength: 60 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 30 }), async (pieces) => {
        const sent: string[] = [];
        const session = new ConsoleSession({ management, send: (text) => sent.push(text) });
        const splitter = new LineSplitter();
        for (const text of pieces.flatMap((piece) => splitter.push(piece))) {
          sent.length = 0;
          const outcome = await session.execute(text);
          const isSilent = /^[ \t]*(?:#|$)/.test(text) || outcome !== "prompt";
          if (isSilent) assert.equal(sent.join(""), "");
          else assert.match(sent.join(""), REPLY, JSON.stringify(text));
        }
        session.close();
      }),
      { seed: 14, numRuns: 60 },
    );
    assert.ok((await management.vlans()).length >= 1);
  });
});
