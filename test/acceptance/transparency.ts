/**
 * What a view must not change: the same programs run bare and in views at every level, and their
 * exit code, output and errors are compared octet for octet. The programs are scripts in
 * `test/fixtures/transparency`; they print nothing that differs from run to run (process numbers,
 * addresses, times).
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { missingProgram, type Outcome, runProgram, temporaryDirectory, V2 } from "./v2.ts";

const SCRIPTS = fileURLToPath(new URL("../../../test/fixtures/transparency/", import.meta.url));

/** The distribution's own: a developer's other one may lie where an ordinary user cannot read. */
export const PYTHON = "/usr/bin/python3";

/** A program to be tried. */
export interface Program {
  /** A sentence's subject, for the test's name. */
  readonly name: string;
  readonly script: string;
  /** Programs it needs, with the Debian packages that have them. */
  readonly needs: readonly (readonly [program: string, debianPackage: string])[];
  /** The script runs outside and gets the words to put before a command. */
  readonly outside?: boolean;
  /** Names of levels at which it is not the same; the reason stands beside the entry. */
  readonly except?: readonly string[];
}

/** A way to run a command: bare when it has no options. */
export interface Level {
  readonly name: string;
  /** Options of `v2 view`. */
  readonly options: readonly string[];
  /** A trace is written, and must not be empty. */
  readonly traced: boolean;
}

const RARE = "socket-create,exec,process,namespaces,mount,names,identity,time,ioctl";

/** Levels of traps (docs/view.md), and ways to force an engine. */
export const LEVELS: readonly Level[] = [
  { name: "at level 0", options: [], traced: false },
  { name: "with rare calls trapped", options: [`--trace=${RARE}`], traced: true },
  { name: "with paths trapped", options: ["--trace=path"], traced: true },
  { name: "with every call trapped", options: ["--trace=all"], traced: true },
  { name: "with paths answered", options: ["--trap=path"], traced: false },
  { name: "without virtual file systems", options: ["--engine=B"], traced: false },
  { name: "without namespaces", options: ["--engine=C"], traced: false },
];

/** Longest that one run may take. */
const RUN_LIMIT_MS = 60_000;

function interpreter(script: string): string {
  if (script.endsWith(".sh")) return "bash";
  return script.endsWith(".py") ? PYTHON : process.execPath;
}

/** Words before a command that run it at a level. */
function prefixFor(level: Level, trace: string): string[] {
  const traced = level.traced ? ["--trace-to", trace] : [];
  return [process.execPath, V2, "view", ...level.options, ...traced, "--"];
}

/** Runs a program in an empty directory, which is the same each time. */
async function run(
  program: Program,
  directory: string,
  prefix: readonly string[],
): Promise<Outcome> {
  const script = join(SCRIPTS, program.script);
  const command = [interpreter(program.script), script];
  mkdirSync(directory);
  try {
    return await runProgram(
      program.outside === true ? [...command, ...prefix] : [...prefix, ...command],
      { cwd: directory, timeoutMs: RUN_LIMIT_MS, env: { ...process.env, LC_ALL: "C" } },
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * A signal whose handler does not restart calls can interrupt a trapped one before the supervisor
 * has taken it (docs/view.md). A program that says so has met it, and is run again.
 */
async function runSettled(
  program: Program,
  directory: string,
  prefix: readonly string[],
): Promise<Outcome> {
  const TRIES = 4;
  for (let left = TRIES; ; left--) {
    const outcome = await run(program, directory, prefix);
    if (left === 1 || !outcome.stderr.includes("Interrupted system call")) return outcome;
  }
}

/** Declares a test for each program: all levels must agree with the bare run. */
export function testTransparency(programs: readonly Program[], levels: readonly Level[]): void {
  // Most of them wait for something much of the time.
  describe("transparency", { concurrency: 2 }, () => {
    for (const program of programs) testProgram(program, levels);
  });
}

function testProgram(program: Program, levels: readonly Level[]): void {
  test(`${program.name} is the same bare and in a view`, async (t) => {
    const missing = program.needs
      .map(([name, debianPackage]) => missingProgram(name, debianPackage))
      .find((reason) => reason !== undefined);
    if (missing !== undefined) return t.skip(missing);
    using place = temporaryDirectory();
    const directory = join(place.path, "w");
    const bare = await run(program, directory, []);
    assert.notEqual(bare.stdout, "", `bare it says nothing: ${bare.stderr}`);
    for (const level of levels) {
      if (program.except?.includes(level.name) === true) continue;
      await t.test(level.name, async () => {
        const trace = join(place.path, "trace");
        const outcome = await runSettled(program, directory, prefixFor(level, trace));
        assert.deepEqual(outcome, bare);
        if (level.traced) assert.match(readFileSync(trace, "utf8"), /^\d+ \S+\(.*\n/);
      });
    }
    return undefined;
  });
}
