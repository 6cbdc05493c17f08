import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ERRNO, fromHex } from "../base/index.ts";
import { IP_LOG_ADDRESSES_MAX, IP_LOG_RANGES_MAX, IpLog, scanAddress } from "./ip-log.ts";

/** A frame of IPv4 from 10.… or another address. */
function packet(source: number, options = { tag: "", head: "45" }): Uint8Array {
  const address = source.toString(16).padStart(8, "0");
  const head = `ffffffffffff020000000001${options.tag}0800${options.head}00002800000000`;
  return fromHex(`${head}40110000${address}0a000002`)!;
}

test("only addresses inside the ranges are remembered", () => {
  const log = new IpLog();
  assert.equal(log.see(packet(0x0a000001), 1, 0, 0), undefined);
  assert.equal(log.addRange("10.0.0.0/8"), 0);
  const use = log.see(packet(0x0a000001), 1, 0, 0);
  assert.deepEqual(use, {
    address: "10.0.0.1",
    version: 4,
    mac: "02:00:00:00:00:01",
    port: 1,
    vlan: 0,
    lastMs: 0,
  });
  assert.equal(log.see(packet(0xc0a80001), 1, 0, 0), undefined);
});

test("an address is told again when its port, its VLAN or its station changes", () => {
  const log = new IpLog();
  log.addRange("0.0.0.0/0");
  assert.ok(log.see(packet(1), 1, 0, 0));
  assert.equal(log.see(packet(1), 1, 0, 1), undefined);
  assert.ok(log.see(packet(1), 2, 0, 2));
  assert.ok(log.see(packet(1), 2, 5, 3));
  const other = packet(1);
  other[11] = 9;
  assert.ok(log.see(other, 2, 5, 4));
  assert.equal(log.uses(4).length, 1);
});

test("a packet with a tag or with options has its source too", () => {
  const log = new IpLog();
  log.addRange("10.0.0.0/8");
  const tagged = log.see(packet(0x0a000001, { tag: "81006005", head: "45" }), 1, 5, 0);
  assert.equal(tagged?.mac, "02:00:00:00:00:01");
  assert.ok(log.see(packet(0x0a000002, { tag: "", head: "4f" }), 1, 0, 0));
  assert.equal(log.see(packet(0x0a000003, { tag: "", head: "44" }), 1, 0, 0), undefined);
  assert.equal(log.see(packet(0x0a000003, { tag: "", head: "65" }), 1, 0, 0), undefined);
});

test("an address that is silent for too long is forgotten at the next sweep", () => {
  const log = new IpLog();
  log.addRange("10.0.0.0/8");
  log.expireSeconds = 100;
  log.see(packet(0x0a000001), 1, 0, 0);
  log.see(packet(0x0a000002), 1, 0, 0);
  log.see(packet(0x0a000002), 1, 0, 60_000);
  assert.equal(log.uses(100_000).length, 2);
  assert.equal(log.uses(105_000).length, 2, "not yet time to sweep");
  assert.deepEqual(
    log.uses(110_000).map(({ address }) => address),
    ["10.0.0.2"],
  );
});

test("beyond the limits addresses are refused and counted, and ranges are refused", () => {
  const log = new IpLog();
  log.addRange("10.0.0.0/8");
  for (let i = 0; i < IP_LOG_ADDRESSES_MAX; i++) log.see(packet(0x0a000000 + i), 1, 0, 0);
  assert.equal(log.see(packet(0x0afffffe), 1, 0, 0), undefined);
  assert.equal(log.refused, 1);
  for (let i = 1; i < IP_LOG_RANGES_MAX; i++) assert.equal(log.addRange(`1.0.${i}.0/24`), 0);
  assert.equal(log.addRange("1.1.0.0/24"), ERRNO.ENOSPC);
});

test("addresses are read as inet_aton reads them", () => {
  for (const [text, octets] of [
    ["10.1", [10, 0, 0, 1]],
    ["10.1.2", [10, 1, 0, 2]],
    ["0x0b.010.1", [11, 8, 0, 1]],
    ["16909060", [1, 2, 3, 4]],
    ["4294967296", undefined],
    ["08.0.0.1", undefined],
    ["1.2.3.256", undefined],
    ["1.2.3.4.5", undefined],
    ["", undefined],
    ["1..2", undefined],
  ] as const) {
    const found = scanAddress(text);
    assert.deepEqual(found === undefined ? undefined : [...found], octets, text);
  }
});

test("no octets and no text make it throw, and what it knows lies in its ranges", () => {
  const head = fc.constantFrom("0800", "86dd", "810000050800", "8100000586dd", "0806");
  const octets = fc
    .tuple(head, fc.uint8Array({ maxLength: 60 }))
    .map(([type, rest]) => [...fromHex(`ffffffffffff020000000001${type}`)!, ...rest]);
  const frame = fc.oneof(octets, fc.uint8Array({ maxLength: 80 }));
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 20 }), fc.string(), (frames, text) => {
      const log = new IpLog();
      log.addRange("0.0.0.0/1");
      log.addRange("::/1");
      for (const one of frames) log.see(Uint8Array.from(one), 1, 0, 0);
      for (const { address } of log.uses(0)) assert.ok(scanAddress(address)![0]! < 128);
      const before = log.ranges().length;
      const error = log.addRange(text);
      assert.equal(log.ranges().length, before + (error === 0 ? 1 : 0));
    }),
    { seed: 21, numRuns: 300 },
  );
});
