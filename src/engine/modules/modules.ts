/**
 * The modules that were inserted in one view, kept by the supervisor's main thread: inserted,
 * removed, and brought back without the one that hung when the module thread had to be ended. They
 * are layers of the tree of views; `view-modules.ts` knows all of them.
 */
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { V2Error } from "../../base/index.ts";
import {
  type FilterRule,
  type Layer,
  missingCalls,
  moduleTraps,
  type ModuleSummary,
  parseOptions,
  type ViewTree,
} from "../../viewos/index.ts";
import { portLink } from "./link.ts";
import type { Insertion } from "./module-loader.ts";
import { moduleId } from "./module-lists.ts";
import type { ModuleEvent, ModuleRequest, ModuleWorkerData } from "./module-messages.ts";
import { Programs } from "./programs.ts";

/** How long the module thread may be silent before it is taken for hung. */
const PING_TIMEOUT_MS = 1000;
/** How long the import of a module's file may take. */
const INSERT_TIMEOUT_MS = 30_000;

export interface ModulesOptions {
  /** Number of the view. */
  readonly view: number;
  readonly tree: ViewTree<unknown>;
  /** Rung by the module thread. */
  readonly bell: number;
  /** A line for the view's log. */
  readonly log: (line: string) => void;
  /** Never the same in a supervisor. */
  readonly nextNumber: () => number;
  /** What the processes of the view are trapped by; undefined while there is none. */
  readonly rules: () => readonly FilterRule[] | undefined;
  /** How many mounts of a module the view has made. */
  readonly mountsOf: (module: string) => number;
  /** Mounts of a module that is no more are served no longer. */
  readonly endMounts: (module: string) => void;
  /** What the view has is different now, or another thread runs it. */
  readonly changed: () => void;
}

/** What stands for a module in the tree of views. */
export class InsertedModule {
  readonly insertion: Insertion;
  /** As told by the thread that runs it now. */
  summary: ModuleSummary;

  constructor(insertion: Insertion, summary: ModuleSummary) {
    this.insertion = insertion;
    this.summary = summary;
  }

  /** Tells it apart in the supervisor. */
  get id(): string {
    return moduleId(this.insertion, this.summary.name);
  }
}

/** The modules that a view sees, newest first; those of other views than `layer.view` inherited. */
export function modulesOf(tree: ViewTree<unknown>, view: number): Layer<InsertedModule>[] {
  const isModule = (layer: Layer<unknown>): layer is Layer<InsertedModule> =>
    layer.value instanceof InsertedModule;
  return tree.layers(view).filter(isModule).toReversed();
}

/** Groups of classes by their members, as far as they are named by those. */
const GROUP_OF: { readonly [name: string]: string } = {
  "path-read": "path",
  "path-write": "path",
  directory: "path",
};

/** What is asked for with an insertion. */
export type InsertOptions = Omit<Insertion, "number">;

/** A module that is an object of this program, as an insertion. */
export function programInsertion(summary: ModuleSummary): InsertOptions {
  const { permanent } = summary;
  const specifier = "(an object of a program)";
  return { specifier, directory: "/", options: {}, permanent, program: summary };
}

/**
 * `FILE[,OPTION[=VALUE]]…` as an insertion.
 * @param directory where relative files and packages are looked for.
 */
export function parseInsertion(text: string, directory: string, permanent = false): InsertOptions {
  const comma = text.indexOf(",");
  const specifier = comma === -1 ? text : text.slice(0, comma);
  const options = comma === -1 ? {} : parseOptions(text.slice(comma + 1));
  return { specifier, directory, options, permanent };
}

/** A module as a list shows it. */
export interface ModuleListing {
  readonly name: string;
  readonly description: string;
  /** What it was inserted as. */
  readonly specifier: string;
  readonly types: readonly string[];
  readonly operations: readonly string[];
  readonly permanent: boolean;
  /** Inserted in a view around this one, before this one was made. */
  readonly inherited: boolean;
}

interface Waiting {
  resolve(summaries: readonly ModuleSummary[]): void;
  reject(error: V2Error): void;
}

/** The module thread, and the questions that it has not answered. */
class ModuleThread {
  readonly worker: Worker;
  /** The notify worker's end, until it is given away. */
  #calls: MessagePort | undefined;
  readonly #running = new Int32Array(new SharedArrayBuffer(4));
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  constructor(bell: number, log: (line: string) => void, programs: Programs) {
    const { port1, port2 } = new MessageChannel();
    this.#calls = port1;
    const program = new MessageChannel();
    portLink(program.port1, (op, args, signal) => programs.ask(args, op, signal));
    this.worker = new Worker(fileURLToPath(new URL("./module-worker.js", import.meta.url)), {
      workerData: {
        calls: port2,
        bell,
        programs: program.port2,
        running: this.#running,
      } satisfies ModuleWorkerData,
      transferList: [port2, program.port2],
      stdout: true,
      stderr: true,
    });
    this.worker.on("message", (event: ModuleEvent) => {
      if (event.kind === "log") log(event.line);
      else this.#settle(event);
    });
    for (const stream of [this.worker.stdout, this.worker.stderr]) {
      createInterface(stream).on("line", log);
    }
  }

  /** Number of the insertion whose code runs at this moment; 0: none. */
  get running(): number {
    return Atomics.load(this.#running, 0);
  }

  /** The notify worker's end, once. */
  takeCalls(): MessagePort | undefined {
    const calls = this.#calls;
    this.#calls = undefined;
    return calls;
  }

  #settle(event: Exclude<ModuleEvent, { kind: "log" }>): void {
    const waiting = this.#waiting.get(event.id);
    this.#waiting.delete(event.id);
    if (event.kind === "done") waiting?.resolve(event.summaries);
    else {
      const { code, message, remedy } = event.error;
      waiting?.reject(new V2Error(code, message, remedy === undefined ? {} : { remedy }));
    }
  }

  /** Asks the thread. Rejects with ETIMEDOUT when it does not answer in time. */
  ask(
    question:
      | { op: "insert"; insertion: Insertion }
      | { op: "remove"; modules: string[]; isForced: boolean }
      | { op: "ping" },
    timeoutMs: number,
  ): Promise<readonly ModuleSummary[]> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const late = (): void =>
        reject(new V2Error("ETIMEDOUT", "the module thread does not answer"));
      const timer = setTimeout(late, timeoutMs);
      const settled = (): void => clearTimeout(timer);
      this.#waiting.set(id, {
        resolve: (summaries) => (settled(), resolve(summaries)),
        reject: (error) => (settled(), reject(error)),
      });
      this.worker.postMessage({ id, ...question } as ModuleRequest);
    });
  }
}

/** Inserts and removes. */
export class Modules {
  readonly #options: ModulesOptions;
  /** Whose objects some of them are. */
  readonly programs: Programs;
  /** Those of the thread, newest first; some may be left to views inside this one. */
  #loaded: Layer<InsertedModule>[] = [];
  #thread: ModuleThread | undefined;
  #isClosed = false;
  #isRestarting = false;
  /** Insertions, removals and restarts happen one after the other. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: ModulesOptions) {
    this.#options = options;
    this.programs = new Programs({
      insert: async (summary) => (await this.#insert(programInsertion(summary))).number,
      lost: (insertions) => void this.#lose(new Set(insertions)),
    });
  }

  /**
   * The notify worker's end of a module thread that it does not know, once; not before its modules
   * are back: until then calls wait, and none gets past.
   */
  takeCalls(): MessagePort | undefined {
    return this.#isRestarting ? undefined : this.#thread?.takeCalls();
  }

  /**
   * Inserts the modules of a file.
   * @returns their names.
   * @throws V2Error when it has none, or when the view does not trap what they want.
   */
  async insert(options: InsertOptions): Promise<readonly string[]> {
    return (await this.#insert(options)).names;
  }

  /** A module of the view's start; if it is an object, its program comes later. */
  async expect(options: InsertOptions): Promise<void> {
    const { number } = await this.#insert(options);
    if (options.program !== undefined) this.programs.expect(number);
  }

  #insert(
    options: InsertOptions,
  ): Promise<{ readonly names: readonly string[]; readonly number: number }> {
    return this.#inOrder(async () => {
      if (this.#isClosed) throw new V2Error("NO_VIEW", "the view is gone");
      const insertion = { ...options, number: this.#options.nextNumber() };
      const thread = this.#start();
      let summaries: readonly ModuleSummary[];
      try {
        summaries = await thread.ask({ op: "insert", insertion }, INSERT_TIMEOUT_MS);
      } catch (error) {
        if ((error as V2Error).code === "ETIMEDOUT") await this.#restart(0);
        throw error;
      }
      const refusal = this.#isThere(summaries) ?? this.#untrapped(summaries);
      if (refusal !== undefined) {
        const modules = summaries.map(({ name }) => moduleId(insertion, name));
        await thread.ask({ op: "remove", modules, isForced: true }, PING_TIMEOUT_MS);
        throw refusal;
      }
      this.#keep(insertion, summaries);
      this.#options.changed();
      return { names: summaries.map(({ name }) => name), number: insertion.number };
    });
  }

  /** @param summaries newest first */
  #keep(insertion: Insertion, summaries: readonly ModuleSummary[]): void {
    const { tree, view } = this.#options;
    for (const summary of summaries.toReversed()) {
      const value = new InsertedModule(insertion, summary);
      this.#loaded.unshift(tree.insert(view, value) as Layer<InsertedModule>);
    }
  }

  /**
   * Removes a module. Views inside this one that were made while it was there keep it.
   * @throws V2Error when there is none, it is inherited or permanent (EPERM), or it has mounts here
   *   or a call waits for it (EBUSY).
   */
  remove(name: string): Promise<void> {
    return this.#inOrder(async () => {
      const layer = this.#removable(name);
      const { tree, view } = this.#options;
      if (tree.isHeldBeside(layer, view)) tree.remove(view, layer);
      else {
        const modules = [layer.value.id];
        await this.#start().ask({ op: "remove", modules, isForced: false }, PING_TIMEOUT_MS);
        this.#drop(layer);
      }
      this.#options.changed();
    });
  }

  /** The thread has it no longer. */
  #drop(layer: Layer<InsertedModule>): void {
    const { insertion, summary } = layer.value;
    this.#options.tree.discard(layer);
    this.#loaded = this.#loaded.filter((other) => other !== layer);
    if (insertion.program !== undefined) this.programs.removed(insertion.number, summary.name);
  }

  /** The program of these insertions has ended: its modules go, whoever waits for them. */
  #lose(insertions: ReadonlySet<number>): Promise<void> {
    return this.#inOrder(async () => {
      const lost = this.#loaded.filter(({ value }) => insertions.has(value.insertion.number));
      for (const layer of lost) {
        this.#drop(layer);
        this.#options.log(`${layer.value.summary.name}: removed, its program has ended`);
        this.#options.endMounts(layer.value.id);
      }
      this.#options.changed();
      const modules = lost.map(({ value }) => value.id);
      await this.#thread?.ask({ op: "remove", modules, isForced: true }, PING_TIMEOUT_MS);
    });
  }

  #removable(name: string): Layer<InsertedModule> {
    const { tree, view, mountsOf } = this.#options;
    const seen = modulesOf(tree, view);
    const named = seen.filter(({ value }) => value.summary.name === name);
    const layer = named.find((one) => one.view === view);
    if (layer === undefined && named[0] !== undefined) {
      throw new V2Error("EPERM", `module '${name}' is inherited from view ${named[0].view}`, {
        remedy: "remove it there, before the view that is to do without it is made",
      });
    }
    if (layer === undefined) {
      const names = seen.map(({ value }) => value.summary.name);
      throw new V2Error("ENOENT", `no module '${name}' is inserted`, {
        remedy: names.length === 0 ? "none is" : `inserted: ${names.join(", ")}`,
      });
    }
    if (layer.value.summary.permanent) {
      throw new V2Error("EPERM", `module '${name}' is permanent`, {
        remedy: "it ends with the view",
      });
    }
    const mounts = mountsOf(layer.value.id);
    if (mounts > 0) {
      throw new V2Error("EBUSY", `module '${name}' is in use: ${mounts} mounts`, {
        remedy: "unmount them first",
      });
    }
    return layer;
  }

  /** Views have ended: what no other sees any more is taken out of the thread. */
  release(): void {
    const { tree } = this.#options;
    if (this.#loaded.every((layer) => tree.isHeld(layer))) return;
    const released = this.#inOrder(async () => {
      const left = this.#loaded.filter((layer) => !tree.isHeld(layer));
      if (this.#isClosed || left.length === 0) return;
      const modules = left.map(({ value }) => value.id);
      await this.#start().ask({ op: "remove", modules, isForced: true }, PING_TIMEOUT_MS);
      for (const layer of left) this.#drop(layer);
    });
    released.catch((error: Error) => this.#options.log(error.message));
  }

  /** A call got no answer in time: ends the module thread if one of its handlers never returns. */
  onLateCall(): void {
    void this.#inOrder(async () => {
      const thread = this.#thread;
      if (thread === undefined) return;
      try {
        await thread.ask({ op: "ping" }, PING_TIMEOUT_MS);
      } catch {
        await this.#restart(thread.running);
      }
    });
  }

  /** Ends the module thread; the process may go on with other views. */
  async close(): Promise<void> {
    const thread = this.#thread;
    this.#isClosed = true;
    this.#thread = undefined;
    await thread?.worker.terminate();
  }

  #inOrder<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(action);
    this.#queue = result.catch(() => {});
    return result;
  }

  #start(): ModuleThread {
    if (this.#thread !== undefined) return this.#thread;
    const thread = new ModuleThread(this.#options.bell, this.#options.log, this.programs);
    this.#thread = thread;
    thread.worker.on("error", (error) => this.#options.log(`module thread: ${error.message}`));
    // Without being ended by us: a module has called process.exit.
    thread.worker.on("exit", () => {
      if (this.#thread !== thread) return;
      void this.#inOrder(() => this.#restart(thread.running));
    });
    return thread;
  }

  /** Another thread, with the same modules but those of one insertion. */
  async #restart(without: number): Promise<void> {
    const old = this.#thread;
    if (old === undefined) return;
    this.#thread = undefined;
    this.#isRestarting = true;
    await old.worker.terminate();
    if (this.#isClosed) return;
    const isCulprit = ({ value }: Layer<InsertedModule>): boolean =>
      value.insertion.number === without && !value.summary.permanent;
    for (const layer of this.#loaded.filter(isCulprit)) {
      this.#options.log(`${layer.value.summary.name}: removed, its handler did not return`);
      this.#drop(layer);
    }
    const insertions = new Set(this.#loaded.map(({ value }) => value.insertion).toReversed());
    const thread = this.#start();
    for (const insertion of insertions) {
      let summaries: readonly ModuleSummary[] = [];
      try {
        summaries = await thread.ask({ op: "insert", insertion }, INSERT_TIMEOUT_MS);
      } catch (error) {
        this.#options.log(`${insertion.specifier}: ${(error as Error).message}`);
      }
      this.#bringBack(insertion, summaries);
    }
    this.#isRestarting = false;
    this.#options.changed();
  }

  /** Modules keep their place in the tree; those that are no longer in their file lose it. */
  #bringBack(insertion: Insertion, summaries: readonly ModuleSummary[]): void {
    for (const layer of this.#loaded.filter(({ value }) => value.insertion === insertion)) {
      const summary = summaries.find(({ name }) => name === layer.value.summary.name);
      if (summary === undefined) this.#drop(layer);
      else layer.value.summary = summary;
    }
  }

  /** Why modules cannot be inserted: one of that name is there; undefined: they can. */
  #isThere(summaries: readonly ModuleSummary[]): V2Error | undefined {
    const { tree, view } = this.#options;
    const own = modulesOf(tree, view).filter((layer) => layer.view === view);
    const name = summaries.find((one) => own.some(({ value }) => value.summary.name === one.name));
    if (name === undefined) return undefined;
    return new V2Error("EEXIST", `a module '${name.name}' is inserted already`, {
      remedy: "remove it first",
    });
  }

  /** Why modules cannot work in the running view; undefined: they can. */
  #untrapped(summaries: readonly ModuleSummary[]): V2Error | undefined {
    const rules = this.#options.rules();
    if (rules === undefined) return undefined;
    const missing = missingCalls(summaries.flatMap(moduleTraps), rules);
    if (missing.length === 0) return undefined;
    const classes = [...new Set(missing.map(({ class: name }) => GROUP_OF[name] ?? name))].sort();
    const names = missing.map(({ name }) => name).join(", ");
    return new V2Error("NOT_TRAPPED", `this view does not trap ${names}`, {
      remedy:
        `its processes cannot be trapped further: start a view with --trap=${classes.join(",")}, ` +
        `or with the module itself (--module)`,
    });
  }
}
