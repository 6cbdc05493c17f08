/**
 * Modules in the order of their insertion, and what they decide together: the newest is asked
 * first, and what it passes on goes to the one before it.
 */
import { ERRNO, V2Error } from "../base/index.ts";
import { compileCondition } from "./conditions.ts";
import {
  asDecision,
  type Call,
  type Decision,
  hookOf,
  makeCall,
  type Module,
  type ModuleSummary,
  summarize,
} from "./module.ts";
import type { Operation, OperationFields } from "./operations.ts";

/** A call on its way to handlers; data that can be sent to another thread. */
export interface OfferedCall {
  readonly operation: Operation;
  readonly pid: number;
  readonly fields: OperationFields[Operation];
}

/** What surrounds the handlers. */
export interface ChainHost {
  /** A line for the view's log. */
  log(line: string): void;
  /** A handler is about to run; called without a name when it has returned. */
  running(name?: string): void;
  /** Gives `late` when the decision takes longer. Without it: waits for ever. */
  limit?(decision: Promise<unknown>, timeoutMs: number, late: unknown): Promise<unknown>;
}

/** A decision that came too late. */
const LATE = Symbol("late");

interface Inserted {
  readonly module: Module;
  readonly summary: ModuleSummary;
  readonly conditions: ReadonlyMap<Operation, (fields: object) => boolean>;
  /** Calls that it has not decided yet. */
  pending: number;
}

const reason = (error: unknown): string =>
  error instanceof Error ? `${error.name}: ${error.message}` : String(error);

/** The inserted modules of a view. */
export class ModuleChain {
  readonly #host: ChainHost;
  /** Newest first. */
  readonly #modules: Inserted[] = [];

  constructor(host: ChainHost) {
    this.#host = host;
  }

  /** @throws V2Error when one of that name is there. */
  insert(module: Module): ModuleSummary {
    if (this.get(module.name) !== undefined) {
      throw new V2Error("EEXIST", `a module '${module.name}' is inserted already`, {
        remedy: "remove it first",
      });
    }
    const summary = summarize(module);
    const conditions = new Map(
      summary.hooks.map(({ operation, when }) => [operation, compileCondition(when)] as const),
    );
    this.#modules.unshift({ module, summary, conditions, pending: 0 });
    return summary;
  }

  /**
   * Takes a module out, whoever asks; see `remove` of Modules for who may.
   * @returns it; undefined when there is none of that name.
   * @throws V2Error EBUSY while a call waits for it.
   */
  remove(name: string): Module | undefined {
    const index = this.#modules.findIndex(({ module }) => module.name === name);
    const found = this.#modules[index];
    if (found === undefined) return undefined;
    if (found.pending > 0) {
      throw new V2Error("EBUSY", `module '${name}' is in use: ${found.pending} calls wait for it`, {
        remedy: "try again when they have ended",
      });
    }
    this.#modules.splice(index, 1);
    return found.module;
  }

  /** The module of that name. */
  get(name: string): Module | undefined {
    return this.#modules.find(({ module }) => module.name === name)?.module;
  }

  /** Newest first. */
  summaries(): readonly ModuleSummary[] {
    return this.#modules.map(({ summary }) => summary);
  }

  /**
   * Asks the modules one after the other; never rejects. When one has the call performed on other
   * files, older ones are asked about those.
   */
  async answer({ operation, pid, fields }: OfferedCall): Promise<Decision> {
    let open: Decision = { kind: "pass" };
    let seen = fields;
    for (const inserted of this.#modules.slice()) {
      if (inserted.conditions.get(operation)?.(seen) !== true) continue;
      const decision = await this.#ask(inserted, operation, pid, seen);
      if (decision.kind === "emulate") {
        const { kind, ...others } = decision;
        open = { ...open, kind, ...others };
        seen = { ...seen, ...others };
      } else if (decision.kind !== "pass") return decision;
    }
    return open;
  }

  async #ask(
    inserted: Inserted,
    operation: Operation,
    pid: number,
    fields: OperationFields[Operation],
  ): Promise<Decision> {
    const { name } = inserted.module;
    inserted.pending++;
    try {
      const given = await this.#run(inserted, makeCall(operation, pid, fields as never));
      if (given === LATE) {
        this.#host.log(`${name}: ${operation} took longer than ${inserted.summary.timeoutMs} ms`);
        return { kind: "fail", errno: ERRNO.ETIMEDOUT };
      }
      const decision = asDecision(operation, given);
      if (decision !== undefined) return decision;
      this.#host.log(`${name}: ${operation} gave no decision`);
    } catch (error) {
      this.#host.log(`${name}: ${operation} threw ${reason(error)}`);
    } finally {
      inserted.pending--;
    }
    return { kind: "fail", errno: ERRNO.EIO };
  }

  #run({ module, summary }: Inserted, call: Call<Operation>): unknown {
    const handler = hookOf(module, call.operation)!.do as (call: Call<Operation>) => unknown;
    this.#host.running(module.name);
    let given: unknown;
    try {
      given = handler(call);
    } finally {
      this.#host.running();
    }
    if (!(given instanceof Promise) || this.#host.limit === undefined) return given;
    return this.#host.limit(given, summary.timeoutMs, LATE);
  }
}
