/**
 * Passive opens: listeners, segments for no connection, SYN cookies. RFC 9293 §3.10.7.1 and
 * §3.10.7.2, RFC 4987.
 */
import { ERRNO } from "../../base/index.ts";
import { TCP_FLAG } from "../../wire/index.ts";
import type { StackCore } from "../core.ts";
import type { Destination, IpSender } from "../destination.ts";
import type { Packet } from "../packet.ts";
import {
  type ConnectionOwner,
  type Ends,
  STATE,
  TcpConnection,
  type TcpOptions,
} from "./connection.ts";
import type { TcpDeadlines } from "./deadlines.ts";
import type { TcpInput } from "./input.ts";
import { type ListenerEnds, type ListenerOwner, TcpListener } from "./listener.ts";
import type { TcpOutput } from "./output.ts";
import type { TcpSecrets } from "./secrets.ts";
import type { TcpSegment } from "./segment.ts";
import type { ConnectionTable } from "./table.ts";

const { syn, rst, ack: ackFlag } = TCP_FLAG;
/** ECE and CWR together in a SYN (RFC 3168 §6.1.1). */
const ECN_SETUP = TCP_FLAG.ece | TCP_FLAG.cwr;

/** What passive opens need of the machine. */
export interface PassiveOwner extends ConnectionOwner {
  /** Gives a new connection its numbers and its place in the table. */
  begin(connection: TcpConnection, state: number): void;
  /** It is to be served at the end of the step. */
  touch(connection: TcpConnection): void;
}

/** All listeners of a stack. */
export class TcpPassive implements ListenerOwner {
  /** Handshakes under way that listeners wait for. */
  handshakes = 0;
  readonly #core: StackCore;
  readonly #ip: IpSender;
  readonly #output: TcpOutput;
  readonly #input: TcpInput;
  readonly #deadlines: TcpDeadlines;
  readonly #secrets: TcpSecrets;
  readonly #table: ConnectionTable;
  readonly #owner: PassiveOwner;
  readonly #listeners = new Map<number, TcpListener[]>();

  constructor(
    core: StackCore,
    owner: PassiveOwner,
    parts: {
      readonly ip: IpSender;
      readonly output: TcpOutput;
      readonly input: TcpInput;
      readonly deadlines: TcpDeadlines;
      readonly secrets: TcpSecrets;
      readonly table: ConnectionTable;
    },
  ) {
    this.#core = core;
    this.#owner = owner;
    this.#ip = parts.ip;
    this.#output = parts.output;
    this.#input = parts.input;
    this.#deadlines = parts.deadlines;
    this.#secrets = parts.secrets;
    this.#table = parts.table;
  }

  get all(): readonly TcpListener[] {
    return [...this.#listeners.values()].flat();
  }

  /** Somebody listens at a port. */
  has(port: number): boolean {
    return this.#listeners.has(port);
  }

  /**
   * Waits for connections (OPEN passive).
   * @returns -EADDRINUSE when somebody else listens there.
   */
  listen(ends: ListenerEnds, options: TcpOptions, backlog: number): TcpListener | number {
    const others = this.#listeners.get(ends.localPort) ?? [];
    for (const other of others) {
      if (isApart(other, ends) || (other.isShared && ends.isShared)) continue;
      return -ERRNO.EADDRINUSE;
    }
    const listener = new TcpListener(this, ends, options, backlog);
    this.#listeners.set(ends.localPort, [...others, listener]);
    return listener;
  }

  closeListener(listener: TcpListener): void {
    const others = this.#listeners.get(listener.localPort)?.filter((one) => one !== listener) ?? [];
    if (others.length === 0) this.#listeners.delete(listener.localPort);
    else this.#listeners.set(listener.localPort, others);
    for (const connection of listener.drain()) {
      connection.listener = undefined;
      this.#owner.reset(connection, 0);
    }
    for (const connection of this.#table.all()) {
      if (connection.listener === listener) this.#owner.reset(connection, 0);
    }
    this.#core.settle();
  }

  /** A segment for no connection: RFC 9293 §3.10.7.1 CLOSED and §3.10.7.2 LISTEN. */
  unknown(packet: Packet, segment: TcpSegment): void {
    const { flags } = segment;
    if ((flags & rst) !== 0) return;
    const listener = this.#listenerFor(packet, segment);
    if (listener === undefined) {
      this.#refuse(packet, segment);
      return;
    }
    if ((flags & ackFlag) !== 0) {
      if (!this.#fromCookie(packet, segment, listener)) this.#refuse(packet, segment);
      return;
    }
    if ((flags & syn) === 0) return;
    this.#open(packet, segment, listener);
  }

  #listenerFor(packet: Packet, segment: TcpSegment): TcpListener | undefined {
    const listeners = this.#listeners.get(segment.targetPort);
    if (listeners === undefined) return undefined;
    let best: TcpListener | undefined;
    let bestScore = -1;
    for (const listener of listeners) {
      const score = scoreOf(listener, packet);
      // Of several that fit as well, each gets its share by the peer's port.
      const isChosen = score > bestScore || (score === bestScore && (segment.sourcePort & 1) === 1);
      if (score < 0 || !isChosen) continue;
      best = listener;
      bestScore = score;
    }
    return best;
  }

  #open(packet: Packet, segment: TcpSegment, listener: TcpListener): void {
    const { counters, limits } = this.#core;
    if (listener.isFull) {
      counters.count("tcp.backlog");
      return;
    }
    const ends = endsOf(packet, segment);
    const way = this.#ip.wayTo(ends.remote, ends.local, ends.interfaceIndex);
    if (typeof way === "number") return;
    const isCrowded =
      this.handshakes >= limits.handshakes || listener.handshakes > Math.max(8, listener.backlog);
    if (isCrowded || this.#table.count >= limits.sockets) {
      this.#sendCookie(ends, segment, way);
      return;
    }
    const connection = new TcpConnection(this.#owner, ends, way, { ...listener.options });
    connection.listener = listener;
    listener.handshakes++;
    this.handshakes++;
    this.#owner.begin(connection, STATE.synReceived);
    this.#input.takeSyn(connection, segment);
    connection.hasEcn = (segment.flags & ECN_SETUP) === ECN_SETUP;
    this.#output.synchronize(connection);
    this.#deadlines.armSyn(connection);
  }

  /** RFC 4987 §3.6: nothing is kept; the answer itself remembers. */
  #sendCookie(ends: Ends, segment: TcpSegment, way: Destination): void {
    this.#core.counters.count("tcp.cookie-sent");
    const peer = segment.maximumSegment || (way.isIpv4 ? 536 : 1220);
    const sequence = this.#secrets.makeCookie(ends, segment.sequence, peer);
    const own = Math.min(way.interface.mtuOctets - (way.isIpv4 ? 40 : 60), 0xffff);
    this.#output.bare(
      way,
      { from: ends.localPort, to: ends.remotePort },
      {
        sequence,
        acknowledgment: (segment.sequence + 1) | 0,
        flags: syn | ackFlag,
        window: 0xffff,
        options: Uint8Array.of(2, 4, own >>> 8, own),
      },
    );
  }

  #fromCookie(packet: Packet, segment: TcpSegment, listener: TcpListener): boolean {
    if ((segment.flags & syn) !== 0 || listener.isFull) return false;
    const ends = endsOf(packet, segment);
    const irs = (segment.sequence - 1) | 0;
    const iss = (segment.acknowledgment - 1) | 0;
    const cookie = this.#secrets.readCookie(ends, irs, iss);
    if (cookie === undefined) return false;
    const way = this.#ip.wayTo(ends.remote, ends.local, ends.interfaceIndex);
    if (typeof way === "number" || this.#table.count >= this.#core.limits.sockets) return false;
    this.#core.counters.count("tcp.cookie-accepted");
    const connection = new TcpConnection(this.#owner, ends, way, { ...listener.options });
    connection.listener = listener;
    listener.handshakes++;
    this.handshakes++;
    this.#owner.begin(connection, STATE.synReceived);
    connection.iss = iss;
    connection.una = iss;
    connection.next = (iss + 1) | 0;
    const { sequence, maximumSegment, window } = segment;
    segment.sequence = irs;
    segment.maximumSegment = cookie.peerSegment;
    segment.hasTimestamps = false;
    segment.isSackPermitted = false;
    segment.windowScale = -1;
    this.#input.takeSyn(connection, segment);
    connection.announced =
      (connection.receiveNext + Math.min(0xffff, connection.receiveOctets)) | 0;
    segment.sequence = sequence;
    segment.maximumSegment = maximumSegment;
    segment.window = window;
    this.#input.arrive(connection, segment);
    this.#owner.touch(connection);
    return true;
  }

  /** A segment for nobody: RFC 9293 §3.5.3. */
  #refuse(packet: Packet, segment: TcpSegment): void {
    this.#core.counters.count("tcp.refused");
    const ends = endsOf(packet, segment);
    const way = this.#ip.wayTo(ends.remote, ends.local, ends.interfaceIndex);
    if (typeof way === "number") return;
    const ports = { from: ends.localPort, to: ends.remotePort };
    if ((segment.flags & ackFlag) !== 0) {
      const sequence = segment.acknowledgment;
      this.#output.bare(way, ports, { sequence, acknowledgment: 0, flags: rst, window: 0 });
      return;
    }
    const acknowledgment = (segment.sequence + segment.sequenceLength) | 0;
    const flags = rst | ackFlag;
    this.#output.bare(way, ports, { sequence: 0, acknowledgment, flags, window: 0 });
  }
}

function endsOf(packet: Packet, segment: TcpSegment): Ends {
  const remote = packet.source();
  const isScoped = remote.isLinkLocal && packet.interface.link.kind !== "loopback";
  return {
    local: packet.target(),
    localPort: segment.targetPort,
    remote,
    remotePort: segment.sourcePort,
    interfaceIndex: isScoped ? packet.interface.index : 0,
  };
}

/**
 * How well a listener fits a packet: the address itself, any of the family, any; -1: not at all.
 */
function scoreOf(listener: TcpListener, packet: Packet): number {
  const { local, interfaceIndex, isIpv6Only } = listener;
  if (interfaceIndex !== 0 && interfaceIndex !== packet.interface.index) return -1;
  const bound = interfaceIndex === 0 ? 0 : 1;
  if (!local.isUnspecified) {
    const isSame =
      local.w3 === packet.t3 &&
      local.w2 === packet.t2 &&
      local.w1 === packet.t1 &&
      local.w0 === packet.t0;
    return isSame ? 4 + bound : -1;
  }
  if (local.isIpv4) return packet.isIpv4 ? 2 + bound : -1;
  if (packet.isIpv4) return isIpv6Only ? -1 : bound;
  return 2 + bound;
}

/** Two listeners at one port never get the same connections. */
function isApart(a: ListenerEnds, b: ListenerEnds): boolean {
  if (a.interfaceIndex !== b.interfaceIndex && a.interfaceIndex !== 0 && b.interfaceIndex !== 0) {
    return true;
  }
  const isBothGiven = !a.local.isUnspecified && !b.local.isUnspecified;
  if (isBothGiven) return !a.local.equals(b.local);
  if (a.local.isIpv4 === b.local.isIpv4) return false;
  const six = a.local.isIpv4 ? b : a;
  return !six.local.isUnspecified || six.isIpv6Only;
}
