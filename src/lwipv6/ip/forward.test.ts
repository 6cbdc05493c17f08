/**
 * A stack as a router: RFC 1812, RFC 8200 §3, RFC 2644, RFC 3021, RFC 2474 and RFC 3168 (bits
 * pass), RFC 4443 §3, RFC 4861 §8.2, unfinished frames.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { OFFLOAD, readU16, readU32, writeU16 } from "../../base/index.ts";
import {
  echoRequest,
  packet4,
  PROBE_MAC,
  type ProbeLinkOptions,
  readPacket,
  StackProbe,
  udpPacket,
} from "../../sim/stack-probe.ts";
import {
  emitTcp,
  foldSum,
  IP_PROTOCOL,
  IPV4_AT,
  IPV6_AT,
  pseudoHeaderSum,
  TCP_AT,
  TCP_FLAG,
  TcpView,
} from "../../wire/index.ts";
import { IpAddress, IpPrefix } from "../address.ts";
import type { Interface } from "../interface.ts";

interface Router {
  readonly probe: StackProbe;
  readonly inside: Interface;
  readonly outside: Interface;
}

function router(outside: ProbeLinkOptions = {}, inside: ProbeLinkOptions = {}): Router {
  const probe = new StackProbe({ forwarding: true }, inside);
  const second = probe.addLink(outside);
  probe.address("10.0.1.1/24");
  probe.address("fd00:1::1/64");
  probe.address("10.0.2.1/24", second);
  probe.address("fd00:2::1/64", second);
  return { probe, inside: probe.eth0, outside: second };
}

const PATHS = [
  ["10.0.1.2", "10.0.2.2"],
  ["fd00:1::2", "fd00:2::2"],
] as const;

test("a packet goes on with one hop less, all else as it was (RFC 1812 §5.3.1, RFC 2474, RFC 3168)", () => {
  for (const [source, target] of PATHS) {
    for (const trafficClass of [0, 1, 2, 3, 0xb8, 0xfb, 0xff]) {
      const { probe, outside } = router();
      const packet = udpPacket(source, target, 100, { trafficClass, flowLabel: 0xabcde });
      const [sent, ...more] = probe.input(packet);
      assert.equal(more.length, 0);
      assert.equal(sent!.from, outside);
      assert.equal(readPacket(sent!).hopLimit, 63);
      const expected = packet.slice();
      if (source === "10.0.1.2") {
        expected[IPV4_AT.timeToLive]!--;
        expected.set(sent!.octets.subarray(IPV4_AT.checksum, IPV4_AT.checksum + 2), 10);
      } else expected[IPV6_AT.hopLimit]!--;
      assert.deepEqual(sent!.octets, expected);
    }
  }
});

test("a life that is over ends in time exceeded (RFC 792, RFC 4443 §3.3)", () => {
  for (const [source, target] of PATHS) {
    for (const life of [0, 1]) {
      const { probe, inside } = router();
      const fields = { timeToLive: life, hopLimit: life };
      const [error, ...more] = probe.input(udpPacket(source, target, 100, fields));
      assert.equal(more.length, 0);
      assert.equal(error!.from, inside);
      const { icmp, target: peer } = readPacket(error!);
      assert.ok(icmp?.kind === "time-exceeded" && icmp.code === 0);
      assert.equal(peer, source);
    }
  }
});

test("nobody knows the way: no route; a new route is used at once", () => {
  for (const [source, target, any, gateway] of [
    ["10.0.1.2", "10.7.7.7", "0.0.0.0", "10.0.2.9"],
    ["fd00:1::2", "fd77::7", "::", "fd00:2::9"],
  ] as const) {
    const { probe, outside } = router();
    const [error] = probe.input(udpPacket(source, target));
    const { icmp } = readPacket(error!);
    assert.ok(icmp?.kind === "unreachable" && icmp.code === 0);
    const route = {
      prefix: IpPrefix.of(IpAddress.parse(any), 0),
      gateway: IpAddress.parse(gateway),
      metric: 0,
      origin: "static",
    } as const;
    assert.equal(probe.stack.addRoute(route), 0);
    assert.equal(probe.input(udpPacket(source, target))[0]!.from, outside);
    probe.stack.setDown(outside);
    assert.equal(readPacket(probe.input(udpPacket(source, target))[0]!).icmp?.kind, "unreachable");
  }
});

test("what does not fit is cut, or answered by the link's MTU (RFC 1191 §4, RFC 4443 §3.2)", () => {
  const { probe } = router({ mtuOctets: 1300 });
  assert.equal(probe.input(udpPacket("10.0.1.2", "10.0.2.2", 1400)).length, 2);
  const fields = { mayNotFragment: true };
  const [four] = probe.input(udpPacket("10.0.1.2", "10.0.2.2", 1400, fields));
  const said = readPacket(four!).icmp;
  assert.ok(said?.kind === "unreachable" && said.code === 4);
  assert.equal("nextMtuOctets" in said ? said.nextMtuOctets : 0, 1300);
  const [six, ...more] = probe.input(udpPacket("fd00:1::2", "fd00:2::2", 1400));
  const big = readPacket(six!).icmp;
  assert.ok(big?.kind === "packet-too-big" && big.mtuOctets === 1300);
  assert.equal(more.length, 0);
  assert.equal(probe.input(udpPacket("10.0.1.2", "10.0.2.2", 1272, fields)).length, 1);
});

test("some packets stay on their link (RFC 1812 §4.2.2.11, RFC 3927 §2.7, RFC 4291 §2.5.6, RFC 2644)", () => {
  for (const [source, target] of [
    ["10.0.1.2", "169.254.1.1"],
    ["169.254.1.1", "10.0.2.2"],
    ["0.0.0.0", "10.0.2.2"],
    ["10.0.1.2", "224.0.0.9"],
    ["10.0.1.2", "239.1.1.1"],
    ["10.0.1.2", "10.0.2.255"],
    ["fd00:1::2", "fe80::9"],
    ["::", "fd00:2::2"],
    ["fd00:1::2", "ff05::9"],
    ["fd00:1::2", "ff0e::9"],
  ] as const) {
    const { probe } = router();
    assert.deepEqual(probe.input(udpPacket(source, target)), [], `${source} > ${target}`);
    const counted = probe.counted("forward.not-routable") + probe.counted("forward.broadcast");
    assert.equal(counted, 1, `${source} > ${target}`);
  }
});

test("a link-local source is told that the target is beyond its scope (RFC 4443 §3.1)", () => {
  const { probe } = router();
  probe.address("fe80::1/64");
  const [error, ...more] = probe.input(udpPacket("fe80::2", "fd00:2::2"));
  const { icmp } = readPacket(error!);
  assert.ok(icmp?.kind === "unreachable" && icmp.code === 2);
  assert.equal(more.length, 0);
});

test("both addresses of a /31 are hosts (RFC 3021)", () => {
  const { probe, outside } = router();
  probe.address("10.3.0.0/31", outside);
  assert.equal(probe.input(udpPacket("10.0.1.2", "10.3.0.1")).length, 1);
  const [reply] = probe.input(echoRequest("10.3.0.1", "10.3.0.0"), outside);
  assert.equal(readPacket(reply!).icmp?.kind, "echo-reply");
});

test("a host does not forward", () => {
  const { probe } = router();
  probe.stack.setForwarding(false);
  assert.deepEqual(probe.input(udpPacket("10.0.1.2", "10.0.2.2")), []);
  assert.equal(probe.counted("ip.not-for-us"), 1);
});

test("options of packets for others are carried on; fragments are not put together", () => {
  const { probe } = router();
  const options = Uint8Array.of(0x94, 4, 0, 0);
  const [sent] = probe.input(udpPacket("10.0.1.2", "10.0.2.2", 8, { options }));
  assert.deepEqual(sent!.octets.subarray(20, 24), options);
  const fragment = packet4("10.0.1.2", "10.0.2.2", {
    fragmentOffsetOctets: 80,
    hasMoreFragments: true,
    payload: new Uint8Array(80),
  });
  assert.equal(probe.input(fragment).length, 1);
  assert.equal(probe.stack.ip.reassembler.count, 0);
});

/** A frame of Ethernet or a bare packet, with an unfinished TCP segment. */
function putTcp(
  { probe, inside }: Router,
  isIpv4: boolean,
  octets: number,
  segmentOctets: number,
  mayNotFragment = true,
): number {
  const [source, target] = PATHS[isIpv4 ? 0 : 1];
  const ends = {
    source: IpAddress.parse(source).toOctets(),
    target: IpAddress.parse(target).toOctets(),
  };
  const payload = new Uint8Array(octets).map((_, i) => i * 7);
  const tcp = new Uint8Array(32 + octets);
  const options = [{ kind: "timestamps", value: 1, echo: 2 }] as const;
  emitTcp(
    {
      sourcePort: 1,
      targetPort: 2,
      sequence: 1000,
      acknowledgment: 1,
      flags: TCP_FLAG.ack | TCP_FLAG.psh,
      window: 1000,
      urgentPointer: 0,
      options,
      payload,
    },
    tcp,
    ends,
  );
  const header = isIpv4 ? 20 : 40;
  const link = inside.link.kind === "ethernet" ? 14 : 0;
  const { pool } = probe.stack.core;
  const slot = pool.take();
  const at = pool.start[slot]!;
  const fields = { protocol: IP_PROTOCOL.tcp, mayNotFragment };
  const ip = udpPacket(source, target, tcp.length - 8, fields);
  pool.octets.set(ip, at + link);
  pool.octets.set(tcp, at + link + header);
  if (link > 0) {
    pool.octets.set(PROBE_MAC, at);
    writeU16(pool.octets, at + 12, isIpv4 ? 0x0800 : 0x86dd);
  }
  const tcpAt = at + link + header;
  const pseudo = pseudoHeaderSum(ends, IP_PROTOCOL.tcp, tcp.length);
  writeU16(pool.octets, tcpAt + TCP_AT.checksum, foldSum(pseudo));
  pool.length[slot] = link + header + tcp.length;
  const kind = isIpv4 ? OFFLOAD.tcp4 : OFFLOAD.tcp6;
  pool.offload[slot] = segmentOctets > 0 ? kind : OFFLOAD.checksum;
  pool.checksumFrom[slot] = tcpAt;
  pool.checksumOffset[slot] = TCP_AT.checksum;
  pool.segmentOctets[slot] = segmentOctets;
  return slot;
}

/** Data of whole segments in order; checksums are looked at. */
function segments(frames: readonly { readonly octets: Uint8Array }[]): number[] {
  const data: number[] = [];
  let next = 1000;
  for (const { octets } of frames) {
    const isIpv4 = octets[0]! >>> 4 === 4;
    readPacket(octets);
    const [from, size] = isIpv4 ? [12, 4] : [8, 16];
    const ends = {
      source: octets.subarray(from, from + size),
      target: octets.subarray(from + size, from + 2 * size),
    };
    const view = TcpView.over(octets.subarray(isIpv4 ? 20 : 40))!;
    assert.equal(view.problem(ends), undefined);
    assert.equal(readU32(view.octets, TCP_AT.sequence), next);
    next += view.payload.length;
    data.push(...view.payload);
  }
  return data;
}

test("super-segments are cut for links that take none, and pass whole where they are taken", () => {
  for (const isIpv4 of [true, false]) {
    const payload = Array.from({ length: 30_000 }, (_, i) => (i * 7) & 0xff);
    const segment = isIpv4 ? 1448 : 1428;
    const plain = router();
    const cut = plain.probe.inputSlot(putTcp(plain, isIpv4, 30_000, segment));
    assert.equal(cut.length, Math.ceil(30_000 / segment));
    assert.ok(cut.every((frame) => frame.offload === OFFLOAD.none && frame.octets.length <= 1500));
    assert.deepEqual(segments(cut), payload);
    const able = router({ offload: true });
    const [whole, ...more] = able.probe.inputSlot(putTcp(able, isIpv4, 30_000, segment));
    assert.equal(more.length, 0);
    assert.equal(whole!.offload, isIpv4 ? OFFLOAD.tcp4 : OFFLOAD.tcp6);
    assert.equal(whole!.octets.length, 30_000 + 32 + (isIpv4 ? 20 : 40));
    for (const { probe } of [plain, able]) {
      const { pool } = probe.stack.core;
      assert.equal(pool.freeCount, pool.capacity);
    }
  }
});

test("an unfinished checksum is finished for links that do not do it", () => {
  for (const isIpv4 of [true, false]) {
    const plain = router();
    const sent = plain.probe.inputSlot(putTcp(plain, isIpv4, 100, 0));
    assert.equal(sent[0]!.offload, OFFLOAD.none);
    assert.equal(segments(sent).length, 100);
    const able = router({ offload: true });
    const [frame] = able.probe.inputSlot(putTcp(able, isIpv4, 100, 0));
    assert.equal(frame!.offload, OFFLOAD.checksum);
  }
});

test("super-segments whose segments do not fit: too big, or smaller segments where cutting is allowed", () => {
  for (const isIpv4 of [true, false]) {
    const narrow = router({ mtuOctets: 1400 });
    const [error] = narrow.probe.inputSlot(putTcp(narrow, isIpv4, 30_000, 1440));
    const kind = readPacket(error!).icmp?.kind;
    assert.equal(kind, isIpv4 ? "unreachable" : "packet-too-big");
  }
  const narrow = router({ mtuOctets: 1400 });
  const sent = narrow.probe.inputSlot(putTcp(narrow, true, 30_000, 1440, false));
  assert.equal(sent.length, Math.ceil(30_000 / (1400 - 52)));
  assert.equal(segments(sent).length, 30_000);
});

/** An Ethernet frame to the router. */
function frame(packet: Uint8Array): Uint8Array {
  const made = new Uint8Array(14 + packet.length);
  made.set(PROBE_MAC);
  made.set([2, 0, 0, 0, 0, 9], 6);
  writeU16(made, 12, packet[0]! >>> 4 === 4 ? 0x0800 : 0x86dd);
  made.set(packet, 14);
  return made;
}

test("whoever could have gone straight is told so (RFC 1812 §5.2.7.2, RFC 4861 §8.2)", () => {
  const { probe, inside } = router({}, { kind: "ethernet" });
  const { neighbours } = probe.stack;
  probe.address("fe80::1/64");
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 9);
  for (const text of ["10.0.1.2", "10.0.1.3", "fd00:1::2", "fd00:1::3"]) {
    neighbours.setPermanent(IpAddress.parse(text), inside, mac);
  }
  probe.take();
  const four = probe.input(frame(udpPacket("10.0.1.2", "10.0.1.3")));
  const said = four.map((one) => readPacket(one.octets.subarray(14)));
  const redirect = said.find(({ icmp }) => icmp?.kind === "redirect")?.icmp;
  assert.ok(redirect?.kind === "redirect");
  assert.equal(readU32(redirect.gateway, 0), 0x0a000103);
  assert.equal(redirect.code, 1);
  assert.ok(
    said.some(({ protocol }) => protocol === IP_PROTOCOL.udp),
    "it is forwarded all the same",
  );
  const six = probe.input(frame(udpPacket("fd00:1::2", "fd00:1::3", 100)));
  const message = six
    .map((one) => readPacket(one.octets.subarray(14)))
    .find(({ icmp }) => icmp?.kind === "other");
  assert.ok(message?.icmp?.kind === "other" && message.icmp.type === 137);
  assert.deepEqual([message.source, message.hopLimit], ["fe80::1", 255]);
  const { payload } = message.icmp;
  for (const at of [0, 16]) {
    assert.equal(IpAddress.read(payload, at, 16).toString(), "fd00:1::3");
  }
  assert.equal(payload[32], 4);
  assert.equal(payload.length, 32 + 8 * payload[33]!);
  // From another network nobody is told.
  const before = probe.counted("icmp.redirect-sent");
  probe.input(frame(udpPacket("10.0.9.9", "10.0.1.3")));
  assert.equal(probe.counted("icmp.redirect-sent"), before);
});

test("the way back of an error is its own, and errors are limited on the way, too", () => {
  const { probe } = router();
  let errors = 0;
  for (let i = 0; i < 500; i++) {
    errors += probe.input(udpPacket("10.0.1.2", "10.0.2.2", 8, { timeToLive: 1 })).length;
  }
  assert.ok(errors >= 5 && errors <= 20, `${errors} errors`);
  assert.equal(probe.counted("forward.time-exceeded"), 500);
});

test("a length field that lies does not get through a router", () => {
  const { probe } = router();
  const packet = udpPacket("fd00:1::2", "fd00:2::2");
  writeU16(packet, IPV6_AT.payloadLength, readU16(packet, IPV6_AT.payloadLength) + 1);
  assert.deepEqual(probe.input(packet), []);
  const padded = new Uint8Array(100);
  padded.set(udpPacket("fd00:1::2", "fd00:2::2"));
  assert.equal(probe.input(padded)[0]!.octets.length, 56);
});
