/** A bus of processes: members by socket, by FIFO and by terminal; both policies. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, constants, existsSync, openSync, readSync, writeSync } from "node:fs";
import { test } from "node:test";
import { broadcast, framed, has, type Running, until, Workshop } from "./vde-peers.ts";

/** A node that members can join. @returns it and its directory. */
async function node(shop: Workshop, ...words: string[]) {
  const directory = shop.path("bus");
  const running = shop.v2("ipn", directory, ...words);
  await until(() => running.output().includes("bus\n") || running.child.exitCode !== null);
  assert.equal(running.child.exitCode, null, running.errors());
  return { running, directory };
}

/** Sends until it came out at each of the others. */
async function reaches(from: Running, others: readonly Running[], octets: Uint8Array) {
  const wanted = framed(octets);
  await again(
    () => from.child.stdin!.write(wanted),
    () => others.every((other) => other.output().includes(wanted)),
  );
}

/** Does something again and again until it had its effect. */
async function again(act: () => void, hasEffect: () => boolean): Promise<void> {
  const timer = setInterval(act, 30);
  try {
    await until(hasEffect);
  } finally {
    clearInterval(timer);
  }
}

test("what a member of a bus sends, whatever it is, reaches all others as it is", async (t) => {
  const shop = new Workshop(t);
  const { directory } = await node(shop);
  const [a, b, c] = [1, 2, 3].map(() => shop.v2("plug", directory)) as [Running, Running, Running];
  await reaches(a, [b, c], Buffer.from("x"));
  await reaches(b, [a, c], Buffer.from("no Ethernet"));
  // To one station: on a bus the others get it too.
  const toOne = broadcast(65_000);
  toOne.set([2, 0, 0, 0, 0, 1], 0);
  await reaches(c, [a, b], toOne);
});

test("a program of Debian's joins a bus", async (t) => {
  if (!has("vde_plug")) return t.skip("needs vde_plug: apt install vdeplug");
  const shop = new Workshop(t);
  const { directory } = await node(shop);
  const ours = shop.v2("plug", directory);
  const theirs = shop.start("vde_plug", [`vde://${directory}`]);
  await reaches(ours, [theirs], Buffer.from("a line of text"));
  await reaches(theirs, [ours], broadcast(1514));
});

test("FIFOs are members: framed, and raw with their bounds kept", async (t) => {
  const shop = new Workshop(t);
  const names = ["framed-in", "framed-out", "raw-in", "raw-out"] as const;
  for (const name of names) assert.equal(spawnSync("mkfifo", [shop.path(name)]).status, 0);
  const [framedIn, framedOut, rawIn, rawOut] = names.map((name) => shop.path(name));
  const { directory } = await node(
    shop,
    `--member=stream://${framedIn},${framedOut}`,
    `--member=raw://${rawIn},${rawOut}`,
  );
  const plug = shop.v2("plug", directory);
  const open = (path: string): number => {
    const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    t.after(() => closeSync(fd));
    return fd;
  };
  const [toFramed, fromFramed, toRaw, fromRaw] = [framedIn!, framedOut!, rawIn!, rawOut!].map(
    open,
  ) as [number, number, number, number];
  /** The next octets of a FIFO. */
  const next = async (fd: number): Promise<string> => {
    const octets = Buffer.alloc(100);
    let length = 0;
    await until(() => {
      try {
        length = readSync(fd, octets);
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, "EAGAIN");
      }
      return length > 0;
    });
    return octets.toString("latin1", 0, length);
  };
  writeSync(toFramed, framed(Buffer.from("one")));
  assert.equal(await next(fromRaw), "one");
  writeSync(toFramed, Buffer.concat([framed(Buffer.from("two")), framed(Buffer.from("three"))]));
  assert.equal(await next(fromRaw), "two");
  assert.equal(await next(fromRaw), "three");
  writeSync(toRaw, "four");
  assert.equal(await next(fromFramed), "\0\u0004four");
  // A plug says nothing when it has joined.
  const five = framed(Buffer.from("five"));
  await again(
    () => writeSync(toRaw, "five"),
    () => plug.output().includes(five),
  );
});

test("a terminal is a member", async (t) => {
  if (!has("socat")) return t.skip("needs socat: apt install socat");
  const shop = new Workshop(t);
  const ends = [shop.path("near"), shop.path("far")];
  shop.start(
    "socat",
    ends.map((link) => `pty,link=${link},raw,echo=0`),
  );
  await until(() => ends.every((link) => existsSync(link)));
  const { directory } = await node(shop, `--member=stream://${ends[0]}`);
  const plug = shop.v2("plug", directory);
  const far = openSync(ends[1]!, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOCTTY);
  t.after(() => closeSync(far));
  const typed = framed(Buffer.from("typed"));
  await again(
    () => writeSync(far, typed),
    () => plug.output().includes(typed),
  );
});

test("with the policy switch frames go where they are for", async (t) => {
  const shop = new Workshop(t);
  const { directory } = await node(shop, "--policy", "switch");
  const [a, b, c] = [1, 2, 3].map(() => shop.v2("plug", directory)) as [Running, Running, Running];
  await reaches(a, [b, c], broadcast(60, 1));
  await reaches(b, [a, c], broadcast(61, 2));
  const toB = broadcast(62, 1);
  toB.set([2, 0, 0, 0, 0, 2], 0);
  await reaches(a, [b], toB);
  // What comes later has passed after it on the same way.
  await reaches(a, [c], broadcast(63, 1));
  assert.ok(!c.output().includes(framed(toB)));
});

test("a node leaves nothing behind, and two cannot have one name", async (t) => {
  const shop = new Workshop(t);
  const { running, directory } = await node(shop);
  const second = shop.v2("ipn", directory);
  assert.notEqual(await second.ended, 0);
  assert.match(second.errors(), /Address already in use|in use/);
  running.child.kill("SIGTERM");
  assert.equal(await running.ended, 0);
  assert.ok(!existsSync(directory));
  const wrong = shop.v2("ipn", "--policy", "token", directory);
  assert.equal(await wrong.ended, 2);
  assert.match(wrong.errors(), /'token' is no policy/);
});
