/**
 * Which ports belong to which VLANs of a switch (IEEE 802.1Q §8.8, behaviour of vde_switch). A port
 * is untagged member of at most one VLAN, its frames without a tag belong there; of others it may
 * be a tagged member. Every port starts as untagged member of VLAN 0. The same table serves the
 * control plane, which changes it on command, and the packet path, which gets every change.
 */

/** No untagged traffic at this port. */
export const VLAN_NONE = 4095;
/** The VLAN of every port at first. */
export const VLAN_DEFAULT = 0;
/** Highest VLAN that can be made, as in vde_switch. */
export const VLAN_CREATE_MAX = 4093;
const VLANS = 4096;

/** How a frame of a VLAN leaves by a port. */
export const LEAVES = { not: 0, untagged: 1, tagged: 2 } as const;

/** What a member port does with the frames of a VLAN (IEEE 802.1D §17.5). */
export const PORT_STATE = { forwarding: 1, learning: 2, discarding: 3 } as const;
export type PortState = (typeof PORT_STATE)[keyof typeof PORT_STATE];
const NO_MEMBER = 0;

/** One step from one configuration to the next. */
export type VlanChange =
  | { readonly kind: "create"; readonly vlan: number }
  | { readonly kind: "remove"; readonly vlan: number }
  /** `vlan` VLAN_NONE: no untagged traffic. */
  | { readonly kind: "untagged"; readonly port: number; readonly vlan: number }
  | {
      readonly kind: "member";
      readonly vlan: number;
      readonly port: number;
      readonly isMember: boolean;
    }
  | {
      readonly kind: "state";
      readonly vlan: number;
      readonly port: number;
      readonly state: PortState;
    }
  /** A suspended port takes no frame and gets none; hubs do not ask. */
  | { readonly kind: "suspend"; readonly port: number; readonly isSuspended: boolean }
  /** Back to untagged member of VLAN 0 and of nothing else. */
  | { readonly kind: "reset"; readonly port: number }
  /** Highest port number. */
  | { readonly kind: "ports"; readonly ports: number };

/** Members of VLANs and how they forward; the number of ports may change. */
export class VlanTable {
  #ports: number;
  #untagged: Uint16Array;
  /** By VLAN: for each port NO_MEMBER or a PortState. */
  readonly #members: (Uint8Array | undefined)[] = Array.from({ length: VLANS }, () => undefined);
  /** VLANs that exist, in ascending order. */
  #known: readonly number[] = [VLAN_DEFAULT];
  #suspended: Uint8Array;
  /** VLANs that have a tagged member. */
  readonly #tagged = new Set<number>();
  #isPlain = true;

  /** @param ports highest port number. */
  constructor(ports: number) {
    this.#ports = ports;
    this.#untagged = new Uint16Array(ports + 1);
    this.#suspended = new Uint8Array(ports + 1);
    this.#members[VLAN_DEFAULT] = new Uint8Array(ports + 1).fill(PORT_STATE.forwarding);
  }

  /** All ports are in VLAN 0 without tags and forward: nothing is to be decided per frame. */
  get isPlain(): boolean {
    return this.#isPlain;
  }

  /** VLANs that exist, in ascending order. */
  vlans(): readonly number[] {
    return this.#known;
  }

  exists(vlan: number): boolean {
    return this.#members[vlan] !== undefined;
  }

  /** The VLAN of frames without a tag that come or leave by `port`; VLAN_NONE: none. */
  untaggedVlan(port: number): number {
    return this.#untagged[port]!;
  }

  isMember(vlan: number, port: number): boolean {
    return this.state(vlan, port) !== NO_MEMBER;
  }

  /** The state of a member; 0 when the port is no member. */
  state(vlan: number, port: number): number {
    const members = this.#members[vlan];
    return members === undefined ? NO_MEMBER : members[port]!;
  }

  isSuspended(port: number): boolean {
    return this.#suspended[port] === 1;
  }

  /** How a frame of `vlan` leaves by `port`: one of LEAVES. */
  leaves(vlan: number, port: number): number {
    const members = this.#members[vlan];
    if (members === undefined || members[port] !== PORT_STATE.forwarding) return LEAVES.not;
    if (this.#suspended[port] === 1) return LEAVES.not;
    return this.#untagged[port] === vlan ? LEAVES.untagged : LEAVES.tagged;
  }

  /** Whether any port is a tagged member. */
  hasTagged(vlan: number): boolean {
    return this.#tagged.has(vlan);
  }

  /** Takes one step; steps that make no sense (an unknown VLAN) change nothing. */
  apply(change: VlanChange): void {
    switch (change.kind) {
      case "create":
        if (this.exists(change.vlan)) break;
        this.#members[change.vlan] = new Uint8Array(this.#ports + 1);
        this.#known = [...this.#known, change.vlan].sort((a, b) => a - b);
        break;
      case "remove":
        this.#members[change.vlan] = undefined;
        this.#known = this.#known.filter((vlan) => vlan !== change.vlan);
        break;
      case "untagged":
        this.#setUntagged(change.port, change.vlan);
        break;
      case "member":
        this.#setState(
          change.vlan,
          change.port,
          change.isMember ? this.state(change.vlan, change.port) || PORT_STATE.forwarding : 0,
        );
        break;
      case "state":
        if (this.isMember(change.vlan, change.port)) {
          this.#setState(change.vlan, change.port, change.state);
        }
        break;
      case "suspend":
        this.#suspended[change.port] = change.isSuspended ? 1 : 0;
        break;
      case "reset":
        for (const vlan of this.#known) this.#setState(vlan, change.port, NO_MEMBER);
        this.#untagged[change.port] = VLAN_DEFAULT;
        this.#suspended[change.port] = 0;
        this.#setState(VLAN_DEFAULT, change.port, PORT_STATE.forwarding);
        break;
      case "ports":
        this.#resize(change.ports);
        break;
    }
    this.#isPlain = this.#checkPlain();
    this.#tagged.clear();
    for (const vlan of this.#known) {
      const isTagged = (state: number, port: number): boolean =>
        state !== NO_MEMBER && this.#untagged[port] !== vlan;
      if (this.#members[vlan]!.some(isTagged)) this.#tagged.add(vlan);
    }
  }

  #setState(vlan: number, port: number, state: number): void {
    const members = this.#members[vlan];
    if (members !== undefined) members[port] = state;
  }

  #setUntagged(port: number, vlan: number): void {
    const old = this.#untagged[port]!;
    if (old !== VLAN_NONE) this.#setState(old, port, NO_MEMBER);
    this.#untagged[port] = vlan;
    if (vlan !== VLAN_NONE) this.#setState(vlan, port, PORT_STATE.forwarding);
  }

  #resize(ports: number): void {
    const kept = Math.min(ports, this.#ports) + 1;
    const untagged = new Uint16Array(ports + 1);
    untagged.set(this.#untagged.subarray(0, kept));
    this.#untagged = untagged;
    const suspended = new Uint8Array(ports + 1);
    suspended.set(this.#suspended.subarray(0, kept));
    this.#suspended = suspended;
    for (const vlan of this.#known) {
      const members = new Uint8Array(ports + 1);
      if (vlan === VLAN_DEFAULT) members.fill(PORT_STATE.forwarding);
      members.set(this.#members[vlan]!.subarray(0, kept));
      this.#members[vlan] = members;
    }
    this.#ports = ports;
  }

  #checkPlain(): boolean {
    if (this.#suspended.includes(1)) return false;
    if (this.#untagged.some((vlan) => vlan !== VLAN_DEFAULT)) return false;
    return this.#known.every((vlan) => {
      const expected = vlan === VLAN_DEFAULT ? PORT_STATE.forwarding : NO_MEMBER;
      return this.#members[vlan]!.every((state) => state === expected);
    });
  }
}
