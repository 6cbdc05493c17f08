/** A host behind Debian's vde_plug2tap and a view of ours on one switch, ours or Debian's. */
import assert from "node:assert/strict";
import { accessSync, constants } from "node:fs";
import { test } from "node:test";
import { has, until, Workshop } from "./vde-peers.ts";

function canOpenTun(): boolean {
  try {
    accessSync("/dev/net/tun", constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

for (const [via, kind] of [
  ["tap", "ours"],
  ["veth", "ours"],
  ["tap", "debian"],
  ["veth", "debian"],
]) {
  test(`Debian's vde_plug2tap and a view on ${via} reach each other on ${kind}`, async (t) => {
    if (!has("vde_plug2tap") || !has("vde_switch"))
      return t.skip("needs vde_plug2tap: apt install vde2");
    if (!has("ping") || !has("ip")) {
      return t.skip("needs ping and ip: apt install iputils-ping iproute2");
    }
    if (!canOpenTun()) return t.skip("needs /dev/net/tun: chmod 666 /dev/net/tun");
    const shop = new Workshop(t);
    const { directory } = await (kind === "ours" ? shop.ourSwitch() : shop.debianSwitch());
    // The TAP interface lives in a network namespace of its own, so that an ordinary user can make
    // it; the namespace ends with its shell.
    const script = `vde_plug2tap -s ${directory} tap0 & plug=$!
      until ip link show tap0 2> /dev/null; do sleep 0.05; done
      ip addr add 10.88.0.2/24 dev tap0 && ip link set tap0 up && echo up
      read end; kill $plug; wait $plug`;
    const host = shop.start("unshare", ["-Urn", "sh", "-c", script]);
    await until(() => host.output().includes("up\n") || host.child.exitCode !== null);
    assert.equal(host.child.exitCode, null, host.errors());
    const net = `${directory},ip=10.88.0.1/24,via=${via}`;
    const view = shop.v2(
      ..."view --net".split(" "),
      net,
      "--",
      "ping",
      "-c3",
      "-i0.2",
      "10.88.0.2",
    );
    assert.equal(await view.ended, 0, view.errors());
    assert.match(view.output().toString(), /3 received/);
    host.child.stdin!.end("\n");
    await host.ended;
    return undefined;
  });
}
