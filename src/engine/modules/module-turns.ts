/**
 * In which order the modules of a view are asked about a call. Those of one home, the view that
 * they were inserted in, share a thread and are asked together: one *turn*. The turn of a view
 * comes before that of the view around it, because its modules are newer.
 */
import { compileCondition, isPastByIoUring, type Operation } from "../../viewos/index.ts";
import type { ModuleOfList } from "./module-lists.ts";

/** A module that wants calls of one operation. */
interface Interest {
  /** See `moduleId`. */
  readonly module: string;
  readonly timeoutMs: number;
  readonly holds: (fields: object) => boolean;
}

/** A question to the modules of one home. */
export interface Turn {
  readonly index: number;
  readonly home: number;
  /** All modules of the home that the view has. */
  readonly modules: readonly string[];
  /** Those that want the call as it is now. */
  readonly wanting: readonly string[];
  /** How long they may take together, in milliseconds. */
  readonly timeoutMs: number;
}

interface Home {
  readonly home: number;
  readonly modules: string[];
  readonly interests: Map<Operation, Interest[]>;
}

/** The modules of one view. */
export class ModuleTurns {
  readonly #homes: Home[] = [];
  readonly #operations = new Set<Operation>();
  readonly #modules: ReadonlySet<string>;

  /** @param modules newest first */
  constructor(modules: readonly ModuleOfList[]) {
    this.#modules = new Set(modules.map(({ id }) => id));
    for (const module of modules) this.#add(module);
  }

  /** Operations that some module wants. */
  get operations(): ReadonlySet<Operation> {
    return this.#operations;
  }

  /** Some module wants calls that io_uring would perform unseen. */
  get areHidden(): boolean {
    return [...this.#operations].some(isPastByIoUring);
  }

  /** Is the module there? */
  has(module: string): boolean {
    return this.#modules.has(module);
  }

  /** The first turn, from the one with that index on, in which a module wants the call. */
  next(operation: Operation, fields: object, from = 0): Turn | undefined {
    for (let index = from; index < this.#homes.length; index++) {
      const { home, modules, interests } = this.#homes[index]!;
      const wanting = (interests.get(operation) ?? []).filter(({ holds }) => holds(fields));
      if (wanting.length === 0) continue;
      const timeoutMs = wanting.reduce((sum, one) => sum + one.timeoutMs, 0);
      return { index, home, modules, wanting: wanting.map(({ module }) => module), timeoutMs };
    }
    return undefined;
  }

  #add({ id, home, summary }: ModuleOfList): void {
    let last = this.#homes.at(-1);
    if (last?.home !== home) {
      last = { home, modules: [], interests: new Map() };
      this.#homes.push(last);
    }
    last.modules.push(id);
    for (const { operation, when } of summary.hooks) {
      this.#operations.add(operation);
      const { timeoutMs } = summary;
      const interest = { module: id, timeoutMs, holds: compileCondition(when) };
      const known = last.interests.get(operation);
      if (known === undefined) last.interests.set(operation, [interest]);
      else known.push(interest);
    }
  }
}
