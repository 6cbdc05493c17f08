/** What a thread that serves a view needs for its path calls. */
import { ERRNO } from "../base/index.ts";
import { CLONE, closeDescriptor, type Standpoint, tryNamespace } from "../sys/index.ts";
import { DenyRules, type PathPolicy, trapsOf } from "../viewos/index.ts";
import { PathCalls } from "./path-calls.ts";
import type { PathTraps } from "./path-traps.ts";
import type { Relief } from "./relief.ts";

/**
 * Our thread goes to the network of a guest, so that what it opens of /proc/sys/net and /dev/net
 * belongs there. Where the view has no network of its own there is nowhere to go.
 */
export function joinNetworkOf(standpoint: Standpoint, pid: number): void {
  const network = standpoint.openProc(`${pid}/ns/net`);
  if (network === -1) return;
  tryNamespace(network, CLONE.NEWNET);
  closeDescriptor(network);
}

/** What answers path calls for a thread that stands in the view. */
export function pathCallsOf(
  standpoint: Standpoint,
  traps: PathTraps,
  relief: Relief,
  first?: number,
): PathCalls {
  return new PathCalls(standpoint, trapsOf(traps.calls), policyOf(traps), relief, first);
}

function policyOf(traps: PathTraps): PathPolicy | undefined {
  if (traps.deny.length === 0) return undefined;
  return new DenyRules(traps.deny.map((path) => ({ path, errno: ERRNO.EACCES })));
}
