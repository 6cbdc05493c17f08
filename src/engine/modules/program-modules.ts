/**
 * Modules that are objects of a program: their handlers and file systems run in its event loop. The
 * supervisor of a view asks over a link; while the program is busy its calls wait, as long as the
 * modules' limits say; when it ends, its modules are removed.
 */
import type { Socket } from "node:net";
import {
  isVirtualFiles,
  V2Error,
  type VirtualCaller,
  type VirtualFiles,
} from "../../base/index.ts";
import {
  module as makeModule,
  type Module,
  ModuleChain,
  type MountRequest,
  type OfferedCall,
  summarize,
} from "../../viewos/index.ts";
import { openControl } from "../control/control-client.ts";
import { type Link, type LinkArguments, socketLink } from "./link.ts";

/** Type of the mounts of a program's own file systems. */
export const PROGRAM_TYPE = "program";

/** Functions of a description. */
const FUNCTIONS: readonly (keyof VirtualFiles)[] = [
  "list",
  "stat",
  "read",
  "readAt",
  "write",
  "writeAt",
  "truncate",
  "create",
  "mkdir",
  "remove",
  "rename",
  "readlink",
  "symlink",
  "change",
];

type Functions = { readonly [name: string]: (...values: readonly unknown[]) => unknown };

/** A function of a mounted file system, called for a guest. */
interface FileArguments {
  readonly mount: number;
  readonly name: string;
  readonly values: readonly unknown[];
  readonly caller: Omit<VirtualCaller, "signal">;
}

interface Kept {
  readonly module: Module;
  /** Only that module is in it: the supervisor knows their order. */
  readonly chain: ModuleChain;
}

/** A program's modules in one view. */
export class ProgramModules implements Disposable {
  readonly #link: Link;
  readonly #close: () => void;
  readonly #modules = new Map<string, Kept>();
  /** What is mounted, by the supervisor's number of the mount. */
  readonly #mounted = new Map<number, VirtualFiles>();
  /** File systems of `offer`, by the source of their mounts. */
  readonly #offered = new Map<string, VirtualFiles>();
  #offering: Promise<void> | undefined;
  readonly #log: (line: string) => void;

  private constructor(socket: Socket, log: (line: string) => void) {
    this.#log = log;
    this.#link = socketLink(socket, (op, args, signal) => this.#serve(op, args, signal));
    this.#close = () => void socket.destroy();
  }

  /**
   * Connects to a running view.
   * @param given modules that the view has been started with
   * @param log takes what handlers did wrong
   */
  static async connect(
    viewName: string,
    given: readonly Module[] = [],
    log: (line: string) => void = () => {},
  ): Promise<ProgramModules> {
    const client = openControl(viewName);
    try {
      await client.ask("attach");
    } catch (error) {
      client.close();
      throw error;
    }
    const made = new ProgramModules(client.release(), log);
    for (const one of given) made.#keep(one);
    if (given.length > 0) await made.#link.ask("adopt");
    return made;
  }

  /** Inserts a module. @throws V2Error as `View.insert` does. */
  async insert(module: Module): Promise<void> {
    if (this.#modules.has(module.name)) {
      throw new V2Error("EEXIST", `a module '${module.name}' is inserted already`, {
        remedy: "remove it first",
      });
    }
    this.#keep(module);
    try {
      await this.#link.ask("insert", { summary: summarize(module) });
    } catch (error) {
      this.#modules.delete(module.name);
      throw error;
    }
  }

  /** Makes a file system known to mount(2). @returns the source of its mounts, of PROGRAM_TYPE. */
  async offer(files: VirtualFiles): Promise<string> {
    const description = "file systems that are objects of a program";
    const mount = ({ source }: MountRequest): VirtualFiles => this.#find(source);
    this.#offering ??= this.insert(makeModule(PROGRAM_TYPE, { description, mount }));
    await this.#offering;
    const source = String(this.#offered.size + 1);
    this.#offered.set(source, files);
    return source;
  }

  #find(source: string): VirtualFiles {
    const files = this.#offered.get(source);
    if (files !== undefined) return files;
    throw new V2Error("ENODEV", `the program has no file system '${source}'`);
  }

  /** Ends the connection: the modules are removed. Idempotent. */
  close(): void {
    this.#close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #keep(module: Module): void {
    const chain = new ModuleChain({ log: this.#log, running: () => {} });
    chain.insert(module);
    this.#modules.set(module.name, { module, chain });
  }

  #kept(given: unknown): Kept {
    const name = String(given);
    const kept = this.#modules.get(name);
    if (kept === undefined) throw new V2Error("ENODEV", `the program has no module '${name}'`);
    return kept;
  }

  async #serve(op: string, args: LinkArguments, signal: AbortSignal): Promise<unknown> {
    switch (op) {
      case "call":
        return await this.#kept(args["module"]).chain.answer(args["call"] as OfferedCall);
      case "mount":
        return await this.#mount(args);
      case "file":
        return await this.#file(args, signal);
      case "unmounted":
        return void this.#mounted.delete(args["mount"] as number);
      case "removed": {
        const { module } = this.#kept(args["module"]);
        this.#modules.delete(module.name);
        return await module.close?.();
      }
      default:
        throw new V2Error("NO_OPERATION", `a program has no operation '${op}'`);
    }
  }

  /** Asks a module for a file system; tells which functions it has. */
  async #mount(args: LinkArguments): Promise<unknown> {
    const { module } = this.#kept(args["module"]);
    const mount = args["mount"] as number;
    const { type, source, target, options } = args["request"] as MountRequest;
    const changed = (path: string): void => {
      // Without the mount there is nothing to forget.
      this.#link.ask("changed", { mount, path }).catch(() => {});
    };
    const files: unknown = await module.mount?.({ type, source, target, options, changed });
    if (!isVirtualFiles(files)) {
      throw new V2Error("NO_FILES", `'mount' of module '${module.name}' gave no file system`);
    }
    this.#mounted.set(mount, files);
    const functions = FUNCTIONS.filter((name) => typeof files[name] === "function");
    // Infinity is no JSON.
    return { functions, ttl: String(files.ttl ?? "") };
  }

  async #file(args: LinkArguments, signal: AbortSignal): Promise<unknown> {
    const { mount, name, values, caller } = args as unknown as FileArguments;
    const files = this.#mounted.get(mount) as unknown as Functions | undefined;
    if (files === undefined) throw new V2Error("ENOTCONN", "that mount is gone");
    const result = await files[name]!(...values, { ...caller, signal });
    return name === "list" ? [...(result as Iterable<string>)] : result;
  }
}
