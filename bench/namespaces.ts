/**
 * Two network namespaces side by side, and programs in them. For an ordinary user they lie in a
 * user namespace, so that nothing here needs root; they end with the processes that hold them.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { EXIT, V2Error } from "../src/base/index.ts";

const isRoot = process.getuid?.() === 0;
const READY_MS = 10_000;

/** The two sides of a link, and the network between them where the switch may have its TAPs. */
export type Side = "left" | "right" | "middle";

/** A program that a benchmark started. */
export interface Started {
  readonly child: ChildProcess;
  /** What it has written. */
  readonly output: () => string;
}

/** Namespaces and programs of one benchmark; `close` ends all of them. */
export class Namespaces {
  readonly #holders = new Map<Side, ChildProcess>();
  readonly #started: ChildProcess[] = [];

  /** @throws V2Error without unshare, nsenter and ip, or where namespaces cannot be made. */
  static async open(): Promise<Namespaces> {
    const spaces = new Namespaces();
    try {
      const words = isRoot ? ["-n"] : ["-Urn"];
      await spaces.#hold("middle", ["unshare", ...words]);
      for (const side of ["left", "right"] as const) {
        await spaces.#hold(side, [...spaces.words("middle"), "unshare", "-n"]);
      }
    } catch (error) {
      await spaces.close();
      throw error;
    }
    return spaces;
  }

  /** What stands in front of a command line that is to run there. */
  words(side: Side): readonly string[] {
    const pid = this.#holders.get(side)!.pid!;
    const user = isRoot ? [] : ["-U", "--preserve-credentials"];
    return ["nsenter", "-t", String(pid), ...user, "-n"];
  }

  /** Process that holds a namespace. */
  pid(side: Side): number {
    return this.#holders.get(side)!.pid!;
  }

  /** Runs a command line to its end. @returns its output. @throws V2Error when it fails. */
  run(side: Side, ...words: readonly string[]): string {
    const [program, ...rest] = this.#line(side, words);
    const { status, stdout, stderr } = spawnSync(program, rest, {
      encoding: "utf8",
      timeout: 60_000,
    });
    if (status === 0) return stdout;
    throw new V2Error("COMMAND_FAILED", `${words.join(" ")}: ${stderr}`);
  }

  /** Runs it, as long as the benchmark at most. */
  start(side: Side, ...words: readonly string[]): Started {
    const [program, ...rest] = this.#line(side, words);
    // A switch and a plug end at the end of their standard input, so they get one that stays open.
    const child = spawn(program, rest, { stdio: ["pipe", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (octets: Buffer) => (output += octets.toString()));
    this.#started.push(child);
    return { child, output: () => output };
  }

  /** Waits until an interface is there, and gives it an address. */
  async configure(side: Side, name: string, address: string): Promise<void> {
    await until(name, () => this.#has(side, name));
    this.run(side, "ip", "addr", "add", `${address}/24`, "dev", name);
    this.run(side, "ip", "link", "set", name, "up");
  }

  /** Moves an interface out of the middle. */
  async move(name: string, side: Side): Promise<void> {
    await until(name, () => this.#has("middle", name));
    this.run("middle", "ip", "link", "set", name, "netns", String(this.pid(side)));
  }

  /** Ends programs, last started first. */
  async end(programs: readonly Started[]): Promise<void> {
    for (const { child } of programs.toReversed()) await endChild(child);
  }

  async close(): Promise<void> {
    for (const child of this.#started.toReversed()) await endChild(child);
    for (const child of [...this.#holders.values()].toReversed()) await endChild(child);
  }

  #line(side: Side, words: readonly string[]): [string, ...string[]] {
    return [...this.words(side), ...words] as [string, ...string[]];
  }

  #has(side: Side, name: string): boolean {
    const [program, ...rest] = this.#line(side, ["ip", "link", "show", name]);
    return spawnSync(program, rest).status === 0;
  }

  async #hold(side: Side, words: readonly string[]): Promise<void> {
    const child = spawn(words[0]!, [...words.slice(1), "sh", "-c", "echo ready; exec sleep 3600"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#holders.set(side, child);
    const failed = once(child, "exit").then(() => {
      throw new V2Error("NO_NAMESPACE", `a network namespace cannot be made: ${words.join(" ")}`, {
        remedy: "apt install util-linux iproute2; sysctl kernel.unprivileged_userns_clone=1",
        exitCode: EXIT.unavailable,
      });
    });
    failed.catch(() => undefined);
    await Promise.race([once(child.stdout, "data"), failed]);
  }
}

/** Waits until something is so. @throws V2Error after some seconds. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  const lastMs = performance.now() + READY_MS;
  while (!isSo()) {
    if (performance.now() > lastMs) throw new V2Error("TIMEOUT", `'${what}' does not come up`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}
