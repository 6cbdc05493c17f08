import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { V2Error } from "../base/index.ts";
import { PcapngWriter } from "./pcapng.ts";
import { blockDropped, blockFrame, PcapngBlocks } from "./pcapng-blocks.ts";

/** A capture of frames of these lengths, with statistics at its end. */
function capture(lengths: readonly number[], dropped: bigint): Uint8Array {
  const blocks: Uint8Array[] = [];
  const writer = new PcapngWriter((block) => blocks.push(block.slice()), { application: "test" });
  const interfaceId = writer.addInterface({ name: "port 1" });
  for (const length of lengths) {
    const octets = new Uint8Array(length).fill(length & 0xff);
    writer.writeFrame({ interfaceId, timeNs: 1n, octets, direction: "inbound" });
  }
  writer.writeStatistics({ interfaceId, timeNs: 2n, received: 9n, dropped });
  return Buffer.concat(blocks);
}

test("however a capture arrives, its frames and its losses come out", () => {
  const lengths = fc.array(fc.nat({ max: 300 }), { maxLength: 10 });
  fc.assert(
    fc.property(lengths, fc.integer({ min: 1, max: 70 }), (frames, step) => {
      const octets = capture(frames, 7n);
      const splitter = new PcapngBlocks();
      const blocks: Uint8Array[] = [];
      for (let at = 0; at < octets.length; at += step) {
        blocks.push(...splitter.push(octets.subarray(at, at + step)));
      }
      assert.deepEqual(Buffer.concat(blocks), Buffer.from(octets));
      assert.deepEqual(
        blocks.flatMap((block) => blockFrame(block)?.length ?? []),
        frames,
      );
      assert.deepEqual(
        blocks.flatMap((block) => blockDropped(block) ?? []),
        [7],
      );
    }),
    { seed: 3 },
  );
});

test("octets that are no capture are refused, not kept", () => {
  const isBad = (error: unknown): boolean => (error as V2Error).code === "BAD_CAPTURE";
  assert.throws(() => new PcapngBlocks().push(new Uint8Array(12)), isBad);
  assert.throws(() => new PcapngBlocks().push(new Uint8Array(12).fill(255)), isBad);
});
