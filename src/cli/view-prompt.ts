/**
 * A prompt that shows the view, without touching any file of the user: interactive shells are
 * started with `debian_chroot` set, which the start-up files of Debian's and Ubuntu's bash put in
 * front of the prompt. Plain shells, which take their prompt from the environment, get one.
 */
import { basename } from "node:path";
import { isatty } from "node:tty";

const SHELLS = ["bash", "zsh", "fish"];
/** Shells that show the PS1 of their environment. */
const PLAIN_SHELLS = ["sh", "dash", "ash", "ksh", "mksh"];

/** Is that a shell that will prompt? */
export function isPromptingShell(argv: readonly string[]): boolean {
  const [program = "", ...args] = argv;
  const isShell = [...SHELLS, ...PLAIN_SHELLS].includes(basename(program));
  return isShell && args.every((arg) => arg.startsWith("-") && !/^-[^-]*[cs]/.test(arg));
}

/** The environment with the view in the prompt; an outer view stays in front. */
export function promptEnvironment(
  environment: NodeJS.ProcessEnv,
  label: string,
  shell: string,
): NodeJS.ProcessEnv {
  const outer = environment["debian_chroot"];
  const shown = outer === undefined || outer === "" ? label : `${outer}/${label}`;
  const isPlain = PLAIN_SHELLS.includes(basename(shell)) && environment["PS1"] === undefined;
  return { debian_chroot: shown, ...(isPlain ? { PS1: `(${shown})$ ` } : {}) };
}

/**
 * Puts the view into the prompt of the shell that this process is about to become.
 * @param shell undefined: what is started does not prompt
 */
export function showInPrompt(label: string, shell: string | undefined): void {
  if (shell === undefined || !isatty(0)) return;
  Object.assign(process.env, promptEnvironment(process.env, label, shell));
}
