/** Debian's and our plugs on Debian's and our switches. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { broadcast, framed, has, type Running, until, V2, Workshop } from "./vde-peers.ts";

const NEEDS = "needs vde_plug and vde_switch: apt install vde2 vdeplug";

/**
 * Sends a frame into one plug until it comes out of the other: plugs say nothing when plugged in.
 */
async function passes(from: Running, to: Running, frame: Uint8Array): Promise<void> {
  const wanted = framed(frame);
  const timer = setInterval(() => from.child.stdin!.write(wanted), 50);
  from.child.stdin!.write(wanted);
  try {
    await until(() => to.output().includes(wanted) || to.child.exitCode !== null);
  } finally {
    clearInterval(timer);
  }
  assert.ok(to.output().includes(wanted), to.errors());
}

async function exchange(t: TestContext, kinds: { sw: "v2" | "debian"; a: string; b: string }) {
  if (!has("vde_plug") || !has("vde_switch")) return t.skip(NEEDS);
  const shop = new Workshop(t);
  const { directory } = await (kinds.sw === "v2" ? shop.ourSwitch() : shop.debianSwitch());
  const plug = (kind: string): Running =>
    kind === "v2" ? shop.v2("plug", directory) : shop.start("vde_plug", [`vde://${directory}`]);
  const [a, b] = [plug(kinds.a), plug(kinds.b)];
  for (const length of [60, 1514]) {
    await passes(a, b, broadcast(length, 1));
    await passes(b, a, broadcast(length, 2));
  }
  if (kinds.sw === "v2") await passes(a, b, broadcast(9000, 1));
}

for (const sw of ["v2", "debian"] as const) {
  for (const [a, b] of [
    ["v2", "v2"],
    ["v2", "debian"],
    ["debian", "debian"],
  ] as const) {
    test(`frames pass between the plugs ${a} and ${b} on the switch ${sw}`, async (t) => {
      await exchange(t, { sw, a, b });
    });
  }
}

test("frames of 65 000 octets pass our switch between our plugs uncut", async (t) => {
  const shop = new Workshop(t);
  const { directory } = await shop.ourSwitch();
  const [a, b] = [shop.v2("plug", directory), shop.v2("plug", directory)];
  await passes(a, b, broadcast(65_000));
});

test("a plug joins two switches, ours and Debian's", async (t) => {
  if (!has("vde_plug")) return t.skip(NEEDS);
  const shop = new Workshop(t);
  const ours = await shop.ourSwitch();
  const theirs = await shop.debianSwitch();
  shop.v2("plug", ours.directory, theirs.directory);
  const a = shop.v2("plug", ours.directory);
  const b = shop.start("vde_plug", [`vde://${theirs.directory}`]);
  await passes(a, b, broadcast(100, 1));
  await passes(b, a, broadcast(100, 2));
});

for (const [left, right] of [
  ["debian", "debian"],
  ["debian", "v2"],
] as const) {
  test(`Debian's dpipe joins the plugs ${left} and ${right} of our switch and Debian's`, async (t) => {
    if (!has("dpipe") || !has("vde_switch")) return t.skip(NEEDS);
    const shop = new Workshop(t);
    const [ours, theirs] = [await shop.ourSwitch(), await shop.debianSwitch()];
    const words = (kind: string, directory: string): string[] =>
      kind === "v2" ? [process.execPath, V2, "plug", directory] : ["vde_plug", directory];
    const pipe = shop.start("dpipe", [
      ...words(left, ours.directory),
      "=",
      ...words(right, theirs.directory),
    ]);
    const a = shop.v2("plug", ours.directory);
    const b = shop.start("vde_plug", [theirs.directory]);
    for (const length of [60, 1514]) {
      await passes(a, b, broadcast(length, 1));
      await passes(b, a, broadcast(length, 2));
    }
    // The end of one switch ends its plug, and so both sides of the pipe.
    ours.running.child.kill("SIGTERM");
    assert.equal(await ours.running.ended, 0);
    await pipe.ended;
  });
}

test("a plug runs a command whose standard input and output are the cable", async (t) => {
  const shop = new Workshop(t);
  const { directory } = await shop.ourSwitch();
  // What the command sends into the switch is what it got from it: an echo.
  shop.v2("plug", directory, "=", "cat");
  const a = shop.v2("plug", directory);
  await passes(a, a, broadcast(77));
});

test("a plug that may reconnect carries frames again after its switch restarted", async (t) => {
  const shop = new Workshop(t);
  const first = await shop.ourSwitch();
  const { directory } = first;
  const a = shop.v2("plug", "--reconnect", directory);
  const b = shop.v2("plug", directory);
  await passes(a, b, broadcast(100));
  first.running.child.kill("SIGTERM");
  assert.equal(await first.running.ended, 0);
  assert.equal(await b.ended, 0, "the other plug ends with its switch");
  await shop.ourSwitch();
  const c = shop.v2("plug", directory);
  await passes(a, c, broadcast(101));
});

test("a plug without a switch says so and ends with 1", async (t) => {
  const shop = new Workshop(t);
  const plug = shop.v2("plug", shop.path("nowhere"));
  assert.equal(await plug.ended, 1);
  assert.match(plug.errors(), /no switch at .*nowhere.*\n.*v2 switch --sock/);
});

/** A client of libvdeplug: sends what it reads from standard input once, prints what it gets. */
const LIBRARY_CLIENT = `
#include <libvdeplug.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
  unsigned char frame[9216];
  VDECONN *conn = vde_open(argv[1], "library client", NULL);
  if (conn == NULL) { perror("vde_open"); return 1; }
  ssize_t octets = vde_recv(conn, frame, sizeof frame, 0);
  if (octets <= 0) return 2;
  frame[11] = 9;
  if (vde_send(conn, frame, octets, 0) < 0) return 3;
  printf("%zd\\n", octets);
  /* Stays until told: a send to a closed datagram socket makes the kernel drop what it had sent. */
  while (getchar() != EOF) {}
  return vde_close(conn);
}
`;

test("a program of libvdeplug gets and sends frames through our switch", async (t) => {
  if (!has("cc") || !existsSync("/usr/include/libvdeplug.h")) {
    return t.skip("needs a C compiler and libvdeplug: apt install gcc libvdeplug-dev");
  }
  const folder = mkdtempSync(join(tmpdir(), "v2-client-"));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "client.c"), LIBRARY_CLIENT);
  const built = spawnSync("cc", ["-o", "client", "client.c", "-lvdeplug"], { cwd: folder });
  assert.equal(built.status, 0, built.stderr.toString());
  const shop = new Workshop(t);
  const { directory } = await shop.ourSwitch();
  const client = shop.start(join(folder, "client"), [`vde://${directory}`]);
  const a = shop.v2("plug", directory);
  const timer = setInterval(() => a.child.stdin!.write(framed(broadcast(500))), 20);
  const echo = broadcast(500);
  echo[11] = 9;
  await until(() => a.output().includes(framed(echo)) || client.child.exitCode !== null);
  clearInterval(timer);
  client.child.stdin!.end();
  assert.equal(await client.ended, 0, client.errors());
  assert.equal(client.output().toString(), "500\n");
  assert.ok(a.output().includes(framed(echo)));
});

test("the boot ROM of a QEMU machine asks for an address through our switch", async (t) => {
  if (!has("qemu-system-x86_64")) return t.skip("needs QEMU: apt install qemu-system-x86");
  const shop = new Workshop(t);
  const { directory } = await shop.ourSwitch();
  const a = shop.v2("plug", directory);
  const machine = shop.start(
    "qemu-system-x86_64",
    [
      "-M pc -m 64 -display none -boot n -no-reboot".split(" "),
      ["-netdev", `vde,id=n,sock=${directory}`],
      ["-device", "e1000,netdev=n,mac=02:51:00:00:00:01"],
    ].flat(),
  );
  // A DHCP request: broadcast from the card's address, from port 68 to port 67.
  const head = Buffer.from("ffffffffffff0251000000010800", "hex");
  const ports = Buffer.from("00440043", "hex");
  await until(() => {
    const at = a.output().indexOf(head);
    if (at === -1) return machine.child.exitCode !== null;
    return a.output().indexOf(ports, at) === at + 34;
  });
  assert.equal(machine.child.exitCode, null, machine.errors());
});
