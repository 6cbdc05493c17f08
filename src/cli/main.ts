#!/usr/bin/env node
/**
 * `v2 COMMAND …`, or a historical command name: by argv[0] or as the first word. This file and what
 * it imports is loaded by every command, so it stays small; help and errors are loaded when they
 * are shown.
 */
import { findCommand, nearestCommand, verbsOf } from "./find.ts";
import { parseWords } from "./parse.ts";
import { COMMANDS } from "./table.ts";

/** Wrong usage (base/errors.ts EXIT.usage, not imported here to keep the start short). */
const USAGE = 2;

function complain(problem: string, hint: string | undefined, help: string): number {
  process.stderr.write(`v2: ${problem}\n`);
  if (hint !== undefined) process.stderr.write(`    ${hint}\n`);
  process.stderr.write(`    '${help}' tells more\n`);
  return USAGE;
}

async function showOverview(): Promise<number> {
  const [{ overviewHelp }, { print }] = await Promise.all([
    import("./help.ts"),
    import("./output.ts"),
  ]);
  print(overviewHelp(COMMANDS));
  return 0;
}

async function showVersion(): Promise<number> {
  const { version } = await import("./version.ts");
  process.stdout.write(`v2 ${version()}\n`);
  return 0;
}

/** The words name no command: general options, a noun without verb, or a slip. */
async function withoutCommand(words: readonly string[]): Promise<number | undefined> {
  const [first, second] = words;
  if (first === undefined || first === "--help" || first === "-h" || first === "help") {
    if (first === "help" && second !== undefined) return await main([...words.slice(1), "--help"]);
    return await showOverview();
  }
  if (first === "--version" || first === "-V" || first === "version") return await showVersion();
  if (first.startsWith("-")) return complain(`unknown option '${first}'`, undefined, "v2 --help");
  const verbs = verbsOf(COMMANDS, first);
  if (verbs.length > 0 && (second === undefined || second === "--help" || second === "-h")) {
    const { nounHelp } = await import("./help.ts");
    const text = nounHelp(first, verbs);
    (second === undefined ? process.stderr : process.stdout).write(text);
    return second === undefined ? USAGE : 0;
  }
  const near = nearestCommand(COMMANDS, words);
  const hint = near === undefined ? undefined : `did you mean 'v2 ${near}'?`;
  const written = verbs.length > 0 ? `${first} ${second}` : first;
  return complain(`unknown command '${written}'`, hint, "v2 --help");
}

async function main(words: readonly string[]): Promise<number | undefined> {
  const found = findCommand(COMMANDS, words);
  if (found === undefined) return await withoutCommand(words);
  const { command, taken } = found;
  const calledAs = words.slice(0, taken).join(" ");
  const parsed = parseWords(command, words.slice(taken));
  if ("problem" in parsed) {
    return complain(`${calledAs}: ${parsed.problem}`, parsed.hint, `v2 ${calledAs} --help`);
  }
  if (parsed.help) {
    const [{ commandHelp }, { print }] = await Promise.all([
      import("./help.ts"),
      import("./output.ts"),
    ]);
    print(commandHelp(command, calledAs));
    return 0;
  }
  const { run } = await command.load();
  return await run({
    calledAs,
    options: parsed.options,
    words: parsed.words,
    rest: parsed.rest,
  });
}

/**
 * A link with a historical name (`v2 links DIR`) puts that name in front of the words; the native
 * launcher that `v2` is then puts its own name there.
 */
function wordsOf(argv: readonly string[]): readonly string[] {
  const [, path = "v2", ...words] = argv;
  const base = (name: string): string => name.slice(name.lastIndexOf("/") + 1);
  const isHistorical = (name: string): boolean =>
    COMMANDS.some((command) => command.aliases?.includes(name));
  if (isHistorical(base(path))) return [base(path), ...words];
  const called = base(words[0] ?? "");
  if (called === "v2") return words.slice(1);
  return isHistorical(called) ? [called, ...words.slice(1)] : words;
}

try {
  const code = await main(wordsOf(process.argv));
  if (code !== undefined) process.exitCode = code;
} catch (error) {
  const { V2Error } = await import("../base/index.ts");
  if (!(error instanceof V2Error)) throw error;
  process.stderr.write(`v2: ${error.message}\n`);
  if (error.remedy !== undefined) {
    process.stderr.write(`    ${error.remedy.replaceAll("\n", "\n    ")}\n`);
  }
  process.exitCode = error.exitCode;
}
