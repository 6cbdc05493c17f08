/**
 * Reads the command line of a native launcher in the user's server of views. Only what `v2 view`
 * does with the server alone is read here; all else makes a cold start, where it is read again.
 */
import { parseViewNet, type ViewRequest } from "../engine/index.ts";
import { parseMountSpec } from "../viewos/index.ts";
import type { CommandSpec } from "./command.ts";
import { findCommand } from "./find.ts";
import { parseWords } from "./parse.ts";
import { VIEW_COMMANDS } from "./table-view.ts";
import { isPromptingShell } from "./view-prompt.ts";

/** Options of `v2 view` that a server can serve. */
const SERVED: ReadonlySet<string> = new Set([
  "name",
  "root",
  "net",
  "mount",
  "no-prompt",
  "prompt-for",
]);

/** Can the user's server do what these options ask for? */
export function isServed(options: Readonly<Record<string, unknown>>): boolean {
  return Object.entries(options).every(
    ([name, value]) => value === undefined || value === false || SERVED.has(name),
  );
}

/** @throws V2Error on a wrong value, which counts as "not for the server". */
export function interpret(line: readonly string[]): ViewRequest | undefined {
  const found = findCommand(VIEW_COMMANDS, line.slice(1));
  if (found === undefined || found.command.name !== "view") return undefined;
  const command: CommandSpec = found.command;
  const parsed = parseWords(command, line.slice(1 + found.taken));
  if ("problem" in parsed || parsed.help || !isServed(parsed.options)) return undefined;
  const { options } = parsed;
  const count = parsed.words.length + parsed.rest.length;
  // The prompt of a shell is changed through its environment, which the launcher takes as it is.
  if (count === 0 || isPromptingShell([...parsed.words, ...parsed.rest])) return undefined;
  const many = (value: unknown): readonly string[] =>
    Array.isArray(value) ? (value as readonly string[]) : [];
  return {
    name: options["name"] as string | undefined,
    root: options["root"] === true,
    net: many(options["net"]).map(parseViewNet),
    mounts: many(options["mount"]).map(parseMountSpec),
    firstWord: line.length - count,
  };
}
