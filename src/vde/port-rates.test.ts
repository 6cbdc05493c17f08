import assert from "node:assert/strict";
import { test } from "node:test";
import type { PortReport } from "./console-report.ts";
import { portRates } from "./port-rates.ts";

function port(number: number, frames: number, octets: number, drops?: number): PortReport {
  const traffic = { frames, octets };
  return {
    port: number,
    untaggedVlan: 0,
    isActive: true,
    isAllocatable: true,
    currentUser: "root",
    user: "NONE",
    group: "NONE",
    in: traffic,
    out: { frames: 2 * frames, octets: 2 * octets },
    endpoints: [{ id: 1, module: "unix prog", description: "a", drops }],
  };
}

test("rates are differences per second, octets told in bits", () => {
  const [rate] = portRates([port(1, 100, 1000, 3)], [port(1, 200, 3000, 7)], 2000);
  assert.deepEqual(rate?.in, { framesPerSecond: 50, bitsPerSecond: 8000 });
  assert.deepEqual(rate?.out, { framesPerSecond: 100, bitsPerSecond: 16_000 });
  assert.equal(rate?.drops, 7);
  assert.equal(rate?.dropsPerSecond, 2);
});

test("a counter that went back counts from zero", () => {
  const [rate] = portRates([port(1, 100, 1000)], [port(1, 10, 100)], 1000);
  assert.equal(rate?.in.framesPerSecond, 10);
});

test("a port that was not there before has no rate yet, a port that left is not shown", () => {
  const rates = portRates([port(1, 5, 5)], [port(2, 10, 100)], 1000);
  assert.deepEqual(
    rates.map((rate) => [rate.port, rate.in.framesPerSecond]),
    [[2, 0]],
  );
});

test("a switch that counts no drops has none, not zero", () => {
  const [rate] = portRates([port(1, 1, 1)], [port(1, 2, 2)], 1000);
  assert.equal(rate?.drops, undefined);
  assert.equal(rate?.dropsPerSecond, undefined);
});
