import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import {
  always,
  anyOctets,
  pair4,
  pair6,
  payload,
  record,
  u16,
  u32,
  u8,
} from "../../test/properties.ts";
import { V2Error } from "../base/index.ts";
import { emitTcp, parseTcp, printTcp, printTcpFlags, TCP_FLAG, type Tcp, TcpView } from "./tcp.ts";
import {
  parseTcpOptions,
  printTcpOptions,
  type TcpOption,
  tcpOptionsOctets,
} from "./tcp-options.ts";

const addresses = { source: Uint8Array.of(10, 0, 0, 1), target: Uint8Array.of(10, 0, 0, 2) };
const opening: Tcp = {
  sourcePort: 40_000,
  targetPort: 80,
  sequence: 4_294_967_295,
  acknowledgment: 0,
  flags: TCP_FLAG.syn,
  window: 64_240,
  urgentPointer: 0,
  options: [
    { kind: "maximum-segment", octets: 1460 },
    { kind: "sack-permitted" },
    { kind: "timestamps", value: 4_000_000_000, echo: 0 },
    { kind: "nop" },
    { kind: "window-scale", shift: 7 },
  ],
  payload: new Uint8Array(0),
};

const option: fc.Arbitrary<TcpOption> = fc.oneof(
  fc.constant<TcpOption>({ kind: "nop" }),
  fc.constant<TcpOption>({ kind: "sack-permitted" }),
  u16.map((octets): TcpOption => ({ kind: "maximum-segment", octets })),
  u8.map((shift): TcpOption => ({ kind: "window-scale", shift })),
  fc.tuple(u32, u32).map(([value, echo]): TcpOption => ({ kind: "timestamps", value, echo })),
  fc
    .array(record({ left: u32, right: u32 }), { minLength: 1, maxLength: 4 })
    .map((blocks): TcpOption => ({ kind: "sack", blocks })),
  fc
    .tuple(fc.integer({ min: 9, max: 255 }), fc.uint8Array({ maxLength: 10 }))
    .map(([type, octets]): TcpOption => ({ kind: "other", type, octets })),
);
const fittingOptions = fc
  .array(option, { maxLength: 6 })
  .filter((options) => tcpOptionsOctets(options) <= 40);

function viewOf(tcp: Tcp): TcpView {
  const octets = new Uint8Array(1000);
  return TcpView.over(octets.subarray(0, emitTcp(tcp, octets, addresses)))!;
}

test("a segment with options survives emit and parse over both versions of IP", () => {
  const segments = record<Tcp>({
    sourcePort: u16,
    targetPort: u16,
    sequence: u32,
    acknowledgment: u32,
    flags: u8,
    window: u16,
    urgentPointer: u16,
    options: fittingOptions,
    payload,
  });
  always(fc.tuple(segments, fc.oneof(pair4, pair6)), ([tcp, pair]) => {
    const octets = new Uint8Array(1000);
    const view = TcpView.over(octets.subarray(0, emitTcp(tcp, octets, pair)))!;
    assert.deepEqual(parseTcp(view, pair), tcp);
  });
});

test("a nop as the last octet of the options leaves the payload alone", () => {
  // Once it wrote a length octet that it does not have, over the first octet of the payload.
  const options: TcpOption[] = [{ kind: "window-scale", shift: 2 }, { kind: "nop" }];
  const view = viewOf({ ...opening, options, payload: Uint8Array.of(0, 9) });
  assert.deepEqual(view.payload, Uint8Array.of(0, 9));
});

test("options are read up to their end, and broken ones refuse the segment", () => {
  assert.deepEqual(parseTcpOptions(Uint8Array.of(1, 0, 99, 99)), [{ kind: "nop" }]);
  const broken = [
    [2], // no length
    [2, 1], // shorter than itself
    [2, 4, 5], // over the end
    [2, 3, 0], // wrong length of a known option
    [3, 4, 0, 0],
    [4, 3, 0],
    [5, 2],
    [5, 6, 0, 0, 0, 0],
    [8, 6, 0, 0, 0, 0],
    [77, 0, 0, 0],
  ];
  for (const octets of broken) {
    assert.equal(parseTcpOptions(Uint8Array.from(octets)), undefined, octets.join(" "));
  }
});

test("any octets parse as options or are refused, and print", () => {
  always(fc.uint8Array({ maxLength: 40 }), (octets) => {
    const options = parseTcpOptions(octets);
    if (options !== undefined) assert.equal(typeof printTcpOptions(options), "string");
  });
  always(anyOctets, (octets) => {
    const view = TcpView.over(octets);
    if (view === undefined) return;
    parseTcp(view);
    assert.match(printTcp(view), /length \d+$/);
  });
});

test("damage and impossible header lengths are refused", () => {
  const { octets } = viewOf(opening);
  octets[4]! ^= 1;
  assert.equal(TcpView.over(octets)!.problem(addresses), "checksum");
  const oddOption = viewOf(opening).octets;
  oddOption[20] = 3;
  assert.equal(TcpView.over(oddOption)!.problem(), "options");
  octets[12] = 0x40;
  assert.equal(TcpView.over(octets)!.problem(), "header-length");
  octets[12] = 0xf0;
  assert.equal(parseTcp(TcpView.over(octets)!), undefined);
});

test("options that do not fit are not emitted", () => {
  const block = { left: 1, right: 2 };
  const tooMany: Tcp = { ...opening, options: [{ kind: "sack", blocks: Array(5).fill(block) }] };
  assert.throws(() => viewOf(tooMany), V2Error);
  assert.throws(() => viewOf({ ...opening, options: [{ kind: "sack", blocks: [] }] }), V2Error);
  assert.throws(() => viewOf({ ...opening, window: 65_536 }), V2Error);
});

test("segments print as tcpdump does, sequence numbers wrap", () => {
  const line =
    "Flags [S], seq 4294967295, win 64240, " +
    "options [mss 1460,sackOK,TS val 4000000000 ecr 0,nop,wscale 7], length 0";
  assert.equal(printTcp(viewOf(opening)), line);
  const data = { ...opening, flags: TCP_FLAG.psh | TCP_FLAG.ack, options: [], acknowledgment: 9 };
  const dataLine = "Flags [P.], seq 4294967295:2, ack 9, win 64240, length 3";
  assert.equal(printTcp(viewOf({ ...data, payload: new Uint8Array(3) })), dataLine);
  const gap: Tcp = { ...data, options: [{ kind: "sack", blocks: [{ left: 5, right: 8 }] }] };
  assert.match(printTcp(viewOf(gap)), /options \[sack 1 \{5:8\}\]/);
});

test("every flag has its sign", () => {
  assert.equal(printTcpFlags(0xff), "FSRP.UEW");
  assert.equal(printTcpFlags(0), "none");
});
