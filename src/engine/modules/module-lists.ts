/** Which view has which modules, as the main thread of a supervisor tells its notify worker. */
import type { ModuleSummary } from "../../viewos/index.ts";
import type { GroundId } from "../calls/grounds.ts";
import type { Insertion } from "./module-loader.ts";

/** Names a module among all of a supervisor. */
export function moduleId({ number }: Insertion, name: string): string {
  return `${number}/${name}`;
}

/** A module that a view has. */
export interface ModuleOfList {
  readonly id: string;
  /** Number of the view that it was inserted in, whose module thread runs it. */
  readonly home: number;
  readonly summary: ModuleSummary;
}

/** The modules of a view, its own and inherited ones. */
export interface ModuleList {
  /** Undefined: the outermost view. */
  readonly ground: GroundId | undefined;
  /** Newest first. */
  readonly modules: readonly ModuleOfList[];
}
