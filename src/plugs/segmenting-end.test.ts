import assert from "node:assert/strict";
import { test } from "node:test";
import { ADDRESSES, putSegment, SEGMENT } from "../../test/super-frames.ts";
import { FramePool, OFFLOAD } from "../base/index.ts";
import { unixSocketPair } from "../sys/index.ts";
import { TcpView } from "../wire/index.ts";
import { DatagramEnd } from "./datagram-end.ts";
import { BATCH_FRAMES, type CableEnd, END_CLOSED } from "./end.ts";
import { Segmenter, SegmentingEnd } from "./segmenting-end.ts";

/** A legacy end that takes a number of frames, and then as many as it is told. */
class Tight implements CableEnd {
  readonly scheme = "test";
  readonly description = "tight";
  readonly receiveFd = -1;
  readonly sendFd = -1;
  room = 0;
  isGone = false;
  readonly frames: Uint8Array[] = [];

  receive(): number {
    return 0;
  }

  send(pool: FramePool, slots: Int32Array, from: number, count: number): number {
    if (this.isGone) return END_CLOSED;
    const taken = Math.min(count, this.room);
    for (let i = from; i < from + taken; i++) {
      assert.equal(pool.offload[slots[i]!], OFFLOAD.none, "a legacy end gets finished frames only");
      this.frames.push(pool.frame(slots[i]!).slice());
    }
    this.room -= taken;
    return taken;
  }

  close(): void {
    this.isGone = true;
  }

  /** The octets of the stream that came, every segment in order and undamaged. */
  stream(): number {
    let at = 0;
    for (const frame of this.frames) {
      const tcp = TcpView.over(frame.subarray(34))!;
      assert.equal(tcp.problem(ADDRESSES), undefined);
      assert.ok(tcp.payload.length <= SEGMENT);
      assert.equal(tcp.sequence, at);
      tcp.payload.forEach((octet, i) => assert.equal(octet, (at + i) % 251));
      at += tcp.payload.length;
    }
    return at;
  }
}

test("what a legacy end does not take of a super-frame is sent later, in order", () => {
  const pool = new FramePool(2 * BATCH_FRAMES);
  const inner = new Tight();
  const end = new SegmentingEnd(inner, new Segmenter(pool, 0));
  const lengths = [100, 40_000, 60_000, 1448, 200];
  const slots = Int32Array.from(lengths, () => pool.take());
  let sequence = 0;
  for (const [i, octets] of lengths.entries()) {
    putSegment(pool, slots[i]!, octets, sequence);
    sequence += octets;
  }
  const free = pool.freeCount;
  let taken = 0;
  while (taken < slots.length || end.hasBacklog) {
    inner.room += 7;
    const sent = end.send(pool, slots, taken, slots.length - taken);
    assert.notEqual(sent, END_CLOSED);
    // The slot of what was taken is used again at once, as a pump does.
    for (let i = taken; i < taken + sent; i++) pool.frame(slots[i]!).fill(0xee);
    taken += sent;
  }
  assert.equal(inner.stream(), sequence);
  assert.equal(pool.freeCount, free, "nothing is kept");
});

test("a super-frame of which nothing leaves is not taken", () => {
  const pool = new FramePool(2 * BATCH_FRAMES);
  const inner = new Tight();
  const end = new SegmentingEnd(inner, new Segmenter(pool, 0));
  const slots = Int32Array.of(pool.take());
  putSegment(pool, slots[0]!, 30_000);
  assert.equal(end.send(pool, slots, 0, 1), 0);
  assert.equal(end.hasBacklog, false);
  inner.room = 100;
  assert.equal(end.send(pool, slots, 0, 1), 1);
  assert.equal(inner.stream(), 30_000);
});

test("closing an end gives back what it kept, and a gone peer closes it", () => {
  const pool = new FramePool(2 * BATCH_FRAMES);
  const inner = new Tight();
  const end = new SegmentingEnd(inner, new Segmenter(pool, 0));
  const slots = Int32Array.of(pool.take());
  const free = pool.freeCount;
  putSegment(pool, slots[0]!, 30_000);
  inner.room = 3;
  assert.equal(end.send(pool, slots, 0, 1), 1);
  assert.equal(end.hasBacklog, true);
  assert.equal(pool.freeCount, free - 1);
  inner.isGone = true;
  assert.equal(end.send(pool, slots, 0, 1), END_CLOSED);
  end.close();
  assert.equal(pool.freeCount, free);
});

test("without a free slot the rest of a super-frame is lost and counted", () => {
  const pool = new FramePool(BATCH_FRAMES + 1);
  const inner = new Tight();
  const segmenter = new Segmenter(pool, 0);
  const end = new SegmentingEnd(inner, segmenter);
  const slots = Int32Array.of(pool.take());
  putSegment(pool, slots[0]!, 30_000);
  inner.room = 3;
  assert.equal(end.send(pool, slots, 0, 1), 1);
  assert.equal(end.hasBacklog, false);
  assert.equal(segmenter.unkept, 1);
});

test("a super-frame that makes no sense is dropped and counted, its neighbours pass", () => {
  const pool = new FramePool(2 * BATCH_FRAMES);
  const inner = new Tight();
  const segmenter = new Segmenter(pool, 0);
  const end = new SegmentingEnd(inner, segmenter);
  const slots = Int32Array.from([0, 1, 2], () => pool.take());
  putSegment(pool, slots[0]!, 100, 0);
  putSegment(pool, slots[1]!, 30_000, 5);
  pool.octets[pool.start[slots[1]!]! + 14] = 0x65;
  putSegment(pool, slots[2]!, 100, 100);
  inner.room = 100;
  assert.equal(end.send(pool, slots, 0, 3), 3);
  assert.equal(inner.stream(), 200);
  assert.equal(segmenter.malformed, 1);
});

test("a negotiated cable carries what is left to do, both ways, beside plain frames", () => {
  const [left, right] = unixSocketPair("datagram");
  const options = { scheme: "vde", description: "test", offload: true };
  const [a, b] = [
    new DatagramEnd({ ...options, fd: left }),
    new DatagramEnd({ ...options, fd: right }),
  ];
  const pool = new FramePool(8);
  const out = Int32Array.from([0, 1, 2], () => pool.take());
  putSegment(pool, out[0]!, 60_000);
  putSegment(pool, out[1]!, 100);
  putSegment(pool, out[2]!, 100);
  pool.offload[out[2]!] = OFFLOAD.none;
  const into = Int32Array.from([0, 1, 2], () => pool.take());
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    assert.equal(from.send(pool, out, 0, 3), 3);
    assert.equal(to.receive(pool, into, 3), 3);
    for (let i = 0; i < 3; i++) {
      assert.equal(pool.offload[into[i]!], pool.offload[out[i]!]);
      assert.deepEqual(pool.frame(into[i]!), pool.frame(out[i]!));
    }
    assert.equal(pool.segmentOctets[into[0]!], SEGMENT);
    assert.equal(pool.checksumFrom[into[0]!], pool.start[into[0]!]! + 34);
  }
  a.close();
  b.close();
});

test("datagrams of a negotiated cable that have no good header are counted, others pass", () => {
  const [left, right] = unixSocketPair("datagram");
  const raw = new DatagramEnd({ scheme: "vde", description: "raw", fd: left });
  const end = new DatagramEnd({ scheme: "vde", description: "test", fd: right, offload: true });
  const pool = new FramePool(16);
  const out = Int32Array.from([0, 1, 2, 3], () => pool.take());
  const heads = ["0000", "0101", "0005", "0000"];
  for (const [i, slot] of out.entries()) {
    pool.length[slot] = i === 3 ? 10 : 110;
    pool.octets.fill(0, pool.start[slot], pool.start[slot]! + 110);
    pool.octets.set(Buffer.from(heads[i]!, "hex"), pool.start[slot]);
  }
  assert.equal(raw.send(pool, out, 0, 4), 4);
  const into = Int32Array.from([0, 1, 2, 3], () => pool.take());
  assert.equal(end.receive(pool, into, 4), 1);
  assert.equal(pool.length[into[0]!], 100);
  assert.equal(end.malformed, 3);
  raw.close();
  end.close();
});
