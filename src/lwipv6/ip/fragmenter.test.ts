/**
 * Cutting packets, and identifications: RFC 791 §2.3, RFC 6864, RFC 7739, RFC 8200 §4.5, RFC 8021.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readU16, readU32 } from "../../base/index.ts";
import {
  echoRequest,
  icmpPacket,
  type SentFrame,
  StackProbe,
  udpPacket,
} from "../../sim/stack-probe.ts";
import { IPV4_AT, Ipv4View, IPV6_AT, Ipv6View } from "../../wire/index.ts";
import { IpAddress } from "../address.ts";

function host(secret = 7, mtuOctets = 1500): StackProbe {
  const probe = new StackProbe({ secret: new Uint8Array(16).fill(secret) }, { mtuOctets });
  probe.address("10.0.0.1/8");
  probe.address("fd00::1/64");
  return probe;
}

/** The data of fragments that come in order, with their identification. */
function joined(sent: readonly SentFrame[]): { data: Uint8Array; identification: number } {
  const data: number[] = [];
  let identification = -1;
  for (const [i, { octets }] of sent.entries()) {
    const isLast = i === sent.length - 1;
    const isIpv4 = octets[0]! >>> 4 === 4;
    const view = isIpv4 ? Ipv4View.over(octets)! : Ipv6View.over(octets)!;
    assert.equal(view.problem, undefined);
    const at = isIpv4 ? 20 : 40;
    const field = readU16(octets, isIpv4 ? IPV4_AT.fragment : at + 2);
    const more = isIpv4 ? field >>> 13 : field & 1;
    assert.equal(more, isLast ? 0 : 1);
    assert.equal(isIpv4 ? (field & 0x1fff) * 8 : field & 0xfff8, data.length);
    const own = isIpv4 ? readU16(octets, IPV4_AT.identification) : readU32(octets, at + 4);
    assert.ok(identification === -1 || identification === own);
    identification = own;
    data.push(...octets.subarray(isIpv4 ? at : at + 8));
  }
  return { data: Uint8Array.from(data), identification };
}

test("a datagram that does not fit is cut into parts that do, and nothing is lost", () => {
  for (const mtu of [1280, 1281, 1500, 9000]) {
    for (const to of ["10.0.0.2", "fd00::2"]) {
      const probe = host(7, mtu);
      for (const octets of [mtu - 28, mtu - 8, 3000, 9001, 65_507]) {
        assert.equal(probe.sendUdp(to, octets), octets);
        const sent = probe.take();
        assert.ok(sent.every((frame) => frame.octets.length <= mtu));
        const isCut = octets + 8 + (to === "10.0.0.2" ? 20 : 40) > mtu;
        assert.equal(sent.length > 1, isCut);
        if (isCut) assert.equal(joined(sent).data.length, octets + 8);
      }
      const { pool } = probe.stack.core;
      assert.equal(pool.freeCount, pool.capacity);
    }
  }
});

test("an IPv4 link of 68 octets is wide enough (RFC 791 §3.2)", () => {
  const probe = host(7, 68);
  assert.equal(probe.sendUdp("10.0.0.2", 400), 400);
  assert.equal(joined(probe.take()).data.length, 408);
  // IPv6 needs 1280 (RFC 8200 §5).
  assert.ok(probe.sendUdp("fd00::2", 4) < 0);
});

test("all parts find room, or none is sent", () => {
  const probe = new StackProbe({ arena: { frames: 8, blocks: 16 } });
  probe.address("10.0.0.1/8");
  assert.ok(probe.sendUdp("10.0.0.2", 20_000) < 0);
  assert.deepEqual(probe.take(), []);
  assert.equal(probe.sendUdp("10.0.0.2", 5000), 5000);
  assert.equal(probe.take().length, 4);
});

test("only the first part has the options that are not to be copied (RFC 791 §3.1)", () => {
  const probe = new StackProbe({ forwarding: true });
  probe.address("10.0.0.1/24");
  const narrow = probe.addLink({ mtuOctets: 576 });
  probe.address("10.1.0.1/24", narrow);
  const options = Uint8Array.of(0x44, 4, 5, 0, 0x94, 4, 0, 0);
  const sent = probe.input(udpPacket("10.0.0.2", "10.1.0.2", 1200, { options }));
  assert.equal(sent.length, 3);
  for (const [i, { octets }] of sent.entries()) {
    const found = Ipv4View.over(octets)!;
    assert.equal(found.problem, undefined);
    const expected = i === 0 ? options : Uint8Array.of(1, 1, 1, 1, 0x94, 4, 0, 0);
    assert.deepEqual(found.options, expected);
  }
});

/** Identifications of datagrams that are cut, one after the other. */
function identifications(probe: StackProbe, targets: readonly string[]): number[] {
  return targets.map((to) => {
    assert.ok(probe.sendUdp(to, 3000) > 0);
    return joined(probe.take()).identification;
  });
}

test("identifications do not repeat soon between two hosts (RFC 6864 §4.3, RFC 7739)", () => {
  for (const to of ["10.0.0.2", "fd00::2"]) {
    const seen = identifications(
      host(),
      Array.from({ length: 2000 }, () => to),
    );
    assert.equal(new Set(seen).size, 2000);
  }
});

test("identifications of one pair say nothing of another, nor of another secret (RFC 7739 §4)", () => {
  for (const base of ["10.0.0.", "fd00::"]) {
    const targets = Array.from({ length: 200 }, (_, i) => `${base}${i + 2}`);
    const first = identifications(host(1), targets);
    const second = identifications(host(2), targets);
    // A global counter would give differences of one.
    const steps = first.slice(1).filter((value, i) => Math.abs(value - first[i]!) < 4).length;
    assert.ok(steps < 4, `${steps} neighbours follow each other`);
    const same = first.filter((value, i) => value === second[i]).length;
    assert.ok(same < 4, `${same} of 200 are the same`);
  }
});

test("what another peer is sent does not move a peer's identification (side channel)", () => {
  const [quiet, busy] = [host(), host()];
  const [before] = identifications(quiet, ["10.0.0.2"]);
  const again = identifications(quiet, ["10.0.0.2"])[0]! - before!;
  identifications(busy, ["10.0.0.2"]);
  identifications(
    busy,
    Array.from({ length: 20 }, (_, i) => `10.0.9.${i + 1}`),
  );
  const behindOthers = identifications(busy, ["10.0.0.2"])[0]! - before!;
  assert.equal(behindOthers, again);
});

test("what may not be cut has the identification 0 and the flag, or is not sent (RFC 6864 §4.1)", () => {
  const probe = host();
  const socket = probe.stack.udp.socket(true);
  assert.ok(typeof socket !== "number");
  socket.options.dontFragment = true;
  const remote = IpAddress.parse("10.0.0.2");
  assert.equal(socket.send(new Uint8Array(9), 0, 9, remote, 9), 9);
  const [frame] = probe.take();
  assert.equal(readU16(frame!.octets, IPV4_AT.identification), 0);
  assert.equal(readU16(frame!.octets, IPV4_AT.fragment), 0x4000);
  assert.equal(socket.send(new Uint8Array(2000), 0, 2000, remote, 9), -90);
  assert.deepEqual(probe.take(), []);
});

test("a packet-too-big below 1280 makes no atomic fragments (RFC 8021, RFC 8201 §4)", () => {
  const probe = host();
  assert.equal(probe.sendUdp("fd00::2", 1200), 1200);
  const [frame] = probe.take();
  const socket = probe.stack.udp.socket(false);
  assert.ok(typeof socket !== "number");
  socket.bind(IpAddress.parse("fd00::1"), 7);
  const remote = IpAddress.parse("fd00::2");
  socket.send(new Uint8Array(1200), 0, 1200, remote, 9);
  const about = probe.take()[0]!.octets;
  const error = { kind: "packet-too-big", mtuOctets: 600, about } as const;
  probe.input(icmpPacket("fd00::9", "fd00::1", error));
  assert.equal(probe.counted("pmtu.too-small"), 1);
  socket.send(new Uint8Array(1200), 0, 1200, remote, 9);
  const [after, ...more] = probe.take();
  assert.equal(after!.octets[IPV6_AT.nextHeader], 17);
  assert.equal(after!.octets.length, frame!.octets.length);
  assert.equal(more.length, 0);
});

test("echo replies are cut as their requests were", () => {
  const probe = host();
  const whole = echoRequest("10.0.0.2", "10.0.0.1", 60_000);
  const { pool } = probe.stack.core;
  const slot = pool.take();
  pool.octets.set(whole, pool.start[slot]);
  pool.length[slot] = whole.length;
  const { data } = joined(probe.inputSlot(slot));
  assert.equal(data.length, 60_008);
});
