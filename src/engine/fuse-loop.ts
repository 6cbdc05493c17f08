/**
 * Serves one FUSE mount on the calling thread. While the file system answers at once the thread
 * waits in read(2) of the device, the shortest way there is. While a promise is pending, or the
 * file system has timers or sockets of its own, the thread lives in Node's event loop, and a helper
 * thread tells when a request has come.
 */
import { Worker } from "node:worker_threads";
import { ERRNO } from "../base/index.ts";
import { type Exchange, type FuseServer, IN_HEADER, OPCODE } from "../fuse/index.ts";
import { closeFd, type FuseDevice, makePipe } from "../sys/index.ts";
import type { FuseHelperData } from "./fuse-helper.ts";

/** `unique` of the wake-up that ends a loop. Requests of the kernel have even numbers. */
export const STOP_UNIQUE = 0x5709;

/** Requests after which timers and sockets get their turn. */
const REQUESTS_PER_TURN = 64;
/** Steps of promises that are waited for before the event loop is asked. */
const SETTLE_STEPS = 8;

const SETTLED = Promise.resolve();

/** What every thread of Node has. */
const OWN_RESOURCES: ReadonlySet<string> = new Set(["MessagePort", "CloseReq"]);

/** Why a mount is served no longer. */
export type LoopEnd = "unmounted" | "stopped" | "failed";

export class FuseLoop {
  readonly #device: FuseDevice;
  readonly #server: FuseServer;
  #bell: Bell | undefined;
  #isStopping = false;

  constructor(device: FuseDevice, server: FuseServer) {
    this.#device = device;
    this.#server = server;
  }

  /** Serves until the mount is gone, or until it is told to stop (`STOP_UNIQUE`). */
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
    for (let requests = 1; ; requests++) {
      if (server.pending > 0) await this.#settle();
      if (this.#isStopping) return "stopped";
      const hasEvents = this.#hasEvents();
      device.waits = !hasEvents;
      const octets = device.read(x.request.octets);
      if (octets > 0) {
        if (isStop(x, octets)) return "stopped";
        x = server.serve(x, octets);
        if (hasEvents && requests % REQUESTS_PER_TURN === 0) await eventLoopTurn();
      } else if (octets === -ERRNO.EAGAIN) {
        if (hasEvents) await this.#ring();
      } else if (octets !== -ERRNO.EINTR && octets !== -ERRNO.ENOENT) {
        // ENOENT: the request was taken back while it was read.
        return octets === -ERRNO.ENODEV ? "unmounted" : "failed";
      }
    }
  }

  /**
   * Ends the service at the next turn of the event loop. A thread that waits in read(2) is woken by
   * `STOP_UNIQUE`; that cannot come when the mount is gone and the kernel waits for its last pages.
   */
  stop(): void {
    this.#isStopping = true;
    this.#bell?.wake();
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
    this.#bell ??= new Bell(this.#device.descriptor);
    return this.#bell.ring();
  }
}

function isStop({ request }: Exchange, octets: number): boolean {
  return (
    octets >= IN_HEADER.octets &&
    request.opcode === OPCODE.notifyReply &&
    request.unique === STOP_UNIQUE
  );
}

function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A thread that waits in poll(2) for us. */
class Bell {
  readonly #armed = new Int32Array(new SharedArrayBuffer(4));
  /** Closing it ends the thread, wherever it waits. */
  readonly #end: number;
  readonly #worker: Worker;
  #rung: (() => void) | undefined;

  constructor(descriptor: number) {
    const [end, writing] = makePipe();
    this.#end = writing;
    const workerData: FuseHelperData = { role: "bell", descriptor, armed: this.#armed, end };
    this.#worker = new Worker(new URL("./fuse-helper.js", import.meta.url), { workerData });
    this.#worker.on("message", () => this.wake());
    this.#worker.unref();
  }

  /** Until the device can be read, or `wake`. */
  async ring(): Promise<void> {
    this.#worker.ref();
    await new Promise<void>((resolve) => {
      this.#rung = resolve;
      this.#arm();
    });
    this.#worker.unref();
  }

  /** Whoever waits for the bell waits no longer. */
  wake(): void {
    this.#rung?.();
    this.#rung = undefined;
  }

  #arm(): void {
    Atomics.store(this.#armed, 0, 1);
    Atomics.notify(this.#armed, 0);
  }

  close(): void {
    closeFd(this.#end);
    this.#arm();
  }
}
