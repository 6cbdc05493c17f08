/**
 * `umview`, `kmview` and `umvu`: `v2 view` in the words of its two predecessors. Options that
 * steered mechanisms which no longer exist are taken and said to do nothing.
 */
import { EXIT, V2Error } from "../base/index.ts";
import { isInsideView } from "../engine/index.ts";
import { colourSequence, parseDebugWord } from "../viewos/index.ts";
import type { Invocation } from "./command.ts";
import {
  insertionSteps,
  ownCommand,
  type PreambleStep,
  startUpFiles,
  startUpSteps,
  withPreamble,
} from "./view-preamble.ts";
import { isPromptingShell } from "./view-prompt.ts";

/** Options that change nothing here, and why. */
const WITHOUT_EFFECT: { readonly [option: string]: string } = {
  nokernelpatch: "there are no kernel patches to do without",
  nokmulti: "there are no kernel patches to do without",
  noksysvm: "there are no kernel patches to do without",
  nokviewos: "there are no kernel patches to do without",
  nonesting: "views nest in the kernel, at no cost",
  noseccomp: "the filter is how calls reach the view, not a way to make that faster",
  recursive: "a view inside a view has the same supervisor in any case",
  loglevel: "what is logged is chosen by category (vudebug)",
  syslog: "what is logged is chosen by category (vudebug)",
};

const usage = (message: string, remedy: string): V2Error =>
  new V2Error("USAGE", message, { remedy, exitCode: EXIT.usage });

/** `-d sp` and `-D p:r` as words of vudebug. */
function debugWords(options: Invocation["options"]): string[] {
  const tags = options["debugtags"] as string | undefined;
  const words = tags === undefined ? [] : [`+${tags}`];
  for (const word of (options["debugcols"] ?? []) as readonly string[]) {
    const at = word.indexOf(":");
    if (at === -1 || colourSequence(word.slice(at + 1)) === undefined) {
      throw usage(`'${word}' is no colour of a category`, "write TAGS:COLOUR, for instance p:r");
    }
    words.push(word);
  }
  const wrong = words.find((word) => parseDebugWord(word) === undefined);
  if (wrong !== undefined) throw usage(`'${wrong}' are no categories`, "vudebug ? lists them");
  return words;
}

const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** What is done in the view before its command. */
function preamble(
  options: Invocation["options"],
  modules: readonly string[],
  { isLogin, isSecond }: { readonly isLogin: boolean; readonly isSecond: boolean },
): PreambleStep[] {
  const debug = debugWords(options);
  const file = options["rc"] as string | undefined;
  const output = options["output"] as string | undefined;
  const steps: PreambleStep[] = [];
  if (debug.length > 0) {
    const errors = output === undefined ? {} : { errorsTo: output };
    steps.push({ argv: ownCommand("vudebug", ...debug), isNeeded: true, ...errors });
  }
  steps.push(...insertionSteps(modules));
  if (options["norc"] === true) return steps;
  // A file replaces all others for the second generation, those of the user for the first.
  const system = !(isSecond && file !== undefined);
  return [...steps, ...startUpSteps(startUpFiles({ system, user: !isLogin, file }))];
}

/** `umview|kmview|umvu [OPTION]… [CMD…]`; never returns on success. */
export async function run(invocation: Invocation): Promise<number | undefined> {
  return await startClassicView(invocation, false);
}

/** @param isLogin the view is the whole login of a user: its own start-up files are left out. */
export async function startClassicView(
  { calledAs, options, words, rest }: Invocation,
  isLogin: boolean,
): Promise<number | undefined> {
  if (options["version"] === true) {
    const { version } = await import("./version.ts");
    process.stdout.write(`${calledAs} (virtualsquare ${version()})\n`);
    return EXIT.ok;
  }
  if (options["quiet"] !== true) {
    for (const option of Object.keys(options)) {
      const why = Object.hasOwn(WITHOUT_EFFECT, option) ? WITHOUT_EFFECT[option] : undefined;
      if (why !== undefined) say(`${calledAs}: --${option} does nothing: ${why}`);
    }
  }
  const given = [...words, ...rest];
  const argv = given.length > 0 ? given : [process.env["SHELL"] ?? "/bin/sh"];
  const modules = (options["preload"] ?? []) as readonly string[];
  const isInside = modules.length > 0 && isInsideView();
  const steps = preamble(options, isInside ? modules : [], {
    isLogin,
    isSecond: calledAs.endsWith("umvu"),
  });
  const name = (options["viewname"] ?? options["vu_name"]) as string | undefined;
  const { run: runView } = await import("./view.ts");
  return await runView({
    calledAs,
    options: {
      ...(name === undefined ? {} : { name }),
      ...(options["secure"] === true ? { root: true } : {}),
      ...(options["engine"] === undefined ? {} : { engine: options["engine"] }),
      // The kernel module of kmview let only the calls through to it that somebody wanted.
      ...(calledAs.endsWith("kmview") ? { filtering: true } : {}),
      ...(modules.length === 0 || isInside ? {} : { module: modules }),
      ...(options["no-prompt"] === true ? { "no-prompt": true } : {}),
      ...(isPromptingShell(argv) ? { "prompt-for": argv[0] } : {}),
    },
    words: [],
    rest: withPreamble(steps, argv),
  });
}
