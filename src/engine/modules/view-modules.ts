/**
 * The modules of all views of a supervisor. Each view that inserts some has a module thread of its
 * own (`Modules`), so that one that hangs holds up its view and the views in it only. Who sees
 * which module is a matter of the tree of views: a view has its own and those that the view around
 * it had when it was made.
 */
import type { MessagePort } from "node:worker_threads";
import { EXIT, V2Error } from "../../base/index.ts";
import { ringBell } from "../../sys/index.ts";
import {
  encodeTraps,
  type FilterRule,
  moduleTraps,
  parseOptions,
  type Trap,
  type ViewTree,
} from "../../viewos/index.ts";
import type { GroundId } from "../calls/grounds.ts";
import { type ControlServer, Takeover } from "../control/control-server.ts";
import type { ModuleList } from "./module-lists.ts";
import type { ModulesMessage } from "./module-messages.ts";
import { sendModuleReport } from "./module-report.ts";
import { ModuleServers, type ModuleSource } from "./module-servers.ts";
import { type InsertOptions, type ModuleListing, Modules, modulesOf } from "./modules.ts";

export interface ViewModulesOptions {
  readonly tree: ViewTree<unknown>;
  /** To the notify worker. */
  readonly control: MessagePort;
  /** Rung after every message on `control`; and by module threads. */
  readonly bell: number;
  /** See `ModuleServersOptions`. */
  readonly copies: boolean;
  /** A line for the log. */
  readonly log: (line: string) => void;
}

/** A view that runs. */
interface RunningView {
  readonly id: number;
  readonly ground: GroundId;
}

/** Inserts, removes and lists, for each view. */
export class ViewModules {
  readonly #options: ViewModulesOptions;
  /** What modules have mounted. */
  readonly servers: ModuleServers;
  /** By the view that they were inserted in. */
  readonly #homes = new Map<number, Modules>();
  #views: readonly RunningView[] = [];
  #ended: number[] = [];
  #lastNumber = 0;
  #isClosed = false;
  #firstTraps: string | undefined;
  #rules: readonly FilterRule[] | undefined;

  constructor(options: ViewModulesOptions) {
    this.#options = options;
    this.servers = new ModuleServers({ ...options, sourceOf: (id) => this.#sourceOf(id) });
  }

  /** What the modules of the start want to be trapped; undefined: nothing. */
  get firstTraps(): string | undefined {
    return this.#firstTraps;
  }

  /**
   * Inserts the modules that the outermost view starts with, and tells its starter what they want
   * to be trapped, or which one cannot be inserted.
   * @param rulesOf the filter of the view's processes, with those traps: it cannot grow later
   */
  async begin(
    view: number,
    wanted: readonly InsertOptions[],
    session: number,
    rulesOf: (traps: readonly Trap[]) => readonly FilterRule[],
  ): Promise<void> {
    try {
      for (const options of wanted) await this.#home(view).expect(options);
      const modules = modulesOf(this.#options.tree, view);
      const traps = modules.flatMap(({ value }) => moduleTraps(value.summary));
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

  /** Makes insmod, rmmod and lsmod known: each is about the view of who asks. */
  register(control: ControlServer): void {
    control.register("insmod", (args, { view }) => {
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
      return this.#home(view).insert({ specifier: module, directory, options: given, permanent });
    });
    control.register("rmmod", ({ module }, { view }) => this.#home(view).remove(String(module)));
    control.register("lsmod", (_, { view }) => this.list(view));
    control.register("attach", (_, { view }) => {
      const { programs } = this.#home(view);
      return new Takeover((socket) => programs.attach(socket));
    });
  }

  /** What a view has, newest first. */
  list(view: number): readonly ModuleListing[] {
    return modulesOf(this.#options.tree, view).map(({ view: home, value }) => {
      const { name, description, types, hooks, permanent } = value.summary;
      return {
        name,
        description,
        specifier: value.insertion.specifier,
        types,
        operations: hooks.map(({ operation }) => operation),
        permanent,
        inherited: home !== view,
      };
    });
  }

  /** These views run now. The modules of others end. */
  publish(views: readonly RunningView[]): void {
    this.#views = views;
    const { tree } = this.#options;
    for (const [view, home] of this.#homes) {
      if (tree.node(view) !== undefined) home.release();
      else {
        this.#homes.delete(view);
        this.#ended.push(view);
        void home.close();
      }
    }
    if (this.#lastNumber > 0) this.#tell();
  }

  /** Modules of these views got no answer ready in time. */
  onLateCall(homes: readonly number[]): void {
    for (const view of homes) this.#homes.get(view)?.onLateCall();
  }

  /** Ends the module threads; the process may go on with other views. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#options.control.close();
    await Promise.all([...this.#homes.values()].map((home) => home.close()));
  }

  #home(view: number): Modules {
    const known = this.#homes.get(view);
    if (known !== undefined) return known;
    const { tree, bell, log } = this.#options;
    if (tree.node(view) === undefined) throw new V2Error("NO_VIEW", "the view is gone");
    const home = new Modules({
      view,
      tree,
      bell,
      log,
      nextNumber: () => ++this.#lastNumber,
      rules: () => this.#rules,
      endMounts: (module) => this.servers.end(module),
      mountsOf: (module) => this.servers.count(module, this.#groundOf(view)),
      changed: () => this.#tell(),
    });
    this.#homes.set(view, home);
    return home;
  }

  #groundOf(view: number): GroundId | undefined {
    return this.#views.find(({ id }) => id === view)?.ground;
  }

  #sourceOf(id: string): ModuleSource | undefined {
    const { tree } = this.#options;
    const seen = tree.all().flatMap((view) => modulesOf(tree, view.id));
    const layer = seen.find(({ value }) => value.id === id);
    const home = layer === undefined ? undefined : this.#homes.get(layer.view);
    if (layer === undefined || home === undefined) return undefined;
    const { insertion, summary } = layer.value;
    return { insertion, name: summary.name, programs: home.programs };
  }

  /** Tells the notify worker. */
  #tell(): void {
    if (this.#isClosed) return;
    const { tree, control, bell } = this.#options;
    const listOf = (view: number, ground: GroundId | undefined): ModuleList => {
      const modules = modulesOf(tree, view).map(({ view: home, value }) => {
        return { id: value.id, home, summary: value.summary };
      });
      return { ground, modules };
    };
    const lists = tree.all().flatMap(({ id, parent }) => {
      if (parent === undefined) return [listOf(id, undefined)];
      const ground = this.#groundOf(id);
      return ground === undefined ? [] : [listOf(id, ground)];
    });
    const threads = [...this.#homes].flatMap(([home, modules]) => {
      const calls = modules.takeCalls();
      return calls === undefined ? [] : [{ home, calls }];
    });
    const message: ModulesMessage = { lists, threads, ended: this.#ended };
    this.#ended = [];
    control.postMessage(
      message,
      threads.map(({ calls }) => calls),
    );
    ringBell(bell);
  }
}
