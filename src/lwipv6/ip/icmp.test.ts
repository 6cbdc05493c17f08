/** ICMP of both families: RFC 792, RFC 1122 §3.2.2, RFC 4443, RFC 6633. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  echoRequest,
  icmp,
  icmpPacket,
  packet4,
  packet6,
  PROBE_MAC,
  readPacket,
  type ReadPacket,
  StackProbe,
  udpPacket,
} from "../../sim/stack-probe.ts";
import { writeU16 } from "../../base/index.ts";
import { IP_PROTOCOL } from "../../wire/index.ts";
import { IpAddress } from "../address.ts";

const ENDS = {
  4: { peer: "10.0.0.2", host: "10.0.0.1" },
  6: { peer: "fd00::2", host: "fd00::1" },
} as const;
type Family = keyof typeof ENDS;
const FAMILIES: readonly Family[] = [4, 6];

function host(limits = {}): StackProbe {
  const probe = new StackProbe({ limits });
  probe.address("10.0.0.1/8");
  probe.address("fd00::1/8");
  return probe;
}

function answers(probe: StackProbe, packet: Uint8Array): ReadPacket[] {
  return probe.input(packet).map(readPacket);
}

test("an echo brings back what was sent, from the address that was asked (RFC 792, RFC 4443 §4.2)", () => {
  for (const family of FAMILIES) {
    const { peer, host: own } = ENDS[family];
    for (const octets of [0, 1, 56, 1400]) {
      const probe = host();
      probe.address(family === 4 ? "10.7.7.7/8" : "fd77::7/8");
      const [reply, ...more] = answers(
        probe,
        echoRequest(peer, own, octets, { trafficClass: 0x48 }),
      );
      assert.equal(more.length, 0);
      assert.deepEqual([reply!.source, reply!.target], [own, peer]);
      assert.equal(reply!.trafficClass, 0x48);
      assert.equal(reply!.hopLimit, 64);
      assert.ok(reply!.icmp?.kind === "echo-reply");
      assert.deepEqual([reply!.icmp.identifier, reply!.icmp.sequence], [1, 2]);
      assert.equal(reply!.icmp.payload.length, octets);
    }
  }
});

test("an echo to everybody is answered in IPv6 from our own address, and not in IPv4", () => {
  const probe = host();
  const [reply] = answers(probe, echoRequest("fd00::2", "ff02::1"));
  assert.equal(reply!.source, "fd00::1");
  for (const target of ["255.255.255.255", "10.255.255.255", "224.0.0.1"]) {
    assert.deepEqual(answers(probe, echoRequest("10.0.0.2", target)), []);
  }
  assert.equal(probe.counted("icmp.group-echo"), 3);
});

test("a wrong checksum or a short message is dropped", () => {
  for (const family of FAMILIES) {
    const { peer, host: own } = ENDS[family];
    const probe = host();
    const name = family === 4 ? "icmp" : "icmp6";
    const packet = echoRequest(peer, own);
    packet[packet.length - 1]! ^= 1;
    assert.deepEqual(probe.input(packet), []);
    assert.equal(probe.counted(`${name}.checksum`), 1);
    for (let length = 0; length < 8; length++) {
      const payload = new Uint8Array(length);
      const short =
        family === 4
          ? packet4(peer, own, { protocol: IP_PROTOCOL.icmp, payload })
          : packet6(peer, own, { protocol: IP_PROTOCOL.icmp6, payload });
      assert.deepEqual(probe.input(short), []);
    }
    assert.equal(probe.counted(`${name}.short`), 8);
  }
});

test("nobody listens: port unreachable, with as much of the packet as may be quoted", () => {
  for (const family of FAMILIES) {
    const { peer, host: own } = ENDS[family];
    for (const octets of [0, 100, 1400]) {
      const packet = udpPacket(peer, own, octets);
      const [error, ...more] = answers(host(), packet);
      assert.equal(more.length, 0);
      assert.ok(error!.icmp?.kind === "unreachable");
      assert.equal(error!.icmp.code, family === 4 ? 3 : 4);
      assert.equal(error!.target, peer);
      assert.equal(error!.source, own);
      // RFC 1812 §4.3.2.3: 576 octets in all; RFC 4443 §2.4(c): 1280.
      const quoted = Math.min(packet.length, family === 4 ? 548 : 1232);
      assert.deepEqual(error!.icmp.about, packet.subarray(0, quoted));
      if (family === 4) assert.equal(error!.trafficClass, 0xc0);
    }
  }
});

test("an unknown protocol: protocol unreachable, or parameter problem (RFC 1122 §3.2.2.1, RFC 4443 §3.4)", () => {
  const [four] = answers(host(), packet4("10.0.0.2", "10.0.0.1", { protocol: 99 }));
  assert.ok(four!.icmp?.kind === "unreachable" && four!.icmp.code === 2);
  const [six] = answers(host(), packet6("fd00::2", "fd00::1", { protocol: 99 }));
  assert.ok(six!.icmp?.kind === "parameter-problem" && six!.icmp.code === 1);
  assert.equal(six!.icmp.pointer, 6);
});

test("no error is about an error, or what may be one (RFC 1122 §3.2.2, RFC 4443 §2.4(e))", () => {
  const about = udpPacket("10.0.0.1", "10.0.0.2");
  const about6 = udpPacket("fd00::1", "fd00::2");
  for (const message of [
    { kind: "unreachable", code: 1, nextMtuOctets: 0, about },
    { kind: "time-exceeded", code: 0, about },
    { kind: "other", type: 42, code: 0, rest: 0, payload: about },
  ] as const) {
    const options = Uint8Array.of(7, 1, 4, 0);
    assert.deepEqual(answers(host(), icmpPacket("10.0.0.2", "10.0.0.1", message, { options })), []);
  }
  const unknownOption = { protocol: IP_PROTOCOL.targetOptions, octets: new Uint8Array(8) };
  unknownOption.octets.set([0, 0, 0x9e, 4]);
  const extensions = [unknownOption];
  for (const message of [
    { kind: "unreachable", code: 3, about: about6 },
    { kind: "other", type: 137, code: 0, rest: 0, payload: new Uint8Array(40) },
    { kind: "other", type: 100, code: 0, rest: 0, payload: about6 },
  ] as const) {
    assert.deepEqual(
      answers(host(), icmpPacket("fd00::2", "fd00::1", message, { extensions })),
      [],
    );
  }
  // But about an echo request one is.
  assert.equal(answers(host(), echoRequest("fd00::2", "fd00::1", 8, { extensions })).length, 1);
});

test("no error goes to nobody or everybody, nor is about what everybody got", () => {
  const probe = new StackProbe({}, { kind: "ethernet" });
  probe.address("10.0.0.1/8");
  const frame = (packet: Uint8Array): Uint8Array => {
    const made = new Uint8Array(14 + packet.length);
    made.set(PROBE_MAC);
    writeU16(made, 12, packet[0]! >>> 4 === 4 ? 0x0800 : 0x86dd);
    made.set(packet, 14);
    return made;
  };
  for (const [source, target] of [
    ["0.0.0.0", "10.0.0.1"],
    ["10.0.0.2", "10.255.255.255"],
    ["10.0.0.2", "255.255.255.255"],
    ["10.0.0.2", "224.0.0.1"],
  ] as const) {
    probe.input(frame(udpPacket(source, target)));
  }
  assert.equal(probe.counted("icmp.error-sent"), 0);
  probe.input(frame(udpPacket("10.0.0.2", "10.0.0.1")));
  assert.equal(probe.counted("icmp.error-sent"), 1);
});

test("messages of old are ignored: source quench, information, address mask (RFC 6633, RFC 6918)", () => {
  const probe = host();
  for (const type of [4, 13, 15, 17, 30]) {
    const message = { kind: "other", type, code: 0, rest: 0, payload: new Uint8Array(40) } as const;
    assert.deepEqual(answers(probe, icmpPacket("10.0.0.2", "10.0.0.1", message)), []);
  }
  assert.equal(probe.counted("icmp.ignored"), 5);
});

test("errors are limited, and come again with time (RFC 4443 §2.4(f), RFC 1812 §4.3.2.8)", () => {
  for (const family of FAMILIES) {
    const { peer, host: own } = ENDS[family];
    const probe = host({ icmpErrorsPerSecond: 10, icmpErrorBurst: 8 });
    const flood = (count: number): number => {
      let sent = 0;
      for (let i = 0; i < count; i++) sent += probe.input(udpPacket(peer, own)).length;
      return sent;
    };
    const first = flood(1000);
    assert.ok(first >= 4 && first <= 8, `${first} errors at once`);
    probe.pass(1000);
    const second = flood(1000);
    assert.ok(second >= 4 && second <= 8, `${second} errors a second later`);
    assert.equal(probe.counted("icmp.rate-limited"), 2000 - first - second);
  }
});

test("how many errors one peer gets says nothing of another's (side channel)", () => {
  const probe = host({ icmpErrorsPerSecond: 1, icmpErrorBurst: 5 });
  for (let i = 0; i < 100; i++) probe.input(udpPacket("10.0.0.2", "10.0.0.1"));
  let unharmed = 0;
  for (let i = 0; i < 40; i++) {
    unharmed += probe.input(udpPacket(`10.0.3.${i + 1}`, "10.0.0.1")).length;
  }
  assert.ok(unharmed >= 36, `${unharmed} of 40 others got theirs`);
});

test("a network of IPv6 shares one limit: addresses there cost nothing", () => {
  const probe = host({ icmpErrorsPerSecond: 1, icmpErrorBurst: 5 });
  let sent = 0;
  for (let i = 2; i < 200; i++) sent += probe.input(udpPacket(`fd00::${i}`, "fd00::1")).length;
  assert.ok(sent <= 5, `${sent} errors`);
});

test("an error about a packet of ours reaches its socket; a forged one does not (RFC 5927)", () => {
  for (const family of FAMILIES) {
    const { peer, host: own } = ENDS[family];
    const probe = host();
    const socket = probe.stack.udp.socket(family === 4);
    assert.ok(typeof socket !== "number");
    socket.bind(IpAddress.parse(own), 700);
    socket.connect(IpAddress.parse(peer), 9);
    socket.send(new Uint8Array(4), 0, 4);
    const about = probe.take()[0]!.octets;
    const message =
      family === 4
        ? ({ kind: "unreachable", code: 3, nextMtuOctets: 0, about } as const)
        : ({ kind: "unreachable", code: 4, about } as const);
    const forged = icmp(peer, own, { ...message, about: about.slice(0, 27) } as never);
    const wrong =
      family === 4
        ? packet4(peer, own, { protocol: 1, payload: forged })
        : packet6(peer, own, { protocol: 58, payload: forged });
    probe.input(wrong);
    assert.equal(socket.errno, 0);
    probe.input(icmpPacket(peer, own, message));
    assert.equal(socket.takeError(), -111);
  }
});
