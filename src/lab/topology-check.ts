/**
 * From the file's data to a topology: inheritance (defaults < kinds < groups < nodes), and every
 * check that needs more than the shape. All problems are reported to the document; none is thrown.
 */
import { printMac, macFromName, parseMac } from "../base/index.ts";
import { parseMountSpec } from "../viewos/index.ts";
import { checkNetworks, type PlacedAddress, type PlacedInterface } from "./address-check.ts";
import { Inherited } from "./inheritance.ts";
import { connect, type Wire } from "./link-check.ts";
import type {
  ImageMount,
  InterfacePlan,
  StackNode,
  SwitchNode,
  Topology,
  ViewNode,
} from "./topology.ts";
import { type Path, suggestion, type TopologyDocument } from "./topology-file.ts";
import {
  INTERFACE_KEYS,
  type InterfaceSettings,
  KIND_KEYS,
  type NodeSettings,
  type TopologyFile,
} from "./topology-schema.ts";

/** Host name label, RFC 1123 §2.1, in lower and upper case. */
const HOST_NAME = /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;
const LAB_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/;
/** What a VDE switch can have (vde_switch --numports takes any; more would never be used). */
const PORTS_MAX = 4096;

/** What the checks ask of the outside world. */
export interface Surroundings {
  /** Absolute path of a file named in the topology. */
  resolve(path: string): string;
  isFile(path: string): boolean;
}

/** Checks everything; @returns the topology, to be used only when the document has no problems. */
export function checkTopology(
  document: TopologyDocument,
  data: TopologyFile,
  surroundings: Surroundings,
): Topology {
  if (!LAB_NAME.test(data.name)) {
    document.report(["name"], `'${data.name}' cannot name a lab: use letters, digits, '-', '_'`);
  }
  const nodes = nodesOf(document, data);
  const wires = connect(document, data.topology.links ?? [], nodes);
  const placed: PlacedInterface[] = [];
  const switches: SwitchNode[] = [];
  const views: ViewNode[] = [];
  const stacks: StackNode[] = [];
  for (const node of nodes.values()) {
    if (node.kind === "switch") switches.push(switchOf(document, node));
    if (node.kind !== "view" && node.kind !== "stack") continue;
    const interfaces = interfacesOf(document, node, wires.get(node.name) ?? []);
    placed.push(...interfaces.map((i) => i.placed));
    if (node.kind === "stack") {
      const stack = stackOf(document, node, interfaces, surroundings);
      if (stack !== undefined) stacks.push(stack);
      continue;
    }
    const mounts = node.list("mounts");
    for (const { value, path } of mounts) checkMount(document, value, path);
    views.push({
      name: node.name,
      root: node.get("root")?.value ?? false,
      interfaces: interfaces.map((i) => i.plan),
      mounts: mounts.map((m) => m.value),
      image: imageOf(document, node, surroundings),
      exec: node.list("exec").map((e) => e.value),
      env: node.environment(),
    });
  }
  checkNetworks(document, placed);
  return { name: data.name, switches, views, stacks };
}

function nodesOf(document: TopologyDocument, data: TopologyFile): Map<string, Inherited> {
  const { topology } = data;
  for (const kind of Object.keys(topology.kinds ?? {})) {
    if (Object.hasOwn(KIND_KEYS, kind)) continue;
    reportKind(document, ["topology", "kinds", kind], kind, "key");
  }
  const nodes = new Map<string, Inherited>();
  for (const [name, settings] of Object.entries(topology.nodes)) {
    const path = ["topology", "nodes", name];
    if (!HOST_NAME.test(name)) {
      document.report(path, `'${name}' cannot be a host name: use letters, digits and '-'`, "key");
    }
    if (settings.group !== undefined && !Object.hasOwn(topology.groups ?? {}, settings.group)) {
      const hint = suggestion(settings.group, Object.keys(topology.groups ?? {}));
      document.report([...path, "group"], `unknown group '${settings.group}'${hint}`);
    }
    const node = new Inherited(name, settings, topology);
    nodes.set(name, node);
    if (node.kind === undefined) document.report(path, "missing key 'kind'", "key");
    else if (!Object.hasOwn(KIND_KEYS, node.kind)) {
      reportKind(document, node.kindPath, node.kind, "value");
    } else checkKeys(document, path, settings, node.kind);
  }
  return nodes;
}

function reportKind(
  document: TopologyDocument,
  path: Path,
  kind: string,
  on: "key" | "value",
): void {
  const known = Object.keys(KIND_KEYS);
  const hint = suggestion(kind, known) || `; there are ${known.join(", ")}`;
  document.report(path, `unknown kind '${kind}'${hint}`, on);
}

/** A node's own keys must mean something for its kind; inherited ones are passed over. */
function checkKeys(
  document: TopologyDocument,
  path: Path,
  settings: NodeSettings,
  kind: string,
): void {
  for (const key of Object.keys(settings)) {
    if (KIND_KEYS[kind]!.includes(key)) continue;
    document.report([...path, key], `a ${kind} has no '${key}'`, "key");
  }
}

function switchOf(document: TopologyDocument, node: Inherited): SwitchNode {
  const ports = node.get("ports");
  if (ports !== undefined && (ports.value < 1 || ports.value > PORTS_MAX)) {
    document.report(ports.path, `'ports' must be 1 to ${PORTS_MAX}, not ${ports.value}`);
  }
  return { name: node.name, ports: ports?.value };
}

function stackOf(
  document: TopologyDocument,
  node: Inherited,
  interfaces: readonly CheckedInterface[],
  surroundings: Surroundings,
): StackNode | undefined {
  const [first, second] = interfaces;
  if (first === undefined || second !== undefined) {
    const path = ["topology", "nodes", node.name];
    document.report(path, `stack '${node.name}' needs one link, not ${interfaces.length}`, "key");
    return undefined;
  }
  const serve = node.get("serve");
  const directory = serve === undefined ? undefined : surroundings.resolve(serve.value);
  return { name: node.name, interface: first.plan, serve: directory };
}

interface CheckedInterface {
  readonly plan: InterfacePlan;
  readonly placed: PlacedInterface;
}

/**
 * The interfaces of a view: one for each of its wires; its own settings are those of the first one.
 */
function interfacesOf(
  document: TopologyDocument,
  node: Inherited,
  wires: readonly Wire[],
): CheckedInterface[] {
  const named = node.get("interfaces");
  for (const name of Object.keys(named?.value ?? {})) {
    if (wires.some((wire) => wire.interface === name)) continue;
    document.report([...named!.path, name], `no link leads to ${node.name}:${name}`, "key");
  }
  if (wires.length === 0) {
    for (const key of ["ipv4", "ipv6", "addresses", "mac", "gateway"] as const) {
      const value = node.get(key);
      if (value === undefined) continue;
      document.report(value.path, `'${node.name}' has '${key}' but no link leads to it`, "key");
    }
  }
  return wires.map((wire, index) => {
    const get = <K extends keyof InterfaceSettings>(key: K) => {
      const own = named?.value[wire.interface]?.[key];
      if (own !== undefined) return { value: own, path: [...named!.path, wire.interface, key] };
      return index === 0 ? node.get(key) : undefined;
    };
    return checkedInterface(document, node.name, wire, get);
  });
}

function checkedInterface(
  document: TopologyDocument,
  nodeName: string,
  wire: Wire,
  get: <K extends keyof InterfaceSettings>(
    key: K,
  ) => { readonly value: NonNullable<InterfaceSettings[K]>; readonly path: Path } | undefined,
): CheckedInterface {
  const settings = Object.fromEntries(INTERFACE_KEYS.map((key) => [key, get(key)])) as {
    [K in keyof InterfaceSettings]?: ReturnType<typeof get<K>>;
  };
  const { ipv4, ipv6, addresses: list, mac, mtu, gateway, via } = settings;
  const addresses: PlacedAddress[] = [
    ...(ipv4 === undefined ? [] : [{ ...ipv4, family: "ipv4" as const }]),
    ...(ipv6 === undefined ? [] : [{ ...ipv6, family: "ipv6" as const }]),
    ...(list?.value ?? []).map((value, i) => ({
      value,
      path: [...(list?.path ?? []), i],
      family: undefined,
    })),
  ];
  if (mac !== undefined) {
    const octets = parseMac(mac.value);
    if (octets === undefined) document.report(mac.path, `'${mac.value}' is not a MAC address`);
    else if ((octets[0]! & 1) !== 0) {
      document.report(mac.path, `'${mac.value}' is a group address; make the first octet even`);
    }
  }
  // RFC 8200 §5: IPv6 needs links of 1280 octets at least.
  const mtuMin = addresses.some((a) => a.value.includes(":")) ? 1280 : 68;
  if (mtu !== undefined && (mtu.value < mtuMin || mtu.value > 65_521)) {
    document.report(mtu.path, `'mtu' must be ${mtuMin} to 65521, not ${mtu.value}`);
  }
  const label = `${nodeName}:${wire.interface}`;
  const placed: PlacedInterface = { label, switch: wire.switch, addresses, gateway, mac };
  return {
    placed,
    plan: {
      name: wire.interface,
      switch: wire.switch,
      port: wire.port,
      addresses: addresses.map((address) => address.value),
      mac: mac?.value ?? printMac(macFromName(label)),
      mtu: mtu?.value,
      gateway: gateway?.value,
      via: via?.value ?? "auto",
    },
  };
}

function checkMount(document: TopologyDocument, spec: string, path: Path): void {
  try {
    parseMountSpec(spec);
  } catch (error) {
    document.report(path, (error as Error).message);
  }
}

function imageOf(
  document: TopologyDocument,
  node: Inherited,
  surroundings: Surroundings,
): ImageMount | undefined {
  const image = node.get("image");
  if (image === undefined) return undefined;
  const file = surroundings.resolve(image.value.file);
  if (!surroundings.isFile(file)) {
    document.report([...image.path, "file"], `no image file '${image.value.file}'`);
  }
  if (!image.value.mount.startsWith("/")) {
    document.report([...image.path, "mount"], `'${image.value.mount}' is not an absolute path`);
  }
  return { file, mount: image.value.mount };
}
