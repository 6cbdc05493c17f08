/**
 * The shape of one command: everything help, completion and the parser need, and a lazy door to its
 * code.
 */

export interface OptionSpec {
  readonly type: "string" | "boolean";
  readonly short?: string;
  /** May be given several times; the value is then an array. */
  readonly multiple?: boolean;
  /** Placeholder of the value in help: "DIR", "N"; "FILE" and "DIR" complete as such. */
  readonly value?: string;
  /**
   * The value may be left out and is then ""; it must be attached: `--dhcp=10.0.2.15`,
   * `-D10.0.2.15`.
   */
  readonly optionalValue?: boolean;
  readonly help: string;
}

/** `--json`, the same in every command that prints data. */
export const JSON_OPTION: OptionSpec = {
  type: "boolean",
  help: "print JSON: one object, or one per line for a list or a stream",
};

/** What the parser hands to a command. */
export interface Invocation {
  /** The name it was called by: "switch" or a historical one such as "vde_switch". */
  readonly calledAs: string;
  readonly options: { readonly [name: string]: string | boolean | readonly string[] | undefined };
  /** Words that are not options. */
  readonly words: readonly string[];
  /** Words after `--`, or after the first word when `stopAtFirstWord`. */
  readonly rest: readonly string[];
}

/**
 * @returns the exit code of the process; undefined: the process goes on (a server) and ends by
 *   itself.
 */
export type Run = (invocation: Invocation) => Promise<number | undefined>;

export interface CommandSpec {
  /** As typed after `v2`: "switch", "lab up". */
  readonly name: string;
  /** Historical program names that run the same command (by argv[0] or as `v2 NAME`). */
  readonly aliases?: readonly string[];
  readonly summary: string;
  /** Heading in `v2 --help`: "Networks", "Views" … */
  readonly group?: string;
  /** Arguments after the name: "--sock DIR [--tap NAME]…". */
  readonly usage: string;
  /** Paragraphs under the usage line. */
  readonly details?: readonly string[];
  readonly options: { readonly [name: string]: OptionSpec };
  /** Options end at the first word; all from there on is `rest` (commands that run a command). */
  readonly stopAtFirstWord?: boolean;
  /** All words go to `rest` as they stand (switches such as `-s` are not options); --help apart. */
  readonly rawWords?: boolean;
  /** Command line and what it does; shown first in help. */
  readonly examples: readonly (readonly [line: string, effect: string])[];
  readonly load: () => Promise<{ readonly run: Run }>;
}
