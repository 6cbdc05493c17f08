import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { V2Error } from "../../../src/base/index.ts";
import { attachNamespace } from "../../../src/plugs/index.ts";

const PROGRAM = fileURLToPath(new URL("in-user-namespace.js", import.meta.url));

interface Outcome {
  readonly links: readonly { name: string; isUp: boolean; mtu: number; mac: string }[];
  readonly addresses: readonly string[];
  readonly offloads: { txChecksum: boolean; tcpSegmentation: boolean };
  readonly ping4: boolean;
  readonly ping6: boolean;
  readonly pingLarge: boolean;
  readonly routes: string;
  readonly tcp4: { isEqual: boolean };
  readonly tcp6: { isEqual: boolean };
  readonly tagged: number;
  readonly pump: { octetsMax: number; tagged: number };
  readonly linksAfterClose: readonly string[];
}

function missing(): string | undefined {
  if (spawnSync("unshare", ["-Urn", "true"]).status !== 0) {
    return "needs user namespaces: sysctl kernel.unprivileged_userns_clone=1, apt install util-linux";
  }
  if (spawnSync("ping", ["-V"]).status !== 0) return "needs ping: apt install iputils-ping";
  if (spawnSync("ip", ["-V"]).status !== 0) return "needs ip: apt install iproute2";
  return undefined;
}

for (const via of ["tap", "veth"] as const) {
  for (const mtu of [1500, 9000]) {
    test(`a ${via} cable of MTU ${mtu} carries ping, TCP and tagged frames between two namespaces`, (t) => {
      const reason = missing();
      if (reason !== undefined) return t.skip(reason);
      const run = spawnSync("unshare", ["-Urn", process.execPath, PROGRAM, via, String(mtu), "8"], {
        encoding: "utf8",
        timeout: 60_000,
      });
      assert.equal(run.status, 0, run.stderr);
      assert.equal(run.stderr, "");
      const outcome = JSON.parse(run.stdout) as Outcome;
      const eth0 = outcome.links.find((link) => link.name === "eth0");
      assert.deepEqual(
        outcome.links.map((link) => [link.name, link.isUp]),
        [
          ["lo", true],
          ["eth0", true],
        ],
      );
      assert.equal(eth0?.mtu, mtu);
      assert.match(eth0?.mac ?? "", /^02:/);
      for (const address of ["127.0.0.1/8", "::1/128", "10.77.0.2/24", "fd77::2/64"]) {
        assert.ok(outcome.addresses.includes(address), address);
      }
      assert.match(outcome.routes, /^default via 10\.77\.0\.1 dev eth0/);
      assert.equal(outcome.offloads.txChecksum, false);
      assert.equal(outcome.offloads.tcpSegmentation, false);
      assert.deepEqual([outcome.ping4, outcome.ping6, outcome.pingLarge], [true, true, true]);
      assert.deepEqual([outcome.tcp4.isEqual, outcome.tcp6.isEqual], [true, true]);
      assert.equal(outcome.tagged, 3, "frames with tags 7, 7 with priority, and a service tag");
      assert.equal(outcome.pump.tagged, 2);
      assert.equal(outcome.pump.octetsMax, mtu + 14, "no frame is longer than the MTU allows");
      assert.deepEqual(outcome.linksAfterClose, ["lo"]);
      return undefined;
    });
  }
}

test("settings that cannot be are refused before anything is made", () => {
  const namespace = { pid: process.pid };
  const wrong = [
    [{ addresses: ["10.77.0.2/33"] }, "BAD_ADDRESS", "10.77.0.2/33"],
    [{ mac: "01:00:00:00:00:00" }, "BAD_MAC", "01:00:00:00:00:00"],
    [{ mtu: 20 }, "BAD_MTU", "20"],
    [{ addresses: ["10.77.0.2/24"], gateway: "10.78.0.1" }, "BAD_GATEWAY", "10.78.0.1"],
  ] as const;
  for (const [settings, code, value] of wrong) {
    assert.throws(
      () => attachNamespace({ namespace, ...settings }),
      (error) => error instanceof V2Error && error.code === code && error.message.includes(value),
    );
  }
});
