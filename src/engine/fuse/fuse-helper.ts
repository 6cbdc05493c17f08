/**
 * A thread beside one that serves a FUSE mount. As *bell* it waits until the device can be read. As
 * *herald* it tells the kernel what to forget: such a message may wait for a directory whose user
 * waits for the serving thread, so that one must never write it itself.
 */
import { parentPort, workerData } from "node:worker_threads";
import { FuseDevice, writeFd } from "../../sys/index.ts";

export type FuseHelperData =
  | {
      readonly role: "bell";
      readonly descriptor: number;
      readonly stop: number;
      /** 1: ring when the device can be read. */
      readonly armed: Int32Array;
    }
  | { readonly role: "herald"; readonly descriptor: number };

const data = workerData as FuseHelperData;

function ring(device: FuseDevice, armed: Int32Array): never {
  for (;;) {
    Atomics.wait(armed, 0, 0);
    device.wait();
    Atomics.store(armed, 0, 0);
    parentPort!.postMessage(device.isStopped);
  }
}

if (data.role === "bell") ring(new FuseDevice(data.descriptor, data.stop), data.armed);
else {
  // ENOENT: the kernel does not know it, so there is nothing to forget.
  parentPort!.on("message", (message: Uint8Array) => {
    writeFd(data.descriptor, message, message.length);
  });
}
