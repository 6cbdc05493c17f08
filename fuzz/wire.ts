/**
 * Every parser of src/wire as a target. Besides "does not throw" each keeps the promise that what
 * it accepts comes back unchanged from emit and parse. Checksums are repaired before parsing (a
 * changed packet would never get past them), and left as they are for the printer.
 */
import assert from "node:assert/strict";
import { writeU16 } from "../src/base/index.ts";
import {
  type AddressPair,
  ARP_OCTETS,
  ArpView,
  checksumOf,
  emitArp,
  emitEthernet,
  emitIcmp,
  emitIcmp6,
  emitIpv4Packet,
  emitIpv6Packet,
  emitNdOptions,
  emitTcp,
  emitTcpOptions,
  emitUdp,
  EthernetView,
  FrameClass,
  Icmp6View,
  IcmpView,
  ICMP6_AT,
  ICMP_AT,
  IP_PROTOCOL,
  IPV4_AT,
  Ipv4View,
  Ipv6View,
  parseArp,
  parseEthernet,
  parseIcmp,
  parseIcmp6,
  parseIpv4Packet,
  parseIpv6Packet,
  parseMac,
  parseNdOptions,
  parsePrefix,
  parseTcp,
  parseTcpOptions,
  parseUdp,
  PcapngWriter,
  printFrame,
  printMac,
  printPrefix,
  pseudoHeaderSum,
  readCapture,
  sumOctets,
  tagControlAt,
  TcpView,
  TCP_AT,
  UDP_AT,
  UdpView,
} from "../src/wire/index.ts";
import { realCapture, realFrames } from "../test/real-frames.ts";
import type { FuzzTarget } from "./target.ts";

const PAIR: AddressPair = {
  source: Uint8Array.of(10, 0, 0, 1),
  target: Uint8Array.of(10, 0, 0, 2),
};
const PAIR6: AddressPair = {
  source: new Uint8Array(16).fill(1),
  target: new Uint8Array(16).fill(2),
};
const ROOM_OCTETS = 70_000;

/** A parser refuses exactly when the view names a problem. */
function agrees<T>(parsed: T | undefined, problem: string | undefined): T | undefined {
  assert.equal(parsed === undefined, problem !== undefined, `problem: ${problem}`);
  return parsed;
}

/** What `parse` accepted must survive emit and parse. */
function survives<T>(
  parsed: T | undefined,
  emit: (value: T, into: Uint8Array) => number,
  again: (octets: Uint8Array) => T | undefined,
): void {
  if (parsed === undefined) return;
  const into = new Uint8Array(ROOM_OCTETS);
  const lengthOctets = emit(parsed, into);
  assert.deepEqual(again(into.subarray(0, lengthOctets)), parsed);
}

/** Puts a right checksum at `at` over `octets[0 … end)`. */
function repair(octets: Uint8Array, at: number, end: number, initial = 0): void {
  if (octets.length < at + 2) return;
  writeU16(octets, at, 0);
  writeU16(octets, at, checksumOf(sumOctets(octets, 0, Math.min(end, octets.length), initial)));
}

/** The piece of every real frame that starts at the transport header, of one protocol. */
function transports(protocol: number): Uint8Array[] {
  const frameClass = new FrameClass();
  const found: Uint8Array[] = [];
  for (const frame of realFrames()) {
    frameClass.classify(frame, 0, frame.length);
    if (frameClass.protocol !== protocol || frameClass.transportAt < 0) continue;
    found.push(frame.slice(frameClass.transportAt, frameClass.end));
  }
  return found;
}

function payloads(etherType: number): Uint8Array[] {
  const views = realFrames().map((frame) => EthernetView.over(frame)!);
  return views.filter((view) => view.etherType === etherType).map((view) => view.payload);
}

function texts(...lines: readonly string[]): Uint8Array[] {
  return lines.map((line) => new TextEncoder().encode(line));
}

/** A pcapng file of a few real frames, to start from. */
function pcapngFile(): Uint8Array {
  const octets: number[] = [];
  const writer = new PcapngWriter((block) => octets.push(...block), { application: "fuzz" });
  const interfaceId = writer.addInterface({ name: "lan/1", description: "port" });
  for (const frame of realFrames().slice(0, 6)) {
    const direction = "inbound";
    writer.writeFrame({ interfaceId, timeNs: 7n, octets: frame, direction, comment: "why" });
  }
  writer.writeStatistics({ interfaceId, timeNs: 9n, received: 6n, dropped: 0n });
  return Uint8Array.from(octets);
}

export const WIRE_TARGETS: readonly FuzzTarget[] = [
  {
    name: "ethernet",
    seeds: realFrames,
    run(octets) {
      const parse = (input: Uint8Array) => {
        const view = EthernetView.over(input);
        return view === undefined ? undefined : parseEthernet(view);
      };
      survives(parse(octets), emitEthernet, parse);
    },
  },
  {
    name: "print",
    seeds: realFrames,
    run(octets) {
      assert.match(printFrame(octets, { showsLink: true }), /^[ -~]+$/);
    },
  },
  {
    name: "classify",
    seeds: realFrames,
    run(octets) {
      const frameClass = new FrameClass();
      frameClass.classify(octets, 0, octets.length);
      const { networkAt, transportAt, end } = frameClass;
      assert.ok(networkAt <= octets.length && transportAt <= end && end <= octets.length);
      assert.ok(tagControlAt(octets, 0, octets.length) <= 0xffff);
    },
  },
  {
    name: "arp",
    seeds: () => payloads(0x0806),
    run(octets) {
      const parse = (input: Uint8Array) => {
        const view = ArpView.over(input);
        return view === undefined ? undefined : agrees(parseArp(view), view.problem);
      };
      survives(parse(octets), emitArp, (again) => parse(again.subarray(0, ARP_OCTETS)));
    },
  },
  {
    name: "ipv4",
    seeds: () => payloads(0x0800),
    run(octets) {
      const parse = (input: Uint8Array) => {
        const view = Ipv4View.over(input);
        return view === undefined ? undefined : agrees(parseIpv4Packet(view), view.problem);
      };
      parse(octets);
      repair(octets, IPV4_AT.checksum, ((octets[0] ?? 0) & 0xf) * 4);
      survives(parse(octets), emitIpv4Packet, parse);
    },
  },
  {
    name: "ipv6",
    seeds: () => payloads(0x86dd),
    run(octets) {
      const parse = (input: Uint8Array) => {
        const view = Ipv6View.over(input);
        return view === undefined ? undefined : agrees(parseIpv6Packet(view), view.problem);
      };
      survives(parse(octets), emitIpv6Packet, parse);
    },
  },
  {
    name: "udp",
    seeds: () => transports(IP_PROTOCOL.udp),
    run(octets) {
      const parse = (input: Uint8Array) => {
        const view = UdpView.over(input);
        return view === undefined ? undefined : agrees(parseUdp(view, PAIR), view.problem(PAIR));
      };
      parse(octets);
      const length = UdpView.over(octets)?.lengthOctets ?? 0;
      repair(octets, UDP_AT.checksum, length, pseudoHeaderSum(PAIR, IP_PROTOCOL.udp, length));
      survives(parse(octets), (udp, into) => emitUdp(udp, into, PAIR), parse);
    },
  },
  {
    name: "tcp",
    seeds: () => transports(IP_PROTOCOL.tcp),
    run(octets) {
      const parse = (input: Uint8Array) => {
        const view = TcpView.over(input);
        return view === undefined ? undefined : agrees(parseTcp(view, PAIR), view.problem(PAIR));
      };
      parse(octets);
      const { length } = octets;
      repair(octets, TCP_AT.checksum, length, pseudoHeaderSum(PAIR, IP_PROTOCOL.tcp, length));
      survives(parse(octets), (tcp, into) => emitTcp(tcp, into, PAIR), parse);
    },
  },
  {
    name: "tcp-options",
    seeds: () =>
      transports(IP_PROTOCOL.tcp)
        .map((octets) => octets.slice(20, 52))
        .filter(isFilled),
    run(octets) {
      const whole = octets.subarray(0, 40);
      survives(parseTcpOptions(whole), emitTcpOptions, parseTcpOptions);
    },
  },
  {
    name: "icmp",
    seeds: () => transports(IP_PROTOCOL.icmp),
    run(octets) {
      const parse = (input: Uint8Array) => {
        const view = IcmpView.over(input);
        return view === undefined ? undefined : agrees(parseIcmp(view), view.problem);
      };
      parse(octets);
      repair(octets, ICMP_AT.checksum, octets.length);
      survives(parse(octets), emitIcmp, parse);
    },
  },
  {
    name: "icmp6",
    seeds: () => transports(IP_PROTOCOL.icmp6),
    run(octets) {
      const parse = (input: Uint8Array) => {
        const view = Icmp6View.over(input);
        return view === undefined
          ? undefined
          : agrees(parseIcmp6(view, PAIR6), view.problem(PAIR6));
      };
      parse(octets);
      const { length } = octets;
      repair(octets, ICMP6_AT.checksum, length, pseudoHeaderSum(PAIR6, IP_PROTOCOL.icmp6, length));
      survives(parse(octets), (icmp6, into) => emitIcmp6(icmp6, into, PAIR6), parse);
    },
  },
  {
    name: "nd-options",
    seeds: () =>
      transports(IP_PROTOCOL.icmp6)
        .map((octets) => octets.slice(24))
        .filter(isFilled),
    run(octets) {
      survives(parseNdOptions(octets), emitNdOptions, parseNdOptions);
    },
  },
  {
    name: "capture",
    seeds: () => [realCapture().slice(0, 2000), pcapngFile()],
    run(octets) {
      let heldOctets = 0;
      for (const record of readCapture(octets)) {
        if (record.kind === "frame") heldOctets += record.octets.length;
      }
      assert.ok(heldOctets <= octets.length);
    },
  },
  {
    name: "address",
    seeds: () => texts("10.77.0.2/24", "fd00:77::1/64", "::ffff:1.2.3.4", "02:00:00:00:00:01"),
    run(octets) {
      const text = new TextDecoder().decode(octets);
      const prefix = parsePrefix(text);
      if (prefix !== undefined) assert.deepEqual(parsePrefix(printPrefix(prefix)), prefix);
      const mac = parseMac(text);
      if (mac !== undefined) assert.deepEqual(parseMac(printMac(mac)), mac);
    },
  },
];

function isFilled(octets: Uint8Array): boolean {
  return octets.length > 0;
}
