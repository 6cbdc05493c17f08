/**
 * Addresses of a whole topology: each is one a host may have, none is given twice, those on one
 * switch are of one network, and gateways are in it.
 */
import {
  type Prefix,
  printAddress,
  prefixContains,
  parsePrefix,
  parseAddress,
} from "../base/index.ts";
import type { Placed } from "./inheritance.ts";
import type { TopologyDocument } from "./topology-file.ts";

export interface PlacedAddress extends Placed<string> {
  /** The family that the key asks for; undefined: either. */
  readonly family: "ipv4" | "ipv6" | undefined;
}

/** An interface and its settings, each with its place in the file. */
export interface PlacedInterface {
  /** "alice:eth0". */
  readonly label: string;
  readonly switch: string;
  readonly addresses: readonly PlacedAddress[];
  readonly gateway: Placed<string> | undefined;
  readonly mac: Placed<string> | undefined;
}

interface Known {
  readonly label: string;
  readonly text: string;
  readonly address: Prefix;
}

export function checkNetworks(
  document: TopologyDocument,
  interfaces: readonly PlacedInterface[],
): void {
  const owners = new Map<string, string>();
  /** First address on each switch, by switch and family: the others must be of its network. */
  const networks = new Map<string, Known>();
  for (const one of interfaces) {
    const own: Prefix[] = [];
    for (const placed of one.addresses) {
      const address = hostAddress(document, placed);
      if (address === undefined) continue;
      own.push(address);
      claim(document, owners, printAddress(address.address), placed, one.label);
      const key = `${one.switch}/${address.address.length}`;
      const first = networks.get(key);
      const known = { label: one.label, text: placed.value, address };
      if (first === undefined) networks.set(key, known);
      else checkSameNetwork(document, placed, one, first, address);
    }
    if (one.mac !== undefined) {
      claim(document, owners, one.mac.value.toLowerCase().replaceAll("-", ":"), one.mac, one.label);
    }
    if (one.gateway !== undefined) checkGateway(document, one.gateway, own);
  }
}

function hostAddress(
  document: TopologyDocument,
  { value, path, family }: PlacedAddress,
): Prefix | undefined {
  const wanted = family ?? (value.includes(":") ? "ipv6" : "ipv4");
  const address = value.includes("/") ? parsePrefix(value) : undefined;
  if (address?.address.length !== (wanted === "ipv4" ? 4 : 16)) {
    const [name, example] = wanted === "ipv4" ? ["IPv4", "10.77.0.2/24"] : ["IPv6", "fd77::2/64"];
    document.report(path, `'${value}' is not an ${name} address with its prefix, like ${example}`);
    return undefined;
  }
  const reason = whyNotAHost(address);
  if (reason === undefined) return address;
  document.report(path, `'${value}' is ${reason}, not the address of a host`);
  return undefined;
}

/** RFC 1122 §3.2.1.3 for IPv4, RFC 4291 §2.5 and §2.7 for IPv6. */
function whyNotAHost({ address: octets, lengthBits }: Prefix): string | undefined {
  const first = octets[0]!;
  const hostBits = octets.length * 8 - lengthBits;
  if (octets.length === 16) {
    if (first === 0xff) return "a multicast address";
    if (octets.subarray(0, 15).every((o) => o === 0)) return "the unspecified or loopback address";
    return undefined;
  }
  if (first === 127) return "a loopback address";
  if (first >= 224) return "a multicast or reserved address";
  if (first === 0) return "an address of 'this network'";
  if (hostBits < 2) return undefined;
  const host = new DataView(octets.buffer, octets.byteOffset).getUint32(0) % 2 ** hostBits;
  if (host === 0) return "the network's own address";
  return host === 2 ** hostBits - 1 ? "the broadcast address" : undefined;
}

function claim(
  document: TopologyDocument,
  owners: Map<string, string>,
  address: string,
  placed: Placed<string>,
  label: string,
): void {
  const owner = owners.get(address);
  if (owner === undefined) owners.set(address, label);
  else document.report(placed.path, `${address} is already the address of ${owner}`);
}

function checkSameNetwork(
  document: TopologyDocument,
  placed: Placed<string>,
  one: PlacedInterface,
  first: Known,
  address: Prefix,
): void {
  const { lengthBits } = first.address;
  if (lengthBits === address.lengthBits && prefixContains(first.address, address.address)) {
    return;
  }
  document.report(
    placed.path,
    `'${placed.value}' is of another network than ${first.text} of ${first.label} on switch '${one.switch}'`,
  );
}

function checkGateway(
  document: TopologyDocument,
  { value, path }: Placed<string>,
  own: readonly Prefix[],
): void {
  const gateway = parseAddress(value);
  if (gateway === undefined) document.report(path, `'${value}' is not an IP address`);
  else if (!own.some((a) => prefixContains(a, gateway))) {
    document.report(path, `gateway '${value}' is in no network of this interface`);
  }
}
