/**
 * The programs whose modules a supervisor has been given, on its main thread: which program has
 * which insertion, and what goes to and fro between it and the threads that ask for it.
 */
import type { Socket } from "node:net";
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { V2Error } from "../../base/index.ts";
import type { ModuleSummary } from "../../viewos/index.ts";
import { type Link, type LinkArguments, portLink, socketLink } from "./link.ts";

/** What the view does for its programs. */
export interface ProgramsHost {
  /** Inserts a module of a program. @returns the number of the insertion. */
  insert(summary: ModuleSummary): Promise<number>;
  /** The program of these insertions has ended. */
  lost(insertions: readonly number[]): void;
}

/** The links with programs. */
export class Programs {
  readonly #host: ProgramsHost;
  readonly #links = new Map<number, Link>();
  /** Insertions of the view's start, until the program that has made the view comes. */
  readonly #orphans = new Set<number>();
  /** Their calls wait for it. */
  readonly #adopted: Promise<void>;
  #adopt: () => void = () => {};
  /** Threads that serve mounts, by the number of the mount. */
  readonly #mounts = new Map<number, Link>();

  constructor(host: ProgramsHost) {
    this.#host = host;
    this.#adopted = new Promise((resolve) => (this.#adopt = resolve));
  }

  /** An insertion of the view's start: it belongs to the program that comes first. */
  expect(insertion: number): void {
    this.#orphans.add(insertion);
  }

  /** A program has come. */
  attach(socket: Socket): void {
    const link = socketLink(socket, (op, args) => this.#serve(link, op, args));
    socket.on("close", () => this.#lost(link));
  }

  async #serve(link: Link, op: string, args: LinkArguments): Promise<unknown> {
    switch (op) {
      case "adopt":
        for (const insertion of this.#orphans) this.#links.set(insertion, link);
        this.#orphans.clear();
        this.#adopt();
        return undefined;
      case "insert":
        this.#links.set(await this.#host.insert(args["summary"] as ModuleSummary), link);
        return undefined;
      case "changed":
        return await this.#mounts.get(args["mount"] as number)?.ask(op, args);
      default:
        throw new V2Error("NO_OPERATION", `a view has no operation '${op}' for programs`);
    }
  }

  #lost(link: Link): void {
    const lost = [...this.#links].filter(([, other]) => other === link).map(([number]) => number);
    if (lost.length > 0) this.#host.lost(lost);
  }

  /** An insertion is gone. */
  forget(insertion: number): void {
    this.#links.delete(insertion);
    this.#orphans.delete(insertion);
  }

  /** Tells the program that its module has been removed. */
  removed(insertion: number, module: string): void {
    // It may be gone, too.
    this.#links
      .get(insertion)
      ?.ask("removed", { module })
      .catch(() => {});
    this.forget(insertion);
  }

  /** Asks the program that has an insertion. */
  async ask(args: LinkArguments, op: string, signal: AbortSignal): Promise<unknown> {
    const insertion = args["insertion"] as number;
    if (this.#orphans.has(insertion)) await this.#adopted;
    const link = this.#links.get(insertion);
    if (link === undefined) throw new V2Error("ENOTCONN", "the program of the module is gone");
    return await link.ask(op, args, signal);
  }

  /** A way to the program for a thread that serves a mount; `close` when it is over. */
  portFor(insertion: number, mount: number): { readonly port: MessagePort; close(): void } {
    const { port1, port2 } = new MessageChannel();
    const link = portLink(port1, (op, args, signal) => {
      return this.ask({ ...args, insertion, mount }, op, signal);
    });
    this.#mounts.set(mount, link);
    const close = (): void => {
      this.#mounts.delete(mount);
      this.#links
        .get(insertion)
        ?.ask("unmounted", { mount })
        .catch(() => {});
      port1.close();
    };
    return { port: port2, close };
  }
}
