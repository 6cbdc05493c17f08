/** Switches with a management socket, and terminals, for the tests of console clients. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { type Running, until, V2, Workshop } from "./vde-peers.ts";

/** A switch that runs and has a console. */
export interface ManagedSwitch {
  readonly directory: string;
  /** Its management socket. */
  readonly console: string;
  readonly running: Running;
}

export type SwitchKind = "debian" | "ours";

/** Starts a switch with a console. */
export async function managedSwitch(shop: Workshop, kind: SwitchKind): Promise<ManagedSwitch> {
  const console = shop.path(`${kind}.mgmt`);
  const words = ["--mgmt", console];
  const made = kind === "ours" ? await shop.ourSwitch(...words) : await shop.debianSwitch(...words);
  await until(() => existsSync(console) || made.running.child.exitCode !== null);
  return { ...made, console };
}

/** Whether the switch of `v2` has a console in this version. */
export function oursHasConsole(): boolean {
  const help = spawnSync(process.execPath, [V2, "switch", "--help"], { encoding: "utf8" });
  return help.stdout.includes("--mgmt ");
}

/** A program in a terminal of tmux, 80 by 24 unless said otherwise. */
export class Terminal {
  readonly #server: readonly string[];

  constructor(t: TestContext, command: string, size = { columns: 80, rows: 24 }) {
    // A folder of its own: that of the workshop goes first, and its socket with it.
    const folder = mkdtempSync(join(tmpdir(), "v2-terminal-"));
    t.after(() => {
      this.#tmux("kill-server");
      rmSync(folder, { recursive: true, force: true });
    });
    this.#server = ["-S", join(folder, "tmux"), "-f", "/dev/null"];
    const { columns, rows } = size;
    this.#tmux("new-session", "-d", "-x", String(columns), "-y", String(rows), command);
    this.#tmux("set-option", "-g", "remain-on-exit", "on");
  }

  /** Types keys by the names of tmux: "Enter", "Tab", "C-c". */
  press(...keys: string[]): void {
    this.#tmux("send-keys", ...keys);
  }

  /** Types text as it stands. */
  type(text: string): void {
    this.#tmux("send-keys", "-l", text);
  }

  resize(columns: number, rows: number): void {
    this.#tmux("resize-window", "-x", String(columns), "-y", String(rows));
  }

  /** The lines on the screen, without empty ones at the end. */
  screen(): readonly string[] {
    return this.#tmux("capture-pane", "-p").trimEnd().split("\n");
  }

  /** Waits until the screen is so. */
  async shows(isSo: (lines: readonly string[]) => boolean): Promise<readonly string[]> {
    let lines: readonly string[] = [];
    await until(() => isSo((lines = this.screen())));
    return lines;
  }

  #tmux(...words: string[]): string {
    return spawnSync("tmux", [...this.#server, ...words], { encoding: "utf8" }).stdout;
  }
}
