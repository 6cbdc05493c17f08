import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { always, u16 } from "../../test/properties.ts";
import { FramePool, fromHex, OFFLOAD, toHex } from "../base/index.ts";
import { readVnetHeader, VNET_HEADER_OCTETS, writeVnetHeader } from "./virtio-net.ts";

function header(pool: FramePool, slot: number): Uint8Array {
  const start = pool.start[slot]!;
  return pool.octets.subarray(start - VNET_HEADER_OCTETS, start);
}

test("a header of the kernel's is read, and written as it was", () => {
  const pool = new FramePool(1);
  const slot = pool.take();
  pool.length[slot] = 5000;
  // Of a TCP segment over IPv4 with timestamps: headers of 66 octets, segments of 1448.
  pool.octets[pool.start[slot]! + 34 + 12] = 0x80;
  const octets = fromHex("01 01 4200 a805 2200 1000")!;
  header(pool, slot).set(octets);
  assert.equal(readVnetHeader(pool, slot), true);
  assert.equal(pool.offload[slot], OFFLOAD.tcp4);
  assert.equal(pool.checksumFrom[slot], pool.start[slot]! + 34);
  assert.equal(pool.checksumOffset[slot], 16);
  assert.equal(pool.segmentOctets[slot], 1448);
  header(pool, slot).fill(0xaa);
  writeVnetHeader(pool, slot);
  assert.equal(toHex(header(pool, slot)), toHex(octets));
});

test("a plain frame has a header of zeros", () => {
  const pool = new FramePool(1);
  const slot = pool.take();
  pool.length[slot] = 60;
  header(pool, slot).fill(0xaa);
  writeVnetHeader(pool, slot);
  assert.deepEqual(header(pool, slot), new Uint8Array(VNET_HEADER_OCTETS));
  pool.offload[slot] = OFFLOAD.tcp4;
  assert.equal(readVnetHeader(pool, slot), true);
  assert.equal(pool.offload[slot], OFFLOAD.none);
});

test("a tag put in front of a frame moves the places its header names", () => {
  const pool = new FramePool(1);
  const slot = pool.take();
  pool.length[slot] = 100;
  header(pool, slot).set(fromHex("01 00 0000 0000 2200 0600")!);
  assert.equal(readVnetHeader(pool, slot), true);
  pool.start[slot]! -= 4;
  pool.length[slot] += 4;
  writeVnetHeader(pool, slot);
  assert.equal(toHex(header(pool, slot)), "01000000000026000600");
});

test("whatever ten octets stand there, a header that is taken names places in the frame", () => {
  const pool = new FramePool(2);
  const [slot, other] = [pool.take(), pool.take()];
  const ten = fc.uint8Array({ minLength: 10, maxLength: 10 });
  const likely = fc
    .tuple(fc.constantFrom(0, 1, 2, 3), fc.constantFrom(0, 1, 3, 4, 5, 0x81), u16, fc.nat(200))
    .map(([flags, kind, segment, from]) =>
      Uint8Array.of(flags, kind, 0, 0, segment, segment >> 8, from, 0, 16, 0),
    );
  always(fc.tuple(fc.oneof(ten, likely), fc.nat(300)), ([octets, length]) => {
    pool.length[slot] = length;
    header(pool, slot).set(octets);
    const isTaken = readVnetHeader(pool, slot);
    if (pool.offload[slot] === OFFLOAD.none) return;
    assert.equal(isTaken, true);
    const from = pool.checksumFrom[slot]! - pool.start[slot]!;
    assert.ok(from >= 14 && from + pool.checksumOffset[slot]! + 2 <= length);
    writeVnetHeader(pool, slot);
    const written = header(pool, slot).slice();
    pool.length[other] = length;
    header(pool, other).set(written);
    assert.equal(readVnetHeader(pool, other), true);
    assert.equal(pool.offload[other], pool.offload[slot]);
    assert.equal(pool.checksumOffset[other], pool.checksumOffset[slot]);
  });
});
