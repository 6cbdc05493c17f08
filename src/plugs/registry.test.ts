import assert from "node:assert/strict";
import { test } from "node:test";
import { FramePool, V2Error } from "../base/index.ts";
import { receiveOne, sendOne } from "./conformance.ts";
import { openEnd, parseVnl } from "./registry.ts";

test("a name without a scheme is a switch", () => {
  assert.deepEqual(parseVnl("/run/lan[3]"), { scheme: "vde", address: "/run/lan[3]" });
  assert.deepEqual(parseVnl("tap://t0"), { scheme: "tap", address: "t0" });
});

test("an unknown scheme and a missing switch are refused with what to do", () => {
  assert.throws(() => openEnd("nothing://x"), { code: "UNKNOWN_SCHEME", message: /'nothing'/ });
  assert.throws(() => openEnd("toString://x"), { code: "UNKNOWN_SCHEME" });
  assert.throws(
    () => openEnd("/nonexistent/lan"),
    (error: unknown) =>
      error instanceof V2Error && error.code === "NO_SWITCH" && /v2 switch/.test(error.remedy!),
  );
});

test("null takes everything and gives nothing", () => {
  const end = openEnd("null://");
  const pool = new FramePool(2);
  const slots = Int32Array.of(pool.take(), pool.take());
  assert.equal(end.send(pool, slots, 0, 2), 2);
  assert.equal(end.receive(pool, slots, 2), 0);
});

test("cmd speaks frames with a child process", () => {
  const end = openEnd("cmd://cat");
  const pool = new FramePool(2);
  const frame = Uint8Array.from({ length: 9000 }, (_, i) => i & 0xff);
  sendOne(pool, end, frame);
  assert.deepEqual(receiveOne(pool, end), frame);
  end.close();
});
