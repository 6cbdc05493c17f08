import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { isTapAvailable } from "../../../src/sys/index.ts";

const PROGRAM = fileURLToPath(new URL("kernel-side.js", import.meta.url));
const isRoot = process.getuid?.() === 0;
const REASON = "needs /dev/net/tun: sudo chmod 0666 /dev/net/tun";

/** Runs all scenarios against the kernel of a namespace of their own. */
function againstKernel(mtu: number, kind: "plain" | "offload", octets: number, shorts = 100): void {
  const words = isRoot ? ["-n"] : ["-Urn"];
  const { status, stdout, stderr } = spawnSync(
    "unshare",
    [...words, process.execPath, PROGRAM, String(mtu), kind, String(octets), String(shorts)],
    { encoding: "utf8", timeout: 120_000 },
  );
  assert.equal(status, 0, `${stdout}${stderr}`);
  const { done, wrong } = JSON.parse(stdout) as { done: string[]; wrong: string[] };
  assert.deepEqual(wrong, []);
  assert.ok(done.length >= 8);
}

for (const [mtu, kind, octets] of [
  [576, "plain", 300_000],
  [1280, "plain", 1_000_000],
  [1500, "plain", 20_000_000],
  [1500, "offload", 100_000_000],
  [9000, "plain", 5_000_000],
  [65_521, "offload", 5_000_000],
] as const) {
  test(`the kernel and a stack understand each other: MTU ${mtu}, ${kind}`, (t) => {
    if (!isTapAvailable()) return t.skip(REASON);
    againstKernel(mtu, kind, octets);
  });
}
