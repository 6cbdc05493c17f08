/**
 * The directories that stand for the file systems of a view without namespaces. Its supervisor
 * removes them; those of a supervisor that was killed are removed when the next view is made.
 */
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { markedProcesses } from "../launch/marked-processes.ts";

const NAME = /^v2-view-(\d+)$/;
/** A view that is being made has no process yet. */
const YOUNG_MS = 60_000;

/** Makes the directory of the view with that mark. */
export function makeTrees(mark: number): string {
  const folder = join(tmpdir(), `v2-view-${mark}`);
  mkdirSync(folder, { mode: 0o700 });
  // The host's root may let guests become others; they reach the trees, but cannot list them.
  if (process.geteuid!() === 0) chmodSync(folder, 0o711);
  return folder;
}

/** Removes directories of ours that no view uses any more. */
export function sweepTrees(): void {
  for (const name of readdirSync(tmpdir())) {
    const mark = Number(NAME.exec(name)?.[1] ?? Number.NaN);
    if (Number.isNaN(mark)) continue;
    const folder = join(tmpdir(), name);
    const stat = lstatSync(folder, { throwIfNoEntry: false });
    if (stat === undefined || !stat.isDirectory() || stat.uid !== process.geteuid!()) continue;
    if (Date.now() - stat.ctimeMs < YOUNG_MS || isUsed(mark)) continue;
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A guest carries the mark as a limit, a supervisor in its command line. */
function isUsed(mark: number): boolean {
  if (markedProcesses(mark).length > 0) return true;
  return readdirSync("/proc").some((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(`"mark":${mark}`);
    } catch {
      return false;
    }
  });
}
