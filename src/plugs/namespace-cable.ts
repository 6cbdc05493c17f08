/**
 * A cable into a network namespace: makes the interface there, gives it addresses and routes, and
 * returns the cable's other end. It is called in a thread that has all capabilities in the user
 * namespace that owns the network namespace (the supervisor of a view).
 */
import { closeSync, writeFileSync } from "node:fs";
import {
  type Prefix,
  EXIT,
  prefixContains,
  macFromName,
  parsePrefix,
  parseAddress,
  parseMac,
  V2Error,
} from "../base/index.ts";
import {
  disableOffloads,
  inNetworkNamespace,
  isTapAvailable,
  keepTcpOffloads,
  type LinkSettings,
  Netlink,
  openNetworkNamespace,
} from "../sys/index.ts";
import type { CableEnd } from "./end.ts";
import { PacketEnd } from "./packet.ts";
import { TapEnd } from "./tap.ts";

/**
 * How the interface is made: a TAP device, a veth pair, or a TAP device where the user may open
 * one.
 */
export type NamespaceCableVia = "auto" | "tap" | "veth";

export interface NamespaceCableOptions {
  /** The network namespace: an open descriptor, or a process that is in it. */
  readonly namespace: { readonly fd: number } | { readonly pid: number };
  /** Name of the interface in the namespace; default "eth0". */
  readonly interface?: string;
  /** "02:…"; default: an address that belongs to `macName`. */
  readonly mac?: string;
  /**
   * What the default MAC is made from, such as "alice:eth0"; without it the kernel takes a random
   * one.
   */
  readonly macName?: string;
  /** Octets of payload of a frame, 68 to 65521; default 1500. */
  readonly mtu?: number;
  /** "10.77.0.2/24", "fd77::2/64"; usable at once. */
  readonly addresses?: readonly string[];
  /** Default route: an address in a network of `addresses`. */
  readonly gateway?: string;
  /** Default "auto". */
  readonly via?: NamespaceCableVia;
  /** Frames may be unfinished, both ways (CableEnd.offload); default false. */
  readonly offload?: boolean;
}

/** Largest MTU a TAP device takes: 65535 less the Ethernet header. */
const MTU_MAX = 65_521;
const MTU_MIN = 68;
/**
 * Frames the kernel keeps for us behind a TAP device; its default of 1000 is a tenth of a second at
 * most.
 */
const TAP_QUEUE_FRAMES = 4000;

interface Plan {
  readonly link: LinkSettings;
  readonly addresses: readonly Prefix[];
  readonly gateway: Uint8Array | undefined;
}

/**
 * Makes and configures the interface; also sets `lo` up.
 * @throws V2Error BAD_ADDRESS, BAD_MAC, BAD_MTU, BAD_GATEWAY before anything is made; else what the
 *   kernel refused.
 */
export function attachNamespace(options: NamespaceCableOptions): CableEnd {
  const plan = planOf(options);
  const { namespace } = options;
  const fd = "fd" in namespace ? namespace.fd : openNetworkNamespace(namespace.pid);
  try {
    return makeEnd(plan, fd, options.via ?? "auto", options.offload === true);
  } finally {
    if (!("fd" in namespace)) closeSync(fd);
  }
}

function makeEnd(
  plan: Plan,
  namespaceFd: number,
  via: NamespaceCableVia,
  offload: boolean,
): CableEnd {
  const { link } = plan;
  const useTap = via === "tap" || (via === "auto" && isTapAvailable());
  const end = useTap
    ? inNetworkNamespace(namespaceFd, () => new TapEnd(link.name, offload))
    : new PacketEnd(link, namespaceFd, offload);
  try {
    inNetworkNamespace(namespaceFd, () => configure(plan, useTap, offload));
  } catch (error) {
    end.close();
    throw error;
  }
  return end;
}

function configure(plan: Plan, isTap: boolean, offload: boolean): void {
  const { link, addresses, gateway } = plan;
  using netlink = new Netlink();
  netlink.setUp(netlink.link("lo").index);
  const { index } = netlink.link(link.name);
  if (isTap) netlink.configureLink(index, { ...link, txQueueLength: TAP_QUEUE_FRAMES });
  else if (offload) keepTcpOffloads(link.name);
  else disableOffloads(link.name);
  netlink.setUp(index);
  for (const address of addresses) netlink.addAddress(index, address);
  if (gateway !== undefined) netlink.addDefaultRoute(index, gateway);
  allowPing();
}

/** Lets the namespace's own group use ping(8) without CAP_NET_RAW, where this may be changed. */
function allowPing(): void {
  const group = process.getgid?.() ?? 0;
  try {
    writeFileSync("/proc/sys/net/ipv4/ping_group_range", `${group} ${group}`);
  } catch {
    // A read-only /proc/sys (in a container): ping then needs CAP_NET_RAW, everything else works.
  }
}

function planOf(options: NamespaceCableOptions): Plan {
  const name = options.interface ?? "eth0";
  const addresses = (options.addresses ?? []).map(addressOrThrow);
  return {
    link: {
      name,
      mtu: mtuOrThrow(options.mtu ?? 1500),
      ...macOf(options),
    },
    addresses,
    gateway: options.gateway === undefined ? undefined : gatewayOrThrow(options.gateway, addresses),
  };
}

function addressOrThrow(text: string): Prefix {
  const address = parsePrefix(text);
  if (address !== undefined) return address;
  throw new V2Error("BAD_ADDRESS", `'${text}' is not an address with a prefix length`, {
    remedy: "write it like 10.77.0.2/24 or fd77::2/64",
    exitCode: EXIT.usage,
  });
}

function mtuOrThrow(mtu: number): number {
  if (Number.isInteger(mtu) && mtu >= MTU_MIN && mtu <= MTU_MAX) return mtu;
  throw new V2Error("BAD_MTU", `an MTU of ${mtu} octets is not possible`, {
    remedy: `choose ${MTU_MIN} to ${MTU_MAX}; IPv6 needs at least 1280`,
    exitCode: EXIT.usage,
  });
}

function macOf(options: NamespaceCableOptions): { readonly mac?: Uint8Array } {
  if (options.mac === undefined) {
    return options.macName === undefined ? {} : { mac: macFromName(options.macName) };
  }
  const mac = parseMac(options.mac);
  if (mac !== undefined && (mac[0]! & 1) === 0 && mac.some((o) => o !== 0)) return { mac };
  throw new V2Error("BAD_MAC", `'${options.mac}' is not the MAC address of one station`, {
    remedy: "write six octets like 02:00:00:00:00:01, the first one even",
    exitCode: EXIT.usage,
  });
}

function gatewayOrThrow(text: string, addresses: readonly Prefix[]): Uint8Array {
  const gateway = parseAddress(text);
  if (gateway !== undefined && addresses.some((a) => prefixContains(a, gateway))) {
    return gateway;
  }
  throw new V2Error("BAD_GATEWAY", `gateway '${text}' is in no network of the interface`, {
    remedy:
      "give the interface an address of the gateway's network, e.g. 10.77.0.2/24 for 10.77.0.1",
    exitCode: EXIT.usage,
  });
}
