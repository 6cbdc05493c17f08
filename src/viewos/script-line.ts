/** The first line of a script, as execve(2) reads it. */

/** Octets of a file that the kernel looks at (BINPRM_BUF_SIZE of linux/binfmts.h). */
export const SCRIPT_LINE_OCTETS = 256;

/** What a script is to be run by. */
export interface ScriptLine {
  readonly interpreter: string;
  /** All that follows the interpreter, as one word. */
  readonly argument: string | undefined;
}

/**
 * Reads the first line.
 * @param head the file's first octets, one per character
 * @returns undefined when the file is no script that the kernel would run.
 */
export function parseScriptLine(head: string): ScriptLine | undefined {
  if (!head.startsWith("#!")) return undefined;
  const end = head.indexOf("\n");
  const line = (end === -1 ? head : head.slice(0, end)).slice(2).replace(/^[ \t]+|[ \t]+$/g, "");
  const [interpreter = "", after = ""] = /^([^ \t]*)[ \t]*(.*)$/s.exec(line)?.slice(1) ?? [];
  if (interpreter === "") return undefined;
  return { interpreter, argument: after === "" ? undefined : after };
}
