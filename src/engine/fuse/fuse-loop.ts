/**
 * Serves one FUSE mount on the calling thread. While the file system answers at once the thread
 * waits in poll(2), the shortest way there is. While a promise is pending, or the file system has
 * timers or sockets of its own, the thread lives in Node's event loop, and a helper thread waits in
 * its place.
 */
import { Worker } from "node:worker_threads";
import { ERRNO } from "../../base/index.ts";
import type { FuseServer } from "../../fuse/index.ts";
import type { FuseDevice } from "../../sys/index.ts";
import type { FuseHelperData } from "./fuse-helper.ts";

/** Requests after which timers and sockets get their turn. */
const REQUESTS_PER_TURN = 64;
/** Steps of promises that are waited for before the event loop is asked. */
const SETTLE_STEPS = 8;
/**
 * After that many requests one is looked for without waiting. A single program asks, waits, and
 * asks again, so that looking first would be in vain; several keep the device busy.
 */
const REQUESTS_PER_LOOK = 8;

const SETTLED = Promise.resolve();

/** What every thread of Node has. */
const OWN_RESOURCES: ReadonlySet<string> = new Set(["MessagePort", "CloseReq"]);

/** Why a mount is served no longer. */
export type LoopEnd = "unmounted" | "stopped" | "failed";

export class FuseLoop {
  readonly #device: FuseDevice;
  readonly #server: FuseServer;
  #bell: Bell | undefined;

  /** @param device waits for requests and for its stop descriptor. */
  constructor(device: FuseDevice, server: FuseServer) {
    this.#device = device;
    this.#server = server;
  }

  /** Serves until the mount is gone, or until the device's stop descriptor says so. */
  async run(): Promise<LoopEnd> {
    try {
      return await this.#run();
    } finally {
      this.#bell?.close();
    }
  }

  async #run(): Promise<LoopEnd> {
    const device = this.#device;
    const server = this.#server;
    let x = server.takeExchange();
    let isBusy = true;
    for (let requests = 1; ; ) {
      if (!isBusy) {
        if (this.#hasEvents()) await this.#ring();
        else device.wait();
        if (device.isStopped) return "stopped";
      }
      const octets = device.read(x.request.octets);
      if (octets > 0) {
        x = server.serve(x, octets);
        requests++;
        if (requests % REQUESTS_PER_LOOK === 0) isBusy = true;
        if (requests % REQUESTS_PER_TURN === 0 && this.#hasEvents()) await eventLoopTurn();
        if (server.pending > 0) await this.#settle();
      } else if (octets === -ERRNO.EAGAIN) isBusy = false;
      else if (octets !== -ERRNO.EINTR && octets !== -ERRNO.ENOENT) {
        // ENOENT: the request was taken back while it was read.
        return octets === -ERRNO.ENODEV ? "unmounted" : "failed";
      }
    }
  }

  /** Is there anything beside the device to wait for? */
  #hasEvents(): boolean {
    if (this.#server.pending > 0) return true;
    for (const kind of process.getActiveResourcesInfo()) if (!OWN_RESOURCES.has(kind)) return true;
    return false;
  }

  /** Most async functions only wait for values that are there. */
  async #settle(): Promise<void> {
    for (let step = 0; step < SETTLE_STEPS && this.#server.pending > 0; step++) {
      await SETTLED;
    }
  }

  #ring(): Promise<void> {
    this.#bell ??= new Bell(this.#device);
    return this.#bell.ring();
  }
}

function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A thread that waits in poll(2) for us. */
class Bell {
  readonly #armed = new Int32Array(new SharedArrayBuffer(4));
  readonly #device: FuseDevice;
  readonly #worker: Worker;

  constructor(device: FuseDevice) {
    const { descriptor, stop } = device;
    const workerData: FuseHelperData = { role: "bell", descriptor, stop, armed: this.#armed };
    this.#device = device;
    this.#worker = new Worker(new URL("./fuse-helper.js", import.meta.url), { workerData });
    this.#worker.unref();
  }

  /** Until the device can be read, or is to be left. */
  async ring(): Promise<void> {
    this.#worker.ref();
    this.#device.isStopped = await new Promise<boolean>((resolve) => {
      this.#worker.once("message", resolve);
      Atomics.store(this.#armed, 0, 1);
      Atomics.notify(this.#armed, 0);
    });
    this.#worker.unref();
  }

  /** To be called while nobody waits for it. */
  close(): void {
    void this.#worker.terminate();
  }
}
