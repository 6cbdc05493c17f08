/**
 * What every cable end must do, as tests: registered for each scheme with a function that makes an
 * end and the other side of its cable. A new scheme adds one call to conformance.test.ts or to a
 * test of its own.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FramePool } from "../base/index.ts";
import { pollFd, READY } from "../sys/index.ts";
import { BATCH_FRAMES, type CableEnd, END_CLOSED } from "./end.ts";

/** How long a frame may take to come through; only a failing test waits so long. */
const PATIENCE_MS = 5000;

/** An end under test and the end that plays its peer. */
export interface EndPair {
  readonly end: CableEnd;
  readonly peer: CableEnd;
  /** Undoes what was made around them; both ends are closed before. */
  readonly close?: () => void | Promise<void>;
}

/** What an end cannot do by its nature. */
export interface EndTraits {
  /** Frames of less than 60 octets are padded or refused on the way. */
  readonly framesMin?: number;
  /** Longest frame that passes (65 000). */
  readonly framesMax?: number;
  /** The end does not notice that its peer closed. */
  readonly isUnawareOfPeer?: boolean;
  /** A full cable drops instead of taking less. */
  readonly isLossy?: boolean;
}

/** Registers the suite for one scheme. `make` is called anew in each test. */
export function testEndConformance(
  scheme: string,
  make: () => EndPair | Promise<EndPair>,
  traits: EndTraits = {},
): void {
  const within = async (body: (pair: EndPair, pool: FramePool) => void): Promise<void> => {
    const pair = await make();
    try {
      body(pair, new FramePool(4 * BATCH_FRAMES));
    } finally {
      pair.end.close();
      pair.peer.close();
      await pair.close?.();
    }
  };

  test(`${scheme}: frames of every length pass both ways unchanged and in order`, async () => {
    await within(({ end, peer }, pool) => {
      const lengths = [60, 61, 64, 1514, 1518, 9018, 65_000].filter(
        (length) => length >= (traits.framesMin ?? 1) && length <= (traits.framesMax ?? 65_000),
      );
      for (const [from, to] of [
        [end, peer],
        [peer, end],
      ] as const) {
        for (const length of lengths) sendOne(pool, from, pattern(length));
        for (const length of lengths) assert.deepEqual(receiveOne(pool, to), pattern(length));
      }
    });
  });

  test(`${scheme}: an end with nothing to read answers 0 and does not wait`, async () => {
    await within(({ end }, pool) => {
      const slots = Int32Array.of(pool.take());
      assert.equal(end.receive(pool, slots, 1), 0);
      if (end.receiveFd >= 0) assert.equal(pollFd(end.receiveFd, READY.readable, 0), 0);
    });
  });

  test(`${scheme}: a batch comes out whole, a batch larger than asked for in parts`, async () => {
    await within(({ end, peer }, pool) => {
      const slots = new Int32Array(10);
      for (let i = 0; i < 10; i++) {
        slots[i] = pool.take();
        put(pool, slots[i]!, pattern(100 + i));
      }
      assert.equal(end.send(pool, slots, 2, 8), 8, "slots from 2 on");
      for (let i = 2; i < 10; i++) assert.equal(receiveOne(pool, peer).length, 100 + i);
    });
  });

  test(`${scheme}: a peer that does not read makes send take less, never block`, async () => {
    await within(({ end, peer }, pool) => {
      if (traits.isLossy === true) return;
      const slots = Int32Array.from({ length: BATCH_FRAMES }, () => pool.take());
      for (const slot of slots) put(pool, slot, pattern(1514));
      let sent = 0;
      for (;;) {
        const taken = end.send(pool, slots, 0, BATCH_FRAMES);
        assert.notEqual(taken, END_CLOSED);
        sent += taken;
        if (taken < BATCH_FRAMES) break;
        assert.ok(sent < 1_000_000, "a cable is not bottomless");
      }
      let received = 0;
      const into = Int32Array.from({ length: BATCH_FRAMES }, () => pool.take());
      while (received < sent) {
        if (end.hasBacklog === true) end.send(pool, slots, 0, 0);
        const count = peer.receive(pool, into, BATCH_FRAMES);
        assert.ok(count > 0, `frame ${received} of ${sent} is missing`);
        received += count;
      }
      assert.equal(received, sent, "what was taken arrives");
      assert.equal(end.send(pool, slots, 0, 1), 1, "and there is room again");
    });
  });

  test(`${scheme}: closing twice is closing once, and the peer notices`, async () => {
    await within(({ end, peer }, pool) => {
      end.close();
      end.close();
      if (traits.isUnawareOfPeer === true) return;
      const fd = peer.hangUpFd ?? peer.receiveFd;
      assert.notEqual(pollFd(fd, READY.readable, PATIENCE_MS), 0);
      assert.equal(peer.receive(pool, Int32Array.of(pool.take()), 1), END_CLOSED);
    });
  });
}

function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) =>
    i < 6 ? 255 : i < 12 ? 2 : (i * 7 + length) & 0xff,
  );
}

function put(pool: FramePool, slot: number, octets: Uint8Array): void {
  pool.octets.set(octets, pool.start[slot]);
  pool.length[slot] = octets.length;
}

/** Sends one frame through an end; waits for room. */
export function sendOne(pool: FramePool, end: CableEnd, octets: Uint8Array): void {
  const slot = pool.take();
  put(pool, slot, octets);
  const slots = Int32Array.of(slot);
  while (end.send(pool, slots, 0, 1) === 0) {
    assert.notEqual(pollFd(end.sendFd, READY.writable, PATIENCE_MS), 0, "no room");
  }
  pool.release(slot);
}

/** Receives one frame from an end; fails after some seconds without one. */
export function receiveOne(pool: FramePool, end: CableEnd): Uint8Array {
  const slot = pool.take();
  const slots = Int32Array.of(slot);
  let count = end.receive(pool, slots, 1);
  while (count === 0) {
    assert.notEqual(pollFd(end.receiveFd, READY.readable, PATIENCE_MS), 0, "no frame");
    count = end.receive(pool, slots, 1);
  }
  assert.equal(count, 1);
  const octets = pool.frame(slot).slice();
  pool.release(slot);
  return octets;
}
