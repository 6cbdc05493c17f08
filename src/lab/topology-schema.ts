/**
 * The shape of a topology file: containerlab's (name, topology with defaults, kinds, groups, nodes
 * and links) with node kinds of our own. What a shape cannot say (addresses, names, links that lead
 * somewhere) is checked in topology-check.ts.
 */
import * as v from "valibot";

/** An object that may have these keys and no other; each other one is reported by itself. */
const closed = <const E extends v.ObjectEntries>(entries: E) =>
  v.objectWithRest(entries, v.never(), "mapping");

const text = v.string("text");
const whole = v.pipe(v.number("whole number"), v.integer("whole number"));
const scalar = v.pipe(v.union([v.string(), v.number(), v.boolean()], "text"), v.transform(String));

/** Settings of one network interface of a view. */
const interfaceEntries = {
  ipv4: v.exactOptional(text),
  ipv6: v.exactOptional(text),
  addresses: v.exactOptional(v.array(text, "list")),
  mac: v.exactOptional(text),
  mtu: v.exactOptional(whole),
  gateway: v.exactOptional(text),
  via: v.exactOptional(v.picklist(["auto", "tap", "veth"], "word of auto, tap, veth")),
};

/** All a node may have; which of it fits its kind is checked later. */
const nodeEntries = {
  kind: v.exactOptional(text),
  group: v.exactOptional(text),
  // view
  ...interfaceEntries,
  interfaces: v.exactOptional(v.record(v.string(), closed(interfaceEntries), "mapping")),
  root: v.exactOptional(v.boolean("true or false")),
  mounts: v.exactOptional(v.array(text, "list")),
  image: v.exactOptional(closed({ file: text, mount: text })),
  exec: v.exactOptional(v.array(text, "list")),
  env: v.exactOptional(v.record(v.string(), scalar, "mapping")),
  // stack
  serve: v.exactOptional(text),
  // switch
  ports: v.exactOptional(whole),
};

const NODE_SCHEMA = closed(nodeEntries);
const NODES_SCHEMA = v.record(v.string(), NODE_SCHEMA, "mapping");

export const TOPOLOGY_SCHEMA = closed({
  name: text,
  topology: closed({
    defaults: v.exactOptional(NODE_SCHEMA),
    kinds: v.exactOptional(NODES_SCHEMA),
    groups: v.exactOptional(NODES_SCHEMA),
    nodes: NODES_SCHEMA,
    links: v.exactOptional(v.array(closed({ endpoints: v.array(text, "list") }), "list")),
  }),
});

export type TopologyFile = v.InferOutput<typeof TOPOLOGY_SCHEMA>;
export type NodeSettings = v.InferOutput<typeof NODE_SCHEMA>;
export type InterfaceSettings = Pick<NodeSettings, keyof typeof interfaceEntries>;

/** Keys of a node that mean something for each kind. */
export const KIND_KEYS: { readonly [kind: string]: readonly string[] } = {
  switch: ["kind", "group", "ports"],
  view: Object.keys(nodeEntries).filter((key) => key !== "ports" && key !== "serve"),
  stack: ["kind", "group", "ipv4", "ipv6", "addresses", "mac", "mtu", "gateway", "serve"],
};
export const INTERFACE_KEYS = Object.keys(interfaceEntries) as readonly (keyof InterfaceSettings)[];

/** Keys allowed at a path of the file, to suggest the right one for a wrong one. */
export function keysAt(path: readonly (string | number)[]): readonly string[] {
  const [first, second] = path;
  if (first !== "topology") return ["name", "topology"];
  if (second === undefined) return ["defaults", "kinds", "groups", "nodes", "links"];
  if (second === "links") return ["endpoints"];
  const inNode = path.slice(second === "defaults" ? 2 : 3);
  if (inNode[0] === "interfaces") return INTERFACE_KEYS;
  if (inNode[0] === "image") return ["file", "mount"];
  return Object.keys(nodeEntries);
}
