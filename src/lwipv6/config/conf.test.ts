import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { V2Error } from "../../base/index.ts";
import { parseConf } from "./conf.ts";

test("reads a line of iothconf", () => {
  const conf = parseConf(
    "vnl=vde:///tmp/lan[3],eth,ip=10.0.0.5/24,ip=fd00::5/64,gw=10.0.0.1,auto6,-dhcp6,dns=10.0.0.1",
  );
  assert.equal(conf.vnl, "vde:///tmp/lan[3]");
  const addresses = conf.addresses.map(({ address, bits }) => `${address.toString()}/${bits}`);
  assert.deepEqual(addresses, ["10.0.0.5/24", "fd00::5/64"]);
  assert.deepEqual(conf.gateways.map(String), ["10.0.0.1"]);
  assert.deepEqual([conf.hasSlaac, conf.hasDhcp6, conf.hasDhcp], [true, false, false]);
});

test("names the word at fault", () => {
  for (const text of ["ip=10.0.0", "gw=x", "mac=01:00:00:00:00:00", "dhpc", "mtu=9", "adress=1"]) {
    assert.throws(
      () => parseConf(text),
      (error: V2Error) => error.message.includes(text),
      text,
    );
  }
});

test("any text is read or refused, never anything else", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        parseConf(text);
      } catch (error) {
        assert.ok(error instanceof V2Error);
      }
    }),
  );
});
