/** What a view traps beyond level 0: the same object makes its filter and tells its supervisor. */
import { decodeTraps, type Trap, trapsOf } from "../../viewos/index.ts";
import type { PathTraps } from "../paths/path-traps.ts";
import { mountingInsistsOnRoot, SETUID_TRAP } from "./setuid-programs.ts";
import type { TraceOptions } from "./tracer.ts";

/** As JSON to a supervisor. */
export interface ViewTraps {
  /** What of the guests' calls is written down. */
  readonly trace?: TraceOptions;
  /** Calls that name files and that the supervisor answers itself. */
  readonly paths?: PathTraps;
  /** What the first modules want (`encodeTraps`). */
  readonly modules?: string;
  /** Set-user-id programs are told that they are root; default: where mount(8) insists on it. */
  readonly setuidRoot?: boolean;
}

/** The traps of the filter that every guest of such a view gets. */
export function filterTraps({ trace, paths, modules, setuidRoot }: ViewTraps): readonly Trap[] {
  return [
    ...(trace === undefined ? [] : [{ calls: trace.calls }]),
    ...(paths === undefined ? [] : trapsOf(paths.calls)),
    ...(modules === undefined ? [] : decodeTraps(modules)),
    ...((setuidRoot ?? mountingInsistsOnRoot()) ? [SETUID_TRAP] : []),
  ];
}
