import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const V2 = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));
const place = mkdtempSync(join(tmpdir(), "v2-stack-"));
const lan = join(place, "lan");
const shown = join(place, "shown");
const content = randomBytes(3_000_000);
const children: ChildProcess[] = [];
const LIMIT_MS = 30_000;

function start(...words: string[]): ChildProcess {
  const child = spawn(process.execPath, [V2, ...words], { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  return child;
}

function v2(...words: string[]): { status: number | null; stdout: Buffer; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [V2, ...words], {
    timeout: LIMIT_MS,
    maxBuffer: 1 << 26,
  });
  return { status, stdout, stderr: stderr.toString() };
}

const conf = (number: number): string => `vnl=${lan},ip=10.0.0.${number}/24,ip=fd00::${number}/64`;

before(async () => {
  mkdirSync(shown);
  writeFileSync(join(shown, "file"), content);
  start("switch", "--nostdin", "--sock", lan);
  for (let tries = 0; !existsSync(join(lan, "ctl")); tries++) {
    assert.ok(tries < 200, "the switch does not come up");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const server = start("stack", "serve", conf(1), shown);
  await once(server.stdout!, "data");
});

after(async () => {
  for (const child of children.toReversed()) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
  }
  rmSync(place, { recursive: true, force: true });
});

test("v2 stack ping: answers and none, in both families, for people and programs", () => {
  for (const to of ["10.0.0.1", "fd00::1"]) {
    const { status, stdout } = v2("stack", "ping", "--json", "-c", "2", "-i", "0.1", conf(2), to);
    assert.equal(status, 0);
    const lines = stdout.toString().trim().split("\n");
    assert.deepEqual(
      lines.map((line) => (JSON.parse(line) as { kind: string }).kind),
      ["reply", "reply"],
    );
  }
  const none = v2("stack", "ping", "-c", "1", "-W", "0.5", conf(2), "10.0.0.77");
  assert.equal(none.status, 1);
  assert.match(none.stdout.toString(), /1 sent, 0 answered/);
});

test("v2 stack get fetches what v2 stack serve shows, and nothing above it", () => {
  const got = v2("stack", "get", conf(3), "http://10.0.0.1/file");
  assert.equal(got.status, 0, got.stderr);
  assert.equal(Buffer.compare(got.stdout, content), 0);
  const above = v2("stack", "get", conf(3), "http://[fd00::1]/%2e%2e/%2e%2e/etc/passwd");
  assert.equal(above.status, 1);
  assert.match(above.stderr, /404/);
  const refused = v2("stack", "get", conf(3), "http://10.0.0.1:81/");
  assert.match(refused.stderr, /Connection refused/);
});

test("v2 stack nc carries octets and the end of them", async () => {
  const receiver = start("stack", "nc", "-l", "9000", conf(4));
  const parts: Buffer[] = [];
  receiver.stdout!.on("data", (part: Buffer) => parts.push(part));
  const ended = once(receiver, "close");
  // Until the receiver listens, senders are refused. Not spawnSync: its output is read meanwhile.
  for (let tries = 0, status = 1; status !== 0; tries++) {
    assert.ok(tries < 20, "nobody listens");
    const sender = spawn(process.execPath, [V2, "stack", "nc", conf(5), "10.0.0.4", "9000"], {
      stdio: ["pipe", "ignore", "ignore"],
    });
    sender.stdin.on("error", () => {});
    sender.stdin.end(content);
    [status] = (await once(sender, "close")) as [number];
  }
  await ended;
  const hash = (octets: Buffer): string => createHash("sha256").update(octets).digest("hex");
  assert.equal(hash(Buffer.concat(parts)), hash(content));
});

test("v2 stack up tells addresses and routes; traceroute the way", () => {
  const up = v2("stack", "up", "--once", "--json", `${conf(6)},gw=10.0.0.1`);
  assert.equal(up.status, 0, up.stderr);
  const { interfaces, routes } = JSON.parse(up.stdout.toString()) as {
    interfaces: { name: string; addresses: { address: string }[] }[];
    routes: { prefix: string; gateway?: string }[];
  };
  assert.deepEqual(
    interfaces.map(({ name }) => name),
    ["lo0", "vd0"],
  );
  assert.deepEqual(
    interfaces[1]!.addresses.map(({ address }) => address),
    ["10.0.0.6", "fd00::6"],
  );
  assert.ok(routes.some(({ prefix, gateway }) => prefix === "0.0.0.0/0" && gateway === "10.0.0.1"));
  const way = v2("stack", "traceroute", conf(6), "10.0.0.1");
  assert.equal(way.status, 0);
  assert.match(way.stdout.toString(), /^ 1 {2}10\.0\.0\.1/);
});

test("what cannot be is said in one line, with what to do", () => {
  for (const [words, said] of [
    [["stack", "ping", "vnl=/nowhere", "10.0.0.1"], /nowhere/],
    [
      ["stack", "ping", `vnl=${lan},ipp=10.0.0.1/24`, "10.0.0.1"],
      /'ipp=10\.0\.0\.1\/24' makes no sense/,
    ],
    [["stack", "ping", conf(7), "10.0.0"], /no IPv4 or IPv6 address/],
    [["stack", "ping", conf(7), "192.168.9.9"], /Network is unreachable/],
    [["stack", "get", conf(7), "https://10.0.0.1/"], /http:\/\//],
    [["stack", "serve", conf(7), join(place, "missing")], /cannot be served/],
    [["stack", "up", `vnl=${lan},dhcp6`], /DHCPv6/],
    [["stack", "nc", conf(7), "10.0.0.1"], /no address and port/],
  ] as const) {
    const { status, stderr } = v2(...words);
    assert.notEqual(status, 0, words.join(" "));
    assert.match(stderr, said);
    assert.ok(stderr.trim().split("\n").length <= 2, stderr);
  }
});
