/** Which events of a cable's descriptors a data plane waits for (epoll). */
import { type Epoll, READY } from "../sys/index.ts";
import type { SwitchEndpoint } from "./switch-endpoint.ts";

/** From now on its descriptors are waited for: to be readable, and to hang up. */
export function watchEndpoint(epoll: Epoll, endpoint: SwitchEndpoint): void {
  const { receiveFd, sendFd, hangUpFd } = endpoint.end;
  if (receiveFd >= 0) {
    epoll.add(receiveFd, endpoint.id, READY.readable);
    endpoint.interest = READY.readable;
  }
  if (sendFd >= 0 && sendFd !== receiveFd) epoll.add(sendFd, endpoint.id, 0);
  if (hangUpFd !== undefined) epoll.add(hangUpFd, endpoint.id, READY.readable);
}

/** Its descriptors are waited for no more. */
export function unwatchEndpoint(epoll: Epoll, endpoint: SwitchEndpoint): void {
  const { receiveFd, sendFd, hangUpFd } = endpoint.end;
  if (receiveFd >= 0) epoll.remove(receiveFd);
  if (sendFd >= 0 && sendFd !== receiveFd) epoll.remove(sendFd);
  if (hangUpFd !== undefined) epoll.remove(hangUpFd);
}

/** Whether it is read. */
export function watchInput(epoll: Epoll, endpoint: SwitchEndpoint, isWatched: boolean): void {
  setInterest(epoll, endpoint, READY.readable, isWatched);
}

/** Watches for room to send: on the one descriptor of most ends, on the second of a stream. */
export function watchRoom(epoll: Epoll, endpoint: SwitchEndpoint, isWaiting: boolean): void {
  const { receiveFd, sendFd } = endpoint.end;
  if (sendFd === receiveFd) {
    setInterest(epoll, endpoint, READY.writable, isWaiting);
    return;
  }
  const wanted = isWaiting ? READY.writable : 0;
  if (wanted === endpoint.sendInterest || endpoint.isClosed || sendFd < 0) return;
  endpoint.sendInterest = wanted;
  epoll.modify(sendFd, endpoint.id, wanted);
}

function setInterest(epoll: Epoll, endpoint: SwitchEndpoint, bit: number, isSet: boolean): void {
  const wanted = isSet ? endpoint.interest | bit : endpoint.interest & ~bit;
  if (wanted === endpoint.interest || endpoint.isClosed || endpoint.end.receiveFd < 0) return;
  endpoint.interest = wanted;
  epoll.modify(endpoint.end.receiveFd, endpoint.id, wanted);
}
