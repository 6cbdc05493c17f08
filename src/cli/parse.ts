/**
 * The words of a command line against the options of one command. Accepts what getopt_long_only(3)
 * accepts, because the historical commands used it: `--name value`, `--name=value`, `-name value`,
 * unambiguous beginnings of long names, `-n value`, `-nvalue`, grouped flags, and `--`.
 */
import type { CommandSpec, Invocation, OptionSpec } from "./command.ts";
import { nearest } from "./nearest.ts";

/** What is wrong with a command line, and the option or word meant, where one is near. */
export interface UsageProblem {
  readonly problem: string;
  readonly hint?: string;
}

export type Parsed = Omit<Invocation, "calledAs"> & { readonly help: boolean };

type Options = { [name: string]: string | boolean | string[] };
type Found = { readonly name: string; readonly spec: OptionSpec } | UsageProblem;

const HELP: OptionSpec = { type: "boolean", help: "show this help" };

/** Every option also takes part in lookup: `--help` is known to each command. */
function optionTable(command: CommandSpec): ReadonlyMap<string, OptionSpec> {
  const table = new Map(Object.entries(command.options));
  if (!table.has("help")) table.set("help", HELP);
  return table;
}

function findLong(table: ReadonlyMap<string, OptionSpec>, written: string): Found {
  const exact = table.get(written);
  if (exact !== undefined) return { name: written, spec: exact };
  const starting = [...table].filter(([name]) => name.startsWith(written));
  if (starting.length === 1) return { name: starting[0]![0], spec: starting[0]![1] };
  if (starting.length > 1) {
    const names = starting.map(([name]) => `--${name}`).join(", ");
    return { problem: `option '--${written}' is ambiguous`, hint: `one of ${names}` };
  }
  const near = nearest(written, [...table.keys()]);
  return {
    problem: `unknown option '--${written}'`,
    ...(near === undefined ? {} : { hint: `did you mean '--${near}'?` }),
  };
}

function findShort(table: ReadonlyMap<string, OptionSpec>, letter: string): Found {
  for (const [name, spec] of table) if (spec.short === letter) return { name, spec };
  if (letter === "h") return { name: "help", spec: HELP };
  return { problem: `unknown option '-${letter}'` };
}

/**
 * `-sock` is a long option in the historical commands, unless its first letter is a short option.
 */
function isLongWithOneDash(table: ReadonlyMap<string, OptionSpec>, word: string): boolean {
  const name = word.slice(1).split("=", 1)[0]!;
  if (name.length < 2) return false;
  if (table.has(name)) return true;
  const isShort = [...table.values()].some((spec) => spec.short === name[0]);
  return !isShort && [...table.keys()].some((long) => long.startsWith(name));
}

class Parser {
  readonly #table: ReadonlyMap<string, OptionSpec>;
  readonly #words: readonly string[];
  #at = 0;
  readonly options: Options = {};

  constructor(command: CommandSpec, words: readonly string[]) {
    this.#table = optionTable(command);
    this.#words = words;
  }

  run(stopAtFirstWord: boolean): Parsed | UsageProblem {
    const plain: string[] = [];
    let rest: readonly string[] = [];
    while (this.#at < this.#words.length) {
      const word = this.#words[this.#at]!;
      if (word === "--") {
        rest = this.#words.slice(this.#at + 1);
        break;
      }
      if (word === "-" || !word.startsWith("-")) {
        if (stopAtFirstWord) {
          rest = this.#words.slice(this.#at);
          break;
        }
        plain.push(word);
        this.#at++;
        continue;
      }
      this.#at++;
      const problem = this.#option(word);
      if (problem !== undefined) return problem;
      if (this.options["help"] === true) break;
    }
    return { options: this.options, words: plain, rest, help: this.options["help"] === true };
  }

  #option(word: string): UsageProblem | undefined {
    if (word.startsWith("--")) return this.#long(word.slice(2));
    if (isLongWithOneDash(this.#table, word)) return this.#long(word.slice(1));
    return this.#shorts(word.slice(1));
  }

  #long(text: string): UsageProblem | undefined {
    const equals = text.indexOf("=");
    const written = equals < 0 ? text : text.slice(0, equals);
    const found = findLong(this.#table, written);
    if ("problem" in found) return found;
    const given = equals < 0 ? undefined : text.slice(equals + 1);
    return this.#set(found.name, found.spec, `--${found.name}`, given);
  }

  #shorts(letters: string): UsageProblem | undefined {
    for (let i = 0; i < letters.length; i++) {
      const letter = letters[i]!;
      const found = findShort(this.#table, letter);
      if ("problem" in found) return found;
      if (found.spec.type === "boolean") {
        this.#set(found.name, found.spec, `-${letter}`, undefined);
        continue;
      }
      const attached = letters.slice(i + 1);
      return this.#set(
        found.name,
        found.spec,
        `-${letter}`,
        attached === "" ? undefined : attached,
      );
    }
    return undefined;
  }

  #set(
    name: string,
    spec: OptionSpec,
    written: string,
    given: string | undefined,
  ): UsageProblem | undefined {
    if (spec.type === "boolean") {
      if (given !== undefined) return { problem: `option '${written}' takes no value` };
      this.options[name] = true;
      return undefined;
    }
    const value = given ?? (spec.optionalValue === true ? "" : this.#words[this.#at++]);
    if (value === undefined) {
      return { problem: `option '${written}' needs a value: ${spec.value ?? "VALUE"}` };
    }
    if (spec.multiple !== true) this.options[name] = value;
    else this.options[name] = [...((this.options[name] as string[] | undefined) ?? []), value];
    return undefined;
  }
}

/**
 * Reads the words after a command's name. Parsing ends at `--help`: what follows is not judged.
 * @returns options, words and rest for the command, or what is wrong
 */
export function parseWords(command: CommandSpec, words: readonly string[]): Parsed | UsageProblem {
  if (command.rawWords === true && words[0] !== "--help") {
    return { options: {}, words: [], rest: words, help: false };
  }
  return new Parser(command, words).run(command.stopAtFirstWord === true);
}
