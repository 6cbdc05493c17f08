/** `vudebug`: switches the debug log of the view. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { ERRNO, EXIT, V2Error } from "../base/index.ts";
import { type DebugState, openControl } from "../engine/index.ts";
import { addTags, parseDebugWord, tagLine } from "../viewos/index.ts";
import type { Invocation } from "./command.ts";
import { print, printJson } from "./output.ts";

/** `vudebug [+-?][TAG…][:COLOUR]… [-- CMD…]` */
export async function run({ rest }: Invocation): Promise<number> {
  const json = rest[0] === "--json";
  const given = json ? rest.slice(1) : rest;
  const dashes = given.indexOf("--");
  const words = dashes === -1 ? given : given.slice(0, dashes);
  const command = dashes === -1 ? undefined : given.slice(dashes + 1);
  const wrong = words.find((word) => parseDebugWord(word) === undefined);
  if (wrong !== undefined || command?.length === 0) {
    throw new V2Error("USAGE", wrong === undefined ? "which command?" : `'${wrong}' is no switch`, {
      remedy: "vudebug [+-?][TAG…][:COLOUR]… [-- CMD…], for instance vudebug +sp:r",
      exitCode: EXIT.usage,
    });
  }
  using client = openControl();
  const own = command !== undefined;
  const state = (await client.ask("debug", { words, own })) as DebugState;
  if (json) printJson(state);
  else if (words.length === 0) print(summary(state));
  else for (const word of words) print(answerTo(word, state));
  // The switches hold as long as our connection, that is until the command has ended.
  return command === undefined ? EXIT.ok : await runCommand(command);
}

/** What is logged, in one line for all and one in brackets for this process. */
function summary({ tags, own }: DebugState): string {
  return `${tags === "" ? "" : `${tags}\n`}${own === "" ? "" : `(${own})\n`}`;
}

function answerTo(word: string, { tags, own, known }: DebugState): string {
  const change = parseDebugWord(word)!;
  if (change.action !== "?") return "";
  const asked = change.tags === "" ? addTags(Object.keys(known).join(""), tags) : change.tags;
  return asked
    .split("")
    .map((tag) => `${tagLine(tag, tags.includes(tag), own.includes(tag))}\n`)
    .join("");
}

/** Runs a command to its end; what the terminal sends goes to it, not to us. */
async function runCommand(argv: readonly string[]): Promise<number> {
  const ignore = (): void => {};
  for (const signal of ["SIGINT", "SIGQUIT"] as const) process.on(signal, ignore);
  const child = spawn(argv[0]!, argv.slice(1), { stdio: "inherit" });
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  try {
    const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
    return code ?? 128 + constants.signals[signal!];
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).errno === -ERRNO.ENOENT;
    throw new V2Error("COMMAND", `${argv[0]}: ${(cause as Error).message}`, {
      exitCode: missing ? EXIT.commandNotFound : EXIT.cannotExecute,
      cause,
    });
  }
}
