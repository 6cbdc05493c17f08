/**
 * A directory that its maker removes, and that somebody else must remove when the maker was killed.
 * A path alone would not do: the maker's successor may have made the same one again.
 */
import { lstatSync, rmSync } from "node:fs";

/** A directory as it was when its identity was taken. */
export interface Leftovers {
  readonly path: string;
  readonly identity: string;
}

/** The directory as it is now. @throws when it does not exist. */
export function leftoversAt(path: string): Leftovers {
  const { dev, ino, birthtimeNs } = lstatSync(path, { bigint: true });
  return { path, identity: `${dev}:${ino}:${birthtimeNs}` };
}

/** Removes the directory with all that is in it, unless another has taken its place. */
export function removeLeftovers(leftovers: Leftovers): void {
  try {
    if (leftoversAt(leftovers.path).identity !== leftovers.identity) return;
    rmSync(leftovers.path, { recursive: true, force: true });
  } catch {
    // It is gone, or another supervisor of the same maker is at it.
  }
}
