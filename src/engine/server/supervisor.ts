/**
 * The supervisor of a view: a process in the view's user namespace with all capabilities there. It
 * lives as long as a process of the view does. Started by `startSupervisor`; not a command of its
 * own.
 */
import { rmSync } from "node:fs";
import { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { EXIT, V2Error } from "../../base/index.ts";
import {
  closeDescriptor,
  forbidInspection,
  listenSessions,
  makeBell,
  namespaceId,
  sendMessage,
  sessionPair,
} from "../../sys/index.ts";
import { ViewTree } from "../../viewos/index.ts";
import { ConnectionCount } from "../control/control-door.ts";
import { registerViewOperations } from "../control/control-operations.ts";
import { ControlServer } from "../control/control-server.ts";
import { OUTSIDE_TRAPS } from "../launch/launch-outside.ts";
import { viewRules } from "../launch/launch-filter.ts";
import type { InsertOptions } from "../modules/modules.ts";
import { ViewModules } from "../modules/view-modules.ts";
import { answerNetwork, sayTo } from "../launch/launcher-answers.ts";
import type { AdoptedView } from "../launch/launch-steps.ts";
import type {
  MoreOfView,
  NotifyWorkerData,
  NotifyWorkerEvent,
  WorkerCommand,
} from "../calls/worker-messages.ts";
import type { KeptView } from "./kept-views.ts";
import { removeLeftovers } from "./leftovers.ts";
import { interruptBlocked, watchPaths } from "../calls/relief-watch.ts";
import { Relief } from "../calls/relief.ts";
import { Deputies } from "../calls/deputies.ts";
import { sessionSocketPath } from "./run-directory.ts";
import { processesWithMark } from "../launch/marked-processes.ts";
import { SPAWNED_LOG, SPAWNED_SESSION, SPAWNED_TRACE, type SupervisorConfig } from "../start.ts";
import { DebugLog } from "../control/debug-log.ts";
import { mountingInsistsOnRoot } from "../calls/setuid-programs.ts";
import { SharedSettings } from "../control/shared-settings.ts";
import { ViewBook } from "./view-book.ts";
import { type SupervisorHost, ViewHost } from "./view-host.ts";
import { NO_SETTINGS } from "../control/view-settings.ts";
import { processesInside, type ViewProcesses } from "./view-processes.ts";
import { filterTraps, type ViewTraps } from "../calls/view-traps.ts";

/** One line of JSON to the lifeline's other end. */
export type SupervisorReport =
  | { readonly kind: "ready"; readonly pid: number }
  /** A line of a module. */
  | { readonly kind: "log"; readonly line: string }
  | { readonly kind: "error"; readonly message: string };

class Supervisor {
  readonly #config: SupervisorConfig;
  readonly #lifeline: Socket | undefined;
  readonly #commands: number;
  #worker: Worker | undefined;
  readonly #modules: ViewModules;
  /** The worker's end. */
  readonly #modulePort: MessagePort;
  readonly #control: ControlServer;
  readonly #relief = new Relief();
  readonly #deputies = new Deputies();
  readonly #book: ViewBook;
  readonly #host: SupervisorHost | undefined;
  readonly #shared: Omit<NotifyWorkerData, "session" | "adopted" | "listening">;
  /** Sockets on which a view may be entered that has no worker yet. */
  #listening: number | undefined;
  #isOver = false;
  /** Those of the outermost view, and of all inside it. */
  readonly #processes: ViewProcesses;

  /** @param host the process has other supervisors too; the view's launcher is done */
  constructor(config: SupervisorConfig, host?: SupervisorHost) {
    this.#config = config;
    this.#host = host;
    const connections = new ConnectionCount();
    const settings = new SharedSettings(NO_SETTINGS);
    const debug = new DebugLog(settings);
    this.#control = new ControlServer(connections, (request, { pid }, reply) => {
      debug.request(request, pid, reply);
    });
    if (config.traps.setuidRoot ?? mountingInsistsOnRoot()) {
      settings.write({ ...settings.value, setuidRoot: true });
    }
    // Without a user namespace of its own the view shares ours with everybody.
    this.#processes =
      config.outside === undefined
        ? processesInside(host?.userNamespace ?? namespaceId("self", "user"))
        : processesWithMark(config.outside.mark);
    const bell = makeBell();
    const { port1: control, port2 } = new MessageChannel();
    const tree = new ViewTree<unknown>();
    // FUSE is what rung A has.
    const copies = config.rung !== undefined && config.rung !== "A";
    this.#modules = new ViewModules({
      tree,
      control,
      bell,
      copies,
      log: (line) => this.#log(line),
    });
    this.#book = new ViewBook(
      (command) => this.#tell(command),
      { tree, modules: this.#modules },
      { settings, debug, rung: config.rung },
      () => {
        const modules = this.#modules.firstTraps;
        return { ...withoutTrace(config.traps), ...(modules === undefined ? {} : { modules }) };
      },
      host?.store,
    );
    registerViewOperations(this.#control, this.#book);
    this.#modules.register(this.#control);
    if ((config.traps.paths?.deny.length ?? 0) > 0) this.#lockModules();
    const [commands, theirs] = sessionPair();
    this.#commands = commands;
    this.#modulePort = port2;
    this.#shared = {
      commands: theirs,
      outside: config.outside,
      connections: connections.memory,
      settings: settings.memory,
      relief: this.#relief.memory,
      debug: debug.descriptor,
      modules: { control: port2, bell },
      traps: config.traps,
      traceTo: SPAWNED_TRACE,
      store: host?.store.memory,
    };
    this.#lifeline = config.lifeline === undefined ? undefined : this.#watch(config.lifeline);
  }

  /** A module runs outside of the view, with its user's rights: a guest would get round --deny. */
  #lockModules(): void {
    const reason = new V2Error("EPERM", "modules cannot be changed in a view with --deny", {
      remedy: "give them at the start: v2 view --deny PATH -p MODULE",
      exitCode: EXIT.noPermission,
    });
    for (const op of ["insmod", "rmmod", "attach"]) this.#control.lock(op, reason);
  }

  /** Begins to serve; the process ends with the view's last process. */
  start(): void {
    const { name } = this.#config;
    const listening = name === undefined ? undefined : listenSessions(sessionSocketPath(name));
    this.#work({ ...this.#shared, session: SPAWNED_SESSION, adopted: undefined, listening });
    this.#beginModules(this.#config.modules ?? []);
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
      process.on(signal, () => this.endView());
    }
  }

  /** Gives a hosted view its worker. */
  wake(adopted: AdoptedView, more?: MoreOfView): void {
    this.#beginModules([]);
    const listening = this.#listening;
    this.#work({ ...this.#shared, session: undefined, adopted, listening, more });
  }

  /** Goes on with views of a server that is gone. */
  restore(views: ReadonlyMap<number, KeptView>): void {
    this.#book.restore(views, this.#processes);
  }

  #beginModules(wanted: readonly InsertOptions[]): void {
    void this.#modules.begin(this.#book.outermost, wanted, SPAWNED_SESSION, (needed) =>
      viewRules([
        ...(this.#config.outside === undefined ? [] : [{ calls: OUTSIDE_TRAPS }]),
        ...filterTraps(withoutTrace(this.#config.traps)),
        ...needed,
      ]),
    );
  }

  #work(workerData: NotifyWorkerData): void {
    const worker =
      workerData.outside?.traced === true
        ? new URL("../outside/trace-worker.js", import.meta.url)
        : new URL("../calls/notify-worker.js", import.meta.url);
    // Descriptors are closed by who has opened them: Node's own list of a thread's would be wrong,
    // because most are closed past it.
    this.#worker = new Worker(fileURLToPath(worker), {
      workerData,
      transferList: [this.#modulePort],
      trackUnmanagedFds: false,
    });
    this.#worker.on("message", (event: NotifyWorkerEvent) => void this.on(event));
    this.#worker.on("error", (error) => this.#end(1, error));
  }

  /** See ViewBook. */
  keepCables(session: number, unplug: () => void): void {
    this.#book.keepCables(session, unplug);
  }

  /** The lifeline's end of file means that whoever made the view is gone. */
  #watch(descriptor: number): Socket {
    const lifeline = new Socket({ fd: descriptor, readable: true, writable: true });
    let isOrderly = false;
    const end = (): void => {
      if (!isOrderly) this.#sweep();
      this.endView();
    };
    lifeline.on("data", () => (isOrderly = true));
    lifeline.on("error", end);
    lifeline.on("end", end);
    lifeline.on("close", end);
    return lifeline;
  }

  #report(report: SupervisorReport): void {
    this.#lifeline?.write(`${JSON.stringify(report)}\n`);
  }

  #log(line: string): void {
    if (this.#lifeline !== undefined) this.#report({ kind: "log", line });
    else if (this.#config.log === true) sayTo(SPAWNED_LOG, `${line}\n`);
  }

  /** Does what a worker's event asks for. */
  async on(event: NotifyWorkerEvent): Promise<void> {
    switch (event.kind) {
      case "network":
        await this.#plugCables(event);
        break;
      case "control":
        this.#control.serve(event.descriptor, {
          pid: event.pid,
          view: this.#book.numberOf(event.ground),
        });
        break;
      case "entered":
        this.#enter(event);
        break;
      case "nested":
        this.#book.admit(event);
        break;
      case "born":
        this.#book.born(event.ground);
        break;
      case "ended":
        this.#book.ended(event.ground);
        break;
      case "deputy":
        this.#deputies.take(event.call);
        break;
      case "late":
        this.#modules.onLateCall(event.homes);
        break;
      case "mount":
      case "tree":
      case "mounted":
        await this.#modules.servers.on(event);
        break;
      case "empty":
        this.endEmpty();
    }
  }

  #enter(event: Extract<NotifyWorkerEvent, { kind: "entered" }>): void {
    if (this.#book.has(event.ground)) return;
    const { outside, traps } = this.#config;
    const { ground, pid, session, userNamespace } = event;
    const { paths } = traps;
    if (paths !== undefined && outside !== undefined) forbidInspection();
    else if (paths !== undefined && this.#book.isEmpty) {
      const shared = { connections: this.#shared.connections, settings: this.#shared.settings };
      watchPaths(this.#relief, { ...shared, paths, pid }, (one) => void this.on(one));
    }
    const name = this.#config.name ?? event.facts.name;
    const known = { ground, pid, session, name, userNamespace, kept: event.kept };
    // The socket of the one view of a supervisor of its own is there from the beginning.
    const isNews = this.#config.name === undefined;
    this.#book.addOutermost({ ...known, processes: this.#processes, outside }, isNews);
    this.#report({ kind: "ready", pid });
  }

  #tell(command: WorkerCommand): void {
    if (command.kind === "listen") this.#listening ??= command.descriptor;
    // The door stands by the process of an outermost view; the worker by those of the others.
    if (this.#host !== undefined && (this.#worker === undefined || this.#isOutermost(command))) {
      return this.#host.tellDoor(command);
    }
    sendMessage(this.#commands, new TextEncoder().encode(JSON.stringify(command)));
  }

  #isOutermost({ kind, ground }: WorkerCommand): boolean {
    return kind === "watch" && this.#book.isOutermost(BigInt(ground));
  }

  async #plugCables(event: Extract<NotifyWorkerEvent, { kind: "network" }>): Promise<void> {
    const nets = this.#book.netOf(event.session) ?? event.facts.net ?? this.#config.net;
    await answerNetwork(
      event,
      nets,
      (unplug) => this.#book.keepCables(event.session, unplug),
      (message) => this.#report({ kind: "error", message }),
    );
  }

  /** The maker was killed: what it would have removed is for us to remove. */
  #sweep(): void {
    this.#processes.kill();
    if (this.#config.leftovers !== undefined) removeLeftovers(this.#config.leftovers);
  }

  /** No process of the view is left. */
  endEmpty(): void {
    this.#end(0, undefined, true);
  }

  /** Ends every process of the view, then the supervisor. */
  endView(): void {
    this.#processes.kill();
    this.#end(0);
  }

  /** The process goes on with other views. */
  #release(hadWorker = false): void {
    closeDescriptor(this.#shared.debug);
    void this.#modules.close().then(() => closeDescriptor(this.#shared.modules.bell));
    if (!hadWorker) this.#modulePort.close();
    if (!hadWorker) closeDescriptor(this.#shared.commands);
    if (!hadWorker && this.#listening !== undefined) closeDescriptor(this.#listening);
  }

  #end(code: number, error?: Error, isEmpty = false): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (error !== undefined) process.stderr.write(`${error.stack ?? error.message}\n`);
    this.#book.closeAll(isEmpty);
    const { outside } = this.#config;
    if (outside !== undefined) rmSync(outside.folder, { recursive: true, force: true });
    closeDescriptor(this.#commands);
    interruptBlocked(this.#relief);
    this.#deputies.close();
    if (this.#host !== undefined) {
      if (this.#worker === undefined) this.#release();
      else this.#worker.once("exit", () => this.#release(true));
      this.#host.over();
      return;
    }
    const { servers } = this.#modules;
    if (servers.isEmpty) process.exit(code);
    // A thread that never ends would keep exit waiting for it.
    void servers
      .close()
      .then((inTime) => (inTime ? process.exit(code) : process.kill(process.pid, "SIGKILL")));
  }
}

/** What enters a view later is not traced. */
function withoutTrace({ trace: _, ...traps }: ViewTraps): ViewTraps {
  return traps;
}

process.chdir("/");
process.title = "v2 supervisor";
const config = JSON.parse(process.argv[2] ?? "{}") as SupervisorConfig;
if (config.interpreter === undefined) new Supervisor(config).start();
else {
  void new ViewHost(config, (one, host) => new Supervisor(one, host));
}
