/**
 * IPv6 packets that come in, and their extension headers: RFC 8200, RFC 5095, RFC 8504, RFC 6890.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { writeU16 } from "../../base/index.ts";
import {
  echoRequest,
  icmp,
  packet6,
  readPacket,
  type SentFrame,
  StackProbe,
} from "../../sim/stack-probe.ts";
import { IP_PROTOCOL, IPV6_AT, type Ipv6Extension } from "../../wire/index.ts";

const PEER = "fd00::2";
const HOST = "fd00::1";

function host(): StackProbe {
  const probe = new StackProbe();
  probe.address(`${HOST}/64`);
  return probe;
}

function header(protocol: number, ...octets: number[]): Ipv6Extension {
  return { protocol, octets: Uint8Array.of(0, ...octets) };
}

/** Of options: one unit of 8 octets, padded with Pad1. */
function options(protocol: number, ...octets: number[]): Ipv6Extension {
  const padded = [0, ...octets, 0, 0, 0, 0, 0, 0].slice(0, 7);
  return header(protocol, ...padded);
}

const { hopByHop, targetOptions, routing, fragment } = IP_PROTOCOL;

function request(extensions: readonly Ipv6Extension[], target = HOST): Uint8Array {
  return echoRequest(PEER, target, 8, { extensions });
}

function kinds(sent: readonly SentFrame[]): (string | undefined)[] {
  return sent.map((frame) => readPacket(frame).icmp?.kind);
}

test("extension headers are stepped over, up to eight of them (RFC 8200 §4, RFC 8504 §5.3)", () => {
  const padN = options(targetOptions, 1, 3, 0, 0, 0);
  for (const extensions of [
    [options(hopByHop)],
    [options(hopByHop, 5, 2, 0, 0), padN],
    [padN, header(routing, 0, 2, 0, 0, 0, 0, 0), padN],
    Array.from({ length: 7 }, () => padN),
  ]) {
    assert.deepEqual(kinds(host().input(request(extensions))), ["echo-reply"]);
  }
  const probe = host();
  assert.deepEqual(probe.input(request(Array.from({ length: 9 }, () => padN))), []);
  assert.equal(probe.counted("ip6.extension-count"), 1);
});

test("an unknown option does what its highest bits say (RFC 8200 §4.2)", () => {
  for (const [type, isDropped, isAnswered, isGroupAnswered] of [
    [0x1e, false, false, false],
    [0x5e, true, false, false],
    [0x9e, true, true, true],
    [0xde, true, true, false],
  ] as const) {
    for (const protocol of [hopByHop, targetOptions]) {
      const extensions = [options(protocol, type, 1, 0)];
      const [answer] = host().input(request(extensions));
      const expected = isDropped ? (isAnswered ? "parameter-problem" : undefined) : "echo-reply";
      const found = answer === undefined ? undefined : readPacket(answer).icmp;
      assert.equal(found?.kind, expected, `option ${type} in ${protocol}`);
      if (found?.kind === "parameter-problem") {
        assert.equal(found.code, 2);
        assert.equal(found.pointer, 42);
      }
      const toGroup = host().input(request(extensions, "ff02::1"));
      const isParameterProblem = kinds(toGroup).includes("parameter-problem");
      assert.equal(isParameterProblem, isGroupAnswered, `option ${type} to a group`);
    }
  }
});

test("an option that runs over its header, or a header over the packet, is dropped", () => {
  const probe = host();
  assert.deepEqual(probe.input(request([options(targetOptions, 1, 9)])), []);
  assert.equal(probe.counted("ip6.option-length"), 1);
  for (const length of [1, 3, 4, 0xff]) {
    const packet = request([options(targetOptions)]);
    packet[41] = length;
    const other = host();
    assert.deepEqual(kinds(other.input(packet)).includes("echo-reply"), false, `length ${length}`);
  }
  for (let end = 40; end < 48; end++) {
    const packet = request([options(targetOptions)]).slice(0, end);
    writeU16(packet, IPV6_AT.payloadLength, end - 40);
    const other = host();
    assert.deepEqual(other.input(packet), []);
    assert.equal(other.counted("ip6.extension-length"), 1);
  }
});

test("every payload length that does not fit is dropped (RFC 8200 §3)", () => {
  const whole = echoRequest(PEER, HOST, 32);
  for (const said of [41, 48, 0x7fff, 0xffff]) {
    const probe = host();
    const packet = whole.slice();
    writeU16(packet, IPV6_AT.payloadLength, said);
    assert.deepEqual(probe.input(packet), [], `payload length ${said}`);
    assert.equal(probe.counted("ip6.length"), 1, `payload length ${said}`);
  }
  for (const said of [0, 1, 7, 39]) {
    const probe = host();
    const packet = whole.slice();
    writeU16(packet, IPV6_AT.payloadLength, said);
    assert.deepEqual(probe.input(packet), [], `payload length ${said}`);
  }
  for (let length = 0; length < whole.length; length++) {
    assert.deepEqual(host().input(whole.slice(0, length)), [], `cut at ${length}`);
  }
});

test("hop-by-hop options stand first or are answered by an error (RFC 8200 §4.1)", () => {
  const probe = host();
  const [error] = probe.input(request([options(targetOptions), options(hopByHop)]));
  const found = readPacket(error!).icmp;
  assert.ok(found?.kind === "parameter-problem");
  assert.equal(found.code, 1);
  assert.equal(found.pointer, 40);
});

test("a routing header that still has to be obeyed is refused, type 0 above all (RFC 5095)", () => {
  const routes = (type: number, left: number): Ipv6Extension => {
    const octets = new Uint8Array(24);
    octets.set([0, 2, type, left]);
    return { protocol: routing, octets };
  };
  for (const type of [0, 2, 3, 4, 77]) {
    const probe = host();
    const [error, ...more] = probe.input(request([routes(type, 1)]));
    const found = readPacket(error!).icmp;
    assert.ok(found?.kind === "parameter-problem", `type ${type}`);
    assert.equal(found.code, 0);
    assert.equal(found.pointer, 42);
    assert.equal(more.length, 0);
    assert.deepEqual(kinds(host().input(request([routes(type, 0)]))), ["echo-reply"]);
  }
  // Behind the header of an atomic fragment it is no better.
  const atomic = header(fragment, 0, 0, 0, 0, 0, 0, 1);
  const probe = host();
  assert.deepEqual(kinds(probe.input(request([atomic, routes(0, 1)]))), ["parameter-problem"]);
  assert.equal(probe.counted("ip6.routing-type-0"), 1);
});

test("an unknown next header is answered with its place; 'none' is not (RFC 8200 §4, §4.7)", () => {
  const [error] = host().input(
    packet6(PEER, HOST, { protocol: 200, extensions: [options(targetOptions)] }),
  );
  const found = readPacket(error!).icmp;
  assert.ok(found?.kind === "parameter-problem");
  assert.equal(found.code, 1);
  assert.equal(found.pointer, 40);
  const atomic = header(fragment, 0, 0, 0, 0, 0, 0, 1);
  const [second] = host().input(
    packet6(PEER, HOST, { protocol: 200, extensions: [options(targetOptions), atomic] }),
  );
  const behind = readPacket(second!).icmp;
  assert.ok(behind?.kind === "parameter-problem" && behind.pointer === 48);
  assert.deepEqual(host().input(packet6(PEER, HOST, { protocol: IP_PROTOCOL.none })), []);
});

test("nobody may be, nor be meant by, an address that is none on a wire (RFC 4291 §2.5, RFC 6890)", () => {
  for (const source of ["::1", "ff02::1", "::ffff:10.0.0.2"]) {
    const probe = host();
    probe.address("10.0.0.1/24");
    const payload = icmp("fd00::9", HOST, {
      kind: "echo-request",
      identifier: 1,
      sequence: 1,
      payload: new Uint8Array(8),
    });
    const packet = packet6(source, HOST, { protocol: IP_PROTOCOL.icmp6, payload });
    assert.deepEqual(probe.input(packet), [], source);
    assert.equal(probe.counted("ip6.martian"), 1, source);
  }
  for (const target of ["::", "::1", "::ffff:10.0.0.1"]) {
    const probe = host();
    probe.address("10.0.0.1/24");
    assert.deepEqual(probe.input(packet6(PEER, target)), [], target);
    assert.equal(probe.counted("ip6.martian"), 1, target);
  }
});

test("ICMP of the other family is none (RFC 4443 §2.1)", () => {
  const probe = host();
  probe.address("10.0.0.1/24");
  const message = { kind: "echo-request", identifier: 1, sequence: 1, payload: new Uint8Array(8) };
  const four = icmp("10.0.0.2", "10.0.0.1", message as never);
  const sent = probe.input(packet6(PEER, HOST, { protocol: IP_PROTOCOL.icmp, payload: four }));
  assert.equal(kinds(sent).includes("echo-reply"), false);
});
