import assert from "node:assert/strict";
import { test } from "node:test";
import { realCapture } from "../../test/real-frames.ts";
import { readCapture } from "./pcap.ts";

/** A classic file with one frame of four octets. */
function oneFrame(magic: number, isLittle: boolean, captured = 4): Uint8Array {
  const file = new DataView(new ArrayBuffer(24 + 16 + 4));
  file.setUint32(0, magic, isLittle);
  file.setUint16(4, 2, isLittle);
  file.setUint16(6, 4, isLittle);
  file.setUint32(16, 65_535, isLittle);
  file.setUint32(20, 1, isLittle);
  file.setUint32(24, 10, isLittle);
  file.setUint32(28, 250, isLittle);
  file.setUint32(32, captured, isLittle);
  file.setUint32(36, 60, isLittle);
  file.setUint32(40, 0x01020304, false);
  return new Uint8Array(file.buffer);
}

test("both units of time and both byte orders are read", () => {
  for (const isLittle of [true, false]) {
    for (const [magic, timeNs] of [
      [0xa1b2c3d4, 10_000_250_000n],
      [0xa1b23c4d, 10_000_000_250n],
    ] as const) {
      assert.deepEqual(
        [...readCapture(oneFrame(magic, isLittle))],
        [
          { kind: "interface", id: 0, linkType: 1, snapOctets: 65_535 },
          {
            kind: "frame",
            interfaceId: 0,
            timeNs,
            octets: Uint8Array.of(1, 2, 3, 4),
            originalOctets: 60,
            comments: [],
          },
        ],
      );
    }
  }
});

test("a capture that tcpdump wrote is read to its end", () => {
  const records = [...readCapture(realCapture())];
  assert.equal(records.filter((found) => found.kind === "frame").length, 72);
  assert.ok(records.every((found) => found.kind !== "problem"));
});

test("what can not be read ends in a problem", () => {
  const last = (octets: Uint8Array) => {
    const found = [...readCapture(octets)].at(-1);
    return found?.kind === "problem" ? found.text : undefined;
  };
  assert.equal(last(new Uint8Array(0)), "not a capture");
  assert.equal(last(new Uint8Array(100)), "not a capture");
  const sound = oneFrame(0xa1b2c3d4, true);
  assert.equal(last(sound.subarray(0, 20)), "cut in the middle of a record");
  assert.equal(last(sound.subarray(0, 30)), "cut in the middle of a record");
  assert.equal(last(sound.subarray(0, 43)), "cut in the middle of a record");
  const senseless = oneFrame(0xa1b2c3d4, true, 0x7fff_ffff);
  assert.equal(last(senseless), "length of a record makes no sense");
  sound[4] = 3;
  assert.equal(last(sound), "version not known");
});
