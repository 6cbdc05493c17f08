/** A UDP socket as its user sees it: udp(7), ip(7), ipv6(7). */
import { ERRNO } from "../base/index.ts";
import { ANY_IPV4, ANY_IPV6, type IpAddress } from "./address.ts";
import type { StackCore } from "./core.ts";
import { type DatagramInfo, DatagramQueue } from "./datagram-queue.ts";
import type { Destination } from "./destination.ts";
import { type Endpoint, POLL } from "./endpoint.ts";
import type { Membership } from "./groups.ts";

/** Octets of datagrams that may wait for a socket (Linux' net.core.rmem_default). */
const RECEIVE_OCTETS = 212_992;

/** Options of datagram sockets; see udp(7), ip(7), ipv6(7). */
export interface DatagramOptions {
  hopLimit: number;
  multicastHopLimit: number;
  trafficClass: number;
  dontFragment: boolean;
  broadcast: boolean;
  reuseAddress: boolean;
  reusePort: boolean;
  isIpv6Only: boolean;
  multicastLoop: boolean;
  /** 0: as routed. */
  multicastInterface: number;
}

/** A fresh set. */
export function defaultDatagramOptions(): DatagramOptions {
  return {
    hopLimit: 64,
    multicastHopLimit: 1,
    trafficClass: 0,
    dontFragment: false,
    broadcast: false,
    reuseAddress: false,
    reusePort: false,
    isIpv6Only: false,
    multicastLoop: true,
    multicastInterface: 0,
  };
}

/** What sockets ask of the layer. */
export interface UdpOwner {
  bind(socket: UdpSocket, local: IpAddress, port: number, interfaceIndex: number): number;
  send(
    socket: UdpSocket,
    octets: Uint8Array,
    from: number,
    to: number,
    remote: IpAddress,
    port: number,
  ): number;
  close(socket: UdpSocket): void;
  join(socket: UdpSocket, group: IpAddress, interfaceIndex: number): number;
  leave(socket: UdpSocket, group: IpAddress, interfaceIndex: number): number;
}

/** One socket. Calls give a count or a negative errno. */
export class UdpSocket implements Endpoint {
  readonly options = defaultDatagramOptions();
  readonly queue: DatagramQueue;
  /** ::: unspecified, of IPv6 and IPv4. */
  local: IpAddress;
  localPort = 0;
  interfaceIndex = 0;
  remote: IpAddress | undefined;
  remotePort = 0;
  onReady: (() => void) | undefined;
  /** Of an ICMP error, told once (SO_ERROR). */
  errno = 0;
  isClosed = false;
  readonly groups: Membership[] = [];
  way: Destination | undefined;
  readonly #owner: UdpOwner;

  constructor(owner: UdpOwner, core: StackCore, isIpv4: boolean) {
    this.#owner = owner;
    this.local = isIpv4 ? ANY_IPV4 : ANY_IPV6;
    this.queue = new DatagramQueue(core.arena, RECEIVE_OCTETS);
  }

  /** @param port 0: any that is free. @returns 0, -EADDRINUSE, -EINVAL when bound already. */
  bind(local: IpAddress, port: number, interfaceIndex = 0): number {
    if (this.localPort !== 0) return -ERRNO.EINVAL;
    return this.#owner.bind(this, local, port, interfaceIndex);
  }

  /** Only datagrams of this peer are taken from now on. @returns 0 or -ENETUNREACH and so on. */
  connect(remote: IpAddress, port: number): number {
    if (this.localPort === 0) {
      const result = this.#owner.bind(this, this.local, 0, this.interfaceIndex);
      if (result < 0) return result;
    }
    this.remote = remote;
    this.remotePort = port;
    this.way = undefined;
    return 0;
  }

  /** Takes datagrams of everybody again (AF_UNSPEC). */
  disconnect(): void {
    this.remote = undefined;
    this.remotePort = 0;
    this.way = undefined;
  }

  /** Sends `octets[from … to)` to the peer, or to the one given. @returns octets or an errno. */
  send(octets: Uint8Array, from: number, to: number, remote?: IpAddress, port?: number): number {
    if (this.errno !== 0) return this.takeError();
    const target = remote ?? this.remote;
    const targetPort = port ?? this.remotePort;
    if (target === undefined || targetPort === 0) return -ERRNO.EDESTADDRREQ;
    return this.#owner.send(this, octets, from, to, target, targetPort);
  }

  /** The datagram that waited longest; -EAGAIN, or an error that ICMP told. */
  receive(into: Uint8Array, from: number, to: number, isPeek = false): DatagramInfo | number {
    if (this.errno !== 0) return this.takeError();
    return this.queue.shift(into, from, to, isPeek) ?? -ERRNO.EAGAIN;
  }

  /** @returns 0 or a negative errno: -EINVAL, -ENODEV, -EADDRINUSE. */
  join(group: IpAddress, interfaceIndex = 0): number {
    return this.#owner.join(this, group, interfaceIndex);
  }

  leave(group: IpAddress, interfaceIndex = 0): number {
    return this.#owner.leave(this, group, interfaceIndex);
  }

  readiness(): number {
    return POLL.out | (this.queue.count > 0 ? POLL.in : 0) | (this.errno !== 0 ? POLL.error : 0);
  }

  /** @returns a negative errno or 0. */
  takeError(): number {
    const { errno } = this;
    this.errno = 0;
    return errno === 0 ? 0 : -errno;
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.onReady = undefined;
    this.#owner.close(this);
    this.queue.clear();
  }
}
