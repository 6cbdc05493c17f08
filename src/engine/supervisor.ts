/**
 * The supervisor of a view: a process in the view's user namespace with all capabilities there. It
 * lives as long as a process of the view does. Started by `startSupervisor`; not a command of its
 * own.
 */
import { rmSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import {
  closeDescriptor,
  listenSessions,
  namespaceId,
  sendMessage,
  sessionPair,
} from "../sys/index.ts";
import type { NotifyWorkerData, NotifyWorkerEvent } from "./notify-worker.ts";
import { removeLeftovers } from "./leftovers.ts";
import { killMarkedProcesses } from "./marked-processes.ts";
import { forgetView, registerView, sessionSocketPath } from "./run-directory.ts";
import { SPAWNED_SESSION, SPAWNED_TRACE, type SupervisorConfig } from "./start.ts";
import { killViewProcesses } from "./view-processes.ts";

/** One line of JSON to the lifeline's other end. */
export type SupervisorReport =
  | { readonly kind: "ready"; readonly pid: number }
  | { readonly kind: "error"; readonly message: string };

class Supervisor {
  readonly #config: SupervisorConfig;
  readonly #lifeline: Socket | undefined;
  readonly #stop: number;
  readonly #worker: Worker;
  #entered = false;

  constructor(config: SupervisorConfig) {
    this.#config = config;
    const [stop, theirs] = sessionPair();
    this.#stop = stop;
    const data: NotifyWorkerData = {
      session: SPAWNED_SESSION,
      listening:
        config.name === undefined ? undefined : listenSessions(sessionSocketPath(config.name)),
      stop: theirs,
      outside: config.outside,
      trace:
        config.trace === undefined
          ? undefined
          : { options: config.trace, descriptor: SPAWNED_TRACE },
    };
    const worker =
      config.outside?.traced === true
        ? new URL("./trace-worker.js", import.meta.url)
        : new URL("./notify-worker.js", import.meta.url);
    this.#worker = new Worker(fileURLToPath(worker), {
      workerData: data,
    });
    this.#lifeline = config.lifeline === undefined ? undefined : this.#watch(config.lifeline);
  }

  /** Begins to serve; the process ends with the view's last process. */
  start(): void {
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

  async #on(event: NotifyWorkerEvent): Promise<void> {
    switch (event.kind) {
      case "network":
        await this.#plugCables(event);
        break;
      case "entered":
        if (!this.#entered) this.#register(event.pid);
        break;
      case "empty":
        this.#end(0);
    }
  }

  #register(pid: number): void {
    this.#entered = true;
    const { name, outside } = this.#config;
    if (name !== undefined) {
      const userNamespace = String(namespaceId("self", "user"));
      const view = { name, pid, supervisorPid: process.pid, userNamespace };
      registerView(outside === undefined ? view : { ...view, outside });
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
    this.#killGuests();
    if (this.#config.leftovers !== undefined) removeLeftovers(this.#config.leftovers);
  }

  #killGuests(): void {
    const { outside } = this.#config;
    // Without a user namespace of its own the view shares ours with everybody.
    if (outside === undefined) killViewProcesses(namespaceId("self", "user"));
    else killMarkedProcesses(outside.mark);
  }

  /** Ends every process of the view, then the supervisor. */
  #endView(): void {
    this.#killGuests();
    this.#end(0);
  }

  #end(code: number, error?: Error): never {
    if (error !== undefined) process.stderr.write(`${error.stack ?? error.message}\n`);
    if (this.#config.name !== undefined) forgetView(this.#config.name);
    const { outside } = this.#config;
    if (outside !== undefined) rmSync(outside.folder, { recursive: true, force: true });
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
