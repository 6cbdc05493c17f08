/**
 * The console of a switch: lines in, text out, as vde_switch 2.3.2 speaks on its management socket
 * and its standard input. A reply is a data block (`0000 DATA END WITH '.'`, lines, `.`) for
 * commands that have one, then `1EEE text` with the errno in decimal, then the prompt. Events come
 * at any time as `3TTT path text`, with the tag of their category in octal.
 */
import { ERRNO, errnoText } from "../../base/index.ts";
import { EVENT_CATEGORIES, type SwitchEvent } from "../events.ts";
import type { PluginInfo, SwitchManagement } from "../management.ts";
import { type CommandResult, type ConsoleCommand, LOGOUT, SHUTDOWN } from "./command.ts";
import { DATA_COMMANDS } from "./commands-data.ts";
import { BANNER, GENERAL_COMMANDS } from "./commands-general.ts";
import { MONITOR_COMMANDS } from "./commands-monitor.ts";
import { PORT_COMMANDS, VLAN_COMMANDS } from "./commands-ports.ts";
import { FSTP_COMMANDS, HASH_COMMANDS } from "./commands-table.ts";
import { cleanLine } from "./lines.ts";

export const PROMPT = "\nvde$ ";
/** Sent before a session is closed by `logout` or `shutdown`, without a newline. */
export const END_OF_SESSION = "9999 END OF SESSION";
/** Files of commands that load each other. */
const LOAD_DEPTH_MAX = 8;

/** In the order of the help and of matching. */
const COMMANDS: readonly ConsoleCommand[] = [
  ...GENERAL_COMMANDS,
  ...HASH_COMMANDS,
  ...FSTP_COMMANDS,
  ...PORT_COMMANDS,
  ...VLAN_COMMANDS,
  ...DATA_COMMANDS,
  ...MONITOR_COMMANDS,
];

/** What follows a command. */
export type Outcome = "prompt" | "logout" | "shutdown";

export interface SessionOptions {
  readonly management: SwitchManagement;
  /** Takes the text of replies and events, in order. */
  readonly send: (text: string) => void;
  /** Told of commands of a file that failed: "PATH: command: errno text". */
  readonly failed?: (line: string) => void;
}

/** One conversation with the console. Commands run one after the other: await each `execute`. */
export class ConsoleSession {
  /** What a session begins with. */
  readonly greeting = `${BANNER}${PROMPT}`;
  readonly #options: SessionOptions;
  readonly #categories = new Set<string>();
  readonly #listener = (event: SwitchEvent): void => this.#tell(event);
  /** As of the last command. */
  #plugins: readonly PluginInfo[] = [];
  #depth = 0;
  #isClosed = false;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** Runs one line; its reply is sent. The caller sends PROMPT or END_OF_SESSION afterwards. */
  async execute(line: string): Promise<Outcome> {
    const result = await this.#run(line);
    if (result === LOGOUT) return "logout";
    return result === SHUTDOWN ? "shutdown" : "prompt";
  }

  /**
   * Runs the commands of a file, each shown before it as `vde[PATH]: line`. As in vde_switch,
   * `logout` and `shutdown` in a file do nothing.
   * @returns 0, or why the file cannot be read.
   */
  async load(path: string): Promise<number> {
    if (this.#depth >= LOAD_DEPTH_MAX) return ERRNO.ELOOP;
    const lines = await this.#options.management.readScript(path);
    if (typeof lines === "number") return lines;
    this.#depth++;
    for (const text of lines) {
      const line = cleanLine(text);
      this.#options.send(`vde[${path}]: ${line}\n`);
      const result = await this.#run(line);
      if (result > 0) this.#options.failed?.(`${path}: ${line}: ${errnoText(result)}`);
    }
    this.#depth--;
    return 0;
  }

  /** No more events; idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#categories.clear();
    this.#listens();
  }

  async #run(line: string): Promise<CommandResult> {
    this.#forgetUnloaded();
    const input = line.replace(/^[ \t]+/, "");
    if (input === "" || input.startsWith("#")) return 0;
    const command = this.#commands().find(
      ({ path, run }) => run !== undefined && input.startsWith(path),
    );
    if (command === undefined) return this.#reply(ERRNO.ENOSYS, "");
    const data: string[] = [];
    const result = await command.run!(
      {
        management: this.#options.management,
        categories: this.#categories,
        listens: () => this.#listens(),
        load: (path) => this.load(path),
        commands: () => this.#commands(),
        print: (text) => data.push(`${text}\n`),
      },
      input.slice(command.path.length).replace(/^[ \t]+/, ""),
    );
    const block = command.hasData === true ? `0000 DATA END WITH '.'\n${data.join("")}.\n` : "";
    return this.#reply(result, block);
  }

  #reply(result: CommandResult, block: string): CommandResult {
    const text = result === 0 ? "Success" : errnoText(result);
    const code = String(result).padStart(3, "0");
    this.#options.send(result < 0 ? block : `${block}1${code} ${text}\n`);
    return result;
  }

  /** The commands of the switch, then those of its plugins. */
  #commands(): readonly ConsoleCommand[] {
    const { plugins } = this.#options.management;
    const added = plugins.list().flatMap(({ commands }) =>
      commands.map(({ path, syntax, help, hasData, isMenu }): ConsoleCommand => {
        if (isMenu) return { path, syntax, help };
        return { path, syntax, help, hasData, run: (session, text) => ask(session, path, text) };
      }),
    );
    const ask = async (
      session: { readonly print: (line: string) => void },
      path: string,
      text: string,
    ): Promise<number> => {
      const { error, lines } = await plugins.run(path, text);
      for (const line of lines) session.print(line);
      return error;
    };
    return added.length === 0 ? COMMANDS : [...COMMANDS, ...added];
  }

  /** A plugin that is loaded again begins with its categories off. */
  #forgetUnloaded(): void {
    const before = this.#plugins;
    this.#plugins = this.#options.management.plugins.list();
    if (before === this.#plugins) return;
    const gone = before.filter((plugin) => !this.#plugins.includes(plugin));
    for (const { path } of gone.flatMap(({ categories }) => categories)) {
      this.#categories.delete(path);
    }
    if (gone.length > 0) this.#listens();
  }

  #listens(): void {
    this.#options.management.listen(this.#listener, this.#categories);
  }

  #tell({ category, text }: SwitchEvent): void {
    if (this.#isClosed || !this.#categories.has(category)) return;
    const plugged = this.#options.management.plugins.list().flatMap((p) => p.categories);
    const found = [...EVENT_CATEGORIES, ...plugged].find(({ path }) => path === category);
    const tag = (found?.tag ?? 0).toString(8).padStart(3, "0");
    this.#options.send(`3${tag} ${category} ${text}\n`);
  }
}
