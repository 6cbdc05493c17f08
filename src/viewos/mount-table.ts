/**
 * The mounts of a view that has no mount namespace: a tree as the kernel keeps one, of names. Each
 * mount shows a real directory or file (its *backing*) at a place in another mount. Nothing here
 * touches a file; paths are absolute, without links, `.` and `..`, one character per octet.
 *
 * Source for the rules: mount(2), umount(2), mount_namespaces(7), proc_pid_mountinfo(5).
 */
import { ERRNO } from "../base/index.ts";
import { MS } from "./mount-options.ts";

/** What a mount is made of. */
export interface MountFields {
  /** The first column of /proc/mounts. */
  readonly source: string;
  /** `tmpfs`, or `none` for a bind. */
  readonly type: string;
  /** Real path of its root; "/" for the tree of the host. */
  readonly backing: string;
  /** The backing was made for this mount, and nothing else leads there. */
  readonly isPrivate: boolean;
  readonly flags: number;
}

/** A mount in the tree. */
export interface VirtualMount extends MountFields {
  readonly id: number;
  /** Where it is attached; undefined: the root of the view. */
  readonly parent: VirtualMount | undefined;
  /** Path of the mount point in the parent, "" for the parent's own root. */
  readonly point: string;
}

/** A name in a mount: `path` is "" for the mount's root, else "/a/b". */
export interface Place {
  readonly mount: VirtualMount;
  readonly path: string;
}

/** Flags that a remount changes. */
const CHANGEABLE = MS.RDONLY | MS.NOSUID | MS.NODEV | MS.NOEXEC;
/** Mounts of one view at most. */
const MOUNTS_MAX = 4096;

/** Appends a path that is "" or begins with a slash. */
function join(base: string, path: string): string {
  if (path === "") return base;
  return base === "/" ? path : base + path;
}

/** The real path of a place. */
export function realPath({ mount, path }: Place): string {
  return join(mount.backing, path);
}

/** The path of a place as processes of the view see it. */
export function virtualPath({ mount, path }: Place): string {
  if (mount.parent === undefined) return join("/", path);
  return join(virtualPath({ mount: mount.parent, path: mount.point }), path);
}

/** `path` relative to `base`: "" or "/…"; undefined when it is not below. */
function below(base: string, path: string): string | undefined {
  if (base === "/") return path === "/" ? "" : path;
  if (path === base) return "";
  return path.startsWith(base) && path[base.length] === "/" ? path.slice(base.length) : undefined;
}

/** The tree of mounts; every change returns 0 or an errno. */
export class MountTable {
  readonly root: VirtualMount;
  /** In the order in which they were made. */
  #mounts: VirtualMount[] = [];
  /** By the id of the parent, then by the mount point. */
  readonly #children = new Map<number, Map<string, VirtualMount>>();
  #nextId = 1;

  constructor() {
    this.root = {
      id: 0,
      parent: undefined,
      point: "",
      source: "/",
      type: "none",
      backing: "/",
      isPrivate: false,
      flags: 0,
    };
  }

  /** Mounts besides the root, oldest first. */
  get mounts(): readonly VirtualMount[] {
    return this.#mounts;
  }

  /** No path means anything else than on the host. */
  get isEmpty(): boolean {
    return this.#mounts.length === 0;
  }

  /** The mount attached right at a place. */
  at(place: Place): VirtualMount | undefined {
    return this.#children.get(place.mount.id)?.get(place.path);
  }

  /** Where a name leads when all mounts on it have been entered. */
  enter(place: Place): Place {
    let here = place;
    for (let mount = this.at(here); mount !== undefined; mount = this.at(here)) {
      here = { mount, path: "" };
    }
    return here;
  }

  /** The directory above; that of the view's root is itself. */
  above(place: Place): Place {
    let here = place;
    while (here.path === "" && here.mount.parent !== undefined) {
      here = { mount: here.mount.parent, path: here.mount.point };
    }
    return { mount: here.mount, path: here.path.slice(0, Math.max(0, here.path.lastIndexOf("/"))) };
  }

  /** Attaches a mount on top of what is at a place. @returns the mount, or an errno. */
  attach(place: Place, fields: MountFields): VirtualMount | number {
    if (this.#mounts.length === MOUNTS_MAX) return ERRNO.ENOSPC;
    const { mount: parent, path: point } = this.enter(place);
    const mount: VirtualMount = { ...fields, id: this.#nextId++, parent, point };
    this.#insert(mount);
    this.#mounts.push(mount);
    return mount;
  }

  /** Takes a mount away; with `withAll` those attached below it too. @returns what went. */
  detach(mount: VirtualMount, withAll: boolean): readonly VirtualMount[] | number {
    if (mount.parent === undefined) return ERRNO.EINVAL;
    const below = this.#subtree(mount);
    if (below.length > 1 && !withAll) return ERRNO.EBUSY;
    for (const one of below.toReversed()) {
      this.#children.get(one.parent!.id)!.delete(one.point);
      this.#children.delete(one.id);
    }
    const gone = new Set(below);
    this.#mounts = this.#mounts.filter((one) => !gone.has(one));
    return below;
  }

  /** Gives a mount other flags. */
  remount(mount: VirtualMount, flags: number): number {
    if (mount.parent === undefined) return ERRNO.EINVAL;
    this.#replace(mount, { ...mount, flags: (mount.flags & ~CHANGEABLE) | (flags & CHANGEABLE) });
    return 0;
  }

  /** Attaches a mount elsewhere. */
  move(mount: VirtualMount, place: Place): number {
    if (mount.parent === undefined) return ERRNO.EINVAL;
    const { mount: parent, path: point } = this.enter(place);
    if (this.#subtree(mount).includes(parent)) return ERRNO.ELOOP;
    this.#replace(mount, { ...mount, parent, point });
    return 0;
  }

  /**
   * The place of a real path. Private backings tell it; a real directory that is also bound
   * somewhere is taken for bound when `bound` is the id of the mount in which it was last entered.
   */
  placeOf(real: string, bound?: number): Place {
    for (let i = this.#mounts.length - 1; i >= 0; i--) {
      const mount = this.#mounts[i]!;
      if (!mount.isPrivate && mount.id !== bound) continue;
      const path = below(mount.backing, real);
      if (path !== undefined) return { mount, path };
    }
    return { mount: this.root, path: real === "/" ? "" : real };
  }

  /** A mount and all that are attached below it, parents first. */
  #subtree(mount: VirtualMount): readonly VirtualMount[] {
    const found = [mount];
    for (const one of this.#mounts) {
      if (one.parent !== undefined && found.includes(one.parent)) found.push(one);
    }
    return found;
  }

  #insert(mount: VirtualMount): void {
    const siblings = this.#children.get(mount.parent!.id);
    if (siblings === undefined) {
      this.#children.set(mount.parent!.id, new Map([[mount.point, mount]]));
    } else siblings.set(mount.point, mount);
  }

  /** Puts a changed mount in the place of the old one; what hangs on it hangs on the new one. */
  #replace(old: VirtualMount, changed: VirtualMount): void {
    this.#children.get(old.parent!.id)!.delete(old.point);
    const renewed = new Map<VirtualMount, VirtualMount>([[old, changed]]);
    this.#mounts = this.#mounts.map((one) => {
      const parent = one.parent === undefined ? undefined : renewed.get(one.parent);
      const next = one === old ? changed : parent === undefined ? one : { ...one, parent };
      if (next !== one) renewed.set(one, next);
      return next;
    });
    for (const next of renewed.values()) this.#insert(next);
  }
}

const FLAG_WORDS: readonly (readonly [number, string])[] = [
  [MS.NOSUID, "nosuid"],
  [MS.NODEV, "nodev"],
  [MS.NOEXEC, "noexec"],
];

/** Octets that /proc writes as octal numbers: blank, tab, line end, backslash. */
const escaped = (text: string): string =>
  text.replaceAll(/[ \t\n\\]/g, (one) => `\\${one.charCodeAt(0).toString(8).padStart(3, "0")}`);

function optionWords(mount: VirtualMount): string {
  const words = [(mount.flags & MS.RDONLY) === 0 ? "rw" : "ro"];
  for (const [flag, word] of FLAG_WORDS) if ((mount.flags & flag) !== 0) words.push(word);
  return words.join(",");
}

const shownType = ({ type, isPrivate }: VirtualMount): string =>
  type === "none" && !isPrivate ? "bind" : type;

/** The lines that a view's mounts add to /proc/PID/mounts. */
export function mountsText(table: MountTable): string {
  return table.mounts
    .map((mount) => {
      const target = escaped(virtualPath({ mount, path: "" }));
      return `${escaped(mount.source)} ${target} ${shownType(mount)} ${optionWords(mount)} 0 0\n`;
    })
    .join("");
}

/** Numbers of the host's mounts are far below. */
const MOUNTINFO_BASE = 1_000_000;

/**
 * The lines that a view's mounts add to /proc/PID/mountinfo; `rootId` is that of the host's "/".
 */
export function mountinfoText(table: MountTable, rootId: number): string {
  return table.mounts
    .map((mount) => {
      const parent = mount.parent!.id === 0 ? rootId : MOUNTINFO_BASE + mount.parent!.id;
      const target = escaped(virtualPath({ mount, path: "" }));
      const root = mount.isPrivate ? "/" : escaped(mount.backing);
      const options = optionWords(mount);
      const id = MOUNTINFO_BASE + mount.id;
      const after = `- ${shownType(mount)} ${escaped(mount.source)} ${options}`;
      return `${id} ${parent} 0:${mount.id} ${root} ${target} ${options} ${after}\n`;
    })
    .join("");
}
