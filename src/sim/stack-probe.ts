/**
 * A stack under examination: packets are put in by hand, what it answers is kept and can be read.
 * Its links carry bare IP packets, so that nobody has to be asked for, unless one is said to be an
 * Ethernet. The clock is moved by hand, too.
 */
import { type FramePool, type MacAddress, OFFLOAD } from "../base/index.ts";
import { type Interface, IpAddress, type Link, Stack, type StackOptions } from "../lwipv6/index.ts";
import {
  emitIcmp,
  emitIcmp6,
  emitIpv4Packet,
  emitIpv6Packet,
  emitUdp,
  type Icmp,
  type Icmp6,
  IP_PROTOCOL,
  type Ipv4,
  type Ipv6,
  Ipv4View,
  Ipv6View,
  IcmpView,
  Icmp6View,
  parseIcmp,
  parseIcmp6,
} from "../wire/index.ts";

/** One frame as it left. */
export interface SentFrame {
  readonly octets: Uint8Array;
  /** One of OFFLOAD. */
  readonly offload: number;
  readonly from: Interface;
}

export interface ProbeLinkOptions {
  /** "ip" */
  readonly kind?: "ip" | "ethernet";
  /** 1500 */
  readonly mtuOctets?: number;
  /** Unfinished frames are taken as they are (false). */
  readonly offload?: boolean;
}

/** The card of links that are Ethernets. */
export const PROBE_MAC: MacAddress = Uint8Array.of(2, 0, 0, 0, 0, 1);

/** See the head of this file; `eth0` is up and without addresses. */
export class StackProbe {
  readonly stack: Stack;
  readonly eth0: Interface;
  nowMs = 0;
  #sent: SentFrame[] = [];
  readonly #slots = new Int32Array(1);

  constructor(options: Partial<StackOptions> = {}, link: ProbeLinkOptions = {}) {
    const arena = { frames: 128, blocks: 64 };
    this.stack = new Stack({ secret: new Uint8Array(16).fill(7), arena, ...options });
    this.eth0 = this.addLink(link);
  }

  /** One more link: eth1, eth2 … */
  addLink(options: ProbeLinkOptions = {}): Interface {
    const { kind = "ip", mtuOctets = 1500, offload = false } = options;
    const keep = (frame: Omit<SentFrame, "from">): void => {
      this.#sent.push({ ...frame, from: made });
    };
    const link: Link = {
      kind,
      mtuOctets,
      offload,
      ...(kind === "ethernet" ? { mac: PROBE_MAC } : {}),
      send(pool: FramePool, slots: Int32Array, from: number, count: number): number {
        for (let i = from; i < from + count; i++) {
          const slot = slots[i]!;
          keep({ octets: pool.frame(slot).slice(), offload: pool.offload[slot]! });
        }
        return count;
      },
    };
    const made: Interface = this.stack.addInterface(link, "eth");
    this.stack.setUp(made);
    return made;
  }

  /** "10.0.0.1/24" */
  address(text: string, owner: Interface = this.eth0): void {
    const [address, bits] = text.split("/");
    this.stack.addAddress(owner, IpAddress.parse(address!), Number(bits));
  }

  /** Everything sent since the last time. */
  take(): SentFrame[] {
    const sent = this.#sent;
    this.#sent = [];
    return sent;
  }

  /** A frame comes in, and whatever is sent is given back. */
  input(frame: Uint8Array, owner: Interface = this.eth0): SentFrame[] {
    const { pool } = this.stack.core;
    const slot = pool.take();
    pool.octets.set(frame, pool.start[slot]);
    pool.length[slot] = frame.length;
    return this.inputSlot(slot, owner);
  }

  /** The same with a slot of the pool, which may hold an unfinished frame. */
  inputSlot(slot: number, owner: Interface = this.eth0): SentFrame[] {
    this.#slots[0] = slot;
    this.stack.input(owner, this.#slots, 1, this.nowMs);
    return this.take();
  }

  /** Time passes in steps of a second at most. @returns what was sent meanwhile. */
  pass(ms: number): SentFrame[] {
    const untilMs = this.nowMs + ms;
    while (this.nowMs < untilMs) {
      this.nowMs = Math.min(untilMs, this.nowMs + 1000);
      this.stack.poll(this.nowMs);
    }
    return this.take();
  }

  /** Sends a datagram from a socket of its own. @returns octets or a negative errno. */
  sendUdp(to: string, octets: number, port = 9): number {
    const remote = IpAddress.parse(to);
    const socket = this.stack.udp.socket(remote.isIpv4);
    if (typeof socket === "number") return socket;
    socket.options.broadcast = true;
    const result = socket.send(new Uint8Array(octets), 0, octets, remote, port);
    socket.close();
    return result;
  }

  counted(name: string): number {
    return this.stack.core.counters.get(name);
  }
}

/** Fields of a packet that are not as usual. */
export type Fields4 = Partial<Omit<Ipv4, "source" | "target">>;
export type Fields6 = Partial<Omit<Ipv6, "source" | "target">>;

/** An IPv4 packet from text addresses. */
export function packet4(source: string, target: string, fields: Fields4 = {}): Uint8Array {
  const packet: Ipv4 = {
    trafficClass: 0,
    identification: 1,
    mayNotFragment: false,
    hasMoreFragments: false,
    fragmentOffsetOctets: 0,
    timeToLive: 64,
    protocol: IP_PROTOCOL.udp,
    options: new Uint8Array(),
    payload: new Uint8Array(),
    ...fields,
    source: IpAddress.parse(source).toOctets(),
    target: IpAddress.parse(target).toOctets(),
  };
  const into = new Uint8Array(20 + packet.options.length + packet.payload.length);
  emitIpv4Packet(packet, into);
  return into;
}

/** An IPv6 packet from text addresses. */
export function packet6(source: string, target: string, fields: Fields6 = {}): Uint8Array {
  const packet: Ipv6 = {
    trafficClass: 0,
    flowLabel: 0,
    hopLimit: 64,
    extensions: [],
    protocol: IP_PROTOCOL.udp,
    payload: new Uint8Array(),
    ...fields,
    source: octets6(source),
    target: octets6(target),
  };
  const headers = packet.extensions.reduce((sum, one) => sum + one.octets.length, 40);
  const into = new Uint8Array(headers + packet.payload.length);
  emitIpv6Packet(packet, into);
  return into;
}

/** All 16 octets, of IPv4 addresses in their mapped form. */
function octets6(text: string): Uint8Array {
  const octets = new Uint8Array(16);
  IpAddress.parse(text).writeWhole(octets, 0);
  return octets;
}

/** An ICMP message of either family, with its checksum. */
export function icmp(source: string, target: string, message: Icmp | Icmp6): Uint8Array {
  const into = new Uint8Array(70_000);
  if (IpAddress.parse(source).isIpv4) return into.slice(0, emitIcmp(message as Icmp, into));
  const addresses = { source: octets6(source), target: octets6(target) };
  return into.slice(0, emitIcmp6(message as Icmp6, into, addresses));
}

/** A whole ICMP packet. */
export function icmpPacket(
  source: string,
  target: string,
  message: Icmp | Icmp6,
  fields: Fields4 & Fields6 = {},
): Uint8Array {
  const payload = icmp(source, target, message);
  return IpAddress.parse(source).isIpv4
    ? packet4(source, target, { protocol: IP_PROTOCOL.icmp, payload, ...fields })
    : packet6(source, target, { protocol: IP_PROTOCOL.icmp6, payload, ...fields });
}

/** An echo request of either family. */
export function echoRequest(
  source: string,
  target: string,
  octets = 8,
  fields: Fields4 & Fields6 = {},
): Uint8Array {
  const payload = new Uint8Array(octets).map((_, i) => i);
  const message = { kind: "echo-request", identifier: 1, sequence: 2, payload } as const;
  return icmpPacket(source, target, message, fields);
}

/** A UDP packet of either family, to port 9 unless said otherwise. */
export function udpPacket(
  source: string,
  target: string,
  octets: Uint8Array | number = 8,
  fields: Fields4 & Fields6 & { readonly sourcePort?: number; readonly targetPort?: number } = {},
): Uint8Array {
  const { sourcePort = 5000, targetPort = 9, ...rest } = fields;
  const isIpv4 = IpAddress.parse(source).isIpv4;
  const payload = typeof octets === "number" ? new Uint8Array(octets) : octets;
  const into = new Uint8Array(8 + payload.length);
  const addresses = isIpv4
    ? { source: IpAddress.parse(source).toOctets(), target: IpAddress.parse(target).toOctets() }
    : { source: octets6(source), target: octets6(target) };
  emitUdp({ sourcePort, targetPort, payload }, into, addresses);
  return isIpv4
    ? packet4(source, target, { payload: into, ...rest })
    : packet6(source, target, { payload: into, ...rest });
}

/** What a sent packet says: addresses as text and, if it is one, the ICMP message. */
export interface ReadPacket {
  readonly source: string;
  readonly target: string;
  readonly protocol: number;
  readonly hopLimit: number;
  readonly trafficClass: number;
  readonly payload: Uint8Array;
  /** undefined: none, or its checksum is wrong. */
  readonly icmp: Icmp | Icmp6 | undefined;
}

/** Reads a bare IP packet; throws for one whose lengths or checksums are wrong. */
export function readPacket(frame: SentFrame | Uint8Array): ReadPacket {
  const octets = frame instanceof Uint8Array ? frame : frame.octets;
  if (!(frame instanceof Uint8Array) && frame.offload !== OFFLOAD.none) {
    throw new Error("the frame is unfinished");
  }
  const text = (address: Uint8Array): string =>
    IpAddress.read(address, 0, address.length).toString();
  if (octets[0]! >>> 4 === 4) {
    const view = Ipv4View.over(octets);
    if (view === undefined || view.problem !== undefined) throw new Error(`${view?.problem}`);
    const { protocol, payload, timeToLive: hopLimit, trafficClass } = view;
    const message = protocol === IP_PROTOCOL.icmp ? IcmpView.over(payload) : undefined;
    const ends = { source: text(view.source), target: text(view.target) };
    const parsed = message === undefined ? undefined : parseIcmp(message);
    return { ...ends, protocol, hopLimit, trafficClass, payload, icmp: parsed };
  }
  const view = Ipv6View.over(octets);
  if (view === undefined || view.problem !== undefined) throw new Error(`${view?.problem}`);
  const { walk, hopLimit, trafficClass, end } = view;
  const payload = octets.subarray(walk.at, end);
  const message = walk.protocol === IP_PROTOCOL.icmp6 ? Icmp6View.over(payload) : undefined;
  const parsed = message === undefined ? undefined : parseIcmp6(message, view);
  return {
    source: text(view.source),
    target: text(view.target),
    protocol: walk.protocol,
    hopLimit,
    trafficClass,
    payload,
    icmp: parsed,
  };
}
