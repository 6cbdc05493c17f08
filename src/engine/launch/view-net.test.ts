import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { V2Error } from "../../base/index.ts";
import { parseViewNet } from "./view-net.ts";

test("a cable is a switch and what its interface is given", () => {
  assert.deepEqual(
    parseViewNet(
      "/tmp/lan,ip=10.77.0.2/24,ip=fd77::2/64,mac=02:00:00:00:00:02,mtu=9000,gw=10.77.0.1",
    ),
    {
      switch: "/tmp/lan",
      addresses: ["10.77.0.2/24", "fd77::2/64"],
      mac: "02:00:00:00:00:02",
      mtu: 9000,
      gateway: "10.77.0.1",
    },
  );
  assert.deepEqual(parseViewNet("lan,if=lan0,via=veth"), {
    switch: "lan",
    addresses: [],
    interface: "lan0",
    via: "veth",
  });
});

test("a wrong word is named, with an example of right ones", () => {
  for (const [text, reason] of [
    ["", "switch is missing"],
    ["lan,ipp=1", "unknown word 'ipp'"],
    ["lan,ip", "'ip' needs a value"],
    ["lan,mac=a,mac=b", "'mac' is given twice"],
    ["lan,via=air", "via is tap or veth"],
    ["lan,mtu=big", "mtu 'big'"],
    ["lan,ip=10.0.0.999/24", "'10.0.0.999/24' is no address"],
    ["lan,ip=10.0.0.9", "'10.0.0.9' is no address with prefix length"],
    ["lan,ip=fd77::2/129", "'fd77::2/129' is no address"],
    ["lan,mac=zz", "'zz' is no MAC address"],
    ["lan,mac=01:00:5e:00:00:01", "address of a group"],
    ["lan,gw=nowhere", "'nowhere' is no address of a gateway"],
    ["lan,if=a/b", "'a/b' cannot name an interface"],
    ["lan,if=sixteen-octets--", "cannot name an interface"],
  ] as const) {
    assert.throws(
      () => parseViewNet(text),
      (error: unknown) =>
        error instanceof V2Error && error.exitCode === 2 && error.message.includes(reason),
    );
  }
});

test("any text is a cable or a usage error", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        parseViewNet(text);
      } catch (error) {
        assert.ok(error instanceof V2Error);
      }
    }),
    { seed: 3, numRuns: 300 },
  );
});
