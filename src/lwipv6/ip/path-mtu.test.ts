/** Path MTU discovery, and what is not believed: RFC 1191, RFC 8201, RFC 5927. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { icmpPacket, StackProbe } from "../../sim/stack-probe.ts";
import { IpAddress } from "../address.ts";
import type { UdpSocket } from "../udp-socket.ts";

const ENDS = {
  4: { host: "10.0.0.1", target: "10.9.0.2", router: "10.0.0.254", min: 552 },
  6: { host: "fd00::1", target: "fd09::2", router: "fd00::fe", min: 1280 },
} as const;
type Family = keyof typeof ENDS;
const FAMILIES: readonly Family[] = [4, 6];

function host(limits = {}): StackProbe {
  const probe = new StackProbe({ limits });
  // Everything is on the link, so that no router is needed to be told about.
  probe.address("10.0.0.1/8");
  probe.address("fd00::1/8");
  return probe;
}

function mtuTo(probe: StackProbe, target: string): number {
  const way = probe.stack.ip.wayTo(IpAddress.parse(target), undefined, 0);
  assert.ok(typeof way !== "number");
  return way.mtuOctets;
}

function socketOf(probe: StackProbe, family: Family): UdpSocket {
  const socket = probe.stack.udp.socket(family === 4);
  assert.ok(typeof socket !== "number");
  assert.equal(socket.bind(IpAddress.parse(ENDS[family].host), 700), 0);
  return socket;
}

/** What a socket's datagram looks like on the wire. */
function datagram(probe: StackProbe, socket: UdpSocket, family: Family): Uint8Array {
  const remote = IpAddress.parse(ENDS[family].target);
  socket.send(new Uint8Array(1400), 0, 1400, remote, 9);
  return probe.take()[0]!.octets;
}

function tooBig(family: Family, mtuOctets: number, about: Uint8Array): Uint8Array {
  const { router, host: target } = ENDS[family];
  const quote = about.subarray(0, 500);
  return family === 4
    ? icmpPacket(router, target, {
        kind: "unreachable",
        code: 4,
        nextMtuOctets: mtuOctets,
        about: quote,
      })
    : icmpPacket(router, target, { kind: "packet-too-big", mtuOctets, about: quote });
}

test("a path becomes as narrow as a router says, for ten minutes (RFC 1191 §6.3, RFC 8201 §4)", () => {
  for (const family of FAMILIES) {
    const probe = host();
    const { target } = ENDS[family];
    const socket = socketOf(probe, family);
    const about = datagram(probe, socket, family);
    const before = probe.stack.ip.generation;
    probe.input(tooBig(family, 1300, about));
    assert.equal(mtuTo(probe, target), 1300);
    assert.notEqual(probe.stack.ip.generation, before);
    // Datagrams are cut from now on, or refused.
    const remote = IpAddress.parse(target);
    socket.send(new Uint8Array(1400), 0, 1400, remote, 9);
    assert.equal(probe.take().length, 2);
    socket.options.dontFragment = true;
    assert.equal(socket.send(new Uint8Array(1400), 0, 1400, remote, 9), -90);
    probe.pass(599_000);
    assert.equal(mtuTo(probe, target), 1300);
    const generation = probe.stack.ip.generation;
    probe.pass(2000);
    assert.equal(mtuTo(probe, target), 1500);
    assert.notEqual(probe.stack.ip.generation, generation);
  }
});

test("a path never becomes wider by a message, nor too narrow (RFC 8201 §4, RFC 5927 §7)", () => {
  for (const family of FAMILIES) {
    const { target, min } = ENDS[family];
    const probe = host();
    const socket = socketOf(probe, family);
    const about = datagram(probe, socket, family);
    for (const mtu of [1500, 9000, 65_535]) {
      probe.input(tooBig(family, mtu, about));
      assert.equal(mtuTo(probe, target), 1500);
    }
    probe.input(tooBig(family, 1400, about));
    probe.input(tooBig(family, 1450, about));
    assert.equal(mtuTo(probe, target), 1400);
    for (const mtu of [1, 68, 295, 551]) probe.input(tooBig(family, mtu, about));
    assert.equal(mtuTo(probe, target), family === 4 ? min : 1400);
  }
});

test("routers of old that name no MTU: the next plateau below is taken (RFC 1191 §7.1)", () => {
  const probe = host();
  const socket = socketOf(probe, 4);
  probe.input(tooBig(4, 0, datagram(probe, socket, 4)));
  assert.equal(mtuTo(probe, ENDS[4].target), 1006);
});

test("errors about packets that nobody sent change nothing (RFC 5927 §4)", () => {
  for (const family of FAMILIES) {
    const { target } = ENDS[family];
    const probe = host();
    const socket = socketOf(probe, family);
    const about = datagram(probe, socket, family);
    const [from, port] = family === 4 ? [12, 20] : [8, 40];
    const otherSource = about.slice();
    otherSource[from + (family === 4 ? 3 : 15)]! ^= 0x40;
    const otherPort = about.slice();
    otherPort[port]! ^= 0x11;
    const otherProtocol = about.slice();
    otherProtocol[family === 4 ? 9 : 6] = 132;
    const echo = about.slice();
    echo[family === 4 ? 9 : 6] = family === 4 ? 1 : 58;
    for (const forged of [otherSource, otherPort, otherProtocol, echo, about.slice(0, 20)]) {
      probe.input(tooBig(family, 1280, forged));
      assert.equal(mtuTo(probe, target), 1500);
    }
    socket.connect(IpAddress.parse(target), 10);
    probe.input(tooBig(family, 1280, about));
    assert.equal(mtuTo(probe, target), 1500, "its peer has another port");
    socket.close();
    probe.input(tooBig(family, 1280, about));
    assert.equal(mtuTo(probe, target), 1500, "its socket is closed");
  }
});

test("a raw socket's path is learnt only while there is one", () => {
  for (const family of FAMILIES) {
    const { target, host: own } = ENDS[family];
    const probe = host();
    const message = { kind: "echo-request", identifier: 1, sequence: 1 } as const;
    const about = icmpPacket(own, target, { ...message, payload: new Uint8Array(1400) });
    probe.input(tooBig(family, 1300, about));
    assert.equal(mtuTo(probe, target), 1500);
    const raw = probe.stack.raw.socket(family === 4, family === 4 ? 1 : 58);
    assert.ok(typeof raw !== "number");
    probe.input(tooBig(family, 1300, about));
    assert.equal(mtuTo(probe, target), 1300);
  }
});

test("the oldest paths make room for new ones", () => {
  const probe = host({ destinations: 8 });
  const { icmp } = probe.stack;
  for (let i = 1; i <= 20; i++) icmp.reducePathMtu(IpAddress.parse(`10.0.1.${i}`), 1000, 1500);
  assert.equal(mtuTo(probe, "10.0.1.12"), 1500);
  for (let i = 13; i <= 20; i++) assert.equal(mtuTo(probe, `10.0.1.${i}`), 1000);
  probe.pass(601_000);
  for (let i = 13; i <= 20; i++) assert.equal(mtuTo(probe, `10.0.1.${i}`), 1500);
});
