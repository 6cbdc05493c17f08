import assert from "node:assert/strict";
import { test } from "node:test";
import type { PortRate } from "../vde/index.ts";
import { amount, topLines, type TopReading } from "./top-view.ts";

function reading(count: number): TopReading {
  const ports: PortRate[] = Array.from({ length: count }, (_, i) => ({
    port: i + 1,
    isActive: true,
    untaggedVlan: i === 0 ? 4095 : 0,
    in: { framesPerSecond: 1500, bitsPerSecond: 2_000_000 },
    out: { framesPerSecond: 0, bitsPerSecond: 0 },
    drops: i === 0 ? undefined : 12,
    dropsPerSecond: undefined,
    description: "\u001b[31mevil\u0007",
  }));
  const info = { title: "VDE switch", pid: 1, address: undefined, uptimeSeconds: 3725 };
  return { name: "lan", info, ports, intervalSeconds: 1 };
}

test("ports stand in columns under totals", () => {
  assert.deepEqual(topLines(reading(2), 100, 30), [
    "lan  VDE switch  up 1h 2m  every 1 s",
    "2 ports  in 3.0k f/s 4.0M b/s  out 0 f/s 0 b/s",
    "",
    "PORT  VLAN  IN f/s  IN b/s  OUT f/s  OUT b/s  DROPS  DESCRIPTION",
    "   1     -    1.5k    2.0M        0        0      -  ?[31mevil?",
    "   2     0    1.5k    2.0M        0        0     12  ?[31mevil?",
  ]);
});

test("no picture is larger than its terminal", () => {
  for (const [columns, rows] of [
    [1, 1],
    [10, 3],
    [40, 8],
    [80, 24],
  ] as const) {
    const lines = topLines(reading(50), columns, rows);
    assert.ok(lines.length <= rows, `${lines.length} lines in ${rows} rows`);
    for (const line of lines) assert.ok(line.length <= columns, line);
  }
});

test("ports without room are counted", () => {
  assert.equal(topLines(reading(50), 80, 10).at(-1), "… and 45 more ports");
});

test("amounts have three digits and a prefix", () => {
  const values = [0, 12.4, 999, 1000, 1549, 12_345, 99_949, 123_456, 999_500, 2e9, 3e15];
  assert.deepEqual(values.map(amount), [
    "0",
    "12",
    "999",
    "1.0k",
    "1.5k",
    "12.3k",
    "99.9k",
    "123k",
    "1.0M",
    "2.0G",
    "3000T",
  ]);
});
