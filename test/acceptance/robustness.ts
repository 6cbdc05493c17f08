/** What the robustness tests share: marked processes, and what a view may leave behind. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compile, eventually, type Outcome, runProgram, temporaryDirectory, V2 } from "./v2.ts";

const SCRIPTS = new URL("../../../test/fixtures/robustness/", import.meta.url);
const GUEST_SOURCE = fileURLToPath(new URL("guest.c", SCRIPTS));

/** A program that gives the number of a killed guest to another one. */
export const REUSE: string = fileURLToPath(new URL("reuse.py", SCRIPTS));

/** Compiles the guest of the tests and gives its path. */
export function compiledGuest(directory: string): string {
  return compile(GUEST_SOURCE, join(directory, "guest"), "-O1", "-pthread");
}

/** A process as proc(5) tells it. */
export interface Found {
  readonly pid: number;
  readonly name: string;
}

function named(pid: number): Found | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const end = stat.lastIndexOf(")");
    if (stat[end + 2] === "Z") return undefined;
    return { pid, name: stat.slice(stat.indexOf("(") + 1, end) };
  } catch {
    return undefined;
  }
}

/**
 * A place for views of one test: all that starts in it is found again by a mark in its environment,
 * and has temporary and run-time folders of its own. What is left at the end is told.
 */
export class Arena implements Disposable {
  readonly #place = temporaryDirectory();
  readonly #mark = `V2_ARENA=${process.pid}-${process.hrtime.bigint()}`;
  readonly #mounts = readFileSync("/proc/self/mounts", "utf8");
  readonly directory: string = this.#place.path;
  readonly env: NodeJS.ProcessEnv;

  constructor() {
    for (const name of ["tmp", "run"]) mkdirSync(join(this.directory, name), { mode: 0o700 });
    const [name, value] = this.#mark.split("=") as [string, string];
    this.env = {
      ...process.env,
      [name]: value,
      TMPDIR: join(this.directory, "tmp"),
      XDG_RUNTIME_DIR: join(this.directory, "run"),
      LC_ALL: "C",
      // The server of views ends soon after the last one.
      V2_SERVER_IDLE_S: "2",
    };
  }

  /** Runs a program to its end; everything here is killed when that is not within the time. */
  async run(argv: readonly string[], timeoutMs = 60_000): Promise<Outcome> {
    let isLate = false;
    const limit = setTimeout(() => {
      isLate = true;
      this.#killAll();
    }, timeoutMs);
    const outcome = await runProgram(argv, { env: this.env, timeoutMs: timeoutMs + 5000 });
    clearTimeout(limit);
    assert.ok(!isLate, `it hangs: ${argv.join(" ")}`);
    return outcome;
  }

  /** Runs a command in a view to its end. */
  view(options: readonly string[], argv: readonly string[], timeoutMs = 60_000): Promise<Outcome> {
    return this.run([process.execPath, V2, "view", ...options, "--", ...argv], timeoutMs);
  }

  /** Starts a command in a view; what it says is collected. */
  start(options: readonly string[], argv: readonly string[]): Started {
    return new Started(
      spawn(process.execPath, [V2, "view", ...options, "--", ...argv], {
        env: this.env,
        stdio: ["ignore", "pipe", "pipe"],
      }),
    );
  }

  /** Living processes that were started here, whoever their parents are now. */
  processes(): Found[] {
    const found: Found[] = [];
    for (const name of readdirSync("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      try {
        const environment = readFileSync(`/proc/${name}/environ`, "utf8");
        if (!environment.split("\0").includes(this.#mark)) continue;
      } catch {
        continue;
      }
      const process = named(Number(name));
      if (process !== undefined) found.push(process);
    }
    return found;
  }

  /** The supervisor: the first process here that has its title; waits for it. */
  async supervisor(): Promise<number> {
    const find = (): number | undefined =>
      this.processes().find(({ pid }) => {
        try {
          return /^v2 (?:supervisor|server)/.test(readFileSync(`/proc/${pid}/cmdline`, "utf8"));
        } catch {
          return false;
        }
      })?.pid;
    assert.ok(await eventually(() => find() !== undefined), "no supervisor came");
    return find()!;
  }

  /** The name of a view whose supervisor was killed stays until somebody looks for views. */
  async #forgetDead(): Promise<void> {
    for (let i = 0; i < 20 && this.#runFiles().length > 0; i++) {
      await this.run([process.execPath, V2, "view", "list"]);
    }
  }

  #runFiles(): string[] {
    // The socket of a server that was killed; the next server puts its own there.
    return filesUnder(join(this.directory, "run")).filter((path) => !/\/server-[^/]*$/.test(path));
  }

  /**
   * Everything has ended, and nothing lies about.
   * @param swept temporary files that a later view removes, a minute after
   */
  async assertEmpty(what: string, swept?: RegExp): Promise<void> {
    const left = (): string =>
      this.processes()
        .map(({ pid, name }) => `${pid} ${name}`)
        .join(", ");
    const isEmpty = await eventually(() => left() === "");
    const names = isEmpty ? "" : left();
    if (!isEmpty) this.#killAll();
    assert.equal(names, "", `${what}: processes are left`);
    await this.#forgetDead();
    const files = readdirSync(join(this.directory, "tmp"));
    const staying = files.filter((name) => swept?.test(name) !== true);
    assert.deepEqual(staying, [], `${what}: temporary files`);
    assert.deepEqual(this.#runFiles(), [], `${what}: run-time files`);
    assert.equal(readFileSync("/proc/self/mounts", "utf8"), this.#mounts, `${what}: mounts`);
  }

  #killAll(): void {
    for (const { pid } of this.processes()) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended by itself.
      }
    }
  }

  [Symbol.dispose](): void {
    this.#killAll();
    this.#place[Symbol.dispose]();
  }
}

/** All but folders: a run directory may stay, empty. */
function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** A running command with its output so far. */
export class Started {
  readonly child: ChildProcess;
  readonly pid: number;
  stdout = "";
  stderr = "";
  readonly #closed: Promise<unknown[]>;

  constructor(child: ChildProcess) {
    this.child = child;
    this.pid = child.pid!;
    this.#closed = once(child, "close");
    child.stdout!.setEncoding("utf8").on("data", (chunk: string) => (this.stdout += chunk));
    child.stderr!.setEncoding("utf8").on("data", (chunk: string) => (this.stderr += chunk));
  }

  /** Waits until a text has been said. */
  async says(text: string): Promise<void> {
    const said = await eventually(() => this.stdout.includes(text), 20_000);
    assert.ok(said, `waited for '${text}', got '${this.stdout}' and '${this.stderr}'`);
  }

  /** Waits for its end: exit code or name of the signal. */
  async ended(): Promise<number | string | null> {
    const [code, signal] = (await this.#closed) as [number | null, string | null];
    return signal ?? code;
  }
}

/** Does the process wait in the system call with that number (proc(5), /proc/PID/syscall)? */
export function waitsIn(pid: number, number: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/syscall`, "utf8").startsWith(`${number} `);
  } catch {
    return false;
  }
}

/** Number of open descriptors of a process. */
export function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}
