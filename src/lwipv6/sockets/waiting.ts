/** Calls of sockets that wait: promises, which an AbortSignal ends. */
import { ERRNO, errnoName, errnoText, V2Error } from "../../base/index.ts";
import type { IpAddress } from "../address.ts";
import { POLL } from "../endpoint.ts";
import type { SocketAddress } from "./socket-entry.ts";
import type { Received, Sockets } from "./sockets.ts";

/** A failed call as an exception: `code` is the errno's name. */
export function socketError(result: number, what: string): V2Error {
  return new V2Error(errnoName(-result), `${what}: ${errnoText(-result)}`);
}

/** Waits until one of POLL bits holds. @returns those that do. @throws the signal's reason. */
export function ready(
  sockets: Sockets,
  fd: number,
  events: number,
  signal?: AbortSignal,
): Promise<number> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => {
      subscription.cancel();
      reject(signal!.reason as Error);
    };
    const subscription = sockets.subscribe(fd, events, (bits) => {
      signal?.removeEventListener("abort", onAbort);
      resolve(bits);
    });
    if (subscription.now !== 0) resolve(subscription.now);
    else signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** Repeats a call until it does not say EAGAIN. @throws V2Error whose code is the errno's name. */
async function until<T>(
  sockets: Sockets,
  fd: number,
  events: number,
  what: string,
  call: () => T | number,
  signal: AbortSignal | undefined,
): Promise<T> {
  for (;;) {
    const result = call();
    if (typeof result !== "number" || result >= 0) return result as T;
    if (result !== -ERRNO.EAGAIN) throw socketError(result, what);
    await ready(sockets, fd, events, signal);
  }
}

/** connect(2) that waits. @throws V2Error ECONNREFUSED, ETIMEDOUT, ENETUNREACH … */
export async function connect(
  sockets: Sockets,
  fd: number,
  to: SocketAddress,
  signal?: AbortSignal,
): Promise<void> {
  const what = `connect to ${printEnd(to.address, to.port)}`;
  let result = sockets.connect(fd, to);
  while (result === -ERRNO.EINPROGRESS || result === -ERRNO.EALREADY) {
    await ready(sockets, fd, POLL.out, signal);
    result = sockets.connect(fd, to);
  }
  if (result < 0 && result !== -ERRNO.EISCONN) throw socketError(result, what);
}

/** accept(2) that waits. @returns the new descriptor. */
export async function accept(sockets: Sockets, fd: number, signal?: AbortSignal): Promise<number> {
  return await until(sockets, fd, POLL.in, "accept", () => sockets.accept(fd), signal);
}

/** Sends all of it. */
export async function sendAll(
  sockets: Sockets,
  fd: number,
  octets: Uint8Array,
  signal?: AbortSignal,
): Promise<void> {
  for (let at = 0; at < octets.length; ) {
    const send = (): number => sockets.send(fd, octets, 0, undefined, at);
    at += await until<number>(sockets, fd, POLL.out, "send", send, signal);
  }
}

/** recv(2) that waits. @returns octets; 0: the peer has ended. */
export async function receive(
  sockets: Sockets,
  fd: number,
  into: Uint8Array,
  signal?: AbortSignal,
): Promise<number> {
  const call = (): number => sockets.receive(fd, into);
  return await until(sockets, fd, POLL.in, "receive", call, signal);
}

/** recvfrom(2) that waits. */
export async function receiveFrom(
  sockets: Sockets,
  fd: number,
  into: Uint8Array,
  signal?: AbortSignal,
): Promise<Received> {
  const call = (): Received | number => sockets.receiveFrom(fd, into);
  return await until<Received>(sockets, fd, POLL.in, "receive", call, signal);
}

/** "10.0.0.1:80", "[fd00::1]:80" */
export function printEnd(address: IpAddress, port: number): string {
  return address.isIpv4 ? `${address.toString()}:${port}` : `[${address.toString()}]:${port}`;
}
