/** What the lab commands share. */
import { EXIT, V2Error } from "../base/index.ts";
import { type LabRecord, loadTopology, runningLab } from "../lab/index.ts";
import type { Invocation } from "./command.ts";

/** A line for people, beside the data on standard output. */
export function say(line: string): void {
  process.stderr.write(`v2 lab: ${line}\n`);
}

/** Resolves with the first signal that asks this process to end; it no longer ends by itself. */
export function endSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(signal, () => resolve(signal));
    }
  });
}

/** The word at a position. @throws V2Error (usage) naming what is missing. */
export function wordAt(words: readonly string[], index: number, what: string): string {
  const word = words[index];
  if (word !== undefined) return word;
  throw new V2Error("MISSING_WORD", `${what} is missing`, {
    remedy: "see: v2 lab --help",
    exitCode: EXIT.usage,
  });
}

/** All words of a command line, before and after `--`. */
export function allWords(invocation: Invocation): readonly string[] {
  return [...invocation.words, ...invocation.rest];
}

/** A running lab by its name, or by the file it was started from. */
export function labOf(nameOrFile: string): LabRecord {
  const isFile = nameOrFile.includes("/") || /\.ya?ml$/.test(nameOrFile);
  return runningLab(isFile ? loadTopology(nameOrFile).name : nameOrFile);
}
