/**
 * Finding the real file behind a path of a view that has no mount namespace: component by component
 * as the kernel does (path_resolution(7)), with the mounts of a MountTable. Links are followed
 * here, since where they lead depends on the mounts; everything else of a path is left to the
 * kernel, which gets the real path.
 */
import { ERRNO } from "../base/index.ts";
import { type MountTable, type Place, realPath } from "./mount-table.ts";

/** What is at a real path, as far as a walk must know. */
export type Found =
  | { readonly kind: "link"; readonly text: string }
  /** A link of /proc that is no text but an object; its real path. */
  | { readonly kind: "jump"; readonly path: string }
  /** Not a link; it may be absent. */
  | { readonly kind: "other" };

/** The host's files. */
export interface WalkHost {
  look(real: string): Found;
  /** 0, or why that is no directory that may be passed (ENOENT, ENOTDIR, EACCES). */
  directory(real: string): number;
}

/** Where a walk begins. */
export interface Standing {
  readonly root: Place;
  readonly directory: Place;
}

/** The result of a walk. */
export interface Walked {
  readonly place: Place;
  /** The kernel, given the same path, would come to another file. */
  readonly differs: boolean;
  /** The last component is the root of a mount. */
  readonly isMountPoint: boolean;
  /** The path ends in a slash, `.` or `..`: it must be a directory. */
  readonly mustBeDirectory: boolean;
}

/** Links in one path at most (MAXSYMLINKS of linux/namei.h). */
const LINKS_MAX = 40;

const OTHER: Found = { kind: "other" };

function sameDirectory(a: Place, b: Place): boolean {
  return a.mount === b.mount && a.path === b.path;
}

/** The names of a path, last first. */
function namesOf(path: string): string[] {
  return path.split("/").toReversed();
}

/**
 * Walks a path.
 * @param follow the last component too, when it is a link
 * @returns an errno, or where the path leads; the last component need not exist.
 */
export function walkPath(
  table: MountTable,
  standing: Standing,
  path: string,
  follow: boolean,
  host: WalkHost,
): Walked | number {
  if (path === "") return ERRNO.ENOENT;
  const rest = namesOf(path);
  let here = path.startsWith("/") ? standing.root : standing.directory;
  let differs = false;
  let links = 0;
  let isMountPoint = false;
  let last = "";
  while (rest.length > 0) {
    const name = rest.pop()!;
    if (name === "") continue;
    isMountPoint = false;
    last = name;
    if (name === "." || name === "..") {
      const failure = host.directory(realPath(here));
      if (failure !== 0) return failure;
      if (name === "." || sameDirectory(here, standing.root)) continue;
      // A mount's own directory is left on another way than the kernel knows.
      if (here.path === "" && here.mount.parent !== undefined) differs = true;
      here = table.above(here);
      continue;
    }
    const next = { mount: here.mount, path: `${here.path}/${name}` };
    const entered = table.enter(next);
    if (entered !== next) {
      differs = true;
      isMountPoint = true;
      here = entered;
      continue;
    }
    // A slash behind a link means what it leads to.
    const found = follow || rest.length > 0 ? host.look(realPath(next)) : OTHER;
    if (found.kind === "other") {
      here = next;
      continue;
    }
    if (++links > LINKS_MAX) return ERRNO.ELOOP;
    if (found.kind === "jump") {
      here = table.placeOf(found.path);
      continue;
    }
    if (found.text === "") return ERRNO.ENOENT;
    if (found.text.startsWith("/")) here = standing.root;
    rest.push(...namesOf(found.text));
  }
  const mustBeDirectory = path.endsWith("/") || last === "." || last === "..";
  return { place: here, differs, isMountPoint, mustBeDirectory };
}

/** The path to hand to the kernel. */
export function kernelPath({ place, mustBeDirectory }: Walked): string {
  const real = realPath(place);
  return mustBeDirectory && !real.endsWith("/") ? `${real}/` : real;
}
