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
