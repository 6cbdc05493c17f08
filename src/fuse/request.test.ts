import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { fromHex } from "../base/index.ts";
import { concat, cstring, message, u32, u64 } from "../../test/fuse-messages.ts";
import { always } from "../../test/properties.ts";
import { OPCODE } from "./protocol.ts";
import { FuseRequest, type RequestProblem } from "./request.ts";

function taken(octets: Uint8Array): FuseRequest {
  const request = new FuseRequest(new Uint8Array(8192));
  request.octets.set(octets);
  assert.equal(request.take(octets.length), undefined);
  return request;
}

function problem(octets: Uint8Array): RequestProblem | undefined {
  const request = new FuseRequest(new Uint8Array(8192).fill(0x55));
  request.octets.set(octets);
  return request.take(octets.length);
}

test("a LOOKUP of Linux 6.18 is read octet by octet", () => {
  // As read from /dev/fuse: "hello.txt" in the root, asked by uid 1000, gid 100, thread 0x1234.
  const octets = fromHex(
    "32000000 01000000 0600000000000000 0100000000000000 e8030000 64000000 34120000 0000 0000" +
      "68656c6c6f2e74787400",
  )!;
  const request = taken(octets);
  assert.equal(request.opcode, OPCODE.lookup);
  assert.deepEqual([request.unique, request.node], [6, 1]);
  assert.deepEqual([request.uid, request.gid, request.pid], [1000, 100, 0x1234]);
  assert.equal(request.name, "hello.txt");
});

test("fields, names and data are found where linux/fuse.h has them", () => {
  const write = taken(
    message(
      { opcode: OPCODE.write, node: 7 },
      u64(5, 4096),
      u32(3, 0),
      u64(0),
      u32(1, 0),
      cstring("ab"),
    ),
  );
  assert.deepEqual([write.handle, write.offset, write.size], [5, 4096, 3]);
  assert.deepEqual([...write.data], [97, 98, 0]);
  const rename = taken(
    message({ opcode: OPCODE.rename2 }, u64(9), u32(1, 0), cstring("from"), cstring("tö")),
  );
  assert.deepEqual([rename.u64(0), rename.u32(8)], [9, 1]);
  assert.deepEqual([rename.name, rename.secondName], ["from", "tö"]);
  assert.equal(rename.secondNameOctets, 3);
  const xattr = taken(message({ opcode: OPCODE.setxattr }, u32(2, 1), cstring("user.a/b"), u32(7)));
  assert.deepEqual([xattr.name, [...xattr.value]], ["user.a/b", [7, 0]]);
  const link = taken(message({ opcode: OPCODE.symlink }, cstring("name"), cstring("../a/b")));
  assert.deepEqual([link.name, link.secondName], ["name", "../a/b"]);
});

test("what is no request says why", () => {
  const open = message({ opcode: OPCODE.open }, u32(0, 0));
  assert.equal(problem(open.subarray(0, 39)), "no header");
  assert.equal(problem(open.subarray(0, 47)), "wrong length");
  assert.equal(problem(message({ opcode: OPCODE.open }, u32(0))), "too short");
  const lookup = (name: Uint8Array) => problem(message({ opcode: OPCODE.lookup }, name));
  assert.equal(lookup(Uint8Array.of(97)), "name without end");
  assert.equal(lookup(cstring("")), "bad name");
  assert.equal(lookup(cstring("a/b")), "bad name");
  const rename = message({ opcode: OPCODE.rename }, u64(1), cstring("a"), Uint8Array.of(98));
  assert.equal(problem(rename), "name without end");
  const write = message({ opcode: OPCODE.write }, u64(0, 0), u32(9, 0), u64(0), u32(0, 0), u64(0));
  assert.equal(problem(write), "too little data");
  const forgets = message({ opcode: OPCODE.batchForget }, u32(2, 0), u64(5, 1));
  assert.equal(problem(forgets), "too little data");
});

test("no octets make the parser throw, and names end within the message", () => {
  const request = new FuseRequest(new Uint8Array(4096));
  const opcode = fc.nat(60);
  always(fc.tuple(opcode, fc.uint8Array({ maxLength: 160 })), ([number, body]) => {
    const octets = message({ opcode: number }, body);
    request.octets.fill(0xaa).set(octets);
    if (request.take(octets.length) !== undefined) return;
    assert.ok(request.firstNameOctets + request.secondNameOctets <= body.length);
    assert.ok(request.name.length <= body.length);
    if (number === OPCODE.write) assert.ok(request.data.length <= body.length);
  });
});

test("a message is not longer than what was read", () => {
  const request = new FuseRequest(new Uint8Array(4096));
  const first = message({ opcode: OPCODE.lookup }, concat(cstring("x".repeat(100))));
  request.octets.set(first);
  assert.equal(request.take(first.length), undefined);
  // What is left of the message before does not end this one's name.
  const second = message({ opcode: OPCODE.lookup }, Uint8Array.of(97));
  request.octets.set(second);
  assert.equal(request.take(second.length), "name without end");
});
