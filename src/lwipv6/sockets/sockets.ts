/**
 * The Berkeley interface of a stack: descriptors and the calls of socket(2), each as LWIPv6's
 * msocket family has them. Calls never wait: they give a count or a negative errno, -EAGAIN where a
 * kernel would block; the forms that wait are in waiting.ts.
 */
import { ERRNO } from "../../base/index.ts";
import { ANY_IPV4, ANY_IPV6, IpAddress } from "../address.ts";
import type { Capability } from "../core.ts";
import { type Endpoint, POLL } from "../endpoint.ts";
import { RawSocket } from "../raw.ts";
import type { Stack } from "../stack.ts";
import { STATE, TcpConnection, type TcpOptions } from "../tcp/connection.ts";
import { TcpListener } from "../tcp/listener.ts";
import { UdpSocket } from "../udp-socket.ts";
import { AF, IOCTL, MSG, SHUT, SO, SOCK, SOL, TCP } from "./constants.ts";
import { type SocketAddress, SocketEntry as Entry } from "./socket-entry.ts";
import { getOption, type OptionValue, setOption } from "./socket-options.ts";

/** What a received datagram came with. */
export interface Received {
  /** Octets copied. */
  readonly count: number;
  readonly from: SocketAddress | undefined;
  /** MSG bits: truncated. */
  readonly flags: number;
}

/** Asked before what only some may do; false: -EACCES or -EPERM. */
export type CapabilityCheck = (capability: Capability) => boolean;

/** Ports below it are for those who may. */
const PORT_PRIVILEGED = 1024;
const BACKLOG_MAX = 4096;

/** All descriptors of one stack. */
export class Sockets {
  readonly stack: Stack;
  readonly #entries = new Map<number, Entry>();
  readonly #may: CapabilityCheck;
  #next = 3;

  /** @param may default: everything may be done. */
  constructor(stack: Stack, may: CapabilityCheck = () => true) {
    this.stack = stack;
    this.#may = may;
  }

  /** Open descriptors. */
  get count(): number {
    return this.#entries.size;
  }

  /**
   * socket(2). @param type SOCK bits: non-blocking and close-on-exec mean nothing here.
   * @returns a descriptor; -EAFNOSUPPORT, -ESOCKTNOSUPPORT, -EPROTONOSUPPORT, -EPERM, -ENOBUFS.
   */
  socket(family: number, type: number, protocol = 0): number {
    if (family !== AF.inet && family !== AF.inet6) return -ERRNO.EAFNOSUPPORT;
    const kind = type & 0xf;
    const entry = new Entry(family, kind, protocol);
    switch (kind) {
      case SOCK.stream:
        if (protocol !== 0 && protocol !== 6) return -ERRNO.EPROTONOSUPPORT;
        break;
      case SOCK.datagram: {
        if (protocol !== 0 && protocol !== 17) return -ERRNO.EPROTONOSUPPORT;
        const made = this.stack.udp.socket(entry.isIpv4);
        if (typeof made === "number") return made;
        entry.attach(made);
        break;
      }
      case SOCK.raw: {
        if (!this.#may("net-raw")) return -ERRNO.EPERM;
        if (protocol <= 0 || protocol > 255) return -ERRNO.EPROTONOSUPPORT;
        const made = this.stack.raw.socket(entry.isIpv4, protocol);
        if (typeof made === "number") return made;
        entry.attach(made);
        break;
      }
      default:
        return -ERRNO.ESOCKTNOSUPPORT;
    }
    return this.#give(entry);
  }

  /** bind(2). @returns 0, -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -EINVAL, -EBADF. */
  bind(fd: number, at: SocketAddress): number {
    const entry = this.#entries.get(fd);
    if (entry === undefined) return -ERRNO.EBADF;
    const address = this.#fit(entry, at.address);
    if (address === undefined) return -ERRNO.EAFNOSUPPORT;
    if (at.port > 0 && at.port < PORT_PRIVILEGED && !this.#may("net-bind-service")) {
      return -ERRNO.EACCES;
    }
    const index = at.interfaceIndex ?? entry.interfaceIndex;
    const { endpoint } = entry;
    if (endpoint instanceof UdpSocket) {
      endpoint.options.reuseAddress = entry.reuseAddress;
      endpoint.options.reusePort = entry.reusePort;
      endpoint.options.isIpv6Only = entry.isIpv6Only;
      return endpoint.bind(address, at.port, index);
    }
    if (endpoint instanceof RawSocket) {
      endpoint.local = address;
      endpoint.interfaceIndex = index;
      return 0;
    }
    if (endpoint !== undefined || entry.local !== undefined) return -ERRNO.EINVAL;
    return this.#bindStream(entry, address, at.port, index);
  }

  /** connect(2). @returns 0, -EINPROGRESS, -EALREADY, -EISCONN, or why it cannot be. */
  connect(fd: number, to: SocketAddress): number {
    const entry = this.#entries.get(fd);
    if (entry === undefined) return -ERRNO.EBADF;
    const address = this.#fit(entry, to.address);
    if (address === undefined) return -ERRNO.EAFNOSUPPORT;
    const { endpoint } = entry;
    if (endpoint instanceof UdpSocket) return endpoint.connect(address, to.port);
    if (endpoint instanceof RawSocket) {
      endpoint.remote = address;
      return 0;
    }
    if (endpoint instanceof TcpListener) return -ERRNO.EISCONN;
    if (endpoint !== undefined) return this.#connectAgain(entry, endpoint);
    const made = this.stack.tcp.connect({
      remote: address,
      remotePort: to.port,
      local: entry.local?.address ?? (entry.isIpv4 ? ANY_IPV4 : ANY_IPV6),
      localPort: entry.local?.port ?? 0,
      interfaceIndex: to.interfaceIndex ?? entry.interfaceIndex,
      options: entry.tcp,
    });
    if (typeof made === "number") return made;
    entry.attach(made);
    if (made.state >= STATE.established) {
      entry.isConnectTold = true;
      return 0;
    }
    return made.state === STATE.closed ? this.#failed(entry, made) : -ERRNO.EINPROGRESS;
  }

  /** listen(2). @returns 0, -EADDRINUSE, -EINVAL, -EOPNOTSUPP, -EBADF. */
  listen(fd: number, backlog: number): number {
    const entry = this.#entries.get(fd);
    if (entry === undefined) return -ERRNO.EBADF;
    if (entry.type !== SOCK.stream) return -ERRNO.EOPNOTSUPP;
    const most = Math.max(0, Math.min(BACKLOG_MAX, backlog));
    if (entry.endpoint instanceof TcpListener) {
      entry.endpoint.backlog = most;
      return 0;
    }
    if (entry.endpoint !== undefined) return -ERRNO.EINVAL;
    if (entry.local === undefined) {
      const result = this.#bindStream(entry, entry.isIpv4 ? ANY_IPV4 : ANY_IPV6, 0, 0);
      if (result < 0) return result;
    }
    const ends = {
      local: entry.local!.address,
      localPort: entry.local!.port,
      interfaceIndex: entry.local!.interfaceIndex ?? 0,
      isIpv6Only: entry.isIpv6Only,
      isShared: entry.reusePort,
    };
    const made = this.stack.tcp.listen(ends, entry.tcp, most);
    if (typeof made === "number") return made;
    entry.attach(made);
    return 0;
  }

  /** accept(2). @returns a descriptor, -EAGAIN, -EINVAL, -ECONNABORTED, -EBADF. */
  accept(fd: number): number {
    const entry = this.#entries.get(fd);
    if (entry === undefined) return -ERRNO.EBADF;
    if (!(entry.endpoint instanceof TcpListener)) return -ERRNO.EINVAL;
    const connection = entry.endpoint.accept();
    if (connection === undefined) return -ERRNO.EAGAIN;
    const made = new Entry(entry.family, SOCK.stream, entry.protocol);
    made.isConnectTold = true;
    made.attach(connection);
    return this.#give(made);
  }

  /**
   * sendto(2), send(2), write(2).
   * @param flags MSG bits. @returns octets taken or a negative errno; -EPIPE raises no signal.
   */
  send(
    fd: number,
    octets: Uint8Array,
    flags = 0,
    to?: SocketAddress,
    from = 0,
    end = octets.length,
  ): number {
    const entry = this.#entries.get(fd);
    if (entry === undefined) return -ERRNO.EBADF;
    const { endpoint } = entry;
    if (endpoint instanceof TcpConnection) {
      if (to !== undefined && !(endpoint.state >= STATE.established)) return -ERRNO.EISCONN;
      const isMore = (flags & MSG.more) !== 0;
      return endpoint.write(octets, from, end, isMore, (flags & MSG.outOfBand) !== 0);
    }
    if (endpoint instanceof UdpSocket) {
      const address = to === undefined ? undefined : this.#fit(entry, to.address);
      if (to !== undefined && address === undefined) return -ERRNO.EAFNOSUPPORT;
      return endpoint.send(octets, from, end, address, to?.port);
    }
    if (endpoint instanceof RawSocket) return endpoint.send(octets, from, end, to?.address);
    return -ERRNO.ENOTCONN;
  }

  /** recv(2), read(2). @returns octets; 0: the peer has ended; or a negative errno. */
  receive(fd: number, into: Uint8Array, flags = 0, from = 0, end = into.length): number {
    const result = this.receiveFrom(fd, into, flags, from, end);
    return typeof result === "number" ? result : result.count;
  }

  /** recvfrom(2), and what recvmsg(2) tells besides. @returns a negative errno when it fails. */
  receiveFrom(
    fd: number,
    into: Uint8Array,
    flags = 0,
    from = 0,
    end = into.length,
  ): Received | number {
    const entry = this.#entries.get(fd);
    if (entry === undefined) return -ERRNO.EBADF;
    const { endpoint } = entry;
    const isPeek = (flags & MSG.peek) !== 0;
    if (endpoint instanceof TcpConnection) {
      const count =
        (flags & MSG.outOfBand) !== 0
          ? this.#receiveUrgent(endpoint, into, from)
          : endpoint.read(into, from, end, isPeek);
      return count < 0 ? count : { count, from: undefined, flags: 0 };
    }
    if (endpoint instanceof UdpSocket || endpoint instanceof RawSocket) {
      const info = endpoint.receive(into, from, end, isPeek);
      if (typeof info === "number") return info;
      const room = end - from;
      return {
        count: Math.min(info.length, room),
        from: {
          address: info.source,
          port: info.sourcePort,
          interfaceIndex: info.source.isLinkLocal ? info.interfaceIndex : 0,
        },
        flags: info.length > room ? MSG.truncated : 0,
      };
    }
    return -ERRNO.ENOTCONN;
  }

  /** shutdown(2). @returns 0, -ENOTCONN, -EINVAL, -EBADF. */
  shutdown(fd: number, how: number): number {
    const entry = this.#entries.get(fd);
    if (entry === undefined) return -ERRNO.EBADF;
    if (how < SHUT.read || how > SHUT.both) return -ERRNO.EINVAL;
    const { endpoint } = entry;
    if (!(endpoint instanceof TcpConnection)) return -ERRNO.ENOTCONN;
    const read = how !== SHUT.write ? endpoint.shutdownRead() : 0;
    const write = how !== SHUT.read ? endpoint.shutdownWrite() : 0;
    return read < 0 ? read : write;
  }

  /** close(2). @returns 0 or -EBADF. */
  close(fd: number): number {
    const entry = this.#entries.get(fd);
    if (entry === undefined) return -ERRNO.EBADF;
    this.#entries.delete(fd);
    entry.endpoint?.close();
    for (const watcher of entry.watchers) watcher();
    return 0;
  }

  /** getsockname(2). @returns a negative errno when there is none. */
  localAddress(fd: number): SocketAddress | number {
    const entry = this.#entries.get(fd);
    if (entry === undefined) return -ERRNO.EBADF;
    const { endpoint } = entry;
    if (endpoint instanceof TcpConnection || endpoint instanceof TcpListener) {
      return { address: endpoint.local, port: endpoint.localPort };
    }
    if (endpoint instanceof UdpSocket) {
      return { address: endpoint.local, port: endpoint.localPort };
    }
    return entry.local ?? { address: entry.isIpv4 ? ANY_IPV4 : ANY_IPV6, port: 0 };
  }

  /** getpeername(2). @returns -ENOTCONN, -EBADF. */
  remoteAddress(fd: number): SocketAddress | number {
    const entry = this.#entries.get(fd);
    if (entry === undefined) return -ERRNO.EBADF;
    const { endpoint } = entry;
    if (endpoint instanceof TcpConnection && endpoint.state >= STATE.established) {
      return { address: endpoint.remote, port: endpoint.remotePort };
    }
    if (endpoint instanceof UdpSocket && endpoint.remote !== undefined) {
      return { address: endpoint.remote, port: endpoint.remotePort };
    }
    return -ERRNO.ENOTCONN;
  }

  /** setsockopt(2) with a number or a name. @returns 0, -ENOPROTOOPT, -EINVAL, -EBADF. */
  setOption(fd: number, level: number, name: number, value: OptionValue): number {
    const entry = this.#entries.get(fd);
    if (entry === undefined) return -ERRNO.EBADF;
    if (level === SOL.socket && name === SO.bindToInterfaceIndex) {
      entry.interfaceIndex = Number(value);
      return 0;
    }
    if (level === SOL.socket && name === SO.bindToDevice) {
      const found = this.stack.interface(String(value));
      if (found === undefined && value !== "") return -ERRNO.ENODEV;
      entry.interfaceIndex = found?.index ?? 0;
      return 0;
    }
    const result = setOption(entry, this.#optionOwner(entry), level, name, value);
    if (result === 0 && entry.endpoint instanceof TcpConnection) entry.endpoint.optionsChanged();
    return result;
  }

  /** getsockopt(2). @returns undefined: -ENOPROTOOPT. */
  getOption(fd: number, level: number, name: number): OptionValue | undefined {
    const entry = this.#entries.get(fd);
    if (entry === undefined) return undefined;
    const { endpoint } = entry;
    if (level === SOL.tcp && name === TCP.maximumSegment && endpoint instanceof TcpConnection) {
      return endpoint.segment;
    }
    if (level === SOL.socket) {
      switch (name) {
        case SO.error:
          return this.#takeError(entry);
        case SO.type:
          return entry.type;
        case SO.domain:
          return entry.family;
        case SO.protocol:
          return entry.protocol;
        case SO.acceptConnections:
          return Number(entry.endpoint instanceof TcpListener);
        default:
          break;
      }
    }
    return getOption(entry, this.#optionOwner(entry), level, name);
  }

  /** ioctl(2): octets that can be read, octets unsent, at the urgent mark. */
  ioctl(fd: number, request: number): number {
    const entry = this.#entries.get(fd);
    if (entry === undefined) return -ERRNO.EBADF;
    const { endpoint } = entry;
    switch (request) {
      case IOCTL.readable:
        if (endpoint instanceof TcpConnection) return endpoint.queue.readable;
        if (endpoint instanceof UdpSocket || endpoint instanceof RawSocket) {
          return endpoint.queue.nextLength;
        }
        return -ERRNO.EINVAL;
      case IOCTL.unsent:
        return endpoint instanceof TcpConnection ? endpoint.sendLength : -ERRNO.EINVAL;
      case IOCTL.atMark:
        return endpoint instanceof TcpConnection ? Number(endpoint.isAtMark) : -ERRNO.EINVAL;
      default:
        return -ERRNO.ENOTTY;
    }
  }

  /** poll(2) of one descriptor. @returns POLL bits that hold now; -EBADF. */
  readiness(fd: number): number {
    const entry = this.#entries.get(fd);
    if (entry === undefined) return -ERRNO.EBADF;
    return entry.endpoint?.readiness() ?? POLL.out | POLL.hangUp;
  }

  /**
   * LWIPv6's lwip_event_subscribe: if one of `events` holds, says which; else calls `callback` once
   * when one does.
   * @returns bits that hold now; 0: the callback will come, `cancel` takes it back.
   */
  subscribe(
    fd: number,
    events: number,
    callback: (events: number) => void,
  ): { readonly now: number; cancel(): void } {
    const entry = this.#entries.get(fd);
    const wanted = events | POLL.error | POLL.hangUp;
    const now = this.readiness(fd);
    if (entry === undefined || now < 0) return { now: now < 0 ? POLL.error : now, cancel() {} };
    if ((now & wanted) !== 0) return { now: now & wanted, cancel() {} };
    const watcher = (): void => {
      const bits = this.#entries.has(fd) ? this.readiness(fd) & wanted : POLL.hangUp;
      if (bits === 0) return;
      entry.watchers.delete(watcher);
      callback(bits);
    };
    entry.watchers.add(watcher);
    return { now: 0, cancel: () => void entry.watchers.delete(watcher) };
  }

  /** The endpoint behind a descriptor, for what has no call. */
  endpoint(fd: number): Endpoint | undefined {
    return this.#entries.get(fd)?.endpoint;
  }

  /** Closes everything. */
  closeAll(): void {
    for (const fd of Array.from(this.#entries.keys())) this.close(fd);
  }

  #give(entry: Entry): number {
    const fd = this.#next++;
    this.#entries.set(fd, entry);
    return fd;
  }

  /** An address as the socket's family has it: IPv4 in IPv6 is mapped, which is the same here. */
  #fit(entry: Entry, address: IpAddress): IpAddress | undefined {
    if (address.isIpv4 && !entry.isIpv4) return entry.isIpv6Only ? undefined : address;
    if (!address.isIpv4 && entry.isIpv4) return address.isUnspecified ? ANY_IPV4 : undefined;
    return address;
  }

  #bindStream(entry: Entry, address: IpAddress, port: number, interfaceIndex: number): number {
    const { tcp } = this.stack;
    if (!address.isUnspecified) {
      const way = this.stack.ip.wayTo(address, undefined, interfaceIndex);
      if (typeof way === "number" || !way.isLocal) return -ERRNO.EADDRNOTAVAIL;
    }
    const chosen = port === 0 ? tcp.freePort(address) : port;
    if (chosen === 0) return -ERRNO.EADDRINUSE;
    if (port !== 0 && !entry.reuseAddress && !entry.reusePort && tcp.isPortUsed(port)) {
      const isTaken = tcp.listeners.some(
        (other) =>
          other.localPort === port &&
          (other.local.isUnspecified || address.isUnspecified || other.local.equals(address)),
      );
      if (isTaken) return -ERRNO.EADDRINUSE;
    }
    entry.local = { address, port: chosen, interfaceIndex };
    return 0;
  }

  #connectAgain(entry: Entry, connection: TcpConnection): number {
    if (connection.state === STATE.synSent || connection.state === STATE.synReceived) {
      return -ERRNO.EALREADY;
    }
    if (connection.state === STATE.closed) return this.#failed(entry, connection);
    if (entry.isConnectTold) return -ERRNO.EISCONN;
    entry.isConnectTold = true;
    return 0;
  }

  /** The attempt failed: the socket can be used for another one. */
  #failed(entry: Entry, connection: TcpConnection): number {
    const error = connection.takeError();
    entry.endpoint = undefined;
    return error === 0 ? -ERRNO.ECONNABORTED : error;
  }

  #receiveUrgent(connection: TcpConnection, into: Uint8Array, from: number): number {
    const octet = connection.readUrgent();
    if (octet < 0) return octet;
    into[from] = octet;
    return 1;
  }

  #takeError({ endpoint }: Entry): number {
    if (endpoint instanceof TcpConnection || endpoint instanceof UdpSocket) {
      return -endpoint.takeError();
    }
    return 0;
  }

  #optionOwner(entry: Entry): TcpOptions | UdpSocket | RawSocket {
    const { endpoint } = entry;
    if (endpoint instanceof TcpConnection || endpoint instanceof TcpListener) {
      return endpoint.options;
    }
    return endpoint ?? entry.tcp;
  }
}
