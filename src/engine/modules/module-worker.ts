/**
 * The thread that runs the handlers of a view's modules. It has an event loop: handlers may wait.
 * It stands outside of the view, with the rights of the user who started it; when a handler never
 * returns, the main thread ends it and starts another one.
 */
import { register } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import { ERRNO, V2Error } from "../../base/index.ts";
import { ringBell } from "../../sys/index.ts";
import {
  type Decision,
  type Module,
  ModuleChain,
  type ModuleSummary,
  standInFor,
} from "../../viewos/index.ts";
import { type Link, portLink } from "./link.ts";
import { type Insertion, loadModules } from "./module-loader.ts";
import { moduleId } from "./module-lists.ts";
import type {
  CallMessage,
  DecisionMessage,
  ModuleEvent,
  ModuleRequest,
  ModuleWorkerData,
} from "./module-messages.ts";

class ModuleThread {
  readonly #data: ModuleWorkerData;
  readonly #chain: ModuleChain;
  readonly #programs: Link;
  /** Which insertion a module came from, by `moduleId`. */
  readonly #numbers = new Map<string, number>();

  constructor(data: ModuleWorkerData) {
    this.#data = data;
    this.#programs = portLink(data.programs, () => {});
    this.#chain = new ModuleChain({
      log: (line) => this.#post({ kind: "log", line }),
      running: (id) => this.#mark(id === undefined ? 0 : (this.#numbers.get(id) ?? 0)),
      limit,
    });
  }

  start(): void {
    parentPort!.on("message", (request: ModuleRequest) => void this.#serve(request));
    this.#data.calls.on("message", (message: CallMessage) => void this.#answer(message));
    // An error in a timer or a promise of a module's own is told; the calls go on.
    process.on("uncaughtException", (error: unknown) => {
      const text = error instanceof Error ? error.stack : String(error);
      this.#post({ kind: "log", line: `uncaught: ${text}` });
    });
  }

  #post(event: ModuleEvent): void {
    parentPort!.postMessage(event);
  }

  #mark(number: number): void {
    Atomics.store(this.#data.running, 0, number);
  }

  async #answer({ sequence, call, modules }: CallMessage): Promise<void> {
    const decision = await this.#chain.answer(call, modules);
    this.#data.calls.postMessage({ sequence, decision } satisfies DecisionMessage);
    ringBell(this.#data.bell);
  }

  async #serve(request: ModuleRequest): Promise<void> {
    const { id } = request;
    try {
      let summaries: readonly ModuleSummary[] = [];
      if (request.op === "insert") summaries = await this.#insert(request.insertion);
      if (request.op === "remove") await this.#remove(request.modules, request.isForced);
      this.#post({ kind: "done", id, summaries });
    } catch (error) {
      const { message } = error as Error;
      const known = error instanceof V2Error ? error : undefined;
      const sent = { code: known?.code ?? "MODULE", message, remedy: known?.remedy };
      this.#post({ kind: "refused", id, error: sent });
    }
  }

  /** All modules of a file, or none. */
  async #insert(insertion: Insertion): Promise<readonly ModuleSummary[]> {
    this.#mark(insertion.number);
    const modules = await this.#load(insertion).finally(() => this.#mark(0));
    const summaries: ModuleSummary[] = [];
    try {
      for (const loaded of modules) {
        const id = moduleId(insertion, loaded.name);
        summaries.unshift(this.#chain.insert(loaded, id));
        this.#numbers.set(id, insertion.number);
      }
    } catch (error) {
      for (const { name } of summaries) this.#chain.remove(moduleId(insertion, name));
      throw error;
    }
    return summaries;
  }

  async #load(insertion: Insertion): Promise<readonly Module[]> {
    const { program, number } = insertion;
    return program === undefined ? await loadModules(insertion) : [this.#standIn(program, number)];
  }

  /** For a module that is an object of a program. */
  #standIn(summary: ModuleSummary, insertion: number): Module {
    const module = summary.name;
    return standInFor(summary, async (call) => {
      const decision = this.#programs.ask("call", { insertion, module, call });
      return (await decision.catch(() => TOO_LATE)) as Decision;
    });
  }

  async #remove(ids: readonly string[], isForced: boolean): Promise<void> {
    for (const id of ids) {
      const removed = this.#chain.remove(id, isForced);
      this.#numbers.delete(id);
      await removed?.close?.();
    }
  }
}

/** What callers are told whose program has ended. */
const TOO_LATE: Decision = { kind: "fail", errno: ERRNO.ETIMEDOUT };

/** Gives `late` when the decision takes longer than that. */
async function limit(
  decision: Promise<unknown>,
  timeoutMs: number,
  late: unknown,
): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise((resolve) => {
    timer = setTimeout(() => resolve(late), timeoutMs);
  });
  try {
    return await Promise.race([decision, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

register(new URL("./module-resolve.js", import.meta.url));
new ModuleThread(workerData as ModuleWorkerData).start();
