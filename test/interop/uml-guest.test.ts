/** User-mode Linux on our switch, through the vde card of its kernel. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { startUserMode } from "./guests/guest.ts";
import { writeImage } from "./guests/image.ts";
import { managedSwitch } from "./vde-consoles.ts";
import { has, until, Workshop } from "./vde-peers.ts";

const CAROL = { name: "carol", port: 21, mac: "52:54:00:00:00:0c", address: "10.9.1.1" };
const DAVE = { name: "dave", port: 22, mac: "52:54:00:00:00:0d", address: "10.9.1.2" };
const VIEW_ADDRESS = "10.9.1.3";
const PING = "ping -c 3 -i 0.2 -W 5";

test("two user-mode Linuxes and a view talk through our switch", async (t) => {
  if (!has("linux.uml")) return t.skip("needs user-mode Linux: apt install user-mode-linux");
  if (!has("busybox")) return t.skip("needs busybox: apt install busybox-static");
  const shop = new Workshop(t);
  const { directory, console, running } = await managedSwitch(shop, "ours");
  const image = shop.path("initrd");
  writeImage(image, []);
  const boot = (who: typeof CAROL) => startUserMode(shop, { image, directory, ...who }).boot();
  const [carol, dave] = await Promise.all([boot(CAROL), boot(DAVE)]);
  await carol.ask(`ip addr add ${CAROL.address}/24 dev eth0; ip link set eth0 up`);
  await dave.ask(`ip addr add ${DAVE.address}/24 dev eth0; ip link set eth0 up`);

  assert.match(await carol.ask(`${PING} ${DAVE.address}`), /3 packets received/);
  assert.match(await dave.ask(`${PING} -s 1472 ${CAROL.address}`), /3 packets received/);

  const ports = async (): Promise<string> => {
    const listing = shop.v2("vdecmd", "-s", console, "port/print");
    assert.equal(await listing.ended, 0, listing.errors());
    return listing.output().toString();
  };
  const report = await ports();
  for (const { name, port } of [CAROL, DAVE]) {
    assert.match(report, new RegExp(`Port 0*${port} [^]*?${name}`), report);
  }

  const net = `${directory},ip=${VIEW_ADDRESS}/24`;
  const view = shop.v2("view", "--net", net, "--", ...PING.split(" "), DAVE.address);
  assert.equal(await view.ended, 0, view.output().toString() + view.errors());

  const ends = await Promise.all([carol.powerOff(), dave.powerOff()]);
  for (const [i, end] of ends.entries()) {
    if (end !== 0) t.diagnostic(`a kernel ended with ${end}: ${[carol, dave][i]!.story}`);
  }
  // However the kernels end, their cables end with them: no name, no cable in a port.
  await until(() => readdirSync(directory).join(" ") === "ctl");
  assert.doesNotMatch(await ports(), /Port/);
  assert.equal(running.child.exitCode, null, running.errors());
});
