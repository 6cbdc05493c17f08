import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { always, anyOctets, mac, record, u16, u32, u8 } from "../../test/properties.ts";
import { realBpdus } from "../../test/real-bpdus.ts";
import { toHex } from "../base/index.ts";
import {
  type Bpdu,
  BPDU_ADDRESS,
  BPDU_FLAG,
  BPDU_FRAME_OCTETS,
  BPDU_ROLE,
  BpduView,
  bridgeId,
  emitBpdu,
  parseBpdu,
  printBpdu,
} from "./bpdu.ts";

function emitted(bpdu: Bpdu): Uint8Array {
  const octets = new Uint8Array(64);
  return octets.subarray(0, emitBpdu(bpdu, octets));
}

const id = fc.tuple(u16, mac).map(([priority, address]) => bridgeId(priority, address));
const bpdus: fc.Arbitrary<Bpdu> = record({
  source: mac,
  vlan: fc.option(fc.nat(4095), { nil: undefined }),
  flags: u8,
  root: id,
  rootCost: u32,
  bridge: id,
  port: u16,
  ageS: u16,
  maxAgeS: u16,
  helloS: u16,
  forwardDelayS: u16,
});

test("a BPDU survives emit and parse, tagged and untagged", () => {
  always(bpdus, (bpdu) => {
    const octets = emitted(bpdu);
    assert.equal(octets.length, BPDU_FRAME_OCTETS + (bpdu.vlan === undefined ? 0 : 4));
    assert.deepEqual(parseBpdu(BpduView.over(octets)!), bpdu);
  });
});

test("what Debian's vde_switch sent comes back octet by octet", () => {
  const frames = realBpdus();
  assert.equal(frames.length, 19);
  for (const frame of frames) {
    assert.equal(toHex(emitted(parseBpdu(BpduView.over(frame)!)!)), toHex(frame));
  }
});

test("its fields mean what Debian's console said of that moment", () => {
  const frames = realBpdus();
  const first = parseBpdu(BpduView.over(frames[0]!)!)!;
  const source = Uint8Array.of(0, 0xff, 0x11, 0x22, 0x33, 0x44);
  assert.deepEqual(first, {
    source,
    vlan: undefined,
    flags: BPDU_ROLE.designated | BPDU_FLAG.learning | BPDU_FLAG.forwarding,
    root: "800000ff11223344",
    rootCost: 0,
    bridge: bridgeId(0x8000, source),
    port: 0x8001,
    ageS: 0,
    maxAgeS: 40,
    helloS: 4,
    forwardDelayS: 0,
  });
  const agreement = parseBpdu(BpduView.over(frames[6]!)!)!;
  assert.equal(agreement.flags & BPDU_FLAG.roleMask, BPDU_ROLE.root);
  assert.equal(agreement.rootCost, 20_000_000);
  assert.equal(parseBpdu(BpduView.over(frames[2]!)!)!.vlan, 5);
});

test("a BPDU prints its role, its root and its sender", () => {
  assert.equal(
    printBpdu(BpduView.over(realBpdus()[7]!)!),
    "FSTP alternate discarding proposal, root 1000.02:00:00:00:00:01 cost 20000000, " +
      "bridge 8000.00:ff:11:22:33:44 port 8114",
  );
});

test("no octets make the reader throw, and what it accepts has its fields", () => {
  const bodies = fc.oneof(
    anyOctets,
    fc.tuple(fc.constantFrom(...realBpdus()), fc.nat(56), u8).map(([frame, at, octet]) => {
      const changed = frame.slice();
      changed[at] = octet;
      return changed;
    }),
    anyOctets.map((octets) => Uint8Array.from([...BPDU_ADDRESS, ...octets])),
  );
  always(fc.tuple(bodies, fc.nat(60)), ([octets, length]) => {
    const view = BpduView.over(octets.subarray(0, length));
    if (view === undefined) return;
    printBpdu(view);
    const bpdu = parseBpdu(view);
    if (bpdu !== undefined) assert.deepEqual(parseBpdu(BpduView.over(emitted(bpdu))!), bpdu);
  });
});

test("a BPDU of another version, and one that is cut, are refused", () => {
  const frame = realBpdus()[0]!;
  assert.equal(BpduView.over(frame.subarray(0, 50)), undefined);
  assert.notEqual(BpduView.over(frame.subarray(0, 51)), undefined);
  frame[19] = 0;
  assert.equal(BpduView.over(frame)!.problem(), "version");
  assert.equal(parseBpdu(BpduView.over(frame)!), undefined);
});
