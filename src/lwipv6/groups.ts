/**
 * Multicast groups that an interface listens to; how they are told to routers is the listener's.
 */
import { ERRNO } from "../base/index.ts";
import { IpAddress } from "./address.ts";
import type { Interface } from "./interface.ts";

/**
 * 224.0.0.1 and ff02::1: every host is in them, and no report is sent (RFC 3376 §6, RFC 3810 §6).
 */
const ALL_HOSTS_BITS = 0xe0000001 | 0;
const ALL_NODES = IpAddress.parse("ff02::1");

export interface Membership {
  readonly interface: Interface;
  readonly group: IpAddress;
  /** Sockets, and the stack itself, that have joined. */
  holders: number;
}

/** All memberships of a stack. */
export class GroupBook {
  readonly #all: Membership[] = [];
  readonly #perInterface: number;
  readonly #listeners: ((membership: Membership, isGone: boolean) => void)[] = [];

  constructor(perInterface: number) {
    this.#perInterface = perInterface;
  }

  get all(): readonly Membership[] {
    return this.#all;
  }

  /** Calls `listener` when an interface enters or leaves a group. */
  onChange(listener: (membership: Membership, isGone: boolean) => void): void {
    this.#listeners.push(listener);
  }

  /**
   * One holder more. @returns 0, -EINVAL for no group, -ENOBUFS when the interface has its most.
   */
  join(owner: Interface, group: IpAddress): number {
    if (!group.isMulticast) return -ERRNO.EINVAL;
    const known = this.find(owner, group);
    if (known !== undefined) {
      known.holders++;
      return 0;
    }
    const count = this.#all.filter((entry) => entry.interface === owner).length;
    if (count >= this.#perInterface) return -ERRNO.ENOBUFS;
    const membership = { interface: owner, group, holders: 1 };
    this.#all.push(membership);
    for (const listener of this.#listeners) listener(membership, false);
    return 0;
  }

  /** One holder less. @returns 0 or -EADDRNOTAVAIL: it had not joined. */
  leave(owner: Interface, group: IpAddress): number {
    const known = this.find(owner, group);
    if (known === undefined) return -ERRNO.EADDRNOTAVAIL;
    known.holders--;
    if (known.holders > 0) return 0;
    this.#all.splice(this.#all.indexOf(known), 1);
    for (const listener of this.#listeners) listener(known, true);
    return 0;
  }

  /** The interface is gone, and with it whatever was listened to on it. */
  forget(owner: Interface): void {
    for (let at = this.#all.length - 1; at >= 0; at--) {
      const membership = this.#all[at]!;
      if (membership.interface !== owner) continue;
      this.#all.splice(at, 1);
      for (const listener of this.#listeners) listener(membership, true);
    }
  }

  find(owner: Interface, group: IpAddress): Membership | undefined {
    return this.#all.find((entry) => entry.interface === owner && entry.group.equals(group));
  }

  /** The interface listens to a group given in words; nothing is allocated. */
  isMember(owner: Interface, w0: number, w1: number, w2: number, w3: number): boolean {
    if (w3 === ALL_HOSTS_BITS && w2 === 0xffff && w0 === 0 && w1 === 0) return true;
    if (w3 === 1 && w0 === ALL_NODES.w0 && w1 === 0 && w2 === 0) return true;
    for (let i = 0; i < this.#all.length; i++) {
      const { interface: link, group } = this.#all[i]!;
      if (
        link === owner &&
        group.w3 === w3 &&
        group.w2 === w2 &&
        group.w1 === w1 &&
        group.w0 === w0
      )
        return true;
    }
    return false;
  }
}
