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
  /** The handler of a module is about to run; called without one when it has returned. */
  running(id?: string): void;
  /** Gives `late` when the decision takes longer. Without it: waits for ever. */
  limit?(decision: Promise<unknown>, timeoutMs: number, late: unknown): Promise<unknown>;
}

/** A decision that came too late. */
const LATE = Symbol("late");

interface Inserted {
  /** Tells it apart; its name where no other of that name is in the chain. */
  readonly id: string;
  readonly module: Module;
  readonly summary: ModuleSummary;
  readonly conditions: ReadonlyMap<Operation, (fields: object) => boolean>;
  /** Calls that it has not decided yet. */
  pending: number;
}

const reason = (error: unknown): string =>
  error instanceof Error ? `${error.name}: ${error.message}` : String(error);

/** What several modules have come to so far. */
export interface Verdict {
  /** Performed when none is left that wants the call. */
  readonly decision: Decision;
  /** What the next one is asked about. */
  readonly fields: OperationFields[Operation];
  /** Older modules are not asked. */
  readonly isFinal: boolean;
}

/** Nothing is decided about a call yet. */
export function undecided(fields: OperationFields[Operation]): Verdict {
  return { decision: { kind: "pass" }, fields, isFinal: false };
}

/**
 * Adds the decision of an older module. When one has the call performed on other files, older ones
 * are asked about those.
 */
export function withDecision(so: Verdict, decision: Decision): Verdict {
  if (decision.kind === "pass") return so;
  if (decision.kind !== "emulate") return { ...so, decision, isFinal: true };
  const { kind, ...others } = decision;
  const earlier = so.decision.kind === "emulate" ? so.decision : {};
  return {
    decision: { ...earlier, kind, ...others },
    fields: { ...so.fields, ...others },
    isFinal: false,
  };
}

/** The inserted modules of a view. */
export class ModuleChain {
  readonly #host: ChainHost;
  /** Newest first. */
  readonly #modules: Inserted[] = [];

  constructor(host: ChainHost) {
    this.#host = host;
  }

  /**
   * @param id names it among the modules of the chain
   * @throws V2Error when there is one already
   */
  insert(module: Module, id = module.name): ModuleSummary {
    if (this.#modules.some((other) => other.id === id)) {
      throw new V2Error("EEXIST", `a module '${module.name}' is inserted already`, {
        remedy: "remove it first",
      });
    }
    const summary = summarize(module);
    const conditions = new Map(
      summary.hooks.map(({ operation, when }) => [operation, compileCondition(when)] as const),
    );
    this.#modules.unshift({ id, module, summary, conditions, pending: 0 });
    return summary;
  }

  /**
   * Takes a module out, whoever asks; see `remove` of Modules for who may.
   * @param isForced also while a call waits for it
   * @returns it; undefined when there is none of that name.
   * @throws V2Error EBUSY while a call waits for it.
   */
  remove(id: string, isForced = false): Module | undefined {
    const index = this.#modules.findIndex((inserted) => inserted.id === id);
    const found = this.#modules[index];
    if (found === undefined) return undefined;
    const { module, pending } = found;
    if (pending > 0 && !isForced) {
      throw new V2Error(
        "EBUSY",
        `module '${module.name}' is in use: ${pending} calls wait for it`,
        {
          remedy: "try again when they have ended",
        },
      );
    }
    this.#modules.splice(index, 1);
    return module;
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
   * Asks the modules one after the other; never rejects.
   * @param ids those that are asked; left out: all
   */
  async answer(
    { operation, pid, fields }: OfferedCall,
    ids?: readonly string[],
  ): Promise<Decision> {
    let so = undecided(fields);
    for (const inserted of this.#modules.slice()) {
      if (ids?.includes(inserted.id) === false) continue;
      if (inserted.conditions.get(operation)?.(so.fields) !== true) continue;
      so = withDecision(so, await this.#ask(inserted, operation, pid, so.fields));
      if (so.isFinal) break;
    }
    return so.decision;
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

  #run({ id, module, summary }: Inserted, call: Call<Operation>): unknown {
    const handler = hookOf(module, call.operation)!.do as (call: Call<Operation>) => unknown;
    this.#host.running(id);
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
