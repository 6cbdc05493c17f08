/**
 * Mounts of our own file systems. Two steps, because they may be different processes' rights: a
 * thread that has loaded the module and waits for a device (`FuseThread`), and mount(2) by whoever
 * may (`mountFuse`). `mountVirtualFiles` does both.
 */
import { pathToFileURL } from "node:url";
import { type MessagePort, Worker } from "node:worker_threads";
import { ERRNO, errnoName, errnoText, V2Error } from "../../base/index.ts";
import {
  closeFd,
  fuseMountData,
  makePipe,
  mount,
  openFuseDevice,
  umount2,
} from "../../sys/index.ts";
import { MS } from "../../viewos/index.ts";
import type {
  FuseHandOver,
  FuseWorkerData,
  FuseWorkerEvent,
  ModuleOfProgram,
  ModuleOfView,
} from "./fuse-worker.ts";

/** A file system that a module describes. */
export interface VirtualMountOptions {
  /** Path or file: URL of the module, whose default export has `mount`; or a module of a view. */
  readonly module: string | URL | ModuleOfView | ModuleOfProgram;
  /** What `mount -t` said; in the list of mounts it stands as `fuse.TYPE`. Default "v2". */
  readonly type?: string;
  readonly source?: string;
  readonly target: string;
  /** For the module: `a,b=c` as { a: "", b: "c" }. */
  readonly options?: { readonly [name: string]: string };
  /** MS_* flags; default MS.NOSUID | MS.NODEV. */
  readonly flags?: number;
  /** Who mounts, in the numbers of the mounter's user namespace; default: this process. */
  readonly uid?: number;
  readonly gid?: number;
  /** Others than that user see the files too; default: when that user is root there. */
  readonly allowOther?: boolean;
  /** The page cache collects writes; for file systems by nodes that nobody changes otherwise. */
  readonly writeback?: boolean;
  /** A function of the module threw something that is no errno. */
  readonly onProblem?: (message: string) => void;
}

/** File systems of our own, as modules: in memory, and a real directory. */
export const OWN_FILE_SYSTEMS: { readonly ram: URL; readonly real: URL } = {
  ram: new URL("./fuse-ram.js", import.meta.url),
  real: new URL("./fuse-real.js", import.meta.url),
};

const MNT_DETACH = 2;

/**
 * mount(2) of a device in the calling thread's mount namespace, root and working directory.
 * @returns 0, or the errno.
 */
export function mountFuse(descriptor: number, options: VirtualMountOptions): number {
  const { type = "v2", source = type } = options;
  const octets = (text: string): Uint8Array => new TextEncoder().encode(text);
  const uid = options.uid ?? process.getuid!();
  const gid = options.gid ?? process.getgid!();
  const allowOther = options.allowOther ?? uid === 0;
  return mount(
    octets(source),
    octets(options.target),
    octets(`fuse.${type}`),
    options.flags ?? MS.NOSUID | MS.NODEV,
    octets(fuseMountData({ descriptor, uid, gid, allowOther })),
  );
}

function placeOf(module: VirtualMountOptions["module"]): FuseWorkerData["module"] {
  if (module instanceof URL) return module.href;
  if (typeof module !== "string") return module;
  return module.startsWith("file:") ? module : pathToFileURL(module).href;
}

function portsOf(module: FuseWorkerData["module"]): MessagePort[] {
  return typeof module !== "string" && "port" in module ? [module.port] : [];
}

/** A thread with a module's file system, ready to serve one device. */
export class FuseThread {
  readonly #worker: Worker;
  readonly #onProblem: ((message: string) => void) | undefined;
  /** Resolves when the mount is served no longer; guests then get ENOTCONN. */
  readonly ended: Promise<void>;
  /** The device, and the pipe that the thread watches. */
  #descriptors: readonly number[] = [];
  /** The pipe's other end. */
  #stopping = -1;
  readonly #stopAtExit = (): void => this.stop();

  private constructor(worker: Worker, onProblem: ((message: string) => void) | undefined) {
    this.#worker = worker;
    this.#onProblem = onProblem;
    this.ended = new Promise((resolve) => {
      worker.once("exit", () => {
        process.off("exit", this.#stopAtExit);
        for (const descriptor of this.#descriptors) closeFd(descriptor);
        closeFd(this.#stopping);
        this.#stopping = -1;
        resolve();
      });
    });
    worker.on("error", (error) => onProblem?.(error.stack ?? error.message));
    worker.on("message", (event: FuseWorkerEvent) => {
      if (event.kind === "problem") this.#onProblem?.(event.message);
    });
  }

  /** Loads the module and asks it for its file system. @throws V2Error when it gives none. */
  static async start(options: VirtualMountOptions): Promise<FuseThread> {
    const { module, type = "v2", source = "", target } = options;
    const workerData: FuseWorkerData = {
      module: placeOf(module),
      type,
      source,
      target,
      options: options.options ?? {},
      uid: options.uid ?? process.getuid!(),
      gid: options.gid ?? process.getgid!(),
      mountedMs: Date.now(),
      writeback: options.writeback ?? false,
    };
    const worker = new Worker(new URL("./fuse-worker.js", import.meta.url), {
      workerData,
      transferList: portsOf(workerData.module),
    });
    const thread = new FuseThread(worker, options.onProblem);
    const refusal = await new Promise<V2Error | undefined>((resolve) => {
      worker.on("message", (event: FuseWorkerEvent) => {
        if (event.kind === "ready") resolve(undefined);
        if (event.kind !== "refused") return;
        const remedy = event.remedy === undefined ? {} : { remedy: event.remedy };
        resolve(new V2Error(event.code, event.message, remedy));
      });
      worker.once("error", (error) =>
        resolve(new V2Error("MODULE_FAILED", error.message, { cause: error })),
      );
      worker.once("exit", () =>
        resolve(new V2Error("MODULE_FAILED", "the module ended its thread")),
      );
    });
    if (refusal === undefined) return thread;
    await worker.terminate();
    throw refusal;
  }

  /** Serves a device, which is the thread's from now on. */
  serve(descriptor: number): void {
    const [stop, stopping] = makePipe();
    this.#descriptors = [descriptor, stop];
    this.#stopping = stopping;
    // Node waits for its threads, and this one waits in the kernel.
    process.on("exit", this.#stopAtExit);
    const given: FuseHandOver = { descriptor, stop };
    this.#worker.postMessage(given);
  }

  /**
   * Fills an empty directory with the files as they are now; the thread ends then.
   * @returns "", or the code of the error for which it could not
   */
  async copy(folder: string): Promise<string> {
    const copied = new Promise<string>((resolve) => {
      this.#worker.on("message", (event: FuseWorkerEvent) => {
        if (event.kind === "copied") resolve(event.code);
      });
      void this.ended.then(() => resolve("EIO"));
    });
    this.#worker.postMessage({ folder } satisfies FuseHandOver);
    const code = await copied;
    await this.ended;
    return code;
  }

  /** The thread does not keep the process alive. */
  unref(): void {
    this.#worker.unref();
  }

  /** Ends the service without waiting. What is mounted stays, and answers ENOTCONN. */
  stop(): void {
    if (this.#descriptors.length === 0) void this.#worker.terminate();
    closeFd(this.#stopping);
    this.#stopping = -1;
  }

  /** Ends the service; idempotent. */
  async close(): Promise<void> {
    this.stop();
    await this.ended;
  }
}

/** A mounted and served file system. */
export interface VirtualMount extends AsyncDisposable {
  readonly target: string;
  /** Resolves when it is served no longer. */
  readonly ended: Promise<void>;
  /** Unmounts, also while files are open, and ends the thread; idempotent. */
  close(): Promise<void>;
}

/**
 * Mounts a module's file system in this process's mount namespace, and serves it with a thread.
 * @throws V2Error when the module gives none, /dev/fuse cannot be opened, or mount(2) fails.
 */
export async function mountVirtualFiles(options: VirtualMountOptions): Promise<VirtualMount> {
  const thread = await FuseThread.start(options);
  let descriptor = -1;
  try {
    descriptor = openFuseDevice();
    const failure = mountFuse(descriptor, options);
    if (failure !== 0) throw mountError(failure, options.target);
  } catch (error) {
    closeFd(descriptor);
    await thread.close();
    throw error;
  }
  thread.serve(descriptor);
  const target = new TextEncoder().encode(options.target);
  const close = async (): Promise<void> => {
    umount2(target, MNT_DETACH);
    await thread.close();
  };
  return { target: options.target, ended: thread.ended, close, [Symbol.asyncDispose]: close };
}

function mountError(number: number, target: string): V2Error {
  const remedy =
    number === ERRNO.EPERM
      ? { remedy: "mount inside a view, or in a user namespace (unshare -Urm)" }
      : {};
  return new V2Error(errnoName(number), `mount ${target}: ${errnoText(number)}`, remedy);
}
