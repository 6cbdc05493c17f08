import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { always, anyOctets, pair4, pair6, payload, record, u16 } from "../../test/properties.ts";
import { V2Error } from "../base/index.ts";
import { emitUdp, parseUdp, printUdp, type Udp, UdpView } from "./udp.ts";

const addresses4 = { source: Uint8Array.of(10, 0, 0, 1), target: Uint8Array.of(10, 0, 0, 2) };
const addresses6 = { source: new Uint8Array(16).fill(1), target: new Uint8Array(16).fill(2) };
const hello: Udp = { sourcePort: 1234, targetPort: 53, payload: Uint8Array.of(104, 105) };

function viewOf(udp: Udp, addresses: { source: Uint8Array; target: Uint8Array }): UdpView {
  const octets = new Uint8Array(1000);
  return UdpView.over(octets.subarray(0, emitUdp(udp, octets, addresses)))!;
}

test("a datagram survives emit and parse over both versions of IP", () => {
  const datagrams: fc.Arbitrary<Udp> = record({ sourcePort: u16, targetPort: u16, payload });
  always(fc.tuple(datagrams, fc.oneof(pair4, pair6)), ([udp, addresses]) => {
    assert.deepEqual(parseUdp(viewOf(udp, addresses), addresses), udp);
  });
});

test("a checksum of 0 means none over IPv4 and is refused over IPv6", () => {
  const { octets } = viewOf(hello, addresses4);
  octets.fill(0, 6, 8);
  assert.deepEqual(parseUdp(UdpView.over(octets)!, addresses4), hello);
  assert.equal(UdpView.over(octets)!.problem(addresses6), "checksum");
});

test("a checksum that computes to 0 is sent as all ones", () => {
  // Ports and addresses 0, protocol 17, length 10 twice: the payload makes up the rest of 0xffff.
  const nowhere = { source: new Uint8Array(4), target: new Uint8Array(4) };
  const rest = 0xffff - 17 - 10 - 10;
  const udp = { sourcePort: 0, targetPort: 0, payload: Uint8Array.of(rest >>> 8, rest & 0xff) };
  const view = viewOf(udp, nowhere);
  assert.equal(view.checksum, 0xffff);
  assert.equal(view.problem(nowhere), undefined);
});

test("damage and impossible lengths are refused", () => {
  const damaged = viewOf(hello, addresses4).octets;
  damaged[9]! ^= 1;
  assert.equal(UdpView.over(damaged)!.problem(addresses4), "checksum");
  const { octets } = viewOf(hello, addresses4);
  octets[5] = 7;
  assert.equal(UdpView.over(octets)!.problem(), "total-length");
  octets[5] = 11;
  assert.equal(parseUdp(UdpView.over(octets)!), undefined);
  assert.equal(UdpView.over(new Uint8Array(7)), undefined);
});

test("any octets print", () => {
  always(anyOctets, (octets) => {
    const view = UdpView.over(octets);
    if (view !== undefined) assert.match(printUdp(view), /^UDP, /);
  });
});

test("an impossible port or length is not emitted", () => {
  const into = new Uint8Array(70_000);
  const refused = (change: Partial<Udp>) =>
    assert.throws(() => emitUdp({ ...hello, ...change }, into, addresses4), V2Error);
  refused({ sourcePort: 65_536 });
  refused({ targetPort: -1 });
  refused({ payload: new Uint8Array(65_528) });
});
