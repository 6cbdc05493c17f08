/** Copies of modules' files in a view without namespaces: directories of the view's own. */
import { openSync, rmSync } from "node:fs";
import type { CallRequest } from "../../sys/index.ts";
import type { CopiedTree, ModuleMount } from "../modules/module-mounts.ts";
import type { OutsideCalls } from "./outside-calls.ts";

/** A directory for a copy; an errno: it may not be mounted. */
export function outsideTree(
  calls: OutsideCalls,
  request: CallRequest,
  mount: ModuleMount,
): CopiedTree | number {
  const refusal = calls.mayMountAt(request, mount.target);
  if (refusal !== 0) return refusal;
  const folder = calls.makeTree();
  return {
    descriptor: openSync(folder, "r"),
    show: () => calls.showTree(request, folder, mount),
    drop: () => rmSync(folder, { recursive: true, force: true }),
  };
}
