/**
 * The supervisor of a view: a process in the view's user namespace with all capabilities there. It
 * lives as long as a process of the view does. Started by `startSupervisor`; not a command of its
 * own.
 */
import { rmSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { MessageChannel, Worker } from "node:worker_threads";
import {
  closeDescriptor,
  listenSessions,
  makeBell,
  namespaceId,
  sendMessage,
  sessionPair,
} from "../sys/index.ts";
import { ConnectionCount } from "./control-door.ts";
import { registerViewOperations } from "./control-operations.ts";
import { ControlServer } from "./control-server.ts";
import { viewRules } from "./launch.ts";
import { Modules } from "./modules.ts";
import type { NotifyWorkerData, NotifyWorkerEvent, WorkerCommand } from "./notify-worker.ts";
import { removeLeftovers } from "./leftovers.ts";
import { interruptBlocked, watchPaths } from "./relief-watch.ts";
import { Relief } from "./relief.ts";
import { sessionSocketPath } from "./run-directory.ts";
import { processesWithMark } from "./marked-processes.ts";
import { SPAWNED_LOG, SPAWNED_SESSION, SPAWNED_TRACE, type SupervisorConfig } from "./start.ts";
import { DebugLog } from "./debug-log.ts";
import { mountingInsistsOnRoot } from "./setuid-programs.ts";
import { SharedSettings } from "./shared-settings.ts";
import { ViewBook } from "./view-book.ts";
import { NO_SETTINGS } from "./view-settings.ts";
import { processesInside, type ViewProcesses } from "./view-processes.ts";
import { filterTraps, type ViewTraps } from "./view-traps.ts";

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
  readonly #worker: Worker;
  readonly #modules: Modules;
  readonly #control: ControlServer;
  readonly #relief = new Relief();
  readonly #shared: Pick<NotifyWorkerData, "connections" | "settings">;
  readonly #book: ViewBook;
  /** Those of the outermost view, and of all inside it. */
  readonly #processes: ViewProcesses;

  constructor(config: SupervisorConfig) {
    this.#config = config;
    const connections = new ConnectionCount();
    this.#control = new ControlServer(connections);
    const settings = new SharedSettings(NO_SETTINGS);
    if (config.traps.setuidRoot ?? mountingInsistsOnRoot()) {
      settings.write({ ...settings.value, setuidRoot: true });
    }
    // Without a user namespace of its own the view shares ours with everybody.
    this.#processes =
      config.outside === undefined
        ? processesInside(namespaceId("self", "user"))
        : processesWithMark(config.outside.mark);
    const debug = new DebugLog(settings);
    this.#book = new ViewBook(
      (command) => this.#tell(command),
      { settings, debug, rung: config.rung },
      () => this.#modules.firstTraps,
    );
    registerViewOperations(this.#control, this.#book);
    const bell = makeBell();
    const { port1: control, port2 } = new MessageChannel();
    this.#modules = new Modules({ control, bell, log: (line) => this.#log(line) });
    this.#modules.register(this.#control);
    const [commands, theirs] = sessionPair();
    this.#commands = commands;
    this.#shared = { connections: connections.memory, settings: settings.memory };
    const data: NotifyWorkerData = {
      session: SPAWNED_SESSION,
      listening:
        config.name === undefined ? undefined : listenSessions(sessionSocketPath(config.name)),
      commands: theirs,
      outside: config.outside,
      ...this.#shared,
      relief: this.#relief.memory,
      debug: debug.descriptor,
      modules: { control: port2, bell },
      traps: config.traps,
      traceTo: SPAWNED_TRACE,
    };
    const worker =
      config.outside?.traced === true
        ? new URL("./trace-worker.js", import.meta.url)
        : new URL("./notify-worker.js", import.meta.url);
    this.#worker = new Worker(fileURLToPath(worker), {
      workerData: data,
      transferList: [port2],
    });
    this.#lifeline = config.lifeline === undefined ? undefined : this.#watch(config.lifeline);
  }

  /** Begins to serve; the process ends with the view's last process. */
  start(): void {
    const { modules = [], traps } = this.#config;
    void this.#modules.begin(modules, SPAWNED_SESSION, (needed) =>
      viewRules([...filterTraps(withoutTrace(traps)), ...needed]),
    );
    this.#worker.on("message", (event: NotifyWorkerEvent) => void this.#on(event));
    this.#worker.on("error", (error) => this.#end(1, error));
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
      process.on(signal, () => this.#endView());
    }
  }

  /** The lifeline's end of file means that whoever made the view is gone. */
  #watch(descriptor: number): Socket {
    const lifeline = new Socket({ fd: descriptor, readable: true, writable: true });
    let isOrderly = false;
    const end = (): void => {
      if (!isOrderly) this.#sweep();
      this.#endView();
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

  async #on(event: NotifyWorkerEvent): Promise<void> {
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
      case "late":
        this.#modules.onLateCall();
        break;
      case "mount":
      case "mounted":
        await this.#modules.servers.on(event);
        break;
      case "empty":
        this.#end(0);
    }
  }

  #enter({ ground, pid }: Extract<NotifyWorkerEvent, { kind: "entered" }>): void {
    if (this.#book.has(ground)) return;
    const { name, outside, traps } = this.#config;
    const { paths } = traps;
    if (paths !== undefined && this.#book.isEmpty) {
      watchPaths(this.#relief, { ...this.#shared, paths, pid }, (event) => void this.#on(event));
    }
    this.#book.addOutermost({
      ground,
      pid,
      name,
      userNamespace: namespaceId("self", "user")!,
      processes: this.#processes,
      outside,
      paths,
    });
    this.#report({ kind: "ready", pid });
  }

  #tell(command: WorkerCommand): void {
    sendMessage(this.#commands, new TextEncoder().encode(JSON.stringify(command)));
  }

  /**
   * An empty answer tells the launcher that its network failed; the reason goes where it speaks.
   */
  async #plugCables(event: Extract<NotifyWorkerEvent, { kind: "network" }>): Promise<void> {
    let answer = Uint8Array.of(1);
    try {
      const { plugCables } = await import("./cables.ts");
      const cables = await plugCables(
        event.pid,
        this.#book.netOf(event.session) ?? this.#config.net,
      );
      this.#book.keepCables(event.session, cables);
    } catch (error) {
      answer = new Uint8Array(0);
      const message = (error as Error).message;
      this.#report({ kind: "error", message });
      if (event.standardError !== undefined) sayTo(event.standardError, `v2 view: ${message}\n`);
    }
    if (event.standardError !== undefined) closeDescriptor(event.standardError);
    sendMessage(event.session, answer);
  }

  /** The maker was killed: what it would have removed is for us to remove. */
  #sweep(): void {
    this.#processes.kill();
    if (this.#config.leftovers !== undefined) removeLeftovers(this.#config.leftovers);
  }

  /** Ends every process of the view, then the supervisor. */
  #endView(): void {
    this.#processes.kill();
    this.#end(0);
  }

  #end(code: number, error?: Error): never {
    if (error !== undefined) process.stderr.write(`${error.stack ?? error.message}\n`);
    this.#book.closeAll();
    const { outside } = this.#config;
    if (outside !== undefined) rmSync(outside.folder, { recursive: true, force: true });
    closeDescriptor(this.#commands);
    interruptBlocked(this.#relief);
    process.exit(code);
  }
}

/** What enters a view later is not traced. */
function withoutTrace({ trace: _, ...traps }: ViewTraps): ViewTraps {
  return traps;
}

function sayTo(descriptor: number, text: string): void {
  try {
    writeSync(descriptor, text);
  } catch {
    // Its reader is gone; the exit code still tells.
  }
}

process.chdir("/");
process.title = "v2 supervisor";
new Supervisor(JSON.parse(process.argv[2] ?? "{}") as SupervisorConfig).start();
