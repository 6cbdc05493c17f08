/**
 * A thread beside one that serves a FUSE mount. As *bell* it waits until the device can be read. As
 * *herald* it tells the kernel what to forget: such a message may wait for a directory whose user
 * waits for the serving thread, so that one must never write it itself.
 */
import { parentPort, workerData } from "node:worker_threads";
import { closeFd, waitReadable, writeFd } from "../sys/index.ts";

export type FuseHelperData =
  | {
      readonly role: "bell";
      readonly descriptor: number;
      /** 1: ring when the device can be read. */
      readonly armed: Int32Array;
      /** Pipe whose other end is closed when the thread is to end. */
      readonly end: number;
    }
  | { readonly role: "herald"; readonly descriptor: number };

const data = workerData as FuseHelperData;

function bell(descriptor: number, armed: Int32Array, end: number): void {
  for (;;) {
    Atomics.wait(armed, 0, 0);
    const [, isOver] = waitReadable([descriptor, end]);
    if (isOver !== 0) break;
    Atomics.store(armed, 0, 0);
    parentPort!.postMessage(undefined);
  }
  closeFd(end);
}

if (data.role === "bell") bell(data.descriptor, data.armed, data.end);
else {
  // ENOENT: the kernel does not know it, so there is nothing to forget.
  parentPort!.on("message", (message: Uint8Array) => {
    writeFd(data.descriptor, message, message.length);
  });
}
