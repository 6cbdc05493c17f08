/** A socket that waits for connections: RFC 9293 §3.9.1.1 OPEN passive. */
import type { IpAddress } from "../address.ts";
import { type Endpoint, POLL } from "../endpoint.ts";
import type { TcpConnection, TcpOptions } from "./connection.ts";

/** What a listener asks of the machine. */
export interface ListenerOwner {
  closeListener(listener: TcpListener): void;
}

export interface ListenerEnds {
  /** Unspecified: any address; of IPv6 also IPv4's, unless `isIpv6Only`. */
  readonly local: IpAddress;
  readonly localPort: number;
  /** 0: any. */
  readonly interfaceIndex: number;
  readonly isIpv6Only: boolean;
  /** Several may listen at the same port (SO_REUSEPORT); connections are spread. */
  readonly isShared: boolean;
}

/** A listening port; `accept` hands connections out. */
export class TcpListener implements Endpoint, ListenerEnds {
  readonly local: IpAddress;
  readonly localPort: number;
  readonly interfaceIndex: number;
  readonly isIpv6Only: boolean;
  readonly isShared: boolean;
  /** Connections inherit them. */
  readonly options: TcpOptions;
  /** Connections that wait to be accepted at most. */
  backlog: number;
  onReady: (() => void) | undefined;
  /** Handshakes under way. */
  handshakes = 0;
  isClosed = false;
  readonly #ready: TcpConnection[] = [];
  readonly #owner: ListenerOwner;

  constructor(owner: ListenerOwner, ends: ListenerEnds, options: TcpOptions, backlog: number) {
    this.#owner = owner;
    this.local = ends.local;
    this.localPort = ends.localPort;
    this.interfaceIndex = ends.interfaceIndex;
    this.isIpv6Only = ends.isIpv6Only;
    this.isShared = ends.isShared;
    this.options = options;
    this.backlog = backlog;
  }

  /** Connections that wait. */
  get waiting(): number {
    return this.#ready.length;
  }

  /** No more may wait; as Linux has it, one more than the backlog says. */
  get isFull(): boolean {
    return this.#ready.length > this.backlog;
  }

  readiness(): number {
    return this.#ready.length > 0 ? POLL.in : 0;
  }

  /** A connection whose handshake is over. */
  push(connection: TcpConnection): void {
    this.#ready.push(connection);
  }

  /** The connection that has waited longest; undefined: none waits. */
  accept(): TcpConnection | undefined {
    const connection = this.#ready.shift();
    if (connection !== undefined) connection.listener = undefined;
    return connection;
  }

  /** A connection ended before it was accepted; one that was ready is still handed out. */
  drop(connection: TcpConnection): void {
    const at = this.#ready.indexOf(connection);
    if (at < 0) this.handshakes--;
  }

  /** Connections that nobody accepted are reset. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.onReady = undefined;
    this.#owner.closeListener(this);
  }

  /** Takes all that wait. */
  drain(): TcpConnection[] {
    return this.#ready.splice(0);
  }
}
