/** What a view does before its command: modules, debug switches and start-up files. */
import { accessSync, constants, existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Start-up files of the system and of the user, by the names of both generations. */
const SYSTEM_RC = ["/etc/viewosrc", "/etc/vurc"] as const;
const USER_RC = [".viewosrc", ".vurc"] as const;

/** Which start-up files are run. */
export interface StartUp {
  readonly system: boolean;
  readonly user: boolean;
  /** Instead of those of the user. */
  readonly file: string | undefined;
}

/** The start-up files that are there, in the order in which they run. */
export function startUpFiles({ system, user, file }: StartUp): string[] {
  const own = user && file === undefined ? USER_RC.map((name) => join(homedir(), name)) : [];
  const found = [...(system ? SYSTEM_RC : []), ...own].filter((path) => existsSync(path));
  return file === undefined ? found : [...found, file];
}

/** One command of the preamble; the view is given up when a needed one fails. */
export interface PreambleStep {
  readonly argv: readonly string[];
  readonly isNeeded: boolean;
  /** Its standard error goes to this file. */
  readonly errorsTo?: string;
}

/** This program with other words. */
export function ownCommand(...words: readonly string[]): string[] {
  return [process.execPath, fileURLToPath(new URL("./main.js", import.meta.url)), ...words];
}

/** Modules that a view inside a view begins with, as `-p` names them. */
export function insertionSteps(modules: readonly string[]): PreambleStep[] {
  if (modules.length === 0) return [];
  return [{ argv: ownCommand("vu_insmod", "--", ...modules), isNeeded: true }];
}

/** Start-up files as steps; one that may not be executed is told of and left out. */
export function startUpSteps(files: readonly string[]): PreambleStep[] {
  return files.flatMap((path) => {
    try {
      accessSync(path, constants.X_OK);
      return [{ argv: [path], isNeeded: false }];
    } catch {
      process.stderr.write(`v2: ${path} is not executable: left out\n`);
      return [];
    }
  });
}

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

/** The command with its preamble in front, as one program that becomes the command. */
export function withPreamble(steps: readonly PreambleStep[], argv: readonly string[]): string[] {
  if (steps.length === 0) return [...argv];
  const lines = steps.map(({ argv: words, isNeeded, errorsTo }) => {
    const errors = errorsTo === undefined ? "" : ` 2>${quoted(errorsTo)}`;
    return `${words.map(quoted).join(" ")}${errors}${isNeeded ? " || exit" : ""}`;
  });
  return ["/bin/sh", "-c", [...lines, 'exec "$@"'].join("\n"), "v2", ...argv];
}
