/** Running the built `v2` from tests, as a user would. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The program, for `node V2 …`. */
export const V2: string = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunSettings {
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly timeoutMs?: number;
}

/** Runs any program to its end; killed after `timeoutMs` (60 s). */
export async function runProgram(
  argv: readonly string[],
  settings: RunSettings = {},
): Promise<Outcome> {
  const [file, ...rest] = argv;
  const child = spawn(file!, rest, {
    stdio: "pipe",
    cwd: settings.cwd,
    env: settings.env ?? process.env,
  });
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (chunk: string) => {
      output[name] += chunk;
    });
  }
  child.stdin.on("error", () => {});
  child.stdin.end(settings.input ?? "");
  const limit = setTimeout(() => child.kill("SIGKILL"), settings.timeoutMs ?? 60_000);
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  clearTimeout(limit);
  return { code, signal, ...output };
}

/** Runs `v2` with arguments to its end. */
export function v2(args: readonly string[], settings: RunSettings = {}): Promise<Outcome> {
  return runProgram([process.execPath, V2, ...args], settings);
}

/** Runs a shell script in a fresh view. */
export function inView(
  script: string,
  options: readonly string[] = [],
  settings: RunSettings = {},
): Promise<Outcome> {
  return v2(["view", ...options, "--", "sh", "-c", script], settings);
}

/** Process number of the supervisor of a view that is being started; undefined: none came. */
export async function supervisorOf(
  name: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<number | undefined> {
  for (let i = 0; i < 50; i++) {
    const views = JSON.parse((await v2(["view", "list", "--json"], { env })).stdout) as {
      name: string;
      supervisorPid: number;
    }[];
    const view = views.find((listed) => listed.name === name);
    if (view !== undefined) return view.supervisorPid;
  }
  return undefined;
}

/** A directory of the test's own, removed by `using`. */
export function temporaryDirectory(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "v2-test-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** Is the program there? Else the reason to skip with, naming the Debian package. */
export function missingProgram(program: string, debianPackage: string): string | undefined {
  const found = spawnSync("sh", ["-c", `command -v ${program}`], {
    env: { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` },
  });
  return found.status === 0 ? undefined : `needs ${program}: apt install ${debianPackage}`;
}

/** Tries again until the condition holds; false when it does not within the time. */
export async function eventually(condition: () => boolean, timeoutMs = 10_000): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  while (performance.now() < end) {
    if (condition()) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return condition();
}

/** Compiles a C program with `gcc FLAGS`, and gives its path. */
export function compile(source: string, program: string, ...flags: readonly string[]): string {
  const made = spawnSync("gcc", ["-o", program, source, ...flags], { encoding: "utf8" });
  assert.equal(made.status, 0, made.stderr);
  return program;
}

/** The same with the text of a program, which is written beside it. */
export function compileText(text: string, program: string, ...flags: readonly string[]): string {
  writeFileSync(`${program}.c`, text);
  return compile(`${program}.c`, program, ...flags);
}

/** Is a process neither gone nor dead and not waited for? */
export function isRunning(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}

/** Living processes with a word in their command line, as ps(1) lists them. */
export function processesWith(word: string): string {
  return spawnSync("ps", ["-eo", "stat,args"], { encoding: "utf8" })
    .stdout.split("\n")
    .filter((line) => line.includes(word) && !line.startsWith("Z"))
    .join("\n");
}
