/** Programs that benchmarks compile and run. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { EXIT, V2Error } from "../src/base/index.ts";

/** The checkout's root is two folders up: this file runs from build/bench. */
const FIXTURES = new URL("../../bench/fixtures/", import.meta.url);

/** Our program. */
export const V2: string = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));

/** A file of bench/fixtures. */
export function fixture(name: string): string {
  return fileURLToPath(new URL(name, FIXTURES));
}

/** How long a command line of a benchmark may take. */
const LIMIT_MS = 120_000;

/** Standard output of a command line; throws with its errors when it fails. */
export function outputOf(words: readonly string[]): string {
  const [program, ...rest] = words;
  const result = spawnSync(program!, rest, { encoding: "utf8", timeout: LIMIT_MS });
  if (result.status === 0) return result.stdout;
  throw new Error(`${words.join(" ")}: ${result.error?.message ?? result.stderr}`);
}

/**
 * Compiles NAME.c of bench/fixtures.
 * @param more options of the compiler
 * @throws V2Error without a C compiler.
 */
export function compileFixture(name: string, program: string, ...more: readonly string[]): void {
  const words = ["-O2", "-pthread", "-o", program, fixture(`${name}.c`), ...more];
  const { status, stderr } = spawnSync("cc", words, { encoding: "utf8" });
  if (status === 0) return;
  throw new V2Error("NO_COMPILER", `${name}.c cannot be compiled: ${stderr ?? "no cc"}`, {
    remedy: "apt install gcc libc6-dev",
    exitCode: EXIT.unavailable,
  });
}
