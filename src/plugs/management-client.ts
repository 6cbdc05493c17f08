/**
 * A client of the management socket of a switch (`vde_switch -M SOCKET`), ours or another's: one
 * command at a time, replies as data, debug lines as a stream. The protocol is in
 * vde/console-client.ts.
 */
import { createConnection, type Socket } from "node:net";
import { ERRNO, errnoName, errnoText, EXIT, V2Error } from "../base/index.ts";
import {
  type CommandReport,
  ConsoleReader,
  type ConsoleReply,
  type DebugEvent,
  emitCommand,
  parseCommands,
  parseInfo,
  parsePorts,
  parseStations,
  parseVlans,
  type PortReport,
  ReplyGatherer,
  type StationReport,
  type ReportedInfo,
  type VlanReport,
} from "../vde/index.ts";

/** How long a switch may take to greet. */
const GREETING_MS = 5000;
/** Commands that may wait for the one before them. */
const COMMANDS_MAX = 1024;
/** Debug lines that a reader of `events` may be behind; more are dropped and counted. */
const EVENTS_MAX = 10_000;

export interface ConnectOptions {
  /** Gives up connecting; afterwards, closes the client. */
  readonly signal?: AbortSignal;
  /** Told of every debug line that the switch sends. */
  readonly onDebug?: (event: DebugEvent) => void;
}

export interface CommandOptions {
  /** Gives up waiting for the reply; the switch may carry the command out all the same. */
  readonly signal?: AbortSignal;
}

interface Waiting {
  readonly command: string;
  readonly resolve: (reply: ConsoleReply) => void;
  readonly reject: (error: unknown) => void;
  isGivenUp: boolean;
}

/**
 * Connects to a management socket and waits for its first prompt.
 *
 * ```ts
 * await using lan = await connectSwitch("/tmp/lan.mgmt");
 * for (const port of await lan.ports()) console.log(port.port, port.in?.frames);
 * ```
 *
 * @throws V2Error NO_CONSOLE: nobody listens there; EACCES; NO_ANSWER: it does not greet as a
 *   console does.
 */
export async function connectSwitch(
  path: string,
  options: ConnectOptions = {},
): Promise<ManagementClient> {
  const client = new ManagementClient(path, options);
  try {
    await client.ready;
  } catch (error) {
    await client.close();
    throw error;
  }
  return client;
}

/** A session with the console of a switch; made by `connectSwitch`. */
export class ManagementClient implements AsyncDisposable {
  /** What the switch said of itself before its first prompt. */
  readonly banner: readonly string[];
  /** Name in its prompt: "vde". */
  prompt = "";
  /** Debug lines dropped because a reader of `events` was too slow. */
  droppedEvents = 0;
  /** Resolves with the first prompt. */
  readonly ready: Promise<void>;
  /** Resolves when the session is over, by either side. */
  readonly ended: Promise<void>;
  readonly #path: string;
  readonly #socket: Socket;
  readonly #reader = new ConsoleReader();
  readonly #gatherer = new ReplyGatherer();
  readonly #waiting: Waiting[] = [];
  readonly #listeners = new Set<(event: DebugEvent) => void>();
  readonly #banner: string[] = [];
  #isReady = false;
  #failure: Error | undefined;
  #markReady: () => void = () => undefined;

  /** Begins to connect; `connectSwitch` also waits until it is done. */
  constructor(path: string, options: ConnectOptions = {}) {
    this.#path = path;
    this.banner = this.#banner;
    const { signal, onDebug } = options;
    if (onDebug !== undefined) this.#listeners.add(onDebug);
    const socket = createConnection(path);
    this.#socket = socket;
    const abort = () => this.#fail(abortReason(signal!));
    this.ended = new Promise((resolve) => {
      socket.once("close", () => {
        signal?.removeEventListener("abort", abort);
        this.#over();
        resolve();
      });
    });
    this.ready = new Promise((resolve, reject) => {
      this.#markReady = resolve;
      void this.ended.then(() => reject(this.#failure ?? this.#silent()));
    });
    // Whoever does not wait for it learns of a failure from `command`.
    this.ready.catch(() => undefined);
    socket.setTimeout(GREETING_MS, () => {
      if (!this.#isReady) socket.destroy();
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#failure ??= cannotConnect(path, error);
    });
    socket.on("data", (octets) => this.#heard(octets));
    if (signal?.aborted === true) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  }

  /** Whether the session is over. */
  get isClosed(): boolean {
    return this.#socket.destroyed || this.#reader.isOver;
  }

  /**
   * Gives a command and waits for its reply, which may say that it failed.
   * @throws V2Error SESSION_OVER when the switch has gone; QUEUE_FULL: too many wait.
   */
  async command(text: string, { signal }: CommandOptions = {}): Promise<ConsoleReply> {
    if (signal?.aborted === true) throw abortReason(signal);
    if (this.isClosed) throw this.#failure ?? this.#sessionOver(text);
    if (this.#waiting.length >= COMMANDS_MAX) {
      throw new V2Error("QUEUE_FULL", `${COMMANDS_MAX} commands wait for '${this.#path}' already`);
    }
    return await new Promise((resolve, reject) => {
      const waiting: Waiting = { command: text, resolve, reject, isGivenUp: false };
      if (signal !== undefined) listenForAbort(waiting, signal);
      this.#waiting.push(waiting);
      // A switch takes one line at a time: what it reads together it may take for one command.
      if (this.#waiting.length === 1 && this.#isReady) this.#sendNext();
    });
  }

  /**
   * As `command`, for a command that has to succeed.
   * @returns the lines of its data block.
   * @throws V2Error with the errno's name in `code` when the switch refuses it.
   */
  async ask(text: string, options: CommandOptions = {}): Promise<readonly string[]> {
    const reply = await this.command(text, options);
    if (reply.errno === 0) return reply.data;
    throw refused(this.#path, text, reply);
  }

  /** Name, version, process and uptime. */
  async info(options: CommandOptions = {}): Promise<ReportedInfo> {
    return parseInfo(await this.ask("showinfo", options));
  }

  /** Ports with cables; with `all` those without too. */
  async ports({ all = false, ...options }: CommandOptions & { readonly all?: boolean } = {}) {
    const ports: readonly PortReport[] = parsePorts(
      await this.ask(all ? "port/allprint" : "port/print", options),
    );
    return ports;
  }

  /** VLANs and their ports; with `all` also ports without cables. */
  async vlans({ all = false, ...options }: CommandOptions & { readonly all?: boolean } = {}) {
    const vlans: readonly VlanReport[] = parseVlans(
      await this.ask(all ? "vlan/allprint" : "vlan/print", options),
    );
    return vlans;
  }

  /** The stations that the switch knows. */
  async stations(options: CommandOptions = {}): Promise<readonly StationReport[]> {
    return parseStations(await this.ask("hash/print", options));
  }

  /** The commands that the switch knows, as its `help` tells. */
  async commands(options: CommandOptions = {}): Promise<readonly CommandReport[]> {
    return parseCommands(await this.ask("help", options));
  }

  /**
   * Debug lines of a category ("port", "hash/+"; every one when left out), switched on first and
   * off again at the end. Ends with the session or by the signal. A slow reader loses lines, which
   * `droppedEvents` counts.
   * @throws V2Error when the switch has no such category.
   */
  async *events(
    category?: string,
    { signal }: CommandOptions = {},
  ): AsyncGenerator<DebugEvent, void, undefined> {
    const queue: DebugEvent[] = [];
    let wake: () => void = () => undefined;
    const listener = (event: DebugEvent): void => {
      if (category !== undefined && !event.path.startsWith(category)) return;
      if (queue.length < EVENTS_MAX) queue.push(event);
      else this.droppedEvents++;
      wake();
    };
    const stop = (): void => wake();
    this.#listeners.add(listener);
    signal?.addEventListener("abort", stop);
    void this.ended.then(stop);
    try {
      await this.#setDebug("add", category);
      for (;;) {
        if (signal?.aborted === true) return;
        const event = queue.shift();
        if (event !== undefined) yield event;
        else if (this.isClosed) return;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      this.#listeners.delete(listener);
      signal?.removeEventListener("abort", stop);
      if (!this.isClosed) await this.#setDebug("del", category).catch(() => undefined);
    }
  }

  /** Ends the session, as closing a terminal does; idempotent. */
  async close(): Promise<void> {
    this.#socket.destroy();
    await this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** All categories are asked for one by one: an empty prefix is refused by some switches. */
  async #setDebug(verb: "add" | "del", category: string | undefined): Promise<void> {
    if (category !== undefined) {
      const reply = await this.command(`debug/${verb} ${category}`);
      // Already on, or already off, is as good.
      const isDone = [0, ERRNO.EEXIST, ERRNO.ENOENT].some((errno) => errno === reply.errno);
      if (!isDone) throw refused(this.#path, `debug/${verb} ${category}`, reply);
      return;
    }
    for (const line of await this.ask("debug/list")) {
      const path = /^(\S+)\s+\d{3} (?:ON|OFF)\b/.exec(line)?.[1];
      if (path !== undefined) await this.command(`debug/${verb} ${path}`);
    }
  }

  #heard(octets: Uint8Array): void {
    for (const event of this.#reader.push(octets)) {
      if (event.kind === "banner") this.#banner.push(event.line);
      else if (event.kind === "debug") for (const listener of this.#listeners) listener(event);
      else if (event.kind === "prompt" && !this.#isReady) {
        this.#greeted(event.name);
        continue;
      }
      const reply = this.#gatherer.take(event);
      if (reply !== undefined && this.#isReady) this.#answered(reply);
      if (event.kind === "end") this.#socket.end();
    }
  }

  #greeted(name: string): void {
    this.prompt = name;
    this.#isReady = true;
    this.#socket.setTimeout(0);
    this.#markReady();
    this.#sendNext();
  }

  #answered(reply: ConsoleReply): void {
    const waiting = this.#waiting.shift();
    if (waiting?.isGivenUp === false) waiting.resolve(reply);
    if (!this.isClosed) this.#sendNext();
  }

  #sendNext(): void {
    // Nobody waits for these, and they were not sent.
    while (this.#waiting[0]?.isGivenUp === true) this.#waiting.shift();
    const next = this.#waiting[0];
    if (next !== undefined) this.#socket.write(emitCommand(next.command));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#socket.destroy();
  }

  #over(): void {
    for (const waiting of this.#waiting.splice(0)) {
      if (!waiting.isGivenUp) waiting.reject(this.#failure ?? this.#sessionOver(waiting.command));
    }
  }

  #sessionOver(command: string): V2Error {
    return new V2Error("SESSION_OVER", `'${command}': the switch at '${this.#path}' has gone`);
  }

  #silent(): V2Error {
    return new V2Error("NO_ANSWER", `'${this.#path}' does not answer as a console does`, {
      remedy: "name the management socket (vde_switch -M SOCKET), not the switch's directory",
    });
  }
}

function listenForAbort(waiting: Waiting, signal: AbortSignal): void {
  const abort = (): void => {
    waiting.isGivenUp = true;
    waiting.reject(abortReason(signal));
  };
  signal.addEventListener("abort", abort, { once: true });
}

function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason));
}

function refused(path: string, command: string, reply: ConsoleReply): V2Error {
  const { errno, text } = reply;
  const code = errno === undefined ? "NO_RESULT" : errnoName(errno);
  return new V2Error(code, `'${command}' on '${path}': ${text === "" ? code : text}`);
}

function cannotConnect(path: string, error: NodeJS.ErrnoException): V2Error {
  const code = error.code ?? "EIO";
  const why = error.errno === undefined ? error.message : errnoText(-error.errno);
  if (code === "EACCES" || code === "EPERM") {
    return new V2Error(code, `console '${path}': permission denied`, {
      remedy: "ask its owner for access (v2 switch --mgmtmode 660 --mgmtgroup NAME)",
      exitCode: EXIT.noPermission,
    });
  }
  return new V2Error("NO_CONSOLE", `no console at '${path}': ${why}`, {
    remedy: `start the switch with: --mgmt ${path}`,
    exitCode: EXIT.failed,
    cause: error,
  });
}
