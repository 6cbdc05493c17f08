/** Our console clients beside Debian's, on the same switch, with the same commands. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { test, type TestContext } from "node:test";
import { connectSwitch, findConsole, runningSwitches } from "../../src/plugs/index.ts";
import { managedSwitch, oursHasConsole, type SwitchKind } from "./vde-consoles.ts";
import { broadcast, framed, has, until, V2, Workshop } from "./vde-peers.ts";

const NEEDS = "needs Debian's clients and switch: apt install vde2";
const KINDS: readonly SwitchKind[] = oursHasConsole() ? ["debian", "ours"] : ["debian"];

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, with this on its standard input. */
async function outcome(words: readonly string[], input = ""): Promise<Outcome> {
  const [program, ...rest] = words;
  const child = spawn(program!, rest, { stdio: "pipe" });
  const text = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].on("data", (octets: Buffer) => (text[name] += octets.toString()));
  }
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const [code] = (await once(child, "close")) as [number | null];
  return { code, ...text };
}

const v2 = (words: readonly string[], input = ""): Promise<Outcome> =>
  outcome([process.execPath, V2, ...words], input);

/** The uptime moves on between two runs. */
const steady = (text: string): string => text.replace(/uptime \d+/, "uptime N");

const COMMANDS = [
  "showinfo",
  "help",
  "ds/showinfo",
  "port/create 3",
  "port/create 3",
  "port/remove 99",
  "port/setvlan 3 77",
  "port/allprint",
  "vlan/create 5",
  "vlan/create 5",
  "vlan/allprint",
  "hash/showinfo",
  "hash/find 02:00:00:00:00:01",
  "fstp/showinfo",
  "debug/list",
  "debug/del nothing",
  "load /nonexistent",
  "no/such/command",
] as const;

/**
 * Commands that change the switch are given to two switches of the same kind, one for each client.
 */
async function bothClients(
  t: TestContext,
  kind: SwitchKind,
  compare: (theirs: string, ours: string) => Promise<void>,
): Promise<void> {
  if (!has("unixcmd") || !has("vde_switch")) return t.skip(NEEDS);
  const [a, b] = [new Workshop(t), new Workshop(t)];
  const [left, right] = [await managedSwitch(a, kind), await managedSwitch(b, kind)];
  await compare(left.console, right.console);
}

/** What differs between two switches: process, address, place. */
function anonymous(text: string): string {
  return steady(text)
    .replaceAll("\0", "")
    .replace(/pid \d+ MAC \S+/, "pid P MAC M")
    .replace(/MAC [\da-f:]{17}/, "MAC M")
    .replaceAll(/v2-interop-\w+/g, "PLACE");
}

/** The program of Debian's vdecmd, with the instructions that Debian's own unixcmd knows. */
function workingProgram(shop: Workshop): string {
  const file = shop.path("vdecmd.rc");
  const text = readFileSync("/etc/vde2/vdecmd", "utf8");
  writeFileSync(file, text.replace(/^22 EXITATOI$/m, "22 RVATOI\n23 EXITRV"));
  return file;
}

for (const kind of KINDS) {
  test(`vdecmd prints and ends as the original does, on the switch ${kind}`, async (t) => {
    await bothClients(t, kind, async (theirs, ours) => {
      const shop = new Workshop(t);
      const program = workingProgram(shop);
      for (const command of COMMANDS) {
        const words = command.split(" ");
        const wanted = await outcome(["unixcmd", "-s", theirs, "-f", program, ...words]);
        const got = await v2(["vdecmd", "-s", ours, ...words]);
        // The original puts a zero octet behind each line.
        assert.equal(anonymous(got.stdout), anonymous(wanted.stdout), command);
        assert.equal(got.code, wanted.code, command);
      }
    });
  });

  test(`a state machine file drives our vdecmd as the original, on ${kind}`, async (t) => {
    await bothClients(t, kind, async (theirs, ours) => {
      const shop = new Workshop(t);
      const program = workingProgram(shop);
      for (const command of ["showinfo", "port/create 3", "port/create 3", "no/such"]) {
        const words = ["-f", program, ...command.split(" ")];
        const wanted = await outcome(["unixcmd", "-s", theirs, ...words]);
        const got = await v2(["unixcmd", "-s", ours, ...words]);
        assert.equal(anonymous(got.stdout), anonymous(wanted.stdout), command);
        assert.equal(got.code, wanted.code, command);
      }
    });
  });

  test(`Debian's own vdecmd program runs and ends with the errno, on ${kind}`, async (t) => {
    if (!has("vde_switch")) return t.skip(NEEDS);
    const shop = new Workshop(t);
    const { console } = await managedSwitch(shop, kind);
    const words = ["vdecmd", "-s", console, "-f", "/etc/vde2/vdecmd"];
    assert.equal((await v2([...words, "port/create", "3"])).code, 0);
    assert.equal((await v2([...words, "port/create", "3"])).code, 17);
  });

  test(`unixterm copies the same octets as the original, on ${kind}`, async (t) => {
    await bothClients(t, kind, async (theirs, ours) => {
      // One line: what a switch reads together it may take for one command.
      const input = "ds/showinfo\n";
      const got = await v2(["unixterm", ours], input);
      // The original leaves at once at the end of its input, so its input stays open.
      const original = spawn("unixterm", [theirs], { stdio: ["pipe", "pipe", "inherit"] });
      let wanted = "";
      original.stdout.on("data", (octets: Buffer) => (wanted += octets.toString()));
      await until(() => wanted.endsWith("$ "));
      original.stdin.write(input);
      await until(() => wanted.endsWith("1000 Success\n\nvde$ "));
      original.stdin.end();
      const [code] = (await once(original, "close")) as [number];
      assert.equal(anonymous(got.stdout), anonymous(wanted));
      assert.equal(got.code, code);
    });
  });

  test(`vdeterm on a pipe answers every line and ends with its input, on ${kind}`, async (t) => {
    if (!has("vde_switch")) return t.skip(NEEDS);
    const shop = new Workshop(t);
    const { console, directory } = await managedSwitch(shop, kind);
    const { stdout, code } = await v2(["vdeterm", console], "ds/showinfo\nvlan/create 5\nbogus\n");
    assert.equal(code, 0);
    assert.ok(stdout.includes(`ctl dir ${directory}\nstd mode 0600\nSuccess\n`), stdout);
    assert.ok(stdout.endsWith("Success\nFunction not implemented\n"), stdout);
  });

  test(`the management client reads ports, VLANs, stations and events of ${kind}`, async (t) => {
    if (!has("vde_switch")) return t.skip(NEEDS);
    const shop = new Workshop(t);
    const { console, directory, running } = await managedSwitch(shop, kind);
    await using client = await connectSwitch(console);
    assert.match((await client.info()).title, /^VDE switch V\./);
    assert.ok((await client.commands()).some(({ path }) => path === "port/print"));
    const events = client.events("port");
    const first = events.next();
    // The category is on when the next command is answered.
    await client.command("ds/showinfo");
    const plug = shop.v2("plug", directory);
    const { value } = await first;
    assert.equal(value?.path, "port/+");
    assert.match(value?.text ?? "", /^0*1$/);
    await events.return();
    plug.child.stdin!.write(framed(broadcast(100, 7)));
    let stations = await client.stations();
    while (stations.length === 0) stations = await client.stations();
    assert.equal(stations[0]!.address, "02:00:00:00:00:07");
    assert.equal(stations[0]!.port, 1);
    const [port] = await client.ports();
    assert.equal(port?.port, 1);
    assert.deepEqual(port.in, { frames: 1, octets: 100 });
    const [vlan] = await client.vlans();
    assert.deepEqual(
      vlan?.ports.map((one) => one.port),
      [1],
    );
    assert.equal(findConsole(directory), console);
    const found = runningSwitches().find((one) => one.directory === directory);
    assert.deepEqual(found, { directory, pid: running.child.pid, consoles: [console] });
  });

  test(`switch top sees the frames of a port of ${kind}, by socket or directory`, async (t) => {
    if (!has("vde_switch")) return t.skip(NEEDS);
    const shop = new Workshop(t);
    const { console, directory } = await managedSwitch(shop, kind);
    const plug = shop.v2("plug", directory);
    const timer = setInterval(() => plug.child.stdin!.write(framed(broadcast(100))), 5);
    t.after(() => clearInterval(timer));
    await until(() => runningSwitches().some((one) => one.directory === directory));
    await using client = await connectSwitch(console);
    let frames = 0;
    while (frames === 0) frames = (await client.ports())[0]?.in?.frames ?? 0;
    for (const place of [console, directory]) {
      const words = ["switch", "top", "--once", "--interval", "0.2"];
      const { stdout } = await v2([...words, "--json", place]);
      const { ports } = JSON.parse(stdout) as {
        ports: { port: number; in: { framesPerSecond: number; bitsPerSecond: number } }[];
      };
      assert.equal(ports[0]!.port, 1);
      const { framesPerSecond, bitsPerSecond } = ports[0]!.in;
      assert.ok(framesPerSecond > 0);
      assert.ok(Math.abs(bitsPerSecond - framesPerSecond * 800) < 1);
      assert.match((await v2([...words, place])).stdout, /^ +1 +0 +\d+ +[\d.]+k? /m);
    }
  });
}

test("console clients without a switch end as the originals do", async (t) => {
  if (!has("unixterm")) return t.skip(NEEDS);
  for (const words of [
    ["unixcmd", "-s", "/nonexistent", "-f", "/etc/vde2/vdecmd", "showinfo"],
    ["unixcmd"],
    ["unixterm", "/nonexistent"],
    ["unixterm"],
    ["vdeterm", "/nonexistent"],
    ["vdeterm"],
  ]) {
    const [wanted, got] = [await outcome(words), await v2(words)];
    assert.equal(got.code, wanted.code, words.join(" "));
    assert.equal(got.stdout, "");
    assert.notEqual(got.stderr, "");
  }
});
