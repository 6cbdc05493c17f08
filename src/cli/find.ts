/** Which command the first words of a command line name. */
import type { CommandSpec } from "./command.ts";
import { nearest } from "./nearest.ts";

export interface FoundCommand {
  readonly command: CommandSpec;
  /** Words of the name: 2 for "lab up", 1 for "switch" and for historical names. */
  readonly taken: number;
}

/** Longest name first: "lab up" before "lab". */
export function findCommand(
  commands: readonly CommandSpec[],
  words: readonly string[],
): FoundCommand | undefined {
  for (const taken of [2, 1]) {
    if (words.length < taken) continue;
    const name = words.slice(0, taken).join(" ");
    const command = commands.find((c) => c.name === name || c.aliases?.includes(name));
    if (command !== undefined) return { command, taken };
  }
  return undefined;
}

/** Commands "NOUN VERB" of a noun, in table order. */
export function verbsOf(commands: readonly CommandSpec[], noun: string): readonly CommandSpec[] {
  return commands.filter((command) => command.name.startsWith(`${noun} `));
}

/** The name that the user probably meant by one or two unknown words. */
export function nearestCommand(
  commands: readonly CommandSpec[],
  words: readonly string[],
): string | undefined {
  const names = commands.flatMap((command) => [command.name, ...(command.aliases ?? [])]);
  const nouns = new Set(names.map((name) => name.split(" ", 1)[0]!));
  return (
    (words.length > 1 ? nearest(words.slice(0, 2).join(" "), names) : undefined) ??
    nearest(words[0] ?? "", [...names, ...nouns])
  );
}
