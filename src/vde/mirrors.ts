/**
 * Mirrors of a switch (SPAN): which ports and VLANs are copied to which port. A target carries
 * copies only, as in the switches of the field: it is taken out of the traffic, and nothing that
 * leaves by it is copied again, so copies cannot go round.
 */
import { ERRNO } from "../base/index.ts";
import { isSamePlace, type TapScope } from "./taps.ts";

/** Mirrors of one switch at most. */
export const MIRRORS_MAX = 64;

export interface Mirror extends TapScope {
  /** Unique in the life of the switch. */
  readonly id: number;
  /** The port that gets the copies. */
  readonly target: number;
}

/** The mirrors there are; whoever asks has made sure that ports and VLANs exist. */
export class MirrorTable {
  #mirrors: readonly Mirror[] = [];
  #nextId = 1;

  /** In the order they were made. */
  list(): readonly Mirror[] {
    return this.#mirrors;
  }

  /** Whether a port carries copies. */
  isTarget(port: number): boolean {
    return this.#mirrors.some(({ target }) => target === port);
  }

  /**
   * Makes a mirror, or gives one that exists another direction.
   * @returns 0; EINVAL: a port to itself; EBUSY: the target is copied itself, or the port to be
   *   copied is a target; ENOSPC.
   */
  add(scope: TapScope, target: number): number {
    const { port } = scope;
    if (port === target) return ERRNO.EINVAL;
    const isSource = this.#mirrors.some((mirror) => mirror.port === target);
    if (isSource || (port !== undefined && this.isTarget(port))) return ERRNO.EBUSY;
    const isOld = (mirror: Mirror): boolean =>
      isSamePlace(mirror, scope) && mirror.target === target;
    const old = this.#mirrors.find(isOld);
    if (old === undefined && this.#mirrors.length >= MIRRORS_MAX) return ERRNO.ENOSPC;
    const made = { ...scope, target, id: old?.id ?? this.#nextId++ };
    this.#mirrors = [...this.#mirrors.filter((mirror) => mirror !== old), made];
    return 0;
  }

  /** Takes those away that fit. @returns 0, or ENOENT: there is none. */
  remove(isMeant: (mirror: Mirror) => boolean): number {
    const left = this.#mirrors.filter((mirror) => !isMeant(mirror));
    if (left.length === this.#mirrors.length) return ERRNO.ENOENT;
    this.#mirrors = left;
    return 0;
  }
}
