/** Frames that the switch let go nowhere: how many, why, and by which port they had come. */

/** Why a frame went nowhere. */
export const DROPPED = {
  /** Fewer than 14 octets. */
  short: 0,
  /** Its station is at the port it came from. */
  ownPort: 1,
  /** Its VLAN, or its lack of a tag, is not for the port it came from or would leave by. */
  vlan: 2,
  /** It came from a port that is suspended or carries the copies of a mirror. */
  suspended: 3,
} as const;

type DropReason = keyof typeof DROPPED;

/** All reasons, in the order of their numbers. */
const DROP_REASONS = Object.keys(DROPPED) as readonly DropReason[];

/** Frames dropped, by reason. */
export type DropCounts = { readonly [reason in DropReason]: number };

const REASONS = DROP_REASONS.length;

/** Counters of one switch. */
export class SwitchDrops implements DropCounts {
  readonly #total = new Float64Array(REASONS);
  /** A row of reasons for each port, as far as any port had a drop. */
  #ports = new Float64Array(0);

  get short(): number {
    return this.#total[DROPPED.short]!;
  }

  get ownPort(): number {
    return this.#total[DROPPED.ownPort]!;
  }

  get vlan(): number {
    return this.#total[DROPPED.vlan]!;
  }

  get suspended(): number {
    return this.#total[DROPPED.suspended]!;
  }

  /** @param reason one of DROPPED. @param port by which the frame came. */
  count(reason: number, port: number): void {
    const at = port * REASONS + reason;
    if (at >= this.#ports.length) this.#grow(port);
    this.#ports[at]!++;
    this.#total[reason]!++;
  }

  /** Of the frames that came by one port. */
  ofPort(port: number): DropCounts {
    const [short = 0, ownPort = 0, vlan = 0, suspended = 0] = this.#ports.subarray(
      port * REASONS,
      (port + 1) * REASONS,
    );
    return { short, ownPort, vlan, suspended };
  }

  /** Ports of which `ofPort` may say something. */
  get portCount(): number {
    return this.#ports.length / REASONS;
  }

  #grow(port: number): void {
    const grown = new Float64Array(Math.max(2 * this.portCount, port + 1) * REASONS);
    grown.set(this.#ports);
    this.#ports = grown;
  }
}
