import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { toHex } from "../base/index.ts";
import { readCapture } from "./pcap.ts";
import { emitPcapHead, emitPcapRecord } from "./pcap-writer.ts";

test("a head is libpcap's", () => {
  assert.equal(toHex(emitPcapHead(96)), "d4c3b2a10200040000000000000000006000000001000000");
});

test("what is written is read again, to the microsecond", () => {
  const frames = fc.array(fc.tuple(fc.uint8Array({ maxLength: 300 }), fc.nat(2 ** 31 - 1)));
  fc.assert(
    fc.property(frames, fc.nat(999_999), (written, microseconds) => {
      const blocks = written.map(([octets, seconds]) =>
        emitPcapRecord(octets, seconds * 1000 + microseconds / 1000),
      );
      const file = Uint8Array.from(
        [emitPcapHead(65_535), ...blocks].flatMap((block) => [...block]),
      );
      const read = [...readCapture(file)].filter((record) => record.kind === "frame");
      assert.equal(read.length, written.length);
      for (const [i, { octets, timeNs }] of read.entries()) {
        assert.deepEqual([...octets], [...written[i]![0]]);
        assert.equal(
          timeNs,
          BigInt(written[i]![1]) * 1_000_000_000n + BigInt(microseconds) * 1000n,
        );
      }
    }),
    { seed: 22 },
  );
});
