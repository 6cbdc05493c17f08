/** IPv4 packets that come in: RFC 791, RFC 1122 §3.2.1, RFC 6890, RFC 7126. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { writeU16 } from "../../base/index.ts";
import {
  echoRequest,
  packet4,
  PROBE_MAC,
  readPacket,
  StackProbe,
  udpPacket,
} from "../../sim/stack-probe.ts";
import { checksumOf, IPV4_AT, sumOctets } from "../../wire/index.ts";
import { ANY_IPV4 } from "../address.ts";

const PEER = "10.0.0.2";
const HOST = "10.0.0.1";

function host(): StackProbe {
  const probe = new StackProbe();
  probe.address(`${HOST}/24`);
  return probe;
}

/** Writes the checksum of a header that was changed. */
function repair(packet: Uint8Array): Uint8Array {
  const header = Math.min((packet[0]! & 0xf) * 4, packet.length);
  writeU16(packet, IPV4_AT.checksum, 0);
  writeU16(packet, IPV4_AT.checksum, checksumOf(sumOctets(packet, 0, header)));
  return packet;
}

function answers(probe: StackProbe, packet: Uint8Array): boolean {
  const sent = probe.input(packet);
  return sent.some((frame) => {
    const { icmp } = readPacket(frame);
    return icmp?.kind === "echo-reply";
  });
}

test("a packet with padding behind its total length is taken without the padding (RFC 791)", () => {
  const probe = host();
  const packet = echoRequest(PEER, HOST, 5);
  const padded = new Uint8Array(60).fill(0xee);
  padded.set(packet);
  const [reply] = probe.input(padded);
  const { icmp, payload } = readPacket(reply!);
  assert.equal(icmp?.kind, "echo-reply");
  assert.equal(payload.length, 8 + 5);
});

test("every length that does not fit is dropped and counted, none is believed (Ripple20)", () => {
  const whole = echoRequest(PEER, HOST, 32);
  const total = whole.length;
  for (const said of [0, 1, 19, total + 1, total + 8, 0x7fff, 0xffff]) {
    const probe = host();
    const packet = whole.slice();
    writeU16(packet, IPV4_AT.totalLength, said);
    assert.equal(answers(probe, repair(packet)), false, `total length ${said}`);
    assert.equal(probe.counted("ip4.total-length"), 1, `total length ${said}`);
  }
  for (const words of [0, 1, 4]) {
    const probe = host();
    const packet = whole.slice();
    packet[0] = 0x40 | words;
    assert.equal(answers(probe, repair(packet)), false, `header of ${words} words`);
    assert.equal(probe.counted("ip4.header-length"), 1, `header of ${words} words`);
  }
  for (let length = 0; length < total; length++) {
    const probe = host();
    assert.equal(answers(probe, whole.slice(0, length)), false, `cut at ${length}`);
  }
  // A total length that cuts the message is as good as a message that was cut: wrong checksum.
  for (const said of [20, 21, 27, total - 1]) {
    const probe = host();
    const packet = whole.slice();
    writeU16(packet, IPV4_AT.totalLength, said);
    assert.equal(answers(probe, repair(packet)), false, `total length ${said}`);
    assert.equal(probe.counted("icmp.short") + probe.counted("icmp.checksum"), 1);
  }
});

test("a wrong version or header checksum is dropped (RFC 1122 §3.2.1.1, §3.2.1.2)", () => {
  const probe = host();
  const packet = echoRequest(PEER, HOST);
  packet[IPV4_AT.checksum]! ^= 1;
  assert.equal(answers(probe, packet), false);
  assert.equal(probe.counted("ip4.checksum"), 1);
  const other = new StackProbe({}, { kind: "ethernet" });
  other.address(`${HOST}/24`);
  const frame = new Uint8Array(14 + packet.length);
  frame.set(PROBE_MAC, 0);
  writeU16(frame, 12, 0x0800);
  const five = echoRequest(PEER, HOST);
  five[0] = 0x55;
  frame.set(repair(five), 14);
  other.input(frame);
  assert.equal(other.counted("ip4.version"), 1);
});

test("a host takes packets whose time to live is over (RFC 1122 §3.2.1.7)", () => {
  for (const timeToLive of [0, 1]) {
    assert.ok(answers(host(), echoRequest(PEER, HOST, 8, { timeToLive })));
  }
});

test("options are skipped; the transport is found behind them (RFC 791 §3.1)", () => {
  const recordRoute = Uint8Array.of(7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  const nothings = new Uint8Array(40).fill(1);
  for (const options of [recordRoute, nothings, Uint8Array.of(0x94, 4, 0, 0)]) {
    assert.ok(answers(host(), echoRequest(PEER, HOST, 8, { options })));
  }
});

test("options that run over the header are answered by where they are wrong (RFC 1122 §3.2.2.5)", () => {
  for (const [options, pointer] of [
    [Uint8Array.of(7, 0, 4, 0), 20],
    [Uint8Array.of(7, 1, 4, 0), 20],
    [Uint8Array.of(7, 5, 4, 0), 20],
    [Uint8Array.of(1, 1, 1, 7), 23],
    [Uint8Array.of(1, 0x44, 0xff, 0), 21],
  ] as const) {
    const probe = host();
    const [error, ...more] = probe.input(echoRequest(PEER, HOST, 8, { options }));
    const { icmp, target } = readPacket(error!);
    assert.equal(target, PEER);
    assert.ok(icmp?.kind === "parameter-problem");
    assert.equal(icmp.pointer, pointer);
    assert.equal(more.length, 0);
    assert.equal(probe.counted("ip4.options"), 1);
  }
});

test("packets with a source route are dropped in silence (RFC 7126 §4.3)", () => {
  for (const kind of [0x83, 0x89]) {
    const probe = host();
    const options = Uint8Array.of(1, kind, 7, 4, 10, 0, 0, 9);
    assert.deepEqual(probe.input(echoRequest(PEER, HOST, 8, { options })), []);
    assert.equal(probe.counted("ip4.source-route"), 1);
  }
});

test("nobody may be, nor be meant by, an address that is none on a wire (RFC 6890, RFC 1122 §3.2.1.3)", () => {
  const sources = ["0.0.0.1", "127.0.0.1", "224.0.0.1", "239.1.2.3", "240.0.0.1", "10.0.0.255"];
  for (const source of [...sources, "255.255.255.255"]) {
    const probe = host();
    assert.deepEqual(probe.input(echoRequest(source, HOST)), [], source);
    assert.equal(probe.counted("ip4.martian"), 1, source);
  }
  for (const target of ["0.0.0.0", "0.1.2.3", "127.0.0.1", "240.0.0.1", "255.255.255.254"]) {
    const probe = host();
    assert.deepEqual(probe.input(echoRequest(PEER, target)), [], target);
    assert.equal(probe.counted("ip4.martian"), 1, target);
  }
});

test("a host without an address may ask everybody, and is heard (RFC 1122 §3.2.1.3)", () => {
  const probe = host();
  const socket = probe.stack.udp.socket(true);
  assert.ok(typeof socket !== "number");
  assert.equal(socket.bind(ANY_IPV4, 9), 0);
  for (const target of ["255.255.255.255", "10.0.0.255"]) {
    probe.input(udpPacket("0.0.0.0", target, 4));
    assert.ok(typeof socket.receive(new Uint8Array(8), 0, 8) !== "number", target);
  }
});

test("what the link sent to all is not for one (RFC 1122 §3.3.6)", () => {
  const probe = new StackProbe({}, { kind: "ethernet" });
  probe.address(`${HOST}/24`);
  const packet = echoRequest(PEER, HOST);
  const frame = new Uint8Array(14 + packet.length);
  writeU16(frame, 12, 0x0800);
  frame.set(packet, 14);
  frame.fill(0xff, 0, 6);
  probe.input(frame);
  assert.equal(probe.counted("ip.link-group"), 1);
  assert.equal(probe.stack.neighbours.all.length, 0);
  frame.set(PROBE_MAC, 0);
  probe.input(frame);
  assert.equal(probe.counted("ip.link-group"), 1);
  assert.equal(probe.stack.neighbours.all.length, 1);
});

test("packets in packets are not opened (Ripple20)", () => {
  for (const protocol of [4, 41, 47]) {
    const probe = host();
    const payload = echoRequest(PEER, HOST);
    const [error, ...more] = probe.input(packet4(PEER, HOST, { protocol, payload }));
    const { icmp } = readPacket(error!);
    assert.ok(icmp?.kind === "unreachable" && icmp.code === 2);
    assert.equal(more.length, 0);
  }
});

test("a packet for somebody else is dropped by a host (RFC 1122 §3.2.1.3)", () => {
  const probe = host();
  assert.deepEqual(probe.input(echoRequest(PEER, "10.0.0.7")), []);
  assert.deepEqual(probe.input(echoRequest(PEER, "224.0.0.9")), []);
  assert.equal(probe.counted("ip.not-for-us"), 2);
});
