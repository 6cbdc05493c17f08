/** Views that run, and processes outside of them, for tests that take these into those. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { kernelParameter } from "../../src/sys/index.ts";
import { type Outcome, supervisorOf, temporaryDirectory, V2, v2 } from "./v2.ts";

export const isRoot = process.geteuid!() === 0;
const yama = kernelParameter("kernel.yama.ptrace_scope") ?? "0";
/** The commands are no ancestors of the processes that they take in. */
export const skip =
  yama === "0" || (isRoot && yama !== "3") ? false : `Yama's ptrace_scope is ${yama}`;

let views = 0;

/** A running view with a file system of its own on a directory, and a file `inside` in that. */
export async function runningView(options: readonly string[] = []) {
  const directory = temporaryDirectory();
  const mounted = join(directory.path, "m");
  mkdirSync(mounted);
  const name = `attach-${process.pid}-${++views}`;
  const words = ["view", "--name", name, "--mount", `tmpfs::${mounted}`, ...options, "--"];
  const script = `touch ${mounted}/inside; echo ready; exec cat`;
  const child = spawn(process.execPath, [V2, ...words, "sh", "-c", script], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  assert.equal(String((await once(child.stdout, "data"))[0]), "ready\n");
  assert.notEqual(await supervisorOf(name), undefined);
  return {
    name,
    mounted,
    directory: directory.path,
    pid: child.pid!,
    attach: (pid: number, ...more: readonly string[]): Promise<Outcome> =>
      v2(["view", "attach", ...more, name, String(pid)]),
    async [Symbol.asyncDispose](): Promise<void> {
      child.stdin.end();
      await once(child, "exit");
      directory[Symbol.dispose]();
    },
  };
}

/** A shell outside of views that does what it is told, and ends with 7. */
export class Shell implements AsyncDisposable {
  readonly child: ChildProcess;

  constructor(cwd = "/") {
    const script = 'while read -r line; do eval "$line"; echo "done $?"; done; exit 7';
    this.child = spawn("sh", ["-c", script], { cwd, stdio: ["pipe", "pipe", "inherit"] });
    this.child.stdout!.setEncoding("utf8");
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** What a line prints. */
  async ask(line: string): Promise<string> {
    this.child.stdin!.write(`${line}\n`);
    for (let text = ""; ; ) {
      text += String((await once(this.child.stdout!, "data"))[0]);
      const end = /^done \d+\n/m.exec(text);
      if (end !== null) return text.slice(0, end.index);
    }
  }

  async end(): Promise<number | null> {
    this.child.stdin!.end();
    return ((await once(this.child, "close")) as [number | null])[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill("SIGKILL");
    await once(this.child, "close");
  }
}

const KINDS = ["user", "mnt", "uts", "net"];
/** All of a process that an attempt which fails must leave as it was. */
export const stateOf = (pid: number): unknown => {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const line = (name: string) => new RegExp(`^${name}:.*$`, "m").exec(status)?.[0];
  return {
    namespaces: KINDS.map((kind) => readlinkSync(`/proc/${pid}/ns/${kind}`)),
    descriptors: readdirSync(`/proc/${pid}/fd`),
    directory: readlinkSync(`/proc/${pid}/cwd`),
    mappings: readFileSync(`/proc/${pid}/maps`, "utf8"),
    limits: readFileSync(`/proc/${pid}/limits`, "utf8"),
    lines: ["SigBlk", "SigCgt", "CapEff", "NoNewPrivs", "Seccomp", "TracerPid"].map(line),
  };
};

/** The text of /proc/PID/status; empty when there is none. */
export function status(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return "";
  }
}
