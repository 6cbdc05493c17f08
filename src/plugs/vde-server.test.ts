import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
} from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { FramePool } from "../base/index.ts";
import { bindUnix, closeFd, unixSocket } from "../sys/index.ts";
import { ADDRESS_OCTETS, emitRequest } from "../vde/index.ts";
import { receiveOne, sendOne } from "./conformance.ts";
import { openVdeAsync } from "./vde-end.ts";
import { VdeServer, type VdeServerOptions } from "./vde-server.ts";

/** A switch in a directory of its own, and an empty place beside it. */
async function withSwitch(
  options: Omit<VdeServerOptions, "directory">,
  body: (server: VdeServer, place: string) => Promise<void>,
): Promise<void> {
  const place = mkdtempSync(join(tmpdir(), "v2-switch-"));
  const server = await VdeServer.start({ ...options, directory: join(place, "lan") });
  try {
    await body(server, place);
  } finally {
    await server.close();
    rmSync(place, { recursive: true, force: true });
  }
}

function mode(path: string): number {
  return statSync(path).mode & 0o7777;
}

/** Waits until something is so; the test's time limit ends it. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** Sends raw octets to `ctl`, one write each. @returns all that comes back until the end. */
async function speak(directory: string, pieces: readonly Uint8Array[]): Promise<Uint8Array> {
  const socket = connect(join(directory, "ctl"));
  const answer: Uint8Array[] = [];
  socket.on("data", (octets) => answer.push(octets));
  for (const piece of pieces) socket.write(piece);
  const isAnswered = new Promise((resolve) => {
    socket.once("data", resolve);
    socket.once("close", resolve);
    socket.on("error", () => undefined);
  });
  await isAnswered;
  socket.destroy();
  return Buffer.concat(answer);
}

/** A bound data socket for requests made by hand. */
function dataSocket(path: string): () => void {
  const fd = unixSocket("datagram");
  bindUnix(fd, path);
  return () => closeFd(fd);
}

test("a switch makes its directory 02700, its socket 0600, and leaves nothing behind", async () => {
  await withSwitch({}, async (server, place) => {
    assert.equal(mode(server.directory), 0o2700);
    assert.equal(mode(join(server.directory, "ctl")), 0o600);
    const end = await openVdeAsync({ directory: server.directory });
    assert.deepEqual(
      readdirSync(server.directory).filter((name) => !/^(ctl|001\.\d+)$/.test(name)),
      [],
      "the client's name is gone, the switch's is PORT.FD",
    );
    await server.close();
    end.close();
    assert.deepEqual(readdirSync(place), []);
  });
});

test("a mode for the sockets gives the directory search bits and setgid", async () => {
  await withSwitch({ mode: 0o660 }, async (server) => {
    assert.equal(mode(server.directory), 0o2770);
    assert.equal(mode(join(server.directory, "ctl")), 0o660);
    await Promise.resolve();
  });
});

test("a live directory is refused and stays as it is, a dead one is taken over", async () => {
  await withSwitch({}, async (server, place) => {
    const again = VdeServer.start({ directory: server.directory });
    await assert.rejects(again, { code: "EADDRINUSE", exitCode: 255, message: /already in use/ });
    assert.ok(existsSync(join(server.directory, "ctl")));
    const stale = join(place, "stale");
    mkdirSync(stale);
    const fd = unixSocket("stream");
    bindUnix(fd, join(stale, "ctl"));
    closeFd(fd);
    const heir = await VdeServer.start({ directory: stale });
    (await openVdeAsync({ directory: stale })).close();
    await heir.close();
  });
});

test("a directory too long for socket names is refused by name and length", async () => {
  const place = mkdtempSync(join(tmpdir(), "v2-switch-"));
  const directory = join(place, "x".repeat(100));
  await assert.rejects(VdeServer.start({ directory }), {
    code: "ENAMETOOLONG",
    message: /x{100}.*limit is 107/,
  });
  assert.deepEqual(readdirSync(place), []);
  rmSync(place, { recursive: true });
});

test("a handshake sent byte by byte is answered with the data socket's name", async () => {
  await withSwitch({}, async (server, place) => {
    const close = dataSocket(join(place, "mine"));
    const request = emitRequest(join(place, "mine"), 7, "bytewise");
    const socket = connect(join(server.directory, "ctl"));
    const answer = new Promise<Uint8Array>((resolve) => {
      socket.once("data", resolve);
    });
    for (const octet of request) {
      await new Promise((resolve) => socket.write(Uint8Array.of(octet), resolve));
    }
    const octets = await answer;
    assert.equal(octets.length, ADDRESS_OCTETS);
    assert.match(new TextDecoder().decode(octets.subarray(2)), /\/007\.\d+/);
    await until(async () => (await server.status()).cables[0]?.description === "bytewise");
    socket.destroy();
    close();
  });
});

test("bad requests are closed and counted by reason, and the switch goes on", async () => {
  await withSwitch({ ports: 4 }, async (server, place) => {
    const { directory } = server;
    const close = dataSocket(join(place, "mine"));
    const good = emitRequest(join(place, "mine"), 1, "x");
    const changed = (at: number, value: number): Uint8Array =>
      good.map((octet, i) => (i === at ? value : octet));
    const bad = [
      changed(0, 0),
      changed(4, 9),
      changed(8, 7),
      emitRequest(join(place, "nobody"), 0, ""),
      emitRequest("/etc/passwd", 0, ""),
      emitRequest(join(place, "mine"), 5, ""),
    ];
    for (const request of bad) assert.equal((await speak(directory, [request])).length, 0);
    assert.deepEqual(server.refusals, {
      badMagic: 1,
      badVersion: 1,
      badType: 1,
      badPath: 2,
      noPort: 1,
      busy: 0,
    });
    assert.equal((await speak(directory, [good])).length, ADDRESS_OCTETS);
    close();
  });
});

test("a full switch refuses one more client and serves it when a port is free", async () => {
  await withSwitch({ ports: 1 }, async ({ directory }) => {
    const only = await openVdeAsync({ directory });
    await assert.rejects(openVdeAsync({ directory }), { code: "REFUSED" });
    only.close();
    let second: Awaited<ReturnType<typeof openVdeAsync>> | undefined;
    await until(async () => {
      second = await openVdeAsync({ directory }).catch(() => undefined);
      return second !== undefined;
    });
    second!.close();
  });
});

test("several cables share a wanted port, and all get its frames", async () => {
  await withSwitch({}, async (server) => {
    const { directory } = server;
    const [a, b, c] = await Promise.all([3, 3, 4].map((port) => openVdeAsync({ directory, port })));
    const { cables } = await server.status();
    assert.deepEqual(
      cables.map((cable) => cable.port).sort((x, y) => x - y),
      [3, 3, 4],
    );
    const pool = new FramePool(2);
    const frame = new Uint8Array(60).fill(255, 0, 6).fill(2, 6, 12);
    sendOne(pool, c!, frame);
    for (const end of [a!, b!]) assert.deepEqual(receiveOne(pool, end), frame);
    for (const end of [a!, b!, c!]) end.close();
  });
});

test("short frames are counted and dropped, legacy short ones padded, giants pass uncut", async () => {
  await withSwitch({}, async (server) => {
    const { directory } = server;
    const [a, b] = [await openVdeAsync({ directory }), await openVdeAsync({ directory })];
    const pool = new FramePool(2);
    const frame = (length: number): Uint8Array => new Uint8Array(length).fill(255, 0, 6).fill(2, 6);
    for (const length of [1, 13, 20, 9000, 65_000]) sendOne(pool, a, frame(length));
    const lengths = [1, 2, 3].map(() => receiveOne(pool, b).length);
    assert.deepEqual(lengths, [60, 9000, 65_000]);
    assert.equal((await server.status()).counters.droppedShort, 2);
    a.close();
    b.close();
  });
});

test("1000 clients that come and go leave no cable, no name and no descriptor", async () => {
  await withSwitch({}, async (server) => {
    const { directory } = server;
    // The first cable and the first question open what a process has once.
    (await openVdeAsync({ directory })).close();
    await until(async () => (await server.status()).cables.length === 0);
    const descriptors = readdirSync("/proc/self/fd").length;
    for (let round = 0; round < 100; round++) {
      const ends = await Promise.all(Array.from({ length: 10 }, () => openVdeAsync({ directory })));
      for (const end of ends) end.close();
      await until(async () => (await server.status()).cables.length === 0);
    }
    await until(async () => (await server.status()).counters.endpoints.length === 0);
    assert.deepEqual(readdirSync(directory), ["ctl"]);
    await until(() => readdirSync("/proc/self/fd").length <= descriptors);
  });
});

test("a client that leaves in the middle of its handshake leaves nothing", async () => {
  await withSwitch({}, async (server, place) => {
    const close = dataSocket(join(place, "mine"));
    const request = emitRequest(join(place, "mine"), 0, "");
    for (let octets = 1; octets <= request.length; octets += 11) {
      const socket = connect(join(server.directory, "ctl"));
      await new Promise((resolve) => socket.write(request.subarray(0, octets), resolve));
      socket.destroy();
    }
    for (let i = 0; i < 20; i++) {
      const socket: Socket = connect(join(server.directory, "ctl"));
      await new Promise((resolve) => socket.write(request, resolve));
      socket.destroy();
    }
    await until(async () => {
      const { cables, counters } = await server.status();
      return cables.length + counters.endpoints.length === 0;
    });
    assert.deepEqual(readdirSync(server.directory), ["ctl"]);
    close();
  });
});

test("a file that is no socket of a switch is not removed", async () => {
  const place = mkdtempSync(join(tmpdir(), "v2-switch-"));
  mkdirSync(join(place, "ctl"));
  await assert.rejects(VdeServer.start({ directory: place }));
  assert.ok(statSync(join(place, "ctl")).isDirectory());
  rmSync(place, { recursive: true });
});

test("a public directory keeps its mode", async () => {
  const place = mkdtempSync(join(tmpdir(), "v2-switch-"));
  chmodSync(place, 0o1777);
  const server = await VdeServer.start({ directory: place });
  assert.equal(mode(place), 0o1777);
  await server.close();
  rmSync(place, { recursive: true, force: true });
});

test("a client of a switch that ends sees the end of its cable", async () => {
  await withSwitch({}, async (server) => {
    const end = await openVdeAsync({ directory: server.directory });
    await server.close();
    const pool = new FramePool(1);
    assert.equal(end.receive(pool, Int32Array.of(pool.take()), 1), -1);
    end.close();
  });
});
