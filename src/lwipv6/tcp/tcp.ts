/**
 * TCP of one stack: which connection a segment is for, connections that begin and end, and who is
 * served at the end of a step. RFC 9293.
 */
import { ERRNO } from "../../base/index.ts";
import { IP_PROTOCOL, sumIsRight } from "../../wire/index.ts";
import { ANY_IPV4, type IpAddress } from "../address.ts";
import type { Arena } from "../arena.ts";
import type { StackCore } from "../core.ts";
import type { IpSender } from "../destination.ts";
import type { Interface } from "../interface.ts";
import type { Packet, PacketError } from "../packet.ts";
import {
  defaultTcpOptions,
  DUE,
  type Ends,
  STATE,
  TcpConnection,
  type TcpOptions,
} from "./connection.ts";
import { TcpDeadlines } from "./deadlines.ts";
import { mayReuse, TcpInput } from "./input.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { type ListenerEnds, TcpListener } from "./listener.ts";
import { TcpOutput } from "./output.ts";
import { type PassiveOwner, TcpPassive } from "./passive.ts";
import { TcpRecovery } from "./recovery.ts";
import { TcpSecrets } from "./secrets.ts";
import { TcpSegment } from "./segment.ts";
import { before } from "./sequence.ts";
import { ConnectionTable } from "./table.ts";
import { TcpTimers } from "./timers.ts";

/** Our windows are counted in units of 2^8 octets: enough for the largest. */
const RECEIVE_SCALE = 8;
/** How long a closed connection waits for the peer's FIN (Linux' tcp_fin_timeout). */
const FIN_WAIT_MS = 60_000;

export interface ConnectRequest {
  readonly remote: IpAddress;
  readonly remotePort: number;
  /** undefined or unspecified: chosen. */
  readonly local?: IpAddress;
  /** 0: chosen. */
  readonly localPort?: number;
  readonly interfaceIndex?: number;
  readonly options?: TcpOptions;
}

/** What ICMP tells paths. */
export interface PathTeller {
  reducePathMtu(target: IpAddress, mtuOctets: number, nowOctets: number): number;
}

/** The TCP of a stack. */
export class Tcp implements PassiveOwner, Lifecycle {
  readonly arena: Arena;
  readonly output: TcpOutput;
  readonly passive: TcpPassive;
  segmentsIn = 0;
  readonly #core: StackCore;
  readonly #ip: IpSender;
  readonly #paths: PathTeller;
  readonly #timers: TcpTimers;
  readonly #input: TcpInput;
  readonly #recovery: TcpRecovery;
  readonly #secrets: TcpSecrets;
  readonly #deadlines: TcpDeadlines;
  readonly #table: ConnectionTable;
  /** How many connections use a local port. */
  readonly #ports = new Map<number, number>();
  readonly #segment = new TcpSegment();
  #touched: TcpConnection[] = [];
  #serving: TcpConnection[] = [];
  readonly #readyListeners = new Set<TcpListener>();
  readonly #blocked = new Set<TcpConnection>();
  #timeWaits = 0;
  #orphans = 0;

  constructor(core: StackCore, ip: IpSender, paths: PathTeller) {
    this.#core = core;
    this.#ip = ip;
    this.#paths = paths;
    this.arena = core.arena;
    this.#timers = new TcpTimers(core);
    this.output = new TcpOutput(core, ip, this.#timers);
    this.output.onBlocked = (connection) => this.#blocked.add(connection);
    this.#recovery = new TcpRecovery(core, this.output, this.#timers);
    this.#secrets = new TcpSecrets(core);
    this.#table = new ConnectionTable(core.random.keyedHash());
    const { output } = this;
    const parts = { output, timers: this.#timers, recovery: this.#recovery, lifecycle: this };
    this.#input = new TcpInput(core, { ip, ...parts });
    this.#deadlines = new TcpDeadlines(core, parts);
    this.passive = new TcpPassive(core, this, {
      ip,
      output,
      input: this.#input,
      deadlines: this.#deadlines,
      secrets: this.#secrets,
      table: this.#table,
    });
    ip.setHandler(IP_PROTOCOL.tcp, {
      input: (packet) => this.#arrive(packet),
      error: (error) => this.#error(error),
    });
  }

  /** Connections of all states but LISTEN. */
  get connections(): readonly TcpConnection[] {
    return this.#table.all();
  }

  get listeners(): readonly TcpListener[] {
    return this.passive.all;
  }

  /**
   * Opens a connection (RFC 9293 §3.9.1.1 OPEN active); it is in SYN-SENT.
   * @returns -EADDRINUSE, -EADDRNOTAVAIL (no port is left), -ENETUNREACH, -ENOBUFS, -EINVAL.
   */
  connect(request: ConnectRequest): TcpConnection | number {
    this.enter();
    const { remote, remotePort, interfaceIndex = 0 } = request;
    if (remotePort === 0) return -ERRNO.EADDRNOTAVAIL;
    if (remote.isMulticast) return -ERRNO.ENETUNREACH;
    if (this.#table.count >= this.#core.limits.sockets) return -ERRNO.ENOBUFS;
    const way = this.#ip.wayTo(remote, request.local, interfaceIndex);
    if (typeof way === "number") return way;
    const local = way.source;
    const localPort =
      request.localPort ||
      this.#secrets.port(local, remote, remotePort, (port) => {
        if (this.passive.has(port)) return false;
        return this.#free({ local, localPort: port, remote, remotePort, interfaceIndex });
      });
    if (localPort === 0) return -ERRNO.EADDRNOTAVAIL;
    const ends = { local, localPort, remote, remotePort, interfaceIndex };
    const known = this.#table.findEnds(ends);
    if (known !== undefined) {
      if (known.state !== STATE.timeWait) return -ERRNO.EADDRINUSE;
      this.gone(known, 0);
    }
    const options = request.options ?? defaultTcpOptions();
    const connection = new TcpConnection(this, ends, way, options);
    this.begin(connection, STATE.synSent);
    this.output.synchronize(connection);
    this.#deadlines.armSyn(connection);
    this.#core.settle();
    return connection;
  }

  /**
   * Waits for connections (OPEN passive). @returns -EADDRINUSE when somebody else listens there.
   */
  listen(ends: ListenerEnds, options: TcpOptions, backlog: number): TcpListener | number {
    return this.passive.listen(ends, options, backlog);
  }

  /** A local port that nobody listens at and no connection uses; 0: none. */
  freePort(local: IpAddress): number {
    return this.#secrets.port(local, ANY_IPV4, 0, (port) => {
      return !this.passive.has(port) && !this.#ports.has(port);
    });
  }

  /** Connections that are not over use the port. */
  isPortUsed(port: number): boolean {
    return this.passive.has(port) || this.#ports.has(port);
  }

  enter(): void {
    this.#core.enter();
  }

  leave(connection: TcpConnection): void {
    this.touch(connection);
    this.#core.settle();
  }

  optionsChanged(connection: TcpConnection): void {
    const { state } = connection;
    if (state < STATE.established || state === STATE.timeWait) return;
    this.#input.keepAlive(connection);
    this.output.header.fitPath(connection);
    this.leave(connection);
  }

  abandon(connection: TcpConnection): void {
    const { state, options } = connection;
    connection.isReadShut = true;
    if (state === STATE.closed) return;
    if (state === STATE.synSent) {
      this.gone(connection, 0);
      return;
    }
    // RFC 9293 §3.10.4, RFC 2525 §2.17: unread data means that the peer is told.
    const isUnread = connection.queue.readable > 0 && state !== STATE.timeWait;
    if (options.lingerMs === 0 || isUnread) {
      this.reset(connection, 0);
      return;
    }
    if (!connection.isOrphan) {
      connection.isOrphan = true;
      this.#orphans++;
      if (this.#orphans > this.#core.limits.orphans && state !== STATE.timeWait) {
        this.#core.counters.count("tcp.orphans");
        this.reset(connection, 0);
        return;
      }
    }
    connection.isEnding = true;
    if (connection.state === STATE.finWait2) {
      this.#timers.set(connection, DUE.end, this.#core.nowMs + FIN_WAIT_MS);
    }
    this.leave(connection);
  }

  reset(connection: TcpConnection, errno: number): void {
    const { state } = connection;
    if (state === STATE.closed) return;
    const isSilent = state === STATE.synSent || state === STATE.timeWait;
    if (!isSilent) this.output.reset(connection);
    this.gone(connection, errno);
    this.#core.settle();
  }

  expire(connection: TcpConnection): void {
    this.#deadlines.expire(connection);
    if (connection.state === STATE.closed) return;
    this.#timers.rearm(connection);
    this.touch(connection);
  }

  established(connection: TcpConnection): void {
    const listener = connection.listener;
    if (!(listener instanceof TcpListener)) return;
    listener.handshakes--;
    this.passive.handshakes--;
    listener.push(connection);
    this.#readyListeners.add(listener);
  }

  waiting(connection: TcpConnection): void {
    this.#timeWaits++;
    if (this.#timeWaits <= this.#core.limits.timeWaits) return;
    this.#core.counters.count("tcp.time-waits");
    this.gone(connection, 0);
  }

  gone(connection: TcpConnection, errno: number): void {
    const { state } = connection;
    if (state === STATE.closed) return;
    if (state === STATE.timeWait) this.#timeWaits--;
    if (state === STATE.synReceived && connection.listener !== undefined) this.passive.handshakes--;
    if (connection.isOrphan) this.#orphans--;
    connection.listener?.drop(connection);
    connection.listener = undefined;
    connection.state = STATE.closed;
    connection.errno = errno;
    connection.send.clear();
    connection.sendLength = 0;
    connection.board.clear();
    if (connection.isOrphan || connection.isReadShut) connection.queue.clear();
    this.#timers.clear(connection);
    this.#blocked.delete(connection);
    if (this.#table.remove(connection)) this.#usePort(connection.localPort, -1);
    connection.isReadyChanged = true;
    this.touch(connection);
  }

  /** The end of a step: acknowledgments and data leave, users are told. Stack calls it. */
  endBatch(): void {
    while (this.#touched.length > 0) {
      const list = this.#touched;
      this.#touched = this.#serving;
      this.#serving = list;
      for (let i = 0; i < list.length; i++) {
        const connection = list[i]!;
        connection.isTouched = false;
        if (connection.state !== STATE.closed) this.#serve(connection);
      }
      for (let i = 0; i < list.length; i++) {
        const connection = list[i]!;
        if (!connection.isReadyChanged) continue;
        connection.isReadyChanged = false;
        connection.onReady?.();
      }
      list.length = 0;
    }
    if (this.#readyListeners.size === 0) return;
    const ready = [...this.#readyListeners];
    this.#readyListeners.clear();
    for (const listener of ready) listener.onReady?.();
  }

  /** A link takes frames again: those that waited for it go on. */
  linkWritable(outgoing: Interface): void {
    for (const connection of this.#blocked) {
      if (connection.way.interface !== outgoing) continue;
      this.#blocked.delete(connection);
      connection.isBlocked = false;
      this.touch(connection);
    }
    this.endBatch();
  }

  /** Connections whose link took no more try again: after each step that has sent. */
  unblock(): boolean {
    if (this.#blocked.size === 0) return false;
    let isAny = false;
    for (const connection of this.#blocked) {
      if (connection.way.interface.room === 0) continue;
      this.#blocked.delete(connection);
      connection.isBlocked = false;
      this.touch(connection);
      isAny = true;
    }
    if (isAny) this.endBatch();
    return isAny;
  }

  #serve(connection: TcpConnection): void {
    this.#refreshWay(connection);
    this.#deadlines.tuneWindow(connection);
    this.output.run(connection);
    this.#deadlines.afterOutput(connection);
  }

  /** Routes may have changed, or the path's MTU. */
  #refreshWay(connection: TcpConnection): void {
    if (connection.way.generation === this.#ip.generation) return;
    const { remote, local, interfaceIndex } = connection;
    const way = this.#ip.wayTo(remote, local, interfaceIndex);
    if (typeof way === "number") return;
    connection.way = way;
    this.output.header.fitPath(connection);
  }

  /** See `PassiveOwner`. */
  touch(connection: TcpConnection): void {
    if (connection.isTouched) return;
    connection.isTouched = true;
    this.#touched.push(connection);
  }

  /** RFC 9293 §3.10.7. */
  #arrive(packet: Packet): void {
    const { pool, counters } = this.#core;
    const segment = this.#segment;
    this.segmentsIn++;
    if (!segment.read(pool.octets, packet)) {
      counters.count("tcp.header");
      return;
    }
    if (!packet.isChecksumKnown && !this.#isSumRight(packet)) {
      counters.count("tcp.checksum");
      return;
    }
    if (packet.isGroup || packet.isLinkGroup) {
      counters.count("tcp.group");
      return;
    }
    const known = this.#table.find(packet, segment.sourcePort, segment.targetPort);
    if (known !== undefined) {
      if (!mayReuse(known, segment)) {
        this.#input.arrive(known, segment);
        this.touch(known);
        return;
      }
      this.gone(known, 0);
    }
    this.passive.unknown(packet, segment);
  }

  #isSumRight(packet: Packet): boolean {
    const length = packet.transportOctets;
    const { s0, s1, s2, s3, t0, t1, t2, t3 } = packet;
    let pseudo = length + IP_PROTOCOL.tcp + halves(s3) + halves(t3);
    if (!packet.isIpv4) {
      pseudo += halves(s0) + halves(s1) + halves(s2) + halves(t0) + halves(t1) + halves(t2);
    }
    return sumIsRight(this.#core.arena.sum(packet.transportAt, packet.end, pseudo));
  }

  /** See `PassiveOwner`. */
  begin(connection: TcpConnection, state: number): void {
    const iss = this.#secrets.initialSequence(connection);
    connection.iss = iss;
    connection.una = iss;
    connection.next = (iss + 1) | 0;
    connection.state = state;
    connection.flowLabel = this.#ip.flowLabel(
      connection.way,
      connection.localPort,
      connection.remotePort,
    );
    connection.timestampOffset = this.#secrets.timestampOffset(connection);
    connection.receiveScale = RECEIVE_SCALE;
    connection.lastSentMs = this.#core.nowMs;
    this.output.header.fitPath(connection);
    this.#table.add(connection);
    this.#usePort(connection.localPort, 1);
  }

  #usePort(port: number, by: number): void {
    const count = (this.#ports.get(port) ?? 0) + by;
    if (count === 0) this.#ports.delete(port);
    else this.#ports.set(port, count);
  }

  #free(ends: Ends): boolean {
    const known = this.#table.findEnds(ends);
    return known === undefined || known.state === STATE.timeWait;
  }

  /** ICMP says that a segment did not arrive: RFC 5927, RFC 9293 §3.9.2.2. */
  #error(error: PacketError): void {
    const { octets, at, end, source, target } = error;
    if (end - at < 8) return;
    const localPort = (octets[at]! << 8) | octets[at + 1]!;
    const remotePort = (octets[at + 2]! << 8) | octets[at + 3]!;
    const sequence =
      (octets[at + 4]! << 24) |
      (octets[at + 5]! << 16) |
      (octets[at + 6]! << 8) |
      octets[at + 7]! |
      0;
    const ends = { local: source, localPort, remote: target, remotePort, interfaceIndex: 0 };
    const connection = this.#table.findEnds(ends);
    if (connection === undefined) return;
    // RFC 5927 §4.1: it must be about data that is under way.
    if (before(sequence, connection.una) || !before(sequence, connection.next)) {
      this.#core.counters.count("tcp.icmp-outside");
      return;
    }
    if (error.kind === "packet-too-big") {
      this.#tooBig(connection, error.mtuOctets);
      return;
    }
    // RFC 5927 §5.2: an established connection does not end by ICMP; one that begins does.
    if (connection.state === STATE.synSent || connection.state === STATE.synReceived) {
      if (error.isHard || error.kind === "unreachable") this.gone(connection, error.errno);
    }
  }

  #tooBig(connection: TcpConnection, mtuOctets: number): void {
    const { way } = connection;
    const now = this.#paths.reducePathMtu(way.target, mtuOctets, way.mtuOctets);
    if (now >= way.mtuOctets) return;
    this.#refreshWay(connection);
    connection.way.mtuOctets = Math.min(connection.way.mtuOctets, now);
    this.output.header.fitPath(connection);
    // RFC 1191 §6.5: what was too big is sent again at once; that is no congestion.
    if (connection.state >= STATE.established && !connection.board.isEmpty) {
      connection.board.markAllLost();
      this.touch(connection);
    }
  }
}

function halves(word: number): number {
  return (word >>> 16) + (word & 0xffff);
}
