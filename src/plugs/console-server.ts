/**
 * The management socket of a switch: any number of sessions of its console. Each runs one command
 * at a time and is read no further meanwhile; what a session does not read waits in a bounded queue
 * of its own, so a slow one never keeps the switch or another session waiting.
 */
import { chmodSync, chownSync, lstatSync, realpathSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { basename, dirname, join } from "node:path";
import { V2Error } from "../base/index.ts";
import { isStreamListening, SOCKET_PATH_OCTETS_MAX } from "../sys/index.ts";
import {
  ConsoleSession,
  END_OF_SESSION,
  LineSplitter,
  PROMPT,
  type SwitchManagement,
} from "../vde/index.ts";

/** Sessions at once; more are refused. */
const SESSIONS_MAX = 256;
/** Octets that may wait for a session: beyond these its events are dropped, beyond those it is. */
const EVENTS_WAIT_OCTETS_MAX = 256 * 1024;
const WAIT_OCTETS_MAX = 4 * 1024 * 1024;
/** Lines of one session that wait to be run before it is read no further. */
const LINES_WAIT_MAX = 16;
/**
 * Silence after which an unfinished line is a command. The vdeterm of vde2 ends no line, because
 * vde_switch takes each read as one; a line that comes in pieces comes without such a pause.
 */
const LINE_PAUSE_MS = 50;

export interface ConsoleServerOptions {
  readonly management: SwitchManagement;
  /** Of the socket; a stale one is taken over. */
  readonly path: string;
  /** Mode of the socket (0600). */
  readonly mode?: number;
  readonly group?: number;
  /** A session said `shutdown`. */
  readonly shutdown: () => void;
  readonly log?: (line: string) => void;
}

/** What was refused. */
export interface ConsoleRefusals {
  /** Sessions beyond the limit. */
  sessions: number;
  /** Events dropped because their session did not read. */
  events: number;
  /** Sessions closed because they did not read. */
  slow: number;
}

/** Mode of a management socket unless said otherwise, as vde_switch's. */
export const MANAGEMENT_MODE_DEFAULT = 0o600;

/** The real path of a management socket that is still to be made. */
export function managementPath(path: string): string {
  try {
    return join(realpathSync(dirname(path)), basename(path));
  } catch (cause) {
    const { code = "EIO" } = cause as NodeJS.ErrnoException;
    throw new V2Error(code, `management socket '${path}': its directory does not exist`, {
      remedy: "make the directory first",
      cause,
    });
  }
}

/** A listening management socket: `ConsoleServer.start`, `close`. */
export class ConsoleServer {
  readonly refusals: ConsoleRefusals = { sessions: 0, events: 0, slow: 0 };
  readonly #options: ConsoleServerOptions;
  readonly #server: Server;
  readonly #talks = new Set<Talk>();
  #isClosed = false;

  private constructor(options: ConsoleServerOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#accepted(socket));
  }

  /**
   * Listens. @throws V2Error EADDRINUSE: a console answers there, or something that is no socket is
   * in the way; ENAMETOOLONG.
   */
  static async start(options: ConsoleServerOptions): Promise<ConsoleServer> {
    const { path } = options;
    takeOver(path);
    const server = new ConsoleServer(options);
    await server.#listen();
    chmodSync(path, options.mode ?? MANAGEMENT_MODE_DEFAULT);
    if (options.group !== undefined) chownSync(path, process.getuid!(), options.group);
    return server;
  }

  /** Ends every session and takes the socket away; idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const talk of this.#talks) talk.end();
    await closed;
    rmSync(this.#options.path, { force: true });
  }

  async #listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const failed = ({ code = "EIO", message }: NodeJS.ErrnoException): void =>
        reject(new V2Error(code, `management socket '${this.#options.path}': ${message}`));
      this.#server.once("error", failed);
      this.#server.listen({ path: this.#options.path }, () => {
        this.#server.off("error", failed);
        this.#server.on("error", (error) => this.#options.log?.(`mgmt: ${error.message}`));
        resolve();
      });
    });
  }

  #accepted(socket: Socket): void {
    if (this.#isClosed || this.#talks.size >= SESSIONS_MAX) {
      this.refusals.sessions++;
      socket.destroy();
      return;
    }
    const talk = new Talk(socket, this.#options, this.refusals);
    this.#talks.add(talk);
    socket.once("close", () => this.#talks.delete(talk));
  }
}

/** One session on one connection. */
class Talk {
  readonly #socket: Socket;
  readonly #options: ConsoleServerOptions;
  readonly #refusals: ConsoleRefusals;
  readonly #session: ConsoleSession;
  readonly #splitter = new LineSplitter();
  readonly #lines: string[] = [];
  #isRunning = false;
  #isEnded = false;
  #pause: NodeJS.Timeout | undefined;

  constructor(socket: Socket, options: ConsoleServerOptions, refusals: ConsoleRefusals) {
    this.#socket = socket;
    this.#options = options;
    this.#refusals = refusals;
    const { management } = options;
    this.#session = new ConsoleSession({ management, send: (text) => this.#send(text) });
    socket.on("data", (octets: Uint8Array) => this.#heard(this.#splitter.push(octets)));
    socket.on("drain", () => void this.#run());
    socket.on("end", () => this.#ended());
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      clearTimeout(this.#pause);
      this.#session.close();
    });
    this.#send(this.#session.greeting);
  }

  /** Closes the connection after what is still to be sent. */
  end(): void {
    this.#isEnded = true;
    this.#session.close();
    this.#socket.end();
    // A peer that does not read must not keep the switch alive.
    this.#socket.destroySoon();
    this.#socket.unref();
  }

  #heard(lines: readonly string[]): void {
    this.#lines.push(...lines);
    if (this.#lines.length > LINES_WAIT_MAX) this.#socket.pause();
    this.#expectRest();
    void this.#run();
  }

  /** Takes what has come of a line for all of it when nothing follows. */
  #expectRest(): void {
    clearTimeout(this.#pause);
    if (!this.#splitter.isMidLine) return;
    this.#pause = setTimeout(() => {
      // The rest may be there, and not be read.
      if (this.#socket.isPaused() || this.#isEnded) return;
      const line = this.#splitter.take();
      this.#heard(line === undefined ? [] : [line]);
    }, LINE_PAUSE_MS);
    this.#pause.unref();
  }

  /** The peer says no more: what it said is still done. */
  #ended(): void {
    const rest = this.#splitter.take();
    if (rest !== undefined && rest !== "") this.#lines.push(rest);
    this.#isEnded = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    while (this.#lines.length > 0 && !this.#socket.destroyed && !this.#socket.writableNeedDrain) {
      const outcome = await this.#session.execute(this.#lines.shift()!);
      if (outcome === "prompt") {
        this.#send(PROMPT);
        continue;
      }
      this.#lines.length = 0;
      this.#send(END_OF_SESSION);
      this.end();
      if (outcome === "shutdown") this.#options.shutdown();
    }
    this.#isRunning = false;
    if (this.#lines.length > 0) return;
    if (this.#isEnded) this.end();
    else if (this.#socket.isPaused()) {
      this.#socket.resume();
      this.#expectRest();
    }
  }

  #send(text: string): void {
    const { writableLength, destroyed, writable } = this.#socket;
    if (destroyed || !writable) return;
    if (writableLength > WAIT_OCTETS_MAX) {
      this.#refusals.slow++;
      this.#socket.destroy();
    } else if (text.startsWith("3") && writableLength > EVENTS_WAIT_OCTETS_MAX) {
      this.#refusals.events++;
    } else this.#socket.write(text);
  }
}

/** Removes the socket of a switch that died. */
function takeOver(path: string): void {
  if (Buffer.byteLength(path) > SOCKET_PATH_OCTETS_MAX) {
    throw new V2Error("ENAMETOOLONG", `management socket '${path}': the name is too long`, {
      remedy: `use one of at most ${SOCKET_PATH_OCTETS_MAX} octets`,
    });
  }
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (status === undefined) return;
  if (!status.isSocket() || isStreamListening(path)) {
    throw new V2Error("EADDRINUSE", `management socket '${path}': Address already in use`, {
      remedy: "name another path, or end the switch that has it",
    });
  }
  rmSync(path);
}
