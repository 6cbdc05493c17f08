/** The threads that serve the mounts of modules; the main thread of a supervisor keeps them. */
import type { MessagePort } from "node:worker_threads";
import { ERRNO, type ErrnoName } from "../../base/index.ts";
import { closeFd, openFuseDevice, ringBell } from "../../sys/index.ts";
import { parseOptions } from "../../viewos/index.ts";
import { FuseThread } from "../fuse/fuse-mount.ts";
import type { GroundId } from "../calls/grounds.ts";
import type { Insertion } from "./module-loader.ts";
import type { ModulesMessage } from "./module-messages.ts";
import type { Programs } from "./programs.ts";
import type { ModuleMount, ModuleMountEvent, ModuleMountReply } from "./module-mounts.ts";

/** How long the threads may take to end. */
const CLOSE_TIMEOUT_MS = 1000;

interface Served {
  /** See `moduleId`. */
  readonly module: string;
  /** The view that it was mounted in. */
  readonly ground: GroundId;
  readonly thread: FuseThread;
  readonly descriptor: number;
}

/** Where a module comes from. */
export interface ModuleSource {
  readonly insertion: Insertion;
  readonly name: string;
  /** Those that have the modules of its view which are objects. */
  readonly programs: Programs;
}

export interface ModuleServersOptions {
  readonly control: MessagePort;
  readonly bell: number;
  readonly log: (line: string) => void;
  /** Nothing is served: files are copied where they are mounted. */
  readonly copies: boolean;
  /** What a module was inserted by, by its `moduleId`; undefined: it is gone. */
  readonly sourceOf: (module: string) => ModuleSource | undefined;
}

/** A FUSE device; undefined where there is none, or none for us. */
function deviceIfAny(): number | undefined {
  try {
    return openFuseDevice();
  } catch {
    return undefined;
  }
}

/** Starts and ends the threads. */
export class ModuleServers {
  readonly #options: ModuleServersOptions;
  readonly #served = new Map<number, Served>();
  /** Threads that copy files instead of serving them. */
  readonly #copying = new Map<number, FuseThread>();

  constructor(options: ModuleServersOptions) {
    this.#options = options;
  }

  /** How many mounts a module serves that were made in a view. */
  count(module: string, ground: GroundId | undefined): number {
    const isCounted = (served: Served): boolean =>
      served.module === module && (ground === undefined || served.ground === ground);
    return [...this.#served.values()].filter(isCounted).length;
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
    if (event.kind === "tree") return await this.#copy(event.id, event.descriptor);
    // No directory can be made for its copy.
    if (event.errno !== 0) this.#copying.get(event.id)?.stop();
    if (served === undefined) return;
    if (event.errno === 0) served.thread.serve(served.descriptor);
    else {
      this.#served.delete(event.id);
      closeFd(served.descriptor);
      await served.thread.close();
    }
  }

  async #begin(mount: ModuleMount): Promise<void> {
    const { id, ground, type, target, uid, gid } = mount;
    const source = this.#options.sourceOf(mount.module);
    if (source === undefined) return this.#tell({ id, errno: ERRNO.ENODEV });
    const { insertion, name, programs } = source;
    const program =
      insertion.program === undefined ? undefined : programs.portFor(insertion.number, id);
    const say = (message: string): void => {
      this.#options.log(`${name}: ${target}: ${message}`);
    };
    try {
      const thread = await FuseThread.start({
        module: { ...(program === undefined ? { insertion } : { port: program.port }), name },
        type,
        source: mount.source,
        target,
        options: parseOptions(mount.options),
        uid,
        gid,
        onProblem: say,
      });
      const descriptor = this.#options.copies ? undefined : deviceIfAny();
      if (descriptor === undefined) {
        this.#copying.set(id, thread);
        void thread.ended.then(() => {
          this.#copying.delete(id);
          program?.close();
        });
        return this.#tell({ id, copy: true });
      }
      this.#served.set(id, { module: mount.module, ground, thread, descriptor });
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

  async #copy(id: number, descriptor: number): Promise<void> {
    const code = (await this.#copying.get(id)?.copy(`/proc/self/fd/${descriptor}`)) ?? "EIO";
    this.#tell({ id, errno: code === "" ? 0 : (ERRNO[code as ErrnoName] ?? ERRNO.EIO) });
  }

  #tell(mount: ModuleMountReply): void {
    this.#options.control.postMessage({ mount } satisfies ModulesMessage);
    ringBell(this.#options.bell);
  }
}
