/**
 * A stack's configuration in one line: the grammar of libioth's iothconf (ioth_config(3)).
 *
 *   vnl=vde:///tmp/lan,eth,ip=10.0.0.5/24,gw=10.0.0.1,ip=fd00::5/64,auto6,dns=10.0.0.1,domain=lan
 *
 * Words without a value are switches; a minus in front takes one back that another has set.
 */
import { parseMac, parsePrefix, V2Error } from "../../base/index.ts";
import { IpAddress, IpPrefix } from "../address.ts";
import type { Interface } from "../interface.ts";
import type { Stack } from "../stack.ts";

export interface StackConf {
  /** The cable; undefined: none, lo0 only. */
  readonly vnl: string | undefined;
  /** Name of the interface; default: vd0. */
  readonly interfaceName: string;
  /** Which implementation; ours has no name. */
  readonly stack: string | undefined;
  readonly addresses: readonly { readonly address: IpAddress; readonly bits: number }[];
  readonly gateways: readonly IpAddress[];
  readonly mac: Uint8Array | undefined;
  /** The name whose hash gives the card's address and the host part of IPv6 ones. */
  readonly fqdn: string | undefined;
  readonly mtuOctets: number | undefined;
  /** Router advertisements are followed. */
  readonly hasSlaac: boolean;
  readonly hasDhcp: boolean;
  readonly hasDhcp6: boolean;
  readonly servers: readonly IpAddress[];
  readonly domain: string | undefined;
  readonly isDebug: boolean;
}

const SWITCHES = ["eth", "dhcp", "dhcp6", "rd", "slaac", "auto", "auto4", "auto6", "debug"];
const VALUES = ["stack", "vnl", "iface", "ip", "gw", "mac", "fqdn", "mtu", "dns", "domain"];
/** What stands for several; DHCPv6 is asked for by its own name only. */
const GROUPS: { readonly [word: string]: readonly string[] } = {
  auto: ["eth", "dhcp", "slaac"],
  auto4: ["eth", "dhcp"],
  auto6: ["eth", "slaac"],
  rd: ["slaac"],
};

/** @throws V2Error STACK_CONF that names the word at fault. */
export function parseConf(text: string): StackConf {
  const values = new Map<string, string[]>();
  const on = new Set<string>();
  for (const item of text.split(",")) {
    const word = item.trim();
    if (word === "") continue;
    const equals = word.indexOf("=");
    if (equals < 0) setSwitch(word, on);
    else {
      const key = word.slice(0, equals);
      if (!VALUES.includes(key)) throw bad(word, `known: ${[...VALUES, ...SWITCHES].join(", ")}`);
      values.set(key, [...(values.get(key) ?? []), word.slice(equals + 1)]);
    }
  }
  const last = (key: string): string | undefined => values.get(key)?.at(-1);
  const mac = last("mac");
  const octets = mac === undefined ? undefined : parseMac(mac);
  if (mac !== undefined && (octets === undefined || (octets[0]! & 1) !== 0)) {
    throw bad(`mac=${mac}`, "write 02:00:00:00:00:01");
  }
  const mtu = last("mtu");
  if (mtu !== undefined && !(Number(mtu) >= 68 && Number(mtu) <= 65_521)) {
    throw bad(`mtu=${mtu}`, "68 to 65521");
  }
  return {
    vnl: last("vnl"),
    interfaceName: last("iface") ?? "vd",
    stack: last("stack"),
    addresses: (values.get("ip") ?? []).map(readPrefix),
    gateways: (values.get("gw") ?? []).map((one) => readAddress("gw", one)),
    mac: octets,
    fqdn: last("fqdn"),
    mtuOctets: mtu === undefined ? undefined : Number(mtu),
    hasSlaac: on.has("slaac"),
    hasDhcp: on.has("dhcp"),
    hasDhcp6: on.has("dhcp6"),
    servers: (values.get("dns") ?? []).map((one) => readAddress("dns", one)),
    domain: last("domain"),
    isDebug: on.has("debug"),
  };
}

/** Applies what concerns one interface. @throws V2Error STACK_CONF with what the stack refused. */
export function applyConf(stack: Stack, owner: Interface, conf: StackConf): void {
  if (conf.hasSlaac) {
    stack.discovery.autoconfiguration.configure(owner, { isOn: true, temporary: false });
  }
  for (const { address, bits } of conf.addresses) {
    const result = stack.addAddress(owner, address, bits);
    if (result < 0)
      throw bad(`ip=${address.toString()}/${bits}`, "it is there already, or no host");
  }
  for (const gateway of conf.gateways) {
    const prefix = IpPrefix.of(gateway.isIpv4 ? IpAddress.ipv4(0) : new IpAddress(0, 0, 0, 0), 0);
    const route = { prefix, gateway, metric: 0, origin: "static" } as const;
    const result = stack.addRoute(gateway.isLinkLocal ? { ...route, interface: owner } : route);
    if (result < 0) {
      throw bad(
        `gw=${gateway.toString()}`,
        "name a router in a network of an address given by ip=",
      );
    }
  }
}

function setSwitch(word: string, on: Set<string>): void {
  const isOff = word.startsWith("-");
  const name = isOff ? word.slice(1) : word;
  if (!SWITCHES.includes(name)) {
    throw bad(word, `known: ${[...SWITCHES, ...VALUES.map((value) => `${value}=`)].join(", ")}`);
  }
  for (const one of [name, ...(GROUPS[name] ?? [])]) {
    if (isOff) on.delete(one);
    else on.add(one);
  }
}

function readPrefix(text: string): { address: IpAddress; bits: number } {
  const prefix = parsePrefix(text);
  if (prefix === undefined) throw bad(`ip=${text}`, "write 10.0.0.5/24 or fd00::5/64");
  const { address, lengthBits } = prefix;
  return { address: IpAddress.read(address, 0, address.length), bits: lengthBits };
}

function readAddress(key: string, text: string): IpAddress {
  try {
    return IpAddress.parse(text);
  } catch {
    throw bad(`${key}=${text}`, "write an address");
  }
}

function bad(word: string, remedy: string): V2Error {
  return new V2Error("STACK_CONF", `stack configuration: '${word}' makes no sense`, { remedy });
}
