/** LWIPv6: an IPv4/IPv6 stack as an object; see docs/lwipv6.md. */
export * from "./address.ts";
export * from "./arena.ts";
export * from "./core.ts";
export * from "./destination.ts";
export * from "./endpoint.ts";
export * from "./interface.ts";
export * from "./limits.ts";
export * from "./packet.ts";
export * from "./siphash.ts";
export * from "./timer-wheel.ts";
export * from "./addresses.ts";
export * from "./groups.ts";
export * from "./ip/filter.ts";
export * from "./loopback.ts";
export * from "./neighbour/autoconfiguration.ts";
export * from "./neighbour/neighbour.ts";
export * from "./routes.ts";
export * from "./stack.ts";
export {
  defaultTcpOptions,
  STATE,
  TcpConnection,
  type TcpOptions,
  type TcpStateName,
} from "./tcp/connection.ts";
export { TcpListener } from "./tcp/listener.ts";
export { type ConnectRequest, Tcp } from "./tcp/tcp.ts";
export * from "./datagram-queue.ts";
export * from "./dhcp-client.ts";
export * from "./raw.ts";
export * from "./udp-socket.ts";
export { Udp } from "./udp.ts";
export * from "./sockets/constants.ts";
export type { SocketAddress } from "./sockets/socket-entry.ts";
export * from "./sockets/sockets.ts";
export { tcpInfo } from "./sockets/tcp-info.ts";
export { printEnd } from "./sockets/waiting.ts";
export * as waiting from "./sockets/waiting.ts";
export * from "./config/conf.ts";
