/** Echo requests from a stack, and the way that they take: ping(8), traceroute(8). */
import { Icmp6View, IcmpView, IP_PROTOCOL, Ipv4View, emitIcmp } from "../wire/index.ts";
import {
  AF,
  type IpAddress,
  POLL,
  SO,
  SOCK,
  SOL,
  IP,
  IPV6,
  type Sockets,
  waiting,
} from "../lwipv6/index.ts";

/** What came back for one request. */
export interface PingAnswer {
  readonly sequence: number;
  /** Who answered: the target, or a router on the way. */
  readonly from: IpAddress;
  readonly kind: "reply" | "time-exceeded" | "unreachable";
  readonly hopLimit: number;
  readonly milliseconds: number;
}

const ECHO = { request: [8, 128], reply: [0, 129] } as const;
const UNREACHABLE = [3, 1] as const;
const TIME_EXCEEDED = [11, 3] as const;
const HEADER_OCTETS = 8;

/** Sends echo requests to one target; `close` frees its socket. */
export class Pinger {
  readonly #sockets: Sockets;
  readonly #target: IpAddress;
  readonly #fd: number;
  readonly #family: 0 | 1;
  readonly #identifier = (process.pid ^ Math.floor(Math.random() * 0x1_0000)) & 0xffff;
  readonly #buffer = new Uint8Array(65_536);

  /** @throws V2Error whose code is an errno's name. */
  constructor(sockets: Sockets, target: IpAddress, interfaceIndex = 0) {
    this.#sockets = sockets;
    this.#target = target;
    this.#family = target.isIpv4 ? 0 : 1;
    const protocol = target.isIpv4 ? IP_PROTOCOL.icmp : IP_PROTOCOL.icmp6;
    this.#fd = sockets.socket(target.isIpv4 ? AF.inet : AF.inet6, SOCK.raw, protocol);
    if (this.#fd < 0) throw waiting.socketError(this.#fd, "raw socket");
    if (interfaceIndex !== 0)
      sockets.setOption(this.#fd, SOL.socket, SO.bindToInterfaceIndex, interfaceIndex);
  }

  /** Hop limit of the requests from now on. */
  setHopLimit(hops: number): void {
    const [level, name] = this.#target.isIpv4
      ? [SOL.ip, IP.timeToLive]
      : [SOL.ipv6, IPV6.unicastHops];
    this.#sockets.setOption(this.#fd, level, name, hops);
  }

  /**
   * One request with `octets` of data. @returns undefined: nothing came in time.
   * @throws V2Error ENETUNREACH, EMSGSIZE …
   */
  async ping(sequence: number, octets: number, timeoutMs: number): Promise<PingAnswer | undefined> {
    const message = new Uint8Array(HEADER_OCTETS + octets);
    const payload = new Uint8Array(octets).map((_, at) => at);
    const identifier = this.#identifier;
    emitIcmp({ kind: "echo-request", identifier, sequence, payload }, message);
    message[0] = ECHO.request[this.#family];
    const sentMs = performance.now();
    const to = { address: this.#target, port: 0 };
    const result = this.#sockets.send(this.#fd, message, 0, to);
    if (result < 0) throw waiting.socketError(result, `ping ${this.#target.toString()}`);
    const signal = AbortSignal.timeout(timeoutMs);
    for (;;) {
      const got = this.#sockets.receiveFrom(this.#fd, this.#buffer);
      if (typeof got !== "number") {
        const answer = this.#read(got.count, sequence);
        if (answer === undefined || got.from === undefined) continue;
        const milliseconds = performance.now() - sentMs;
        return { sequence, from: got.from.address, ...answer, milliseconds };
      }
      try {
        await waiting.ready(this.#sockets, this.#fd, POLL.in, signal);
      } catch (error) {
        if (signal.aborted) return undefined;
        throw error;
      }
    }
  }

  close(): void {
    this.#sockets.close(this.#fd);
  }

  /** undefined: it is about something else. */
  #read(
    count: number,
    sequence: number,
  ): { readonly kind: PingAnswer["kind"]; readonly hopLimit: number } | undefined {
    const octets = this.#buffer.subarray(0, count);
    const ip = this.#family === 0 ? Ipv4View.over(octets) : undefined;
    const body = ip === undefined ? octets : octets.subarray(ip.headerOctets);
    const view = this.#family === 0 ? IcmpView.over(body) : Icmp6View.over(body);
    if (view === undefined) return undefined;
    const hopLimit = ip?.timeToLive ?? 0;
    const wanted = ((this.#identifier << 16) | sequence) >>> 0;
    if (view.type === ECHO.reply[this.#family]) {
      return view.rest === wanted ? { kind: "reply", hopLimit } : undefined;
    }
    const isOver = view.type === TIME_EXCEEDED[this.#family];
    if (!isOver && view.type !== UNREACHABLE[this.#family]) return undefined;
    const quoted = view.payload;
    const inner = this.#family === 0 ? (Ipv4View.over(quoted)?.headerOctets ?? 20) : 40;
    const echo = IcmpView.over(quoted.subarray(inner));
    if (echo === undefined || echo.rest !== wanted) return undefined;
    return { kind: isOver ? "time-exceeded" : "unreachable", hopLimit };
  }
}
