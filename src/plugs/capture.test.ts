import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { FramePool } from "../base/index.ts";
import { readPcapng } from "../wire/index.ts";
import { CaptureEnd } from "./capture.ts";
import { CaptureFile } from "./capture-file.ts";
import { CaptureRing } from "./capture-ring.ts";
import { receiveOne, sendOne, testEndConformance } from "./conformance.ts";
import { memPair } from "./mem-end.ts";
import { openVdeAsync } from "./vde-end.ts";
import { VdeServer } from "./vde-server.ts";

testEndConformance("capture of mem", () => {
  const [inner, peer] = memPair();
  const ring = new CaptureRing(1 << 10);
  return { end: new CaptureEnd(inner, { ring, port: 1, isBothWays: true }), peer };
});

test("a ring gives what was put, in order, and counts what did not fit", () => {
  const step = fc.oneof(fc.constant("take" as const), fc.nat({ max: 400 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const ring = new CaptureRing(1 << 10);
      const model: number[] = [];
      let dropped = 0;
      let number = 0;
      for (const wanted of steps) {
        if (wanted === "take") {
          const record = ring.take();
          const expected = model.shift();
          assert.equal(record?.timeMs, expected);
          if (record !== undefined) {
            assert.ok(record.octets.every((octet) => octet === (expected! & 0xff)));
          }
          continue;
        }
        const octets = new Uint8Array(wanted).fill(number & 0xff);
        if (ring.put(octets, 0, wanted, 3, false, number)) model.push(number);
        else dropped++;
        number++;
      }
      assert.equal(ring.dropped, dropped);
    }),
    { seed: 7 },
  );
});

test("a captured switch writes every frame that enters it, and a port both directions", async () => {
  const place = mkdtempSync(join(tmpdir(), "v2-capture-"));
  const all = new CaptureFile(join(place, "all.pcapng"));
  const one = new CaptureFile(join(place, "one.pcapng"));
  const directory = join(place, "lan");
  const captures = [{ file: all }, { file: one, port: 2 }];
  const server = await VdeServer.start({ directory, captures });
  const [a, b] = [await openVdeAsync({ directory }), await openVdeAsync({ directory })];
  const pool = new FramePool(2);
  const frame = (length: number): Uint8Array =>
    new Uint8Array(length).fill(255, 0, 6).fill(2, 6, 12);
  sendOne(pool, a, frame(100));
  receiveOne(pool, b);
  sendOne(pool, b, frame(9000));
  receiveOne(pool, a);
  a.close();
  b.close();
  await server.close();
  await Promise.all([all.close(), one.close()]);
  const lengths = (name: string): string[] =>
    [...readPcapng(readFileSync(join(place, name)))].flatMap((record) =>
      record.kind === "frame" ? [`${record.octets.length} ${record.direction}`] : [],
    );
  assert.deepEqual(lengths("all.pcapng"), ["100 inbound", "9000 inbound"]);
  assert.deepEqual(lengths("one.pcapng"), ["100 outbound", "9000 inbound"]);
  rmSync(place, { recursive: true });
});
