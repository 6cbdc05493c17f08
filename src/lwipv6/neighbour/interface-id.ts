/** The lower 64 bits of addresses that a host makes itself: RFC 7217, RFC 8981. */
import { IpAddress } from "../address.ts";
import type { StackCore } from "../core.ts";
import type { Interface } from "../interface.ts";
import type { SipHash } from "../siphash.ts";

export class InterfaceIds {
  readonly #core: StackCore;
  readonly #hash: SipHash;
  readonly #words = new Int32Array(8);

  constructor(core: StackCore) {
    this.#core = core;
    this.#hash = core.random.keyedHash();
  }

  /**
   * The address of an interface in a network of 64 bits: always the same there, another elsewhere
   * (RFC 7217 §5).
   * @param duplicates how often the address before turned out to be somebody else's.
   */
  stable(prefix: IpAddress, owner: Interface, duplicates: number): IpAddress {
    const { mac } = owner.link;
    this.#words.set([prefix.w0, prefix.w1, duplicates, 0, 0]);
    if (mac !== undefined) {
      this.#words[3] = (mac[0]! << 24) | (mac[1]! << 16) | (mac[2]! << 8) | mac[3]!;
      this.#words[4] = (mac[4]! << 8) | mac[5]!;
    } else this.#words[3] = owner.index;
    this.#hash.hash(this.#words, 5);
    return this.#notReserved(prefix, this.#hash.high, this.#hash.low, () =>
      this.stable(prefix, owner, duplicates + RESERVED_STEP),
    );
  }

  /** A random one (RFC 8981 §3.3.1). */
  temporary(prefix: IpAddress): IpAddress {
    const { random } = this.#core;
    return this.#notReserved(prefix, random.u32(), random.u32(), () => this.temporary(prefix));
  }

  /** RFC 5453: subnet anycast and the ranges of reserved identifiers are not for hosts. */
  #notReserved(prefix: IpAddress, high: number, low: number, again: () => IpAddress): IpAddress {
    const isAnycast = high === 0 && low === 0;
    const isReserved = high === 0xfdffffff && low >= 0xffffff80;
    const isIana = high === 0x02005eff && low >>> 24 === 0xfe;
    if (isAnycast || isReserved || isIana) return again();
    return new IpAddress(prefix.w0, prefix.w1, high, low);
  }
}

/** Far beyond any count of duplicates. */
const RESERVED_STEP = 1000;
