import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FramePool } from "../base/index.ts";
import { emitFramed, FrameReader } from "./framing.ts";

/** Feeds a stream in pieces and takes every frame that comes out. */
function readAll(
  stream: Uint8Array,
  pieces: number[],
): { frames: Uint8Array[]; truncated: number } {
  const pool = new FramePool(1);
  const slot = pool.take();
  const reader = new FrameReader();
  const frames: Uint8Array[] = [];
  let at = 0;
  for (const wanted of [...pieces, stream.length]) {
    const fillAt = reader.fillAt;
    const piece = stream.subarray(at, Math.min(at + wanted, at + reader.buffer.length - fillAt));
    reader.buffer.set(piece, fillAt);
    reader.filled(piece.length);
    at += piece.length;
    while (reader.take(pool, slot)) frames.push(pool.frame(slot).slice());
  }
  reader.end();
  return { frames, truncated: reader.truncated };
}

function framed(frames: readonly Uint8Array[]): Uint8Array {
  const pool = new FramePool(1);
  const slot = pool.take();
  const into = new Uint8Array(frames.reduce((sum, f) => sum + f.length + 2, 0));
  let at = 0;
  for (const frame of frames) {
    pool.octets.set(frame, pool.start[slot]);
    pool.length[slot] = frame.length;
    at = emitFramed(pool, slot, into, at);
  }
  return into;
}

test("a frame is its length, most significant octet first, and its octets", () => {
  assert.deepEqual([...framed([Uint8Array.of(7, 8, 9)])], [0, 3, 7, 8, 9]);
});

test("frames come out as they went in, however the stream is cut", () => {
  const frames = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 20 });
  fc.assert(
    fc.property(frames, fc.array(fc.nat({ max: 50 })), (sent, pieces) => {
      const { frames: received, truncated } = readAll(framed(sent), pieces);
      assert.deepEqual(received, sent);
      assert.equal(truncated, 0);
    }),
    { seed: 5 },
  );
});

test("a length of zero is skipped and a frame cut by the end is counted", () => {
  const { frames, truncated } = readAll(Uint8Array.of(0, 0, 0, 1, 5, 0, 0, 0, 9, 1, 2), []);
  assert.deepEqual(frames, [Uint8Array.of(5)]);
  assert.equal(truncated, 1);
});

test("any octets are read without an exception", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), fc.array(fc.nat({ max: 99 })), (s, pieces) => {
      const { frames } = readAll(s, pieces);
      assert.ok(frames.every((frame) => frame.length > 0));
    }),
    { seed: 6 },
  );
});

test("a frame that does not fit is not written", () => {
  const pool = new FramePool(1);
  const slot = pool.take();
  pool.length[slot] = 65_536;
  assert.equal(emitFramed(pool, slot, new Uint8Array(70_000), 0), -1);
  pool.length[slot] = 65_535;
  assert.equal(emitFramed(pool, slot, new Uint8Array(65_536), 0), -1);
  assert.equal(emitFramed(pool, slot, new Uint8Array(65_537), 0), 65_537);
});
