import assert from "node:assert/strict";
import { test } from "node:test";
import { always, anyOctets, mac, payload, record, u16 } from "../../test/properties.ts";
import { V2Error } from "../base/index.ts";
import { parseMac } from "../base/index.ts";
import { emitEthernet, EthernetView, parseEthernet, printEthernet } from "./ethernet.ts";

test("a frame survives emit and parse", () => {
  const frames = record({ target: mac, source: mac, etherType: u16, payload });
  always(frames, (frame) => {
    const octets = new Uint8Array(2000);
    const view = EthernetView.over(octets.subarray(0, emitEthernet(frame, octets)))!;
    assert.deepEqual(parseEthernet(view), frame);
  });
});

test("fewer than 14 octets are no frame, any others print", () => {
  assert.equal(EthernetView.over(new Uint8Array(13)), undefined);
  always(anyOctets, (octets) => {
    const view = EthernetView.over(octets);
    if (view !== undefined) assert.match(printEthernet(view), / > .*, length \d+$/);
  });
});

test("a parsed address does not change with the memory it came from", () => {
  // Sockets and files give Buffers, whose own slice is no copy; that went wrong once.
  for (const octets of [new Uint8Array(20), Buffer.alloc(20)]) {
    const frame = parseEthernet(EthernetView.over(octets)!);
    octets.fill(7);
    assert.deepEqual(frame.source, new Uint8Array(6));
  }
});

test("a buffer too short for the frame is refused with both lengths", () => {
  const frame = {
    target: parseMac("ff:ff:ff:ff:ff:ff")!,
    source: parseMac("02:00:00:00:00:01")!,
    etherType: 0x0800,
    payload: new Uint8Array(10),
  };
  const isShort = (error: unknown) =>
    error instanceof V2Error && error.code === "SHORT_BUFFER" && /24.*23/.test(error.message);
  assert.throws(() => emitEthernet(frame, new Uint8Array(23)), isShort);
});

test("an address of another kind is refused instead of overwriting the type", () => {
  const frame = {
    target: new Uint8Array(6),
    source: new Uint8Array(16),
    etherType: 0x0800,
    payload: new Uint8Array(50),
  };
  const isRefused = (error: unknown) =>
    error instanceof V2Error && error.code === "ADDRESS_LENGTH" && /16.*6/.test(error.message);
  assert.throws(() => emitEthernet(frame, new Uint8Array(64)), isRefused);
});

test("the line shows addresses, type and length", () => {
  const octets = new Uint8Array(60);
  octets.set([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x86, 0xdd]);
  const line = "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, ethertype IPv6 (0x86dd), length 60";
  assert.equal(printEthernet(EthernetView.over(octets)!), line);
});
