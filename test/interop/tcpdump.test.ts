/** tcpdump reads what the pcapng writer makes, and says of each frame what our printer says. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { type TestContext, test } from "node:test";
import {
  type AddressPair,
  emitArp,
  emitEthernet,
  emitIcmp,
  emitIcmp6,
  emitIpv4Packet,
  emitIpv6Packet,
  emitTcp,
  emitUdp,
  ETHER_TYPE,
  type Icmp6,
  insertVlanTag,
  IP_PROTOCOL,
  multicastMac,
  ND_HOP_LIMIT,
  parseAddress,
  parseMac,
  PcapngWriter,
  printFrame,
  solicitedNodeGroup,
  TCP_FLAG,
} from "../../src/wire/index.ts";
import { realFrames } from "../real-frames.ts";

const START_NS = 1_700_000_000_123_456_789n;
const here = parseMac("02:00:00:00:00:01")!;
const there = parseMac("02:00:00:00:00:02")!;
const pair4 = { source: parseAddress("10.77.0.1")!, target: parseAddress("10.77.0.2")! };
const pair6 = { source: parseAddress("fd00:77::1")!, target: parseAddress("fd00:77::2")! };

/**
 * Lines of `tcpdump -n -t -S` for a pcapng of these frames; undefined: skipped, it is not
 * installed.
 */
function tcpdump(
  t: TestContext,
  frames: readonly Uint8Array[],
  ...options: string[]
): string[] | undefined {
  const blocks: Uint8Array[] = [];
  const writer = new PcapngWriter((block) => blocks.push(block.slice()), { application: "test" });
  const ids = ["lan/1", "lan/2"].map((name) =>
    writer.addInterface({ name, description: "a port" }),
  );
  for (const [index, octets] of frames.entries()) {
    writer.writeFrame({
      interfaceId: ids[index % 2]!,
      timeNs: START_NS + BigInt(index),
      octets,
      direction: index % 2 === 0 ? "inbound" : "outbound",
      ...(index % 3 === 0 ? { comment: `frame ${index}` } : {}),
    });
  }
  for (const interfaceId of ids) {
    writer.writeStatistics({ interfaceId, timeNs: START_NS, received: 9n, dropped: 1n });
  }
  const run = spawnSync("tcpdump", ["-n", "-S", ...options, "-r", "-"], {
    input: Buffer.concat(blocks),
    encoding: "utf8",
  });
  if (run.error !== undefined && "code" in run.error && run.error.code === "ENOENT") {
    t.skip("needs tcpdump: apt install tcpdump");
    return undefined;
  }
  assert.equal(run.status, 0, run.stderr);
  return run.stdout.trimEnd().split("\n");
}

function ethernet(etherType: number, payload: Uint8Array, target = there): Uint8Array {
  const into = new Uint8Array(2000);
  return into.slice(0, emitEthernet({ target, source: here, etherType, payload }, into));
}

/** A frame of ours over IPv4. */
function over4(
  protocol: number,
  emit: (into: Uint8Array, pair: AddressPair) => number,
): Uint8Array {
  const payload = new Uint8Array(1500);
  const into = new Uint8Array(1500);
  const lengthOctets = emitIpv4Packet(
    {
      ...pair4,
      trafficClass: 0,
      identification: 1,
      mayNotFragment: true,
      hasMoreFragments: false,
      fragmentOffsetOctets: 0,
      timeToLive: 64,
      protocol,
      options: new Uint8Array(0),
      payload: payload.subarray(0, emit(payload, pair4)),
    },
    into,
  );
  return ethernet(ETHER_TYPE.ipv4, into.subarray(0, lengthOctets));
}

/** A frame of ours over IPv6. */
function over6(
  protocol: number,
  emit: (into: Uint8Array, pair: AddressPair) => number,
  pair: AddressPair = pair6,
): Uint8Array {
  const payload = new Uint8Array(1500);
  const into = new Uint8Array(1500);
  const lengthOctets = emitIpv6Packet(
    {
      ...pair,
      trafficClass: 0,
      flowLabel: 0,
      hopLimit: ND_HOP_LIMIT,
      extensions: [],
      protocol,
      payload: payload.subarray(0, emit(payload, pair)),
    },
    into,
  );
  const isGroup = pair.target[0] === 0xff;
  return ethernet(
    ETHER_TYPE.ipv6,
    into.subarray(0, lengthOctets),
    isGroup ? multicastMac(pair.target) : there,
  );
}

function ownFrames(): Uint8Array[] {
  const text = new TextEncoder().encode("hello");
  const echo = { identifier: 7, sequence: 1, payload: new Uint8Array(57).fill(0x61) } as const;
  const tcp = {
    sourcePort: 40_000,
    targetPort: 7777,
    sequence: 4_294_967_290,
    acknowledgment: 5,
    flags: TCP_FLAG.psh | TCP_FLAG.ack,
    window: 1000,
    urgentPointer: 0,
    options: [
      { kind: "nop" },
      { kind: "nop" },
      { kind: "sack", blocks: [{ left: 100, right: 4_000_000_000 }] },
      { kind: "maximum-segment", octets: 1460 },
      { kind: "sack-permitted" },
      { kind: "nop" },
      { kind: "nop" },
    ],
    payload: text,
  } as const;
  const udp = { sourcePort: 40_001, targetPort: 7778, payload: text };
  const target = pair6.target;
  const group = { source: pair6.source, target: solicitedNodeGroup(target) };
  const router: Icmp6 = {
    kind: "router-advertisement",
    hopLimit: 64,
    isManaged: true,
    hasOtherConfiguration: false,
    lifetimeSeconds: 1800,
    reachableMs: 0,
    retransmitMs: 0,
    options: [
      { kind: "source-mac", mac: here },
      { kind: "mtu", octets: 1400 },
      {
        kind: "prefix",
        prefix: parseAddress("fd00:77::")!,
        lengthBits: 64,
        isOnLink: true,
        isAutonomous: true,
        validSeconds: 86_400,
        preferredSeconds: 14_400,
      },
      { kind: "dns-servers", lifetimeSeconds: 600, servers: [pair6.source, pair6.target] },
    ],
  };
  const arp = new Uint8Array(46);
  const unknown = new Uint8Array(6);
  emitArp(
    {
      operation: "request",
      senderMac: here,
      senderIp: pair4.source,
      targetMac: unknown,
      targetIp: pair4.target,
    },
    arp,
  );
  const quoted = over4(IP_PROTOCOL.udp, (into, pair) => emitUdp(udp, into, pair)).subarray(14);
  return [
    ethernet(ETHER_TYPE.arp, arp, parseMac("ff:ff:ff:ff:ff:ff")),
    over4(IP_PROTOCOL.tcp, (into, pair) => emitTcp(tcp, into, pair)),
    over6(IP_PROTOCOL.tcp, (into, pair) => emitTcp(tcp, into, pair)),
    over4(IP_PROTOCOL.udp, (into, pair) => emitUdp(udp, into, pair)),
    over6(IP_PROTOCOL.udp, (into, pair) => emitUdp(udp, into, pair)),
    over4(IP_PROTOCOL.icmp, (into) => emitIcmp({ kind: "echo-request", ...echo }, into)),
    over4(IP_PROTOCOL.icmp, (into) =>
      emitIcmp({ kind: "unreachable", code: 4, nextMtuOctets: 1400, about: quoted }, into),
    ),
    over4(IP_PROTOCOL.icmp, (into) =>
      emitIcmp({ kind: "time-exceeded", code: 0, about: quoted }, into),
    ),
    over4(IP_PROTOCOL.icmp, (into) =>
      emitIcmp({ kind: "redirect", code: 1, gateway: pair4.source, about: quoted }, into),
    ),
    over6(IP_PROTOCOL.icmp6, (into, pair) =>
      emitIcmp6({ kind: "echo-reply", ...echo }, into, pair),
    ),
    over6(
      IP_PROTOCOL.icmp6,
      (into, pair) =>
        emitIcmp6(
          { kind: "neighbor-solicitation", target, options: [{ kind: "source-mac", mac: here }] },
          into,
          pair,
        ),
      group,
    ),
    over6(IP_PROTOCOL.icmp6, (into, pair) => emitIcmp6(router, into, pair)),
    over6(IP_PROTOCOL.icmp6, (into, pair) =>
      emitIcmp6({ kind: "packet-too-big", mtuOctets: 1280, about: quoted }, into, pair),
    ),
  ];
}

/**
 * tcpdump adds what it makes of a payload by its port ("HTTP"), and shows the padding of options.
 */
function withoutExtras(line: string): string {
  return line
    .trimEnd()
    .replace(/: HTTP$/, "")
    .replaceAll(",eol", "");
}

test("tcpdump reads a pcapng of real frames and agrees on every line", (t) => {
  const frames = realFrames();
  const lines = tcpdump(t, frames, "-t");
  if (lines === undefined) return;
  assert.deepEqual(
    lines.map(withoutExtras),
    frames.map((frame) => printFrame(frame)),
  );
});

test("tcpdump sees the times to the nanosecond", (t) => {
  const frames = realFrames().slice(0, 3);
  const lines = tcpdump(t, frames, "-tt", "--time-stamp-precision=nano");
  if (lines === undefined) return;
  assert.deepEqual(
    lines.map((line) => line.split(" ")[0]),
    ["1700000000.123456789", "1700000000.123456790", "1700000000.123456791"],
  );
});

test("tcpdump agrees on every line about frames of our own making", (t) => {
  const frames = ownFrames();
  const lines = tcpdump(t, frames, "-t");
  if (lines === undefined) return;
  assert.deepEqual(
    lines.map(withoutExtras),
    frames.map((frame) => printFrame(frame)),
  );
});

test("tcpdump finds every checksum of our frames right and nothing cut or malformed", (t) => {
  const frames = ownFrames();
  const text = tcpdump(t, frames, "-t", "-vvv")?.join("\n");
  if (text === undefined) return;
  assert.doesNotMatch(text, /incorrect|bad |wrong|invalid|truncated|\[\|/);
  assert.equal(text.match(/cksum 0x[0-9a-f]+ \(correct\)/g)?.length, 2, "both TCP segments");
  // The quoted datagram inside three ICMP errors is whole, so tcpdump sums it as well.
  assert.ok((text.match(/udp sum ok/g)?.length ?? 0) >= 2, "both UDP datagrams");
  assert.equal(text.match(/icmp6 sum ok/g)?.length, 4, "every ICMPv6 message");
  assert.match(text, /prefix info option .*fd00:77::\/64, Flags \[onlink, auto\]/);
  assert.match(text, /mtu option .*1400/);
  assert.match(text, /rdnss option .*addr: fd00:77::1 addr: fd00:77::2/);
});

test("tcpdump reads the tags we insert", (t) => {
  const frame = over4(IP_PROTOCOL.udp, (into, pair) =>
    emitUdp({ sourcePort: 1, targetPort: 7778, payload: new Uint8Array(4) }, into, pair),
  );
  const memory = new Uint8Array(frame.length + 8);
  memory.set(frame, 8);
  const inner = insertVlanTag(memory, 8, 0x2005);
  const outer = insertVlanTag(memory, inner, 100, ETHER_TYPE.serviceVlan);
  const tagged = [memory.slice(inner), memory.slice(outer)];
  const lines = tcpdump(t, tagged, "-t", "-e");
  if (lines === undefined) return;
  const plain = "10.77.0.1.1 > 10.77.0.2.7778: UDP, length 4";
  assert.match(lines[0]!, /ethertype 802\.1Q \(0x8100\), length 50: vlan 5, p 1, ethertype IPv4/);
  assert.match(
    lines[1]!,
    /ethertype 802\.1Q-QinQ \(0x88a8\), length 54: vlan 100, p 0, .*vlan 5, p 1/,
  );
  for (const [index, line] of lines.entries()) {
    assert.ok(line.endsWith(plain), line);
    assert.ok(printFrame(tagged[index]!).endsWith(`p 1, IP ${plain}`));
  }
});
