/** The spanning tree of a running switch behind the interface of its console, in its words. */
import { ERRNO } from "../base/index.ts";
import {
  type FstpEvent,
  type FstpManagement,
  type FstpPortStatus,
  type FstpVlanInfo,
  PORT_STATE,
  type SwitchEvent,
  type SwitchModel,
  VLAN_NONE,
} from "../vde/index.ts";
import type { BridgeId } from "../wire/index.ts";
import type { SwitchThread } from "./switch-thread.ts";

export interface ThreadFstpOptions {
  readonly model: SwitchModel;
  readonly thread: SwitchThread;
  /** "00:ff:…". */
  readonly mac: string;
  /** 0 to 65535. */
  readonly priority: number;
  readonly event: (event: SwitchEvent) => void;
}

/** The spanning tree as the console asks for it. */
export class ThreadFstp implements FstpManagement {
  readonly #options: ThreadFstpOptions;
  #isOn = false;

  constructor(options: ThreadFstpOptions) {
    this.#options = options;
    options.thread.onFstpEvent = (event) => this.#happened(event);
  }

  info(): { readonly mac: string; readonly priority: number; readonly isOn: boolean } {
    const { mac, priority } = this.#options;
    return { mac, priority, isOn: this.#isOn };
  }

  async setOn(isOn: boolean): Promise<number> {
    const answer = await this.#options.thread.fstp({ kind: "setOn", isOn });
    this.#isOn = answer?.status?.isOn ?? false;
    return answer?.isDone === true ? 0 : ERRNO.EINVAL;
  }

  async setEdge(vlan: number, port: number, isEdge: boolean): Promise<number> {
    const error = this.#check(vlan, port);
    if (error === 0) await this.#options.thread.fstp({ kind: "setEdge", vlan, port, isEdge });
    return error;
  }

  async setBonus(vlan: number, port: number, cost: number): Promise<number> {
    const error = this.#check(vlan, port);
    if (error === 0) await this.#options.thread.fstp({ kind: "setBonus", vlan, port, cost });
    return error;
  }

  async vlans(): Promise<readonly FstpVlanInfo[]> {
    const answer = await this.#options.thread.fstp({ kind: "status" });
    return (answer?.status?.trees ?? []).map((tree) => ({
      vlan: tree.vlan,
      isRootSwitch: tree.isRoot,
      root: printIdentity(tree.root),
      designated: printIdentity(tree.designated),
      rootPort: tree.rootPort,
      cost: tree.rootCost,
      ageSeconds: tree.isRoot ? 0 : tree.ageS,
      bonusPort: tree.bonusPort,
      bonusCost: tree.bonusCost,
      ports: tree.ports
        .map((port) => ({
          port: port.port,
          isTagged: port.isTagged,
          cost: port.cost,
          role: roleOf(port),
        }))
        // Untagged ports first, as vde_switch lists them.
        .sort((a, b) => Number(a.isTagged) - Number(b.isTagged) || a.port - b.port),
    }));
  }

  #check(vlan: number, port: number): number {
    const { model } = this.#options;
    if (vlan < 0 || vlan >= VLAN_NONE || port < 0 || port > model.portsMax) return ERRNO.EINVAL;
    return model.vlans.exists(vlan) ? 0 : ERRNO.ENXIO;
  }

  /** The packet thread decides; the control plane's table follows, for listings. */
  #happened(event: FstpEvent): void {
    const { model } = this.#options;
    const { vlan, port } = event;
    if (event.kind === "status") {
      model.vlans.apply({ kind: "state", vlan, port, state: event.state });
    }
    this.#options.event(fstpEvent(event));
  }
}

/** "80:00:00:ff:…": a bridge's priority and address, as consoles print them. */
export function printIdentity(bridge: BridgeId): string {
  return bridge.replace(/..(?!$)/g, "$&:");
}

/** What vde_switch calls a role; of a tagged port it says that it does not know. */
function roleOf({ role, isTagged }: FstpPortStatus): string {
  if (isTagged) return "Unknown";
  if (role === "edge") return "Edge";
  if (role === "root") return "Root";
  return role === "designated" ? "Designated" : "Alternate/Backup";
}

/** The line of a debug console, as vde_switch's. */
function fstpEvent(event: FstpEvent): SwitchEvent {
  const hex = (octet: number): string => octet.toString(16).padStart(2, "0");
  const at =
    `Port ${String(event.port).padStart(4, "0")} ` +
    `VLAN ${hex(event.vlan >>> 8)}:${hex(event.vlan & 0xff)}`;
  if (event.kind === "peer") return { category: event.isActive ? "fstp/+" : "fstp/-", text: at };
  if (event.kind === "root") {
    return { category: "fstp/root", text: `${at} -> ${printIdentity(event.root)}` };
  }
  const { state } = event;
  const word =
    state === PORT_STATE.discarding
      ? "discarding"
      : state === PORT_STATE.learning
        ? "learning"
        : "learning+forwarding";
  return { category: "fstp/status", text: `${at} ${word}` };
}
