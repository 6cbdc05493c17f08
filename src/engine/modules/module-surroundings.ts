/**
 * How the calls that modules decide about find their files, and what processes are seen to have.
 */
import type { CallRequest, Standpoint } from "../../sys/index.ts";
import type { PathPolicy } from "../../viewos/index.ts";
import type { Answer } from "../calls/answer.ts";
import type { DeputyCall } from "../calls/deputies.ts";
import type { CapturedPathCall } from "../calls/captured-call.ts";
import type { GroundId, Grounds } from "../calls/grounds.ts";
import { mountedTree } from "./module-copy.ts";
import type { CopiedTree, ModuleMount } from "./module-mounts.ts";
import { PathCalls } from "../paths/path-calls.ts";

/** Performs path calls on the files that a policy has been asked about. */
export interface DecidedPaths {
  /** A copy of a call; undefined when it names no file. Good until the next capture. */
  capture(request: CallRequest): CapturedPathCall | undefined;
  perform(request: CallRequest, call: CapturedPathCall): Answer;
  /** Nothing is remembered of callers, and our thread is itself again. */
  forget(): void;
}

export interface ModuleSurroundings {
  /** struct utsname of a view without namespaces; others have it where we stand. */
  names(): Uint8Array | undefined;
  /** Asks that policy about each file that is there, or is to be, under its path in the view. */
  pathsUnder(policy: PathPolicy): DecidedPaths;
  /**
   * Our thread goes to the view of that process, whose names and paths are meant.
   * @returns that view; undefined: the process is in none, or all are in one
   */
  standWith(pid: number): GroundId | undefined;
  /** See `ModuleMounts`. */
  treeFor(request: CallRequest, mount: ModuleMount): CopiedTree | number;
  /** What a link of a process (`cwd`, `root`, `fd/3`) says in the view; undefined: it is gone. */
  linkOf(pid: number, name: string): string | undefined;
}

/**
 * Those of a thread that stands in the view.
 * @param denied is asked first
 */
export function surroundingsIn(
  {
    standpoint,
    grounds,
    depute,
  }: {
    readonly standpoint: Standpoint;
    readonly grounds: Grounds;
    readonly depute: (call: DeputyCall) => void;
  },
  denied: PathPolicy | undefined,
): ModuleSurroundings {
  return {
    pathsUnder: (policy) => {
      const calls = new PathCalls(standpoint, [{ calls: ["path"] }], {
        decide: (act, path) => (denied?.decide(act, path) ?? 0) || policy.decide(act, path),
      });
      calls.leaveWaiting(depute);
      return calls;
    },
    names: () => undefined,
    standWith: (pid) => {
      const inode = standpoint.namespaceOf(pid, "mnt");
      const ground = inode === undefined ? undefined : grounds.find("mnt", inode);
      if (ground !== undefined) grounds.stand(ground);
      return ground?.mnt;
    },
    treeFor: (request, mount) => mountedTree(standpoint, grounds, request, mount),
    linkOf: (pid, name) => standpoint.readProcLink(`${pid}/${name}`),
  };
}
