import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { isTapAvailable } from "../../../src/sys/index.ts";

const PROGRAM = fileURLToPath(new URL("dhcp-inside.js", import.meta.url));
const isRoot = process.getuid?.() === 0;

test("a stack gets an address from busybox's DHCP server, and answers under it", (t) => {
  if (!isTapAvailable()) return t.skip("needs /dev/net/tun: sudo chmod 0666 /dev/net/tun");
  if (spawnSync("busybox", ["udhcpd", "--help"]).error !== undefined) {
    return t.skip("needs busybox: apt install busybox-static");
  }
  const place = mkdtempSync(join(tmpdir(), "v2-dhcp-"));
  try {
    const words = isRoot ? ["-n"] : ["-Urn"];
    const run = spawnSync("unshare", [...words, process.execPath, PROGRAM, place], {
      encoding: "utf8",
      timeout: 60_000,
    });
    assert.equal(run.status, 0, run.stderr);
    const outcome = JSON.parse(run.stdout) as { log: string };
    const { log, ...got } = outcome;
    assert.deepEqual(got, {
      address: "10.99.0.50",
      bits: 24,
      routers: ["10.99.0.1"],
      servers: ["10.99.0.53"],
      isAnswering: true,
    });
    assert.match(log, /sending ACK to 10\.99\.0\.50/);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
});
