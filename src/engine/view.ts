/**
 * A view driven from a program: made empty, with a holder process that keeps it alive, entered as
 * often as wanted, and closed as a whole. The maker's death closes it too (the lifeline).
 */
import type { ChildProcess, StdioOptions } from "node:child_process";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { EXIT, V2Error, type VirtualFiles } from "../base/index.ts";
import { namespaceId } from "../sys/index.ts";
import { type Module, type MountSpec, parseMountSpec, summarize } from "../viewos/index.ts";
import { openControl } from "./control/control-client.ts";
import { leftoversAt } from "./server/leftovers.ts";
import type { OutsideIdentity } from "./launch/launch-outside.ts";
import { processesWithMark } from "./launch/marked-processes.ts";
import { type ModuleListing, parseInsertion, programInsertion } from "./modules/modules.ts";
import { PROGRAM_TYPE, ProgramModules } from "./modules/program-modules.ts";
import { claimViewName, findView, forgetView } from "./server/run-directory.ts";
import {
  type Destination,
  newView,
  sessionOfOwnView,
  spawnGuest,
  startSupervisor,
  viewInside,
} from "./start.ts";
import type { SupervisorReport } from "./server/supervisor.ts";
import type { ViewNet } from "./launch/view-net.ts";
import { processesInside, type ViewProcesses } from "./server/view-processes.ts";
import { connectToView } from "./control/view-session.ts";
import type { ViewTraps } from "./calls/view-traps.ts";

export interface ViewOptions {
  /** Name under which the view is registered; unique among the user's running views. */
  readonly name: string;
  /** Host name inside; default: the name. */
  readonly hostName?: string;
  /** The user appears as uid 0. */
  readonly root?: boolean;
  readonly net?: readonly ViewNet[];
  /** Mount specs, `TYPE:SOURCE:TARGET[:OPTIONS]`. */
  readonly mounts?: readonly string[];
  /**
   * A directory of the maker's. The supervisor removes it when the maker dies without closing the
   * view.
   */
  readonly leftovers?: string;
  /**
   * Modules inserted at the start: objects, which run in this program, or files, packages or
   * built-in names, with options after a comma (`./tree.mjs,path=/srv`).
   */
  readonly modules?: readonly (string | Module)[];
  /** Calls that are trapped for modules inserted later: classes, groups or names. */
  readonly trap?: readonly string[];
  /** Takes the lines that modules write; default: they are dropped. */
  readonly log?: (line: string) => void;
}

export interface SpawnOptions {
  /** For descriptors 0 to 2; default "pipe". */
  readonly stdio?: StdioOptions;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

export interface RunOptions extends Omit<SpawnOptions, "stdio"> {
  readonly input?: string | Uint8Array;
  /** The program is killed (SIGKILL) after that time; default: never. */
  readonly timeoutMs?: number;
}

export interface RunResult {
  /** Exit code; 128 + signal number is not used: see `signal`. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The program `v2`: it mounts from within. */
const PROGRAM = fileURLToPath(new URL("../cli/main.js", import.meta.url));

/** How long the supervisor may take to end its view before it is ended itself. */
const CLOSE_TIMEOUT_MS = 5000;

/**
 * A running view. `await using view = await View.create({ name: "a" })` leaves nothing behind.
 */
export class View implements AsyncDisposable {
  readonly name: string;
  readonly supervisorPid: number;
  /** Resolves when the supervisor has ended, for whatever reason. */
  readonly ended: Promise<void>;
  /** The process that the view lives by: its supervisor, or the holder of a view inside ours. */
  readonly #keeper: ChildProcess;
  readonly #lifeline: Duplex;
  readonly #destination: Destination;
  readonly #processes: ViewProcesses;
  readonly #isInside: boolean;
  readonly #traps: ViewTraps;
  readonly #log: ((line: string) => void) | undefined;
  /** Our own modules in it. */
  #program: Promise<ProgramModules> | undefined;

  private constructor(
    options: ViewOptions,
    keeper: ChildProcess,
    lifeline: Duplex,
    holder: ChildProcess,
    ended: Promise<void>,
    outside?: OutsideIdentity,
    traps: ViewTraps = {},
  ) {
    this.#traps = traps;
    this.#log = options.log;
    const { name } = options;
    this.name = name;
    this.#isInside = keeper === holder;
    this.supervisorPid = this.#isInside ? findView(name)!.supervisorPid : keeper.pid!;
    this.#keeper = keeper;
    this.#lifeline = lifeline;
    this.#destination =
      outside === undefined
        ? { view: { pid: holder.pid! } }
        : newView({
            supervisorPid: this.supervisorPid,
            hostName: undefined,
            mounts: [],
            network: false,
            outside,
          });
    this.#processes =
      outside === undefined
        ? processesInside(namespaceId(holder.pid!, "user"))
        : processesWithMark(outside.mark);
    this.ended = ended;
  }

  /** Starts a view with nothing in it but its holder; resolves when its network is up. */
  static async create(options: ViewOptions): Promise<View> {
    const mounts = (options.mounts ?? []).map(parseMountSpec);
    const inside = sessionOfOwnView();
    if (inside !== undefined) return await View.#createInside(inside, options, mounts);
    const { modules = [] } = options;
    claimViewName(options.name);
    const started = startSupervisor({
      root: options.root ?? false,
      orphan: false,
      config: {
        name: options.name,
        net: options.net ?? [],
        modules: modules.map((given) =>
          typeof given === "string"
            ? parseInsertion(given, process.cwd())
            : programInsertion(summarize(given)),
        ),
        traps: options.trap === undefined ? {} : { paths: { calls: options.trap, deny: [] } },
        ...(options.leftovers === undefined ? {} : { leftovers: leftoversAt(options.leftovers) }),
      },
    });
    const supervisor = started.child!;
    const lifeline = supervisor.stdio[4] as Duplex;
    // A lifeline that breaks tells no more than the exit that follows it.
    lifeline.on("error", () => {});
    const ended = once(supervisor, "exit").then(() => undefined);
    let holder: ChildProcess | undefined;
    try {
      holder = spawnGuest(
        started.session,
        newView({
          supervisorPid: started.pid,
          facts: {},
          hostName: options.hostName ?? options.name,
          mounts,
          network: (options.net ?? []).length > 0,
          outside: started.outside,
        }),
        undefined,
        { stdio: ["ignore", "ignore", "inherit"], cwd: "/", traps: started.traps },
      );
      holder.unref();
      await readyReport(options, lifeline, ended, holder);
      const { outside, traps } = started;
      const view = new View(options, supervisor, lifeline, holder, ended, outside, traps);
      const own = modules.filter((given) => typeof given !== "string");
      if (own.length > 0) await view.#connect(own);
      return view;
    } catch (error) {
      // It may wait for a supervisor that has ended.
      holder?.kill("SIGKILL");
      lifeline.end(".");
      await ended;
      forgetView(options.name);
      throw error;
    }
  }

  /** The same in the view that this process is in: its supervisor is also the new one's. */
  static async #createInside(
    session: number,
    options: ViewOptions,
    mounts: readonly MountSpec[],
  ): Promise<View> {
    const { name, net = [], hostName = name, root = false } = options;
    const facts = { name, net, bound: true };
    const holder = spawnGuest(session, viewInside({ facts, root, hostName, mounts }), undefined, {
      stdio: ["ignore", "ignore", "inherit"],
      cwd: "/",
    });
    const lifeline = holder.stdio[4] as Duplex;
    lifeline.on("error", () => {});
    const ended = once(holder, "exit").then(() => undefined);
    const isComplete = await Promise.race([
      once(lifeline, "data").then(() => true),
      ended.then(() => false),
    ]);
    if (!isComplete) {
      throw new V2Error("VIEW_START", `view '${name}': it cannot be made (see above)`, {
        exitCode: EXIT.unavailable,
      });
    }
    const view = new View(options, holder, lifeline, holder, ended);
    try {
      for (const given of options.modules ?? []) await view.insert(given);
    } catch (error) {
      await view.close();
      throw error;
    }
    return view;
  }

  /**
   * Runs a program in the view, as child_process.spawn does: its streams, signals and exit are the
   * child's. A program that cannot be run says so on standard error and exits with 126 or 127.
   */
  spawn(argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const session = this.#isInside ? sessionOfOwnView() : connectToView(this.name);
    if (session === undefined) throw new V2Error("VIEW_LOST", "the supervisor has ended");
    const settings = {
      stdio: options.stdio ?? "pipe",
      traps: this.#traps,
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    };
    return spawnGuest(session, this.#destination, argv, settings, this.#isInside);
  }

  /** Runs a program to its end and collects what it wrote. */
  async run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const child = this.spawn(argv, { ...options, stdio: "pipe" });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name]!.setEncoding("utf8");
      child[name]!.on("data", (chunk: string) => {
        output[name] += chunk;
      });
    }
    child.stdin!.on("error", () => {}); // a program need not read its input
    child.stdin!.end(options.input);
    const limit =
      options.timeoutMs === undefined
        ? undefined
        : setTimeout(() => child.kill("SIGKILL"), options.timeoutMs);
    const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
    clearTimeout(limit);
    return { code, signal, ...output };
  }

  /**
   * Inserts a module that is an object: its handlers run here. Or those of a file, package or
   * built-in name, with options after a comma.
   * @returns their names.
   */
  async insert(given: string | Module): Promise<readonly string[]> {
    if (typeof given !== "string") {
      await (await this.#connect()).insert(given);
      return [given.name];
    }
    const text = given;
    const comma = text.indexOf(",");
    const module = comma === -1 ? text : text.slice(0, comma);
    const options = comma === -1 ? "" : text.slice(comma + 1);
    const args = { module, options, directory: process.cwd() };
    return (await this.#ask("insmod", args)) as readonly string[];
  }

  /** Removes a module. Throws a V2Error: EBUSY while it is in use, EPERM when it is permanent. */
  async remove(module: string): Promise<void> {
    await this.#ask("rmmod", { module });
  }

  /** The modules, newest first. */
  async modules(): Promise<readonly ModuleListing[]> {
    return (await this.#ask("lsmod")) as readonly ModuleListing[];
  }

  #connect(given: readonly Module[] = []): Promise<ProgramModules> {
    this.#program ??= ProgramModules.connect(this.name, given, this.#log);
    return this.#program;
  }

  async #ask(op: string, args: { readonly [name: string]: string } = {}): Promise<unknown> {
    using client = openControl(this.name);
    return await client.ask(op, args);
  }

  /** Mounts a file system that is an object: its functions run here. */
  mount(files: VirtualFiles, target: string): Promise<void>;
  /**
   * Mounts in the view, a type of the kernel or of a module.
   * @param options comma-separated
   */
  mount(type: string, source: string, target: string, options?: string): Promise<void>;
  async mount(
    what: string | VirtualFiles,
    ...[first, second, options = ""]: [string, string?, string?]
  ): Promise<void> {
    if (typeof what === "string") return await this.#mount(what, first, second!, options);
    const source = await (await this.#connect()).offer(what);
    await this.#mount(PROGRAM_TYPE, source, first, "");
  }

  async #mount(type: string, source: string, target: string, options: string): Promise<void> {
    const words = ["mount", "-t", type, ...(options === "" ? [] : ["-o", options])];
    const { code, stderr } = await this.run([process.execPath, PROGRAM, ...words, source, target]);
    if (code !== 0) throw new V2Error("MOUNT", stderr.replace(/^v2: /, "").trim());
  }

  /**
   * Kills every process of the view and ends its supervisor, also when that is dead; idempotent.
   */
  async close(): Promise<void> {
    void this.#program?.then((program) => program.close());
    // One octet tells an orderly end from the maker's death.
    if (!this.#lifeline.writableEnded) this.#lifeline.end(".");
    const limit = setTimeout(() => this.#keeper.kill("SIGKILL"), CLOSE_TIMEOUT_MS);
    await this.ended;
    clearTimeout(limit);
    this.#processes.kill();
    forgetView(this.name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Waits until the supervisor reports the first guest, or says why there is none. */
async function readyReport(
  { name, log }: ViewOptions,
  lifeline: Duplex,
  ended: Promise<void>,
  holder: ChildProcess,
): Promise<void> {
  const failed = (message: string): V2Error =>
    new V2Error("VIEW_START", `view '${name}': ${message}`, { exitCode: EXIT.unavailable });
  let reason: string | undefined;
  let text = "";
  const report = new Promise<void>((resolve, reject) => {
    lifeline.on("data", (chunk: Buffer) => {
      text += chunk.toString("utf8");
      for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n")) {
        const message = JSON.parse(text.slice(0, end)) as SupervisorReport;
        text = text.slice(end + 1);
        if (message.kind === "ready") resolve();
        else if (message.kind === "log") log?.(message.line);
        else reason = message.message;
      }
    });
    void ended.then(() => reject(failed(reason ?? "its supervisor ended at the start")));
    holder.once("exit", () => reject(failed(reason ?? "it cannot be made (see above)")));
  });
  await report;
  holder.removeAllListeners("exit");
}
