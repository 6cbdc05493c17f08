/**
 * mount(2) and umount2(2) in a view without a mount namespace: changes of its MountTable, and the
 * temporary directories that stand for new file systems.
 */
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { ERRNO } from "../../base/index.ts";
import { pathOctets } from "../../sys/index.ts";
import {
  isFuseType,
  type MountTable,
  MS,
  type Place,
  realPath,
  type VirtualMount,
  virtualPath,
} from "../../viewos/index.ts";

/** Arguments of mount(2), the paths walked already. */
export interface MountRequest {
  readonly source: string;
  /** Where the source leads, when it is a path. */
  readonly sourcePlace: Place | number;
  readonly target: Place;
  readonly type: string;
  readonly flags: number;
  readonly data: string;
}

const MNT_FORCE = 1;
const MNT_DETACH = 2;
const MNT_EXPIRE = 4;

const PROPAGATION = MS.PRIVATE | MS.SLAVE | MS.SHARED | MS.UNBINDABLE;

/** File systems that have no contents of their own: the host's shows the same. */
const HOST_TREES: { readonly [type: string]: string } = {
  proc: "/proc",
  sysfs: "/sys",
  devtmpfs: "/dev",
  devpts: "/dev/pts",
  mqueue: "/dev/mqueue",
  cgroup2: "/sys/fs/cgroup",
};

const statAt = (real: string): "directory" | "file" | undefined => {
  try {
    return statSync(Buffer.from(pathOctets(real))).isDirectory() ? "directory" : "file";
  } catch {
    return undefined;
  }
};

export class VirtualMounts {
  readonly table: MountTable;
  readonly #folder: string;
  #made = 0;

  /** @param folder directory of the view's own, for the trees that its mounts show. */
  constructor(table: MountTable, folder: string) {
    this.table = table;
    this.#folder = folder;
  }

  /** @returns 0, or the errno. */
  mount(request: MountRequest): number {
    const { flags, target } = request;
    if ((flags & MS.REMOUNT) !== 0)
      return this.#changed(target, (m) => this.table.remount(m, flags));
    if ((flags & PROPAGATION) !== 0) return this.#changed(target, () => 0, true);
    if ((flags & MS.MOVE) !== 0) {
      const { sourcePlace } = request;
      if (typeof sourcePlace === "number") return sourcePlace;
      return this.#changed(sourcePlace, (m) => this.table.move(m, target));
    }
    if ((flags & MS.BIND) !== 0) return this.#bind(request);
    return this.#newTree(request);
  }

  /** @returns 0, or the errno. */
  umount(target: Place, flags: number, inUse: (mount: VirtualMount) => boolean): number {
    const { mount, path } = target;
    if ((flags & ~(MNT_FORCE | MNT_DETACH | 8)) !== 0) return ERRNO.EINVAL;
    if ((flags & MNT_EXPIRE) !== 0 || path !== "" || mount.parent === undefined)
      return ERRNO.EINVAL;
    const lazy = (flags & MNT_DETACH) !== 0;
    if (!lazy && inUse(mount)) return ERRNO.EBUSY;
    const gone = this.table.detach(mount, lazy);
    if (typeof gone === "number") return gone;
    // A tree that a process may still stand in stays until the view ends.
    if (!lazy) this.#remove(mount);
    return 0;
  }

  #changed(place: Place, change: (mount: VirtualMount) => number, orRoot = false): number {
    if (place.path !== "") return ERRNO.EINVAL;
    if (place.mount.parent === undefined) return orRoot ? 0 : ERRNO.EINVAL;
    return change(place.mount);
  }

  #bind({ source, sourcePlace, target, flags }: MountRequest): number {
    if (typeof sourcePlace === "number") return sourcePlace;
    const backing = realPath(sourcePlace);
    const kind = statAt(backing);
    if (kind === undefined) return ERRNO.ENOENT;
    const unfit = this.unfit(target, kind);
    if (unfit !== 0) return unfit;
    const below = (flags & MS.REC) === 0 ? [] : this.#attachedBelow(sourcePlace);
    const made = this.table.attach(target, {
      source,
      type: "none",
      backing,
      isPrivate: false,
      flags: 0,
    });
    if (typeof made === "number") return made;
    for (const [point, child] of below) {
      this.table.attach({ mount: made, path: point }, { ...child, isPrivate: false });
    }
    return 0;
  }

  /** What is mounted below a place: with paths relative to it, those of mounts on mounts too. */
  #attachedBelow(place: Place): [string, VirtualMount][] {
    const base = virtualPath(place);
    const prefix = base === "/" ? "" : base;
    return this.table.mounts.flatMap((mount) => {
      const target = virtualPath({ mount, path: "" });
      const isBelow = target.startsWith(`${prefix}/`) && mount !== place.mount;
      return isBelow ? [[target.slice(prefix.length), mount] as [string, VirtualMount]] : [];
    });
  }

  /**
   * The point of a mount must be of its root's kind; it may be missing where its parent is there.
   */
  unfit(target: Place, kind: "directory" | "file"): number {
    const there = statAt(realPath(target));
    if (there === undefined) {
      const above = this.table.above(target);
      return statAt(realPath(above)) === "directory" ? 0 : ERRNO.ENOENT;
    }
    if (there === kind) return 0;
    return ERRNO.ENOTDIR;
  }

  #newTree({ source, target, type, flags, data }: MountRequest): number {
    if (type === "") return ERRNO.EINVAL;
    const unfit = this.unfit(target, "directory");
    if (unfit !== 0) return unfit;
    const host = HOST_TREES[type];
    if (host !== undefined) {
      if (statAt(host) === undefined) return ERRNO.ENODEV;
      return this.#attached(target, { source, type, backing: host, isPrivate: false, flags });
    }
    if (type !== "tmpfs" && type !== "ramfs") return isKnownType(type) ? ERRNO.EPERM : ERRNO.ENODEV;
    const backing = this.makeTree(modeOf(data));
    return this.#attached(target, { source, type, backing, isPrivate: true, flags });
  }

  /** An empty directory of the view's own. */
  makeTree(mode: number): string {
    const backing = join(this.#folder, `m${this.#made++}`);
    mkdirSync(backing);
    chmodSync(backing, mode);
    return backing;
  }

  /** Shows such a directory at a place. @returns 0, or the errno. */
  show(
    backing: string,
    target: Place,
    as: { readonly source: string; readonly type: string },
  ): number {
    const unfit = this.unfit(target, "directory");
    if (unfit !== 0) return unfit;
    return this.#attached(target, { ...as, backing, isPrivate: true, flags: MS.RDONLY });
  }

  #attached(target: Place, fields: Parameters<MountTable["attach"]>[1]): number {
    const made = this.table.attach(target, fields);
    return typeof made === "number" ? made : 0;
  }

  /** Removes the tree of a mount that is gone, unless a bind still shows a part of it. */
  #remove(gone: VirtualMount): void {
    if (!gone.isPrivate) return;
    const isShown = this.table.mounts.some(
      ({ backing }) => backing === gone.backing || backing.startsWith(`${gone.backing}/`),
    );
    if (!isShown) rmSync(gone.backing, { recursive: true, force: true });
  }
}

function modeOf(data: string): number {
  const STICKY_FOR_ALL = 0o1777;
  const found = /(?:^|,)mode=([0-7]{1,4})(?:,|$)/.exec(data);
  return found === null ? STICKY_FOR_ALL : Number.parseInt(found[1]!, 8);
}

/** A file system that this kernel has, but that cannot be had without a namespace. */
function isKnownType(type: string): boolean {
  if (isFuseType(type) || type === "overlay") return true;
  const known = readFileSync("/proc/filesystems", "utf8");
  return known.split("\n").some((line) => line.split("\t")[1] === type);
}

/** Does one of the processes stand in a real directory, or hold a file below it open? */
export function isUsed(backing: string, pids: readonly number[]): boolean {
  const isInside = (link: string): boolean => {
    try {
      const path = readlinkSync(link);
      return path === backing || path.startsWith(`${backing}/`);
    } catch {
      return false;
    }
  };
  return pids.some((pid) => {
    const own = `/proc/${pid}`;
    if (isInside(`${own}/cwd`) || isInside(`${own}/root`) || isInside(`${own}/exe`)) return true;
    try {
      return readdirSync(`${own}/fd`).some((fd) => isInside(`${own}/fd/${fd}`));
    } catch {
      return false;
    }
  });
}
