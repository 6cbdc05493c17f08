/**
 * The views of one supervisor: the tree of them, by which name each is found, and by which process
 * it is known to live. A view inside a view has no listener of its own whose end would tell that it
 * is over, so one of its processes is watched; when that ends, another takes its place, until there
 * is none.
 */
import { rmSync } from "node:fs";
import { V2Error } from "../../base/index.ts";
import {
  closeDescriptor,
  listenAgain,
  listenSessions,
  namespaceId,
  pidfdOpen,
  sendMessage,
} from "../../sys/index.ts";
import type { ViewNode, ViewTree } from "../../viewos/index.ts";
import { FsAliases } from "../control/fs-aliases.ts";
import type { GroundId } from "../calls/grounds.ts";
import type { OutsideIdentity } from "../launch/launch-outside.ts";
import { sayTo } from "../launch/launcher-answers.ts";
import type { ViewFacts } from "../launch/launch-steps.ts";
import type { NestedEvent } from "../calls/nesting.ts";
import type { WorkerCommand } from "../calls/worker-messages.ts";
import {
  checkViewName,
  claimViewName,
  forgetView,
  placeOf,
  type RegisteredView,
  registerView,
  renameView,
  sessionSocketPath,
} from "./run-directory.ts";
import type { FdStore } from "./fd-store.ts";
import { type KeptGround, type KeptView, ViewFile } from "./kept-views.ts";
import type { ViewNet } from "../launch/view-net.ts";
import { processesInside, type ViewProcesses } from "./view-processes.ts";
import type { ViewState } from "../control/view-state.ts";
import type { ViewTraps } from "../calls/view-traps.ts";

/** What is known of a view. */
interface Entry {
  readonly node: ViewNode;
  readonly ground: GroundId;
  /** All processes of the view are in that user namespace, or in one inside it. */
  readonly userNamespace: bigint;
  readonly processes: ViewProcesses;
  /** Set when the view has no namespaces. */
  readonly outside?: OutsideIdentity | undefined;
  readonly isBound: boolean;
  /** The session that makes it, as long as it is made. */
  readonly session: number | undefined;
  readonly net: readonly ViewNet[];
  /** What is kept of it in the store, if there is one. */
  readonly file: ViewFile | undefined;
  /** Pulls out what `keepCables` was given. */
  unplug: (() => void) | undefined;
  /** A process of the view. */
  pid: number;
  /** False while its launcher is still at work. */
  isBorn: boolean;
}

/** A view, as those know it who keep what is in views. */
interface RunningView {
  readonly id: number;
  readonly ground: GroundId;
}

/** What is in the views of a supervisor. */
export interface ViewLayers {
  readonly tree: ViewTree<unknown>;
  readonly modules: { publish(views: readonly RunningView[]): void };
}

/** The views of one supervisor. */
export class ViewBook {
  readonly #tell: (command: WorkerCommand) => void;
  readonly #traps: () => ViewTraps;
  readonly #shared: Pick<ViewState, "settings" | "debug" | "rung">;
  readonly #tree: ViewTree<unknown>;
  readonly #modules: ViewLayers["modules"];
  /** Of the first view, before it is entered. */
  readonly #first: ViewNode;
  readonly #entries = new Map<GroundId, Entry>();
  /** Cables of outermost views that are not complete, by the session that makes them. */
  readonly #cables = new Map<number, () => void>();
  readonly #aliases: FsAliases;
  readonly #store: FdStore | undefined;
  /** Places of views in the run directory. */
  readonly #registered = new Set<string>();

  /**
   * @param tell reaches the worker that stands on the grounds.
   * @param tree is to have the views, and has what is put into them.
   * @param modules are told which views there are.
   * @param shared what all views of the supervisor have in common.
   * @param traps of every process that enters a view later.
   * @param store keeps what another server needs to take over; undefined: none could
   */
  constructor(
    tell: (command: WorkerCommand) => void,
    { tree, modules }: ViewLayers,
    shared: Pick<ViewState, "settings" | "debug" | "rung">,
    traps: () => ViewTraps,
    store?: FdStore,
  ) {
    this.#store = store;
    this.#traps = traps;
    this.#tell = tell;
    this.#shared = shared;
    this.#tree = tree;
    this.#modules = modules;
    this.#first = tree.open();
    this.#aliases = new FsAliases(tree, shared.settings);
  }

  /** What is told of a view, by its number; undefined: it is gone. */
  get(number: number): ViewState | undefined {
    const entry = [...this.#entries.values()].find(({ node }) => node.id === number);
    if (entry === undefined) return undefined;
    const { node, processes } = entry;
    return {
      ...this.#shared,
      number,
      processes,
      name: node.name,
      rename: (name) => this.#rename(entry, name),
      aliases: {
        table: () => this.#aliases.of(number),
        set: (alias, type) => {
          this.#aliases.set(number, alias, type);
          this.#aliases.publish(this.#running());
          this.#keep(entry);
        },
      },
    };
  }

  #say({ node, pid }: Entry, text: string): void {
    this.#shared.debug.log("n", pid, `view ${node.id} ${text}`);
  }

  #running(): RunningView[] {
    return [...this.#entries.values()].map(({ node, ground }) => ({ id: node.id, ground }));
  }

  /** A view has come or gone: tells who keeps what is in views. */
  #publish(): void {
    this.#aliases.publish(this.#running());
    this.#modules.publish(this.#running());
  }

  /** Number of the outermost view, also before it is entered. */
  get outermost(): number {
    return this.#first.id;
  }

  /** Gives a view another name, or its first one: by it, it can be entered from now on. */
  #rename(entry: Entry, name: string): void {
    const { node } = entry;
    checkViewName(name);
    if (name === node.name) return;
    if (node.name !== undefined) renameView(node.name, name);
    else {
      claimViewName(name);
      this.listen(name, entry.ground, entry.file);
    }
    this.#forget(entry, node.name !== undefined);
    node.name = name;
    this.#register(entry);
    for (const inner of this.#inside(entry)) if (inner.isBorn) this.#register(inner);
  }

  /**
   * Number of the view on a ground; of no ground: of the outermost view. 0 for a ground that could
   * belong to any of several.
   */
  numberOf(ground: GroundId | undefined): number {
    if (ground === undefined || this.#entries.size <= 1) return this.outermost;
    return this.#entries.get(ground)?.node.id ?? 0;
  }

  /** Enters an outermost view; its name is claimed already. @param isNews it listens nowhere yet */
  addOutermost(
    view: Pick<Entry, "ground" | "pid" | "userNamespace" | "processes" | "outside"> & {
      readonly name: string | undefined;
      readonly session: number;
      readonly kept?: KeptGround | undefined;
    },
    isNews: boolean,
  ): void {
    const { name, session, kept, ...facts } = view;
    const file = this.#file(kept);
    if (isNews && name !== undefined) this.listen(name, facts.ground, file);
    const entry: Entry = {
      ...facts,
      file,
      node: this.isEmpty ? this.#first : this.#tree.open(),
      isBound: false,
      isBorn: true,
      session,
      net: [],
      unplug: this.#cables.get(session),
    };
    entry.node.name = name;
    this.#cables.delete(session);
    this.#entries.set(entry.ground, entry);
    this.#publish();
    this.#register(entry);
    this.#watch(entry);
  }

  #file(kept: KeptGround | undefined): ViewFile | undefined {
    if (this.#store === undefined || kept === undefined) return undefined;
    return ViewFile.make(this.#store, kept);
  }

  /** A view may be entered by its name, which is claimed. */
  listen(name: string, ground: GroundId, file: ViewFile | undefined): void {
    const descriptor = listenSessions(sessionSocketPath(name));
    file?.listen(descriptor);
    this.#tell({ kind: "listen", descriptor, ground: String(ground) });
  }

  /** Is it a view that was made outside of all others? */
  isOutermost(ground: GroundId): boolean {
    const entry = this.#entries.get(ground);
    return entry !== undefined && entry.node.parent === undefined;
  }

  /** No view has been entered yet. */
  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  /** Is the ground that of a known view? */
  has(ground: GroundId): boolean {
    return this.#entries.has(ground);
  }

  /** Enters a view inside a view and lets its launcher go on, or refuses it and says why. */
  admit(event: NestedEvent): void {
    let answer = Uint8Array.of(1);
    try {
      this.#addNested(event, JSON.parse(event.facts) as ViewFacts);
    } catch (error) {
      answer = new Uint8Array(0);
      this.#tell({ kind: "forget", ground: String(event.ground) });
      if (event.kept !== undefined) this.#store?.drop([event.kept.mounts, event.kept.names]);
      const remedy = error instanceof V2Error ? error.remedy : undefined;
      const more = remedy === undefined ? "" : `    ${remedy}\n`;
      sayTo(event.standardError, `v2 view: ${(error as Error).message}\n${more}`);
    }
    closeDescriptor(event.standardError);
    sendMessage(event.session, answer);
  }

  #addNested(event: NestedEvent, { name, bound = false, net = [] }: ViewFacts): void {
    const parent = event.parent === undefined ? undefined : this.#entries.get(event.parent);
    if (parent === undefined) throw new V2Error("NO_VIEW", "the view around this one is gone");
    const { ground, pid, userNamespace, session } = event;
    if (name !== undefined) claimViewName(name);
    const node = this.#tree.open(parent.node.id, name);
    const file = this.#file(event.kept);
    const entry: Entry = {
      file,
      node,
      ground,
      userNamespace,
      processes: processesInside(userNamespace),
      pid,
      isBound: bound,
      isBorn: false,
      session,
      net,
      unplug: undefined,
    };
    this.#entries.set(ground, entry);
    this.#publish();
    if (name !== undefined) this.listen(name, ground, file);
    this.#watch(entry);
  }

  /**
   * Enters the views that another server has left, the outermost first.
   * @param processes of the outermost one
   */
  restore(views: ReadonlyMap<number, KeptView>, processes: ViewProcesses): void {
    for (const [number, view] of views) {
      const { id, parent, name, isBound, net, pid, listening } = view;
      if (parent !== undefined && this.#tree.node(parent) === undefined) continue;
      const [ground, userNamespace] = [BigInt(view.ground), BigInt(view.userNamespace)];
      const entry: Entry = {
        file: this.#store && ViewFile.of(this.#store, number, view),
        node: parent === undefined ? this.#first : this.#tree.open(parent, name, id),
        ground,
        userNamespace,
        processes: parent === undefined ? processes : processesInside(userNamespace),
        pid,
        isBound,
        isBorn: true,
        session: undefined,
        net,
        unplug: undefined,
      };
      entry.node.name = name;
      this.#entries.set(ground, entry);
      // Where one without a name was registered tells its server.
      if (name === undefined) {
        forgetView(placeOf({ name: "", supervisorPid: view.server, view: id }));
      }
      if (listening !== undefined) {
        listenAgain(listening);
        this.#tell({ kind: "listen", descriptor: listening, ground: view.ground });
      } else if (name !== undefined) {
        // The server was killed as soon as the view began.
        rmSync(sessionSocketPath(name), { force: true });
        this.listen(name, ground, entry.file);
      }
    }
    for (const { ground, aliases } of views.values()) {
      const id = this.#entries.get(BigInt(ground))?.node.id;
      if (id === undefined) continue;
      for (const [alias, type] of Object.entries(aliases)) this.#aliases.set(id, alias, type);
    }
    this.#publish();
    for (const entry of this.#entries.values()) {
      this.#register(entry);
      // Its number may be another process's by now.
      if (namespaceId(entry.pid, "mnt") === entry.ground) this.#watch(entry);
      else this.ended(entry.ground);
    }
  }

  /** The networks of the view inside a view that a session makes. */
  netOf(session: number): readonly ViewNet[] | undefined {
    return this.#making(session)?.net;
  }

  /** The cables of that view are pulled out when it ends. */
  keepCables(session: number, unplug: () => void): void {
    const entry = this.#making(session);
    if (entry !== undefined) entry.unplug = unplug;
    else this.#cables.set(session, unplug);
  }

  #making(session: number): Entry | undefined {
    return [...this.#entries.values()].find((entry) => entry.session === session && !entry.isBorn);
  }

  /** The launcher of a view inside a view is done. */
  born(ground: GroundId): void {
    const entry = this.#entries.get(ground);
    if (entry?.session === undefined || entry.isBorn) return;
    entry.isBorn = true;
    this.#register(entry);
    this.#registerAround(entry);
    this.#say(entry, `begins inside view ${entry.node.parent}`);
    sendMessage(entry.session, Uint8Array.of(1));
  }

  /** The watched process of a view has ended: the view stands by another, or is over. */
  ended(ground: GroundId): void {
    const entry = this.#entries.get(ground);
    if (entry === undefined) return;
    if (entry.isBound) entry.processes.kill();
    const living = entry.processes.list();
    // Best one that shows the view itself, not a view or sandbox inside it.
    const own = living.find((pid) => namespaceId(pid, "mnt") === ground);
    const next = own ?? living[0];
    if (next !== undefined) {
      entry.pid = next;
      this.#register(entry);
      this.#watch(entry);
    } else if (entry.node.parent !== undefined) this.close(ground);
    // An outermost view is over when its listener says so.
  }

  /** Ends all processes of a view and of the views in it. */
  close(ground: GroundId, isEmpty = false): void {
    const entry = this.#entries.get(ground);
    if (entry === undefined) return;
    if (!isEmpty) entry.processes.kill();
    const closed = new Set(this.#tree.close(entry.node.id).views.map((node) => node.id));
    for (const gone of [...this.#entries.values()].filter(({ node }) => closed.has(node.id))) {
      this.#entries.delete(gone.ground);
      if (gone.node.parent !== undefined) this.#say(gone, "ends");
      gone.unplug?.();
      this.#tell({ kind: "forget", ground: String(gone.ground) });
      gone.file?.drop();
      this.#forget(gone);
    }
    for (const left of this.#entries.values()) if (!this.#isListed(left)) this.#forget(left);
    this.#publish();
  }

  /**
   * Ends every view.
   * @param isEmpty no process is left. Nobody is looked for then: the kernel may have given the
   *   number of their user namespace to another view.
   */
  closeAll(isEmpty: boolean): void {
    for (const { ground } of this.#entries.values()) this.close(ground, isEmpty);
  }

  /** Writes down what another server would have to know. */
  #keep({ file, node, ground, userNamespace, pid, isBound, net }: Entry): void {
    file?.write({
      ground: String(ground),
      userNamespace: String(userNamespace),
      id: node.id,
      server: process.pid,
      parent: node.parent,
      name: node.name,
      pid,
      isBound,
      net,
      outermost: String([...this.#entries.values()][0]!.ground),
      aliases: this.#aliases.of(node.id),
    });
  }

  /** Views that were made in a view. */
  #inside({ node }: Entry): Entry[] {
    return [...this.#entries.values()].filter((entry) => entry.node.parent === node.id);
  }

  /** Views without a name are listed only if they are in others, or others in them. */
  #isListed(entry: Entry): boolean {
    const { name, parent } = entry.node;
    return name !== undefined || parent !== undefined || this.#inside(entry).length > 0;
  }

  /** A list shows the views around one that is registered, also those without a name. */
  #registerAround({ node }: Entry): void {
    const around = [...this.#entries.values()].find((entry) => entry.node.id === node.parent);
    if (around === undefined) return;
    if (around.node.name === undefined) this.#register(around);
    this.#registerAround(around);
  }

  /** @param isMoved its directory has another name already */
  #forget({ node }: Entry, isMoved = false): void {
    const place = placeOf({ name: node.name ?? "", supervisorPid: process.pid, view: node.id });
    const isThere = this.#registered.delete(place) || node.name !== undefined;
    if (isThere && !isMoved) forgetView(place);
  }

  #register(entry: Entry): void {
    this.#keep(entry);
    const { node, pid, userNamespace, outside } = entry;
    if (!this.#isListed(entry)) return;
    const above = node.parent === undefined ? undefined : this.#tree.node(node.parent);
    const view: RegisteredView = {
      name: node.name ?? "",
      view: node.id,
      ...(node.parent === undefined ? {} : { parentView: node.parent }),
      pid,
      supervisorPid: process.pid,
      userNamespace: String(userNamespace),
      traps: this.#traps(),
      ...(outside === undefined ? {} : { outside }),
      ...(above?.name === undefined ? {} : { parent: above.name }),
    };
    registerView(view);
    this.#registered.add(placeOf(view));
  }

  #watch(entry: Entry): void {
    const descriptor = pidfdOpen(entry.pid);
    // Gone already: as if it had been watched.
    if (descriptor === -1) setImmediate(() => this.ended(entry.ground));
    else this.#tell({ kind: "watch", descriptor, ground: String(entry.ground) });
  }
}
