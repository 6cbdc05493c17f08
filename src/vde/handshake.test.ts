import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  canAgree,
  emitAddress,
  emitReply,
  emitRequest,
  parseReply,
  RequestReader,
} from "./handshake.ts";

const PATH = "/tmp/lan/.00001-00000";

function read(...pieces: Uint8Array[]): RequestReader {
  const reader = new RequestReader();
  for (const piece of pieces) reader.push(piece);
  return reader;
}

test("a version 3 request is understood", () => {
  const reader = read(emitRequest(PATH, 5, "vdeplug: user=me pid=1"));
  assert.equal(reader.request?.version, 3);
  assert.equal(reader.request.wantedPort, 5);
  assert.equal(reader.request.path, PATH);
  assert.deepEqual(reader.request.address, emitAddress(PATH));
  assert.equal(reader.description, "vdeplug: user=me pid=1");
});

test("the layout is the one of libvdeplug: magic, version, type and port, address, text", () => {
  const octets = emitRequest("/a", 3, "hi");
  assert.deepEqual(
    [...octets.subarray(0, 17)],
    [0xce, 0xfa, 0xed, 0xfe, 3, 0, 0, 0, 0, 3, 0, 0, 1, 0, 0x2f, 0x61, 0],
  );
  assert.equal(octets.length, 124);
  assert.deepEqual([...octets.subarray(122)], [0x68, 0x69]);
});

test("a version 1 request, which has a MAC address instead of a version, is understood", () => {
  const octets = new Uint8Array(126);
  octets.set([0xce, 0xfa, 0xed, 0xfe, 0, 0, 0, 0, 2, 3, 4, 5, 6, 7]);
  octets.set(emitAddress(PATH), 14);
  octets.set([0x68, 0x69], 124);
  const reader = read(octets);
  assert.equal(reader.request?.version, 1);
  assert.equal(reader.request.path, PATH);
  assert.equal(reader.description, "hi");
});

test("a request for the management port and one with an abstract name are understood", () => {
  assert.equal(read(emitRequest(PATH, -1, "")).request?.wantedPort, -1);
  const octets = emitRequest("", 0, "");
  octets[15] = 0x61;
  assert.equal(read(octets).request?.path, undefined);
  assert.notEqual(read(octets).request, undefined);
});

test("magic, version, type and path are each refused by name", () => {
  const change = (at: number, value: number): string | undefined => {
    const octets = emitRequest(PATH, 0, "x");
    octets[at] = value;
    return read(octets).refusal;
  };
  assert.equal(change(0, 0), "badMagic");
  assert.equal(change(4, 2), "badVersion");
  assert.equal(change(4, 4), "badVersion");
  assert.equal(change(8, 2), "badType");
  assert.equal(change(12, 2), "badPath");
  assert.equal(read(emitRequest("", 0, "")).refusal, "badPath");
});

test("control characters of a description are not kept", () => {
  assert.equal(read(emitRequest(PATH, 0, "a\u001b[2Jb\nc")).description, "a?[2Jb?c");
});

test("a request means the same however it is cut into pieces", () => {
  const whole = emitRequest(PATH, 9, "somebody");
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: whole.length })), (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), whole.length];
      const reader = read(...at.slice(1).map((end, i) => whole.subarray(at[i], end)));
      assert.deepEqual(reader.request, read(whole).request);
      assert.equal(reader.description, "somebody");
    }),
    { seed: 3 },
  );
});

test("any octets give a request, a refusal or the wish for more, never an exception", () => {
  const anything = fc.uint8Array({ maxLength: 400 });
  const almost = fc.tuple(fc.nat({ max: 140 }), fc.nat({ max: 255 })).map(([at, value]) => {
    const octets = emitRequest(PATH, 1, "0123456789abcdef");
    octets[at] = value;
    return octets;
  });
  fc.assert(
    fc.property(fc.oneof(anything, almost), (octets) => {
      const reader = read(octets);
      assert.ok(reader.request === undefined || reader.refusal === undefined);
      assert.ok(reader.description.length <= 134);
    }),
    { seed: 4, numRuns: 500 },
  );
});

test("a reply is an address of 110 octets and nothing else", () => {
  assert.notEqual(parseReply(emitAddress(PATH)), undefined);
  assert.equal(parseReply(emitAddress(PATH).subarray(0, 109)), undefined);
  assert.equal(parseReply(new Uint8Array(110)), undefined);
});

test("the agreement to unfinished frames stands behind the path, where others do not look", () => {
  const reply = emitReply("/tmp/lan/001.17", true);
  assert.equal(reply.length, 110);
  assert.deepEqual(reply.subarray(0, 50), emitAddress("/tmp/lan/001.17").subarray(0, 50));
  const read = parseReply(reply)!;
  assert.equal(read.offload, true);
  assert.deepEqual(read.address, emitAddress("/tmp/lan/001.17"));
  assert.equal(parseReply(emitAddress("/tmp/lan/001.17"))!.offload, false);
});

test("a path that reaches where the agreement would stand is not taken for one", () => {
  for (let length = 1; length <= 107; length++) {
    const path = `/${"x".repeat(length - 1)}`;
    if (canAgree(path)) {
      const read = parseReply(emitReply(path, true))!;
      assert.deepEqual(read, { address: emitAddress(path), offload: true });
    } else assert.ok(length > 90);
    const ending = `${path.slice(0, -10)}caps=vnet1`;
    if (length > 10) assert.equal(parseReply(emitAddress(ending))!.offload, false);
  }
});

test("a client asks at the end of its description, however long that is", () => {
  const asked = (text: string, asks: boolean): boolean =>
    read(emitRequest(PATH, 0, text, asks)).asksOffload;
  for (const text of ["", "v2 user=me pid=1", "x".repeat(500)]) {
    assert.equal(asked(text, true), true);
    assert.equal(asked(text, false), false);
  }
  assert.equal(asked("caps=vnet12", false), false);
  assert.equal(asked("caps=vnet1 and more", false), false);
  const [head, tail] = [emitRequest(PATH, 0, "", true), 5];
  assert.equal(read(head.subarray(0, -tail)).asksOffload, false);
});

test("no octets make a reply throw", () => {
  const reply = fc.uint8Array({ minLength: 100, maxLength: 112 });
  fc.assert(
    fc.property(reply, fc.boolean(), (octets, isAddress) => {
      if (isAddress) octets.set([1, 0, 0x2f], 0);
      const parsed = parseReply(octets);
      if (parsed !== undefined) assert.equal(parsed.address.length, 110);
    }),
    { seed: 20_261_122 },
  );
});
