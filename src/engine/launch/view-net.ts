/** A network interface of a view: which switch its cable leads to, and its addresses. */
import {
  EXIT,
  isGroupMac,
  parseAddress,
  parseMac,
  parsePrefix,
  V2Error,
} from "../../base/index.ts";

export interface ViewNet {
  /** Directory of a VDE switch, or a VNL such as `tap://…`. */
  readonly switch: string;
  /** Name of the interface in the view; default eth0, eth1 … in order. */
  readonly interface?: string;
  /** With prefix length: "10.77.0.2/24", "fd77::2/64". */
  readonly addresses?: readonly string[];
  readonly mac?: string;
  readonly mtu?: number;
  readonly gateway?: string;
  /**
   * How the cable enters the namespace; default: tap where /dev/net/tun may be opened, else veth.
   */
  readonly via?: "auto" | "tap" | "veth";
}

/** Longest name of a network interface (IFNAMSIZ less its NUL). */
const INTERFACE_NAME_MAX = 15;

const KEYS = ["ip", "mac", "mtu", "gw", "if", "via"] as const;

/**
 * Parses
 * `SWITCH[,ip=10.77.0.2/24][,ip=fd77::2/64][,mac=…][,mtu=N][,gw=…][,if=NAME][,via=tap|veth]`.
 * Throws a usage error that names the wrong word.
 */
export function parseViewNet(text: string): ViewNet {
  const [target = "", ...words] = text.split(",");
  const wrong = (reason: string): V2Error =>
    new V2Error("NET_SPEC", `--net '${text}': ${reason}`, {
      remedy:
        "write SWITCH[,ip=10.77.0.2/24][,mac=02:00:00:00:00:01][,mtu=1500][,gw=10.77.0.1][,if=eth0][,via=tap|veth]",
      exitCode: EXIT.usage,
    });
  if (target === "") throw wrong("the switch is missing");
  const addresses: string[] = [];
  const values = new Map<string, string>();
  for (const word of words) {
    const at = word.indexOf("=");
    const key = at === -1 ? word : word.slice(0, at);
    const value = at === -1 ? "" : word.slice(at + 1);
    if (!(KEYS as readonly string[]).includes(key)) throw wrong(`unknown word '${key}'`);
    if (value === "") throw wrong(`'${key}' needs a value`);
    if (key === "ip") addresses.push(value);
    else if (values.has(key)) throw wrong(`'${key}' is given twice`);
    else values.set(key, value);
  }
  const via = values.get("via");
  if (via !== undefined && via !== "tap" && via !== "veth") throw wrong("via is tap or veth");
  const mtu = values.get("mtu");
  if (mtu !== undefined && !/^\d{2,5}$/.test(mtu)) throw wrong(`mtu '${mtu}' is no number`);
  const mac = values.get("mac");
  const gateway = values.get("gw");
  const name = values.get("if");
  const bad = unusable(addresses, mac, gateway, name);
  if (bad !== undefined) throw wrong(bad);
  return {
    switch: target,
    addresses,
    ...(mac === undefined ? {} : { mac }),
    ...(mtu === undefined ? {} : { mtu: Number(mtu) }),
    ...(gateway === undefined ? {} : { gateway }),
    ...(name === undefined ? {} : { interface: name }),
    ...(via === undefined ? {} : { via }),
  };
}

/** What is wrong with the values themselves: told before anything is started. */
function unusable(
  addresses: readonly string[],
  mac: string | undefined,
  gateway: string | undefined,
  name: string | undefined,
): string | undefined {
  const address = addresses.find((one) => !one.includes("/") || parsePrefix(one) === undefined);
  if (address !== undefined) return `'${address}' is no address with prefix length`;
  if (mac !== undefined) {
    const octets = parseMac(mac);
    if (octets === undefined) return `'${mac}' is no MAC address`;
    if (isGroupMac(octets)) return `'${mac}' is the address of a group, not of one interface`;
  }
  if (gateway !== undefined && parseAddress(gateway) === undefined) {
    return `'${gateway}' is no address of a gateway`;
  }
  if (name !== undefined && !(name.length <= INTERFACE_NAME_MAX && /^[^/:\s]+$/.test(name))) {
    return `'${name}' cannot name an interface`;
  }
  return undefined;
}
