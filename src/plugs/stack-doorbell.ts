/** The thread that waits for a runner's descriptors (stack-loop.ts). */
import { parentPort, workerData } from "node:worker_threads";
import { Epoll, READY } from "../sys/index.ts";
import { DOORBELL, type DoorbellData } from "./stack-loop.ts";

const { fd, bellFd, state } = workerData as DoorbellData;
const shared = new Int32Array(state);
const epoll = new Epoll();
epoll.add(fd, 1, READY.readable);
epoll.add(bellFd, 2, READY.readable);
for (;;) {
  Atomics.wait(shared, 0, DOORBELL.working);
  if (Atomics.load(shared, 0) === DOORBELL.over) break;
  if (epoll.wait(-1) === 0) continue;
  if (Atomics.load(shared, 0) === DOORBELL.over) break;
  // Whoever rings does not ring again before the loop has looked.
  Atomics.store(shared, 0, DOORBELL.working);
  parentPort!.postMessage(0);
}
epoll.close();
