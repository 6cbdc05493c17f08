/** What the table of descriptors keeps of each socket. */
import type { IpAddress } from "../address.ts";
import type { Endpoint } from "../endpoint.ts";
import type { RawSocket } from "../raw.ts";
import { defaultTcpOptions, type TcpConnection, type TcpOptions } from "../tcp/connection.ts";
import type { TcpListener } from "../tcp/listener.ts";
import type { UdpSocket } from "../udp-socket.ts";
import { AF } from "./constants.ts";
import type { GeneralOptions } from "./socket-options.ts";

/** Where a socket is, or whom it talks to. */
export interface SocketAddress {
  readonly address: IpAddress;
  readonly port: number;
  /** Of link-local addresses and groups; 0: none. */
  readonly interfaceIndex?: number;
}

/** One descriptor. */
export class SocketEntry implements GeneralOptions {
  readonly family: number;
  readonly type: number;
  readonly protocol: number;
  reuseAddress = false;
  reusePort = false;
  isIpv6Only = false;
  interfaceIndex = 0;
  /** Of a stream socket before it is connected or listens. */
  local: SocketAddress | undefined;
  readonly tcp: TcpOptions = defaultTcpOptions();
  endpoint: UdpSocket | RawSocket | TcpConnection | TcpListener | undefined;
  /** The connection attempt has been told about. */
  isConnectTold = false;
  readonly watchers = new Set<() => void>();

  constructor(family: number, type: number, protocol: number) {
    this.family = family;
    this.type = type;
    this.protocol = protocol;
  }

  get isIpv4(): boolean {
    return this.family === AF.inet;
  }

  attach(endpoint: NonNullable<SocketEntry["endpoint"]>): void {
    this.endpoint = endpoint;
    (endpoint as Endpoint).onReady = () => {
      for (const watcher of Array.from(this.watchers)) watcher();
    };
  }
}
