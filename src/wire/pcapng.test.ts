import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { always, record } from "../../test/properties.ts";
import { realCapture } from "../../test/real-frames.ts";
import { toHex, V2Error } from "../base/index.ts";
import type { CaptureRecord } from "./capture-record.ts";
import { readCapture } from "./pcap.ts";
import { type CapturedFrame, PcapngWriter } from "./pcapng.ts";

/** Collects what a writer writes into one file. */
class MemoryFile {
  readonly blocks: Uint8Array[] = [];
  readonly sink = (block: Uint8Array): void => {
    this.blocks.push(block.slice());
  };

  get octets(): Uint8Array {
    return Uint8Array.from(this.blocks.flatMap((block) => [...block]));
  }
}

function recordsOf(octets: Uint8Array): CaptureRecord[] {
  return [...readCapture(octets)];
}

/** A small capture with everything in it. */
function fullFile(): MemoryFile {
  const file = new MemoryFile();
  const writer = new PcapngWriter(file.sink, { application: "v2" });
  const lan = writer.addInterface({ name: "lan/1", description: "port 1 of lan" });
  writer.writeFrame({
    interfaceId: lan,
    timeNs: 1_700_000_000_123_456_789n,
    octets: Uint8Array.of(1, 2, 3, 4, 5),
    originalOctets: 60,
    direction: "outbound",
    comment: "dropped: köln",
  });
  writer.writeStatistics({ interfaceId: lan, timeNs: 5n, received: 7n, dropped: 2n });
  return file;
}

test("what is written is read back: names, times, lengths, direction, comment, counts", () => {
  assert.deepEqual(recordsOf(fullFile().octets), [
    {
      kind: "interface",
      id: 0,
      linkType: 1,
      snapOctets: 0,
      name: "lan/1",
      description: "port 1 of lan",
    },
    {
      kind: "frame",
      interfaceId: 0,
      timeNs: 1_700_000_000_123_456_789n,
      octets: Uint8Array.of(1, 2, 3, 4, 5),
      originalOctets: 60,
      direction: "outbound",
      comments: ["dropped: köln"],
    },
    { kind: "statistics", interfaceId: 0, received: 7n, dropped: 2n },
  ]);
});

test("any frames survive write and read", () => {
  const frames = fc.array(
    record<CapturedFrame>({
      interfaceId: fc.nat(1),
      timeNs: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      octets: fc.uint8Array({ maxLength: 5000 }),
      direction: fc.constantFrom("inbound" as const, "outbound" as const),
      comment: fc.string({ unit: "grapheme", maxLength: 40 }),
    }),
    { maxLength: 5 },
  );
  always(frames, (given) => {
    const file = new MemoryFile();
    const writer = new PcapngWriter(file.sink);
    writer.addInterface({ name: "a" });
    writer.addInterface({ name: "b" });
    for (const frame of given) writer.writeFrame(frame);
    const expected = given.map(({ comment, ...frame }) => ({
      kind: "frame",
      ...frame,
      originalOctets: frame.octets.length,
      comments: [comment!],
    }));
    assert.deepEqual(recordsOf(file.octets).slice(2), expected);
  });
});

test("a section header is the one of the specification", () => {
  const file = new MemoryFile();
  assert.ok(new PcapngWriter(file.sink));
  assert.equal(toHex(file.octets), "0a0d0d0a1c0000004d3c2b1a01000000ffffffffffffffff1c000000");
});

test("longer frames than the snap length are cut and say how long they were", () => {
  const file = new MemoryFile();
  const writer = new PcapngWriter(file.sink, { snapOctets: 4 });
  writer.addInterface({ name: "a" });
  writer.writeFrame({ interfaceId: 0, timeNs: 0n, octets: Uint8Array.of(1, 2, 3, 4, 5, 6) });
  const frame = recordsOf(file.octets).at(-1);
  assert.ok(frame?.kind === "frame");
  assert.deepEqual([frame.octets.length, frame.originalOctets], [4, 6]);
});

test("a frame of an unknown interface is refused", () => {
  const writer = new PcapngWriter(() => undefined);
  const frame = { interfaceId: 0, timeNs: 0n, octets: new Uint8Array(1) };
  const isRefused = (error: unknown) => error instanceof V2Error && error.code === "NO_INTERFACE";
  assert.throws(() => writer.writeFrame(frame), isRefused);
  writer.addInterface({ name: "a" });
  writer.writeFrame(frame);
});

test("sections follow each other and their interfaces are told apart", () => {
  const both = Uint8Array.from([...fullFile().octets, ...fullFile().octets]);
  const frames = recordsOf(both).filter((found) => found.kind === "frame");
  assert.deepEqual(
    frames.map((frame) => frame.interfaceId),
    [0, 1],
  );
});

test("a big-endian file with powers of two as time unit is understood", () => {
  const words = [
    [0x0a0d0d0a, 28, 0x1a2b3c4d, 0x00010000, 0xffffffff, 0xffffffff, 28],
    // if_tsresol 0x8a: units of 1/1024 s.
    [1, 32, 0x00010000, 0, 0x00090001, 0x8a000000, 0, 32],
    // An unknown block is stepped over.
    [0x0bad, 16, 0xdeadbeef, 16],
    [6, 36, 0, 0, 1536, 4, 4, 0x01020304, 36],
    // A simple packet has no time.
    [3, 20, 4, 0x05060708, 20],
  ].flat();
  const file = new DataView(new ArrayBuffer(words.length * 4));
  for (const [index, word] of words.entries()) file.setUint32(4 * index, word, false);
  assert.deepEqual(recordsOf(new Uint8Array(file.buffer)), [
    { kind: "interface", id: 0, linkType: 1, snapOctets: 0 },
    {
      kind: "frame",
      interfaceId: 0,
      timeNs: 1_500_000_000n,
      octets: Uint8Array.of(1, 2, 3, 4),
      originalOctets: 4,
      comments: [],
    },
    {
      kind: "frame",
      interfaceId: 0,
      octets: Uint8Array.of(5, 6, 7, 8),
      originalOctets: 4,
      comments: [],
    },
  ]);
});

test("a file cut anywhere gives all records before the cut, then says so", () => {
  const { blocks, octets } = fullFile();
  const boundaries = new Set<number>([0]);
  let at = 0;
  for (const block of blocks) boundaries.add((at += block.length));
  for (let length = 1; length < octets.length; length++) {
    const records = recordsOf(octets.subarray(0, length));
    const isWhole = boundaries.has(length);
    assert.equal(records.at(-1)?.kind === "problem", !isWhole, `${length} octets`);
  }
});

test("any octets, with or without a sound beginning, never throw", () => {
  const beginnings = [new Uint8Array(0), fullFile().octets, realCapture().subarray(0, 400)];
  const files = fc.tuple(
    fc.constantFrom(...beginnings),
    fc.uint8Array({ maxLength: 80 }),
    fc.nat(400),
  );
  always(files, ([beginning, noise, at]) => {
    const octets = new Uint8Array(beginning.length + noise.length);
    octets.set(beginning);
    octets.set(noise, Math.min(at, beginning.length));
    assert.ok(recordsOf(octets).length >= 1 || octets.length >= 28);
  });
});
