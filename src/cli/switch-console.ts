/** The console of a switch on standard input, and the file of commands it starts with. */
import { accessSync, constants } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { errnoText } from "../base/index.ts";
import { ConsoleSession, LineSplitter, PROMPT, type SwitchManagement } from "../vde/index.ts";

/** Of all users, when the user has none. */
const START_FILE_OF_ALL = "/etc/vde2/vde_switch.rc";
/** Octets that may wait for a standard output that nobody reads; more are lost. */
const WAIT_OCTETS_MAX = 4 * 1024 * 1024;

/**
 * Runs the commands of a file before anybody plugs in: of `path`, or the user's, or that of all.
 * What goes wrong is logged and does not end the switch.
 */
export async function runStartFile(
  management: SwitchManagement,
  path: string | undefined,
  log: (line: string) => void,
): Promise<void> {
  const file = path ?? [join(homedir(), ".vde2/vde_switch.rc"), START_FILE_OF_ALL].find(isReadable);
  if (file === undefined) return;
  const session = new ConsoleSession({ management, send: () => undefined, failed: log });
  const error = await session.load(file);
  session.close();
  if (error !== 0) log(`rc file '${file}': ${errnoText(error)}`);
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** Commands from standard input, replies to standard output; a prompt only for a terminal. */
export class StdinConsole {
  /** At the end of standard input, or after `shutdown`. */
  readonly ended: Promise<void>;
  readonly #session: ConsoleSession;

  constructor(management: SwitchManagement) {
    const send = (text: string): void => {
      if (process.stdout.writableLength < WAIT_OCTETS_MAX) process.stdout.write(text);
    };
    this.#session = new ConsoleSession({ management, send });
    process.stdout.on("error", () => undefined);
    this.ended = this.#serve(send);
  }

  /** Reads no more. */
  close(): void {
    this.#session.close();
    process.stdin.destroy();
  }

  async #serve(send: (text: string) => void): Promise<void> {
    const splitter = new LineSplitter();
    try {
      for await (const octets of process.stdin) {
        for (const line of splitter.push(octets as Uint8Array)) {
          const outcome = await this.#session.execute(line);
          if (outcome === "shutdown") return;
          if (outcome === "prompt" && process.stdin.isTTY) send(PROMPT);
        }
      }
      await this.#session.execute(splitter.take() ?? "");
    } catch {
      // A standard input that cannot be read is at its end.
    }
  }
}
