/**
 * The supervisor of a view: a process in the view's user namespace with all capabilities there. It
 * lives as long as a process of the view does. Started by `startSupervisor`; not a command of its
 * own.
 */
import { writeSync } from "node:fs";
import { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { MessageChannel, Worker } from "node:worker_threads";
import { V2Error } from "../base/index.ts";
import {
  closeDescriptor,
  listenSessions,
  makeBell,
  namespaceId,
  sendMessage,
  sessionPair,
} from "../sys/index.ts";
import { encodeTraps } from "../viewos/index.ts";
import { viewRules } from "./launch.ts";
import { sendModuleReport } from "./module-report.ts";
import { Modules } from "./modules.ts";
import type { NotifyWorkerData, NotifyWorkerEvent } from "./notify-worker.ts";
import { removeLeftovers } from "./leftovers.ts";
import { forgetView, registerView, sessionSocketPath } from "./run-directory.ts";
import { SPAWNED_LOG, SPAWNED_SESSION, SPAWNED_TRACE, type SupervisorConfig } from "./start.ts";
import { killViewProcesses } from "./view-processes.ts";

/** One line of JSON to the lifeline's other end. */
export type SupervisorReport =
  | { readonly kind: "ready"; readonly pid: number }
  /** A line of a module. */
  | { readonly kind: "log"; readonly line: string }
  | { readonly kind: "error"; readonly message: string };

class Supervisor {
  readonly #config: SupervisorConfig;
  readonly #lifeline: Socket | undefined;
  readonly #stop: number;
  readonly #worker: Worker;
  readonly #modules: Modules;
  #entered = false;

  constructor(config: SupervisorConfig) {
    this.#config = config;
    const [stop, theirs] = sessionPair();
    this.#stop = stop;
    const bell = makeBell();
    const { port1: control, port2 } = new MessageChannel();
    this.#modules = new Modules({ control, bell, log: (line) => this.#log(line) });
    const data: NotifyWorkerData = {
      modules: { control: port2, bell },
      session: SPAWNED_SESSION,
      listening:
        config.name === undefined ? undefined : listenSessions(sessionSocketPath(config.name)),
      stop: theirs,
      trace:
        config.trace === undefined
          ? undefined
          : { options: config.trace, descriptor: SPAWNED_TRACE },
    };
    this.#worker = new Worker(fileURLToPath(new URL("./notify-worker.js", import.meta.url)), {
      workerData: data,
      transferList: [port2],
    });
    this.#lifeline = config.lifeline === undefined ? undefined : this.#watch(config.lifeline);
  }

  /** Begins to serve; the process ends with the view's last process. */
  start(): void {
    void this.#insertModules();
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

  /** The first modules, before the first guest: whoever starts it learns what it must trap. */
  async #insertModules(): Promise<void> {
    const { modules, traps } = this.#config;
    try {
      for (const wanted of modules) await this.#modules.insert(wanted);
      const needed = this.#modules.traps();
      this.#modules.fix(viewRules([...traps, ...needed]));
      if (modules.length > 0) sendModuleReport(SPAWNED_SESSION, { traps: encodeTraps(needed) });
    } catch (error) {
      const { message } = error as Error;
      const { code, remedy } =
        error instanceof V2Error ? error : { code: "MODULE", remedy: undefined };
      sendModuleReport(SPAWNED_SESSION, { error: { code, message, remedy } });
    }
  }

  async #on(event: NotifyWorkerEvent): Promise<void> {
    switch (event.kind) {
      case "network":
        await this.#plugCables(event);
        break;
      case "entered":
        if (!this.#entered) this.#register(event.pid);
        break;
      case "late":
        this.#modules.onLateCall();
        break;
      case "empty":
        this.#end(0);
    }
  }

  #register(pid: number): void {
    this.#entered = true;
    const { name } = this.#config;
    if (name !== undefined) {
      const userNamespace = String(namespaceId("self", "user"));
      const traps = encodeTraps([...this.#config.traps, ...this.#modules.traps()]);
      registerView({ name, pid, supervisorPid: process.pid, userNamespace, traps });
    }
    this.#report({ kind: "ready", pid });
  }

  /**
   * An empty answer tells the launcher that its network failed; the reason goes where it speaks.
   */
  async #plugCables(event: Extract<NotifyWorkerEvent, { kind: "network" }>): Promise<void> {
    let answer = Uint8Array.of(1);
    try {
      const { plugCables } = await import("./cables.ts");
      await plugCables(event.pid, this.#config.net);
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
    killViewProcesses(namespaceId("self", "user"));
    if (this.#config.leftovers !== undefined) removeLeftovers(this.#config.leftovers);
  }

  /** Ends every process of the view, then the supervisor. */
  #endView(): void {
    killViewProcesses(namespaceId("self", "user"));
    this.#end(0);
  }

  #end(code: number, error?: Error): never {
    if (error !== undefined) process.stderr.write(`${error.stack ?? error.message}\n`);
    if (this.#config.name !== undefined) forgetView(this.#config.name);
    closeDescriptor(this.#stop);
    process.exit(code);
  }
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
