/** UDP: RFC 768, RFC 1122 §4.1, RFC 8085. Both families, groups and broadcasts. */
import { ERRNO, OFFLOAD, readU16, writeU16 } from "../base/index.ts";
import { foldSum, IP_PROTOCOL, sumIsRight, UDP_AT, UDP_HEADER_OCTETS } from "../wire/index.ts";
import { checksumOf } from "../wire/index.ts";
import type { IpAddress } from "./address.ts";
import type { StackCore } from "./core.ts";
import { type Destination, type IpSender, sumOfAddress } from "./destination.ts";
import type { GroupBook } from "./groups.ts";
import type { Interface } from "./interface.ts";
import type { Packet, PacketError } from "./packet.ts";
import type { SipHash } from "./siphash.ts";
import { type UdpOwner, UdpSocket } from "./udp-socket.ts";

/** RFC 6335 §6. */
const PORT_FIRST = 32_768;
const PORT_COUNT = 60_999 - PORT_FIRST + 1;
const PAYLOAD_MAX = 65_507;

/** Says that nobody listens. */
export interface PortComplaint {
  portUnreachable(packet: Packet): void;
}

/** The UDP of a stack. */
export class Udp implements UdpOwner {
  readonly #core: StackCore;
  readonly #ip: IpSender;
  readonly #icmp: PortComplaint;
  readonly #groups: GroupBook;
  readonly #interfaces: readonly Interface[];
  readonly #hash: SipHash;
  readonly #words = new Int32Array(1);
  readonly #ports = new Map<number, UdpSocket[]>();
  #count = 0;
  #ready: UdpSocket[] = [];

  constructor(
    core: StackCore,
    ip: IpSender,
    icmp: PortComplaint,
    groups: GroupBook,
    interfaces: readonly Interface[],
  ) {
    this.#core = core;
    this.#ip = ip;
    this.#icmp = icmp;
    this.#groups = groups;
    this.#interfaces = interfaces;
    this.#hash = core.random.keyedHash();
    ip.setHandler(IP_PROTOCOL.udp, {
      input: (packet) => this.#input(packet),
      error: (error) => this.#error(error),
    });
  }

  get sockets(): readonly UdpSocket[] {
    return [...this.#ports.values()].flat();
  }

  /** @returns -ENOBUFS when the stack has its most. */
  socket(isIpv4: boolean): UdpSocket | number {
    if (this.#count >= this.#core.limits.sockets) return -ERRNO.ENOBUFS;
    this.#count++;
    return new UdpSocket(this, this.#core, isIpv4);
  }

  /** See `UdpSocket.bind`. */
  bind(socket: UdpSocket, local: IpAddress, port: number, interfaceIndex: number): number {
    if (!local.isUnspecified && !local.isMulticast) {
      const way = this.#ip.wayTo(local, undefined, interfaceIndex);
      const isOurs = typeof way !== "number" && (way.isLocal || way.target.isMulticast);
      if (!isOurs && local.w3 !== -1) return -ERRNO.EADDRNOTAVAIL;
    }
    const chosen = port === 0 ? this.#freePort() : port;
    if (chosen === 0) return -ERRNO.EADDRINUSE;
    const others = this.#ports.get(chosen) ?? [];
    for (const other of others) {
      if (!isConflict(socket, local, other)) continue;
      return -ERRNO.EADDRINUSE;
    }
    socket.local = local;
    socket.localPort = chosen;
    socket.interfaceIndex = interfaceIndex;
    this.#ports.set(chosen, [...others, socket]);
    return 0;
  }

  close(socket: UdpSocket): void {
    this.#count--;
    const others = this.#ports.get(socket.localPort)?.filter((one) => one !== socket) ?? [];
    if (others.length === 0) this.#ports.delete(socket.localPort);
    else this.#ports.set(socket.localPort, others);
    for (const { interface: owner, group } of socket.groups.splice(0)) {
      this.#groups.leave(owner, group);
    }
  }

  join(socket: UdpSocket, group: IpAddress, interfaceIndex: number): number {
    const owner = this.#groupInterface(group, interfaceIndex);
    if (owner === undefined) return -ERRNO.ENODEV;
    const isKnown = socket.groups.some((one) => one.interface === owner && one.group.equals(group));
    if (isKnown) return -ERRNO.EADDRINUSE;
    const result = this.#groups.join(owner, group);
    if (result < 0) return result;
    socket.groups.push({ interface: owner, group, holders: 1 });
    this.#core.settle();
    return 0;
  }

  leave(socket: UdpSocket, group: IpAddress, interfaceIndex: number): number {
    const at = socket.groups.findIndex(
      (one) =>
        one.group.equals(group) && (interfaceIndex === 0 || one.interface.index === interfaceIndex),
    );
    if (at < 0) return -ERRNO.EADDRNOTAVAIL;
    const [left] = socket.groups.splice(at, 1);
    const result = this.#groups.leave(left!.interface, group);
    this.#core.settle();
    return result;
  }

  send(
    socket: UdpSocket,
    octets: Uint8Array,
    from: number,
    to: number,
    remote: IpAddress,
    port: number,
  ): number {
    this.#core.enter();
    const length = to - from;
    if (length > PAYLOAD_MAX) return -ERRNO.EMSGSIZE;
    if (socket.localPort === 0) {
      const result = this.bind(socket, socket.local, 0, socket.interfaceIndex);
      if (result < 0) return result;
    }
    const way = this.#wayFor(socket, remote);
    if (typeof way === "number") return way;
    const isBroadcast = way.isGroup && !remote.isMulticast;
    if (isBroadcast && !socket.options.broadcast) return -ERRNO.EACCES;
    const slot = this.#ip.takeSlot();
    if (slot < 0) return -ERRNO.ENOBUFS;
    const { pool } = this.#core;
    const at = pool.start[slot]!;
    pool.octets.set(
      from === 0 && to === octets.length ? octets : octets.subarray(from, to),
      at + UDP_HEADER_OCTETS,
    );
    this.#header(slot, at, length, socket.localPort, port, way);
    const { hopLimit, multicastHopLimit, trafficClass, dontFragment, multicastLoop } =
      socket.options;
    const result = this.#ip.send(slot, way, IP_PROTOCOL.udp, {
      hopLimit: remote.isMulticast ? multicastHopLimit : hopLimit,
      trafficClass,
      dontFragment,
      flowLabel: this.#ip.flowLabel(way, socket.localPort, port),
      multicastLoop,
    });
    this.#core.settle();
    return result < 0 ? result : length;
  }

  /** Sockets that got something are told: at the end of a step. */
  endBatch(): boolean {
    if (this.#ready.length === 0) return false;
    const ready = this.#ready;
    this.#ready = [];
    for (const socket of ready) socket.onReady?.();
    return true;
  }

  #header(
    slot: number,
    at: number,
    length: number,
    from: number,
    to: number,
    way: Destination,
  ): void {
    const { pool } = this.#core;
    const { octets } = pool;
    const total = UDP_HEADER_OCTETS + length;
    pool.length[slot] = total;
    writeU16(octets, at + UDP_AT.sourcePort, from);
    writeU16(octets, at + UDP_AT.targetPort, to);
    writeU16(octets, at + UDP_AT.length, total);
    writeU16(octets, at + UDP_AT.checksum, 0);
    const pseudo = way.addressSum + IP_PROTOCOL.udp + total;
    if (way.interface.link.offload) {
      writeU16(octets, at + UDP_AT.checksum, foldSum(pseudo));
      pool.offload[slot] = OFFLOAD.checksum;
      pool.checksumFrom[slot] = at;
      pool.checksumOffset[slot] = UDP_AT.checksum;
      pool.segmentOctets[slot] = 0;
      return;
    }
    const sum = checksumOf(this.#core.arena.sum(at, at + total, pseudo));
    writeU16(octets, at + UDP_AT.checksum, sum === 0 ? 0xffff : sum);
  }

  #wayFor(socket: UdpSocket, remote: IpAddress): Destination | number {
    const { way, local, options } = socket;
    const isKept = way !== undefined && way.generation === this.#ip.generation;
    if (isKept && way.target.equals(remote)) return way;
    const source = local.isUnspecified || local.isMulticast ? undefined : local;
    const index =
      remote.isMulticast && options.multicastInterface !== 0
        ? options.multicastInterface
        : socket.interfaceIndex;
    const found = this.#ip.wayTo(remote, source, index);
    if (typeof found !== "number") socket.way = found;
    return found;
  }

  #input(packet: Packet): void {
    const { pool, counters, arena } = this.#core;
    const { octets } = pool;
    const at = packet.transportAt;
    const length = packet.transportOctets;
    const said = length < UDP_HEADER_OCTETS ? 0 : readU16(octets, at + UDP_AT.length);
    if (said < UDP_HEADER_OCTETS || said > length) {
      counters.count("udp.length");
      return;
    }
    const checksum = readU16(octets, at + UDP_AT.checksum);
    if (checksum === 0 && !packet.isIpv4) {
      // RFC 8200 §8.1.
      counters.count("udp.no-checksum");
      return;
    }
    if (checksum !== 0 && !packet.isChecksumKnown) {
      const pseudo =
        sumOfAddress(packet.source()) + sumOfAddress(packet.target()) + IP_PROTOCOL.udp + said;
      if (!sumIsRight(arena.sum(at, at + said, pseudo))) {
        counters.count("udp.checksum");
        return;
      }
    }
    this.#deliver(packet, at, said);
  }

  #deliver(packet: Packet, at: number, said: number): void {
    const { octets } = this.#core.pool;
    const sourcePort = readU16(octets, at + UDP_AT.sourcePort);
    const sockets = this.#ports.get(readU16(octets, at + UDP_AT.targetPort)) ?? [];
    const dataAt = at + UDP_HEADER_OCTETS;
    const length = said - UDP_HEADER_OCTETS;
    let best: UdpSocket | undefined;
    let bestScore = -1;
    for (const socket of sockets) {
      const score = scoreOf(socket, packet, sourcePort);
      if (score < 0) continue;
      if (packet.isGroup) this.#push(socket, packet, sourcePort, dataAt, length);
      const isShare = socket.options.reusePort && (sourcePort & 1) === 1;
      if (score > bestScore || (score === bestScore && isShare)) {
        best = socket;
        bestScore = score;
      }
    }
    if (packet.isGroup) return;
    if (best !== undefined) this.#push(best, packet, sourcePort, dataAt, length);
    else {
      this.#core.counters.count("udp.no-port");
      this.#icmp.portUnreachable(packet);
    }
  }

  #push(socket: UdpSocket, packet: Packet, sourcePort: number, at: number, length: number): void {
    if (!socket.queue.push(packet, sourcePort, at, length, this.#core.nowMs)) {
      this.#core.counters.count("udp.receive-full");
      return;
    }
    if (!this.#ready.includes(socket)) this.#ready.push(socket);
  }

  /** RFC 1122 §4.1.3.3: the socket that sent it is told; one without a peer is not. */
  #error(error: PacketError): void {
    const { octets, at, source, target } = error;
    const sockets = this.#ports.get(readU16(octets, at + UDP_AT.sourcePort)) ?? [];
    const remotePort = readU16(octets, at + UDP_AT.targetPort);
    for (const socket of sockets) {
      const isBound = socket.local.isUnspecified || socket.local.equals(source);
      const isPeer = socket.remote?.equals(target) === true && socket.remotePort === remotePort;
      // RFC 8201 §5.2: whoever is connected to nobody may have sent to anybody.
      const mayHaveSent = isPeer || socket.remote === undefined;
      if (isBound && mayHaveSent && error.kind === "packet-too-big") this.#tooBig?.(error);
      if (!isBound || !isPeer || !error.isHard) continue;
      socket.errno = error.errno;
      if (!this.#ready.includes(socket)) this.#ready.push(socket);
    }
  }
  #tooBig: ((error: PacketError) => void) | undefined;

  /** Lets the path's MTU be learnt from errors about datagrams. */
  set onTooBig(handler: (error: PacketError) => void) {
    this.#tooBig = handler;
  }

  #groupInterface(group: IpAddress, index: number): Interface | undefined {
    if (index !== 0) return this.#interfaces.find((one) => one.index === index);
    const way = this.#ip.wayTo(group, undefined, 0);
    return typeof way === "number" ? undefined : way.interface;
  }

  /** RFC 6056 §3.3.1: a random place, from which the next free one is taken. */
  #freePort(): number {
    this.#words[0] = this.#core.random.u32();
    const start = this.#hash.hash(this.#words, 1) % PORT_COUNT;
    for (let i = 0; i < PORT_COUNT; i++) {
      const port = PORT_FIRST + ((start + i) % PORT_COUNT);
      if (!this.#ports.has(port)) return port;
    }
    return 0;
  }
}

/** Two sockets that cannot both have the port. */
function isConflict(socket: UdpSocket, local: IpAddress, other: UdpSocket): boolean {
  const { options } = socket;
  if (options.reuseAddress && other.options.reuseAddress) return false;
  if (options.reusePort && other.options.reusePort) return false;
  if (!local.isUnspecified && !other.local.isUnspecified) return local.equals(other.local);
  if (local.isIpv4 === other.local.isIpv4) return true;
  const six = local.isIpv4 ? other : socket;
  const sixAddress = local.isIpv4 ? other.local : local;
  return sixAddress.isUnspecified && !six.options.isIpv6Only;
}

/** How well a socket fits a datagram; -1: not at all. */
function scoreOf(socket: UdpSocket, packet: Packet, sourcePort: number): number {
  const { local, remote, interfaceIndex, options } = socket;
  let score = 0;
  if (interfaceIndex !== 0) {
    if (interfaceIndex !== packet.interface.index) return -1;
    score += 2;
  }
  if (remote !== undefined) {
    const isPeer =
      socket.remotePort === sourcePort &&
      remote.w3 === packet.s3 &&
      remote.w2 === packet.s2 &&
      remote.w1 === packet.s1 &&
      remote.w0 === packet.s0;
    if (!isPeer) return -1;
    score += 8;
  }
  if (!local.isUnspecified) {
    const isSame =
      local.w3 === packet.t3 &&
      local.w2 === packet.t2 &&
      local.w1 === packet.t1 &&
      local.w0 === packet.t0;
    return isSame ? score + 4 : -1;
  }
  if (local.isIpv4) return packet.isIpv4 ? score + 1 : -1;
  if (packet.isIpv4) return options.isIpv6Only ? -1 : score;
  return score + 1;
}
