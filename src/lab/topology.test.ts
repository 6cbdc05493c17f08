import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as fc from "fast-check";
import { V2Error } from "../base/index.ts";
import { parseTopology } from "./load.ts";
import { suggestion } from "./topology-file.ts";

const FIRST_SQUARE = "examples/first-square.yaml";

/** All problems of a text, one per line, as a user sees them. */
function problemsOf(text: string): string[] {
  try {
    parseTopology(text, "lab.yaml");
  } catch (error) {
    assert.ok(error instanceof V2Error, String(error));
    assert.equal(error.exitCode, 2);
    return error.message.split("\n");
  }
  return [];
}

test("the first square is a switch and two views with an address of each family", () => {
  const topology = parseTopology(readFileSync(FIRST_SQUARE, "utf8"), FIRST_SQUARE);
  assert.equal(topology.name, "first-square");
  assert.deepEqual(
    topology.switches.map((s) => s.name),
    ["lan"],
  );
  const [alice, bob] = topology.views;
  assert.deepEqual(alice?.interfaces[0]?.addresses, ["10.77.0.2/24", "fd77::2/64"]);
  assert.equal(bob?.interfaces[0]?.port, 2);
  assert.match(alice.interfaces[0].mac, /^02:/);
  assert.notEqual(alice.interfaces[0].mac, bob?.interfaces[0]?.mac);
});

test("defaults, kinds, groups and nodes are inherited in this order; lists and environments join", () => {
  const topology = parseTopology(
    `
name: inherit
topology:
  defaults: { kind: view, mtu: 1400, exec: [one], env: { A: 1, B: 1 } }
  kinds:
    view: { mtu: 1450, root: true, exec: [two], env: { B: 2, C: 2 } }
  groups:
    people: { mtu: 1480, exec: [three], env: { C: 3, D: 3 } }
  nodes:
    lan: { kind: switch, ports: 8 }
    alice: { group: people, exec: [four], env: { D: true } }
    bob: { mtu: 9000, root: false }
  links:
    - endpoints: [alice, lan]
    - endpoints: ["lan:3", "bob:net0"]
`,
    "lab.yaml",
  );
  const [alice, bob] = topology.views;
  assert.equal(alice?.interfaces[0]?.mtu, 1480);
  assert.deepEqual(alice.exec, ["one", "two", "three", "four"]);
  assert.deepEqual(alice.env, { A: "1", B: "2", C: "3", D: "true" });
  assert.equal(alice.root, true);
  assert.equal(bob?.root, false);
  assert.deepEqual(
    [bob.interfaces[0]?.name, bob.interfaces[0]?.port, bob.interfaces[0]?.mtu],
    ["net0", 3, 9000],
  );
});

test("every problem of a file is reported at its place, all at once", () => {
  const text = `name: wrong
topology:
  nodes:
    lan: { kind: switch, ipv4: 10.77.0.1/24 }
    alice:
      kind: view
      adresses: []
      ipv4: 10.77.0.2/24
      mac: 02:00:00:00:00:01
      mtu: large
    bob:
      kind: view
      ipv4: 10.77.0.2/24
      mac: 02-00-00-00-00-01
      image: { file: no-such.img, mount: mnt }
      mounts: ["tmpfs"]
    carol:
      kind: veiw
    dora:
      kind: view
      ipv4: 10.78.0.2/24
      ipv6: fd77::1
      gateway: 10.79.0.1
      addresses: ["10.77.0.300/24"]
      interfaces: { eth7: { ipv4: 10.77.0.9/24 } }
  links:
    - endpoints: ["alice:eth0", "lan:1"]
    - endpoints: ["bob:eth0", "lan:1"]
    - endpoints: ["dora:eth0", "lann:2"]
    - endpoints: ["dora:eth0", "lan:4"]
    - endpoints: ["dora:eth1", "bob:eth1"]
`;
  assert.deepEqual(problemsOf(text), [
    "lab.yaml:4:26: a switch has no 'ipv4'",
    "lab.yaml:7:7: unknown key 'adresses' (did you mean 'addresses'?)",
    "lab.yaml:10:12: 'mtu' must be a whole number, not \"large\"",
    "lab.yaml:13:13: 10.77.0.2 is already the address of alice:eth0",
    "lab.yaml:14:12: 02:00:00:00:00:01 is already the address of alice:eth0",
    "lab.yaml:15:22: no image file 'no-such.img'",
    "lab.yaml:15:42: 'mnt' is not an absolute path",
    "lab.yaml:16:16: mount 'tmpfs': a type, a source and a target are needed",
    "lab.yaml:18:13: unknown kind 'veiw' (did you mean 'view'?)",
    "lab.yaml:21:13: '10.78.0.2/24' is of another network than 10.77.0.2/24 of alice:eth0 on switch 'lan'",
    "lab.yaml:22:13: 'fd77::1' is not an IPv6 address with its prefix, like fd77::2/64",
    "lab.yaml:23:16: gateway '10.79.0.1' is in no network of this interface",
    "lab.yaml:24:19: '10.77.0.300/24' is not an IPv4 address with its prefix, like 10.77.0.2/24",
    "lab.yaml:25:21: no link leads to dora:eth7",
    "lab.yaml:28:31: 'lan:1' is used by another link",
    "lab.yaml:29:32: link to unknown node 'lann' (did you mean 'lan'?)",
    "lab.yaml:31:18: a link joins an interface of a view or stack to a port of a switch",
  ]);
});

test("a wrong key is answered with the right one when it is near", () => {
  assert.deepEqual(problemsOf("name: a\ntopolgy: {}\n"), [
    "lab.yaml:1:1: missing key 'topology'",
    "lab.yaml:2:1: unknown key 'topolgy' (did you mean 'topology'?)",
  ]);
  assert.equal(suggestion("ipv", ["ipv4", "mac"]), " (did you mean 'ipv4'?)");
  assert.equal(suggestion("colour", ["ipv4", "mac"]), "");
});

test("YAML that cannot be read is reported with its place", () => {
  assert.deepEqual(problemsOf(""), [
    "lab.yaml:1:1: the file is empty; it needs 'name' and 'topology'",
  ]);
  const [twice] = problemsOf("name: a\nname: b\n");
  assert.match(twice ?? "", /^lab\.yaml:2:1: .*unique/);
  assert.match(problemsOf("name: [\n")[0] ?? "", /^lab\.yaml:2:1: /);
});

test("addresses that no host can have are refused", () => {
  const of = (key: string, value: string): string[] =>
    problemsOf(`name: a
topology:
  nodes: { lan: { kind: switch }, x: { kind: view, ${key}: "${value}" } }
  links: [{ endpoints: [x, lan] }]
`);
  const wrong = {
    "10.77.0.0/24": "network's own",
    "10.77.0.255/24": "broadcast",
    "224.0.0.1/24": "multicast",
    "127.0.0.1/8": "loopback",
    "10.77.0.2": "prefix",
    "10.77.0.2/33": "not an IPv4",
  };
  for (const [address, reason] of Object.entries(wrong)) {
    assert.match(of("ipv4", address)[0] ?? "nothing", new RegExp(reason), address);
  }
  assert.match(of("ipv6", "ff02::1/64")[0] ?? "nothing", /multicast/);
  assert.match(of("ipv6", "::1/128")[0] ?? "nothing", /loopback/);
  assert.match(of("mac", "03:00:00:00:00:01")[0] ?? "nothing", /group address/);
  assert.deepEqual(of("ipv4", "10.77.0.0/31"), []);
  assert.deepEqual(of("ipv6", "fd77::1/64"), []);
});

test("any text and any YAML value gives a topology or problems with a place, never a crash", () => {
  const source = readFileSync(FIRST_SQUARE, "utf8");
  const mutated = fc
    .tuple(fc.nat(source.length), fc.nat(12), fc.string({ maxLength: 12 }))
    .map(([at, cut, put]) => source.slice(0, at) + put + source.slice(at + cut));
  const value = fc.json({ maxDepth: 4 }).map((json) => `name: x\ntopology: ${json}\n`);
  fc.assert(
    fc.property(fc.oneof(fc.string(), mutated, value), (text) => {
      for (const problem of problemsOf(text)) assert.match(problem, /^lab\.yaml:\d+:\d+: ./);
    }),
    { seed: 4, numRuns: 400 },
  );
});

test("a file that is no topology at all is told in one short line", () => {
  const [problem, ...more] = problemsOf(`\u009b31m\uFFFD${"x".repeat(5000)}`);
  assert.deepEqual(more, []);
  assert.match(problem!, /^lab\.yaml:1:1: the file must be a mapping, not "\?31m\?x+…$/);
  assert.ok(problem!.length < 300);
});
