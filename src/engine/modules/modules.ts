/**
 * The modules of a view, kept by the supervisor's main thread: inserted, removed, listed, and
 * brought back without the one that hung when the module thread had to be ended.
 */
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { EXIT, V2Error } from "../../base/index.ts";
import { ringBell } from "../../sys/index.ts";
import {
  encodeTraps,
  type FilterRule,
  missingCalls,
  moduleTraps,
  type ModuleSummary,
  parseOptions,
  type Trap,
} from "../../viewos/index.ts";
import { type ControlServer, Takeover } from "../control/control-server.ts";
import { portLink } from "./link.ts";
import type { Insertion } from "./module-loader.ts";
import { ModuleServers } from "./module-servers.ts";
import { sendModuleReport } from "./module-report.ts";
import { Programs } from "./programs.ts";
import type {
  ModuleEvent,
  ModuleRequest,
  ModulesMessage,
  ModuleWorkerData,
} from "./module-messages.ts";

/** How long the module thread may be silent before it is taken for hung. */
const PING_TIMEOUT_MS = 1000;
/** How often a lost module is tried to be removed. */
const LOST_TRIES = 100;
/** How long the import of a module's file may take. */
const INSERT_TIMEOUT_MS = 30_000;

export interface ModulesOptions {
  /** To the notify worker. */
  readonly control: MessagePort;
  /** Rung after every message on `control`; and by the module thread. */
  readonly bell: number;
  /** A line for the view's log. */
  readonly log: (line: string) => void;
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
      | { op: "remove"; names: string[] }
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

interface Inserted {
  readonly insertion: Insertion;
  readonly summary: ModuleSummary;
}

/** Inserts, removes and lists. */
export class Modules {
  readonly #options: ModulesOptions;
  /** What modules have mounted. */
  readonly servers: ModuleServers;
  readonly #programs: Programs;
  /** Newest first. */
  #modules: Inserted[] = [];
  #thread: ModuleThread | undefined;
  #lastNumber = 0;
  #firstTraps: string | undefined;
  /** What the processes of the view are trapped by; undefined while there is none. */
  #rules: readonly FilterRule[] | undefined;
  /** Insertions, removals and restarts happen one after the other. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: ModulesOptions) {
    this.#options = options;
    const insertionOf = (module: string): Insertion | undefined =>
      this.#modules.find(({ summary }) => summary.name === module)?.insertion;
    this.#programs = new Programs({
      insert: async (summary) => (await this.#insert(programInsertion(summary))).number,
      lost: (insertions) => void this.#lose(new Set(insertions)),
    });
    const programs = this.#programs;
    this.servers = new ModuleServers({ ...options, insertionOf, programs });
  }

  /** What the modules of the start want to be trapped; undefined: nothing. */
  get firstTraps(): string | undefined {
    return this.#firstTraps;
  }

  /**
   * Inserts the modules that a view starts with, and tells its starter what they want to be
   * trapped, or which one cannot be inserted.
   * @param rulesOf the filter of the view's processes, with those traps: it cannot grow later
   */
  async begin(
    wanted: readonly InsertOptions[],
    session: number,
    rulesOf: (traps: readonly Trap[]) => readonly FilterRule[],
  ): Promise<void> {
    try {
      for (const options of wanted) {
        const { number } = await this.#insert(options);
        if (options.program !== undefined) this.#programs.expect(number);
      }
      const traps = this.#modules.flatMap(({ summary }) => moduleTraps(summary));
      this.#rules = rulesOf(traps);
      if (wanted.length === 0) return;
      this.#firstTraps = encodeTraps(traps);
      sendModuleReport(session, { traps: this.#firstTraps });
    } catch (error) {
      const { message } = error as Error;
      const known = error instanceof V2Error ? error : undefined;
      const sent = { code: known?.code ?? "MODULE", message, remedy: known?.remedy };
      sendModuleReport(session, { error: sent });
    }
  }

  /** Makes insmod, rmmod and lsmod known. */
  register(control: ControlServer): void {
    control.register("insmod", (args) => {
      const { module, options = "", permanent = false, directory = "/" } = args;
      if (
        typeof module !== "string" ||
        typeof options !== "string" ||
        typeof permanent !== "boolean" ||
        typeof directory !== "string"
      ) {
        throw new V2Error("ARGUMENTS", "insmod: module, options and directory are texts", {
          exitCode: EXIT.usage,
        });
      }
      const given = parseOptions(options);
      return this.insert({ specifier: module, directory, options: given, permanent });
    });
    control.register("rmmod", ({ module }) => this.remove(String(module)));
    control.register("lsmod", () => this.list());
    control.register("attach", () => new Takeover((socket) => this.#programs.attach(socket)));
  }

  /**
   * Inserts the modules of a file.
   * @returns their names.
   * @throws V2Error when it has none, or when the view does not trap what they want.
   */
  async insert(options: InsertOptions): Promise<readonly string[]> {
    return (await this.#insert(options)).names;
  }

  #insert(
    options: InsertOptions,
  ): Promise<{ readonly names: readonly string[]; readonly number: number }> {
    return this.#inOrder(async () => {
      const insertion = { ...options, number: ++this.#lastNumber };
      const thread = this.#start();
      let summaries: readonly ModuleSummary[];
      try {
        summaries = await thread.ask({ op: "insert", insertion }, INSERT_TIMEOUT_MS);
      } catch (error) {
        if ((error as V2Error).code === "ETIMEDOUT") await this.#restart(0);
        throw error;
      }
      const names = summaries.map(({ name }) => name);
      const refusal = this.#untrapped(summaries);
      if (refusal !== undefined) {
        await thread.ask({ op: "remove", names }, PING_TIMEOUT_MS);
        throw refusal;
      }
      this.#modules.unshift(...summaries.map((summary) => ({ insertion, summary })));
      this.#tell();
      return { names, number: insertion.number };
    });
  }

  /**
   * Removes a module.
   * @throws V2Error when there is none, it is permanent (EPERM), or a call waits for it (EBUSY).
   */
  remove(name: string): Promise<void> {
    return this.#inOrder(async () => {
      const found = this.#modules.find(({ summary }) => summary.name === name);
      if (found === undefined) {
        const names = this.#modules.map(({ summary }) => summary.name);
        throw new V2Error("ENOENT", `no module '${name}' is inserted`, {
          remedy: names.length === 0 ? "none is" : `inserted: ${names.join(", ")}`,
        });
      }
      if (found.summary.permanent) {
        throw new V2Error("EPERM", `module '${name}' is permanent`, {
          remedy: "it ends with the view",
        });
      }
      const mounts = this.servers.count(name);
      if (mounts > 0) {
        throw new V2Error("EBUSY", `module '${name}' is in use: ${mounts} mounts`, {
          remedy: "unmount them first",
        });
      }
      await this.#start().ask({ op: "remove", names: [name] }, PING_TIMEOUT_MS);
      this.#modules = this.#modules.filter((other) => other !== found);
      this.#tell();
      const { insertion } = found;
      if (insertion.program !== undefined) this.#programs.removed(insertion.number, name);
    });
  }

  /** The program of these insertions has ended: its modules go, whoever waits for them. */
  #lose(insertions: ReadonlySet<number>): Promise<void> {
    return this.#inOrder(async () => {
      const isLost = ({ insertion }: Inserted): boolean => insertions.has(insertion.number);
      const names = this.#modules.filter(isLost).map(({ summary }) => summary.name);
      this.#modules = this.#modules.filter((inserted) => !isLost(inserted));
      this.#tell();
      for (const name of names) {
        this.#options.log(`${name}: removed, its program has ended`);
        this.servers.end(name);
        await this.#removeLost(name);
      }
      for (const number of insertions) this.#programs.forget(number);
    });
  }

  /** Calls that are on their way to the module fail one after the other. */
  async #removeLost(name: string): Promise<void> {
    for (let tries = 0; tries < LOST_TRIES; tries++) {
      try {
        await this.#thread?.ask({ op: "remove", names: [name] }, PING_TIMEOUT_MS);
        return;
      } catch (error) {
        if ((error as V2Error).code !== "EBUSY") return;
      }
    }
  }

  /** Newest first. */
  list(): readonly ModuleListing[] {
    return this.#modules.map(({ insertion, summary }) => ({
      name: summary.name,
      description: summary.description,
      specifier: insertion.specifier,
      types: summary.types,
      operations: summary.hooks.map(({ operation }) => operation),
      permanent: summary.permanent,
    }));
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
    this.#thread = undefined;
    this.#options.control.close();
    await thread?.worker.terminate();
  }

  #inOrder<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(action);
    this.#queue = result.catch(() => {});
    return result;
  }

  #start(): ModuleThread {
    if (this.#thread !== undefined) return this.#thread;
    const thread = new ModuleThread(this.#options.bell, this.#options.log, this.#programs);
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
    await old.worker.terminate();
    const isCulprit = ({ insertion, summary }: Inserted): boolean =>
      insertion.number === without && !summary.permanent;
    for (const { summary } of this.#modules.filter(isCulprit)) {
      this.#options.log(`${summary.name}: removed, its handler did not return`);
    }
    const insertions = new Set(
      this.#modules
        .filter((inserted) => !isCulprit(inserted))
        .map(({ insertion }) => insertion)
        .toReversed(),
    );
    this.#modules = [];
    const thread = this.#start();
    for (const insertion of insertions) {
      try {
        const summaries = await thread.ask({ op: "insert", insertion }, INSERT_TIMEOUT_MS);
        this.#modules.unshift(...summaries.map((summary) => ({ insertion, summary })));
      } catch (error) {
        this.#options.log(`${insertion.specifier}: ${(error as Error).message}`);
      }
    }
    this.#tell();
  }

  /**
   * Tells the notify worker. A new module thread takes over only here, when its modules are back:
   * until then calls wait, and none gets past.
   */
  #tell(): void {
    const summaries = this.#modules.map(({ summary }) => summary);
    const calls = this.#thread?.takeCalls();
    const message: ModulesMessage = { summaries, ...(calls === undefined ? {} : { calls }) };
    this.#options.control.postMessage(message, calls === undefined ? [] : [calls]);
    ringBell(this.#options.bell);
  }

  /** Why modules cannot work in the running view; undefined: they can. */
  #untrapped(summaries: readonly ModuleSummary[]): V2Error | undefined {
    if (this.#rules === undefined) return undefined;
    const missing = missingCalls(summaries.flatMap(moduleTraps), this.#rules);
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
