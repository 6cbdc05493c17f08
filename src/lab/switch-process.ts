/** A switch of a lab: a child process that ends when its standard input does, that is, with us. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { EXIT, V2Error } from "../base/index.ts";
import type { SwitchNode } from "./topology.ts";

const PROGRAM = fileURLToPath(new URL("../cli/main.js", import.meta.url));
/** Descriptor on which the switch tells that it serves. */
const READY_FD = 3;
const CLOSE_TIMEOUT_MS = 3000;
const ERROR_TEXT_MAX = 2000;

export class SwitchProcess {
  readonly name: string;
  readonly directory: string;
  readonly pid: number;
  /** Resolves when the process has ended, with how. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;

  private constructor(
    name: string,
    directory: string,
    child: ChildProcess,
    ended: Promise<string>,
  ) {
    this.name = name;
    this.directory = directory;
    this.pid = child.pid!;
    this.#child = child;
    this.ended = ended;
  }

  /** Starts a switch in `directory`; resolves when it takes cables. */
  static async start(node: SwitchNode, directory: string): Promise<SwitchProcess> {
    const ports = node.ports === undefined ? [] : ["--numports", String(node.ports)];
    const argv = ["switch", "--sock", directory, ...ports, "--ready-fd", String(READY_FD)];
    const child = spawn(process.execPath, [PROGRAM, ...argv], {
      stdio: ["pipe", "ignore", "pipe", "pipe"],
      // A ctrl-C at the terminal is for the shell in the view.
      detached: true,
    });
    child.stdin!.on("error", () => {}); // its end is reported by its exit
    let errors = "";
    child.stderr!.on("data", (chunk: Buffer) => {
      errors = (errors + chunk.toString("utf8")).slice(-ERROR_TEXT_MAX);
    });
    const ended = once(child, "exit").then(([code, signal]) => {
      const how = signal === null ? `exit ${code as number}` : (signal as string);
      return errors === "" ? how : `${how}: ${errors.trim()}`;
    });
    const ready = child.stdio[READY_FD] as Readable;
    const first = await Promise.race([once(ready, "data").then(() => undefined), ended]);
    ready.destroy();
    if (first === undefined) return new SwitchProcess(node.name, directory, child, ended);
    rmSync(directory, { recursive: true, force: true });
    throw new V2Error("SWITCH_START", `switch '${node.name}' cannot be started: ${first}`, {
      exitCode: EXIT.unavailable,
    });
  }

  /** Ends the switch and removes its directory, also when it is dead already; idempotent. */
  async close(): Promise<void> {
    this.#child.stdin!.destroy();
    const limit = setTimeout(() => this.#child.kill("SIGKILL"), CLOSE_TIMEOUT_MS);
    await this.ended;
    clearTimeout(limit);
    rmSync(this.directory, { recursive: true, force: true });
  }
}
