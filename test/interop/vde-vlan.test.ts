/** VLANs between our switch and Debian's: access ports on both, a trunk with tags between them. */
// time limit: 60 s
import assert from "node:assert/strict";
import { test } from "node:test";
import { MgmtClient } from "./console-peers.ts";
import { framed, framesOf, has, type Running, until, Workshop } from "./vde-peers.ts";

const ACCESS_RED = 1;
const ACCESS_BLUE = 2;
const TRUNK = 3;
const RED = 10;
const BLUE = 20;

/** A frame with or without a tag, padded to the shortest that is sent as it is. */
function frame(options: { to?: number; from: number; tag?: number }): Buffer {
  const { to, from, tag } = options;
  const target = to === undefined ? [255, 255, 255, 255, 255, 255] : [2, 0, 0, 0, 0, to];
  const header = tag === undefined ? [] : [0x81, 0, tag >>> 8, tag & 0xff];
  const head = Buffer.from([...target, 2, 0, 0, 0, 0, from, ...header, 0x88, 0xb5, from]);
  const octets = tag === undefined ? 64 : 68;
  return Buffer.concat([head, Buffer.alloc(octets - head.length)]);
}

/** A switch with two access ports and a trunk. */
class Site {
  readonly #shop: Workshop;
  readonly directory: string;

  constructor(shop: Workshop, name: string) {
    this.#shop = shop;
    this.directory = shop.path(name);
  }

  async start(whose: "ours" | "debian"): Promise<void> {
    const mgmt = `${this.directory}.mgmt`;
    if (whose === "ours") {
      this.#shop.v2("switch", "-s", this.directory, "-M", mgmt, "--nostdin");
    } else this.#shop.start("vde_switch", ["-s", this.directory, "-M", mgmt]);
    const { client } = await MgmtClient.open(mgmt);
    const script = [ACCESS_RED, ACCESS_BLUE, TRUNK].map((port) => `port/create ${port}`);
    script.push(`vlan/create ${RED}`, `vlan/create ${BLUE}`);
    script.push(`port/setvlan ${ACCESS_RED} ${RED}`, `port/setvlan ${ACCESS_BLUE} ${BLUE}`);
    script.push(`port/setvlan ${TRUNK} 4095`);
    script.push(`vlan/addport ${RED} ${TRUNK}`, `vlan/addport ${BLUE} ${TRUNK}`);
    for (const line of script) assert.match(await client.ask(line), /^1000 Success/, line);
    client.close();
  }

  /** A client at a port that gets what is sent to it. */
  plug(port: number): Station {
    return new Station(this.#shop.start("vde_plug", ["--port", String(port), this.directory]));
  }
}

class Station {
  readonly #running: Running;

  constructor(running: Running) {
    this.#running = running;
  }

  send(octets: Buffer): void {
    this.#running.child.stdin!.write(framed(octets));
  }

  /** Frames that arrived so far. */
  frames(): Buffer[] {
    return framesOf(this.#running.output());
  }

  async has(octets: Buffer): Promise<void> {
    await until(() => this.frames().some((found) => found.equals(octets)));
  }
}

/** Sends until it arrives: a plug that was just started is not plugged in at once. */
async function arrives(from: Station, sent: Buffer, to: Station, expected: Buffer): Promise<void> {
  const timer = setInterval(() => from.send(sent), 50);
  try {
    await to.has(expected);
  } finally {
    clearInterval(timer);
  }
}

for (const [left, right] of [
  ["ours", "debian"],
  ["debian", "ours"],
  ["ours", "ours"],
] as const) {
  test(`frames of two VLANs cross a trunk from ${left} to ${right} and keep apart`, async (t) => {
    if (!has("vde_switch")) return t.skip("needs vde_switch: apt install vde2");
    if (!has("vde_plug")) return t.skip("needs vde_plug: apt install vdeplug");
    const shop = new Workshop();
    t.after(() => shop.close());
    const sites = { left: new Site(shop, "left"), right: new Site(shop, "right") };
    await sites.left.start(left);
    await sites.right.start(right);
    shop.start("vde_plug", [
      `vde://${sites.left.directory}[${TRUNK}]`,
      `vde://${sites.right.directory}[${TRUNK}]`,
    ]);
    const red = { left: sites.left.plug(ACCESS_RED), right: sites.right.plug(ACCESS_RED) };
    const blue = { left: sites.left.plug(ACCESS_BLUE), right: sites.right.plug(ACCESS_BLUE) };
    const wire = sites.left.plug(TRUNK);

    await arrives(red.left, frame({ from: 1 }), red.right, frame({ from: 1 }));
    await wire.has(frame({ from: 1, tag: RED }));
    await arrives(blue.right, frame({ from: 2 }), blue.left, frame({ from: 2 }));
    // To a known station: not flooded, but tagged and untagged on its way all the same.
    await arrives(red.right, frame({ to: 1, from: 3 }), red.left, frame({ to: 1, from: 3 }));
    await arrives(red.left, frame({ to: 3, from: 1 }), red.right, frame({ to: 3, from: 1 }));
    await wire.has(frame({ to: 3, from: 1, tag: RED }));
    // A tag that the port does not carry, and no tag where there must be one.
    red.left.send(frame({ from: 4, tag: BLUE }));
    wire.send(frame({ from: 5 }));
    await arrives(blue.left, frame({ from: 6 }), blue.right, frame({ from: 6 }));
    await arrives(red.left, frame({ from: 7 }), red.right, frame({ from: 7 }));
    const stations = (of: Station): number[] =>
      [...new Set(of.frames().map((f) => f[11]!))].sort((a, b) => a - b);
    assert.deepEqual(stations(red.right), [1, 7]);
    assert.deepEqual(stations(blue.right), [6]);
    assert.deepEqual(stations(blue.left), [2]);
  });
}

test("priority survives from trunk to trunk, and an untagged frame gets none", async (t) => {
  if (!has("vde_plug")) return t.skip("needs vde_plug: apt install vdeplug");
  const shop = new Workshop();
  t.after(() => shop.close());
  const site = new Site(shop, "lan");
  await site.start("ours");
  const { client } = await MgmtClient.open(`${site.directory}.mgmt`);
  for (const line of ["port/create 4", "port/setvlan 4 4095", `vlan/addport ${RED} 4`]) {
    assert.match(await client.ask(line), /^1000/);
  }
  client.close();
  const [trunk, other, red] = [site.plug(TRUNK), site.plug(4), site.plug(ACCESS_RED)];
  const urgent = frame({ from: 8, tag: (7 << 13) | RED });
  await arrives(trunk, urgent, other, urgent);
  await arrives(red, frame({ from: 9 }), other, frame({ from: 9, tag: RED }));
});
