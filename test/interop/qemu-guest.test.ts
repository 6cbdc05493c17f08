/** Virtual machines of QEMU on our switch: they reach each other, a view, and a VLAN. */
// time limit: 120 s
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Guest, startQemu } from "./guests/guest.ts";
import { guestKernel, writeImage } from "./guests/image.ts";
import { managedSwitch } from "./vde-consoles.ts";
import { has, type Running, Workshop } from "./vde-peers.ts";

const MODULES = ["virtio_pci", "virtio_net", "8021q"];
const ALICE = { port: 11, mac: "52:54:00:00:00:0a", address: "10.9.0.1" };
const BOB = { port: 12, mac: "52:54:00:00:00:0b", address: "10.9.0.2" };
const VIEW_ADDRESS = "10.9.0.3";
/** Of the view that stays: those before it may answer until their cables are pulled. */
const STAYING_ADDRESS = "10.9.0.4";
const VLAN = 7;
/** Octets of data in a ping that fit into one frame of 9000, not into one of 1500. */
const JUMBO_DATA = 4000;

/** Ends a program; it has to end with 0. @returns what it wrote. */
async function succeeds(running: Running): Promise<string> {
  const status = await running.ended;
  assert.equal(status, 0, `${running.output().toString()}${running.errors()}`);
  return running.output().toString();
}

const ping = (address: string, options = ""): string =>
  `ping -c 3 -i 0.2 -W 5 ${options} ${address}`;
const frames = async (guest: Guest, which: "rx" | "tx"): Promise<number> =>
  Number(await guest.ask(`cat /sys/class/net/eth0/statistics/${which}_packets`));

test("two machines and a view talk through our switch: IPv4, IPv6, jumbo frames, a VLAN", async (t) => {
  const kernel = guestKernel();
  if ("missing" in kernel) return t.skip(kernel.missing);
  if (!has("qemu-system-x86_64")) return t.skip("needs QEMU: apt install qemu-system-x86");
  if (!has("busybox")) return t.skip("needs busybox: apt install busybox-static");
  const shop = new Workshop(t);
  const { directory, console } = await managedSwitch(shop, "ours");
  const image = shop.path("initrd");
  writeImage(image, MODULES);
  const machine = { kernel: kernel.path, image, directory };
  const [alice, bob] = await Promise.all([
    startQemu(shop, { ...machine, ...ALICE }).boot(),
    startQemu(shop, { ...machine, ...BOB }).boot(),
  ]);
  await alice.ask(`ip link set eth0 mtu 9000 up; ip addr add ${ALICE.address}/24 dev eth0`);
  await bob.ask(`ip link set eth0 mtu 9000 up; ip addr add ${BOB.address}/24 dev eth0`);

  // Nobody sends from an address that is still being looked for on the link (flags other than 80).
  const isReady = "until grep -q ' 80 *eth0' /proc/net/if_inet6; do sleep 0.1; done";
  for (const machine of [alice, bob]) await machine.ask(isReady);

  await t.test("the machines ping each other over IPv4 and IPv6", async () => {
    assert.match(await alice.ask(ping(BOB.address)), /3 packets received/);
    assert.match(await bob.ask(ping(ALICE.address)), /3 packets received/);
    const linkLocal = "fe80::5054:ff:fe00:b";
    assert.match(await alice.ask(ping(linkLocal, "-6 -I eth0")), /3 packets received/);
  });

  await t.test("each is in the port it asked for", async () => {
    const report = await succeeds(shop.v2("vdecmd", "-s", console, "port/print"));
    for (const { port } of [ALICE, BOB]) {
      assert.match(report, new RegExp(`Port 0*${port} .*ACTIVE[^]*?endpoint ID`), report);
    }
  });

  await t.test("a jumbo frame arrives in one piece", async () => {
    const before = await frames(bob, "rx");
    assert.match(await alice.ask(ping(BOB.address, `-s ${JUMBO_DATA}`)), /3 packets received/);
    // In frames of 1500 each of the three would be three.
    assert.ok((await frames(bob, "rx")) - before < 9);
  });

  await t.test("a view and the machines ping each other", async () => {
    const at = (address: string): readonly string[] => {
      return ["view", "--net", `${directory},ip=${address}/24,mtu=9000`, "--"];
    };
    const words = at(VIEW_ADDRESS);
    const pings = ["ping", "-c", "3", "-i", "0.2", "-W", "5"];
    assert.match(await succeeds(shop.v2(...words, ...pings, BOB.address)), /3 received/);
    const size = ["-s", String(JUMBO_DATA), "-M", "do"];
    assert.match(await succeeds(shop.v2(...words, ...pings, ...size, ALICE.address)), /3 received/);
    const staying = shop.v2(...at(STAYING_ADDRESS), "cat");
    // The view takes a moment to plug in.
    await bob.ask(`until ping -c 1 -W 1 ${STAYING_ADDRESS}; do :; done`);
    assert.match(await bob.ask(ping(STAYING_ADDRESS)), /3 packets received/);
    staying.child.stdin!.end();
    await succeeds(staying);
  });

  await t.test("a machine's tagged VLAN reaches the untagged port of the other", async () => {
    for (const command of [
      `vlan/create ${VLAN}`,
      `vlan/addport ${VLAN} ${ALICE.port}`,
      `port/setvlan ${BOB.port} ${VLAN}`,
    ]) {
      await succeeds(shop.v2("vdecmd", "-s", console, ...command.split(" ")));
    }
    await alice.ask(`ip link add link eth0 name eth0.${VLAN} type vlan id ${VLAN}`);
    await alice.ask(`ip addr add 10.7.0.1/24 dev eth0.${VLAN}; ip link set eth0.${VLAN} up`);
    await bob.ask("ip addr add 10.7.0.2/24 dev eth0");
    assert.match(await alice.ask(ping("10.7.0.2")), /3 packets received/);
    assert.match(await bob.ask(ping("10.7.0.1", `-s ${JUMBO_DATA}`)), /3 packets received/);
    const { output } = await alice.run(`ping -c 1 -W 1 ${BOB.address}`);
    assert.match(output, /0 packets received/, "outside the VLAN they are apart");
  });

  assert.deepEqual(await Promise.all([alice.powerOff(), bob.powerOff()]), [0, 0]);
});
