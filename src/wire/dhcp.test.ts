import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { always, anyOctets, ipv4, mac, record, u32 } from "../../test/properties.ts";
import { type Dhcp, emitDhcp, parseClasslessRoutes, parseDhcp } from "./dhcp.ts";

const options = fc
  .array(
    fc.tuple(fc.integer({ min: 1, max: 254 }), fc.uint8Array({ minLength: 1, maxLength: 400 })),
    {
      maxLength: 6,
    },
  )
  // Option 52 changes what the rest means.
  .map((entries) => new Map(entries.filter(([kind]) => kind !== 52)));

const message = record<Dhcp>({
  isRequest: fc.boolean(),
  transaction: u32,
  wantsBroadcast: fc.boolean(),
  clientAddress: ipv4,
  yourAddress: ipv4,
  mac,
  options,
});

test("what is written is read again, options of any length included (RFC 2131, RFC 3396)", () => {
  always(message, (value) => {
    const octets = new Uint8Array(3000);
    const length = emitDhcp(value, octets);
    assert.ok(length >= 300);
    assert.deepEqual(parseDhcp(octets.subarray(0, length)), value);
  });
});

test("any octets are read or refused, never anything else (RFC 2131, RFC 3442)", () => {
  always(anyOctets, (octets) => {
    parseDhcp(octets);
    parseClasslessRoutes(octets);
    const whole = new Uint8Array(240 + octets.length);
    whole.set([1, 1, 6]);
    whole.set([0x63, 0x82, 0x53, 0x63], 236);
    whole.set(octets, 240);
    assert.notEqual(parseDhcp(whole), undefined);
  });
});

test("classless routes are read (RFC 3442)", () => {
  const octets = Uint8Array.of(24, 10, 1, 2, 10, 0, 0, 1, 0, 10, 0, 0, 254, 33, 1);
  const routes = parseClasslessRoutes(octets).map(({ lengthBits, network, router }) => [
    lengthBits,
    network.join("."),
    router.join("."),
  ]);
  assert.deepEqual(routes, [
    [24, "10.1.2.0", "10.0.0.1"],
    [0, "0.0.0.0", "10.0.0.254"],
  ]);
});
