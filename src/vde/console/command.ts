/** The shape of one command of the console. */
import type { Errno, SwitchManagement } from "../management.ts";

/** Results below zero are no errno: the session ends; the switch ends. */
export const LOGOUT = -1;
export const SHUTDOWN = -2;
/** An errno, LOGOUT or SHUTDOWN. */
export type CommandResult = Errno;

/** What a command may use of the session that called it. */
export interface SessionContext {
  readonly management: SwitchManagement;
  /** Categories this session listens to. */
  readonly categories: Set<string>;
  /** Called after `categories` changed. */
  readonly listens: () => void;
  /** Runs the commands of a file in this session. */
  readonly load: (path: string) => Promise<Errno>;
  /** Every command there is now, those of plugins included. */
  readonly commands: () => readonly ConsoleCommand[];
  /** Adds a line to the data block. */
  readonly print: (line: string) => void;
}

export interface ConsoleCommand {
  readonly path: string;
  readonly syntax: string;
  readonly help: string;
  /** Its lines stand in a data block, even when there are none. */
  readonly hasData?: boolean;
  /** Missing for a heading of the help. */
  readonly run?: (
    session: SessionContext,
    argument: string,
  ) => CommandResult | Promise<CommandResult>;
}

/** Text of the syntax column of a heading. */
export const MENU_SYNTAX = "============";

/** A heading of the help: it cannot be called. */
export function menu(path: string, help: string): ConsoleCommand {
  return { path, syntax: MENU_SYNTAX, help };
}

/** A number with leading zeros. */
export function zeros(value: number, digits: number): string {
  return value < 0
    ? `-${String(-value).padStart(digits - 1, "0")}`
    : String(value).padStart(digits, "0");
}
