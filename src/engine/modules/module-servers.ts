/** The threads that serve the mounts of modules; the main thread of a supervisor keeps them. */
import type { MessagePort } from "node:worker_threads";
import { ERRNO, type ErrnoName } from "../../base/index.ts";
import { closeFd, openFuseDevice, ringBell } from "../../sys/index.ts";
import { parseOptions } from "../../viewos/index.ts";
import { FuseThread } from "../fuse/fuse-mount.ts";
import type { Insertion } from "./module-loader.ts";
import type { ModulesMessage } from "./module-messages.ts";
import type { Programs } from "./programs.ts";
import type { ModuleMount, ModuleMountEvent, ModuleMountReply } from "./module-mounts.ts";

/** How long the threads may take to end. */
const CLOSE_TIMEOUT_MS = 1000;

interface Served {
  readonly module: string;
  readonly thread: FuseThread;
  readonly descriptor: number;
}

export interface ModuleServersOptions {
  readonly control: MessagePort;
  readonly bell: number;
  readonly log: (line: string) => void;
  /** What a module was inserted by; undefined: it is gone. */
  readonly insertionOf: (module: string) => Insertion | undefined;
  /** Programs whose modules are objects. */
  readonly programs: Programs;
}

/** Starts and ends the threads. */
export class ModuleServers {
  readonly #options: ModuleServersOptions;
  readonly #served = new Map<number, Served>();

  constructor(options: ModuleServersOptions) {
    this.#options = options;
  }

  /** How many mounts a module serves. */
  count(module: string): number {
    return [...this.#served.values()].filter((served) => served.module === module).length;
  }

  /**
   * Ends all threads, before the process ends: one that waits in the kernel for its device cannot
   * be ended from outside.
   * @returns false when one does not end in time.
   */
  async close(): Promise<boolean> {
    const ended = Promise.all([...this.#served.values()].map(({ thread }) => thread.close()));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), CLOSE_TIMEOUT_MS);
    });
    const inTime = await Promise.race([ended.then(() => true), late]);
    clearTimeout(timer);
    return inTime;
  }

  /** The mounts of a module are served no longer. */
  end(module: string): void {
    for (const served of this.#served.values()) {
      if (served.module === module) served.thread.stop();
    }
  }

  /** No mount is served. */
  get isEmpty(): boolean {
    return this.#served.size === 0;
  }

  /** The worker wants a file system, or has mounted one. */
  async on(event: ModuleMountEvent): Promise<void> {
    if (event.kind === "mount") return await this.#begin(event.mount);
    const served = this.#served.get(event.id);
    if (served === undefined) return;
    if (event.errno === 0) served.thread.serve(served.descriptor);
    else {
      this.#served.delete(event.id);
      closeFd(served.descriptor);
      await served.thread.close();
    }
  }

  async #begin(mount: ModuleMount): Promise<void> {
    const { id, module, type, source, target, uid, gid } = mount;
    const insertion = this.#options.insertionOf(module);
    if (insertion === undefined) return this.#tell({ id, errno: ERRNO.ENODEV });
    const program =
      insertion.program === undefined
        ? undefined
        : this.#options.programs.portFor(insertion.number, id);
    const say = (message: string): void => this.#options.log(`${module}: ${target}: ${message}`);
    try {
      const thread = await FuseThread.start({
        module: {
          ...(program === undefined ? { insertion } : { port: program.port }),
          name: module,
        },
        type,
        source,
        target,
        options: parseOptions(mount.options),
        uid,
        gid,
        onProblem: say,
      });
      let descriptor: number;
      try {
        descriptor = openFuseDevice();
      } catch (error) {
        await thread.close();
        throw error;
      }
      this.#served.set(id, { module, thread, descriptor });
      void thread.ended.then(() => {
        this.#served.delete(id);
        program?.close();
      });
      this.#tell({ id, descriptor });
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      say(message);
      program?.close();
      this.#tell({ id, errno: ERRNO[code as ErrnoName] ?? ERRNO.EIO });
    }
  }

  #tell(mount: ModuleMountReply): void {
    this.#options.control.postMessage({ mount } satisfies ModulesMessage);
    ringBell(this.#options.bell);
  }
}
