/** Completion of console commands from what the switch's `help` lists. Pure. */
import type { CommandReport } from "../vde/index.ts";

/** Commands whose argument is a command path, or a debug category. */
const TAKES_PATH = /^help /;
const TAKES_CATEGORY = /^debug\/(?:add|del) /;

/** What a switch can be told. */
export interface ConsoleWords {
  readonly commands: readonly CommandReport[];
  readonly debugCategories: readonly string[];
}

/**
 * What a half-typed line may become. Menus are completed one level at a time.
 * @returns whole words, and the part of the line that they replace, as node:readline wants them.
 */
export function completeConsole(line: string, words: ConsoleWords): [string[], string] {
  if (TAKES_CATEGORY.test(line)) {
    const typed = line.slice(line.lastIndexOf(" ") + 1);
    return [nextLevel(words.debugCategories, typed), typed];
  }
  const typed = TAKES_PATH.test(line) ? line.slice(line.indexOf(" ") + 1) : line;
  const paths = words.commands.filter(({ isMenu }) => !isMenu).map(({ path }) => path);
  const hits = nextLevel(paths, typed);
  // A command that takes arguments is followed by them.
  const only = hits.length === 1 ? words.commands.find(({ path }) => path === hits[0]) : undefined;
  const isWhole = only !== undefined && only.syntax !== "" && typed === line;
  return [isWhole ? [`${hits[0]} `] : hits, typed];
}

/** Paths that begin with `typed`, cut after the next "/"; a lone menu is opened. */
function nextLevel(paths: readonly string[], typed: string): string[] {
  const hits = new Set<string>();
  for (const path of paths) {
    if (!path.startsWith(typed)) continue;
    const slash = path.indexOf("/", typed.length);
    hits.add(slash === -1 ? path : path.slice(0, slash + 1));
  }
  return [...hits].sort();
}
