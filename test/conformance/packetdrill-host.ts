/**
 * The other side of packetdrill-shim.c: a stack in virtual time that answers a script's system
 * calls over a Unix socket. `usleep` moves the clock; a script that waits for a packet moves it to
 * the next deadline; so a pause of a minute costs nothing.
 */
import { createServer, type Server, type Socket } from "node:net";
import { ERRNO, type FramePool, ManualClock, OFFLOAD } from "../../src/base/index.ts";
import {
  AF,
  IpAddress,
  IpPrefix,
  type Link,
  POLL,
  SOL,
  type SocketAddress,
  Sockets,
  Stack,
  TCP,
  TcpConnection,
  tcpInfo,
} from "../../src/lwipv6/index.ts";
import { completeChecksum } from "../../src/wire/index.ts";

const OP = {
  socket: 1,
  bind: 2,
  listen: 3,
  accept: 4,
  connect: 5,
  receive: 6,
  send: 7,
  fcntl: 8,
  ioctl: 9,
  close: 10,
  shutdown: 11,
  getOption: 12,
  setOption: 13,
  poll: 14,
  netdevSend: 15,
  netdevReceive: 16,
  usleep: 17,
  time: 18,
} as const;

const HEAD_OCTETS = 4 + 4 + 6 * 8;
const NON_BLOCK = 0o4000;
const MSG_DONTWAIT = 0x40;
const TCP_CC_INFO = 26;
const SO_MEMINFO = 55;
const F_GETFL = 3;
const F_SETFL = 4;
/** Virtual time at the start of a script, in microseconds: not zero, which means "never". */
const START_US = 1_000_000;
/** packetdrill spins through the last part of a wait: each look at the clock takes this long. */
const LOOK_US = 1;
/** Real time that a call of the other thread is given to arrive before the clock jumps. */
const GRACE_MS = 3;
/** Virtual time after which no packet is waited for any more. */
const WAIT_MAX_US = 3_600_000_000;

interface Request {
  readonly operation: number;
  readonly argument: readonly number[];
  readonly octets: Uint8Array;
}

interface Answer {
  readonly result: number;
  readonly values?: readonly [number, number];
  readonly octets?: Uint8Array;
}

/** What the script's side of the wire gets, with the time it left at. */
interface Sent {
  readonly octets: Uint8Array;
  readonly atUs: number;
}

export interface HostOptions {
  readonly socketPath: string;
  readonly version: "ipv4" | "ipv6" | "ipv4-mapped-ipv6";
}

/** Addresses that packetdrill takes unless it is told others. */
export const ADDRESSES = {
  local4: "192.168.0.1",
  local6: "fd3d:fa7b:d17d::1",
} as const;

/** One script's stack; `close` ends it. */
export class PacketdrillHost {
  readonly #clock = new ManualClock();
  readonly #stack: Stack;
  readonly #sockets: Sockets;
  readonly #server: Server;
  readonly #sent: Sent[] = [];
  readonly #nonBlocking = new Set<number>();
  readonly #slots = new Int32Array(1);
  readonly #connections = new Set<Socket>();
  #us = START_US;
  /** Blocked calls, which look again after each step. */
  readonly #blocked = new Set<() => void>();

  private constructor(version: HostOptions["version"], server: Server) {
    this.#server = server;
    this.#clock.advance(START_US / 1000);
    this.#stack = new Stack({
      secret: new Uint8Array(16).fill(7),
      clock: this.#clock,
      arena: { frames: 512, blocks: 2048 },
    });
    const link: Link = {
      kind: "ip",
      // The scripts' segments of 1460 octets, also with the longer header.
      mtuOctets: version === "ipv6" ? 1520 : 1500,
      offload: false,
      send: (pool, slots, from, count) => this.#transmit(pool, slots, from, count),
    };
    const tun = this.#stack.addInterface(link, "tn0");
    this.#stack.setUp(tun);
    const is6 = version === "ipv6";
    const local = IpAddress.parse(is6 ? ADDRESSES.local6 : ADDRESSES.local4);
    this.#stack.addAddress(tun, local, is6 ? 48 : 16);
    const any = is6 ? new IpAddress(0, 0, 0, 0) : IpAddress.ipv4(0);
    const prefix = IpPrefix.of(any, 0);
    this.#stack.addRoute({ prefix, interface: tun, metric: 0, origin: "static" });
    this.#sockets = new Sockets(this.#stack);
    server.on("connection", (socket) => this.#connected(socket));
  }

  static async open(options: HostOptions): Promise<PacketdrillHost> {
    const server = createServer();
    const host = new PacketdrillHost(options.version, server);
    await new Promise<void>((resolve) => server.listen(options.socketPath, resolve));
    return host;
  }

  close(): void {
    for (const socket of this.#connections) socket.destroy();
    this.#server.close();
  }

  #connected(socket: Socket): void {
    this.#connections.add(socket);
    let waiting = Buffer.alloc(0);
    let turn = Promise.resolve();
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      waiting = Buffer.concat([waiting, chunk]);
      while (waiting.length >= 4 && waiting.length >= 4 + waiting.readUInt32LE(0)) {
        const length = 4 + waiting.readUInt32LE(0);
        const message = waiting.subarray(0, length);
        waiting = waiting.subarray(length);
        const request: Request = {
          operation: message.readUInt32LE(4),
          argument: [0, 1, 2, 3, 4, 5].map((i) => Number(message.readBigInt64LE(8 + 8 * i))),
          octets: Uint8Array.from(message.subarray(HEAD_OCTETS)),
        };
        turn = turn.then(async () => reply(socket, await this.#perform(request)));
      }
    });
  }

  #transmit(pool: FramePool, slots: Int32Array, from: number, count: number): number {
    for (let i = from; i < from + count; i++) {
      if (pool.offload[slots[i]!] === OFFLOAD.checksum) completeChecksum(pool, slots[i]!);
      this.#sent.push({ octets: pool.frame(slots[i]!).slice(), atUs: this.#us });
    }
    return count;
  }

  #advance(us: number): void {
    this.#us += us;
    this.#clock.advance(us / 1000);
  }

  /** Lets deadlines come up to a time, each at its own. */
  #runTo(us: number): void {
    for (;;) {
      const nextMs = this.#stack.core.timers.nextMs();
      const nextUs = Math.ceil(nextMs * 1000);
      if (nextUs > us) break;
      // At least one: the clock has fractions that sums of them miss.
      this.#advance(Math.max(1, nextUs - this.#us));
      this.#stack.poll(this.#clock.nowMs());
    }
    this.#advance(Math.max(0, us - this.#us));
    this.#stack.poll(this.#clock.nowMs());
    this.#wake();
  }

  #wake(): void {
    for (const look of Array.from(this.#blocked)) look();
  }

  /** Repeats a call that would block until it does not, while others move the clock. */
  async #blocking(call: () => number, isWaiting: boolean): Promise<number> {
    const first = call();
    if (
      !isWaiting ||
      (first !== -ERRNO.EAGAIN && first !== -ERRNO.EINPROGRESS && first !== -ERRNO.EALREADY)
    ) {
      return first;
    }
    return await new Promise((resolve) => {
      const look = (): void => {
        const result = call();
        if (result === -ERRNO.EAGAIN || result === -ERRNO.EALREADY || result === -ERRNO.EINPROGRESS)
          return;
        this.#blocked.delete(look);
        resolve(result);
      };
      this.#blocked.add(look);
    });
  }

  async #perform({ operation, argument, octets }: Request): Promise<Answer> {
    const [fd = 0, a = 0, b = 0] = argument;
    const sockets = this.#sockets;
    switch (operation) {
      case OP.socket: {
        const made = sockets.socket(fd, a, b);
        if (made >= 0 && (a & NON_BLOCK) !== 0) this.#nonBlocking.add(made);
        return { result: made };
      }
      case OP.bind:
        return { result: sockets.bind(fd, readAddress(octets)) };
      case OP.listen:
        return { result: sockets.listen(fd, a) };
      case OP.accept: {
        const made = await this.#blocking(() => sockets.accept(fd), this.#waits(fd, 0));
        if (made < 0) return { result: made };
        const peer = sockets.remoteAddress(made);
        return {
          result: made,
          octets:
            typeof peer === "number" ? new Uint8Array() : writeAddress(peer, this.#family(fd)),
        };
      }
      case OP.connect: {
        const to = readAddress(octets);
        const result = await this.#blocking(() => sockets.connect(fd, to), this.#waits(fd, 0));
        return { result: result === -ERRNO.EISCONN && this.#waits(fd, 0) ? 0 : result };
      }
      case OP.receive:
        return await this.#receive(fd, a, b);
      case OP.send:
        return await this.#send(fd, a, b, octets);
      case OP.fcntl:
        if (a === F_GETFL) return { result: this.#nonBlocking.has(fd) ? NON_BLOCK | 2 : 2 };
        if (a === F_SETFL) {
          if ((b & NON_BLOCK) !== 0) this.#nonBlocking.add(fd);
          else this.#nonBlocking.delete(fd);
        }
        return { result: 0 };
      case OP.ioctl: {
        const value = sockets.ioctl(fd, a);
        if (value < 0) return { result: value };
        return { result: 0, octets: Uint8Array.from(new Uint8Array(Int32Array.of(value).buffer)) };
      }
      case OP.close:
        return { result: sockets.close(fd) };
      case OP.shutdown:
        return { result: sockets.shutdown(fd, a) };
      case OP.getOption: {
        const endpoint = sockets.endpoint(fd);
        if (a === SOL.tcp && b === TCP.info && endpoint instanceof TcpConnection) {
          const info = tcpInfo(endpoint, this.#clock.nowMs());
          return { result: 0, octets: info.subarray(0, argument[3]) };
        }
        // Asked for by every script that looks at TCP_INFO: nothing is known of them here.
        if ((a === SOL.tcp && b === TCP_CC_INFO) || (a === SOL.socket && b === SO_MEMINFO)) {
          return { result: 0, octets: new Uint8Array(argument[3] ?? 0) };
        }
        const value = sockets.getOption(fd, a, b);
        if (value === undefined) return { result: -ERRNO.ENOPROTOOPT };
        if (typeof value === "string") return { result: 0, octets: Buffer.from(`${value}\0`) };
        return { result: 0, octets: new Uint8Array(Int32Array.of(value).buffer) };
      }
      case OP.setOption:
        return { result: this.#setOption(fd, a, b, octets) };
      case OP.poll:
        return await this.#poll(fd, octets);
      case OP.netdevSend:
        this.#input(octets);
        return { result: 0 };
      case OP.netdevReceive:
        return await this.#nextPacket();
      case OP.usleep:
        this.#runTo(this.#us + fd);
        return { result: 0 };
      case OP.time:
        this.#runTo(this.#us + LOOK_US);
        return { result: 0, values: [this.#us, 0] };
      default:
        return { result: -ERRNO.ENOSYS };
    }
  }

  #family(fd: number): number {
    const family = this.#sockets.getOption(fd, 1, 39);
    return typeof family === "number" ? family : AF.inet;
  }

  #waits(fd: number, flags: number): boolean {
    return !this.#nonBlocking.has(fd) && (flags & MSG_DONTWAIT) === 0;
  }

  async #receive(fd: number, room: number, flags: number): Promise<Answer> {
    const into = new Uint8Array(room);
    let from: SocketAddress | undefined;
    const call = (): number => {
      const got = this.#sockets.receiveFrom(fd, into, flags);
      if (typeof got === "number") return got;
      ({ from } = got);
      return got.count;
    };
    const count = await this.#blocking(call, this.#waits(fd, flags));
    if (count < 0) return { result: count };
    const address = from === undefined ? new Uint8Array() : writeAddress(from, this.#family(fd));
    const octets = new Uint8Array(address.length + count);
    octets.set(address);
    octets.set(into.subarray(0, count), address.length);
    return { result: count, values: [address.length, 0], octets };
  }

  async #send(fd: number, flags: number, nameOctets: number, octets: Uint8Array): Promise<Answer> {
    const to = nameOctets > 0 ? readAddress(octets.subarray(0, nameOctets)) : undefined;
    const data = octets.subarray(nameOctets);
    let at = 0;
    const call = (): number => {
      const taken = this.#sockets.send(fd, data, flags, to, at);
      if (taken < 0) return taken;
      at += taken;
      // A blocking write goes on until everything is taken.
      return at < data.length && this.#waits(fd, flags) ? -ERRNO.EAGAIN : at;
    };
    const result = await this.#blocking(call, this.#waits(fd, flags));
    return { result: result < 0 && at > 0 ? at : result };
  }

  #setOption(fd: number, level: number, name: number, octets: Uint8Array): number {
    const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
    // SO_LINGER is a structure, TCP_CONGESTION a name.
    if (level === 1 && name === 13) {
      const value = view.getInt32(0, true) === 0 ? -1 : view.getInt32(4, true);
      return this.#sockets.setOption(fd, level, name, value);
    }
    if (level === 6 && name === 13) {
      const text = Buffer.from(octets).toString().split("\0")[0]!;
      return this.#sockets.setOption(fd, level, name, text);
    }
    const value = octets.length >= 4 ? view.getInt32(0, true) : (octets[0] ?? 0);
    return this.#sockets.setOption(fd, level, name, value);
  }

  /** poll(2): struct pollfd is 8 octets. */
  async #poll(timeoutMs: number, octets: Uint8Array): Promise<Answer> {
    const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
    const untilUs = timeoutMs < 0 ? Number.POSITIVE_INFINITY : this.#us + timeoutMs * 1000;
    const look = (): number => {
      let count = 0;
      for (let at = 0; at < octets.length; at += 8) {
        const bits = this.#sockets.readiness(view.getInt32(at, true));
        const wanted = view.getInt16(at + 4, true) | POLL.error | POLL.hangUp;
        const found = bits < 0 ? 0x20 : bits & wanted;
        view.setInt16(at + 6, found, true);
        if (found !== 0) count++;
      }
      return count > 0 || this.#us >= untilUs ? count : -ERRNO.EAGAIN;
    };
    const result = await this.#blocking(look, timeoutMs !== 0);
    return { result: Math.max(0, result), octets };
  }

  #input(octets: Uint8Array): void {
    const { pool } = this.#stack.core;
    const slot = pool.take();
    pool.octets.set(octets, pool.start[slot]);
    pool.length[slot] = octets.length;
    this.#slots[0] = slot;
    this.#stack.input(this.#stack.interface("tn0")!, this.#slots, 1, this.#clock.nowMs());
    this.#wake();
  }

  /** The next packet that leaves; the clock goes on until there is one. */
  async #nextPacket(): Promise<Answer> {
    const fromUs = this.#us;
    for (let tries = 0; ; tries++) {
      const sent = this.#sent.shift();
      if (sent !== undefined) return { result: 0, values: [sent.atUs, 0], octets: sent.octets };
      if (this.#us - fromUs > WAIT_MAX_US) return { result: -ERRNO.ETIMEDOUT };
      if (tries % 64 === 0) {
        await new Promise((resolve) => setTimeout(resolve, GRACE_MS));
        continue;
      }
      const nextMs = this.#stack.core.timers.nextMs();
      if (nextMs === Number.POSITIVE_INFINITY) {
        // Nothing will ever come: the script is told by an error.
        return { result: -ERRNO.ETIMEDOUT };
      }
      this.#runTo(Math.ceil(nextMs * 1000));
    }
  }
}

function reply(socket: Socket, answer: Answer): void {
  const octets = answer.octets ?? new Uint8Array();
  const message = Buffer.alloc(36 + octets.length);
  message.writeUInt32LE(32 + octets.length, 0);
  message.writeBigInt64LE(BigInt(answer.result < 0 ? -1 : answer.result), 4);
  message.writeBigInt64LE(BigInt(answer.result < 0 ? -answer.result : 0), 12);
  message.writeBigInt64LE(BigInt(answer.values?.[0] ?? 0), 20);
  message.writeBigInt64LE(BigInt(answer.values?.[1] ?? 0), 28);
  message.set(octets, 36);
  socket.write(message);
}

/** struct sockaddr_in, struct sockaddr_in6. */
function readAddress(octets: Uint8Array): SocketAddress {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  const port = octets.length >= 4 ? view.getUint16(2) : 0;
  const is6 = octets.length >= 24 && view.getUint16(0, true) === AF.inet6;
  if (is6) return { address: IpAddress.read(octets, 8, 16), port };
  return { address: octets.length >= 8 ? IpAddress.read(octets, 4, 4) : IpAddress.ipv4(0), port };
}

function writeAddress({ address, port }: SocketAddress, family: number): Uint8Array {
  const octets = new Uint8Array(family === AF.inet6 ? 28 : 16);
  const view = new DataView(octets.buffer);
  view.setUint16(0, family, true);
  view.setUint16(2, port);
  if (family === AF.inet6) address.writeWhole(octets, 8);
  else address.write(octets, 4);
  return octets;
}
