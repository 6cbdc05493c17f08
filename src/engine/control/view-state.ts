/** What a supervisor knows of a view, for whoever asks by the control socket. */
import type { DebugLog } from "./debug-log.ts";
import type { ViewProcesses } from "../server/view-processes.ts";
import type { SharedSettings } from "./shared-settings.ts";
import type { AliasTable, ViewSettings } from "./view-settings.ts";

/** Short names of mount types in a view. */
export interface ViewAliases {
  table(): AliasTable;
  /** Defines one, or removes it. Throws a V2Error when that cannot be. */
  set(alias: unknown, type: unknown): void;
}

/** A view as its supervisor knows it. */
export interface ViewState {
  readonly number: number;
  /** Undefined: it has none. */
  readonly name: string | undefined;
  /** Gives it another name, or its first one. Throws a V2Error when a running view has that. */
  rename(name: string): void;
  /** How the view is made: a rung of the ladder; undefined: not known. */
  readonly rung: string | undefined;
  readonly aliases: ViewAliases;
  readonly settings: SharedSettings<ViewSettings>;
  readonly debug: DebugLog;
  readonly processes: ViewProcesses;
}

/** The answer of `uname`: which view this is. */
export interface ViewNames {
  /** Process number of the supervisor. */
  readonly server: number;
  readonly view: number;
  /** "" when it has none. */
  readonly name: string;
  readonly rung: string | null;
}
