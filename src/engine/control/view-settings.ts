/** What the notify worker has to know of what was asked of a view. */

/** Processes whose calls are logged besides what is logged of all. */
export interface DebuggedProcess {
  /** It and its descendants. */
  readonly pid: number;
  readonly tags: string;
}

/** The debug log of a view. */
export interface DebugSettings {
  /** Categories that are logged of all processes, one letter each. */
  readonly tags: string;
  readonly processes: readonly DebuggedProcess[];
  /** Sequences of the terminal by category. */
  readonly colours: { readonly [tag: string]: string };
}

/** Short names of mount types (um_fsalias). */
export interface AliasTable {
  readonly [alias: string]: string;
}

export interface ViewSettings {
  /** By the ground of the view. */
  readonly aliases: { readonly [ground: string]: AliasTable };
  readonly debug: DebugSettings;
  /** Set-user-id programs are told that they are root. */
  readonly setuidRoot: boolean;
}

/** As a view starts. */
export const NO_SETTINGS: ViewSettings = {
  aliases: {},
  debug: { tags: "", processes: [], colours: {} },
  setuidRoot: false,
};

/**
 * A mount type, or what it is an alias of.
 * @param ground of the view; undefined: there is one view only
 */
export function meantType({ aliases }: ViewSettings, type: string, ground?: bigint): string {
  const tables = ground === undefined ? Object.values(aliases) : [aliases[String(ground)] ?? {}];
  return tables.find((table) => Object.hasOwn(table, type))?.[type] ?? type;
}
