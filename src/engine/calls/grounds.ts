/**
 * The grounds of views: the namespaces in which the calls of a view are performed. One thread
 * serves all views of its listeners and stands on the ground of the one whose call it performs. A
 * ground is named by the inode of its mount namespace, which every process of the view shows in
 * /proc.
 */
import { fstatSync } from "node:fs";
import {
  CLONE,
  closeDescriptor,
  parentUserNamespace,
  setns,
  type Standpoint,
} from "../../sys/index.ts";

/** User namespaces nest 32 deep at most (user_namespaces(7)). */
const USER_NAMESPACES_MAX = 33;

/** Names a ground; unique as long as the ground is held. */
export type GroundId = bigint;

/** Namespaces of a view. */
export interface Ground {
  readonly mnt: GroundId;
  readonly uts: bigint;
}

interface HeldGround extends Ground {
  readonly mounts: number;
  readonly names: number;
  /** What is known of a view inside a view. */
  readonly inside: InsideGround | undefined;
}

/** Where a view inside a view is. */
export interface InsideGround {
  /** Identity of its user namespace. */
  readonly user: bigint;
  /** The view that it was made in. */
  readonly parent: GroundId | undefined;
}

/** All grounds of one thread; only that thread may use it. */
export class Grounds {
  readonly #mnt = new Map<bigint, HeldGround>();
  readonly #uts = new Map<bigint, HeldGround>();
  readonly #user = new Map<bigint, HeldGround>();
  #standing: HeldGround | undefined;

  /**
   * Takes over the descriptors of a view's namespaces; of a view that is known already they are
   * closed.
   * @param inside left out for an outermost view
   */
  add(mounts: number, names: number, inside?: InsideGround): Ground {
    const mnt = fstatSync(mounts, { bigint: true }).ino;
    const known = this.#mnt.get(mnt);
    if (known !== undefined) {
      closeDescriptor(mounts);
      closeDescriptor(names);
      return known;
    }
    const uts = fstatSync(names, { bigint: true }).ino;
    const ground = { mnt, uts, mounts, names, inside };
    this.#mnt.set(mnt, ground);
    this.#uts.set(uts, ground);
    if (inside !== undefined) this.#user.set(inside.user, ground);
    return ground;
  }

  /** Forgets a ground; nothing happens when it is not known. */
  remove(id: GroundId): void {
    const ground = this.#mnt.get(id);
    if (ground === undefined) return;
    this.#mnt.delete(id);
    this.#uts.delete(ground.uts);
    if (ground.inside !== undefined) this.#user.delete(ground.inside.user);
    if (this.#standing === ground) this.#standing = undefined;
    closeDescriptor(ground.mounts);
    closeDescriptor(ground.names);
  }

  /** Forgets all. */
  release(): void {
    for (const id of this.#mnt.keys()) this.remove(id);
  }

  /** The ground with that namespace; undefined: a namespace that is no view's. */
  find(kind: "mnt" | "uts", inode: bigint): Ground | undefined {
    return kind === "mnt" ? this.#mnt.get(inode) : this.#uts.get(inode);
  }

  /**
   * The view that a process is in. It may have left the mount namespace of that for one of its own,
   * but never its user namespace for one that is not inside.
   * @returns undefined: none that is inside another
   */
  of(pid: number, standpoint: Standpoint): Ground | undefined {
    const inode = standpoint.namespaceOf(pid, "mnt");
    const known = inode === undefined ? undefined : this.#mnt.get(inode);
    if (known !== undefined || this.#user.size === 0) return known;
    let fd = standpoint.openProc(`${pid}/ns/user`);
    for (let depth = 0; fd !== -1 && depth < USER_NAMESPACES_MAX; depth++) {
      const found = this.#user.get(fstatSync(fd, { bigint: true }).ino);
      const parent = found === undefined ? parentUserNamespace(fd) : -1;
      closeDescriptor(fd);
      if (found !== undefined) return found;
      fd = parent;
    }
    if (fd !== -1) closeDescriptor(fd);
    return undefined;
  }

  /**
   * What a table says of a view, or else of the nearest one around it: a view that has just been
   * made is in no table yet, and has what its maker has.
   * @param table has an entry for `undefined`, the outermost view
   */
  nearest<T>(table: ReadonlyMap<GroundId | undefined, T>, ground: GroundId | undefined): T {
    let id = ground;
    while (id !== undefined && !table.has(id)) id = this.#mnt.get(id)?.inside?.parent;
    return table.get(id)!;
  }

  /** Does the thread stand there? */
  isOn(ground: Ground): boolean {
    return this.#standing === ground;
  }

  /** Moves the thread to a ground. */
  stand(ground: Ground): void {
    if (this.#standing === ground) return;
    const held = this.#mnt.get(ground.mnt)!;
    this.#standing = undefined;
    setns(held.names, CLONE.NEWUTS);
    setns(held.mounts, CLONE.NEWNS);
    this.#standing = held;
  }

  /** Moves the thread to a mount namespace that is no view's. */
  visit(mounts: number): void {
    this.#standing = undefined;
    setns(mounts, CLONE.NEWNS);
  }
}
