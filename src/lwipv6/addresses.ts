/** The addresses of a stack's interfaces, of both families. */
import { ERRNO } from "../base/index.ts";
import { IpAddress, IpPrefix } from "./address.ts";
import type { Interface } from "./interface.ts";

/** RFC 4862 §2; an IPv4 address is tentative while it is probed for (RFC 5227). */
export type AddressState = "tentative" | "preferred" | "deprecated" | "duplicated";

export type AddressOrigin = "manual" | "link-local" | "slaac" | "temporary" | "dhcp";

export interface AddressSettings {
  readonly origin: AddressOrigin;
  readonly state: AddressState;
  /** On the stack's clock; Infinity: for ever. */
  readonly validUntilMs: number;
  readonly preferredUntilMs: number;
}

const FOR_EVER = Number.POSITIVE_INFINITY;

/** One address of one interface. */
export class InterfaceAddress {
  readonly interface: Interface;
  readonly address: IpAddress;
  /** The network on the link that it says; /32 and /128 say none. */
  readonly prefix: IpPrefix;
  /** Directed broadcast of IPv4 networks up to /30 (RFC 3021: /31 has none). */
  readonly broadcast: IpAddress | undefined;
  readonly origin: AddressOrigin;
  state: AddressState;
  validUntilMs: number;
  preferredUntilMs: number;

  constructor(
    owner: Interface,
    address: IpAddress,
    lengthBits: number,
    settings: Partial<AddressSettings> = {},
  ) {
    this.interface = owner;
    this.address = address;
    this.prefix = new IpPrefix(address, lengthBits);
    this.broadcast =
      address.isIpv4 && lengthBits < 127
        ? IpAddress.ipv4(address.w3 | (lengthBits <= 96 ? -1 : -1 >>> (lengthBits - 96)))
        : undefined;
    this.origin = settings.origin ?? "manual";
    this.state = settings.state ?? "preferred";
    this.validUntilMs = settings.validUntilMs ?? FOR_EVER;
    this.preferredUntilMs = settings.preferredUntilMs ?? FOR_EVER;
  }

  /** Packets may come from it and are taken for it. */
  get isUsable(): boolean {
    return this.state === "preferred" || this.state === "deprecated";
  }
}

/** All of them; whoever keeps conclusions compares `generation`. */
export class AddressBook {
  /** Changes whenever an address comes, goes or changes its state. */
  generation = 0;
  readonly #all: InterfaceAddress[] = [];
  readonly #perInterface: number;
  readonly #listeners: ((address: InterfaceAddress, isGone: boolean) => void)[] = [];

  /** @param perInterface addresses of one interface at most. */
  constructor(perInterface: number) {
    this.#perInterface = perInterface;
  }

  /** In the order they were given. */
  get all(): readonly InterfaceAddress[] {
    return this.#all;
  }

  of(owner: Interface): InterfaceAddress[] {
    return this.#all.filter((entry) => entry.interface === owner);
  }

  /** @returns 0, -EEXIST, or -ENOBUFS when the interface has its most. */
  add(entry: InterfaceAddress): number {
    if (this.find(entry.address, entry.interface) !== undefined) return -ERRNO.EEXIST;
    if (this.of(entry.interface).length >= this.#perInterface) return -ERRNO.ENOBUFS;
    this.#all.push(entry);
    this.changed(entry);
    return 0;
  }

  /** @returns false: it was not there. */
  remove(entry: InterfaceAddress): boolean {
    const at = this.#all.indexOf(entry);
    if (at < 0) return false;
    this.#all.splice(at, 1);
    this.changed(entry, true);
    return true;
  }

  /** To be called after a field of an entry was changed. */
  changed(entry: InterfaceAddress, isGone = false): void {
    this.generation++;
    for (const listener of this.#listeners) listener(entry, isGone);
  }

  /** Calls `listener` after each change; for configuration, not for packets. */
  onChange(listener: (address: InterfaceAddress, isGone: boolean) => void): void {
    this.#listeners.push(listener);
  }

  /** @param owner undefined: of any interface. */
  find(address: IpAddress, owner?: Interface): InterfaceAddress | undefined {
    return this.#all.find(
      (entry) =>
        entry.address.equals(address) && (owner === undefined || entry.interface === owner),
    );
  }

  /**
   * The usable entry for an address given in words; of `preferred`'s interface if it has it, since
   * link-local addresses may be the same on several.
   */
  findWords(
    w0: number,
    w1: number,
    w2: number,
    w3: number,
    preferred: Interface,
  ): InterfaceAddress | undefined {
    let found: InterfaceAddress | undefined;
    for (let i = 0; i < this.#all.length; i++) {
      const entry = this.#all[i]!;
      const { address } = entry;
      if (address.w3 !== w3 || address.w2 !== w2 || address.w1 !== w1 || address.w0 !== w0)
        continue;
      if (!entry.isUsable) continue;
      if (entry.interface === preferred) return entry;
      // A link-local address belongs to its link only (RFC 4007 §5).
      if (!address.isLinkLocal || address.isIpv4) found = entry;
    }
    return found;
  }

  /** True for a directed broadcast address of an interface, given by its IPv4 bits. */
  isBroadcast(bits: number, owner: Interface): boolean {
    for (let i = 0; i < this.#all.length; i++) {
      const entry = this.#all[i]!;
      if (entry.interface === owner && entry.broadcast !== undefined && entry.broadcast.w3 === bits)
        return true;
    }
    return false;
  }
}
