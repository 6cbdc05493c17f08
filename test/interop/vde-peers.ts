/** Starting our switch and plug, and the peers they are tried with. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";

/** The compiled program. */
export const V2 = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));

/** Whether a program is in the path of this machine. */
export function has(program: string): boolean {
  return spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
}

/** Waits until something is so; a test's time limit ends it. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** A process, what it wrote, and its end. */
export interface Running {
  readonly child: ChildProcess;
  readonly output: () => Buffer;
  readonly errors: () => string;
  readonly ended: Promise<number | string>;
}

/** Whether a process has ended. */
export const isOver = ({ child }: Running): boolean =>
  child.exitCode !== null || child.signalCode !== null;

/** Starts a program; its output is kept. Ended by `Workshop.close` at the latest. */
export function start(program: string, argv: readonly string[], cwd?: string): Running {
  const child = spawn(program, argv, { stdio: "pipe", ...(cwd === undefined ? {} : { cwd }) });
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on("data", (octets: Buffer) => output.push(octets));
  child.stderr.on("data", (octets: Buffer) => errors.push(octets));
  child.stdin.on("error", () => undefined);
  const ended = new Promise<number | string>((resolve) => {
    // Not "exit": what it wrote last may come after that.
    child.once("close", (code, signal) => resolve(code ?? signal ?? "?"));
  });
  return {
    child,
    ended,
    output: () => Buffer.concat(output),
    errors: () => Buffer.concat(errors).toString(),
  };
}

/** A directory for one test, with processes that end with it. */
export class Workshop {
  readonly place = mkdtempSync(join(tmpdir(), "v2-interop-"));
  readonly #running: Running[] = [];

  /** Closed when the test ends, however it ends; without a test by whoever made it. */
  constructor(t?: TestContext) {
    t?.after(() => this.close());
  }

  path(name: string): string {
    return join(this.place, name);
  }

  start(program: string, argv: readonly string[]): Running {
    const running = start(program, argv, this.place);
    this.#running.push(running);
    return running;
  }

  /** Starts `v2` with these words. */
  v2(...words: string[]): Running {
    return this.start(process.execPath, [V2, ...words]);
  }

  /** A switch of ours that answers. @returns it and its directory. */
  async ourSwitch(...words: string[]): Promise<{ running: Running; directory: string }> {
    const directory = this.path("ours");
    const running = this.v2("switch", "--sock", directory, "--nostdin", "--ready-fd=1", ...words);
    await until(() => running.output().length > 0 || running.child.exitCode !== null);
    return { running, directory };
  }

  /** Debian's switch. */
  async debianSwitch(...words: string[]): Promise<{ running: Running; directory: string }> {
    const directory = this.path("debian");
    const running = this.start("vde_switch", ["-s", directory, ...words]);
    await until(() => existsSync(join(directory, "ctl")));
    return { running, directory };
  }

  /** Ends what runs and removes the directory. */
  async close(): Promise<void> {
    for (const { child } of this.#running) child.kill("SIGTERM");
    await Promise.all(this.#running.map(({ ended }) => ended));
    rmSync(this.place, { recursive: true, force: true });
  }
}

/** What a process has open, threads and children included: it must not grow. */
export function possessions(pid: number): {
  descriptors: number;
  sockets: number;
  threads: number;
} {
  const links = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return "";
    }
  });
  return {
    descriptors: links.filter((link) => link !== "").length,
    sockets: links.filter((link) => link.startsWith("socket:")).length,
    threads: readdirSync(`/proc/${pid}/task`).length,
  };
}

/** A frame with its length in front, as plugs speak it on streams. */
export function framed(frame: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(frame.length >> 8, frame.length & 0xff), frame]);
}

/** Frames with their lengths in front, one after the other. */
export function framesOf(stream: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at + 2 <= stream.length; ) {
    const end = at + 2 + stream.readUInt16BE(at);
    if (end > stream.length) break;
    found.push(stream.subarray(at + 2, end));
    at = end;
  }
  return found;
}

/** A broadcast of a length, from a station of its own. */
export function broadcast(length: number, station = 1): Uint8Array {
  const frame = Uint8Array.from({ length }, (_, i) => (i * 5 + length) & 0xff);
  frame.fill(255, 0, 6);
  frame.set([2, 0, 0, 0, 0, station, 0x88, 0xb5], 6);
  return frame;
}
