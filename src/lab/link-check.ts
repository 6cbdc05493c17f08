/**
 * Links: `endpoints: ["alice:eth0", "lan:1"]` joins an interface of a view to a port of a switch.
 */
import type { Inherited } from "./inheritance.ts";
import { type Path, suggestion, type TopologyDocument } from "./topology-file.ts";

/** One end of a link at a view, and what it leads to. */
export interface Wire {
  readonly interface: string;
  readonly switch: string;
  readonly port: number | undefined;
}

interface Endpoint {
  readonly node: Inherited;
  /** Behind the colon: an interface of a view, a port of a switch or undefined. */
  readonly plug: string | undefined;
  readonly path: Path;
}

type Links = readonly { readonly endpoints: readonly string[] }[];

/** Checks all links; @returns the wires of each view by its name, in the order of the links. */
export function connect(
  document: TopologyDocument,
  links: Links,
  nodes: ReadonlyMap<string, Inherited>,
): Map<string, Wire[]> {
  const wires = new Map<string, Wire[]>();
  const used = new Set<string>();
  for (const [i, { endpoints }] of links.entries()) {
    const path: Path = ["topology", "links", i, "endpoints"];
    if (endpoints.length !== 2) {
      document.report(path, `a link has two endpoints, not ${endpoints.length}`);
      continue;
    }
    const ends = endpoints.map((text, j) => endpointOf(document, text, [...path, j], nodes));
    const view = ends.find((end) => end?.node.kind === "view" || end?.node.kind === "stack");
    const hub = ends.find((end) => end?.node.kind === "switch");
    if (ends.includes(undefined)) continue;
    if (view === undefined || hub === undefined) {
      document.report(path, "a link joins an interface of a view or stack to a port of a switch");
      continue;
    }
    for (const end of [view, hub]) {
      const name = `${end.node.name}:${end.plug}`;
      if (end.plug !== undefined && used.has(name)) {
        document.report(end.path, `'${name}' is used by another link`);
      }
      used.add(name);
    }
    const own = wires.get(view.node.name) ?? [];
    const port = hub.plug === undefined ? undefined : Number(hub.plug);
    own.push({ interface: view.plug ?? `eth${own.length}`, switch: hub.node.name, port });
    wires.set(view.node.name, own);
  }
  return wires;
}

function endpointOf(
  document: TopologyDocument,
  text: string,
  path: Path,
  nodes: ReadonlyMap<string, Inherited>,
): Endpoint | undefined {
  const [name = "", plug, ...more] = text.split(":");
  const node = nodes.get(name);
  if (node === undefined) {
    const hint = suggestion(name, [...nodes.keys()]);
    document.report(path, `link to unknown node '${name}'${hint}`);
    return undefined;
  }
  const isRight =
    more.length === 0 && (plug === undefined || (node.kind === "switch" ? isPort : isName)(plug));
  if (isRight) return { node, plug, path };
  const wanted = node.kind === "switch" ? `${name}:1 (a port)` : `${name}:eth0 (an interface)`;
  document.report(path, `'${text}' is no endpoint; write ${wanted}`);
  return undefined;
}

function isPort(text: string): boolean {
  return /^[1-9]\d{0,3}$/.test(text);
}

/** Interface names that need no quoting anywhere; the kernel would take more. */
function isName(text: string): boolean {
  return /^[A-Za-z][A-Za-z0-9_.-]{0,14}$/.test(text) && text !== "lo";
}
