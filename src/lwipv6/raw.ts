/** Raw sockets: raw(7), RFC 3542. They see every packet of a protocol that is for this host. */
import { ERRNO, writeU16 } from "../base/index.ts";
import { checksumOf, IP_PROTOCOL } from "../wire/index.ts";
import { ANY_IPV4, ANY_IPV6, type IpAddress } from "./address.ts";
import type { StackCore } from "./core.ts";
import { type DatagramInfo, DatagramQueue } from "./datagram-queue.ts";
import type { IpSender } from "./destination.ts";
import { type Endpoint, POLL } from "./endpoint.ts";
import type { Packet } from "./packet.ts";

const RECEIVE_OCTETS = 212_992;
const CHECKSUM_AT = 2;

interface RawOwner {
  send(socket: RawSocket, octets: Uint8Array, from: number, to: number, remote: IpAddress): number;
  close(socket: RawSocket): void;
}

/** One socket. IPv4 packets are read with their header, IPv6 ones without (raw(7), RFC 3542 §3). */
export class RawSocket implements Endpoint {
  readonly isIpv4: boolean;
  readonly protocol: number;
  readonly queue: DatagramQueue;
  local: IpAddress;
  remote: IpAddress | undefined;
  interfaceIndex = 0;
  hopLimit = 64;
  trafficClass = 0;
  multicastLoop = true;
  /** Place of a checksum that the stack fills in and checks; -1: none (IPV6_CHECKSUM). */
  checksumOffset = -1;
  /** Types of ICMP messages that are not wanted, one bit each (ICMP_FILTER, ICMP6_FILTER). */
  readonly blockedTypes = new Uint8Array(256);
  onReady: (() => void) | undefined;
  readonly #owner: RawOwner;

  constructor(owner: RawOwner, core: StackCore, isIpv4: boolean, protocol: number) {
    this.#owner = owner;
    this.isIpv4 = isIpv4;
    this.protocol = protocol;
    this.local = isIpv4 ? ANY_IPV4 : ANY_IPV6;
    this.queue = new DatagramQueue(core.arena, RECEIVE_OCTETS);
    if (protocol === IP_PROTOCOL.icmp6) this.checksumOffset = CHECKSUM_AT;
  }

  /** Sends what follows the IP header. @returns octets or a negative errno. */
  send(octets: Uint8Array, from: number, to: number, remote?: IpAddress): number {
    const target = remote ?? this.remote;
    if (target === undefined) return -ERRNO.EDESTADDRREQ;
    if (target.isIpv4 !== this.isIpv4) return -ERRNO.EINVAL;
    return this.#owner.send(this, octets, from, to, target);
  }

  receive(into: Uint8Array, from: number, to: number, isPeek = false): DatagramInfo | number {
    return this.queue.shift(into, from, to, isPeek) ?? -ERRNO.EAGAIN;
  }

  readiness(): number {
    return POLL.out | (this.queue.count > 0 ? POLL.in : 0);
  }

  close(): void {
    this.onReady = undefined;
    this.#owner.close(this);
    this.queue.clear();
  }
}

/** All raw sockets of a stack. */
export class Raw implements RawOwner {
  readonly #core: StackCore;
  readonly #ip: IpSender;
  readonly #sockets: RawSocket[] = [];
  #ready: RawSocket[] = [];

  constructor(core: StackCore, ip: IpSender) {
    this.#core = core;
    this.#ip = ip;
  }

  /** @param protocol IANA number. @returns -ENOBUFS when the stack has its most. */
  socket(isIpv4: boolean, protocol: number): RawSocket | number {
    if (this.#sockets.length >= this.#core.limits.sockets) return -ERRNO.ENOBUFS;
    const socket = new RawSocket(this, this.#core, isIpv4, protocol);
    this.#sockets.push(socket);
    return socket;
  }

  /** Somebody wants packets of the protocol: no error is sent about them. */
  has(protocol: number, isIpv4: boolean): boolean {
    return this.#sockets.some((one) => one.protocol === protocol && one.isIpv4 === isIpv4);
  }

  /** A socket may have sent a packet of the protocol from the address. */
  hasSent(protocol: number, source: IpAddress): boolean {
    return this.#sockets.some(
      (one) =>
        one.protocol === protocol &&
        one.isIpv4 === source.isIpv4 &&
        (one.local.isUnspecified || one.local.equals(source)),
    );
  }

  /** A packet for this host, before its handler sees it. */
  deliver(packet: Packet): void {
    for (let i = 0; i < this.#sockets.length; i++) {
      const socket = this.#sockets[i]!;
      if (socket.protocol !== packet.protocol || socket.isIpv4 !== packet.isIpv4) continue;
      if (!isWanted(socket, packet, this.#core.pool.octets)) continue;
      const at = packet.isIpv4 ? packet.networkAt : packet.transportAt;
      if (!socket.queue.push(packet, 0, at, packet.end - at, this.#core.nowMs)) continue;
      if (!this.#ready.includes(socket)) this.#ready.push(socket);
    }
  }

  send(socket: RawSocket, octets: Uint8Array, from: number, to: number, remote: IpAddress): number {
    this.#core.enter();
    const source = socket.local.isUnspecified ? undefined : socket.local;
    const way = this.#ip.wayTo(remote, source, socket.interfaceIndex);
    if (typeof way === "number") return way;
    const slot = this.#ip.takeSlot();
    if (slot < 0) return -ERRNO.ENOBUFS;
    const { pool, arena } = this.#core;
    const at = pool.start[slot]!;
    const length = to - from;
    pool.octets.set(octets.subarray(from, to), at);
    pool.length[slot] = length;
    const offset = socket.checksumOffset;
    if (offset >= 0 && offset + 2 <= length) {
      writeU16(pool.octets, at + offset, 0);
      const pseudo = way.addressSum + socket.protocol + length;
      writeU16(pool.octets, at + offset, checksumOf(arena.sum(at, at + length, pseudo)));
    }
    const result = this.#ip.send(slot, way, socket.protocol, {
      hopLimit: socket.hopLimit,
      trafficClass: socket.trafficClass,
      dontFragment: false,
      flowLabel: this.#ip.flowLabel(way, 0, 0),
      multicastLoop: socket.multicastLoop,
    });
    this.#core.settle();
    return result < 0 ? result : length;
  }

  close(socket: RawSocket): void {
    const at = this.#sockets.indexOf(socket);
    if (at >= 0) this.#sockets.splice(at, 1);
  }

  /** Sockets that got something are told: at the end of a step. */
  endBatch(): boolean {
    if (this.#ready.length === 0) return false;
    const ready = this.#ready;
    this.#ready = [];
    for (const socket of ready) socket.onReady?.();
    return true;
  }
}

function isWanted(socket: RawSocket, packet: Packet, octets: Uint8Array): boolean {
  const { local, remote, interfaceIndex, protocol } = socket;
  if (interfaceIndex !== 0 && interfaceIndex !== packet.interface.index) return false;
  if (!local.isUnspecified && !local.equals(packet.target())) return false;
  if (remote !== undefined && !remote.equals(packet.source())) return false;
  const isIcmp = protocol === IP_PROTOCOL.icmp || protocol === IP_PROTOCOL.icmp6;
  return !isIcmp || socket.blockedTypes[octets[packet.transportAt]!] === 0;
}
